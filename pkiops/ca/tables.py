"""Carrying out what a plan says about the ledger's table."""

from __future__ import annotations

from collections.abc import Callable

from pkiops.ca.desired import Desired
from pkiops.errors import InternalError
from pkiops.ledger.tables import Tables
from pkiops.plan import Action


def table_keeper(desired: Desired, tables: Tables | None) -> Callable[[Action], bool]:
    """What carries out an action on a table of ``desired``; it returns whether it changed anything."""
    wanted = {one.name: one for one in desired.tables}

    def keep(action: Action) -> bool:
        if tables is None:
            raise InternalError(f"{action.address} was planned without a look at tables")
        return tables.ensure_table(wanted[action.address.split("/")[2]])

    return keep
