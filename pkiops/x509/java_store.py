"""JKS: the keystore that Java made by default until version 8, with trusted certificates and with a private key.

What this module decides: how entries are written and sealed. What goes in, under which alias and dated when, is the callers'; salts come from
them too, so that nothing here is random. The format is that of ``sun.security.provider.JavaKeyStore``, and a key is hidden as its
``KeyProtector`` does: under a stream of SHA-1 digests of the passphrase, without rounds, so that whoever has the file tries passphrases as fast
as SHA-1 runs. PKCS#12 is for everybody who can read it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from datetime import datetime

from pkiops.x509.der import object_identifier, octet_string, sequence

SALT_BYTES = 20
_MAGIC, _VERSION, _PRIVATE_KEY, _TRUSTED = 0xFEEDFEED, 2, 1, 2
_KEY_PROTECTOR = "1.3.6.1.4.1.42.2.17.1.1"
_NULL = b"\x05\x00"
_SEAL = b"Mighty Aphrodite"


def jks(entries: Sequence[bytes], passphrase: str) -> bytes:
    """A keystore of entries, sealed: Java opens it under this passphrase and finds any change by it.

    Args:
        entries: what ``trusted_entry`` and ``key_entry`` return; their aliases are unique.
        passphrase: of the store; keytool expects a key's to be the same.
    """
    content = struct.pack(">III", _MAGIC, _VERSION, len(entries)) + b"".join(entries)
    return content + _sha1(_octets(passphrase) + _SEAL + content)


def trusted_entry(alias: str, certificate: bytes, dated: datetime) -> bytes:
    """An entry for a certificate (DER) that is trusted.

    Args:
        alias: in lower case: Java looks for no other, whatever it is asked for; at most 65,535 octets of Java's UTF-8.
        certificate: DER.
        dated: what Java says the entry was made on; aware.
    """
    return _head(_TRUSTED, alias, dated) + _certificate(certificate)


def key_entry(
    alias: str, key: bytes, chain: Sequence[bytes], passphrase: str, *, salt: bytes, dated: datetime
) -> bytes:
    """An entry for a private key and its certificates.

    Args:
        alias: as for ``trusted_entry``.
        key: PKCS#8 (RFC 5958), DER.
        chain: DER, the key's certificate first.
        passphrase: that of the store.
        salt: ``SALT_BYTES`` random octets, never twice with one passphrase.
        dated: as for ``trusted_entry``.
    """
    algorithm = sequence(object_identifier(_KEY_PROTECTOR), _NULL)
    # EncryptedPrivateKeyInfo, RFC 5958 section 3
    hidden = sequence(algorithm, octet_string(_hide(key, _octets(passphrase), salt)))
    certificates = b"".join(_certificate(one) for one in chain)
    return _head(_PRIVATE_KEY, alias, dated) + _block(hidden) + struct.pack(">I", len(chain)) + certificates


def _hide(plain: bytes, secret: bytes, salt: bytes) -> bytes:
    """Salt, what is hidden, and a digest by which a wrong passphrase is found."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt of {len(salt)} octets, not {SALT_BYTES}")
    stream, digest = bytearray(), salt
    while len(stream) < len(plain):
        digest = _sha1(secret + digest)
        stream += digest
    mixed = bytes(octet ^ mask for octet, mask in zip(plain, stream, strict=False))
    return salt + mixed + _sha1(secret + plain)


def _head(tag: int, alias: str, dated: datetime) -> bytes:
    return struct.pack(">I", tag) + _text(alias) + struct.pack(">Q", int(dated.timestamp()) * 1000)


def _certificate(der: bytes) -> bytes:
    return _text("X.509") + _block(der)


def _block(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _text(text: str) -> bytes:
    """As ``java.io.DataOutput.writeUTF`` has it: UTF-16 units one by one, NUL in two octets."""
    data = b"".join(_unit(unit) for (unit,) in struct.iter_unpack(">H", _octets(text)))
    return struct.pack(">H", len(data)) + data


def _unit(unit: int) -> bytes:
    return chr(unit).encode("utf-8", "surrogatepass") if unit else b"\xc0\x80"


def _octets(text: str) -> bytes:
    return text.encode("utf-16-be")


def _sha1(data: bytes) -> bytes:
    # SHA-1 is what the format says
    return hashlib.sha1(data, usedforsecurity=False).digest()
