"""Names of the API (``ASN1Subject``, ``GeneralName``) as X.509 names.

What this module decides: the order of the relative names (the order of the service's model), their string types, and the
refusals that the model cannot express: an empty subject, standard fields mixed with custom attributes, a GeneralName with none or
several choices. Length limits are the model's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from pkiops.sandbox.engine.errors import invalid_args, not_implemented

_STANDARD = {
    "Country": NameOID.COUNTRY_NAME,
    "Organization": NameOID.ORGANIZATION_NAME,
    "OrganizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "DistinguishedNameQualifier": NameOID.DN_QUALIFIER,
    "State": NameOID.STATE_OR_PROVINCE_NAME,
    "CommonName": NameOID.COMMON_NAME,
    "SerialNumber": NameOID.SERIAL_NUMBER,
    "Locality": NameOID.LOCALITY_NAME,
    "Title": NameOID.TITLE,
    "Surname": NameOID.SURNAME,
    "GivenName": NameOID.GIVEN_NAME,
    "Initials": NameOID.INITIALS,
    "Pseudonym": NameOID.PSEUDONYM,
    "GenerationQualifier": NameOID.GENERATION_QUALIFIER,
}


def name(subject: Mapping[str, Any]) -> x509.Name:
    """An ``ASN1Subject`` as a name.

    Raises:
        ServiceError: ``InvalidArgsException``, nothing in it, both kinds of attribute, or a value that cannot be encoded.
    """
    custom = subject.get("CustomAttributes") or []
    given = [(oid, subject[field]) for field, oid in _STANDARD.items() if subject.get(field)]
    if custom and given:
        raise invalid_args("CustomAttributes cannot be combined with the standard fields of a subject")
    if custom:
        given = [(object_identifier(attribute["ObjectIdentifier"]), attribute["Value"]) for attribute in custom]
    if not given:
        raise invalid_args("The subject must hold at least one attribute")
    try:
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in given])
    except ValueError as error:
        raise invalid_args(f"The subject cannot be encoded: {error}") from error


def general_names(names: Sequence[Mapping[str, Any]]) -> list[x509.GeneralName]:
    """A list of the API's ``GeneralName``.

    Raises:
        ServiceError: ``InvalidArgsException``, not exactly one choice in one of them, or an unusable value.
    """
    return [general_name(value) for value in names]


def general_name(value: Mapping[str, Any]) -> x509.GeneralName:
    """One ``GeneralName``; see ``general_names``."""
    if len(value) != 1:
        raise invalid_args("Exactly one choice must be given in each GeneralName")
    ((choice, content),) = value.items()
    makers: dict[str, Callable[[], x509.GeneralName]] = {
        "DnsName": lambda: x509.DNSName(content),
        "UniformResourceIdentifier": lambda: x509.UniformResourceIdentifier(content),
        "Rfc822Name": lambda: x509.RFC822Name(content),
        "IpAddress": lambda: x509.IPAddress(ipaddress.ip_address(content)),
        "RegisteredId": lambda: x509.RegisteredID(object_identifier(content)),
        "DirectoryName": lambda: x509.DirectoryName(name(content)),
        "OtherName": lambda: x509.OtherName(object_identifier(content["TypeId"]), _utf8_string(content["Value"])),
    }
    if choice not in makers:
        raise not_implemented(f"the GeneralName choice {choice}")
    try:
        return makers[choice]()
    except ValueError as error:
        raise invalid_args(f"{choice} cannot be encoded: {error}") from error


def object_identifier(dotted: str) -> x509.ObjectIdentifier:
    """A dotted OID of the API.

    Raises:
        ServiceError: ``InvalidArgsException``.
    """
    try:
        return x509.ObjectIdentifier(dotted)
    except ValueError as error:
        raise invalid_args(f"{dotted} is not an object identifier") from error


def _utf8_string(text: str) -> bytes:
    """DER of a UTF8String."""
    content = text.encode()
    if len(content) < 0x80:
        return b"\x0c" + bytes([len(content)]) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return b"\x0c" + bytes([0x80 | len(size)]) + size + content
