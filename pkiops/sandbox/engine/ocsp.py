"""The OCSP responder (RFC 6960, the profile of RFC 5019) and the URL under which certificates name it.

What this module decides: which authority answers, and what. ACTIVE and DISABLED authorities whose OcspConfiguration is enabled
answer for the certificates they issued: good, revoked (after the delay of the settings), or unknown. Everybody else, an EXPIRED
authority too, gives ``unauthorized``. Answers are signed by the CA's own key with its configured algorithm; a nonce is not echoed,
as RFC 5019 allows. HTTP is ``ocsp_http``'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from pkiops.sandbox.engine import der
from pkiops.sandbox.engine.crl_locations import domain
from pkiops.sandbox.engine.state import Authority, Context, Issued, Region, Status, spki

CONTENT_TYPE = "application/ocsp-response"
LIFETIME = timedelta(hours=1)
_MAX_REQUEST = 16 * 1024
_UNREADABLE = (ValueError, TypeError, LookupError, OverflowError, NotImplementedError, UnsupportedAlgorithm)
_BASIC_RESPONSE = bytes.fromhex("2b0601050507300101")  # id-pkix-ocsp-basic, 1.3.6.1.5.5.7.48.1.1
_BEFORE_REQUEST_LIST = (0xA0, 0xA1)  # version, requestorName
# RFC 5280 5.3.1; unspecified is said by saying nothing
_REASON_CODES = {
    "KEY_COMPROMISE": 1,
    "CERTIFICATE_AUTHORITY_COMPROMISE": 2,
    "AFFILIATION_CHANGED": 3,
    "SUPERSEDED": 4,
    "CESSATION_OF_OPERATION": 5,
    "PRIVILEGE_WITHDRAWN": 9,
    "A_A_COMPROMISE": 10,
}


@dataclass(frozen=True, slots=True)
class OcspAnswer:
    """``data`` is the DER of an OCSPResponse; the moments are None for one that is not signed."""

    data: bytes
    this_update: datetime | None = None
    next_update: datetime | None = None


def responder_url(authority: Authority, region: Region) -> str | None:
    """The URL written into the authorityInfoAccess of certificates, or None where OCSP is off."""
    configuration = authority.ocsp_configuration
    if not configuration["Enabled"]:
        return None
    return f"http://{configuration.get('OcspCustomCname') or _service_host(region)}"


def hosts(authority: Authority, region: Region) -> tuple[str, ...]:
    """The host names under which this CA's responder is asked; lower case."""
    configuration = authority.ocsp_configuration
    if not configuration["Enabled"]:
        return ()
    custom = str(configuration.get("OcspCustomCname") or "").partition("/")[0]
    return tuple(host.lower() for host in (custom, _service_host(region)) if host)


def respond(context: Context, candidates: Iterable[tuple[Region, Authority]], request: bytes) -> OcspAnswer:
    """Answer one request (DER) out of the authorities that the asked host stands for."""
    if len(request) > _MAX_REQUEST:
        return _failure(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
    try:
        parsed = ocsp.load_der_ocsp_request(request)
        algorithm, serial = parsed.hash_algorithm, parsed.serial_number
        asked = (parsed.issuer_name_hash, parsed.issuer_key_hash)
    except _UNREADABLE:
        return _failure(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
    now = context.clock.now()
    for _, authority in candidates:
        may_answer = authority.ocsp_configuration["Enabled"] and authority.certificate is not None
        if may_answer and _issuer_hashes(authority, algorithm) == asked:
            if authority.visible_status(now) in {Status.ACTIVE, Status.DISABLED}:
                status = _status(authority.issued.get(serial), now, context.settings.ocsp_delay)
                data = _response_data(authority, _certificate_id(request), status, now)
                return OcspAnswer(_signed(authority, data), now, now + LIFETIME)
            break
    return _failure(ocsp.OCSPResponseStatus.UNAUTHORIZED)


def _service_host(region: Region) -> str:
    return f"ocsp.acm-pca.{region.name}.{domain(region)}"


def _failure(status: ocsp.OCSPResponseStatus) -> OcspAnswer:
    response = ocsp.OCSPResponseBuilder.build_unsuccessful(status)
    return OcspAnswer(response.public_bytes(Encoding.DER))


def _issuer_hashes(authority: Authority, algorithm: hashes.HashAlgorithm) -> tuple[bytes, bytes]:
    """RFC 6960 4.1.1: of the issuer's name, and of its key without tag, length and unused bits."""
    assert authority.certificate is not None  # noqa: S101 - the caller has looked
    return _digest(algorithm, authority.certificate.subject.public_bytes()), _digest(algorithm, _key_bits(authority))


def _digest(algorithm: hashes.HashAlgorithm, data: bytes) -> bytes:
    digest = hashes.Hash(algorithm)
    digest.update(data)
    return digest.finalize()


def _key_bits(authority: Authority) -> bytes:
    info = der.content_of(spki(authority.key.public_key()))
    bits = info[len(der.first_value(info)) :]
    return der.content_of(bits)[1:]


def _certificate_id(request: bytes) -> bytes:
    """The CertID of a request that was parsed before, as it came."""
    fields = der.content_of(der.content_of(request))
    while fields[0] in _BEFORE_REQUEST_LIST:
        fields = fields[len(der.first_value(fields)) :]
    return der.first_value(der.content_of(der.content_of(fields)))


def _signed(authority: Authority, data: bytes) -> bytes:
    """An OCSPResponse around a ResponseData; written here because cryptography signs OCSP with fewer algorithms than the service."""
    algorithm, signature = authority.signer().raw(data)
    basic = der.tlv(der.SEQUENCE, data, algorithm, der.tlv(der.BIT_STRING, b"\x00", signature))
    kind = der.tlv(der.OBJECT_IDENTIFIER, _BASIC_RESPONSE)
    inner = der.tlv(der.SEQUENCE, kind, der.tlv(der.OCTET_STRING, basic))
    return der.tlv(der.SEQUENCE, der.tlv(der.ENUMERATED, b"\x00"), der.explicit(0, inner))


def _response_data(authority: Authority, certificate_id: bytes, status: bytes, now: datetime) -> bytes:
    key_hash = hashlib.sha1(_key_bits(authority), usedforsecurity=False).digest()
    single = der.tlv(der.SEQUENCE, certificate_id, status, _time(now), der.explicit(0, _time(now + LIFETIME)))
    responder = der.explicit(2, der.tlv(der.OCTET_STRING, key_hash))
    return der.tlv(der.SEQUENCE, responder, _time(now), der.tlv(der.SEQUENCE, single))


def _status(issued: Issued | None, now: datetime, delay: timedelta) -> bytes:
    """CertStatus: good [0], revoked [1] with moment and reason, unknown [2]."""
    if issued is None:
        return der.tlv(0x82)
    if issued.revoked_at is None or now < issued.revoked_at + delay:
        return der.tlv(0x80)
    code = _REASON_CODES.get(issued.reason or "")
    reason = der.explicit(0, der.tlv(der.ENUMERATED, bytes([code]))) if code else b""
    return der.explicit(1, _time(issued.revoked_at) + reason)


def _time(moment: datetime) -> bytes:
    return der.tlv(der.GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode("ascii"))
