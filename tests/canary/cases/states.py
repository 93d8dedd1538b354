"""Calls in the states in which the documentation is silent or contradicts itself, and some in which it is clear."""

from __future__ import annotations

from collections.abc import Callable

from tests.canary.case import ACCEPTED, Case, Observation, Phase, refused
from tests.canary.cases.policies import ACM
from tests.canary.certificates import csr
from tests.canary.patience import Unsettled
from tests.canary.workspace import Workspace

_WRONG_STATE = refused("InvalidStateException")
_NOT_DOCUMENTED = "silent on this state"
_DOCUMENTED = "user guide, Updating your private CA"


def _permission(workspace: Workspace) -> Observation:
    return workspace.ask("create_permission", Principal=ACM, Actions=["ListPermissions"])


def _policy(workspace: Workspace) -> Observation:
    return workspace.ask_policy({"Effect": "Allow", "Action": "acm-pca:DescribeCertificateAuthority"})


def _report(workspace: Workspace) -> Observation:
    return workspace.ask(
        "create_certificate_authority_audit_report",
        S3BucketName=workspace.buckets.name("open"),
        AuditReportResponseFormat="JSON",
    )


def _root_again(workspace: Workspace) -> Observation:
    return workspace.ask_issue(workspace.authority_csr(), "RootCACertificate")


def _get_own(workspace: Workspace) -> Observation:
    return workspace.ask("get_certificate_authority_certificate")


def _known_certificate(workspace: Workspace) -> Observation:
    if workspace.known_certificate is None:
        raise Unsettled("no certificate was issued before")
    return workspace.ask("get_certificate", CertificateArn=workspace.known_certificate)


def _import_while_disabled(workspace: Workspace) -> Observation:
    workspace.set_status("ACTIVE")
    renewed = workspace.own_certificate()
    workspace.set_status("DISABLED")
    found = workspace.ask("import_certificate_authority_certificate", Certificate=renewed)
    if found != ACCEPTED:
        return found
    status = str(workspace.describe()["Status"])
    if status != "DISABLED":
        workspace.set_status("DISABLED")
    return {"accepted": True, "status": status}


def _restore(workspace: Workspace) -> Observation:
    found = workspace.ask("restore_certificate_authority")
    if found != ACCEPTED:
        return found
    status = str(workspace.describe()["Status"])
    workspace.delete()
    return {"status": status}


def _case(
    name: str,
    operation: str,
    phase: Phase,
    observe: Callable[[Workspace], Observation],
    expected: Observation,
    *,
    source: str = _DOCUMENTED,
    section: str = "1.2",
    open_point: str | None = None,
    certificates: int = 0,
) -> Case:
    return Case(
        name=name,
        operation=operation,
        phase=phase,
        settles=f"What {operation} does for a CA that is {phase}.",
        source=source,
        section=section,
        open_point=open_point,
        expected=expected,
        observe=observe,
        certificates=certificates,
    )


CASES: tuple[Case, ...] = (
    _case("leaf-while-pending", "IssueCertificate", Phase.PENDING, lambda w: w.ask_issue(csr()), _WRONG_STATE),
    _case(
        "authority-certificate-while-pending",
        "GetCertificateAuthorityCertificate",
        Phase.PENDING,
        _get_own,
        _WRONG_STATE,
    ),
    _case(
        "update-while-pending",
        "UpdateCertificateAuthority",
        Phase.PENDING,
        lambda w: w.ask("update_certificate_authority", Status="DISABLED"),
        _WRONG_STATE,
    ),
    _case("audit-report-while-pending", "CreateCertificateAuthorityAuditReport", Phase.PENDING, _report, _WRONG_STATE),
    _case("permission-while-pending", "CreatePermission", Phase.PENDING, _permission, _WRONG_STATE),
    _case("policy-while-pending", "PutPolicy", Phase.PENDING, _policy, _WRONG_STATE, source=_NOT_DOCUMENTED),
    _case("leaf-while-expired", "IssueCertificate", Phase.EXPIRED, lambda w: w.ask_issue(csr()), _WRONG_STATE),
    _case(
        "authority-certificate-while-expired",
        "GetCertificateAuthorityCertificate",
        Phase.EXPIRED,
        _get_own,
        ACCEPTED,
        source=_NOT_DOCUMENTED,
    ),
    _case(
        "certificate-while-expired",
        "GetCertificate",
        Phase.EXPIRED,
        _known_certificate,
        ACCEPTED,
        source=_NOT_DOCUMENTED,
    ),
    _case(
        "permission-while-expired", "CreatePermission", Phase.EXPIRED, _permission, _WRONG_STATE, source=_NOT_DOCUMENTED
    ),
    _case("policy-while-expired", "PutPolicy", Phase.EXPIRED, _policy, _WRONG_STATE, source=_NOT_DOCUMENTED),
    _case("leaf-while-disabled", "IssueCertificate", Phase.DISABLED, lambda w: w.ask_issue(csr()), _WRONG_STATE),
    _case(
        "root-certificate-while-disabled",
        "IssueCertificate",
        Phase.DISABLED,
        _root_again,
        _WRONG_STATE,
        source=_NOT_DOCUMENTED,
        certificates=1,
    ),
    _case(
        "import-while-disabled",
        "ImportCertificateAuthorityCertificate",
        Phase.DISABLED,
        _import_while_disabled,
        _WRONG_STATE,
        source="user guide: one page says no, the one on external CAs says yes",
        open_point="import into a DISABLED CA",
        certificates=1,
    ),
    _case(
        "permission-while-disabled",
        "CreatePermission",
        Phase.DISABLED,
        _permission,
        _WRONG_STATE,
        source=_NOT_DOCUMENTED,
    ),
    _case("policy-while-disabled", "PutPolicy", Phase.DISABLED, _policy, _WRONG_STATE, source=_NOT_DOCUMENTED),
    _case(
        "tags-while-deleted",
        "ListTags",
        Phase.DELETED,
        lambda w: w.ask("list_tags"),
        _WRONG_STATE,
        source="seen by users (aws-nuke#825)",
    ),
    _case(
        "certificate-while-deleted",
        "GetCertificate",
        Phase.DELETED,
        _known_certificate,
        _WRONG_STATE,
        source="seen by users (terraform-provider-aws#26968)",
    ),
    _case(
        "restore-after-delete",
        "RestoreCertificateAuthority",
        Phase.DELETED,
        _restore,
        {"status": "DISABLED"},
        source="service model: the status before the deletion",
        section="1.5",
    ),
)
