"""The API's ``GeneralName`` in X.509, and the two extensions that are made of them.

What this module decides: that each holds exactly one choice, and how it is encoded. EDI party names, which ``cryptography`` does
not know, are written here; an extension with one of them is then handed on as bytes. Length limits are the model's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from pkiops.sandbox.engine import der
from pkiops.sandbox.engine.errors import invalid_args
from pkiops.sandbox.engine.subjects import name, object_identifier

_EDI_PARTY = "EdiPartyName"
_EDI_PARTY_TAG = 0xA5  # GeneralName ediPartyName [5], RFC 5280 4.2.1.6


def alternative_names(names: Sequence[Mapping[str, Any]]) -> x509.ExtensionType:
    """SubjectAlternativeName.

    Raises:
        ServiceError: ``InvalidArgsException``, not exactly one choice in one of the names, or an unusable value.
    """
    if not any(_EDI_PARTY in value for value in names):
        return x509.SubjectAlternativeName([_general_name(value) for value in names])
    encoded = der.tlv(der.SEQUENCE, *(_encoded(value) for value in names))
    return x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, encoded)


def information_access(
    descriptions: Sequence[tuple[x509.ObjectIdentifier, Mapping[str, Any]]],
) -> x509.ExtensionType:
    """SubjectInformationAccess, of methods and locations; raises as ``alternative_names`` does."""
    if not any(_EDI_PARTY in location for _, location in descriptions):
        return x509.SubjectInformationAccess(
            [x509.AccessDescription(method, _general_name(location)) for method, location in descriptions]
        )
    encoded = [der.tlv(der.SEQUENCE, _encoded_oid(method), _encoded(location)) for method, location in descriptions]
    return x509.UnrecognizedExtension(ExtensionOID.SUBJECT_INFORMATION_ACCESS, der.tlv(der.SEQUENCE, *encoded))


def _general_name(value: Mapping[str, Any]) -> x509.GeneralName:
    choice, content = _choice(value)
    makers: dict[str, Callable[[], x509.GeneralName]] = {
        "DnsName": lambda: x509.DNSName(content),
        "UniformResourceIdentifier": lambda: x509.UniformResourceIdentifier(content),
        "Rfc822Name": lambda: x509.RFC822Name(content),
        "IpAddress": lambda: x509.IPAddress(_address(content)),
        "RegisteredId": lambda: x509.RegisteredID(object_identifier(content)),
        "DirectoryName": lambda: x509.DirectoryName(name(content)),
        "OtherName": lambda: x509.OtherName(object_identifier(content["TypeId"]), _text(content["Value"])),
    }
    try:
        return makers[choice]()
    except ValueError as error:
        raise invalid_args(f"{choice} cannot be encoded: {error}") from error


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if "%" in text:
        raise ValueError("a scope means nothing outside of one machine, and has no place in four or sixteen octets")
    return ipaddress.ip_address(text)


def _choice(value: Mapping[str, Any]) -> tuple[str, Any]:
    if len(value) != 1:
        raise invalid_args("Exactly one choice must be given in each GeneralName")
    ((choice, content),) = value.items()
    return choice, content


def _encoded(value: Mapping[str, Any]) -> bytes:
    choice, content = _choice(value)
    if choice != _EDI_PARTY:
        return der.content_of(x509.SubjectAlternativeName([_general_name(value)]).public_bytes())
    assigner = der.explicit(0, _text(content["NameAssigner"])) if "NameAssigner" in content else b""
    return der.tlv(_EDI_PARTY_TAG, assigner, der.explicit(1, _text(content["PartyName"])))


def _encoded_oid(oid: x509.ObjectIdentifier) -> bytes:
    """DER of an OID, out of an extension that holds nothing else."""
    return der.content_of(x509.ExtendedKeyUsage([oid]).public_bytes())


def _text(text: str) -> bytes:
    return der.tlv(der.UTF8_STRING, text.encode())
