"""What a start of pkiops imports: deterministic, unlike the milliseconds that ``make bench`` measures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("boto3", "botocore", "cryptography", "jinja2", "pydantic", "yaml")

# Runs pkiops as ``python -m pkiops`` would, then prints what was imported as the last line of stderr.
_WRAPPER = """
import runpy, sys
try:
    runpy.run_module("pkiops", run_name="__main__", alter_sys=True)
except SystemExit as error:
    code = error.code
else:
    code = 0
sys.stderr.write("\\n" + " ".join(sorted(sys.modules)))
sys.exit(code)
"""


def imported_by(*arguments: str) -> set[str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PKIOPS_")}
    result = subprocess.run(
        [sys.executable, "-c", _WRAPPER, *arguments],
        capture_output=True,
        cwd=ROOT,
        env=variables,
        timeout=60,
        check=False,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    modules = set(result.stderr.splitlines()[-1].split())
    assert "pkiops" in modules
    return modules


def test_the_wrapper_sees_what_is_imported() -> None:
    assert "pydantic" in imported_by("env", "validate", "dev")


def test_version_imports_no_typer() -> None:
    modules = imported_by("--version")
    assert not modules & {"typer", "rich", "pkiops.cli", "pkiops.errors", *HEAVY}


@pytest.mark.parametrize(
    "arguments", [("--help",), ("-h",), ("ca", "--help"), ("cert", "issue", "--help")], ids=" ".join
)
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    modules = imported_by(*arguments)
    assert "typer" in modules
    assert not modules & set(HEAVY)


@pytest.mark.parametrize("noun", ["env", "ca", "cert", "crl", "trust", "inventory", "sandbox"])
def test_the_help_of_a_noun_imports_no_library_that_it_does_not_need(noun: str) -> None:
    modules = imported_by(noun, "--help")
    assert f"pkiops.cli.{noun}" in modules
    assert not modules & {*HEAVY, "moto", "flask", "werkzeug", "rich"}
    others = {name for name in modules if name.startswith("pkiops.cli.")} & {
        f"pkiops.cli.{other}"
        for other in ("env", "ca", "cert", "crl", "trust", "inventory", "sandbox")
        if other != noun
    }
    assert not others


def test_validating_needs_no_aws_and_no_cryptography() -> None:
    modules = imported_by("env", "validate", "dev")
    assert not modules & {"boto3", "botocore", "cryptography", "jinja2", "moto", "flask", "rich"}
