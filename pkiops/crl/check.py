"""Whether a CRL may be handed to relying parties.

What this module decides: what is asked of a CRL beyond RFC 5280's verification (``pkiops.x509.crl``): a number to
order it by, an authority key identifier, the scope that is expected (the whole of its CA unless told), and enough
time left for a relying party to load it before it expires.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509

from pkiops.errors import InputError, VerificationFailed
from pkiops.x509 import pem
from pkiops.x509.certificate import extension_of
from pkiops.x509.crl import CrlView, crl_der, read_crls, verify_crl, view_crl
from pkiops.x509.crl_bytes import LoadedCrl

# A CRL that expires while it is on its way is an outage. AWS Private CA writes the next one at half of the validity, of which the
# shortest is a day, so a CRL this old means that the service could not write.
MIN_REMAINING = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class CheckedCrl:
    """A CRL that passed every check, with its number; ``scope`` is the URL in the certificates that it is for, None where it is for all of its CA."""

    crl: x509.CertificateRevocationList = field(repr=False)
    view: CrlView
    number: int
    next_update: datetime
    authority_key_identifier: str
    der: bytes = field(repr=False)
    scope: str | None = None

    def pem(self) -> bytes:
        """The CRL in PEM, made anew with each call."""
        return pem.encode(self.der, pem.X509_CRL)


def parse_one(data: bytes, name: str) -> x509.CertificateRevocationList:
    """The one CRL in ``data``; raises as ``read_one`` does."""
    return read_one(data, name).crl


def read_one(data: bytes, name: str) -> LoadedCrl:
    """The one CRL in ``data``, with its DER.

    Raises:
        VerificationFailed: none, several, or something else.
    """
    try:
        found = read_crls(data, name)
    except InputError as error:
        raise VerificationFailed(error.message, hint=error.hint, code=error.code) from error
    if len(found) != 1:
        raise VerificationFailed(f"{name} holds {len(found)} CRLs, one was expected", code="crl.several")
    return found[0]


def scope_of(crl: x509.CertificateRevocationList, name: str) -> str | None:
    """The URL whose certificates a CRL is for (issuing distribution point, RFC 5280 section 5.2.5); None where it is for all of its CA.

    Raises:
        VerificationFailed: its scope is something else, or is not critical (code ``crl.scope``).
    """
    try:
        found = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    except x509.ExtensionNotFound:
        return None
    point, names = found.value, found.value.full_name or ()
    limited = point.only_contains_user_certs or point.only_contains_ca_certs or point.only_contains_attribute_certs
    if not found.critical or limited or len(names) != 1 or not isinstance(names[0], x509.UniformResourceIdentifier):
        raise VerificationFailed(
            f"{name}: its issuing distribution point is not one URL, marked critical, for all kinds of certificates",
            code="crl.scope",
        )
    return names[0].value


def check_crl(
    crl: x509.CertificateRevocationList,
    issuer: x509.Certificate,
    name: str,
    *,
    at: datetime,
    margin: timedelta = MIN_REMAINING,
    der: bytes | None = None,
    scope: str | None = None,
) -> CheckedCrl:
    """Check a CRL under its CA.

    Args:
        crl: the CRL.
        issuer: the certificate of the CA that must have signed it.
        name: what to call it in messages.
        at: the moment (aware) at which it must be current.
        margin: how long it must stay so.
        der: the bytes that ``crl`` was parsed from; without them, the library writes it out anew.
        scope: the URL whose certificates it must be for; None: all of its CA.

    Raises:
        VerificationFailed: code ``crl.expired``, ``crl.expires-soon``, ``crl.signature``, ``crl.partitioned``,
            ``crl.scope``, ``crl.key-identifier`` and others of ``verify_crl``.
    """
    encoded = crl_der(crl) if der is None else der
    verify_crl(crl, issuer, at=at, name=name, der=encoded)
    view = view_crl(crl, encoded)
    if view.partitioned and scope is None:
        raise VerificationFailed(
            f"{name}: it covers only a part of the CA's certificates (issuing distribution point)",
            hint="a complete one is needed here: set the CA's CrlType to COMPLETE",
            code="crl.partitioned",
        )
    if scope is not None and scope_of(crl, name) != scope:
        raise VerificationFailed(f"{name}: it is not for the certificates that name {scope[:300]}", code="crl.scope")
    if view.number is None or view.authority_key_identifier is None:
        lacking = "number" if view.number is None else "authority key identifier"
        raise VerificationFailed(f"{name}: it has no {lacking} (RFC 5280 section 5.2)", code="crl.incomplete")
    subject_key = extension_of(issuer, x509.SubjectKeyIdentifier)
    if subject_key is not None and view.authority_key_identifier != subject_key.digest.hex():
        raise VerificationFailed(
            f"{name}: its authority key identifier is not that of the CA; OpenSSL would not find it, and refuse every client",
            code="crl.key-identifier",
        )
    if view.next_update is None or view.next_update - at < margin:
        minutes = int(margin.total_seconds() // 60)
        raise VerificationFailed(
            f"{name}: it expires within {minutes} minutes, too soon to hand it out",
            hint="find out why the CA wrote no newer one: pkiops crl show, and the CA's permission to write to its bucket",
            code="crl.expires-soon",
        )
    return CheckedCrl(crl, view, view.number, view.next_update, view.authority_key_identifier, encoded, scope)


def check_data(
    data: bytes, issuer: x509.Certificate, name: str, *, at: datetime, margin: timedelta = MIN_REMAINING
) -> CheckedCrl:
    """Read the one CRL in ``data`` and check it under its CA; raises as ``read_one`` and ``check_crl`` do."""
    found = read_one(data, name)
    return check_crl(found.crl, issuer, name, at=at, margin=margin, der=found.der)
