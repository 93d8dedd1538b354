"""The table that holds a shared ledger: without it, or with keys of another kind, nobody can issue. Pure.

What this module decides: what of ``table_drift.py``'s differences is an outage and what is a risk. A ledger in a file is nobody's concern here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pkiops.ca.doctor.catalogue import Finding, finding
from pkiops.ca.doctor.world import World
from pkiops.ca.table_drift import misfits, switches


def ledger_tables(world: World, now: datetime) -> Iterator[Finding]:
    """What is wrong with the ledger's table; nothing where it could not be read."""
    del now
    environment = world.environment.environment
    observed = {table.name: table for table in world.tables}
    for wanted in world.desired.tables:
        found = observed.get(wanted.name)
        if found is None:
            continue
        where = f"{environment}/table/{wanted.name}"
        mend = f"pkiops ca apply {environment}" if wanted.manage else "mend it where the table is declared"
        if not found.exists:
            yield finding("ledger.missing", where, "does not exist", mend)
        elif wrong := misfits(found):
            message = f"is no table of a ledger: {', '.join(one.field for one in wrong)}"
            yield finding("ledger.shape", where, message, "name another table (ledger.table), which ca apply makes")
        elif not found.active:
            yield finding("ledger.inactive", where, "is not ACTIVE", "wait until DynamoDB has made or restored it")
        else:
            for one in switches(found):
                yield finding("ledger.unprotected", where, f"{one.field} is off", mend)
