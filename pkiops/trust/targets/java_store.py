"""Java trust stores, PKCS #12 and JKS, with the same bytes for the same certificates.

What this module decides: how trusted certificates are written so that ``keytool`` lists each as ``trustedCertEntry``. Libraries salt a PKCS #12 file
at random, and most leave out the attribute without which Java sees no entry at all, and says nothing. There is nothing to hide in a trust store, so
the certificates are not encrypted (as in the JDK's own since version 18); what the password protects is the integrity check, with a salt that
comes from the content.

Formats: RFC 7292 (PKCS #12; appendix B for the key of the check); the attribute is Oracle's, 2.16.840.1.113894.746875.1.1, with
anyExtendedKeyUsage as its value. JKS is ``pkiops.x509.java_store``'s.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime

from pkiops.x509 import java_store
from pkiops.x509.der import bmp_string, explicit, integer, object_identifier, octet_string, sequence, set_of

_DATA = "1.2.840.113549.1.7.1"
_CERTIFICATE_BAG = "1.2.840.113549.1.12.10.1.3"
_X509_CERTIFICATE = "1.2.840.113549.1.9.22.1"
_FRIENDLY_NAME = "1.2.840.113549.1.9.20"
_TRUSTED_KEY_USAGE = "2.16.840.1.113894.746875.1.1"
_ANY_EXTENDED_KEY_USAGE = "2.5.29.37.0"
_SHA256 = "2.16.840.1.101.3.4.2.1"
_NULL = b"\x05\x00"
_ITERATIONS = 10_000
_SALT_BYTES = 20
_BLOCK_BYTES = 64
_MAC_KEY = 3
# a date that is not read by anybody
_JKS_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)


def pkcs12(entries: Sequence[tuple[str, bytes]], password: str) -> bytes:
    """A PKCS #12 trust store.

    Args:
        entries: (alias, DER of the certificate); aliases are unique in lower case.
        password: of the integrity check.
    """
    bags = sequence(*(_bag(alias, der) for alias, der in entries))
    content = sequence(_content_info(bags))
    salt = hashlib.sha256(b"pkiops trust store" + content).digest()[:_SALT_BYTES]
    digest = hmac.new(_mac_key(password, salt), content, hashlib.sha256).digest()
    algorithm = sequence(object_identifier(_SHA256), _NULL)
    mac = sequence(sequence(algorithm, octet_string(digest)), octet_string(salt), integer(_ITERATIONS))
    return sequence(integer(3), _content_info(content), mac)


def _content_info(data: bytes) -> bytes:
    return sequence(object_identifier(_DATA), explicit(0, octet_string(data)))


def _bag(alias: str, der: bytes) -> bytes:
    certificate = sequence(object_identifier(_X509_CERTIFICATE), explicit(0, octet_string(der)))
    attributes = set_of(
        sequence(object_identifier(_FRIENDLY_NAME), set_of(bmp_string(alias))),
        sequence(object_identifier(_TRUSTED_KEY_USAGE), set_of(object_identifier(_ANY_EXTENDED_KEY_USAGE))),
    )
    return sequence(object_identifier(_CERTIFICATE_BAG), explicit(0, certificate), attributes)


def _mac_key(password: str, salt: bytes) -> bytes:
    """RFC 7292 appendix B.2 with SHA-256 for one block of key: identifier, then salt and password repeated to whole blocks."""
    secret = password.encode("utf-16-be") + b"\0\0"
    data = bytes([_MAC_KEY]) * _BLOCK_BYTES + _whole_blocks(salt) + _whole_blocks(secret)
    for _ in range(_ITERATIONS):
        data = hashlib.sha256(data).digest()
    return data


def _whole_blocks(data: bytes) -> bytes:
    size = -(-len(data) // _BLOCK_BYTES) * _BLOCK_BYTES
    return (data * (size // len(data) + 1))[:size]


def jks(entries: Sequence[tuple[str, bytes]], password: str) -> bytes:
    """A JKS trust store; the same arguments as ``pkcs12``."""
    return java_store.jks([java_store.trusted_entry(alias, der, _JKS_MOMENT) for alias, der in entries], password)
