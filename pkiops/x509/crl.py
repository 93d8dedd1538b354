"""Certificate revocation lists (RFC 5280 section 5).

What this module decides: what counts as a CRL file, whether a CRL is to be believed at a moment, which certificates it speaks about, and what it says
about a serial number. Fetching and publishing are the crl room's business.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtensionOID

from pkiops.errors import InputError, VerificationFailed
from pkiops.x509 import armor
from pkiops.x509.armor import PARSE_ERRORS
from pkiops.x509.certificate import crl_urls_of, extension_of, key_usage_of
from pkiops.x509.crl_bytes import LoadedCrl
from pkiops.x509.names import printable, rfc4514
from pkiops.x509.signatures import crl_signed_by, has_broken_digest, signature_name

_KIND = armor.Kind(
    code="crl",
    title="certificate revocation list",
    labels=frozenset({"X509 CRL"}),
    max_bytes=128 * 1024 * 1024,
)
_CERTIFICATE_LABELS = frozenset({"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"})
# Critical extensions that are understood here; a delta is understood and refused.
_UNDERSTOOD = frozenset(
    {ExtensionOID.ISSUING_DISTRIBUTION_POINT, ExtensionOID.AUTHORITY_KEY_IDENTIFIER, ExtensionOID.CRL_NUMBER}
)
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


@dataclass(frozen=True)
class CrlView:
    """A CRL as data. Moments are aware UTC; ``partitioned``: it has an issuing distribution point; ``delta``: it is no complete list."""

    issuer: str
    number: int | None
    this_update: datetime
    next_update: datetime | None
    entries: int
    authority_key_identifier: str | None
    sha256: str
    signature_algorithm: str
    partitioned: bool
    delta: bool


def load_crls(data: bytes, source: str) -> tuple[x509.CertificateRevocationList, ...]:
    """Every CRL of PEM text, or the one in DER; raises as ``read_crls`` does."""
    return tuple(one.crl for one in read_crls(data, source))


def read_crls(data: bytes, source: str) -> tuple[LoadedCrl, ...]:
    """Every CRL of PEM text, or the one in DER, with its bytes. At most 128 MiB.

    Raises:
        InputError: codes ``crl.too-big``, ``.not-pem``, ``.wrong-pem-type``, ``.truncated``, ``.malformed``, ``.certificate-inside`` (nginx,
            HAProxy and Apache would take such a certificate for a trust anchor).
    """
    blocks = armor.scan(data, source, _KIND)
    if any(block.label in _CERTIFICATE_LABELS for block in blocks):
        raise InputError(
            f"{source}: holds a certificate; a file of CRLs must hold nothing else",
            hint="servers that load this file would trust the certificate; keep anchors and CRLs in files of their own",
            code="crl.certificate-inside",
        )
    chosen = armor.select(blocks, source, _KIND)
    return tuple(_parse(armor.decode(block, source, _KIND), source) for block in chosen)


def view_crl(crl: x509.CertificateRevocationList, der: bytes | None = None) -> CrlView:
    """Everything that is shown about a CRL; ``der``: the bytes it was parsed from, which saves a second for a million entries."""
    number = _extension(crl, x509.CRLNumber)
    authority_key = _extension(crl, x509.AuthorityKeyIdentifier)
    key_identifier = authority_key.key_identifier if authority_key else None
    return CrlView(
        issuer=rfc4514(crl.issuer),
        number=number.crl_number if number else None,
        this_update=crl.last_update_utc,
        next_update=crl.next_update_utc,
        entries=len(crl),
        authority_key_identifier=key_identifier.hex() if key_identifier else None,
        sha256=hashlib.sha256(crl_der(crl) if der is None else der).hexdigest(),
        signature_algorithm=signature_name(crl),
        partitioned=_extension(crl, x509.IssuingDistributionPoint) is not None,
        delta=_is_delta(crl),
    )


def verify_crl(
    crl: x509.CertificateRevocationList,
    issuer: x509.Certificate,
    *,
    at: datetime,
    name: str | None = None,
    der: bytes | None = None,
) -> None:
    """Check that ``issuer`` signed this complete CRL and that it is current at ``at`` (aware), RFC 5280 section 6.3.3.

    ``name`` is what to call the CRL in messages; unless given, by its issuer. ``der``: the bytes it was parsed from, if at hand.

    Entries are not looked into: entry extensions that are critical occur in indirect CRLs only, which are refused.

    Raises:
        VerificationFailed: codes ``crl.issuer``, ``crl.signature``, ``crl.not-yet-valid``, ``crl.expired``, ``crl.no-next-update``,
            ``crl.unknown-critical-extension``, ``crl.delta``, ``crl.indirect``.
    """
    name = name or f"the CRL of {rfc4514(crl.issuer)}"
    _verify_issuer(crl, issuer, name, der)
    _verify_scope(crl, name)
    if crl.last_update_utc > at:
        raise VerificationFailed(
            f"{name} is not valid before {_moment(crl.last_update_utc)}; it is looked at as of {_moment(at)}",
            hint="check the clock of this machine",
            code="crl.not-yet-valid",
        )
    if crl.next_update_utc is None:
        raise VerificationFailed(
            f"{name} does not say when the next one comes, so nobody can tell whether it is current",
            code="crl.no-next-update",
        )
    if crl.next_update_utc < at:
        raise VerificationFailed(
            f"{name} expired on {_moment(crl.next_update_utc)}; relying parties refuse every certificate of this CA from then on",
            hint="publish a fresh one (pkiops crl publish)",
            code="crl.expired",
            details={"next_update": _moment(crl.next_update_utc)},
        )


def covers(crl: x509.CertificateRevocationList, certificate: x509.Certificate) -> bool:
    """Whether the scope of the CRL includes ``certificate``, whose issuer the caller has matched (section 6.3.3 step b)."""
    point = _extension(crl, x509.IssuingDistributionPoint)
    if point is None:
        return True
    constraints = extension_of(certificate, x509.BasicConstraints)
    is_ca = bool(constraints and constraints.ca)
    if point.only_contains_attribute_certs or (point.only_contains_user_certs and is_ca):
        return False
    if point.only_contains_ca_certs and not is_ca:
        return False
    if point.relative_name is not None:
        return False
    if point.full_name is None:
        return True
    names = {name.value for name in point.full_name if isinstance(name, x509.UniformResourceIdentifier)}
    return not names.isdisjoint(crl_urls_of(certificate))


def crl_pem(crl: x509.CertificateRevocationList) -> bytes:
    """The CRL in PEM, a newline at the end; where its bytes are at hand, ``pem.encode`` is ten times as fast."""
    return crl.public_bytes(serialization.Encoding.PEM)


def crl_der(crl: x509.CertificateRevocationList) -> bytes:
    """The CRL in DER, as CDP URLs must serve it (RFC 5280 section 4.2.1.13)."""
    return crl.public_bytes(serialization.Encoding.DER)


def _verify_issuer(crl: x509.CertificateRevocationList, issuer: x509.Certificate, name: str, der: bytes | None) -> None:
    if crl.issuer != issuer.subject:
        raise VerificationFailed(f"{name} is not of the CA {rfc4514(issuer.subject)}", code="crl.issuer")
    usage = key_usage_of(issuer)
    if usage is not None and "cRLSign" not in usage:
        raise VerificationFailed(f"the CA {rfc4514(issuer.subject)} may not sign CRLs (no cRLSign)", code="crl.issuer")
    if crl_signed_by(crl, issuer, der):
        return
    authority_key = _extension(crl, x509.AuthorityKeyIdentifier)
    subject_key = extension_of(issuer, x509.SubjectKeyIdentifier)
    if authority_key and subject_key and authority_key.key_identifier not in {None, subject_key.digest}:
        raise VerificationFailed(
            f"{name} is of another key of that CA than the certificate at hand (an older or newer generation)",
            code="crl.issuer",
        )
    reason = "uses a broken digest" if has_broken_digest(crl) else "does not verify under the CA's key"
    raise VerificationFailed(f"{name}: its signature {reason}", code="crl.signature")


def _verify_scope(crl: x509.CertificateRevocationList, name: str) -> None:
    if _is_delta(crl):
        raise VerificationFailed(f"{name} is a delta; only complete CRLs are used", code="crl.delta")
    unknown = [e.oid.dotted_string for e in crl.extensions if e.critical and e.oid not in _UNDERSTOOD]
    if unknown:
        raise VerificationFailed(
            f"{name} has critical extensions that are not understood: {', '.join(unknown)}",
            code="crl.unknown-critical-extension",
        )
    point = _extension(crl, x509.IssuingDistributionPoint)
    if point is not None and (point.indirect_crl or point.only_some_reasons):
        raise VerificationFailed(
            f"{name} is indirect or limited to some reasons; only complete CRLs of the CA itself are used",
            code="crl.indirect",
        )


def _is_delta(crl: x509.CertificateRevocationList) -> bool:
    return _extension(crl, x509.DeltaCRLIndicator) is not None


def _extension(crl: x509.CertificateRevocationList, kind: type[_Extension]) -> _Extension | None:
    try:
        return crl.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _parse(der: bytes, source: str) -> LoadedCrl:
    try:
        with armor.quiet():
            crl = x509.load_der_x509_crl(der)
            _ = (crl.issuer, crl.extensions, crl.last_update_utc, crl.next_update_utc, len(crl))
    except PARSE_ERRORS as error:
        raise InputError(
            f"{source}: not a well-formed CRL ({printable(str(error))[:200]})", code="crl.malformed"
        ) from error
    return LoadedCrl(crl, der)
