"""What exists, as data. Only reads, and what can be asked at once is asked at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pkiops.backends.interface import ObservedAuthority, ReadsAuthorities
from pkiops.ca.desired import Desired
from pkiops.stores.interface import Buckets, ObservedBucket


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """The buckets that the file names, and every authority of the account and region."""

    buckets: tuple[ObservedBucket, ...]
    authorities: tuple[ObservedAuthority, ...]


def observe(desired: Desired, reader: ReadsAuthorities, buckets: Buckets) -> Observed:
    """Read everything a plan is computed from.

    Raises:
        BackendError: something could not be read.
    """
    with ThreadPoolExecutor(max_workers=len(desired.buckets) + 1) as pool:
        authorities = pool.submit(reader.list_authorities)
        found = [pool.submit(buckets.observe_bucket, settings.name) for settings in desired.buckets]
        return Observed(
            buckets=tuple(one.result() for one in found),
            authorities=authorities.result(),
        )
