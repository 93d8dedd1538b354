"""What exists, as data. Only reads, and what can be asked at once is asked at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from pkiops.backends.identity import Identities
from pkiops.backends.interface import ObservedAuthority, ReadsAuthorities
from pkiops.ca.desired import Desired, DesiredAuthority
from pkiops.ca.details import Count, Details, certificate_facts, has_certificate, read_details
from pkiops.ca.drift import certificate_changes
from pkiops.ca.index import IndexPublisher
from pkiops.ca.settle import settled
from pkiops.errors import InputError
from pkiops.ledger.tables import ObservedTable, Tables
from pkiops.stores.interface import Buckets, ObservedBucket


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """The buckets that the file names, and every authority of its homes.

    ``details`` holds by reference what the file speaks of and no list tells; ``index_is_current`` is whether the published index names what exists;
    ``elsewhere`` are references that it gives, by label and generation, in homes that the file does not name.
    """

    buckets: tuple[ObservedBucket, ...]
    authorities: tuple[ObservedAuthority, ...]
    details: Mapping[str, Details] = field(default_factory=dict)
    index_is_current: bool = True
    elsewhere: Mapping[tuple[str, int], str] = field(default_factory=dict)
    tables: tuple[ObservedTable, ...] = ()


def observe(
    desired: Desired,
    reader: ReadsAuthorities,
    buckets: Buckets,
    index: IndexPublisher,
    *,
    tables: Tables | None = None,
    deep: bool = False,
    count: Count = lambda total: None,
) -> Observed:
    """Read everything a plan is computed from.

    Args:
        desired: what the file asks for.
        reader: the certificate authorities.
        buckets: the publication buckets.
        index: the published index.
        tables: the ledger's table; None where the file asks for none.
        deep: read the policies and permissions of all CAs, not only of those that declare any.
        count: given how many CAs have to be asked one by one, what is told of each.

    Raises:
        BackendError: something could not be read.
        GuardRefused: an identity exists twice.
    """
    with ThreadPoolExecutor(max_workers=len(desired.buckets) + len(desired.tables) + 1) as pool:
        published = pool.submit(index.published)
        looked = [pool.submit(buckets.observe_bucket, settings.name) for settings in desired.buckets]
        kept = [pool.submit(tables.observe_table, one.name) for one in desired.tables] if tables else []
        listed = reader.list_authorities()
        # whose bucket it is explains more than why the index in it cannot be read
        found = tuple(one.result() for one in looked)
        authorities = settled(desired.authorities, reader, listed, named=index.named(published.result()))
        identities = Identities(authorities, desired.environment)
        wanted = [(one, identities.find(one.label, one.generation)) for one in desired.authorities]
        return Observed(
            buckets=found,
            tables=tuple(one.result() for one in kept),
            authorities=authorities,
            details=read_details(
                reader,
                wanted,
                doubtful=_doubtful(wanted, index.chains(published.result())),
                deep=deep,
                count=count,
            ),
            index_is_current=index.is_current(published.result(), authorities),
            elsewhere=index.left_behind(published.result()),
        )


def _doubtful(
    pairs: Iterable[tuple[DesiredAuthority, ObservedAuthority | None]], indexed: Mapping[str, tuple[bytes, ...]]
) -> frozenset[str]:
    return frozenset(
        found.reference
        for wanted, found in pairs
        if found is not None and has_certificate(found) and _is_doubtful(wanted, indexed.get(found.reference))
    )


def _is_doubtful(wanted: DesiredAuthority, indexed: tuple[bytes, ...] | None) -> bool:
    """Whether a certificate may say otherwise than the file: the index is not believed, but it tells where a look is worth a call."""
    if indexed is None:
        return True
    try:
        return bool(certificate_changes(wanted, Details(certificate_facts(*indexed))))
    except InputError:
        return True
