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


GIVEN = """schema: 1
tests:
  somebody else:
    profile: service
    csr: good.csr
    given: {requester: "arn:aws:sts::123456789012:assumed-role/other/x"}
    expect: refused
    codes: [policy.requester-not-allowed]
  a key of another name:
    profile: service
    csr: good.csr
    given: {names_of_key: [pay.svc.dev.example.com]}
    expect: refused
    codes: [policy.key-reuse]
  too many:
    profile: service
    csr: good.csr
    given: {issued: {Orders.svc.dev.example.com: 3}}
    expect: refused
    codes: [policy.limit-per-name]
  too early:
    profile: service
    csr: good.csr
    given: {certificate_names: [orders.svc.dev.example.com], certificate_ends_in: 6d}
    expect: refused
    codes: [policy.renewal-too-early]
  a long run:
    profile: service
    csr: good.csr
    given: {others_in_run: 9}
    expect: refused
    codes: [policy.limit-per-run]
  all is well:
    profile: service
    csr: good.csr
    given:
      requester: github:example/orders@refs/heads/main
      names_of_key: [orders.svc.dev.example.com]
      issued: {orders.svc.dev.example.com: 2}
      others_in_run: 8
      certificate_names: [orders.svc.dev.example.com]
      certificate_ends_in: 5d
    expect: allowed
"""


def test_what_is_given_beside_the_request(folder: Path) -> None:
    more = (
        "    requesters: ['arn:aws:iam::123456789012:role/ci', 'github:example/*']\n"
        "    key_reuse: refuse\n    renewal_window: 5d\n    limits: {per_name: 3, per_run: 9}\n"
    )
    text = DEV.read_text().replace("    usage: [clientAuth]\n", f"    usage: [clientAuth]\n{more}", 1)
    (folder / "dev.yaml").write_text(text)
    result = run(folder, GIVEN)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("ok    ") == 6
    wrong = run(
        folder,
        GIVEN.replace("others_in_run: 9", "others_in_run: many").replace("names_of_key: [pay", "name_of_key: [pay"),
    )
    assert wrong.exit_code == 3
    assert "dev.yaml:12:" in wrong.stderr
    assert "did you mean names_of_key" in wrong.stderr, wrong.stderr
    assert "dev.yaml:30:" in wrong.stderr


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


def test_a_code_that_no_rule_has_is_no_expectation(folder: Path) -> None:
    result = run(folder, GOOD.replace("policy.san-dns-not-allowed", "policy.san-dns-not-alowed", 1))
    assert result.exit_code == 3
    assert "no rule refuses as policy.san-dns-not-alowed; did you mean policy.san-dns-not-allowed?" in result.stderr


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


def test_the_sample_beside_the_environments_holds() -> None:
    settings = {name: None for name in os.environ if name.startswith("PKIOPS_")}
    command = ["--environments", str(DEV.parent), "policy", "test", "dev"]
    result = CliRunner().invoke(app, command, env=settings, prog_name="pkiops")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("ok    ") == 5
