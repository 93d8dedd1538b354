"""The serial numbers of revoked certificates as an import of a CloudFront KeyValueStore, which a connection function asks at each handshake.

What this module decides: the key is the serial number alone, in upper-case hexadecimal without leading zeros. With the issuer in it, two CAs could
share a number; but no page of AWS says how a connection function spells an issuer, and a key that is spelled in another way is never found: a
revoked client would get in. A number that two CAs share refuses one client too many, and numbers are random. Source: CloudFront developer guide,
"Implement certificate revocation for mutual TLS (viewer)"; quotas of CloudFront KeyValueStore: 5 MB in all, keys of 512 bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from cryptography import x509

from pkiops.errors import VerificationFailed

MAX_BYTES = 5_000_000
MAX_KEY_BYTES = 512


def revoked_serials(crls: Iterable[x509.CertificateRevocationList], where: str) -> bytes:
    """The import file: what is on any of the CRLs, each number once.

    Raises:
        VerificationFailed: code ``trust.limit``: a KeyValueStore would not hold it, and go on with the numbers of before.
    """
    keys = sorted({f"{entry.serial_number:X}" for crl in crls for entry in crl})
    longest = max((len(key) for key in keys), default=0)
    data = json.dumps({"data": [{"key": key, "value": ""} for key in keys]}, separators=(",", ":")).encode() + b"\n"
    for what, size, limit in (("bytes of a key", longest, MAX_KEY_BYTES), ("bytes of keys", len(data), MAX_BYTES)):
        if size > limit:
            raise VerificationFailed(
                f"{where}: {size} {what}, but a CloudFront KeyValueStore takes {limit}",
                hint="certificates that live shorter keep the list of revoked ones small; or use OCSP",
                code="trust.limit",
                details={"what": what, "size": size, "limit": limit},
            )
    return data
