"""An inventory of an environment: what the CA service says exists, and what the ledger says was issued.

What this module decides: which tables are read, and their order. A format is the business of ``export``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum

from pkiops.backends.interface import ReadsAuthorities
from pkiops.clock import Clock
from pkiops.environment.models import Environment
from pkiops.inventory.authorities import authority_records
from pkiops.inventory.certificates import by_end, certificate_record, has_certificate, request_record
from pkiops.inventory.members import read_members
from pkiops.inventory.records import AuthorityRecord, CertificateRecord, Inventory, RequestRecord, Skipped
from pkiops.ledger.interface import Entry, EntryState


class Table(StrEnum):
    """A part of an inventory."""

    AUTHORITIES = "authorities"
    CERTIFICATES = "certificates"


def collect(
    environment: Environment,
    backend: ReadsAuthorities,
    entries: Callable[[], Iterable[Entry]],
    clock: Clock,
    tables: Iterable[Table] = tuple(Table),
) -> Inventory:
    """Read the tables asked for; what is not asked for is not read.

    Args:
        environment: whose inventory.
        backend: lists the authorities; its CRL URLs are included if it publishes any (``PublishesOwnCrls``).
        entries: opens the ledger.
        clock: from when days left are counted; read after the first answer of the backend, because it may follow that.
        tables: CERTIFICATES includes the requests that led to none.

    Raises:
        BackendError: the authorities cannot be listed, or the ledger cannot be read.
        InputError: the ledger is none.
    """
    wanted = frozenset(tables)
    authorities: tuple[AuthorityRecord, ...] | None = None
    certificates: tuple[CertificateRecord, ...] | None = None
    requests: tuple[RequestRecord, ...] | None = None
    skipped: list[Skipped] = []
    if Table.AUTHORITIES in wanted:
        members = read_members(environment, backend)
        authorities, unread = authority_records(environment, members, backend, clock.now())
        skipped.extend(unread)
    now = clock.now()
    if Table.CERTIFICATES in wanted:
        certificates, requests, unread = _ledger_records(entries(), now)
        skipped.extend(unread)
    return Inventory(
        environment=environment.environment,
        generated_at=now,
        authorities=authorities,
        certificates=certificates,
        requests=requests,
        skipped=tuple(skipped),
    )


def _ledger_records(
    entries: Iterable[Entry], now: datetime
) -> tuple[tuple[CertificateRecord, ...], tuple[RequestRecord, ...], tuple[Skipped, ...]]:
    certificates: list[CertificateRecord] = []
    requests: list[RequestRecord] = []
    skipped: list[Skipped] = []
    for entry in entries:
        if has_certificate(entry):
            record, unread = certificate_record(entry, now)
            certificates.append(record)
            skipped.extend([unread] if unread else [])
        if entry.state is not EntryState.ISSUED:
            requests.append(request_record(entry))
    return by_end(certificates), tuple(requests), tuple(skipped)
