"""What the plan says about the ledger's table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pkiops.ca.table_drift import table_action
from pkiops.ledger.tables import ObservedTable, TableSettings
from pkiops.plan import ActionKind

TAGS = {"pkiops:environment": "dev", "pkiops:purpose": "ledger"}
WANTED = TableSettings(name="ledger", tags=TAGS)
THEIRS = replace(WANTED, manage=False)
GOOD = ObservedTable(
    name="ledger", exists=True, active=True, shape=True, deletion_protection=True, recovery=True, tags=TAGS
)
NONE = ObservedTable(name="ledger", exists=False)


@pytest.mark.parametrize(
    ("wanted", "found", "kind", "fields"),
    [
        (WANTED, NONE, ActionKind.CREATE, []),
        (THEIRS, NONE, ActionKind.BLOCKED, []),
        (WANTED, GOOD, ActionKind.NO_OP, []),
        (THEIRS, replace(GOOD, tags={}), ActionKind.NO_OP, []),
        (WANTED, replace(GOOD, active=False), ActionKind.UPDATE, []),
        (WANTED, replace(GOOD, deletion_protection=False), ActionKind.UPDATE, ["deletion protection"]),
        (WANTED, replace(GOOD, recovery=False), ActionKind.UPDATE, ["point-in-time recovery"]),
        (replace(WANTED, tags={**TAGS, "team": "a"}), GOOD, ActionKind.UPDATE, ["tags"]),
        (WANTED, replace(GOOD, tags={}), ActionKind.BLOCKED, ["tags"]),
        (WANTED, replace(GOOD, tags={**TAGS, "pkiops:environment": "prod"}), ActionKind.BLOCKED, ["tags"]),
        (WANTED, replace(GOOD, shape=False), ActionKind.BLOCKED, ["keys"]),
        (THEIRS, replace(GOOD, missing_indexes=("by-key",)), ActionKind.BLOCKED, ["index by-key"]),
    ],
)
def test_what_a_table_needs(wanted: TableSettings, found: ObservedTable, kind: ActionKind, fields: list[str]) -> None:
    action = table_action("dev", wanted, found)
    assert (action.kind, [change.field for change in action.changes]) == (kind, fields)
    assert action.address == "dev/table/ledger"


def test_what_protects_a_table_of_others_is_their_matter_and_said() -> None:
    action = table_action("dev", THEIRS, replace(GOOD, deletion_protection=False, recovery=False))
    assert action.kind is ActionKind.NO_OP
    assert [warning.split(" is off")[0] for warning in action.warnings] == [
        "deletion protection",
        "point-in-time recovery",
    ]
