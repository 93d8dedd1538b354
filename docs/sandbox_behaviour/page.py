"""The pages of the sandbox's behaviour: every rule by operation, what is unverified, and the parts of docs/sandbox.md that can drift.

What this module decides: how rules and a run on AWS read. It reads no files.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from sandbox_behaviour.aws_run import AwsRun, Confirmation, Outcome, confirmation
from sandbox_behaviour.rules import Lack, Rule, Standing, subjects

_WORDS = {
    Standing.DOCUMENTED: "documented",
    Standing.OBSERVED: "observed",
    Standing.GUESS: "*unverified*",
    Standing.CHOICE: "the sandbox's",
}
_LEGEND = """| Standing | |
| --- | --- |
| documented | AWS's documentation or the service's model says so, but for what the source calls not said |
| observed | users or clients of AWS have seen it, as their public issues or source code say |
| *unverified* | the documentation is silent or contradicts itself: a choice, and no test that depends on it proves anything about AWS |
| the sandbox's | what a sandbox adds or leaves out on purpose; it says nothing of AWS |

"Confirmed on AWS": AWS has answered all that `make canary` asks about a rule as the sandbox does; a rule may say more than is asked.
"""


def behaviour_page(note: str, rules: tuple[Rule, ...], run: AwsRun | None) -> str:
    """Every rule by operation."""
    parts = [
        note,
        "# What the sandbox does, rule by rule\n",
        f"{verdict(run)} Each rule below is held by a test, which its entry in `docs/sandbox_behaviour/rules/` names.\n",
        _LEGEND,
    ]
    for subject in subjects(rules):
        rows = [
            f"| {_cell(rule.says)} | {_cell(rule.source)} | {_WORDS[rule.standing]} | {on_aws(rule, run)} |"
            for rule in rules
            if rule.subject == subject
        ]
        parts += [
            f"## {subject}\n",
            "| What the sandbox does | Source | Standing | On AWS |",
            "| --- | --- | --- | --- |",
        ]
        parts += [*rows, ""]
    return "\n".join([*parts, *_unclaimed(rules, run)])


def unverified_page(note: str, rules: tuple[Rule, ...], run: AwsRun | None) -> str:
    """What a program must not rely on: what is guessed and not confirmed on AWS, or different there."""
    left = [rule for rule in rules if is_unverified(rule, run)]
    parts = [
        note,
        "# What is unverified\n",
        f"{verdict(run)} The documentation is silent or contradicts itself on these {len(left)} of the {len(rules)} "
        "[rules](sandbox-behaviour.md); a test that depends on one of them proves nothing about AWS. The case is the "
        "question of `make canary` that would settle it.\n",
        "| Where | What the sandbox does | What is known | On AWS | Case |",
        "| --- | --- | --- | --- | --- |",
    ]
    for rule in left:
        cases = ", ".join(f"`{case}`" for case in rule.cases)
        parts.append(f"| {rule.subject} | {_cell(rule.says)} | {_cell(rule.source)} | {on_aws(rule, run)} | {cases} |")
    return "\n".join([*parts, ""])


def summary(rules: tuple[Rule, ...], run: AwsRun | None) -> str:
    """For docs/sandbox.md: the verdict, and the numbers of rules by operation."""
    rows = [
        "| | Rules | Documented | Observed | *Unverified* | The sandbox's | Confirmed on AWS | Different on AWS |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    rows += [
        f"| [{subject}](reference/sandbox-behaviour.md#{_anchor(subject)}) | {_numbers(chosen, run)} |"
        for subject in subjects(rules)
        for chosen in [[rule for rule in rules if rule.subject == subject]]
    ]
    return "\n".join([f"**{verdict(run)}**\n", *rows, f"| together | {_numbers(rules, run)} |"])


def lacks_list(lacks: Iterable[Lack]) -> str:
    """For docs/sandbox.md: what the sandbox does not do."""
    rows = [f"| {_cell(lack.what)} | {_cell(lack.instead)} |" for lack in lacks]
    return "\n".join(["| What AWS does | What the sandbox does instead |", "| --- | --- |", *rows])


def verdict(run: AwsRun | None) -> str:
    """What is known of AWS altogether, in one sentence."""
    if run is None:
        return "Never run on AWS: nobody has compared the sandbox with the real service yet."
    outcomes = Counter(answer.outcome for answer in run.answers.values())
    return (
        f"Compared with AWS on {run.date} in {run.region}: {outcomes[Outcome.SAME]} cases the same, "
        f"{outcomes[Outcome.DIFFERS]} different, {outcomes[Outcome.NOT_RUN]} not run."
    )


def on_aws(rule: Rule, run: AwsRun | None) -> str:
    """What a run says of a rule, as the cell of a table."""
    found = confirmation(rule.cases, run)
    if run is None or found is Confirmation.NEVER:
        return str(Confirmation.NEVER)
    if found is Confirmation.DIFFERS:
        different = [
            f"`{case}` answered `{run.answers[case].observed}`"
            for case in rule.cases
            if case in run.answers and run.answers[case].outcome is Outcome.DIFFERS
        ]
        return f"**differs on AWS** ({run.date}): {'; '.join(different)}"
    return f"{found} on AWS on {run.date}"


def is_unverified(rule: Rule, run: AwsRun | None) -> bool:
    """Whether nothing but our choice stands behind a rule, or AWS is known to do otherwise."""
    found = confirmation(rule.cases, run)
    return found is Confirmation.DIFFERS or (rule.standing is Standing.GUESS and found is not Confirmation.CONFIRMED)


def replaced(text: str, parts: dict[str, str]) -> str:
    """A page with the text between ``<!-- NAME -->`` and ``<!-- end of NAME -->`` replaced, part by part.

    Raises:
        ValueError: a mark is not there, or more than once.
    """
    for name, part in parts.items():
        begin, end = f"<!-- {name}: written by docs/generate.py -->\n", f"<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
            raise ValueError(f"the marks of {name} must be there once, in order")
        before, after = text.partition(begin)[0], text.partition(end)[2]
        text = f"{before}{begin}{part}\n{end}{after}"
    return text


def _numbers(rules: Sequence[Rule], run: AwsRun | None) -> str:
    standings = Counter(rule.standing for rule in rules)
    found = Counter(confirmation(rule.cases, run) for rule in rules)
    numbers = [len(rules), *(standings[standing] for standing in Standing)]
    return " | ".join(str(number) for number in [*numbers, found[Confirmation.CONFIRMED], found[Confirmation.DIFFERS]])


def _unclaimed(rules: Iterable[Rule], run: AwsRun | None) -> list[str]:
    """Answers of cases that no rule names: they must not get lost."""
    named = {case for rule in rules for case in rule.cases}
    answers = {name: answer for name, answer in (run.answers if run else {}).items() if name not in named}
    if not answers:
        return []
    rows = [f"| `{name}` | {answer.outcome} | `{answer.observed}` |" for name, answer in sorted(answers.items())]
    return ["## Cases that no rule names\n", "| Case | Outcome | Observed |", "| --- | --- | --- |", *rows, ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
