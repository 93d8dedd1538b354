"""Resource policies, permissions and tags. No policy names another account: that would share the CA with it."""

from __future__ import annotations

from tests.canary.case import ACCEPTED, Case, Observation, Phase, refused
from tests.canary.workspace import Workspace

ACM = "acm.amazonaws.com"


def _permission_twice(workspace: Workspace) -> Observation:
    workspace.ask("create_permission", Principal=ACM, Actions=["IssueCertificate"])
    return workspace.ask("create_permission", Principal=ACM, Actions=["IssueCertificate", "GetCertificate"])


CASES: tuple[Case, ...] = (
    Case(
        name="policy-of-one-statement",
        operation="PutPolicy",
        phase=Phase.ACTIVE,
        settles="Whether a policy of one statement is taken, and one that names the owner.",
        source="user guide, 2022: exactly two statements; no longer said",
        section="8.3",
        expected=ACCEPTED,
        observe=lambda workspace: workspace.ask_policy(
            {"Effect": "Allow", "Action": "acm-pca:DescribeCertificateAuthority"}
        ),
    ),
    Case(
        name="policy-with-wildcard-action",
        operation="PutPolicy",
        phase=Phase.ACTIVE,
        settles="How a wildcard in the actions of a policy is refused.",
        source="silent",
        section="8.3",
        expected=refused("InvalidPolicyException"),
        observe=lambda workspace: workspace.ask_policy({"Effect": "Allow", "Action": "acm-pca:*"}),
    ),
    Case(
        name="policy-with-owner-only-action",
        operation="PutPolicy",
        phase=Phase.ACTIVE,
        settles="How an action is refused that cannot be shared.",
        source="user guide lists what can; silent on the code",
        section="8.3",
        expected=refused("InvalidPolicyException"),
        observe=lambda workspace: workspace.ask_policy(
            {"Effect": "Allow", "Action": "acm-pca:DeleteCertificateAuthority"}
        ),
    ),
    Case(
        name="policy-that-denies-the-owner",
        operation="PutPolicy",
        phase=Phase.ACTIVE,
        settles="Whether denying the owner one action (here: listing permissions) counts as locking the owner out.",
        source="service model: LockoutPreventedException, without saying when",
        section="8.3",
        expected=refused("LockoutPreventedException"),
        observe=lambda workspace: workspace.ask_policy({"Effect": "Deny", "Action": "acm-pca:ListPermissions"}),
    ),
    Case(
        name="permission-for-another-principal",
        operation="CreatePermission",
        phase=Phase.ACTIVE,
        settles="How a permission for a service other than Certificate Manager is refused.",
        source="service model: the only one; silent on the code",
        section="8.3",
        expected=refused("ValidationException"),
        observe=lambda workspace: workspace.ask(
            "create_permission", Principal="ec2.amazonaws.com", Actions=["IssueCertificate"]
        ),
    ),
    Case(
        name="permission-twice-with-other-actions",
        operation="CreatePermission",
        phase=Phase.ACTIVE,
        settles="Whether a second permission for the same principal is one already, though it allows more.",
        source="service model: PermissionAlreadyExistsException, without saying when",
        section="8.3",
        expected=refused("PermissionAlreadyExistsException"),
        observe=_permission_twice,
    ),
    Case(
        name="tag-with-reserved-prefix",
        operation="TagCertificateAuthority",
        phase=Phase.ACTIVE,
        settles="How a tag whose key starts with aws: is refused.",
        source="service model: InvalidTagException",
        section="1.3",
        expected=refused("InvalidTagException"),
        observe=lambda workspace: workspace.ask(
            "tag_certificate_authority", Tags=[{"Key": "aws:canary", "Value": "x"}]
        ),
    ),
)
