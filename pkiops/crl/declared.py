"""Where and how an authority publishes its CRL, as the environment file says. Pure."""

from __future__ import annotations

from pkiops.backends.interface import CrlSettings
from pkiops.environment.models import Authority, CrlType, Environment


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
