"""Go tests that play somebody else's client: built from what ``make clients`` fetched, run against a sandbox.

It decides how such a program is built (offline, so that running the tests downloads nothing) and what it sees of the machine.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.live_programs import require_program, unavailable

# the modules and compiled packages are those that make clients has left in Go's own caches
OFFLINE = {"GOPROXY": "off", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def _go(source: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [require_program("go"), *words],
        cwd=source,
        env={**os.environ, **OFFLINE},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def build(source: Path, into: Path) -> Path:
    """The test binary of the package in ``source``."""
    present = _go(source, "list", "-deps", "-test", ".")
    if present.returncode != 0:
        reason = present.stderr.strip().splitlines()[-1]
        unavailable(f"{source.name} cannot be built here (make clients fetches what it needs): {reason}")
    program = into / source.name
    built = _go(source, "test", "-c", "-o", str(program), ".")
    assert built.returncode == 0, built.stderr
    return program


def passed(program: Path, environment: Mapping[str, str]) -> set[str]:
    """Run all of its tests; the names of those that passed, which are all of them or this fails."""
    home = program.parent
    run = subprocess.run(
        [str(program), "-test.v", "-test.timeout", "120s"],
        cwd=home,
        env={**environment, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    results = [line.split() for line in run.stdout.splitlines() if line.startswith("--- ")]
    assert {words[1] for words in results} == {"PASS:"}, run.stdout
    return {words[2] for words in results}
