"""Whether what came back breaks rules of RFC 5280, by pkilint: after it was compared with the intent, before anybody gets it.

What this module decides: which findings refuse a certificate (those that reach the floor in the environment file, ``lint: error`` or
``lint: warning``), that findings which the backend knows of its own recipes do not, and that a linter that is asked for and missing is said before
anything is sent. With ``lint: none``, which is the default, nothing is imported here. The rules are pkilint's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509

from pkiops.backends.lint_findings import KnownLintFinding, KnowsLintFindings
from pkiops.environment.models import Environment
from pkiops.errors import InputError, VerificationFailed

if TYPE_CHECKING:
    from pkiops.x509.lint import LintFinding


@dataclass(frozen=True, slots=True)
class Linted:
    """What the linter found: what refuses the certificate, what the backend knows of itself (with its source), and what is below the floor."""

    refusing: tuple[LintFinding, ...] = ()
    known: tuple[tuple[LintFinding, KnownLintFinding], ...] = ()
    below: tuple[LintFinding, ...] = ()


def require_linter(environment: Environment) -> None:
    """Check that the linter is there, if the file asks for it.

    Raises:
        InputError: code ``lint.not-installed``.
    """
    if environment.lint == "none":
        return
    from pkiops.x509.lint import linter_is_installed

    if not linter_is_installed():
        raise InputError(
            f"environment {environment.environment} has its certificates linted (lint: {environment.lint}), but pkilint is not installed",
            hint="install it (pip install 'pkiops[lint]'), or write lint: none in the file",
            code="lint.not-installed",
        )


def lint(
    environment: Environment, backend: object, certificate: x509.Certificate, *, floor: str | None = None
) -> Linted:
    """Lint a certificate; nothing is found where the floor is ``none``.

    Args:
        environment: its ``lint`` is the floor.
        backend: may know findings of its own recipes.
        certificate: an end entity's.
        floor: in place of the file's.
    """
    wanted = floor or environment.lint
    if wanted == "none":
        return Linted()
    from pkiops.x509.keys import describe_key
    from pkiops.x509.lint import LintSeverity, lint_certificate

    facts: Sequence[KnownLintFinding] = backend.known_lint_findings if isinstance(backend, KnowsLintFindings) else ()
    kind = describe_key(certificate.public_key()).replace("-", " ").split()[0]
    explained = {one.code: one for one in facts if kind == one.key_type}
    found = lint_certificate(certificate)
    reached = [one for one in found if one.severity.reaches(LintSeverity(wanted))]
    return Linted(
        refusing=tuple(one for one in reached if one.code not in explained),
        known=tuple((one, explained[one.code]) for one in reached if one.code in explained),
        below=tuple(one for one in found if one not in reached),
    )


def require_clean(linted: Linted, name: str, *, hint: str) -> None:
    """Refuse what has findings that reach the floor.

    Raises:
        VerificationFailed: code ``cert.lint``.
    """
    if not linted.refusing:
        return
    raise VerificationFailed(
        "\n".join([f"{name} breaks rules of RFC 5280, as pkilint finds", *(f"  {one}" for one in linted.refusing)]),
        hint=hint,
        code="cert.lint",
        details={"findings": [finding_json(one) for one in linted.refusing]},
    )


def finding_json(one: LintFinding) -> dict[str, str]:
    """A finding as JSON-ready data."""
    return {"code": one.code, "severity": one.severity.value, "where": one.where, "message": one.message}
