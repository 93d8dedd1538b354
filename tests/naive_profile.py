"""What the profile ``service`` of ``request_cases`` allows, said once more by the plainest means: regular expressions and comparisons.

It shares no code with ``pkiops.policy``, on purpose: each of the two minds is a check on the other.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_SEGMENT = r"[A-Za-z0-9._-]+"
_NAMES = {
    "dns": [rf"{_LABEL}\.svc\.example\.com", rf"(?:{_LABEL}\.)+deep\.example\.com", rf"{_LABEL}\.{_LABEL}\.two\.example\.com",
            r"exact\.example\.com", rf"{_LABEL}\.xn--bcher-kva\.example"],
    "uri": [rf"spiffe://example\.com/ns/{_SEGMENT}/sa/{_SEGMENT}", rf"spiffe://deep\.example\.com(?:/{_SEGMENT})+",
            r"https://example\.com/app/[A-Za-z0-9._~-]+", r"urn:example:one"],
    "email": [r"[^@\s]+@ops\.example\.com", rf"jane@{_LABEL}\.example\.org"],
}  # fmt: skip
_KINDS: dict[type, str] = {
    x509.DNSName: "dns",
    x509.UniformResourceIdentifier: "uri",
    x509.IPAddress: "ip",
    x509.RFC822Name: "email",
}
_BLOCKS = [ipaddress.ip_network(one) for one in ("10.1.0.0/16", "192.0.2.7", "2001:db8::/32")]


def name_is_allowed(kind: str, value: str) -> bool:
    """Whether a name of a kind (dns, uri, ip, email) is one of the profile's."""
    if kind == "ip":
        return any(ipaddress.ip_address(value) in block for block in _BLOCKS)
    if {".", ".."} & set(value.split("/")[3:] if kind == "uri" else ()):
        return False
    return any(re.fullmatch(pattern, value) for pattern in _NAMES[kind])


def outside(certificate: x509.Certificate, key: object, now: datetime) -> list[str]:
    """What in a certificate the profile does not allow; ``key`` is the one that was asked for."""
    wrong: list[str] = []
    plain: list[str] = []
    for name in certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value:
        kind = _KINDS.get(type(name))
        value = str(name.value)
        plain.append(value)
        if kind is None or not name_is_allowed(kind, value):
            wrong.append(f"name {name!r}")
    if not 1 <= len(plain) <= 150 or len(set(plain)) != len(plain):
        wrong.append(f"{len(plain)} names")
    if (
        sum(value.startswith("spiffe:") for value in plain)
        and sum("://" in value or value.startswith("urn:") for value in plain) > 1
    ):
        wrong.append("more than one URI beside a SPIFFE ID")
    subject = [(one.oid, one.value) for one in certificate.subject]
    common_names = [value for kind, value in subject if kind == NameOID.COMMON_NAME]
    if len(common_names) > 1 or any(value not in plain for value in common_names):
        wrong.append(f"common names {common_names}")
    if [one for one in subject if one[0] != NameOID.COMMON_NAME] != [(NameOID.ORGANIZATION_NAME, "Example Ltd")]:
        wrong.append(f"subject {certificate.subject}")
    extensions = certificate.extensions
    if list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) != [ExtendedKeyUsageOID.CLIENT_AUTH]:
        wrong.append("extended key usage")
    if extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
        wrong.append("CA")
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    if usage.key_cert_sign or usage.crl_sign or not usage.digital_signature:
        wrong.append("key usage")
    if certificate.not_valid_after_utc > now + timedelta(days=90) or certificate.not_valid_before_utc < now - timedelta(
        hours=1
    ):
        wrong.append(f"validity {certificate.not_valid_before_utc} to {certificate.not_valid_after_utc}")
    known = {type(one.value) for one in extensions} - {
        x509.SubjectAlternativeName, x509.ExtendedKeyUsage, x509.BasicConstraints, x509.KeyUsage, x509.SubjectKeyIdentifier,
        x509.AuthorityKeyIdentifier, x509.CRLDistributionPoints, x509.AuthorityInformationAccess,
    }  # fmt: skip
    wrong += [f"extension {one.__name__}" for one in known]
    own = certificate.public_key()
    if own != key:
        wrong.append("another key")
    if not (
        (isinstance(own, rsa.RSAPublicKey) and own.key_size in {2048, 3072, 4096})
        or (isinstance(own, ec.EllipticCurvePublicKey) and own.curve.name in {"secp256r1", "secp384r1"})
    ):
        wrong.append("key")
    return wrong
