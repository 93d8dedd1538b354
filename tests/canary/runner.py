"""Runs cases one after the other.

What this module decides: that a case which fails in an unexpected way is not run, with its reason, and the others go on; that the limit
ends the run; and what the whole may cost before it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import DuplicateExtension, ExtensionNotFound, InvalidVersion

from tests.canary.bill import Estimate, LimitReached
from tests.canary.case import Case, Phase
from tests.canary.patience import PATIENCE, Unsettled
from tests.canary.phases import CERTIFICATES_EACH, MOST_AUTHORITIES, SECONDS_EACH, enter
from tests.canary.results import Result, compare, not_run
from tests.canary.workspace import Workspace

# a case reads what a foreign service answers: whatever that is, the next case is asked
CRASHES = (
    ClientError,
    BotoCoreError,
    Unsettled,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    TypeError,
    ValueError,
    DuplicateExtension,
    ExtensionNotFound,
    InvalidVersion,
    UnsupportedAlgorithm,
)


def estimate(cases: Sequence[Case]) -> Estimate:
    """The most that these cases may make, should AWS answer everything in the dearest way, and how long they may take."""
    seconds = sum(case.wait_seconds + PATIENCE for case in cases) + MOST_AUTHORITIES * SECONDS_EACH
    return Estimate(
        authorities=MOST_AUTHORITIES + sum(case.authorities for case in cases),
        certificates=MOST_AUTHORITIES * CERTIFICATES_EACH + sum(case.certificates for case in cases),
        hours=seconds / 3600,
    )


def run(cases: Sequence[Case], workspace: Workspace, tell: Callable[[str], None]) -> Iterator[Result]:
    """The results, each as soon as it is known. When the limit is reached, those that are missing are not run."""
    unreachable: dict[Phase, str] = {}
    exhausted: str | None = None
    for number, case in enumerate(cases, 1):
        if exhausted is not None:
            yield not_run(case, exhausted)
            continue
        tell(f"[{number}/{len(cases)}] {case.name}" + _waiting(case))
        try:
            yield _ask(case, workspace, unreachable)
        except LimitReached as error:
            exhausted = str(error)
            tell(exhausted)
            yield not_run(case, exhausted)


def _waiting(case: Case) -> str:
    return f" (waits for up to {-(-case.wait_seconds // 60)} minutes)" if case.wait_seconds > 30 else ""


def _ask(case: Case, workspace: Workspace, unreachable: dict[Phase, str]) -> Result:
    if case.phase in unreachable:
        return not_run(case, unreachable[case.phase])
    try:
        enter(workspace, case.phase)
    except CRASHES as error:
        unreachable[case.phase] = f"the CA does not become {case.phase}: {_said(error)}"
        return not_run(case, unreachable[case.phase])
    try:
        return compare(case, case.observe(workspace))
    except CRASHES as error:
        return not_run(case, _said(error))


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, Unsettled | ClientError) else f"{type(error).__name__}: {error}"
