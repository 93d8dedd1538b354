"""Which CI job this process is, by what the CI system says in its environment variables. Pure.

What this module decides: the spelling of such an identity (``github:owner/repository@ref``), and that a value which could be mistaken for another is
no identity. It is what the job says about itself: it binds those who use pkiops as it is, like the rest of the policy, and proves nothing to anybody
else. The AWS caller, whom the service vouches for, is the stronger word.

Sources: GitHub Actions "Default environment variables"; GitLab CI "Predefined variables"; Jenkins "Using environment variables".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_TEXT = re.compile(r"[A-Za-z0-9_. /+~-]{1,512}")
# system -> (what says that it is one, project, ref)
_SYSTEMS = (
    ("github", "GITHUB_ACTIONS", "GITHUB_REPOSITORY", "GITHUB_REF"),
    ("gitlab", "GITLAB_CI", "CI_PROJECT_PATH", "CI_COMMIT_REF_NAME"),
    ("jenkins", "JENKINS_URL", "JOB_NAME", "BRANCH_NAME"),
)


def ci_identity(variables: Mapping[str, str]) -> str | None:
    """The identity of the CI job; None outside of one, or if it does not say who it is."""
    for system, mark, project_name, ref_name in _SYSTEMS:
        if not variables.get(mark):
            continue
        project, ref = variables.get(project_name, ""), variables.get(ref_name, "")
        if not _TEXT.fullmatch(project) or (ref and not _TEXT.fullmatch(ref)):
            return None
        return f"{system}:{project}@{ref}" if ref else f"{system}:{project}"
    return None
