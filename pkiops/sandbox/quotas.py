"""Request quotas of Private CA: so many calls of an operation per second, account and Region.

What this module decides: the service's default rates (Service Quotas, read in public dumps), and that a second's worth of calls may come at once: how
large the service's bursts are is not documented. A call beyond the quota is answered ``ThrottlingException``, "Rate exceeded".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pkiops.clock import Clock
from pkiops.errors import InputError
from pkiops.sandbox.engine.request_model import operation_names

DEFAULT_RATES: Mapping[str, float] = {
    "CreateCertificateAuthority": 1,
    "CreateCertificateAuthorityAuditReport": 1,
    "CreatePermission": 1,
    "DeleteCertificateAuthority": 10,
    "DeletePermission": 1,
    "DeletePolicy": 5,
    "DescribeCertificateAuthority": 20,
    "DescribeCertificateAuthorityAuditReport": 20,
    "GetCertificate": 75,
    "GetCertificateAuthorityCertificate": 20,
    "GetCertificateAuthorityCsr": 10,
    "GetPolicy": 5,
    "ImportCertificateAuthorityCertificate": 10,
    "IssueCertificate": 25,
    "ListCertificateAuthorities": 20,
    "ListPermissions": 5,
    "ListTags": 20,
    "PutPolicy": 5,
    "RestoreCertificateAuthority": 20,
    "RevokeCertificate": 20,
    "TagCertificateAuthority": 10,
    "UntagCertificateAuthority": 10,
    "UpdateCertificateAuthority": 10,
}
_WRITTEN = re.compile(r"([A-Za-z]{1,100})=([0-9]{1,6}(?:\.[0-9]{1,3})?)", re.ASCII)


def rates(texts: Iterable[str], *, defaults: bool) -> dict[str, float]:
    """The calls per second of each operation that has a quota.

    Args:
        texts: ``IssueCertificate=25`` and the like.
        defaults: whether operations that are not named have the service's default.

    Raises:
        InputError: not an operation of Private CA, or not a rate above 0.
    """
    found = dict(DEFAULT_RATES) if defaults else {}
    for text in texts:
        match = _WRITTEN.fullmatch(text)
        if match is None or not float(match[2]) or match[1] not in operation_names():
            raise InputError(
                f"{text!r} is not a quota",
                hint="write OPERATION=CALLS_PER_SECOND: IssueCertificate=25",
                code="sandbox.quota",
            )
        found[match[1]] = float(match[2])
    return found


class Quotas:
    """One token bucket per operation, account and Region; full at first.

    Args:
        rates: calls per second by operation; the others are free.
        clock: whose monotonic time fills the buckets.
    """

    def __init__(self, rates: Mapping[str, float], clock: Clock) -> None:
        self._rates = dict(rates)
        self._clock = clock
        self._buckets: dict[tuple[str, str, str], tuple[float, float]] = {}

    def admits(self, operation: str, account: str, region: str) -> bool:
        """Take one token, if there is one."""
        rate = self._rates.get(operation)
        if rate is None:
            return True
        size, now = max(rate, 1.0), self._clock.monotonic()
        tokens, filled_at = self._buckets.get((operation, account, region), (size, now))
        tokens = min(size, tokens + (now - filled_at) * rate)
        admitted = tokens >= 1
        self._buckets[operation, account, region] = (tokens - admitted, now)
        return admitted
