"""The command line of ``python -m tests.canary``, checked.

What this module decides: that nobody runs it without saying in which account and for how much, and which cases are meant.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.canary.case import Case
from tests.canary.cases import CASES

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "docs" / "canary.json"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be done: ``limit`` in USD (None only if it is to clean), ``output`` None if nothing is to be written."""

    account: str
    limit: float
    region: str
    cases: tuple[Case, ...]
    clean: bool
    yes: bool
    output: Path | None
    journals: Path

    @property
    def is_whole(self) -> bool:
        """Whether every case is meant."""
        return len(self.cases) == len(CASES)


def parse(argv: Sequence[str]) -> Wanted:
    """Read the arguments.

    Raises:
        SystemExit: with 2, they are not right; with 0, after ``--help``.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tests.canary",
        description="Ask AWS Private CA what the sandbox claims of it. Costs money; deletes what it makes.",
        allow_abbrev=False,
    )
    parser.add_argument("--account", required=True, type=_account, metavar="ID", help="the account it may run in")
    parser.add_argument("--limit", type=_limit, metavar="USD", help="what it may cost (not needed with --clean)")
    parser.add_argument("--region", default="eu-west-1", help="default: eu-west-1")
    parser.add_argument("--cases", type=_cases, default=CASES, metavar="NAME,...", help="these alone")
    parser.add_argument("--clean", action="store_true", help="only remove what earlier runs have left")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: docs/canary.json, for all cases on AWS")
    parser.add_argument(
        "--journals", type=Path, default=REPOSITORY / ".canary", metavar="FOLDER", help="default: .canary"
    )
    given = parser.parse_args(argv)
    if given.limit is None and not given.clean:
        parser.error("say what it may cost, in USD: --limit (LIMIT=10)")
    output = given.output.resolve() if given.output else (RESULTS if len(given.cases) == len(CASES) else None)
    return Wanted(
        account=given.account,
        limit=given.limit or 0.0,
        region=given.region,
        cases=tuple(given.cases),
        clean=given.clean,
        yes=given.yes,
        output=output,
        journals=given.journals,
    )


def _account(text: str) -> str:
    if not re.fullmatch(r"[0-9]{12}", text):
        raise argparse.ArgumentTypeError("say which account: twelve digits (ACCOUNT=111122223333)")
    return text


def _limit(text: str) -> float:
    try:
        limit = float(text)
    except ValueError:
        limit = math.nan
    if not (math.isfinite(limit) and limit > 0):
        raise argparse.ArgumentTypeError("write an amount in USD, such as 10")
    return limit


def _cases(text: str) -> tuple[Case, ...]:
    names = {name.strip() for name in text.split(",") if name.strip()}
    unknown = sorted(names - {case.name for case in CASES})
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"there is no case {', '.join(unknown) or 'without a name'}")
    return tuple(case for case in CASES if case.name in names)
