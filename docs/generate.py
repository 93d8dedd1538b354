"""Write ``docs/reference/`` and the parts of ``docs/sandbox.md`` that can drift: from the code, from the rules of the sandbox, and from the result of
``make canary`` (``docs/canary.json``, once somebody has run it). ``make docs`` runs it, a test holds the files against it.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

from pkiops import errors
from pkiops.cli.app import NOUNS, app

DOCS = Path(__file__).parent
REFERENCE = DOCS / "reference"
DECISIONS = DOCS / "adr"
SANDBOX = DOCS / "sandbox.md"
CANARY_RESULT = DOCS / "canary.json"
_NOTE = "<!-- written by docs/generate.py; change the code, then run make docs -->\n"


def pages() -> dict[Path, str]:
    """Every generated page: its path and its text."""
    return {
        REFERENCE / "commands.md": _commands(),
        REFERENCE / "exit-codes.md": _exit_codes(),
        REFERENCE / "doctor.md": _checks(),
        REFERENCE / "policy-codes.md": _policy_codes(),
        DECISIONS / "README.md": _decisions(),
        **_sandbox(),
    }


def command_paths() -> Iterator[tuple[str, ...]]:
    """Every command as the words after ``pkiops``, in the order of ``--help``."""
    from typer.main import get_command

    root = get_command(app)
    context = root.make_context("pkiops", ["env", "list"])
    for noun in NOUNS:
        group = root.get_command(context, noun)  # type: ignore[attr-defined]
        for verb in group.commands:
            yield noun, verb


def _commands() -> str:
    parts = [_NOTE, "# Commands\n", _block(()), _variables()]
    parts += [f"## pkiops {' '.join(path)}\n\n{_block(path)}" for path in command_paths()]
    return "\n".join(parts)


def _variables() -> str:
    return (
        "Every option can be given as an environment variable `PKIOPS_` and its name in capitals (`--validity`: `PKIOPS_VALIDITY`),\n"
        "except those that give consent or wave a guard away (and `--probe CERT,KEY` is `PKIOPS_PROBE_WITH`: elsewhere `--probe` is a switch).\n"
    )


def _block(path: tuple[str, ...]) -> str:
    output = io.StringIO()
    with redirect_stdout(output):
        app([*path, "--help"], prog_name="pkiops", standalone_mode=False, terminal_width=110, max_content_width=110)
    text = "\n".join(line.rstrip() for line in output.getvalue().strip().splitlines())
    return f"```text\n{text}\n```\n"


def _exit_codes() -> str:
    rows = ["| code | class | meaning |", "| --- | --- | --- |", "| 0 | | done |"]
    seen: set[type[errors.PkiopsError]] = set()
    for kind in sorted(_classes(errors.PkiopsError), key=lambda one: (one.exit_code, one.__name__)):
        if kind not in seen:
            seen.add(kind)
            first = (kind.__doc__ or "").strip().splitlines()[0]
            rows.append(f"| {kind.exit_code} | `{kind.__name__}` (`{kind.default_code}`) | {first} |")
    return "\n".join([_NOTE, "# Exit codes\n", *rows, ""])


def _checks() -> str:
    from pkiops.ca.doctor.catalogue import CHECKS

    rows = ["| code | severity | what | prevents | source |", "| --- | --- | --- | --- | --- |"]
    rows += [f"| `{c.code}` | {c.severity.name.lower()} | {c.title} | {c.prevents} | {c.source} |" for c in CHECKS]
    words = "`pkiops ca doctor ENV` looks for these; `--fail-on error|warning|info` exits with 5 if it finds one."
    return "\n".join([_NOTE, "# Checks of ca doctor\n", words + "\n", *rows, ""])


def _policy_codes() -> str:
    from pkiops.policy.codes import REFUSAL_CODES

    rows = ["| code | key of the profile | what it says about a request |", "| --- | --- | --- |"]
    rows += [f"| `policy.{one.code}` | `{one.rule}` | {one.meaning} |" for one in REFUSAL_CODES]
    words = (
        "The rules of a profile refuse under these codes: `policy explain` shows them, `policy test` takes them under `codes`, and the\n"
        "ledger keeps them. A refusal by several rules is `policy.denied`, with all of them in its details. What cannot be read, or whose\n"
        "own signature does not verify, is refused before any rule, under `csr.` codes."
    )
    return "\n".join([_NOTE, "# Codes of refusals\n", words + "\n", *rows, ""])


def _sandbox() -> dict[Path, str]:
    from sandbox_behaviour import aws_run, page, rules

    known, run = rules.read_rules(), aws_run.read_run(CANARY_RESULT)
    parts = {"rules": page.summary(known, run), "does not": page.lacks_list(rules.read_lacks())}
    note = _NOTE.replace("change the code", "change docs/sandbox_behaviour")
    return {
        REFERENCE / "sandbox-behaviour.md": page.behaviour_page(note, known, run),
        REFERENCE / "sandbox-unverified.md": page.unverified_page(note, known, run),
        SANDBOX: page.replaced(SANDBOX.read_text(encoding="utf-8"), parts),
    }


def _classes(kind: type[errors.PkiopsError]) -> Iterator[type[errors.PkiopsError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _classes(child)


def _decisions() -> str:
    rows = []
    for path in sorted(DECISIONS.glob("0*.md")):
        title = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        rows.append(f"- [{title}]({path.name})")
    return "\n".join([_NOTE, "# Decisions\n", *rows, ""])


def main() -> None:
    """Write the pages."""
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
