"""Which CI job this is."""

from __future__ import annotations

import pytest

from pkiops.ci_identity import ci_identity
from pkiops.policy.requesters import requester_matches


@pytest.mark.parametrize(
    ("variables", "identity"),
    [
        ({}, None),
        ({"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "example/orders", "GITHUB_REF": "refs/heads/main"}, "github:example/orders@refs/heads/main"),
        ({"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "example/orders"}, "github:example/orders"),
        ({"GITHUB_REPOSITORY": "example/orders"}, None),
        ({"GITLAB_CI": "true", "CI_PROJECT_PATH": "group/sub/project", "CI_COMMIT_REF_NAME": "main"}, "gitlab:group/sub/project@main"),
        ({"JENKINS_URL": "https://ci.example", "JOB_NAME": "folder/job", "BRANCH_NAME": "main"}, "jenkins:folder/job@main"),
        ({"GITHUB_ACTIONS": "true"}, None),
        # what could be read as another job
        ({"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "evil/x@refs/heads/main", "GITHUB_REF": "x"}, None),
        ({"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "evil/x\n", "GITHUB_REF": "x"}, None),
        ({"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "evil/x", "GITHUB_REF": "a@b"}, None),
    ],
)  # fmt: skip
def test_identities(variables: dict[str, str], identity: str | None) -> None:
    assert ci_identity(variables) == identity
    if identity:
        assert requester_matches(identity, identity)
