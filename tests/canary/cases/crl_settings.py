"""CRL settings: which are taken, and what they leave in the bucket."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tests.canary.case import ACCEPTED, Case, Observation, Phase, refused
from tests.canary.workspace import Workspace

_OFF = {"CrlConfiguration": {"Enabled": False}}
_OMITTED = {"OmitExtension": True}
_UPDATE = "update_certificate_authority"
_PROBES: list[Observation] = ["acm-pca-permission-test-key", "acm-pca-permission-test-key-private"]
_RETRYABLE = frozenset({"ValidationException"})  # a bucket's policy takes seconds to spread


def _crl(workspace: Workspace, bucket: str = "open", **more: Any) -> dict[str, Any]:
    settings = {
        "Enabled": True,
        "ExpirationInDays": 7,
        "S3BucketName": workspace.buckets.name(bucket),
        "S3ObjectAcl": "BUCKET_OWNER_FULL_CONTROL",
        **more,
    }
    return {"CrlConfiguration": settings}


@contextlib.contextmanager
def crl_on(workspace: Workspace, **more: Any) -> Iterator[None]:
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


def _cname_and_omitted(workspace: Workspace) -> Observation:
    with crl_on(workspace):
        pass  # so that the bucket is no reason to refuse
    wanted = _crl(workspace, CustomCname="pki.example.com", CrlDistributionPointExtensionConfiguration=_OMITTED)
    return _configure(workspace, wanted)


def _partitioned_without_point(workspace: Workspace) -> Observation:
    with crl_on(workspace):
        pass
    wanted = _crl(workspace, CrlType="PARTITIONED", CrlDistributionPointExtensionConfiguration=_OMITTED)
    return _configure(workspace, wanted)


def _refused_bucket(workspace: Workspace, bucket: str, acl: str) -> Observation:
    found = _configure(workspace, _crl(workspace, bucket, S3ObjectAcl=acl))
    if not isinstance(found, dict) or found == ACCEPTED:
        return found
    # clients that wait for a policy to spread look for these words
    return {**found, "message": "names the S3 bucket" if "S3 bucket" in (workspace.message or "") else "other words"}


def _half_update(workspace: Workspace) -> Observation:
    with crl_on(workspace):
        found = workspace.ask(_UPDATE, RevocationConfiguration={"OcspConfiguration": {"Enabled": False}})
        if found != ACCEPTED:
            return found
        return {"CRL that was left out": workspace.settled(lambda: _crl_state(workspace), "off")}


def _crl_state(workspace: Workspace) -> str:
    configuration = workspace.describe().get("RevocationConfiguration", {}).get("CrlConfiguration") or {}
    return "kept" if configuration.get("Enabled") else "off"


def _probes(workspace: Workspace) -> Observation:
    with crl_on(workspace):
        return workspace.settled(lambda: _top_keys(workspace), _PROBES)


def _top_keys(workspace: Workspace) -> list[Observation]:
    return [key for key in sorted(workspace.buckets.keys("open")) if "/" not in key]


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
        observe=_cname_and_omitted,
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
        expected=_PROBES,
        observe=_probes,
    ),
)
