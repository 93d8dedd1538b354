"""What no bundle may hold or lack, because some relying party would then let the wrong clients in, or lock all of them out.

What this module decides: which CA certificates are refused, and that two of them cannot be taken for one another. What a bundle is put together from
is ``bundle.py``'s business, what a CRL must be like that of ``crl/check.py``. Pure. Facts: each rule names the software that it was seen with.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pkiops.crl.outside import CertifiedCa
from pkiops.errors import VerificationFailed
from pkiops.x509.certificate import extended_key_usage_of, extension_of, fingerprint, key_usage_of
from pkiops.x509.keys import describe_key, spki_sha256
from pkiops.x509.names import rfc4514
from pkiops.x509.signatures import certificate_signed_by, has_broken_digest

_FOR_CLIENTS = frozenset({"clientAuth", "anyExtendedKeyUsage"})
_RSA_BITS, _EC_BITS = 2048, 224
Identity = tuple[x509.Name, str]


def identity_of(certificate: x509.Certificate) -> Identity:
    """Name and key: what signatures below a CA lead to, whichever of its certificates is at hand (RFC 5280 section 6.1.3)."""
    return certificate.subject, spki_sha256(certificate.public_key())


def is_for_clients(certificate: x509.Certificate) -> bool:
    """Whether a CA may issue to clients as far as its own extended key usage says: OpenSSL and Go hold it to that, Java does not."""
    usages = extended_key_usage_of(certificate)
    return usages is None or not _FOR_CLIENTS.isdisjoint(usages)


def require_anchor(anchor: CertifiedCa, where: str) -> None:
    """Refuse an anchor that is no self-signed root, or whose extended key usage shuts clients out.

    Raises:
        VerificationFailed: code ``trust.anchor-not-root``, ``trust.purpose``.
    """
    certificate = anchor.certificate
    if len(anchor.chain) != 1 or not certificate_signed_by(certificate, certificate):
        raise VerificationFailed(
            f"{where}: anchor {anchor.name} is no root; half of the relying parties refuse every client of such a bundle",
            hint="name the root of its chain under anchors",
            code="trust.anchor-not-root",
        )
    if not is_for_clients(certificate):
        raise VerificationFailed(
            f"{where}: the extended key usage of anchor {anchor.name} leaves out clientAuth; OpenSSL and Go refuse every client below it",
            code="trust.purpose",
        )


def require_ca(authority: CertifiedCa, where: str, at: datetime) -> None:
    """Refuse what is no CA (Go trusts a listed end entity), and what is not valid at ``at`` (aware): Java trusts an expired anchor, Envoy refuses
    clients because of one.

    Raises:
        VerificationFailed: code ``trust.not-a-ca``, ``trust.expired``.
    """
    certificate = authority.certificate
    constraints = extension_of(certificate, x509.BasicConstraints)
    if constraints is None or not constraints.ca or "keyCertSign" not in (key_usage_of(certificate) or ()):
        raise VerificationFailed(
            f"{where}: {authority.name} ({rfc4514(certificate.subject)}) is not the certificate of a CA",
            code="trust.not-a-ca",
        )
    if certificate.not_valid_after_utc <= at or certificate.not_valid_before_utc > at:
        raise VerificationFailed(
            f"{where}: {authority.name} ({rfc4514(certificate.subject)}) has expired, or is not valid yet",
            code="trust.expired",
        )


def require_usable(authority: CertifiedCa, where: str) -> None:
    """Refuse a CA below which OpenSSL refuses everybody: for a key of less than 112 bits of strength or a signature over MD5 or SHA-1 (that of a root
    on itself does not count) at the security level 2 of Debian, Ubuntu and Python, for a critical extension that nobody knows at every level.

    Raises:
        VerificationFailed: code ``trust.weak-key``, ``trust.weak-signature``, ``trust.unknown-critical-extension``.
    """
    certificate = authority.certificate
    key = certificate.public_key()
    weak = (isinstance(key, rsa.RSAPublicKey) and key.key_size < _RSA_BITS) or (
        isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < _EC_BITS
    )
    unknown = [e.oid for e in certificate.extensions if e.critical and isinstance(e.value, x509.UnrecognizedExtension)]
    if weak:
        code, problem = "trust.weak-key", f"its key ({describe_key(key)}) is too weak"
    elif len(authority.chain) > 1 and has_broken_digest(certificate):
        code, problem = "trust.weak-signature", "it is signed with MD5 or SHA-1"
    elif unknown:
        code = "trust.unknown-critical-extension"
        problem = f"it has a critical extension that nobody knows ({unknown[0].dotted_string[:100]})"
    else:
        return
    raise VerificationFailed(
        f"{where}: {authority.name} ({rfc4514(certificate.subject)}): {problem}; OpenSSL refuses every client below it",
        hint="bring its clients below another CA first",
        code=code,
    )


def require_distinct(authorities: Sequence[CertifiedCa], where: str) -> None:
    """Refuse one CA under two names (two CRLs of it: some read only the first), and two CAs under one (in a Java store one of them is gone).

    Raises:
        VerificationFailed: code ``trust.duplicate``, ``trust.two-in-one``.
    """
    names: dict[Identity, str] = {}
    found: dict[str, str] = {}
    for one in authorities:
        other = names.setdefault(identity_of(one.certificate), one.name)
        if other != one.name:
            raise VerificationFailed(
                f"{where}: {one.name} and {other} have the same certificate, or certificates of the same name and key",
                code="trust.duplicate",
            )
        digest = fingerprint(one.certificate)
        if found.setdefault(one.name, digest) != digest:
            raise VerificationFailed(
                f"{where}: two CAs stand in the place of {one.name} ({found[one.name]} and {digest})",
                hint="find out which of them is meant, and pin its fingerprint (sha256) in the environment file",
                code="trust.two-in-one",
            )


def require_key_identifiers(authorities: Sequence[CertifiedCa], where: str) -> None:
    """Refuse a CA whose issuer OpenSSL and BoringSSL would look for in vain, or only find by the order of the file.

    Raises:
        VerificationFailed: code ``trust.key-identifier``.
    """
    keys: dict[x509.Name, set[str]] = {}
    for one in authorities:
        name, key = identity_of(one.certificate)
        keys.setdefault(name, set()).add(key)
    for one in authorities:
        if len(one.chain) < 2:
            continue
        authority_key = extension_of(one.certificate, x509.AuthorityKeyIdentifier)
        subject_key = extension_of(one.chain[1], x509.SubjectKeyIdentifier)
        named = authority_key.key_identifier if authority_key else None
        if named is None and len(keys.get(one.certificate.issuer, ())) > 1:
            problem = "does not say (authority key identifier) which of the CAs of its issuer's name signed it"
        elif named is not None and subject_key is not None and named != subject_key.digest:
            problem = "names a key (authority key identifier) that its issuer does not have"
        else:
            continue
        raise VerificationFailed(
            f"{where}: {one.name} {problem}; OpenSSL refuses clients below it",
            hint="have it signed again, with authorityKeyIdentifier = keyid",
            code="trust.key-identifier",
        )


def require_whole_chains(authorities: Sequence[CertifiedCa], where: str) -> None:
    """Refuse a bundle without one of the CAs between its anchors and those below: servers that want every CRL of a chain would miss that one's.

    Raises:
        VerificationFailed: code ``trust.chain-incomplete``.
    """
    known = {identity_of(one.certificate) for one in authorities}
    for one in authorities:
        for above in one.chain[1:]:
            if identity_of(above) not in known:
                raise VerificationFailed(
                    f"{where}: {one.name} is below {rfc4514(above.subject)}, which is no CA that is known here; "
                    "relying parties would refuse every client below it",
                    hint="declare it (external_authorities, if it is kept elsewhere) and publish its CRL, or bring the CA below another",
                    code="trust.chain-incomplete",
                )
