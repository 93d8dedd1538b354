"""Every exception pkiops raises on purpose.

What this module decides: the tree of errors, their stable codes and the process exit code of each.

- Each class has an ``exit_code`` and a ``code`` prefix; an instance may refine the code (``csr.weak-key``).
- ``message`` says what failed, on which object and what came back; ``hint`` says what to do next.
- ``details`` is JSON-ready data for machines.

How an error is printed is decided by ``pkiops.cli.app``, the only place that catches them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class PkiopsError(Exception):
    """Base of all deliberate errors.

    Args:
        message: what failed, on which object, what came back; one sentence, no trailing newline.
        hint: what the reader can do about it, or None.
        code: a stable dotted code, more exact than the class's own.
        details: JSON-ready data about the failure.
    """

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "internal.error"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        code: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or self.default_code
        self.details: dict[str, Any] = dict(details or {})


class InternalError(PkiopsError):
    """A broken invariant: a bug in pkiops, worth a report."""


class InputError(PkiopsError):
    """Wrong usage, or an input that cannot be read or parsed."""

    exit_code = 2
    default_code = "usage.input"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in an environment file.

    ``line`` and ``column`` count from 1; ``key_path`` is dotted (``authorities.clients.validity``).
    """

    file: str
    line: int
    column: int
    key_path: str
    message: str
    code: str

    def __str__(self) -> str:
        path = f" {self.key_path}:" if self.key_path else ""
        return f"{self.file}:{self.line}:{self.column}:{path} {self.message}"


class EnvironmentFileError(PkiopsError):
    """An environment file is wrong; all of its problems at once."""

    exit_code = 3
    default_code = "env.invalid"

    def __init__(self, problems: Sequence[Problem], *, hint: str | None = None) -> None:
        self.problems = tuple(problems)
        files = sorted({problem.file for problem in self.problems})
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        lines = [f"{count} {noun} in {', '.join(files)}", *(f"  {problem}" for problem in self.problems)]
        super().__init__(
            "\n".join(lines),
            hint=hint,
            details={
                "problems": [
                    {
                        "file": p.file,
                        "line": p.line,
                        "column": p.column,
                        "key_path": p.key_path,
                        "code": p.code,
                        "message": p.message,
                    }
                    for p in self.problems
                ]
            },
        )


class PolicyDenied(PkiopsError):
    """A request was refused by policy, weak keys and a failed proof of possession included."""

    exit_code = 4
    default_code = "policy.denied"


class ChangesPending(PkiopsError):
    """Raised only where ``--detailed-exitcode`` or ``--fail-on`` asked to be told of changes or findings."""

    exit_code = 5
    default_code = "plan.changes-pending"


class BackendError(PkiopsError):
    """A certificate authority, AWS or another remote side failed or refused.

    ``retryable`` says whether the same call may succeed later without anybody changing anything.
    """

    exit_code = 6
    default_code = "backend.error"
    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        code: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, code=code, details=details)
        self.details.setdefault("retryable", self.retryable)


class NotFound(BackendError):
    """The remote object does not exist."""

    default_code = "backend.not-found"


class AlreadyExists(BackendError):
    """The remote object exists already, or a conditional write lost its race."""

    default_code = "backend.already-exists"


class AccessDenied(BackendError):
    """The caller lacks a permission."""

    default_code = "backend.access-denied"


class InvalidState(BackendError):
    """The remote object is in a state in which the call is refused."""

    default_code = "backend.invalid-state"


class InProgress(BackendError):
    """The answer is not ready yet (RequestInProgressException) or another change is under way."""

    default_code = "backend.in-progress"
    retryable = True


class Throttled(BackendError):
    """The remote side asked to slow down."""

    default_code = "backend.throttled"
    retryable = True


class Unreachable(BackendError):
    """No answer: connection refused, timed out, or a server error."""

    default_code = "backend.unreachable"
    retryable = True


class NotSupported(BackendError):
    """This backend cannot do what was asked."""

    default_code = "backend.not-supported"


class PartialApply(PkiopsError):
    """A plan was carried out in part; a re-run continues."""

    exit_code = 7
    default_code = "apply.partial"


class VerificationFailed(PkiopsError):
    """What came back, or what was published, is not what was asked for or cannot be trusted."""

    exit_code = 8
    default_code = "verify.failed"


class GuardRefused(PkiopsError):
    """pkiops stopped to protect the user; the hint says how to overrule it."""

    exit_code = 9
    default_code = "guard.refused"


class Interrupted(PkiopsError):
    """Ctrl-C, or a termination signal."""

    exit_code = 130
    default_code = "interrupted"
