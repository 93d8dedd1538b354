"""The published CRLs of CAs that are kept elsewhere: they end on a day on which somebody with a key in a safe must have been. Pure.

What this module decides: how long before the end it is said, that an ended one is an outage, and that a missing one is worth a word only where a
bundle wants the CRL of every CA of a chain and a CA of ours below has a certificate. Reading the published set is ``examine.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from pkiops.backends.identity import TAG_AUTHORITY, of_environment
from pkiops.ca.doctor.catalogue import Finding, finding
from pkiops.ca.doctor.world import World
from pkiops.crl.authorities import authority_name
from pkiops.environment.hierarchy import is_below
from pkiops.environment.models import Revocation

# people meet, open a safe and carry a file; of a CRL that lives for a month a quarter is enough
_NOTICE = timedelta(days=30)
# CAs that are kept elsewhere have one generation here (``pkiops.crl.outside``)
_GENERATION = 1


def outside_crls(world: World, now: datetime) -> Iterator[Finding]:
    """What is wrong with the published CRLs of CAs that are kept elsewhere, or will be; nothing where no set was published, or none was read."""
    if world.published_crls is None:
        return
    environment = world.environment.environment
    for label in world.environment.external_authorities:
        where = f"{environment}/ca/{label}"
        hint = f"have a new one signed where {label} is kept, then pkiops crl publish {environment} --external-crl FILE"
        record = world.published_crls.get(authority_name(label, _GENERATION))
        if record is None:
            if _is_needed(world, label):
                message = "no current CRL of it is published, and a bundle wants that of every CA (revocation: chain)"
                yield finding("crl.external-missing", where, message, hint)
        elif record.next_update <= now:
            message = f"its published CRL expired {record.next_update:%Y-%m-%d %H:%M}Z"
            yield finding("crl.external-expired", where, message, hint)
        elif record.next_update - now < min(_NOTICE, (record.next_update - record.this_update) / 4):
            days = (record.next_update - now).days
            message = f"its published CRL ends {record.next_update:%Y-%m-%d %H:%M}Z, in {days} days"
            yield finding("crl.external-expiring", where, message, hint)


def _is_needed(world: World, label: str) -> bool:
    wanted = any(one.revocation is Revocation.CHAIN for one in world.environment.trust.bundles.values())
    certified = {
        (one.tags or {}).get(TAG_AUTHORITY)
        for one in of_environment(world.authorities, world.environment.environment)
        if one.not_after is not None
    }
    below = (one for one in world.environment.authorities if one in certified)
    return wanted and any(is_below(world.environment, one, (label,)) for one in below)
