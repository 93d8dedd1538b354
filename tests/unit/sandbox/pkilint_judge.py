"""pkilint in this process: the codes of its findings of severity ERROR and worse. Its modules are untyped, so they are loaded by name."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

_SEVERE = {"ERROR", "FATAL"}


def _module(name: str) -> Any:
    return importlib.import_module(f"pkilint.{name}")


def certificate_faults(one: x509.Certificate) -> list[str]:
    document = _module("loader").load_certificate(one.public_bytes(Encoding.DER), "certificate")
    return _faults(_certificate_validator(), document)


def crl_faults(one: x509.CertificateRevocationList) -> list[str]:
    return _faults(_crl_validator(), _module("loader").load_crl(one.public_bytes(Encoding.DER), "crl"))


def ocsp_faults(response: bytes) -> list[str]:
    return _faults(_ocsp_validator(), _module("loader").load_ocsp_response(response, "response"))


def _faults(validator: Any, document: Any) -> list[str]:
    return [
        str(description.finding.code)
        for result in validator.validate(document.root)
        for description in result.finding_descriptions
        if description.finding.severity.name in _SEVERE
    ]


def _decoders() -> list[Any]:
    pkix = _module("pkix")
    return [
        pkix.create_attribute_decoder(_module("pkix.name").ATTRIBUTE_TYPE_MAPPINGS),
        pkix.create_extension_decoder(_module("pkix.extension").EXTENSION_MAPPINGS),
    ]


@functools.cache
def _certificate_validator() -> Any:
    certificate = _module("pkix.certificate")
    decoders = certificate.create_decoding_validators(
        _module("pkix.name").ATTRIBUTE_TYPE_MAPPINGS, _module("pkix.extension").EXTENSION_MAPPINGS
    )
    validators = [
        certificate.create_issuer_validator_container([]),
        certificate.create_validity_validator_container(),
        certificate.create_subject_validator_container([]),
        certificate.create_extensions_validator_container([]),
        certificate.create_spki_validator_container([]),
    ]
    return certificate.create_pkix_certificate_validator_container(decoders, validators)


@functools.cache
def _crl_validator() -> Any:
    crl = _module("pkix.crl")
    validators = [
        crl.create_issuer_validator_container([]),
        crl.create_validity_validator_container([]),
        crl.create_extensions_validator_container([]),
    ]
    return crl.create_pkix_crl_validator_container(_decoders(), validators)


@functools.cache
def _ocsp_validator() -> Any:
    ocsp = _module("pkix.ocsp")
    decoders = [ocsp.create_response_decoder(), *_decoders()]
    return ocsp.create_pkix_ocsp_response_validator_container(decoders, [])
