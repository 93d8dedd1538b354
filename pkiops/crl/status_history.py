"""What the history says about a published CRL. Only reads.

What this module decides: how far is looked, which does not depend on how long the history is: the entry of the published CRL, a few of those before
it, and the next one after it, which there should be none of.
"""

from __future__ import annotations

from pkiops.crl.history import HistoryEntry, later_numbers, read_history
from pkiops.crl.manifest import CrlRecord
from pkiops.crl.status_facts import HistoryFacts, LaterCrl
from pkiops.errors import AccessDenied, VerificationFailed
from pkiops.stores.interface import Store

STEPS = 3
# an object that is no entry by its name does not hide one that is
_LISTED = 20


def look_back(store: Store, environment: str, record: CrlRecord) -> HistoryFacts:
    """The entry of a published CRL and those before it.

    Raises:
        BackendError: the store failed, or the entry may not be read.
    """
    try:
        entry = read_history(store, environment, record, record.number)
    except VerificationFailed as error:
        return HistoryFacts(recorded=False, problem=error.message)
    if entry is None:
        return HistoryFacts(recorded=False)
    numbers = [record.number]
    other = entry.record.sha256 if entry.record.sha256 != record.sha256 else None
    while entry.previous is not None and len(numbers) <= STEPS:
        number = entry.previous.number
        if number >= numbers[-1]:
            problem = f"number {numbers[-1]} of {record.name} is said to have followed number {number}"
            return HistoryFacts(recorded=True, other_sha256=other, numbers=tuple(numbers), problem=problem)
        try:
            before = read_history(store, environment, record, number)
        except VerificationFailed as error:
            return HistoryFacts(recorded=True, other_sha256=other, numbers=tuple(numbers), problem=error.message)
        except AccessDenied:
            break  # it may be there or not: who may not list is told the same
        if before is None:
            return HistoryFacts(recorded=True, other_sha256=other, numbers=tuple(numbers), lost=number)
        entry = before
        numbers.append(number)
    return HistoryFacts(recorded=True, other_sha256=other, numbers=tuple(numbers))


def look_ahead(store: Store, environment: str, record: CrlRecord) -> LaterCrl | None:
    """The next CRL in the history after the published one.

    Raises:
        BackendError: the store failed, or the history may not be listed or read.
    """
    for number in later_numbers(store, environment, record, limit=_LISTED):
        try:
            entry: HistoryEntry | None = read_history(store, environment, record, number)
        except VerificationFailed as error:
            return LaterCrl(number, 0.0, error.message)
        return None if entry is None else LaterCrl(number, entry.age_s)
    return None
