"""Attribute types of distinguished names: what a file may call them, and their object identifiers.

What this module decides: which names exist. Fields are those of the service's ASN1Subject in our spelling; names are those of RFC 5280 appendix A.1
and RFC 4519. Anything else is written as its dotted OID. Imports nothing heavy, so that environment files are checked without cryptography.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

OID_PATTERN = r"^[0-2]\.[0-3]?[0-9](\.(0|[1-9][0-9]{0,18})){1,30}$"  # the service's CustomObjectIdentifier, without its leading zeros

# from the widest to the narrowest, which is the order they are shown in
FIELD_OIDS: Mapping[str, str] = MappingProxyType({
    "country": "2.5.4.6",
    "organization": "2.5.4.10",
    "organizational_unit": "2.5.4.11",
    "state": "2.5.4.8",
    "locality": "2.5.4.7",
    "common_name": "2.5.4.3",
    "title": "2.5.4.12",
    "surname": "2.5.4.4",
    "given_name": "2.5.4.42",
    "initials": "2.5.4.43",
    "pseudonym": "2.5.4.65",
    "generation_qualifier": "2.5.4.44",
    "serial_number": "2.5.4.5",
    "distinguished_name_qualifier": "2.5.4.46",
})  # fmt: skip
_NAMES: Mapping[str, str] = MappingProxyType({
    "commonName": "2.5.4.3",
    "surname": "2.5.4.4",
    "serialNumber": "2.5.4.5",
    "countryName": "2.5.4.6",
    "localityName": "2.5.4.7",
    "stateOrProvinceName": "2.5.4.8",
    "streetAddress": "2.5.4.9",
    "organizationName": "2.5.4.10",
    "organizationalUnitName": "2.5.4.11",
    "title": "2.5.4.12",
    "description": "2.5.4.13",
    "businessCategory": "2.5.4.15",
    "postalCode": "2.5.4.17",
    "givenName": "2.5.4.42",
    "initials": "2.5.4.43",
    "generationQualifier": "2.5.4.44",
    "dnQualifier": "2.5.4.46",
    "pseudonym": "2.5.4.65",
    "organizationIdentifier": "2.5.4.97",
    "userId": "0.9.2342.19200300.100.1.1",
    "domainComponent": "0.9.2342.19200300.100.1.25",
    "emailAddress": "1.2.840.113549.1.9.1",
})  # fmt: skip
COMMON_NAME = _NAMES["commonName"]
COUNTRY = _NAMES["countryName"]

ATTRIBUTE_NAMES: tuple[str, ...] = tuple(_NAMES)
_FIELDS = {oid: field for field, oid in FIELD_OIDS.items()}
_SPELLED = {oid: name for name, oid in _NAMES.items()}
_OID = re.compile(OID_PATTERN.strip("^$"))


def is_oid(text: str) -> bool:
    """Whether ``text`` is a dotted object identifier that the service takes."""
    return len(text) <= 64 and _OID.fullmatch(text) is not None


def attribute_oid(text: str) -> str | None:
    """The OID of an attribute type given by name or as a dotted OID; None if it is neither."""
    return _NAMES.get(text) or (text if is_oid(text) else None)


def attribute_name(oid: str) -> str:
    """What an attribute type is called in our data: the field of that name, else its RFC name, else the OID."""
    return _FIELDS.get(oid) or _SPELLED.get(oid) or oid


def by_name(attributes: Iterable[tuple[str, str]]) -> dict[str, str]:
    """(OID, value) pairs as a mapping by name, for showing: the values of a repeated type are joined."""
    found: dict[str, str] = {}
    for oid, value in attributes:
        name = attribute_name(oid)
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found
