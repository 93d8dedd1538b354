"""Partitioned CRLs: which partition a new certificate belongs to.

What this module decides: a partition takes certificates until it is full, then the next one is opened under a random name. Its URL never changes,
because certificates and its own issuingDistributionPoint carry it; where new certificates would point elsewhere (another ``CustomCname``,
bucket or path), a new partition is opened. How the service spreads certificates is not documented.
"""

from __future__ import annotations

from pkiops.sandbox.engine import crl_locations
from pkiops.sandbox.engine.state import Authority, Context, Partition, Region


def is_partitioned(authority: Authority) -> bool:
    """Whether new certificates go into partitions."""
    configuration = authority.crl_configuration
    return bool(configuration["Enabled"] and configuration.get("CrlType") == "PARTITIONED")


def partition_for_next(context: Context, region: Region, authority: Authority) -> Partition | None:
    """The partition the next certificate will belong to, not yet counted there; None with a complete CRL or none at all."""
    if not is_partitioned(authority):
        return None
    if authority.partitions:
        last = authority.partitions[-1]
        if last.size < context.settings.partition_size and last.url == crl_locations.url(authority, region, last.name):
            return last
    name = str(context.randomness.uuid4())
    return Partition(name, crl_locations.url(authority, region, name))


def add_certificate(authority: Authority, partition: Partition) -> bool:
    """Count a certificate in its partition; true if that opened the partition, whose CRL must then be written."""
    is_new = partition not in authority.partitions
    if is_new:
        authority.partitions.append(partition)
    partition.size += 1
    return is_new
