"""Certification requests put together byte by byte (RFC 2986, X.690), so that they can be wrong in ways that no library would write.

Written from the RFCs for tests alone; it shares nothing with ``pkiops.x509``. Keys and signatures are the library's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
SEQUENCE, SET, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID, BOOLEAN = 0x30, 0x31, 0x02, 0x03, 0x04, 0x05, 0x06, 0x01
UTF8, PRINTABLE, IA5, TELETEX, BMP, UNIVERSAL, NUMERIC = 0x0C, 0x13, 0x16, 0x14, 0x1E, 0x1C, 0x12
# GeneralName (RFC 5280 section 4.2.1.6): context tags, constructed where the type is
OTHER_NAME, EMAIL, DNS, X400, DIRECTORY, EDI_PARTY, URI, IP, REGISTERED = (
    0xA0,
    0x81,
    0x82,
    0xA3,
    0xA4,
    0xA5,
    0x86,
    0x87,
    0x88,
)
EXTENSION_REQUEST, MS_EXTENSION_REQUEST, CHALLENGE_PASSWORD = (
    "1.2.840.113549.1.9.14",
    "1.3.6.1.4.1.311.2.1.14",
    "1.2.840.113549.1.9.7",
)
SAN_OID = "2.5.29.17"
TYPES = {"CN": "2.5.4.3", "C": "2.5.4.6", "L": "2.5.4.7", "ST": "2.5.4.8", "O": "2.5.4.10", "OU": "2.5.4.11", "serialNumber": "2.5.4.5",
         "emailAddress": "1.2.840.113549.1.9.1", "DC": "0.9.2342.19200300.100.1.25", "UID": "0.9.2342.19200300.100.1.1"}  # fmt: skip
_ECDSA = {"SHA256": "1.2.840.10045.4.3.2", "SHA384": "1.2.840.10045.4.3.3"}


def tlv(tag: int, *contents: bytes) -> bytes:
    """A value with its tag and definite length."""
    body = b"".join(contents)
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def oid(dotted: str) -> bytes:
    """An object identifier."""
    first, second, *rest = map(int, dotted.split("."))
    out = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        out += bytes(reversed(groups))
    return tlv(OID, bytes(out))


def integer(value: int) -> bytes:
    """An integer."""
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


@dataclass(frozen=True)
class RawExtension:
    """An extension; ``value`` is what its octet string holds."""

    oid: str
    value: bytes
    critical: bool = False

    def der(self) -> bytes:
        """Encoded."""
        flag = tlv(BOOLEAN, b"\xff") if self.critical else b""
        return tlv(SEQUENCE, oid(self.oid), flag, tlv(OCTET_STRING, self.value))


Attribute = tuple[str, int, bytes]  # type, tag of the string, content


@dataclass(frozen=True)
class RawCsr:
    """What a request is made of. ``names`` are (tag, content) of general names, None for no such extension."""

    key: Key
    subject: tuple[tuple[Attribute, ...], ...] = ()  # RDNs
    names: tuple[tuple[int, bytes], ...] | None = ()
    extensions: tuple[RawExtension, ...] = ()
    attributes: tuple[bytes, ...] = ()  # further ones, encoded
    version: int = 0
    critical_names: bool = False
    request_oid: str = EXTENSION_REQUEST
    spki: bytes | None = None  # of another key than the one that signs
    digest: str = "SHA256"
    changed: bytes | None = field(default=None, repr=False)  # in place of the information that would be signed

    def information(self) -> bytes:
        """CertificationRequestInfo."""
        if self.changed is not None:
            return self.changed
        rdns = [
            tlv(SET, *sorted(tlv(SEQUENCE, oid(TYPES.get(t, t)), tlv(tag, text)) for t, tag, text in rdn))
            for rdn in self.subject
        ]
        spki = self.spki or spki_of(self.key)
        return tlv(SEQUENCE, integer(self.version), tlv(SEQUENCE, *rdns), spki, tlv(0xA0, *self._attributes()))

    def der(self) -> bytes:
        """CertificationRequest, signed."""
        information = self.information()
        algorithm, signature = sign(self.key, information, self.digest)
        return tlv(SEQUENCE, information, algorithm, tlv(BIT_STRING, b"\x00", signature))

    def _attributes(self) -> list[bytes]:
        extensions = list(self.extensions)
        if self.names is not None and (self.names or self.critical_names):
            value = tlv(SEQUENCE, *(tlv(tag, content) for tag, content in self.names))
            extensions.insert(0, RawExtension(SAN_OID, value, self.critical_names))
        made = []
        if extensions:
            made.append(
                tlv(SEQUENCE, oid(self.request_oid), tlv(SET, tlv(SEQUENCE, *(one.der() for one in extensions))))
            )
        return sorted([*made, *self.attributes])  # SET OF (X.690 section 11.6)


def spki_of(key: Key) -> bytes:
    """SubjectPublicKeyInfo."""
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def sign(key: Key, data: bytes, digest: str = "SHA256") -> tuple[bytes, bytes]:
    """AlgorithmIdentifier and signature."""
    if isinstance(key, rsa.RSAPrivateKey):
        return tlv(SEQUENCE, oid("1.2.840.113549.1.1.11"), tlv(NULL)), key.sign(
            data, padding.PKCS1v15(), hashes.SHA256()
        )
    if isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm = hashes.SHA384() if digest == "SHA384" else hashes.SHA256()
        return tlv(SEQUENCE, oid(_ECDSA[digest])), key.sign(data, ec.ECDSA(algorithm, deterministic_signing=True))
    name = "1.3.101.112" if isinstance(key, ed25519.Ed25519PrivateKey) else "1.3.101.113"
    return tlv(SEQUENCE, oid(name)), key.sign(data)


def subject(*pairs: tuple[str, str], tag: int = UTF8) -> tuple[tuple[Attribute, ...], ...]:
    """One attribute an RDN."""
    encodings = {BMP: "utf-16-be", UNIVERSAL: "utf-32-be", TELETEX: "latin-1"}
    return tuple(((name, tag, text.encode(encodings.get(tag, "utf-8"))),) for name, text in pairs)


def dns(*names: str) -> tuple[tuple[int, bytes], ...]:
    """DNS names."""
    return tuple((DNS, name.encode()) for name in names)


def uri(*names: str) -> tuple[tuple[int, bytes], ...]:
    """URIs."""
    return tuple((URI, name.encode()) for name in names)


def email(*names: str) -> tuple[tuple[int, bytes], ...]:
    """Addresses of mail."""
    return tuple((EMAIL, name.encode()) for name in names)


def ip(*octets: Sequence[int]) -> tuple[tuple[int, bytes], ...]:
    """Addresses as their octets."""
    return tuple((IP, bytes(one)) for one in octets)
