"""How many calls were failed, in how many ways: one line for each verb at the end of the run, gathered from all of pytest's processes."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest

PROPERTY = "faults"


def lines(properties: list[dict[str, Any]]) -> list[str]:
    """The lines for what tests recorded as ``faults``: a verb's name, and numbers."""
    verbs: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in properties:
        verbs[one["verb"]].update({name: count for name, count in one.items() if name != "verb"})
    said = []
    total: Counter[str] = Counter()
    for verb, counts in sorted(verbs.items()):
        said.append(_line(f"faults, {verb}", counts))
        total.update(counts)
    return [*said, _line(f"faults, {len(verbs)} verbs", total)] if said else []


def _line(title: str, counts: Counter[str]) -> str:
    kinds = {name: count for name, count in counts.items() if name not in {"calls", "states"}}
    ways = ", ".join(f"{name} {count}" for name, count in sorted(kinds.items()))
    return (
        f"{title}: {len(kinds)} kinds x {counts['calls']} calls, {sum(kinds.values())} failures ({ways}), "
        f"{counts['states']} states completed by a second run"
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the lines."""
    found = [
        value
        for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
        for name, value in getattr(report, "user_properties", ())
        if name == PROPERTY and report.when == "call"
    ]
    said = lines(found)
    if said:
        terminalreporter.section("failed calls")
        for line in said:
            terminalreporter.write_line(line)
