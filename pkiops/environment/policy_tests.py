"""The fixtures of ``policy test``: requests with the verdict that they must get, in ``policy-tests/ENV.yaml`` beside the environment files.

What this module decides: their shape, that every problem of the file is reported at once with its line, and that a request is read from below the
folder of the fixtures only. Judging them is left to ``pkiops.cert.policy_tests``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from pkiops.environment.document import MAX_BYTES, Document, read_document
from pkiops.environment.finding import Finding, listed, nearest, shown
from pkiops.environment.load import environment_path
from pkiops.environment.models import Environment
from pkiops.environment.translate import findings_of
from pkiops.errors import EnvironmentFileError, InputError, PkiopsError
from pkiops.policy.codes import REFUSAL_CODES
from pkiops.policy.declared import declared
from pkiops.policy.rules import DurationField
from pkiops.x509.csr import MAX_CSR_BYTES
from pkiops.x509.san import SubjectAltName, parse_san

FOLDER = "policy-tests"
_PREFIX = "policy."
_CODES = frozenset(f"{_PREFIX}{one.code}" for one in REFUSAL_CODES)


@declared
class Supposed:
    """What a fixture takes for known beside the request: who asks, and what the ledger would say.

    ``names_of_key`` are names that certificates of the same key have; ``issued`` tells for a name how many certificates there are within the
    window of the profile's limit; a certificate with exactly ``certificate_names`` ends in ``certificate_ends_in``.
    """

    requester: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    names_of_key: tuple[str, ...] = ()
    issued: dict[str, Annotated[int, Field(ge=0, le=100_000, strict=True)]] = field(default_factory=dict)
    others_in_run: Annotated[int, Field(ge=0, strict=True)] = 0
    certificate_names: tuple[str, ...] = ()
    certificate_ends_in: DurationField | None = None

    def of_ledger(self) -> bool:
        """Whether anything is said of the ledger."""
        return bool(self.names_of_key or self.issued or self.others_in_run or self.certificate_names)


@declared
class DeclaredTest:
    """One request and its verdict; ``codes``, where given, are exactly the codes of the rules that refuse."""

    profile: str
    csr: Annotated[str, Field(min_length=1, max_length=200)]
    expect: Literal["allowed", "refused"]
    codes: tuple[str, ...] = ()
    sans: tuple[str, ...] = ()
    validity: DurationField | None = None
    given: Supposed | None = None


@declared
class DeclaredTests:
    """The whole file."""

    schema: Literal[1]
    tests: Annotated[dict[str, DeclaredTest], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyTest:
    """A fixture with its request; ``place`` is FILE:LINE."""

    name: str
    place: str
    declared: DeclaredTest
    sans: tuple[SubjectAltName, ...]
    csr: bytes = field(repr=False)


def load_policy_tests(environment: Environment, folder: Path) -> tuple[PolicyTest, ...]:
    """The fixtures of an environment, in the order of the file; ``folder`` holds the environment files.

    Raises:
        InputError: there is no such file, or it cannot be read.
        EnvironmentFileError: it is wrong; all of its problems.
    """
    path = environment_path(environment.environment, folder / FOLDER)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        hint = f"write {path}: docs/guides/issuing.md shows one"
        raise InputError(f"cannot read {path}: {error.strerror}", hint=hint, code="policy.no-tests") from error
    document = read_document(data, str(path))
    problems = list(document.problems)
    tests: list[PolicyTest] = []
    if document.value is not None:
        adapter = TypeAdapter(DeclaredTests)
        try:
            loaded = adapter.validate_python(document.value)
        except ValidationError as error:
            found = findings_of(error, document.value, adapter.json_schema)
            problems += [document.locate(one) for one in found if one.path not in document.spoiled]
        else:
            findings: list[Finding] = []
            for name, declared_test in loaded.tests.items():
                tests += _read(environment, path.parent, document, name, declared_test, findings)
            problems += [document.locate(one) for one in findings]
    if problems:
        raise EnvironmentFileError(sorted(problems, key=lambda one: (one.line, one.column)))
    return tuple(tests)


def _read(
    environment: Environment, folder: Path, document: Document, name: str, test: DeclaredTest, findings: list[Finding]
) -> list[PolicyTest]:
    before = len(findings)
    at = ("tests", name)
    if test.profile not in environment.profiles:
        known = listed(sorted(environment.profiles))
        message = f"there is no profile {shown(test.profile)}; write {known}"
        findings.append(Finding((*at, "profile"), message, "policy.test-profile"))
    if test.expect == "allowed" and test.codes:
        message = "codes are of rules that refuse, and this request is expected to be allowed"
        findings.append(Finding((*at, "codes"), message, "policy.test-codes"))
    for index, code in enumerate(test.codes):
        if code.startswith(_PREFIX) and code not in _CODES:
            close = nearest(code, _CODES)
            meant = f"; did you mean {close}?" if close else "; docs/reference/policy-codes.md lists them"
            findings.append(
                Finding((*at, "codes", index), f"no rule refuses as {shown(code)}{meant}", "policy.test-codes")
            )
    sans: list[SubjectAltName] = []
    for index, text in enumerate(test.sans):
        try:
            sans.append(parse_san(text))
        except PkiopsError as error:
            findings.append(Finding((*at, "sans", index), error.message, "policy.test-san"))
    csr = b""
    try:
        csr = _csr(folder, test.csr)
    except (OSError, ValueError) as error:
        reason = (error.strerror or "unreadable") if isinstance(error, OSError) else str(error)
        findings.append(Finding((*at, "csr"), f"cannot read {shown(test.csr)}: {reason}", "policy.test-csr"))
    if len(findings) > before:
        return []
    place = f"{document.file}:{document.keys[at].line}"
    return [PolicyTest(name=name, place=place, declared=test, sans=tuple(sans), csr=csr)]


def _csr(folder: Path, name: str) -> bytes:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"a request lies in {folder} or below")
    if not path.is_file():
        raise ValueError("there is no such file")
    with path.open("rb") as stream:
        return stream.read(MAX_CSR_BYTES + 1)
