"""What a run has found, as data and as a table.

What this module decides: what is compared, that nothing which tells the account or a secret gets into the file, and the file's form.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tests.canary.case import Case, Observation

SAME, DIFFERS, NOT_RUN = "same", "differs", "not-run"
VERSION = 1
_LONGEST = 400
# in this order: an ARN has an account in it, and a bucket's name a run
_HIDDEN = (
    (re.compile(r"-----BEGIN [^-]{1,40}-----.*?(?:-----END [^-]{1,40}-----|$)", re.DOTALL), "PEM"),
    (re.compile(r"arn:[a-z-]+:[^\s\"',;)]+"), "ARN"),
    (re.compile(r"pkiops-canary-[0-9a-z-]+"), "BUCKET"),
    (re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA)[A-Z0-9]{8,}"), "KEY"),
    (re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), "UUID"),
    (re.compile(r"(?<!\d)\d{12}(?!\d)"), "ACCOUNT"),
    (re.compile(r"\d{1,3}(?:\.\d{1,3}){3}"), "ADDRESS"),
    (re.compile(r"(?<![\w.:/-])/(?:[\w.-]+/)+[\w.-]+"), "PATH"),
    (re.compile(r"[A-Za-z0-9+/]{40,}={0,2}"), "BASE64"),
    (re.compile(r"[^\x20-\x7e]"), "?"),
)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case; ``reason`` says why it was not run."""

    case: Case
    outcome: str
    observed: Observation = None
    reason: str | None = None


def compare(case: Case, observed: Observation) -> Result:
    """The result of a case that was run."""
    return Result(case, SAME if observed == case.expected else DIFFERS, redact(observed))


def not_run(case: Case, reason: str) -> Result:
    """The result of one that was not."""
    return Result(case, NOT_RUN, reason=redacted_text(reason))


def redact(observed: Observation) -> Observation:
    """The same without what tells account, run or secrets."""
    if isinstance(observed, str):
        return redacted_text(observed)
    if isinstance(observed, bool) or observed is None:
        return observed
    if isinstance(observed, int):
        return "ACCOUNT" if re.fullmatch(r"\d{12}", str(observed)) else observed
    if isinstance(observed, list):
        return [redact(each) for each in observed]
    return {redacted_text(key): redact(value) for key, value in observed.items()}


def redacted_text(text: str) -> str:
    """A line of text without what tells account, run or secrets."""
    for pattern, instead in _HIDDEN:
        text = pattern.sub(instead, text)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def document(results: Iterable[Result], region: str, day: date) -> str:
    """The file: JSON, cases by name."""
    cases = {
        result.case.name: {
            "outcome": result.outcome,
            "expected": result.case.expected,
            "observed": result.observed,
            **({"reason": result.reason} if result.reason is not None else {}),
        }
        for result in results
    }
    content = {"version": VERSION, "date": day.isoformat(), "region": region, "cases": cases}
    return json.dumps(content, indent=2, sort_keys=True) + "\n"


def write(text: str, path: Path) -> None:
    """Replace a file as a whole, or leave it as it is."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with beside.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def table(results: Iterable[Result]) -> Iterator[str]:
    """Lines for a person."""
    found = list(results)
    width = max((len(result.case.name) for result in found), default=0)
    for result in found:
        yield f"{result.case.name:<{width}}  {result.outcome}"
        if result.outcome == DIFFERS:
            yield f"    sandbox: {json.dumps(result.case.expected)}"
            yield f"    here:    {json.dumps(result.observed)}"
        elif result.outcome == NOT_RUN:
            yield f"    {result.reason}"
    counts = Counter(result.outcome for result in found)
    yield ", ".join(f"{counts[each]} {each}" for each in (SAME, DIFFERS, NOT_RUN))
