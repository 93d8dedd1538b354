"""JSON: every field of every record, sources, counts."""

from __future__ import annotations

import json
from dataclasses import fields

from pkiops.cli.output import json_text
from pkiops.clock import ManualClock
from pkiops.errors import AccessDenied
from pkiops.inventory.collect import Table, collect
from pkiops.inventory.export.json_export import inventory_body
from pkiops.inventory.records import AuthorityRecord, CertificateRecord, RequestRecord
from pkiops.ledger.interface import EntryState
from pkiops.x509.san import SanKind, SubjectAltName
from tests import builders
from tests.unit.inventory.world import AT, ENVIRONMENT, Account, entry, leaf, tags

SOURCES = {"authorities": {"type": "aws-private-ca"}, "certificates": {"type": "sqlite", "path": "a.db"}}
HOSTILE = "<script>=cmd|' /C calc'!A0\x00\u202e</script>"


def test_holds_everything_and_counts_it() -> None:
    account = Account()
    account.add("clients", tags("clients"), AccessDenied("no"))
    entries = [
        entry(1, chain=[leaf(builders.root_ca())]),
        entry(2, state=EntryState.REFUSED, findings=({"code": "policy.x", "value": HOSTILE},)),
        entry(3, state=EntryState.UNKNOWN, sans=(SubjectAltName(SanKind.URI, HOSTILE),)),
    ]
    found = collect(ENVIRONMENT, account, lambda: entries, ManualClock(AT))
    text = json_text("inventory", found.environment, found.generated_at, inventory_body(found, SOURCES))
    assert text.isascii()
    body = json.loads(text)
    assert set(body["sources"]) == {"authorities", "certificates"}
    assert body["sources"]["certificates"]["path"] == "a.db"
    assert "outside pkiops" in body["sources"]["certificates"]["note"]
    assert body["summary"] == {
        "authorities": {
            "total": 2,
            "by_status": {"ACTIVE": 1, "missing": 1},
            "by_position": {"issuing": 1, "root": 1},
        },
        "certificates": {"total": 1, "by_state": {"issued": 1}, "by_validity": {"valid": 1}},
        "requests": {"total": 2, "by_state": {"refused": 1, "unknown": 1}},
    }
    for name, record in (
        ("authorities", AuthorityRecord),
        ("certificates", CertificateRecord),
        ("requests", RequestRecord),
    ):
        for one in body[name]:
            assert list(one) == [field.name for field in fields(record)]
    assert body["requests"][0]["findings"][0]["value"] == HOSTILE
    assert [one["reason"] for one in body["skipped"]] == ["no"]


def test_leaves_out_what_was_not_asked_for() -> None:
    found = collect(ENVIRONMENT, Account(), lambda: [], ManualClock(AT), [Table.CERTIFICATES])
    body = inventory_body(found, SOURCES)
    assert list(body) == ["sources", "summary", "certificates", "requests", "skipped"]
    assert list(body["sources"]) == ["certificates"]
