"""How policies are weighed against each other."""

from __future__ import annotations

from typing import Any

import pytest

from pkiops.sandbox.iam_policy import Decision, Kind, Policies, Principal, ResourcePolicy, decide, document

HERE, THERE = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{HERE}:role/issuer"
SESSION = f"arn:aws:sts::{HERE}:assumed-role/issuer/run"
USER = f"arn:aws:iam::{HERE}:user/ada"
ACTION, BUCKET, OBJECT = "s3:GetObject", "arn:aws:s3:::b", "arn:aws:s3:::b/k"
role = Principal(Kind.ROLE, HERE, "aws", SESSION, role_arn=ROLE, name="run")
user = Principal(Kind.USER, HERE, "aws", USER, name="ada")
root = Principal(Kind.ROOT, HERE, "aws", f"arn:aws:iam::{HERE}:root")
nobody = Principal(Kind.ANONYMOUS, "", "aws", "anonymous")


def policy(effect: str = "Allow", action: Any = "s3:*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    named = {} if "NotAction" in more else {"Action": action}
    where = {} if "NotResource" in more else {"Resource": resource}
    return {"Version": "2012-10-17", "Statement": [{"Effect": effect, **named, **where, **more}]}


def bucket(principal: Any, effect: str = "Allow", account: str = HERE, **more: Any) -> ResourcePolicy:
    return ResourcePolicy(account, policy(effect, Principal=principal, **more))


ALLOW, DENY = policy(), policy("Deny")


def verdict(
    who: Principal, policies: Policies | None = None, owner: ResourcePolicy | None = None, **context: str
) -> str:
    decision = decide(who, policies or Policies(), ACTION, OBJECT, context, owner)
    assert decision.allowed is (decision.reason == "")
    return decision.reason


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        (policy(), True),
        (policy(action="*"), True),
        (policy(action=["s3:Put*", "S3:getobject"]), True),
        (policy(action="s3:GetObject?"), False),
        (policy(resource=OBJECT), True),
        (policy(resource=[BUCKET, f"{BUCKET}/*"]), True),
        (policy(resource=BUCKET), False),
        (policy(NotAction="s3:Put*"), True),
        (policy(NotAction=["s3:Get*"]), False),
        (policy(NotResource=BUCKET), True),
        (policy(NotResource="arn:aws:s3:::b/*"), False),
        (policy(resource="arn:aws:s3:::${aws:bucket}/*"), True),
        ({**policy(resource="arn:aws:s3:::${aws:bucket}/*"), "Version": "2008-10-17"}, False),
        (policy(Condition={"StringEquals": {"aws:bucket": "b"}}), True),
        (policy(Condition={"StringEquals": {"aws:bucket": "c"}}), False),
        ({"Version": "2012-10-17", "Statement": policy()["Statement"][0]}, True),
        ({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*"}]}, False),
        ({"Version": "2012-10-17", "Statement": ["nonsense"]}, False),
        ({}, False),
    ],
)
def test_one_identity_based_policy(statement: dict[str, Any], allowed: bool) -> None:
    context = {"aws:bucket": "b"}
    assert decide(user, Policies((statement,)), ACTION, OBJECT, context).allowed is allowed


def test_the_administrator_may_do_what_no_resource_denies() -> None:
    assert verdict(root) == ""
    assert verdict(root, owner=bucket("*", "Deny")) == "with an explicit deny in a resource-based policy"
    assert (
        verdict(root, owner=ResourcePolicy(THERE)) == "because no resource-based policy allows the s3:GetObject action"
    )


@pytest.mark.parametrize(
    ("policies", "reason"),
    [
        (Policies(), "because no identity-based policy allows the s3:GetObject action"),
        (Policies((ALLOW, DENY)), "with an explicit deny in an identity-based policy"),
        (Policies((ALLOW,), ALLOW), ""),
        (Policies((ALLOW,), {}), "because no permissions boundary allows the s3:GetObject action"),
        (Policies((ALLOW,), DENY), "with an explicit deny in a permissions boundary"),
        (Policies((ALLOW,), None, (ALLOW,)), ""),
        (Policies((ALLOW,), None, ()), "because no session policy allows the s3:GetObject action"),
        (Policies((ALLOW,), None, (ALLOW, DENY)), "with an explicit deny in a session policy"),
        (Policies((), ALLOW, (ALLOW,)), "because no identity-based policy allows the s3:GetObject action"),
    ],
)
def test_what_a_principal_has(policies: Policies, reason: str) -> None:
    assert verdict(role, policies) == reason


NO_IDENTITY = "because no identity-based policy allows the s3:GetObject action"
NO_RESOURCE = "because no resource-based policy allows the s3:GetObject action"
NO_BOUNDARY = "because no permissions boundary allows the s3:GetObject action"


@pytest.mark.parametrize(
    ("who", "policies", "owner", "reason"),
    [
        # named itself: nothing else is needed in its account
        (user, Policies(), bucket({"AWS": USER}), ""),
        (user, Policies((), {}), bucket({"AWS": USER}), ""),
        (role, Policies((), {}), bucket({"AWS": SESSION}), ""),
        # a role that is named stays within its boundary
        (role, Policies(), bucket({"AWS": [ROLE]}), ""),
        (role, Policies((), {}), bucket({"AWS": [ROLE]}), NO_BOUNDARY),
        # an account that is named has to allow it itself
        (user, Policies(), bucket({"AWS": HERE}), NO_IDENTITY),
        (user, Policies((ALLOW,)), bucket({"AWS": f"arn:aws:iam::{HERE}:root"}), ""),
        (user, Policies(), bucket("*"), ""),
        (user, Policies(), bucket({"AWS": "*"}), ""),
        (user, Policies(), bucket({"Service": "acm-pca.amazonaws.com"}), NO_IDENTITY),
        (user, Policies((ALLOW,)), bucket({"AWS": USER}, "Deny"), "with an explicit deny in a resource-based policy"),
        (user, Policies((ALLOW,)), bucket({"AWS": HERE}, "Deny"), "with an explicit deny in a resource-based policy"),
        (user, Policies((ALLOW,)), bucket({"AWS": ROLE}, "Deny"), ""),
        # across accounts both have to
        (user, Policies((ALLOW,)), bucket({"AWS": USER}, account=THERE), ""),
        (user, Policies((ALLOW,)), bucket({"AWS": HERE}, account=THERE), ""),
        (user, Policies(), bucket({"AWS": USER}, account=THERE), NO_IDENTITY),
        (user, Policies((ALLOW,)), bucket({"AWS": THERE}, account=THERE), NO_RESOURCE),
        (user, Policies((ALLOW,)), ResourcePolicy(THERE), NO_RESOURCE),
        # keys and roles: nothing goes without their own policy
        (user, Policies((ALLOW,)), ResourcePolicy(HERE, None, is_needed=True), NO_RESOURCE),
        (user, Policies((ALLOW,)), ResourcePolicy(HERE, policy(Principal={"AWS": HERE}), is_needed=True), ""),
        (user, Policies(), ResourcePolicy(HERE, policy(Principal={"AWS": HERE}), is_needed=True), NO_IDENTITY),
        (nobody, Policies(), bucket("*"), ""),
        (nobody, Policies(), bucket({"AWS": HERE}), NO_RESOURCE),
        (nobody, Policies(), ResourcePolicy(HERE), NO_RESOURCE),
    ],
)
def test_what_the_resource_says(who: Principal, policies: Policies, owner: ResourcePolicy, reason: str) -> None:
    assert verdict(who, policies, owner) == reason


def test_everybody_but() -> None:
    all_but_ada = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "NotPrincipal": {"AWS": [USER, HERE]}, "Action": "*", "Resource": "*"}],
    }
    owner = ResourcePolicy(HERE, all_but_ada)
    assert verdict(user, Policies((ALLOW,)), owner) == ""
    stranger = Principal(Kind.USER, THERE, "aws", f"arn:aws:iam::{THERE}:user/eve")
    assert "explicit deny" in verdict(stranger, Policies((ALLOW,)), owner)


def test_documents_as_moto_keeps_them() -> None:
    assert document('{"Version": "2012-10-17"}') == {"Version": "2012-10-17"}
    assert document(None) is document("[]") is document("{") is document("[" * 100_000) is None
    assert decide(user, Policies(), ACTION, OBJECT, {}) == Decision(False, NO_IDENTITY)
