"""Distinguished names (RFC 5280 section 4.1.2.4): building, comparing and printing them.

What this module decides: the order in which a subject is encoded, when two names are the same, and that no control or invisible character of a
name ever reaches a terminal as it is.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from cryptography import x509
from cryptography.x509.oid import NameOID

from pkiops.errors import InputError

_OIDS = MappingProxyType(
    {
        "country": NameOID.COUNTRY_NAME,
        "state": NameOID.STATE_OR_PROVINCE_NAME,
        "locality": NameOID.LOCALITY_NAME,
        "organization": NameOID.ORGANIZATION_NAME,
        "organizational_unit": NameOID.ORGANIZATIONAL_UNIT_NAME,
        "common_name": NameOID.COMMON_NAME,
    }
)

# From the widest to the narrowest, which is the order in which RDNs are encoded here; comparing never depends on it.
SUBJECT_FIELDS: tuple[str, ...] = tuple(_OIDS)

# Short names beyond the nine of RFC 4514 that people know from openssl.
_SHORT_NAMES = {
    NameOID.EMAIL_ADDRESS: "emailAddress",
    NameOID.SERIAL_NUMBER: "serialNumber",
    NameOID.GIVEN_NAME: "GN",
    NameOID.SURNAME: "SN",
    NameOID.TITLE: "title",
}

# Control, format (bidirectional overrides, zero-width), surrogate, and line or paragraph separator.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def build_name(attributes: Mapping[str, str]) -> x509.Name:
    """A name of single-valued RDNs in the order of ``SUBJECT_FIELDS``.

    Args:
        attributes: values by field; country is two letters, common name at most 64 octets (RFC 5280 appendix A.1).

    Raises:
        InputError: code ``names.field`` or ``names.value``.
    """
    unknown = sorted(set(attributes) - set(_OIDS))
    if unknown:
        raise InputError(f"not a subject field: {', '.join(unknown)}", code="names.field")
    built: list[x509.NameAttribute[str]] = []
    for field in SUBJECT_FIELDS:
        if field not in attributes:
            continue
        value = attributes[field]
        if not value or has_unprintable(value):
            raise InputError(f"{field}: empty, or with characters that cannot be printed", code="names.value")
        try:
            built.append(x509.NameAttribute(_OIDS[field], value))
        except ValueError as error:
            raise InputError(f"{field} {printable(value)!r}: {error}", code="names.value") from error
    return x509.Name(built)


def name_attributes(name: x509.Name) -> tuple[tuple[str, str], ...]:
    """(short name or dotted OID, value) of every attribute, in encoded order; a value that is no text is ``#`` and hexadecimal."""
    return tuple(
        (short_name(attribute), attribute.value if isinstance(attribute.value, str) else f"#{attribute.value.hex()}")
        for attribute in name
    )


def short_name(attribute: x509.NameAttribute[str | bytes]) -> str:
    """``CN``, ``O`` and so on, or the dotted OID of an attribute without a name."""
    return _SHORT_NAMES.get(attribute.oid, attribute.rfc4514_attribute_name)


def same_name(a: x509.Name, b: x509.Name) -> bool:
    """Whether both hold the same attributes: string types, order and grouping into RDNs are ignored, letter case is not.

    For comparing what was asked for with what came back; path building compares names as RFC 5280 section 7.1 does.
    """
    return Counter((i.oid, i.value) for i in a) == Counter((i.oid, i.value) for i in b)


def rfc4514(name: x509.Name) -> str:
    """The name in RFC 4514 form (most specific first), safe to print."""
    return printable(name.rfc4514_string(_SHORT_NAMES))


def printable(text: str) -> str:
    r"""``text`` with every control or invisible character as the hex pairs of its UTF-8 octets (``\0a``, RFC 4514 section 2.4)."""
    if not has_unprintable(text):
        return text
    return "".join(
        "".join(f"\\{octet:02x}" for octet in character.encode("utf-8", "surrogatepass"))
        if unicodedata.category(character) in _UNPRINTABLE
        else character
        for character in text
    )


def has_unprintable(text: str) -> bool:
    """Whether ``text`` holds a control or invisible character, NUL included."""
    if text.isascii():
        return not text.isprintable()
    return any(unicodedata.category(character) in _UNPRINTABLE for character in text)
