"""Names of the API (``ASN1Subject``) as X.509 names.

What this module decides: the order of the relative names (the order of the service's model), their string types, and the
refusals that the model cannot express: an empty subject, standard fields mixed with custom attributes. Length limits are the model's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from pkiops.sandbox.engine.errors import invalid_args

_STANDARD = {
    "Country": NameOID.COUNTRY_NAME,
    "Organization": NameOID.ORGANIZATION_NAME,
    "OrganizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "DistinguishedNameQualifier": NameOID.DN_QUALIFIER,
    "State": NameOID.STATE_OR_PROVINCE_NAME,
    "CommonName": NameOID.COMMON_NAME,
    "SerialNumber": NameOID.SERIAL_NUMBER,
    "Locality": NameOID.LOCALITY_NAME,
    "Title": NameOID.TITLE,
    "Surname": NameOID.SURNAME,
    "GivenName": NameOID.GIVEN_NAME,
    "Initials": NameOID.INITIALS,
    "Pseudonym": NameOID.PSEUDONYM,
    "GenerationQualifier": NameOID.GENERATION_QUALIFIER,
}


def name(subject: Mapping[str, Any]) -> x509.Name:
    """An ``ASN1Subject`` as a name.

    Raises:
        ServiceError: ``InvalidArgsException``, nothing in it, both kinds of attribute, or a value that cannot be encoded.
    """
    custom = subject.get("CustomAttributes") or []
    given = [(oid, subject[field]) for field, oid in _STANDARD.items() if subject.get(field)]
    if custom and given:
        raise invalid_args("CustomAttributes cannot be combined with the standard fields of a subject")
    if custom:
        given = [(object_identifier(attribute["ObjectIdentifier"]), attribute["Value"]) for attribute in custom]
    if not given:
        raise invalid_args("The subject must hold at least one attribute")
    try:
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in given])
    except ValueError as error:
        raise invalid_args(f"The subject cannot be encoded: {error}") from error


def object_identifier(dotted: str) -> x509.ObjectIdentifier:
    """A dotted OID of the API.

    Raises:
        ServiceError: ``InvalidArgsException``.
    """
    try:
        return x509.ObjectIdentifier(dotted)
    except ValueError as error:
        raise invalid_args(f"{dotted} is not an object identifier") from error
