"""What exists, as data. Only reads, and what can be asked at once is asked at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from pkiops.backends.identity import Identities
from pkiops.backends.interface import ObservedAuthority, ReadsAuthorities
from pkiops.ca.desired import Desired, DesiredAuthority
from pkiops.ca.details import Details, certificate_facts, has_certificate, read_details
from pkiops.ca.drift import certificate_changes
from pkiops.ca.index import IndexPublisher
from pkiops.ca.settle import settled
from pkiops.errors import InputError
from pkiops.stores.interface import Buckets, ObservedBucket


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """The buckets that the file names, and every authority of the account and region.

    ``details`` holds by reference what the file speaks of and no list tells; ``index_is_current`` is whether the published index names what exists.
    """

    buckets: tuple[ObservedBucket, ...]
    authorities: tuple[ObservedAuthority, ...]
    details: Mapping[str, Details] = field(default_factory=dict)
    index_is_current: bool = True


def observe(desired: Desired, reader: ReadsAuthorities, buckets: Buckets, index: IndexPublisher) -> Observed:
    """Read everything a plan is computed from.

    Raises:
        BackendError: something could not be read.
        GuardRefused: an identity exists twice.
    """
    with ThreadPoolExecutor(max_workers=len(desired.buckets) + 1) as pool:
        published = pool.submit(index.published)
        found = [pool.submit(buckets.observe_bucket, settings.name) for settings in desired.buckets]
        listed = reader.list_authorities()
        authorities = settled(desired.authorities, reader, listed, named=index.named(published.result()))
        return Observed(
            buckets=tuple(one.result() for one in found),
            authorities=authorities,
            details=_details(desired, reader, authorities, index.certificates(published.result())),
            index_is_current=index.is_current(published.result(), authorities),
        )


def _details(
    desired: Desired, reader: ReadsAuthorities, authorities: Iterable[ObservedAuthority], indexed: Mapping[str, bytes]
) -> dict[str, Details]:
    identities = Identities(authorities, desired.environment)
    pairs = [(one, identities.find(one.label, one.generation)) for one in desired.authorities]
    doubtful = {
        found.reference
        for wanted, found in pairs
        if found is not None and has_certificate(found) and _is_doubtful(wanted, indexed.get(found.reference))
    }
    return read_details(reader, pairs, doubtful)


def _is_doubtful(wanted: DesiredAuthority, indexed: bytes | None) -> bool:
    """Whether a certificate may say otherwise than the file: the index is not believed, but it tells where a look is worth a call."""
    if indexed is None:
        return True
    try:
        return bool(certificate_changes(wanted, Details(certificate_facts(indexed))))
    except InputError:
        return True
