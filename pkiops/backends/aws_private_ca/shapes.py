"""Between our data and the shapes of the acm-pca API, in both directions; pure.

Every request that creates something is built here completely, so that its token can be derived from all of it.
Source: CreateCertificateAuthority, IssueCertificate, DescribeCertificateAuthority of the service's API reference.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from pkiops.backends.aws_private_ca.subject_shapes import (
    attributes_from_api,
    csr_extensions_from_api,
    csr_extensions_to_api,
    key_usage_to_api,
    subject_from_api,
    subject_to_api,
)
from pkiops.backends.aws_private_ca.templates import Template
from pkiops.backends.interface import (
    AuthorityRequest,
    AuthorityStatus,
    AuthorityType,
    CrlSettings,
    ObservedAuthority,
    OcspSettings,
)
from pkiops.errors import BackendError

if TYPE_CHECKING:
    from pkiops.x509.san import SubjectAltName

_E = TypeVar("_E", bound=StrEnum)

NAME_CONSTRAINTS = "2.5.29.30"
_DEFAULT_CRL_PATH = "crl"

_SAN_KEYS = {
    "dns": "DnsName",
    "uri": "UniformResourceIdentifier",
    "ip": "IpAddress",
    "email": "Rfc822Name",
}


def crl_to_api(crl: CrlSettings) -> dict[str, Any]:
    """CRL settings as CrlConfiguration.

    The ACL is always BUCKET_OWNER_FULL_CONTROL: the service's default fails on every bucket that blocks public access.
    """
    configuration: dict[str, Any] = {
        "Enabled": True,
        "ExpirationInDays": crl.validity_days,
        "S3BucketName": crl.bucket,
        "S3ObjectAcl": "BUCKET_OWNER_FULL_CONTROL",
    }
    if not crl.named:
        # the service refuses a host beside it
        configuration["CrlDistributionPointExtensionConfiguration"] = {"OmitExtension": True}
    elif crl.host:
        configuration["CustomCname"] = crl.host
    if not crl.complete:
        configuration["CrlType"] = "PARTITIONED"
    if crl.path != _DEFAULT_CRL_PATH:
        configuration["CustomPath"] = crl.path
    return configuration


def crl_from_api(configuration: Mapping[str, Any] | None) -> CrlSettings | None:
    """A CrlConfiguration as CRL settings, None when the CA publishes no CRL."""
    if not configuration or not configuration.get("Enabled"):
        return None
    return CrlSettings(
        bucket=configuration.get("S3BucketName", ""),
        host=configuration.get("CustomCname"),
        validity_days=int(configuration.get("ExpirationInDays", 0)),
        path=configuration.get("CustomPath") or _DEFAULT_CRL_PATH,
        named=not (configuration.get("CrlDistributionPointExtensionConfiguration") or {}).get("OmitExtension"),
        complete=configuration.get("CrlType", "COMPLETE") == "COMPLETE",
    )


def changed_crl(before: Mapping[str, Any], crl: CrlSettings) -> dict[str, Any]:
    """The CrlConfiguration that turns one into ``crl``: what we have no word for stays, what contradicts it does not."""
    changed = {key: value for key, value in before.items() if key not in {"CustomCname", "CustomPath"}}
    if crl.named and changed.get("CrlDistributionPointExtensionConfiguration"):
        changed["CrlDistributionPointExtensionConfiguration"] = {"OmitExtension": False}
    if crl.complete and "CrlType" in changed:
        changed["CrlType"] = "COMPLETE"
    return {**changed, **crl_to_api(crl)}


def changed_ocsp(before: Mapping[str, Any], ocsp: OcspSettings) -> dict[str, Any]:
    """The OcspConfiguration that turns one into ``ocsp``; a responder that is off takes no other member."""
    if not ocsp.enabled:
        return {"Enabled": False}
    changed = {key: value for key, value in before.items() if key != "OcspCustomCname"}
    host = {"OcspCustomCname": ocsp.host} if ocsp.host else {}
    return {**changed, "Enabled": True, **host}


def create_parameters(request: AuthorityRequest, partition: str = "aws") -> dict[str, Any]:
    """The CreateCertificateAuthority request, without its token."""
    # regions in China have no FIPS hardware, and refuse the default
    standard = request.key_storage_security_standard or ("CCPC_LEVEL_1_OR_HIGHER" if partition == "aws-cn" else None)
    revocation: dict[str, Any] = {"CrlConfiguration": crl_to_api(request.crl)}
    if request.ocsp is not None and request.ocsp.enabled:
        revocation["OcspConfiguration"] = changed_ocsp({}, request.ocsp)
    extensions = csr_extensions_to_api(request.csr_extensions)
    return {
        **({"KeyStorageSecurityStandard": standard} if standard else {}),
        "CertificateAuthorityType": request.type.value,
        "CertificateAuthorityConfiguration": {
            "KeyAlgorithm": request.key_algorithm.value,
            "SigningAlgorithm": request.signing_algorithm.value,
            "Subject": subject_to_api(request.subject, request.subject_attributes),
            **({"CsrExtensions": extensions} if extensions else {}),
        },
        "RevocationConfiguration": revocation,
        "UsageMode": request.usage_mode,
        "Tags": [{"Key": key, "Value": request.tags[key]} for key in sorted(request.tags)],
    }


def issue_parameters(
    *,
    authority: str,
    csr_pem: bytes,
    signing_algorithm: str,
    template_arn: str,
    not_before: datetime,
    not_after: datetime,
    api_passthrough: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The IssueCertificate request, without its token. Both ends of the validity are absolute."""
    parameters: dict[str, Any] = {
        "CertificateAuthorityArn": authority,
        "Csr": csr_pem,
        "SigningAlgorithm": signing_algorithm,
        "TemplateArn": template_arn,
        "Validity": {"Type": "ABSOLUTE", "Value": int(not_after.timestamp())},
        "ValidityNotBefore": {"Type": "ABSOLUTE", "Value": int(not_before.timestamp())},
    }
    if api_passthrough:
        parameters["ApiPassthrough"] = dict(api_passthrough)
    return parameters


def names_passthrough(subject: Mapping[str, str], sans: Sequence[SubjectAltName]) -> dict[str, Any]:
    """Approved names as ApiPassthrough; one choice per GeneralName."""
    passthrough: dict[str, Any] = {}
    if any(subject.values()):
        passthrough["Subject"] = subject_to_api(subject)
    if sans:
        passthrough["Extensions"] = {
            "SubjectAlternativeNames": [{_SAN_KEYS[san.kind.value]: san.value} for san in sans]
        }
    return passthrough


def authority_passthrough(template: Template, name_constraints: bytes | None) -> dict[str, Any] | None:
    """What a CA template leaves to the caller: the key usage of a blank one, and name constraints (critical, RFC 5280 section 4.2.1.10).

    None for a template that takes nothing.
    """
    if not template.passthrough:
        return None
    extensions: dict[str, Any] = {}
    if template.blank:
        extensions["KeyUsage"] = key_usage_to_api(template.key_usage)
    if name_constraints is not None:
        value = base64.b64encode(name_constraints).decode("ascii")
        extensions["CustomExtensions"] = [{"ObjectIdentifier": NAME_CONSTRAINTS, "Value": value, "Critical": True}]
    return {"Extensions": extensions}


def authority_from_api(answer: Mapping[str, Any], tags: Mapping[str, str] | None) -> ObservedAuthority:
    """A CertificateAuthority structure as observed authority.

    Its ``Serial`` is left out: the documentation shows it decimal in one place and hexadecimal in another. The certificate has the right one.
    """
    configuration = answer.get("CertificateAuthorityConfiguration", {})
    revocation = answer.get("RevocationConfiguration") or {}
    subject = configuration.get("Subject", {})
    ocsp = revocation.get("OcspConfiguration") or {}
    return ObservedAuthority(
        reference=answer["Arn"],
        type=_known(AuthorityType, answer, "Type"),
        status=_known(AuthorityStatus, answer, "Status"),
        subject=subject_from_api(subject),
        subject_attributes=attributes_from_api(subject),
        csr_extensions=csr_extensions_from_api(configuration.get("CsrExtensions")),
        key_storage_security_standard=answer.get("KeyStorageSecurityStandard"),
        key_algorithm=configuration.get("KeyAlgorithm", ""),
        signing_algorithm=configuration.get("SigningAlgorithm", ""),
        usage_mode=answer.get("UsageMode", "GENERAL_PURPOSE"),
        created_at=_moment(answer["CreatedAt"]),
        not_before=_moment_or_none(answer.get("NotBefore")),
        not_after=_moment_or_none(answer.get("NotAfter")),
        crl=crl_from_api(revocation.get("CrlConfiguration")),
        ocsp=bool(ocsp.get("Enabled")),
        ocsp_host=ocsp.get("OcspCustomCname") if ocsp.get("Enabled") else None,
        changed_at=_moment_or_none(answer.get("LastStateChangeAt")),
        tags=tags,
        owner_account=answer.get("OwnerAccount"),
        failure_reason=answer.get("FailureReason"),
        restorable_until=_moment_or_none(answer.get("RestorableUntil")),
    )


def authority_id(reference: str) -> str:
    """The last part of a CA's ARN: the name its CRL object carries."""
    return reference.rsplit("/", 1)[-1]


def partition_of_arn(reference: str) -> str:
    """The partition of an ARN; templates are named in the CA's own."""
    return reference.split(":", 2)[1]


def _known(kind: type[_E], answer: Mapping[str, Any], key: str) -> _E:
    try:
        return kind(answer[key])
    except ValueError as error:
        raise BackendError(
            f"{answer['Arn']}: {key} is {answer[key]!r}, which this version of pkiops does not know",
            code="backend.answer",
        ) from error


def _moment(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(microsecond=0)


def _moment_or_none(value: datetime | None) -> datetime | None:
    return _moment(value) if value else None
