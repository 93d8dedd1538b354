"""The result of ``make canary`` on a real account, ``docs/canary.json``, and what it says of a rule.

What this module decides: the form of the file (it is written by a machine elsewhere, so nothing in it is believed unchecked), and when a rule counts
as confirmed: every one of its cases was asked and answered as the sandbox answers. Without the file nothing is: "never run on AWS".

The form: ``{"version": 1, "date": "2027-01-31", "region": "eu-west-1", "cases": {NAME: {"outcome": "same"|"differs"|"not-run", "expected": ...,
"observed": ...}}}``. Other keys are left alone.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

_VERSION = 1
_MOST_BYTES = 1_000_000
_MOST_CASES = 1_000
_REGION = re.compile("[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")
_NAME = re.compile("[a-z0-9]+(-[a-z0-9]+)*")
_SHOWN = 300
# all of them stand inside of texts, where JSON has an escape for each
_INERT = {ord(char): f"\\u{ord(char):04x}" for char in "|`<>&\x7f"}


class Outcome(StrEnum):
    """What became of a case."""

    SAME = "same"
    DIFFERS = "differs"
    NOT_RUN = "not-run"


@dataclass(frozen=True, slots=True)
class Answer:
    """One case: ``observed`` is what AWS answered: JSON of one line, shortened, with nothing in it that Markdown or HTML would read;
    ``expected`` is what the sandbox was expected to answer when the case was run.
    """

    outcome: Outcome
    observed: str = ""
    expected: Any = None


@dataclass(frozen=True, slots=True)
class AwsRun:
    """A run: its day (ISO 8601), its Region, its cases by name."""

    date: str
    region: str
    answers: Mapping[str, Answer] = field(default_factory=dict)


class Confirmation(StrEnum):
    """What a run says of a rule."""

    NEVER = "never run on AWS"
    CONFIRMED = "confirmed"
    IN_PART = "confirmed in part"
    DIFFERS = "differs"


def read_run(path: Path) -> AwsRun | None:
    """The run that is recorded in a file; None where there is none.

    Raises:
        ValueError: the file is not what a run writes.
    """
    if not path.exists():
        return None
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{path.name} is larger than {_MOST_BYTES} bytes")
    return parse_run(path.read_bytes())


def parse_run(data: bytes) -> AwsRun:
    """A run out of JSON.

    Raises:
        ValueError: it is none; says where.
    """
    try:
        document = json.loads(data.decode("utf-8"), parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("the run is nested too deeply") from error
    if not isinstance(document, dict) or document.get("version") != _VERSION or document["version"] is True:
        raise ValueError(f"the run is not of version {_VERSION}")
    cases = document.get("cases")
    if not isinstance(cases, dict) or len(cases) > _MOST_CASES:
        raise ValueError(f"cases must be an object of at most {_MOST_CASES} members")
    region = document.get("region")
    if not isinstance(region, str) or not _REGION.fullmatch(region):
        raise ValueError("region must name a Region")
    answers = {_name(name): _answer(name, given) for name, given in cases.items()}
    return AwsRun(_date(document.get("date")), region, answers)


def confirmation(cases: Iterable[str], run: AwsRun | None) -> Confirmation:
    """What a run says of a rule that these cases confirm."""
    found = [run.answers.get(case) for case in cases] if run else []
    outcomes = {answer.outcome if answer else Outcome.NOT_RUN for answer in found}
    if Outcome.DIFFERS in outcomes:
        return Confirmation.DIFFERS
    if outcomes == {Outcome.SAME}:
        return Confirmation.CONFIRMED
    return Confirmation.IN_PART if Outcome.SAME in outcomes else Confirmation.NEVER


def outdated(run: AwsRun | None, expectations: Mapping[str, Any]) -> list[str]:
    """The cases of a run that say nothing of the sandbox of today: unknown by now, or expected to be answered otherwise."""
    answers = run.answers if run else {}
    return sorted(
        name for name, answer in answers.items() if name not in expectations or answer.expected != expectations[name]
    )


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _date(text: Any) -> str:
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError("date must be written YYYY-MM-DD")
    return datetime.date.fromisoformat(text).isoformat()


def _name(name: str) -> str:
    if len(name) > 100 or not _NAME.fullmatch(name):
        raise ValueError(f"{name[:100]!r} is not the name of a case")
    return name


def _answer(name: str, given: Any) -> Answer:
    outcomes = [outcome.value for outcome in Outcome]
    if not isinstance(given, dict) or given.get("outcome") not in outcomes:
        raise ValueError(f"the outcome of {name} must be one of {', '.join(outcomes)}")
    outcome = Outcome(given["outcome"])
    if outcome is not Outcome.NOT_RUN and "observed" not in given:
        raise ValueError(f"{name} was run, but says nothing of what was observed")
    text = json.dumps(given.get("observed"), ensure_ascii=True, sort_keys=True).translate(_INERT)
    return Answer(outcome, text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...", given.get("expected"))
