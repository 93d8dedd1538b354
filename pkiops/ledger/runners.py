"""Where a ledger in a file would not last: CI jobs and pods, whose disk is gone when they end. Pure.

What this module decides: by which variable a runner is known, and what is said. Whether a folder of it is kept after all (a cache, a volume) nobody
can see from inside, so it is a warning, never a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping

# as documented by each: GitHub Actions, GitLab CI, Jenkins, CircleCI, Buildkite, Azure Pipelines, AWS CodeBuild, Bitbucket Pipelines, Kubernetes
_RUNNERS = {
    "GITHUB_ACTIONS": "a GitHub Actions job",
    "GITLAB_CI": "a GitLab CI job",
    "JENKINS_URL": "a Jenkins job",
    "CIRCLECI": "a CircleCI job",
    "BUILDKITE": "a Buildkite job",
    "TF_BUILD": "an Azure Pipelines job",
    "CODEBUILD_BUILD_ID": "a CodeBuild job",
    "BITBUCKET_BUILD_NUMBER": "a Bitbucket Pipelines job",
    "KUBERNETES_SERVICE_HOST": "a pod",
}


def vanishing_ledger(path: str, variables: Mapping[str, str]) -> str | None:
    """What to say of a ledger file at ``path`` where the process environment is that of a runner; None elsewhere."""
    runner = next((what for name, what in _RUNNERS.items() if variables.get(name)), None)
    if runner is None:
        return None
    return (
        f"warning: this is {runner}, and the ledger is the file {path}: if the disk goes with it, so does the memory of what was issued, and the "
        "same request is issued and billed again; keep that folder, or write ledger: {type: dynamodb, table: NAME}"
    )
