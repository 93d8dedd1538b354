"""The table of who gets in where, in docs/guides/relying-parties.md: what was seen has to be what it says.

What this module decides: its form. ``PKIOPS_WRITE_TABLE=1`` writes what was seen into it instead, one row after another: run that without ``-n``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tests.live.relying_party import RelyingParty
from tests.live.site import CASES, LATER, NONE, ROLLOVER

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "relying-parties.md"
COLUMNS = (*CASES, NONE, LATER, *ROLLOVER)
HEADER = f"| target | CRLs checked | {' | '.join(COLUMNS)} |"


def row(party: RelyingParty, seen: Mapping[str, bool]) -> str:
    """The line of one relying party; a client revoked later is out after the reload, also with a session from before, or the trial had failed."""
    cells = ["in" if {**seen, LATER: False}[name] else "out" for name in COLUMNS]
    return f"| `{party.kind.value}` | {party.revocation.value} | {' | '.join(cells)} |"


def check_row(party: RelyingParty, seen: Mapping[str, bool]) -> None:
    """Fail unless the page has exactly this line for the relying party."""
    wanted = row(party, seen)
    lines = PAGE.read_text().splitlines()
    start = lines.index(HEADER)
    (at,) = [
        n
        for n, line in enumerate(lines)
        if n > start and line.startswith(f"| `{party.kind.value}` | {party.revocation.value} |")
    ]
    if os.environ.get("PKIOPS_WRITE_TABLE") == "1":
        PAGE.write_text("\n".join([*lines[:at], wanted, *lines[at + 1 :]]) + "\n")
        return
    assert lines[at] == wanted, f"{PAGE.name} says something else"
