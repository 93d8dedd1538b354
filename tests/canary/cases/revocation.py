"""CRL settings, what is in the bucket and in certificates then, and revocation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError

from tests.canary.case import ACCEPTED, Case, Observation, Phase, refused
from tests.canary.certificates import csr, load, urls_of
from tests.canary.workspace import Unsettled, Workspace, code_of

_OFF = {"CrlConfiguration": {"Enabled": False}}
_UPDATE = "update_certificate_authority"
_RETRYABLE = frozenset({"ValidationException"})  # a bucket's policy takes seconds to spread


def _crl(workspace: Workspace, bucket: str = "open", **more: Any) -> dict[str, Any]:
    settings = {
        "Enabled": True,
        "ExpirationInDays": 7,
        "S3BucketName": workspace.bucket(bucket),
        "S3ObjectAcl": "BUCKET_OWNER_FULL_CONTROL",
        **more,
    }
    return {"CrlConfiguration": settings}


@contextlib.contextmanager
def _crl_on(workspace: Workspace, **more: Any) -> Iterator[None]:
    """CRLs into the bucket that is open to the service, turned off again at the end."""
    wanted = _crl(workspace, **more)
    workspace.patiently(
        lambda: workspace.pca.update_certificate_authority(
            CertificateAuthorityArn=workspace.arn, RevocationConfiguration=wanted
        ),
        _RETRYABLE,
    )
    try:
        yield
    finally:
        _turn_off(workspace)


def _turn_off(workspace: Workspace) -> None:
    workspace.patiently(
        lambda: workspace.pca.update_certificate_authority(
            CertificateAuthorityArn=workspace.arn, RevocationConfiguration=_OFF
        )
    )


def _configure(workspace: Workspace, configuration: dict[str, Any]) -> Observation:
    """Ask for CRL settings; turned off again if they were accepted."""
    found = workspace.ask(_UPDATE, RevocationConfiguration=configuration)
    if found == ACCEPTED:
        _turn_off(workspace)
    return found


def _partitioned_without_point(workspace: Workspace) -> Observation:
    omitted = {"CrlType": "PARTITIONED", "CrlDistributionPointExtensionConfiguration": {"OmitExtension": True}}
    try:
        with _crl_on(workspace, **omitted):
            return ACCEPTED
    except ClientError as error:
        workspace.message = str(error.response["Error"].get("Message") or "")
        return refused(code_of(error))


def _refused_bucket(workspace: Workspace, bucket: str, acl: str) -> Observation:
    found = _configure(workspace, _crl(workspace, bucket, S3ObjectAcl=acl))
    if found == ACCEPTED:
        return found
    assert isinstance(found, dict)
    # clients that wait for a policy to spread look for these words
    return {**found, "message": "names the S3 bucket" if "S3 bucket" in (workspace.message or "") else "other words"}


def _half_update(workspace: Workspace) -> Observation:
    with _crl_on(workspace):
        found = workspace.ask(_UPDATE, RevocationConfiguration={"OcspConfiguration": {"Enabled": False}})
        if found != ACCEPTED:
            return found
        configuration = workspace.describe()["RevocationConfiguration"].get("CrlConfiguration") or {}
        return {"CRL that was left out": "kept" if configuration.get("Enabled") else "off"}


def _probes(workspace: Workspace) -> Observation:
    with _crl_on(workspace):
        found: list[Observation] = [key for key in sorted(workspace.keys("open")) if "/" not in key]
        return found


def _point(workspace: Workspace) -> Observation:
    with _crl_on(workspace):
        found = load(workspace.issue(csr()))
    bucket, identifier = workspace.bucket("open"), workspace.arn.rpartition("/")[2]
    words = {bucket: "BUCKET", identifier: "CA-ID", workspace.place.region: "REGION"}
    urls: list[Observation] = []
    for url in urls_of(found):
        for word, instead in words.items():
            url = url.replace(word, instead)  # noqa: PLW2901 - word after word
        urls.append(url)
    return urls


def _serial_of_new(workspace: Workspace, **more: Any) -> int:
    return load(workspace.issue(csr(), **more)).serial_number


def _revoke(workspace: Workspace, serial: str) -> Observation:
    return workspace.ask("revoke_certificate", CertificateSerial=serial, RevocationReason="SUPERSEDED")


def _revoke_twice(workspace: Workspace) -> Observation:
    serial = f"{_serial_of_new(workspace):x}"
    if _revoke(workspace, serial) != ACCEPTED:
        raise Unsettled(f"the first revocation was refused: {workspace.message}")
    return _revoke(workspace, serial)


def _revoke_pairs(workspace: Workspace) -> Observation:
    return _revoke(workspace, _serial_of_new(workspace).to_bytes(16, "big").hex(":"))


def _revoke_own(workspace: Workspace) -> Observation:
    return _revoke(workspace, f"{load(workspace.own_certificate()).serial_number:x}")


def _revoke_expired(workspace: Workspace) -> Observation:
    end = workspace.now() + timedelta(seconds=60)
    serial = _serial_of_new(workspace, not_after=end)
    workspace.wait_until(end)
    return _revoke(workspace, f"{serial:x}")


CASES: tuple[Case, ...] = (
    Case(
        name="crl-off-with-other-keys",
        operation="UpdateCertificateAuthority",
        phase=Phase.ACTIVE,
        settles="How CRL settings are refused that are off and say more.",
        source="seen by users (terraform-provider-aws#29088); silent on the code",
        section="3.1",
        expected=refused("InvalidArgsException"),
        observe=lambda workspace: _configure(
            workspace, {"CrlConfiguration": {"Enabled": False, "ExpirationInDays": 7}}
        ),
    ),
    Case(
        name="crl-on-without-bucket",
        operation="UpdateCertificateAuthority",
        phase=Phase.ACTIVE,
        settles="How CRL settings are refused that are on and name no bucket.",
        source="silent on the code",
        section="3.1",
        expected=refused("InvalidArgsException"),
        observe=lambda workspace: _configure(workspace, {"CrlConfiguration": {"Enabled": True, "ExpirationInDays": 7}}),
    ),
    Case(
        name="crl-cname-and-omitted-extension",
        operation="UpdateCertificateAuthority",
        phase=Phase.ACTIVE,
        settles="How a custom name is refused where no distribution point is written.",
        source="service model: not allowed; silent on the code",
        section="3.1",
        expected=refused("InvalidArgsException"),
        observe=lambda workspace: _configure(
            workspace,
            _crl(
                workspace,
                CustomCname="pki.example.com",
                CrlDistributionPointExtensionConfiguration={"OmitExtension": True},
            ),
        ),
    ),
    Case(
        name="crl-partitioned-with-omitted-extension",
        operation="UpdateCertificateAuthority",
        phase=Phase.ACTIVE,
        settles="Whether CRLs can be partitioned while certificates do not say which partition is theirs.",
        source="silent",
        section="3.3",
        expected=ACCEPTED,
        observe=_partitioned_without_point,
    ),
    Case(
        name="crl-bucket-closed-to-the-service",
        operation="UpdateCertificateAuthority",
        phase=Phase.ACTIVE,
        settles="The code, and the words that clients look for, when a bucket's policy keeps the service out.",
        source="seen by users (terraform-provider-aws#33306)",
        section="3.4",
        expected={"error": "ValidationException", "message": "names the S3 bucket"},
        observe=lambda workspace: _refused_bucket(workspace, "closed", "BUCKET_OWNER_FULL_CONTROL"),
    ),
    Case(
        name="crl-public-read-on-blocked-bucket",
        operation="UpdateCertificateAuthority",
        phase=Phase.ACTIVE,
        settles="Whether PUBLIC_READ fails on a bucket that blocks public access, and with which words.",
        source="seen by users (terraform-provider-aws#33306, #19570)",
        section="3.1",
        expected={"error": "ValidationException", "message": "names the S3 bucket"},
        observe=lambda workspace: _refused_bucket(workspace, "open", "PUBLIC_READ"),
    ),
    Case(
        name="update-half-revocation-configuration",
        operation="UpdateCertificateAuthority",
        phase=Phase.ACTIVE,
        settles="Whether an update that names OCSP alone keeps the CRL settings.",
        source="silent",
        section="3.1",
        open_point="partial RevocationConfiguration in Update",
        expected={"CRL that was left out": "off"},
        observe=_half_update,
    ),
    Case(
        name="crl-probe-objects",
        operation="UpdateCertificateAuthority",
        phase=Phase.ACTIVE,
        settles="Which test objects the service leaves in a bucket when CRLs are turned on.",
        source="user guide, 2022",
        section="3.2",
        expected=["acm-pca-permission-test-key", "acm-pca-permission-test-key-private"],
        observe=_probes,
    ),
    Case(
        name="crl-distribution-point",
        operation="IssueCertificate",
        phase=Phase.ACTIVE,
        settles="Whether the distribution point names the bucket as a host or in the path.",
        source="user guide shows both",
        section="3.2",
        expected=["http://BUCKET.s3.REGION.amazonaws.com/crl/CA-ID.crl"],
        observe=_point,
        certificates=1,
    ),
    Case(
        name="revoke-twice",
        operation="RevokeCertificate",
        phase=Phase.ACTIVE,
        settles="That a second revocation is told from the first.",
        source="service model: RequestAlreadyProcessedException",
        section="2.4",
        expected=refused("RequestAlreadyProcessedException"),
        observe=_revoke_twice,
        certificates=1,
    ),
    Case(
        name="revoke-serial-with-colons",
        operation="RevokeCertificate",
        phase=Phase.ACTIVE,
        settles="Whether a serial number may be written as audit reports write it.",
        source="user guide shows pairs with colons",
        section="2.4",
        expected=ACCEPTED,
        observe=_revoke_pairs,
        certificates=1,
    ),
    Case(
        name="revoke-serial-that-is-no-number",
        operation="RevokeCertificate",
        phase=Phase.ACTIVE,
        settles="How a serial number is refused that is not hexadecimal.",
        source="silent on the code",
        section="2.4",
        expected=refused("ValidationException"),
        observe=lambda workspace: _revoke(workspace, "no-serial-number"),
    ),
    Case(
        name="revoke-unknown-serial",
        operation="RevokeCertificate",
        phase=Phase.ACTIVE,
        settles="That a serial number the CA never gave is not found.",
        source="service model: ResourceNotFoundException",
        section="2.4",
        expected=refused("ResourceNotFoundException"),
        observe=lambda workspace: _revoke(workspace, "0123456789abcdef0123456789abcdef"),
    ),
    Case(
        name="revoke-own-certificate-of-root",
        operation="RevokeCertificate",
        phase=Phase.ACTIVE,
        settles="That a root cannot revoke what it signed for itself.",
        source="seen in the Terraform provider",
        section="1.5",
        expected=refused("InvalidRequestException"),
        observe=_revoke_own,
        certificates=1,
    ),
    Case(
        name="revoke-expired-certificate",
        operation="RevokeCertificate",
        phase=Phase.ACTIVE,
        settles="How the revocation of an expired certificate is refused.",
        source="user guide: not possible; silent on the code",
        section="2.4",
        expected=refused("InvalidRequestException"),
        observe=_revoke_expired,
        certificates=1,
        wait_seconds=60,
    ),
)
