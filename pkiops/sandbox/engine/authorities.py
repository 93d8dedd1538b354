"""Authorities from creation to deletion: create, describe, list, CSR, update, delete, restore.

What this module decides: what a new CA is and what Describe says of it. The certificate is ``installation``'s, CRL settings
are ``revocation``'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import SubjectInformationAccessOID

from pkiops.sandbox.engine import crl, crl_locations, keys, revocation, tags
from pkiops.sandbox.engine.certificates import pem, pem_chain
from pkiops.sandbox.engine.errors import ServiceError, in_progress, invalid_args, limit_exceeded
from pkiops.sandbox.engine.extensions import key_usage
from pkiops.sandbox.engine.general_names import information_access
from pkiops.sandbox.engine.paging import page
from pkiops.sandbox.engine.state import Authority, Context, Region, Status, find_authority, require_state
from pkiops.sandbox.engine.subjects import name, object_identifier
from pkiops.sandbox.engine.tokens import request_digest

_DEFAULT_STANDARD = "FIPS_140_2_LEVEL_3_OR_HIGHER"
_CHINA_STANDARD = "CCPC_LEVEL_1_OR_HIGHER"
_DEFAULT_RESTORE_DAYS = 30
_ACCESS_METHODS = {
    "CA_REPOSITORY": SubjectInformationAccessOID.CA_REPOSITORY,
    "RESOURCE_PKI_MANIFEST": x509.ObjectIdentifier("1.3.6.1.5.5.7.48.10"),
    "RESOURCE_PKI_NOTIFY": x509.ObjectIdentifier("1.3.6.1.5.5.7.48.13"),
}


def create(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """CreateCertificateAuthority."""
    now = context.clock.now()
    token = request.get("IdempotencyToken")
    token_key = ("CreateCertificateAuthority", "token" if token else "inputs", token or request_digest(request))
    if known := region.tokens.answer(token_key, now):
        return {"CertificateAuthorityArn": known}
    limit = context.settings.authorities_per_region
    if len(region.authorities) >= limit:
        raise limit_exceeded(limit, "certificate authorities of an account in a Region")
    configuration = request["CertificateAuthorityConfiguration"]
    keys.require_family(configuration["KeyAlgorithm"], configuration["SigningAlgorithm"])
    standard = _security_standard(request.get("KeyStorageSecurityStandard"), region)
    identifier = context.randomness.uuid4()
    authority = Authority(
        arn=f"arn:{region.partition}:acm-pca:{region.name}:{region.account}:certificate-authority/{identifier}",
        kind=request["CertificateAuthorityType"],
        configuration=configuration,
        subject=name(configuration["Subject"]),
        key=None,
        revocation=revocation.settled_configuration(request.get("RevocationConfiguration")),
        usage_mode=request.get("UsageMode", "GENERAL_PURPOSE"),
        security_standard=standard,
        created_at=now,
        changed_at=now,
        readiness=context.pace.creating(now),
        tags=tags.checked(request.get("Tags", [])),
    )
    authority.key = keys.generate(authority.key_algorithm)
    authority.csr_pem = _csr(authority)
    revocation.probe_bucket(context, region, authority)
    region.creations += 1
    authority.failure_reason = context.settings.failed_creations.get(region.creations)
    region.authorities[authority.arn] = authority
    crl_locations.remember_hosts(authority, region)
    region.tokens.remember(token_key, authority.arn, now)
    return {"CertificateAuthorityArn": authority.arn}


def _security_standard(given: str | None, region: Region) -> str:
    """The default is the same everywhere, so in China the other one must be asked for (API reference, with this message)."""
    standard = given or _DEFAULT_STANDARD
    if region.partition == "aws-cn" and standard != _CHINA_STANDARD:
        raise invalid_args(
            "A certificate authority cannot be created in this region with the specified security standard."
        )
    return standard


def describe(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """DescribeCertificateAuthority."""
    authority = find_authority(region, request["CertificateAuthorityArn"])
    _poll_creation(authority, context.clock.now())
    return {"CertificateAuthority": _description(authority, region, context.clock.now())}


def list_authorities(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """ListCertificateAuthorities of one's own: newest first, DELETED ones too."""
    return _listed(context, ((region, authority) for authority in region.authorities.values()), request)


def list_shared(
    context: Context, shared: Iterable[tuple[Region, Authority]], request: dict[str, Any]
) -> dict[str, Any]:
    """ListCertificateAuthorities of other accounts, each with its owner's Region: newest first."""
    return _listed(context, sorted(shared, key=lambda each: each[1].created_at), request)


def _listed(
    context: Context, oldest_first: Iterable[tuple[Region, Authority]], request: dict[str, Any]
) -> dict[str, Any]:
    now = context.clock.now()
    newest_first = list(oldest_first)[::-1]
    answer = page("CertificateAuthorities", newest_first, request, key=lambda each: each[1].arn)
    shown = [_description(authority, region, now) for region, authority in answer["CertificateAuthorities"]]
    return {**answer, "CertificateAuthorities": shown}


def settle_creation(authority: Authority, now: datetime) -> None:
    """Move a CREATING authority on if its time has come."""
    if authority.status is Status.CREATING and authority.readiness.is_ready(now):
        _end_creation(authority, now)


def _poll_creation(authority: Authority, now: datetime) -> None:
    if authority.status is Status.CREATING and authority.readiness.poll(now):
        _end_creation(authority, now)


def _end_creation(authority: Authority, now: datetime) -> None:
    authority.change_status(Status.FAILED if authority.failure_reason else Status.PENDING, now)


def _description(authority: Authority, region: Region, now: datetime) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "Arn": authority.arn,
        "OwnerAccount": region.account,
        "CreatedAt": int(authority.created_at.timestamp()),
        "LastStateChangeAt": int(authority.changed_at.timestamp()),
        "Type": authority.kind,
        "Status": str(authority.visible_status(now)),
        "CertificateAuthorityConfiguration": authority.configuration,
        "RevocationConfiguration": authority.revocation,
        "KeyStorageSecurityStandard": authority.security_standard,
        "UsageMode": authority.usage_mode,
    }
    if authority.certificate is not None:
        answer["Serial"] = str(authority.certificate.serial_number)
        answer["NotBefore"] = int(authority.certificate.not_valid_before_utc.timestamp())
        answer["NotAfter"] = int(authority.certificate.not_valid_after_utc.timestamp())
    if authority.status is Status.FAILED:
        answer["FailureReason"] = authority.failure_reason
    if authority.restorable_until is not None:
        answer["RestorableUntil"] = int(authority.restorable_until.timestamp())
    return answer


def get_csr(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """GetCertificateAuthorityCsr."""
    authority = find_authority(region, request["CertificateAuthorityArn"])
    _poll_creation(authority, context.clock.now())
    if authority.status is Status.CREATING:
        raise in_progress(f"The certificate signing request of {authority.arn} is being created")
    if authority.status is Status.FAILED:
        raise ServiceError("RequestFailedException", f"Creating {authority.arn} has failed: {authority.failure_reason}")
    require_state(authority, "GetCertificateAuthorityCsr", context.clock.now())
    return {"Csr": authority.csr_pem}


def _csr(authority: Authority) -> str:
    """The CSR, made at creation so that what no CSR can carry is refused there."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(authority.subject)
    for value, critical in _csr_extensions(authority.configuration):
        builder = builder.add_extension(value, critical=critical)
    try:
        return authority.signer().csr(builder).public_bytes(Encoding.PEM).decode("ascii")
    except ValueError as error:
        raise invalid_args(f"The subject or its extensions cannot be encoded: {error}") from error


def _csr_extensions(configuration: dict[str, Any]) -> list[tuple[x509.ExtensionType, bool]]:
    given = configuration.get("CsrExtensions") or {}
    found: list[tuple[x509.ExtensionType, bool]] = [(x509.BasicConstraints(ca=True, path_length=None), True)]
    if "KeyUsage" in given:
        found.append((key_usage(given["KeyUsage"]), True))
    if given.get("SubjectInformationAccess"):
        descriptions = [(_access_method(item), item["AccessLocation"]) for item in given["SubjectInformationAccess"]]
        found.append((information_access(descriptions), False))
    return found


def _access_method(item: dict[str, Any]) -> x509.ObjectIdentifier:
    method = item["AccessMethod"]
    if len(method) != 1:
        raise invalid_args("Exactly one of AccessMethodType and CustomObjectIdentifier must be given")
    known = method.get("AccessMethodType")
    return _ACCESS_METHODS[known] if known else object_identifier(method["CustomObjectIdentifier"])


def get_certificate(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """GetCertificateAuthorityCertificate."""
    authority = find_authority(region, request["CertificateAuthorityArn"])
    require_state(authority, "GetCertificateAuthorityCertificate", context.clock.now())
    assert authority.certificate is not None  # noqa: S101 - no state that allows this call is without one
    answer = {"Certificate": pem(authority.certificate)}
    if authority.chain:
        answer["CertificateChain"] = pem_chain(authority.chain)
    return answer


def update(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """UpdateCertificateAuthority."""
    now = context.clock.now()
    authority = find_authority(region, request["CertificateAuthorityArn"])
    require_state(authority, "UpdateCertificateAuthority", now)
    wanted = request.get("Status")
    if wanted not in {None, Status.ACTIVE, Status.DISABLED}:
        raise invalid_args(f"Status can be set to ACTIVE or DISABLED, not {wanted}")
    if "RevocationConfiguration" in request:
        previous = authority.revocation
        authority.revocation = revocation.settled_configuration(request["RevocationConfiguration"])
        try:
            revocation.probe_bucket(context, region, authority)
        except BaseException:
            authority.revocation = previous
            raise
        crl_locations.remember_hosts(authority, region)
        if authority.crl is not None and authority.crl_configuration["Enabled"] and authority.revocation != previous:
            crl.publish(context, region, authority)
    if wanted is not None and wanted != authority.status:
        authority.change_status(Status(wanted), now)
    return {}


def delete(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """DeleteCertificateAuthority: kept for the restore window, but a CA that never came to be goes at once."""
    now = context.clock.now()
    authority = find_authority(region, request["CertificateAuthorityArn"])
    require_state(authority, "DeleteCertificateAuthority", now)
    if authority.status in {Status.CREATING, Status.FAILED}:
        del region.authorities[authority.arn]
        return {}
    authority.status_before_delete = authority.status
    authority.restorable_until = now + timedelta(days=request.get("PermanentDeletionTimeInDays", _DEFAULT_RESTORE_DAYS))
    authority.change_status(Status.DELETED, now)
    return {}


def restore(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """RestoreCertificateAuthority: back to the status before the deletion."""
    authority = find_authority(region, request["CertificateAuthorityArn"])
    require_state(authority, "RestoreCertificateAuthority", context.clock.now())
    authority.restorable_until = None
    authority.change_status(authority.status_before_delete or Status.DISABLED, context.clock.now())
    return {}


def forget_deleted(region: Region, now: datetime) -> None:
    """Drop what can no longer be restored."""
    for arn, authority in list(region.authorities.items()):
        if authority.restorable_until is not None and now > authority.restorable_until:
            del region.authorities[arn]
