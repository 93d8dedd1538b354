"""RevokeCertificate, and the checks of a RevocationConfiguration.

What this module decides: serials are compared as numbers; what may be revoked; which CRL configurations are refused. Where the
service's error code is not documented the choice is ours and listed in docs/reference/sandbox-unverified.md.
"""

from __future__ import annotations

import re
from typing import Any

from pkiops.sandbox.engine import crl, partitions
from pkiops.sandbox.engine.errors import ServiceError, invalid_args, limit_exceeded, not_found, validation
from pkiops.sandbox.engine.state import (
    Authority,
    BucketRefused,
    Context,
    Region,
    find_authority,
    require_state,
)

_HEX = re.compile("[0-9a-fA-F]{1,128}")
_PROBES = ("acm-pca-permission-test-key", "acm-pca-permission-test-key-private")


def revoke_certificate(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """RevokeCertificate."""
    now = context.clock.now()
    authority = find_authority(region, request["CertificateAuthorityArn"])
    require_state(authority, "RevokeCertificate", now)
    serial = _serial(request["CertificateSerial"])
    issued = authority.issued.get(serial)
    if issued is None:
        raise not_found(f"Could not find a certificate with serial {request['CertificateSerial']}")
    if not issued.chain:
        raise ServiceError("InvalidRequestException", "Self-signed certificate can not be revoked")
    if issued.revoked_at is not None:
        raise ServiceError("RequestAlreadyProcessedException", f"Certificate {issued.arn} has already been revoked")
    if now > issued.certificate.not_valid_after_utc:
        raise ServiceError("InvalidRequestException", f"Certificate {issued.arn} has expired and can not be revoked")
    limit = context.settings.revocations_per_authority
    if len(authority.revoked) >= limit and not partitions.is_partitioned(authority):
        raise limit_exceeded(limit, "revoked certificates of a certificate authority with a complete CRL")
    issued.revoked_at = now
    issued.reason = request["RevocationReason"]
    authority.revoked.append(serial)
    crl.publish_revocation(context, region, authority)
    return {}


def _serial(text: str) -> int:
    digits = text.replace(":", "").replace(" ", "")
    if not _HEX.fullmatch(digits):
        raise validation(f"{text} is not a certificate serial number in hexadecimal")
    return int(digits, 16)


def settled_configuration(given: dict[str, Any] | None) -> dict[str, Any]:
    """A RevocationConfiguration with its defaults, held to the rules that join several members.

    A part that is not given is off: whether the service keeps it on update is not documented.

    Raises:
        ServiceError: the configuration contradicts itself, or asks for what the sandbox does not do.
    """
    given = given or {}
    responder = given.get("OcspConfiguration") or {"Enabled": False}
    if not responder["Enabled"] and set(responder) != {"Enabled"}:
        raise invalid_args("OcspConfiguration with Enabled=false must hold nothing else")
    _require_no_protocol("OcspCustomCname", responder.get("OcspCustomCname"))
    return {"CrlConfiguration": _settled_crl(given.get("CrlConfiguration")), "OcspConfiguration": dict(responder)}


def _settled_crl(given: dict[str, Any] | None) -> dict[str, Any]:
    given = given or {"Enabled": False}
    if not given["Enabled"]:
        if set(given) != {"Enabled"}:
            raise invalid_args("CrlConfiguration with Enabled=false must hold nothing else")
        return {"Enabled": False}
    missing = [name for name in ("ExpirationInDays", "S3BucketName") if not given.get(name)]
    if missing:
        raise invalid_args(f"CrlConfiguration with Enabled=true needs {' and '.join(missing)}")
    cname = given.get("CustomCname")
    _require_no_protocol("CustomCname", cname)
    omitted = (given.get("CrlDistributionPointExtensionConfiguration") or {}).get("OmitExtension")
    if cname and omitted:
        raise invalid_args("CustomCname is not allowed with OmitExtension")
    return {"S3ObjectAcl": "PUBLIC_READ", **given}


def _require_no_protocol(member: str, cname: str | None) -> None:
    if cname and "://" in cname:
        raise invalid_args(f"{member} {cname} must not name a protocol")


def probe_bucket(context: Context, region: Region, authority: Authority) -> None:
    """Write the service's test objects into the configured bucket, if any.

    Raises:
        ServiceError: ``ValidationException``, the bucket refuses.
    """
    if not authority.crl_configuration["Enabled"]:
        return
    access = crl.bucket_access(authority, region)
    try:
        for key in _PROBES:
            context.buckets.put(access, key, b"", "application/octet-stream")
    except BucketRefused as error:
        raise validation(
            f"Permission error with your S3 bucket '{access.bucket}': {error}. Check your S3 bucket permissions and try again"
        ) from error
