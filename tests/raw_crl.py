"""Certificate revocation lists put together byte by byte (RFC 5280 section 5, X.690): huge, or wrong in ways that no library would write.

Written from the RFC for tests alone; it shares nothing with ``pkiops.x509``. Keys and signatures are the library's.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tests.raw_csr import SEQUENCE, Key, RawExtension, integer, sign, tlv

ENUMERATED, UTC_TIME, GENERALIZED_TIME = 0x0A, 0x17, 0x18
REASON_OID, CERTIFICATE_ISSUER_OID, NUMBER_OID, AUTHORITY_KEY_OID = "2.5.29.21", "2.5.29.29", "2.5.29.20", "2.5.29.35"
REVOKED_AT = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)


def time_of(moment: datetime) -> bytes:
    """UTCTime until 2049, then GeneralizedTime (RFC 5280 section 5.1.2.4)."""
    if moment.year < 2050:
        return tlv(UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode())


def reason(code: int) -> RawExtension:
    """A reason code, defined or not."""
    return RawExtension(REASON_OID, tlv(ENUMERATED, code.to_bytes(code.bit_length() // 8 + 1, "big")))


def entry(serial: int | bytes, *extensions: RawExtension, at: bytes | None = None) -> bytes:
    """A revoked certificate; ``serial`` as bytes is the content of the INTEGER as it stands, ``at`` an encoded time."""
    if isinstance(serial, int):
        serial = serial.to_bytes((serial if serial >= 0 else ~serial).bit_length() // 8 + 1, "big", signed=True)
    more = (tlv(SEQUENCE, *(one.der() for one in extensions)),) if extensions else ()
    return tlv(SEQUENCE, tlv(0x02, serial), at or time_of(REVOKED_AT), *more)


def random_entries(count: int, seed: int) -> tuple[bytes, list[int]]:
    """Entries with serials of 20 octets and reasons, one after another, and their serials."""
    chance = random.Random(seed)  # noqa: S311 - serials of a test
    ends = [entry(1, reason(code))[5:] for code in (1, 3, 4, 5)]
    size = 22 + len(ends[0])
    made, serials = [], []
    for _ in range(count):
        serial = bytes([chance.randrange(1, 128)]) + chance.randbytes(19)
        serials.append(int.from_bytes(serial, "big"))
        made.append(bytes([SEQUENCE, size]) + b"\x02\x14" + serial + chance.choice(ends))
    return b"".join(made), serials


def crl_der(
    key: Key,
    issuer: bytes,
    entries: Sequence[bytes] | None,
    *,
    this_update: datetime,
    next_update: datetime | None = None,
    extensions: Sequence[RawExtension] = (),
    version: bytes = b"\x02\x01\x01",
    inner_algorithm: bytes | None = None,
) -> bytes:
    """A signed CRL; ``issuer`` is an encoded name, ``entries`` None is a list without revokedCertificates."""
    algorithm, _ = sign(key, b"")
    until = time_of(next_update or this_update + timedelta(days=7))
    revoked = b"" if entries is None else tlv(SEQUENCE, *entries)
    more = tlv(0xA0, tlv(SEQUENCE, *(one.der() for one in extensions))) if extensions else b""
    start = (version, inner_algorithm or algorithm, issuer, time_of(this_update), until)
    signed = tlv(SEQUENCE, *start, revoked, more)
    algorithm, signature = sign(key, signed)
    return tlv(SEQUENCE, signed, algorithm, tlv(0x03, b"\x00", signature))


def usual_extensions(number: int, key_identifier: bytes) -> tuple[RawExtension, ...]:
    """What every CRL must have: its number and its authority key identifier (RFC 5280 section 5.2)."""
    return (
        RawExtension(AUTHORITY_KEY_OID, tlv(SEQUENCE, tlv(0x80, key_identifier))),
        RawExtension(NUMBER_OID, integer(number)),
    )
