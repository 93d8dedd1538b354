"""CAs that have issued nothing yet: the service writes the first CRL of a CA with the first certificate that points to it, and none before.

What this module decides: which CAs without a CRL may be left out of a set or a bundle instead of holding up the CRLs of all others. A CA is silent
if it writes a CRL once it has something to say, no CA is signed by it, no CRL of it was ever published, and nobody knows of a certificate
of it. What it issues later is refused by relying parties until its CRL is with them, and by no mistake let in.

The first set of an environment is complete all the same: who sets one up wants to hear that something is missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from pkiops.backends.interface import PublishesOwnCrls
from pkiops.crl.authorities import KnownAuthority
from pkiops.crl.parts import is_in_parts
from pkiops.errors import AccessDenied
from pkiops.ledger.interface import Entry, EntryState
from pkiops.x509.certificate import fingerprint

REASON = "has issued nothing yet, and so has no CRL yet: publish and render again once it has"


def may_be_silent(
    authority: KnownAuthority,
    authorities: Sequence[KnownAuthority],
    *,
    published: Collection[str],
    issuers: Collection[str] = (),
) -> bool:
    """Whether a CA that has no CRL may have none.

    Args:
        authority: the CA.
        authorities: all CAs that count.
        published: names (``clients-g1``) of which a CRL is published.
        issuers: references of CAs that are known to have issued certificates.
    """
    crl, own = authority.observed.crl, fingerprint(authority.certificate)
    signs = any(len(one.chain) > 1 and fingerprint(one.chain[1]) == own for one in authorities)
    return (
        crl is not None
        and not signs
        and authority.name not in published
        and authority.observed.reference not in issuers
    )


def silent_authorities(
    authorities: Sequence[KnownAuthority], backend: object, *, published: Collection[str]
) -> tuple[KnownAuthority, ...]:
    """Those subordinate CAs that are silent, asking the backend for the CRL of those that may be (s3:GetObject); where nobody may ask, none is.

    Raises:
        BackendError: the backend failed.
    """
    if not isinstance(backend, PublishesOwnCrls):
        return ()
    return tuple(
        one
        for one in authorities
        if len(one.chain) > 1
        and not is_in_parts(one)  # it needs a complete one anyway
        and may_be_silent(one, authorities, published=published)
        and not _has_crl(backend, one)
    )


def _has_crl(backend: PublishesOwnCrls, authority: KnownAuthority) -> bool:
    try:
        return backend.fetch_crl(authority.observed) is not None
    except AccessDenied:
        return True  # for all that can be told


def issuers_in(entries: Iterable[Entry]) -> frozenset[str]:
    """References of the CAs that the ledger knows certificates of."""
    return frozenset(
        entry.authority_reference
        for entry in entries
        if entry.authority_reference is not None and entry.state is EntryState.ISSUED
    )
