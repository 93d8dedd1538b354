"""A SPIFFE trust bundle: a JWK set with one key per root (SPIFFE Trust Domain and Bundle, sections 4.1 and 4.2).

What this module decides: roots only (intermediates come with the SVID, and the format has no CRLs), ``x5c`` with exactly one certificate, and the
sequence number. That must change with the content and never go back where bundles are compared; a renderer that keeps no state has no counter, so it
is left out, which readers take: the number comes from whoever serves the bundle.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.errors import VerificationFailed
from pkiops.x509.names import rfc4514

# how often a federated party should ask again, in seconds
REFRESH_HINT = 300
# RFC 7518 section 6.2.1.1
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


def spiffe_bundle(roots: Sequence[x509.Certificate]) -> bytes:
    """The bundle as JSON.

    Raises:
        VerificationFailed: a root has a key that the format cannot hold.
    """
    document = {"keys": [_key(one) for one in roots], "spiffe_refresh_hint": REFRESH_HINT}
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=True).encode() + b"\n"


def _key(root: x509.Certificate) -> dict[str, object]:
    der = root.public_bytes(Encoding.DER)
    return {**_public_key(root), "use": "x509-svid", "x5c": [base64.b64encode(der).decode()]}


def _public_key(root: x509.Certificate) -> dict[str, str]:
    key = root.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        size = (key.curve.key_size + 7) // 8
        numbers = key.public_numbers()
        return {
            "kty": "EC",
            "crv": _CURVES[key.curve.name],
            "x": _number(numbers.x, size),
            "y": _number(numbers.y, size),
        }
    if isinstance(key, rsa.RSAPublicKey):
        public = key.public_numbers()
        return {"kty": "RSA", "n": _number(public.n), "e": _number(public.e)}
    raise VerificationFailed(
        f"root {rfc4514(root.subject)} has a key that a SPIFFE bundle cannot hold", code="trust.spiffe-key"
    )


def _number(value: int, size: int | None = None) -> str:
    data = value.to_bytes(size or (value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
