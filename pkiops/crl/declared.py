"""How an authority should publish its CRL, and what is known of it without asking it, as the environment file says. Pure.

What this module decides: how the file's words become a backend's settings. Whether a CA is set up like that is looked at by whoever relies on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkiops.backends.interface import AuthorityStatus, AuthorityType, CrlSettings, ObservedAuthority
from pkiops.environment.models import Authority, CrlType, Environment
from pkiops.environment.subjects import subject_fields
from pkiops.x509.algorithms import default_signing_algorithm

if TYPE_CHECKING:
    from cryptography import x509


def crl_settings(environment: Environment, authority: Authority) -> CrlSettings:
    """Where and how an authority publishes its CRL."""
    publication, crl = environment.publication.crl, authority.crl
    return CrlSettings(
        bucket=publication.bucket,
        host=None if crl.omit_cdp else crl.host or publication.host,
        validity_days=crl.validity.approximate_seconds() // 86_400,
        path=crl.path,
        named=not crl.omit_cdp,
        complete=crl.type is CrlType.COMPLETE,
    )


def as_declared(environment: Environment, label: str, reference: str, own: x509.Certificate) -> ObservedAuthority:
    """What is known of a CA without asking it: its certificate, and the file.

    An OCSP responder that the file does not speak of is left as it is by ``ca apply``, so it is no surprise in a certificate either.
    """
    declared = environment.authorities[label]
    return ObservedAuthority(
        reference=reference,
        type=AuthorityType.ROOT if declared.issuer is None else AuthorityType.SUBORDINATE,
        status=AuthorityStatus.ACTIVE,
        subject=subject_fields(declared.subject),
        key_algorithm=declared.key_algorithm.value,
        signing_algorithm=(declared.signing_algorithm or default_signing_algorithm(declared.key_algorithm)).value,
        usage_mode=declared.usage_mode.value,
        created_at=own.not_valid_before_utc,
        not_before=own.not_valid_before_utc,
        not_after=own.not_valid_after_utc,
        crl=crl_settings(environment, declared),
        ocsp=declared.ocsp is None or declared.ocsp.enabled,
        ocsp_host=declared.ocsp.host if declared.ocsp else None,
    )
