"""How an authority should publish its CRL, as the environment file says. Pure.

What this module decides: how the file's words become a backend's settings. Whether a CA is set up like that is looked at by whoever relies on it.
"""

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
