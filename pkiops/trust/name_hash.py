"""OpenSSL's subject name hash, by which its certificate folders are searched.

What this module decides: the canonical encoding of a name (string values as UTF8String, ASCII letters in lower case,
spaces at the ends dropped and inner runs collapsed; each RDN a SET, without the outer SEQUENCE), of which the hash is
the first four octets of SHA-1, read little-endian. Equal to ``openssl x509 -subject_hash``.
"""

from __future__ import annotations

import hashlib
import re
import string

from cryptography import x509

from pkiops.x509.der import encode, object_identifier, sequence, set_of

_UTF8_STRING, _BIT_STRING = 0x0C, 0x03
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_SPACES = re.compile(r"[ \t\n\v\f\r]+")


def subject_hash(name: x509.Name) -> str:
    """Eight lower-case hex digits."""
    digest = hashlib.sha1(canonical_name(name), usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def canonical_name(name: x509.Name) -> bytes:
    """The canonical encoding: equal for names that OpenSSL takes for the same."""
    return b"".join(set_of(*(_attribute(attribute) for attribute in relative)) for relative in name.rdns)


def _attribute(attribute: x509.NameAttribute[str | bytes]) -> bytes:
    if isinstance(attribute.value, bytes):
        value = encode(_BIT_STRING, attribute.value)
    else:
        text = _SPACES.sub(" ", attribute.value.strip(" \t\n\v\f\r")).translate(_LOWER)
        value = encode(_UTF8_STRING, text.encode())
    return sequence(object_identifier(attribute.oid.dotted_string), value)
