"""What exists, as data. Only reads, and what can be asked at once is asked at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from pkiops.backends.identity import Identities
from pkiops.backends.interface import ObservedAuthority, ReadsAuthorities
from pkiops.ca.desired import Desired
from pkiops.ca.details import Details, read_details
from pkiops.ca.index import IndexPublisher
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


def observe(desired: Desired, reader: ReadsAuthorities, buckets: Buckets, index: IndexPublisher) -> Observed:
    """Read everything a plan is computed from.

    Raises:
        BackendError: something could not be read.
        GuardRefused: an identity exists twice.
    """
    with ThreadPoolExecutor(max_workers=len(desired.buckets) + 1) as pool:
        published = pool.submit(index.published)
        found = [pool.submit(buckets.observe_bucket, settings.name) for settings in desired.buckets]
        authorities = reader.list_authorities()
        return Observed(
            buckets=tuple(one.result() for one in found),
            authorities=authorities,
            details=_details(desired, reader, authorities),
            index_is_current=index.is_current(published.result(), authorities),
            elsewhere=index.left_behind(published.result()),
        )


def _details(
    desired: Desired, reader: ReadsAuthorities, authorities: Iterable[ObservedAuthority]
) -> dict[str, Details]:
    identities = Identities(authorities, desired.environment)
    return read_details(reader, [(one, identities.find(one.label, one.generation)) for one in desired.authorities])
