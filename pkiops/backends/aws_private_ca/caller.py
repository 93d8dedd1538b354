"""Which managed policies are attached to whoever runs this: AWSPrivateCAUser's explicit deny stands against every clientAuth template.

Policies that are inline, come by a group or by the organization are not looked at; the service never says which policy refused.
"""

from __future__ import annotations

from pkiops.aws_errors import translated
from pkiops.backends.aws_private_ca.calls import Calls
from pkiops.errors import NotFound

_MAX_POLICIES = 100


class Caller(Calls):
    """The caller's own permissions."""

    def caller_policies(self) -> tuple[str, ...]:
        """The ARNs of the managed policies attached to the caller's role or user (iam:ListAttachedRolePolicies, iam:ListAttachedUserPolicies).

        Raises:
            BackendError: IAM does not say.
        """
        arn = self._clients.caller_identity().arn
        kind, _, name = arn.rpartition(":")[2].partition("/")
        iam = self._clients.iam()
        try:
            if kind == "assumed-role":
                with translated("ListAttachedRolePolicies", arn):
                    attached = iam.list_attached_role_policies(RoleName=name.split("/")[0], MaxItems=_MAX_POLICIES)
            elif kind == "user":
                with translated("ListAttachedUserPolicies", arn):
                    attached = iam.list_attached_user_policies(UserName=name.split("/")[-1], MaxItems=_MAX_POLICIES)
            else:
                return ()
        except NotFound:
            return ()  # a sandbox takes callers that IAM does not know
        return tuple(policy["PolicyArn"] for policy in attached["AttachedPolicies"])
