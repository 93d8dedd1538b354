"""Which extensions a certificate gets, and from where: template, CA configuration, API, CSR, in this order.

What this module decides: the precedence of template-order-of-operations of the user guide, and how the API's extensions
become X.509. The first source to name an extension wins; what comes later under the same OID is dropped silently, as the service does.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, ExtensionOID

from pkiops.sandbox.engine.certificates import UNREADABLE
from pkiops.sandbox.engine.errors import invalid_args
from pkiops.sandbox.engine.general_names import alternative_names
from pkiops.sandbox.engine.subjects import object_identifier
from pkiops.sandbox.engine.templates import Template

_KEY_USAGE = {
    "DigitalSignature": "digital_signature",
    "NonRepudiation": "content_commitment",
    "KeyEncipherment": "key_encipherment",
    "DataEncipherment": "data_encipherment",
    "KeyAgreement": "key_agreement",
    "KeyCertSign": "key_cert_sign",
    "CRLSign": "crl_sign",
    "EncipherOnly": "encipher_only",
    "DecipherOnly": "decipher_only",
}
_EXTENDED_KEY_USAGE = {
    "SERVER_AUTH": ExtendedKeyUsageOID.SERVER_AUTH,
    "CLIENT_AUTH": ExtendedKeyUsageOID.CLIENT_AUTH,
    "CODE_SIGNING": ExtendedKeyUsageOID.CODE_SIGNING,
    "EMAIL_PROTECTION": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "TIME_STAMPING": ExtendedKeyUsageOID.TIME_STAMPING,
    "OCSP_SIGNING": ExtendedKeyUsageOID.OCSP_SIGNING,
    "SMART_CARD_LOGIN": ExtendedKeyUsageOID.SMARTCARD_LOGON,
    "DOCUMENT_SIGNING": x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.12"),
    "CERTIFICATE_TRANSPARENCY": x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.4"),
}


@dataclass(slots=True)
class _Extensions:
    """Extensions in the order they were settled; the first of an OID stays."""

    values: dict[x509.ObjectIdentifier, tuple[x509.ExtensionType, bool]] = field(default_factory=dict)

    def put(self, value: x509.ExtensionType, *, critical: bool) -> None:
        self.values.setdefault(value.oid, (value, critical))


@dataclass(frozen=True, slots=True)
class Sources:
    """Where extensions come from besides the template.

    ``issuer_key_identifier`` is None for a root; ``crl_url`` and ``ocsp_url`` are None where the CA writes no distribution point
    and no responder.
    """

    public_key: Any
    issuer_key_identifier: bytes | None
    crl_url: str | None
    ocsp_url: str | None
    api: Mapping[str, Any]
    csr: x509.Extensions
    subject_is_empty: bool


def assemble(template: Template, sources: Sources) -> list[tuple[x509.ExtensionType, bool]]:
    """The extensions of a certificate, each with its criticality.

    Raises:
        ServiceError: ``InvalidArgsException``, an extension of the API that cannot be encoded.
    """
    extensions = _Extensions()
    _from_template(extensions, template, sources)
    if sources.crl_url and not template.root:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(sources.crl_url)], None, None, None)
        extensions.put(x509.CRLDistributionPoints([point]), critical=False)
    if sources.ocsp_url and not template.root:
        # settled before passthrough, which therefore cannot bring its own
        location = x509.UniformResourceIdentifier(sources.ocsp_url)
        description = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, location)
        extensions.put(x509.AuthorityInformationAccess([description]), critical=False)
    if template.reads_api:
        _from_api(extensions, sources)
    for extension in sources.csr:
        is_name = extension.oid == ExtensionOID.SUBJECT_ALTERNATIVE_NAME
        is_point = extension.oid == ExtensionOID.CRL_DISTRIBUTION_POINTS and template.cdp_from_csr
        if template.reads_csr or is_point or (is_name and not template.root):
            extensions.put(extension.value, critical=extension.critical)
    return list(extensions.values.values())


def _from_template(extensions: _Extensions, template: Template, sources: Sources) -> None:
    extensions.put(
        x509.BasicConstraints(ca=template.ca, path_length=template.path_length),
        critical=template.basic_constraints_critical,
    )
    if sources.issuer_key_identifier is not None:
        extensions.put(x509.AuthorityKeyIdentifier(sources.issuer_key_identifier, None, None), critical=False)
    extensions.put(x509.SubjectKeyIdentifier.from_public_key(sources.public_key), critical=False)
    if template.key_usage is not None:
        extensions.put(_key_usage(template.key_usage), critical=True)
    if template.extended_key_usage is not None:
        extensions.put(
            x509.ExtendedKeyUsage(template.extended_key_usage), critical=template.extended_key_usage_critical
        )


def _from_api(extensions: _Extensions, sources: Sources) -> None:
    given = sources.api
    if "KeyUsage" in given:
        extensions.put(key_usage(given["KeyUsage"]), critical=True)
    if "ExtendedKeyUsage" in given:
        oids = [_extended_key_usage(usage) for usage in given["ExtendedKeyUsage"]]
        extensions.put(x509.ExtendedKeyUsage(oids), critical=False)
    if "SubjectAlternativeNames" in given:
        names = alternative_names(given["SubjectAlternativeNames"])
        # RFC 5280 4.2.1.6: critical where it is the only name
        extensions.put(names, critical=sources.subject_is_empty)
    if "CertificatePolicies" in given:
        policies = [_policy(policy) for policy in given["CertificatePolicies"]]
        extensions.put(x509.CertificatePolicies(policies), critical=False)
    for custom in given.get("CustomExtensions", []):
        value = base64.b64decode(custom["Value"])  # its alphabet is in the model
        extension = x509.UnrecognizedExtension(object_identifier(custom["ObjectIdentifier"]), value)
        if extension.oid not in extensions.values:  # what comes later is dropped, whatever it holds
            _require_readable(extension)
        extensions.put(extension, critical=custom.get("Critical", False))


def _require_readable(extension: x509.UnrecognizedExtension) -> None:
    """Refuse an extension whose object identifier is known and whose content is something else.

    What the service does with one is not documented; what it cannot read it could not have checked against its own rules.
    """
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    alone = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(extension, critical=False)
    try:
        list(alone.sign(key, None).extensions)  # cryptography reads extensions in such company only
    except x509.UnsupportedGeneralNameType:
        return  # well formed, with a name that cryptography does not know
    except UNREADABLE as error:
        raise invalid_args(
            f"The value of the custom extension {extension.oid.dotted_string} is not what its object identifier says"
        ) from error


def key_usage(given: Mapping[str, bool]) -> x509.KeyUsage:
    """The API's ``KeyUsage``.

    Raises:
        ServiceError: ``InvalidArgsException``, encipherOnly or decipherOnly without keyAgreement.
    """
    try:
        return _key_usage(frozenset(bit for field_name, bit in _KEY_USAGE.items() if given.get(field_name)))
    except ValueError as error:
        raise invalid_args(f"KeyUsage is not possible: {error}") from error


def _key_usage(bits: frozenset[str]) -> x509.KeyUsage:
    return x509.KeyUsage(**{bit: bit in bits for bit in _KEY_USAGE.values()})


def _extended_key_usage(usage: Mapping[str, str]) -> x509.ObjectIdentifier:
    if len(usage) != 1:
        raise invalid_args("Exactly one of ExtendedKeyUsageType and ExtendedKeyUsageObjectIdentifier must be given")
    if "ExtendedKeyUsageType" in usage:
        return _EXTENDED_KEY_USAGE[usage["ExtendedKeyUsageType"]]
    return object_identifier(usage["ExtendedKeyUsageObjectIdentifier"])


def _policy(policy: Mapping[str, Any]) -> x509.PolicyInformation:
    qualifiers = [q["Qualifier"]["CpsUri"] for q in policy.get("PolicyQualifiers", [])]
    return x509.PolicyInformation(object_identifier(policy["CertPolicyId"]), qualifiers or None)
