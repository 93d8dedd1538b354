"""Names and request extensions between our data and the acm-pca API, in both directions; pure.

Source: ASN1Subject, CustomAttribute, CsrExtensions, AccessDescription and GeneralName of the service's API reference. Standard fields and custom
attributes are never mixed there; the order of the name is the service's for fields, and the caller's for custom attributes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pkiops.backends.interface import CsrExtensions, InformationAccess
from pkiops.x509.attribute_types import by_name

_SUBJECT_KEYS = {
    "country": "Country",
    "organization": "Organization",
    "organizational_unit": "OrganizationalUnit",
    "distinguished_name_qualifier": "DistinguishedNameQualifier",
    "state": "State",
    "common_name": "CommonName",
    "serial_number": "SerialNumber",
    "locality": "Locality",
    "title": "Title",
    "surname": "Surname",
    "given_name": "GivenName",
    "initials": "Initials",
    "pseudonym": "Pseudonym",
    "generation_qualifier": "GenerationQualifier",
}
_SUBJECT_NAMES = {value: key for key, value in _SUBJECT_KEYS.items()}
_KEY_USAGE_KEYS = {
    "digitalSignature": "DigitalSignature",
    "nonRepudiation": "NonRepudiation",
    "keyEncipherment": "KeyEncipherment",
    "dataEncipherment": "DataEncipherment",
    "keyAgreement": "KeyAgreement",
    "keyCertSign": "KeyCertSign",
    "cRLSign": "CRLSign",
    "encipherOnly": "EncipherOnly",
    "decipherOnly": "DecipherOnly",
}
_METHODS = {
    "1.3.6.1.5.5.7.48.5": "CA_REPOSITORY",
    "1.3.6.1.5.5.7.48.10": "RESOURCE_PKI_MANIFEST",
    "1.3.6.1.5.5.7.48.13": "RESOURCE_PKI_NOTIFY",
}
_METHOD_OIDS = {name: oid for oid, name in _METHODS.items()}
_LOCATION_KEYS = {
    "uri": "UniformResourceIdentifier",
    "dns": "DnsName",
    "email": "Rfc822Name",
    "ip": "IpAddress",
    "registered_id": "RegisteredId",
}
_LOCATION_NAMES = {value: key for key, value in _LOCATION_KEYS.items()}


def subject_to_api(subject: Mapping[str, str], attributes: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """A subject as ASN1Subject: its ``attributes`` (OID, value) in their order, else its fields."""
    if attributes:
        return {"CustomAttributes": [{"ObjectIdentifier": oid, "Value": value} for oid, value in attributes]}
    return {_SUBJECT_KEYS[name]: value for name, value in subject.items() if value}


def subject_from_api(subject: Mapping[str, Any]) -> dict[str, str]:
    """An ASN1Subject by our names; fields we have no name for keep the service's, repeated attributes are joined."""
    named = {_SUBJECT_NAMES.get(key, key): str(value) for key, value in subject.items() if key != "CustomAttributes"}
    return {**named, **by_name(attributes_from_api(subject))}


def attributes_from_api(subject: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The custom attributes of an ASN1Subject as (OID, value), in their order."""
    return tuple((str(one["ObjectIdentifier"]), str(one["Value"])) for one in subject.get("CustomAttributes") or ())


def key_usage_to_api(usages: Sequence[str]) -> dict[str, bool]:
    """Key usages by RFC 5280 name as KeyUsage."""
    return {_KEY_USAGE_KEYS[name]: True for name in usages}


def csr_extensions_to_api(extensions: CsrExtensions) -> dict[str, Any]:
    """CsrExtensions; empty where nothing is asked for."""
    given: dict[str, Any] = {}
    if extensions.key_usage:
        given["KeyUsage"] = key_usage_to_api(extensions.key_usage)
    if extensions.information_access:
        given["SubjectInformationAccess"] = [
            {"AccessMethod": _method_to_api(one.method), "AccessLocation": {_LOCATION_KEYS[one.form]: one.value}}
            for one in extensions.information_access
        ]
    return given


def csr_extensions_from_api(given: Mapping[str, Any] | None) -> CsrExtensions:
    """What a CertificateAuthorityConfiguration says of its request; usages that are false are as good as absent."""
    given = given or {}
    usage = given.get("KeyUsage") or {}
    names = sorted(name for name, key in _KEY_USAGE_KEYS.items() if usage.get(key))
    access = tuple(_access_from_api(one) for one in given.get("SubjectInformationAccess") or ())
    return CsrExtensions(tuple(names), access)


def _method_to_api(oid: str) -> dict[str, str]:
    known = _METHODS.get(oid)
    return {"AccessMethodType": known} if known else {"CustomObjectIdentifier": oid}


def _access_from_api(given: Mapping[str, Any]) -> InformationAccess:
    method = given.get("AccessMethod") or {}
    known = method.get("AccessMethodType", "")
    oid = method.get("CustomObjectIdentifier") or _METHOD_OIDS.get(known, known)
    ((form, value),) = list((given.get("AccessLocation") or {"none": ""}).items())[:1]
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return InformationAccess(oid, _LOCATION_NAMES.get(form, form), text)
