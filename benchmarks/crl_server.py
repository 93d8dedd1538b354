"""The sandbox that ``benchmarks.crl`` publishes from and to: the environment ``dev`` applied, and a CRL with very many entries in its bucket.

    python -m benchmarks.crl_server FOLDER COUNT

Makes FOLDER/dev.yaml and prints its URL once every CA has a CRL. For each line of input it signs the next CRL of the CA ``clients``, with COUNT
random serial numbers of 20 octets and reasons, writes it to where the service would (and to FOLDER/big.crl, the certificate of its CA to
FOLDER/ca.pem), and prints its number.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from benchmarks.bulk_server import write_requests
from benchmarks.startup import PKIOPS, ROOT, clean_environment
from pkiops.clock import SystemClock
from pkiops.sandbox.engine.crl import CONTENT_TYPE, bucket_access
from pkiops.sandbox.engine.crl_locations import object_key
from pkiops.sandbox.engine.state import Authority, Region
from pkiops.sandbox.server import SandboxServer, bound_server

_ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_REASONS = (1, 3, 4, 5)


def tlv(tag: int, *contents: bytes) -> bytes:
    """A value in DER."""
    body = b"".join(contents)
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def utc_time(moment: datetime) -> bytes:
    """UTCTime."""
    return tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())


def entries(count: int, now: datetime) -> bytes:
    """Entries with random serial numbers, revoked at some second of the last year."""
    chance = random.Random(count)  # noqa: S311 - not secret
    reasons = [tlv(0x30, tlv(0x30, b"\x06\x03\x55\x1d\x15", tlv(0x04, tlv(0x0A, bytes([one]))))) for one in _REASONS]
    moments = [utc_time(now - timedelta(seconds=chance.randrange(365 * 86400))) for _ in range(50_000)]
    made = []
    for _ in range(count):
        serial = bytes([chance.randrange(1, 0x80)]) + chance.randbytes(19)
        made.append(tlv(0x30, b"\x02\x14", serial, chance.choice(moments), chance.choice(reasons)))
    return tlv(0x30, *made)


def signed(key: ec.EllipticCurvePrivateKey, issuer: bytes, key_id: bytes, revoked: bytes, number: int) -> bytes:
    """A CRL (RFC 5280 section 5.1) that is current for a week."""
    now = datetime.now(UTC)
    extensions = tlv(
        0xA0,
        tlv(
            0x30,
            tlv(0x30, b"\x06\x03\x55\x1d\x23", tlv(0x04, tlv(0x30, tlv(0x80, key_id)))),
            tlv(
                0x30,
                b"\x06\x03\x55\x1d\x14",
                tlv(0x04, tlv(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))),
            ),
        ),
    )
    until = utc_time(now + timedelta(days=7))
    body = tlv(0x30, b"\x02\x01\x01", _ECDSA_WITH_SHA256, issuer, utc_time(now), until, revoked, extensions)
    signature = key.sign(body, ec.ECDSA(hashes.SHA256()))
    return tlv(0x30, body, _ECDSA_WITH_SHA256, tlv(0x03, b"\x00", signature))


def place(server: SandboxServer, revoked: bytes, folder: Path) -> int:
    """Write the next CRL; its number."""
    region, authority = busy(server)
    key, certificate, state = authority.key, authority.certificate, authority.crl
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate is None or state is None:
        raise SystemExit("the CA clients has no P-256 key, no certificate or no CRL")
    state.number += 1
    key_id = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    made = signed(key, certificate.subject.public_bytes(), key_id, revoked, state.number)
    server.sandbox.buckets.put(bucket_access(authority, region), object_key(authority), made, CONTENT_TYPE)
    (folder / "big.crl").write_bytes(made)
    (folder / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    return state.number


def busy(server: SandboxServer) -> tuple[Region, Authority]:
    """The CA ``clients``, which signs with P-256."""
    for region in server.sandbox.regions():
        for authority in region.authorities.values():
            if authority.key_algorithm == "EC_prime256v1":
                return region, authority
    raise SystemExit("there is no CA clients")


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    write_requests(folder, 1)
    shutil.copy(ROOT / "environments" / "dev.yaml", folder / "dev.yaml")
    revoked = entries(count, datetime.now(UTC))
    with bound_server(0, clock=SystemClock()) as server:
        threading.Thread(target=server.serve, daemon=True).start()
        variables = {**clean_environment(str(folder)), "PKIOPS_SANDBOX_URL": server.url}
        ours = (*PKIOPS, "--environments", str(folder))
        issue = ("cert", "issue", "dev", "--profile", "service", "--csr", "h0.csr", "--output", "h0.pem")
        for command in (("ca", "apply", "dev", "--yes"), issue):
            subprocess.run((*ours, *command), cwd=folder, env=variables, check=True, timeout=120, capture_output=True)
        print(server.url, flush=True)
        for _ in sys.stdin:
            print(place(server, revoked, folder), flush=True)
        server.shutdown()


if __name__ == "__main__":
    main()
