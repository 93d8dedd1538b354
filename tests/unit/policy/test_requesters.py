"""Who may ask: which identities a pattern speaks of, and how patterns are spelled."""

from __future__ import annotations

import pytest

from pkiops.policy.requesters import requester_matches, requester_problem
from tests.counted import lines_run

ROLE = "arn:aws:iam::111122223333:role/"
SESSION = "arn:aws:sts::111122223333:assumed-role/"


@pytest.mark.parametrize(
    ("pattern", "identity", "expected"),
    [
        (ROLE + "ci", SESSION + "ci/build-1", True),
        (ROLE + "team/ci", SESSION + "ci/build-1", True),  # STS leaves the path out
        (ROLE + "ci-*", SESSION + "ci-orders/x", True),
        (ROLE + "ci-*", SESSION + "ci-/x", False),
        (ROLE + "ci", SESSION + "ci-2/x", False),
        (ROLE + "ci", "arn:aws:sts::444455556666:assumed-role/ci/x", False),
        (ROLE + "ci", "arn:aws-cn:sts::111122223333:assumed-role/ci/x", False),
        (ROLE + "ci", "arn:aws:iam::111122223333:user/ci", False),
        (ROLE + "ci", ROLE + "ci", True),
        (ROLE + "team/ci", ROLE + "ci", False),  # two roles, as the service itself spells them
        (SESSION + "ci/*", SESSION + "ci/anybody@example.com", True),
        (SESSION + "ci/deploy-*", SESSION + "ci/deploy-7", True),
        (SESSION + "ci/deploy-*", SESSION + "ci/test-7", False),
        (SESSION + "ci-*/x", SESSION + "ci-a/x", True),
        (SESSION + "ci-*/x", SESSION + "ci-a/b/x", False),
        ("jenkins:team-*/job", "jenkins:team-a/job", True),
        ("arn:aws:iam::111122223333:user/*", "arn:aws:iam::111122223333:user/jane", True),
        ("arn:aws:iam::111122223333:user/*", "arn:aws:iam::111122223333:user/path/jane", False),
        ("arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:root", True),
        (ROLE + "ci", "not an arn", False),
        (ROLE + "ci", "github:role/ci", False),
        ("github:example/orders", "github:example/orders@refs/heads/main", True),
        ("github:example/orders@refs/heads/main", "github:example/orders@refs/heads/main", True),
        ("github:example/orders@refs/heads/main", "github:example/orders@refs/heads/other", False),
        ("github:example/orders@refs/heads/main", "github:example/orders", False),
        ("github:example/*@refs/tags/v*", "github:example/orders@refs/tags/v1.2", True),
        ("github:example/*", "github:example/a/b", False),
        ("github:example/*", "github:example.org/orders", False),
        ("github:example/orders", "gitlab:example/orders", False),
        ("jenkins:folder/job", "jenkins:folder/job", True),
    ],
)
def test_matching(pattern: str, identity: str, expected: bool) -> None:
    assert requester_problem(pattern) is None
    assert requester_matches(pattern, identity) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        "arn:aws:iam::*:role/ci",
        "arn:*:iam::111122223333:role/ci",
        "arn:aws:iam::111122223333:*",
        "arn:aws:iam::111122223333:role/",
        "arn:aws:iam::111122223333:role//ci",
        "arn:aws:iam::111122223333:role/a b",
        "arn:aws:s3:::bucket",
        SESSION + "ci",
        SESSION + "ci/a/b",
        ROLE + "ci/*",  # a caller's ARN has no path: this would be every role of the account
        ROLE + "team/ci-*",
        ROLE + "aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_*",
        SESSION + "*/x",
        SESSION + "**/x",
        "github:e*/orders",
        "gitlab:*-team/orders",
        "github:",
        "github:*/orders",
        "github:*",
        "github:a/b@",
        "github:a/b\n",
        "circle:a/b",
        "example/orders",
    ],
)
def test_patterns_that_are_none_have_a_problem(pattern: str) -> None:
    assert requester_problem(pattern)


def test_a_path_before_a_wildcard_is_told_what_it_would_match() -> None:
    problem = requester_problem(ROLE + "ci/*")
    assert problem is not None
    assert "every role named *" in problem
    assert "role/*" in problem


@pytest.mark.parametrize("pattern", [ROLE + "*a" * 900 + "b", "github:x/" + "a*" * 900])
def test_no_pattern_is_slow(pattern: str) -> None:
    for identity in (SESSION + "a" * 2000 + "/x", ROLE + "a" * 2000, "github:x/" + "a" * 2000):
        # a few lines for each piece between wildcards; looking for a piece is one call
        assert lines_run(lambda: requester_matches(pattern, identity)) <= 900 * 6 + 100  # noqa: B023 - called at once
