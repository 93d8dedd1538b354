"""Entries of the ledger, looked for by what somebody remembers of them, a page at a time.

What this module decides: which of the ledger's ordered queries a search goes through, so that none reads more than it must, and where a page ends:
at its length, or after so many entries looked at that did not fit. What is not indexed (profile, requester, most states) is compared on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import dropwhile

from pkiops.errors import BackendError, InputError
from pkiops.ledger.interface import Entry, Ledger, Position
from pkiops.ledger.transitions import is_open
from pkiops.x509.certificate import parse_serial, serial_hex
from pkiops.x509.names import printable
from pkiops.x509.san import SanKind

# a page that finds little ends after so many, and says where to go on
MOST_LOOKED_AT = 10_000
MOST_LISTED = 1_000

# more than that are no accident, and a page would have no end
_MOST_UNREADABLE = 100


class ListedState(StrEnum):
    """States to look for: those of the ledger, ``open`` (may have led to a certificate that is not known here), and ``revoked``."""

    OPEN = "open"
    PENDING = "pending"
    ISSUED = "issued"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"
    REVOKED = "revoked"


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """What is looked for; None is anything.

    ``name`` is whole and in any case, with or without its kind (``dns:``); ``serial`` is hexadecimal; ``requester`` a part of the caller's ARN;
    ``expiring`` two moments (aware UTC), the second excluded.
    """

    name: str | None = None
    serial: str | None = None
    authority: str | None = None
    profile: str | None = None
    state: ListedState | None = None
    requester: str | None = None
    expiring: tuple[datetime, datetime] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Entries in the order of their query; ``next`` is the entry after which the next page begins, None at the end.

    ``unreadable`` are the errors of entries that were left out, because what is stored is none.
    """

    entries: tuple[Entry, ...]
    next: str | None
    looked_at: int
    unreadable: tuple[BackendError, ...] = ()


def find_entries(
    ledger: Ledger,
    environment: str,
    search: Search,
    *,
    limit: int,
    after: str | None = None,
    most: int = MOST_LOOKED_AT,
) -> Page:
    """A page of what is looked for, by creation, or by expiry where that is looked for.

    Args:
        ledger: where.
        environment: whose entries.
        search: what.
        limit: the longest page.
        after: the entry after which it begins.
        most: how many entries are looked at.

    Raises:
        InputError: there is no entry ``after``, or ``serial`` is none.
        BackendError: the ledger cannot be read, or much of it is no entry.
    """
    by_expiry = search.expiring is not None and search.serial is None and search.name is None
    position = None if after is None else _position(ledger, environment, after, by_expiry=by_expiry)
    unreadable: list[BackendError] = []

    def report(error: BackendError) -> None:
        unreadable.append(error)
        if len(unreadable) > _MOST_UNREADABLE:
            raise error

    ledger = ledger.leaving_out(report)
    found: list[Entry] = []
    last: Entry | None = None
    looked_at = 0
    fits = _test_of(search)
    for entry in _source(ledger, environment, search, position):
        if last is not None and (len(found) == limit or looked_at == most):
            return Page(tuple(found), last.id, looked_at, _each_once(unreadable))
        looked_at, last = looked_at + 1, entry
        if fits(entry):
            found.append(entry)
    return Page(tuple(found), None, looked_at, _each_once(unreadable))


def _each_once(errors: Sequence[BackendError]) -> tuple[BackendError, ...]:
    return tuple({one.details["entry"]: one for one in errors}.values())


def _position(ledger: Ledger, environment: str, entry_id: str, *, by_expiry: bool) -> Position:
    entry = ledger.get(entry_id)
    moment = None if entry is None else entry.not_after if by_expiry else entry.created_at
    if entry is None or moment is None or entry.environment != environment:
        raise InputError(
            f"the ledger of environment {environment} has no entry {printable(entry_id)} to go on after",
            hint="give what the page before named as the next",
            code="cert.unknown-entry",
        )
    return Position(moment, entry.id)


def _source(ledger: Ledger, environment: str, search: Search, position: Position | None) -> Iterator[Entry]:
    """The query that gives the fewest entries."""
    if search.serial is not None:
        return _beyond(ledger.find_by_serial(environment, serial_hex(parse_serial(search.serial))), position)
    if search.name is not None:
        return _beyond(ledger.find_by_name(environment, _value(search.name)[1]), position)
    if search.expiring is not None:
        start, end = search.expiring
        # what is older than the ledger cannot be in it, and a shared one asks month by month
        first = next(ledger.entries(environment), None)
        return (
            ledger.find_expiring(environment, max(start, first.created_at), end, after=position) if first else iter(())
        )
    if search.state is ListedState.OPEN:
        return _beyond(ledger.find_open(environment), position)
    if search.authority is not None:
        return ledger.find_by_authority(environment, search.authority, after=position)
    return ledger.entries(environment, after=position)


def _beyond(entries: Iterable[Entry], position: Position | None) -> Iterator[Entry]:
    if position is None:
        return iter(entries)
    last = position.moment, position.entry_id
    return dropwhile(lambda one: (one.created_at, one.id) <= last, entries)


def _value(name: str) -> tuple[SanKind | None, str]:
    kind, separator, value = name.partition(":")
    return (SanKind(kind), value) if separator and kind in set(SanKind) else (None, name)


def _test_of(search: Search) -> Callable[[Entry], bool]:
    kind = _value(search.name)[0] if search.name is not None else None
    tests: list[Callable[[Entry], bool]] = []
    if kind is not None:
        wanted = _value(str(search.name))[1].lower()
        tests.append(lambda one: any(san.kind is kind and san.value.lower() == wanted for san in one.sans))
    if search.authority is not None:
        tests.append(lambda one: one.authority == search.authority)
    if search.profile is not None:
        tests.append(lambda one: one.profile == search.profile)
    if search.requester is not None:
        part = search.requester
        tests.append(lambda one: part in (one.requester or ""))
    if search.expiring is not None:
        start, end = search.expiring
        tests.append(lambda one: one.serial is not None and one.not_after is not None and start <= one.not_after < end)
    if search.state is not None:
        tests.append(lambda one: _has_state(one, str(search.state)))
    return lambda entry: all(test(entry) for test in tests)


def _has_state(entry: Entry, state: str) -> bool:
    if state == ListedState.OPEN:
        return is_open(entry)
    return entry.revocation is not None if state == ListedState.REVOKED else entry.state.value == state


def find_one(ledger: Ledger, environment: str, target: str) -> tuple[Entry, ...]:
    """The entry with that id, or the entries with that serial (one for each CA that gave it).

    Raises:
        InputError: there is none.
    """
    entry = ledger.get(target)
    if entry is not None and entry.environment == environment:
        return (entry,)
    try:
        found = ledger.find_by_serial(environment, serial_hex(parse_serial(target)))
    except InputError:
        found = ()
    if not found:
        raise InputError(
            f"the ledger of environment {environment} has neither an entry nor a serial {printable(target)}",
            hint=f"pkiops cert list {environment} --name NAME finds certificates by name; is this the folder of its ledger?",
            code="cert.unknown-entry",
        )
    return found
