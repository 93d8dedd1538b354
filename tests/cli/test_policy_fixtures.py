"""``pkiops policy test``: fixtures that hold, that fail, and that are wrong."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pkiops.cli.app import app
from tests import builders

DEV = Path(__file__).parents[2] / "environments" / "dev.yaml"
GOOD = """schema: 1
tests:
  good:
    profile: service
    csr: good.csr
    expect: allowed
  elsewhere:
    profile: service
    csr: good.csr
    sans: ["dns:orders.example.net"]
    expect: refused
    codes: [policy.san-dns-not-allowed]
  noise:
    profile: service
    csr: noise.csr
    expect: refused
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(DEV, tmp_path / "dev.yaml")
    (tmp_path / "policy-tests").mkdir()
    (tmp_path / "policy-tests" / "good.csr").write_bytes(builders.csr({}, sans=("dns:orders.svc.dev.example.com",)))
    (tmp_path / "policy-tests" / "noise.csr").write_bytes(b"no request")
    (tmp_path / "secret.csr").write_bytes(b"not for tests")
    return tmp_path


def run(folder: Path, text: str | None, *extra: str) -> Result:
    if text is not None:
        (folder / "policy-tests" / "dev.yaml").write_text(text)
    settings = {name: None for name in os.environ if name.startswith("PKIOPS_")}
    command = ["--environments", str(folder), "policy", "test", "dev", *extra]
    return CliRunner().invoke(app, command, env=settings, prog_name="pkiops")


def test_fixtures_that_hold(folder: Path) -> None:
    result = run(folder, GOOD)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[:2] == ["ok    good: allowed", "ok    elsewhere: refused (policy.san-dns-not-allowed)"]
    assert lines[2].startswith("ok    noise: refused (")
    assert result.stderr == ""


def test_a_wrong_verdict_is_shown_with_its_line_and_exits_8(folder: Path) -> None:
    result = run(folder, GOOD.replace("expect: allowed", "expect: refused"))
    assert result.exit_code == 8
    assert f"FAIL  {folder}/policy-tests/dev.yaml:3: good: expected refused, but it was allowed" in result.stdout
    assert "1 of 3 policy tests failed" in result.stderr


def test_another_reason_than_expected_fails(folder: Path) -> None:
    result = run(folder, GOOD.replace("policy.san-dns-not-allowed", "policy.key-weak"), "--format", "json")
    assert result.exit_code == 8
    found = json.loads(result.stdout)["tests"]
    assert [one["passed"] for one in found] == [True, False, True]
    assert found[1]["codes"] == ["policy.san-dns-not-allowed"]


def test_problems_of_the_file_are_all_told_with_their_lines(folder: Path) -> None:
    text = GOOD.replace("profile: service", "profile: nobody", 1).replace("csr: noise.csr", "csr: ../secret.csr")
    result = run(folder, text)
    assert result.exit_code == 3
    assert "dev.yaml:4:" in result.stderr
    assert "there is no profile nobody" in result.stderr
    assert "dev.yaml:15:" in result.stderr
    assert "not for tests" not in result.output


@pytest.mark.parametrize("text", ["", "[]", "schema: 1\n", GOOD.replace("expect: allowed", "expect: perhaps")])
def test_what_is_no_file_of_fixtures(folder: Path, text: str) -> None:
    result = run(folder, text)
    assert result.exit_code == 3
    assert "Traceback" not in result.output


def test_no_fixtures(folder: Path) -> None:
    assert run(folder, None).exit_code == 2
