"""What a test or a rehearsal may change of the service's behaviour: delays, partition sizes, failures that come later.

What this module decides: the defaults, which are the quickest behaviour the service could show: a CRL is written at once, OCSP answers at
once, nothing fails by itself. How long asynchronous answers take is ``state.Pace``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Settings:
    """Frozen; handed to ``service.PrivateCa``.

    Args:
        crl_delay: from a revocation to the CRL that lists it; the service takes about 30 minutes.
        crl_retry: from a refused write into the bucket to the next attempt; the service waits 15 minutes.
        ocsp_delay: from a revocation to the OCSP answer that says so; the service takes up to 60 minutes.
        tagging_delay: from the creation of a CA to its being known to the Resource Groups Tagging API; nobody promises a bound for it.
        partition_size: certificates per partition of a partitioned CRL (the service keeps each below 1 MB).
        late_failures: which accepted IssueCertificate calls of a Region, counted from 1, fail when they are asked for.
        failed_creations: which CreateCertificateAuthority calls of a Region, counted from 1, end in FAILED, and with which
            ``FailureReason``.
        authorities_per_region: how many CAs an account may have in a Region, deleted ones that can be restored too.
        tags_per_authority: how many tags a CA may have.
        certificates_per_authority: how many certificates a CA with a complete CRL, or with none, may ever issue.
        certificates_per_partitioned_authority: the same for a CA with a partitioned CRL.
        revocations_per_authority: how many certificates of a CA with a complete CRL may be revoked.
        permissions_per_authority: how many permissions a CA may give; the service knows one principal only.
        enforce_iam: whether callers are held to their IAM policies, before a call reaches the service.
    """

    crl_delay: timedelta = timedelta()
    crl_retry: timedelta = timedelta(minutes=15)
    ocsp_delay: timedelta = timedelta()
    tagging_delay: timedelta = timedelta()
    partition_size: int = 10_000
    late_failures: frozenset[int] = frozenset()
    failed_creations: Mapping[int, str] = field(default_factory=dict)
    authorities_per_region: int = 200
    tags_per_authority: int = 50
    certificates_per_authority: int = 1_000_000
    certificates_per_partitioned_authority: int = 100_000_000
    revocations_per_authority: int = 1_000_000
    permissions_per_authority: int = 1
    enforce_iam: bool = False
