"""Services that behave differently from the sandbox: what a proxy in front of it answers instead."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

Answer: TypeAlias = Callable[[str, int, bytes], tuple[int, bytes]]
Request: TypeAlias = Callable[[str, bytes], bytes]
_KEY = ec.generate_private_key(ec.SECP256R1())  # nobody verifies what the canary reads


def refusing(operation: str, code: str, instead_of: str, message: str = "no") -> Answer:
    """Another error code."""

    def answer(name: str, status: int, body: bytes) -> tuple[int, bytes]:
        if not name.endswith(f".{operation}") or status == 200 or instead_of.encode() not in body:
            return status, body
        return 400, json.dumps({"__type": code, "message": message}).encode()

    return answer


def saying(operation: str, change: Callable[[dict[str, Any]], None]) -> Answer:
    """Something else in an answer."""

    def answer(name: str, status: int, body: bytes) -> tuple[int, bytes]:
        if not name.endswith(f".{operation}") or status != 200:
            return status, body
        found = json.loads(body)
        change(found)
        return status, json.dumps(found).encode()

    return answer


def certificates(
    *, without: type[x509.ExtensionType] | None = None, later: timedelta = timedelta(), serial: int | None = None
) -> Answer:
    """Certificates that lack an extension, start later, or have another serial number."""

    def other(pem: str) -> str:
        found = x509.load_pem_x509_certificate(pem.encode())
        builder = (
            x509.CertificateBuilder()
            .subject_name(found.subject)
            .issuer_name(found.issuer)
            .public_key(found.public_key())
            .serial_number(serial or found.serial_number)
            .not_valid_before(found.not_valid_before_utc + later)
            .not_valid_after(found.not_valid_after_utc)
        )
        for each in found.extensions:
            if without is None or not isinstance(each.value, without):
                builder = builder.add_extension(each.value, critical=each.critical)
        return builder.sign(_KEY, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    def answer(name: str, status: int, body: bytes) -> tuple[int, bytes]:
        if not name.endswith(".GetCertificate") or status != 200:
            return status, body
        found = json.loads(body)
        if (
            x509.load_pem_x509_certificate(found["Certificate"].encode())
            .extensions.get_extension_for_class(x509.BasicConstraints)
            .value.ca
        ):
            return status, body  # the CA would not take it back
        return status, json.dumps({**found, "Certificate": other(found["Certificate"])}).encode()

    return answer


def crls(*, number: int | None = None, later: timedelta = timedelta(), pem: bool = False) -> Answer:
    """CRLs with another number, another thisUpdate, or in PEM."""

    def answer(name: str, status: int, body: bytes) -> tuple[int, bytes]:
        if not name.startswith("GET ") or ".crl" not in name or status != 200:
            return status, body
        found = x509.load_der_x509_crl(body)
        assert found.next_update_utc is not None
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(found.issuer)
            .last_update(found.last_update_utc + later)
            .next_update(found.next_update_utc)
        )
        for each in found.extensions:
            is_number = number is not None and isinstance(each.value, x509.CRLNumber)
            builder = builder.add_extension(x509.CRLNumber(number or 0) if is_number else each.value, each.critical)
        for entry in found:
            builder = builder.add_revoked_certificate(entry)
        return status, builder.sign(_KEY, hashes.SHA256()).public_bytes(Encoding.PEM if pem else Encoding.DER)

    return answer


def asked(operation: str, change: Callable[[dict[str, Any]], None]) -> Request:
    """A service that reads something else in a request."""

    def request(name: str, body: bytes) -> bytes:
        if not name.endswith(f".{operation}"):
            return body
        found = json.loads(body)
        change(found)
        return json.dumps(found).encode()

    return request


def all_of(*answers: Answer) -> Answer:
    """One after the other."""

    def answer(name: str, status: int, body: bytes) -> tuple[int, bytes]:
        for each in answers:
            status, body = each(name, status, body)
        return status, body

    return answer
