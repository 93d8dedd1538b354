"""``pkiops policy``: what it prints, and its exit codes."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from typer.testing import CliRunner, Result

from pkiops.cli.app import app
from tests import builders

ENVIRONMENTS = Path(__file__).parents[2] / "environments"
NAME = "orders.svc.dev.example.com"


def explain(data: bytes, *extra: str, profile: str = "service") -> Result:
    """Without a sandbox: whatever calls out is refused at once."""
    settings = {
        **{name: None for name in os.environ if name.startswith("PKIOPS_")},
        "PKIOPS_SANDBOX_URL": "http://127.0.0.1:9",
    }
    command = ["--environments", str(ENVIRONMENTS), "policy", "explain", "dev", "--profile", profile, "--csr", "-"]
    return CliRunner().invoke(app, [*command, *extra], input=data, env=settings, prog_name="pkiops")


def csr(*sans: str, **changes: Any) -> bytes:
    return builders.csr({"common_name": NAME}, sans=sans or (f"dns:{NAME}",), **changes)


def test_an_allowed_request_shows_its_rules_and_its_certificate() -> None:
    result = explain(csr())
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].endswith("allowed under profile service")
    assert "pass    keys = EC_prime256v1  [policy.key-allowed]" in lines
    assert f"  names    dns:{NAME}" in lines
    assert "would pass" not in result.stdout
    assert result.stderr == ""


def test_a_refused_request_says_what_would_pass_and_exits_4() -> None:
    result = explain(csr("dns:orders.example.net"))
    assert result.exit_code == 4
    lines = result.stdout.splitlines()
    assert lines[0].endswith("refused under profile service")
    # refusals come first
    assert lines[2].startswith("refuse  san.dns = dns:orders.example.net  [policy.san-dns-not-allowed]")
    assert lines[4].strip().startswith("would pass: ask for ")
    assert "the certificate would have" not in result.stdout
    assert "rules broken" in result.stderr
    assert "Traceback" not in result.output


def test_what_it_proposes_passes() -> None:
    refused = explain(csr("dns:orders.example.net"), "--format", "json")
    found = json.loads(refused.stdout)
    [suggested] = [one["suggestion"] for one in found["findings"] if one["code"] == "policy.san-dns-not-allowed"]
    name = suggested.removeprefix("ask for ").partition(", which")[0]
    body = builders.csr({}, sans=(name,))
    assert explain(body).exit_code == 0


def test_json_holds_every_finding_and_the_certificate() -> None:
    result = explain(csr(), "--format", "json", "--validity", "2d")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["kind"], found["environment"], found["allowed"]) == ("policy-explain", "dev", True)
    assert {one["verdict"] for one in found["findings"]} == {"pass"}
    assert {one["rule"] for one in found["findings"]} >= {"keys", "san.dns", "subject.common_name", "usage"}
    assert found["certificate"]["sans"] == [f"dns:{NAME}"]
    assert found["not_judged"]


def test_json_of_a_refusal_is_a_result_and_an_error() -> None:
    result = explain(csr(), "--format", "json", "--validity", "20y")
    assert result.exit_code == 4
    found = json.loads(result.stdout)
    assert found["allowed"] is False
    assert found["certificate"] is None
    assert json.loads(result.stderr)["error"]["code"] == "policy.validity-too-long"


def test_names_given_replace_those_of_the_request() -> None:
    wanted = csr("dns:orders.example.net")
    found = json.loads(explain(wanted, "--san", f"dns:{NAME}", "--format", "json").stdout)
    assert found["allowed"] is True
    assert found["certificate"]["sans"] == [f"dns:{NAME}"]


@pytest.fixture
def strict(tmp_path: Path) -> Path:
    """``dev`` with every rule that needs more than the request."""
    text = (ENVIRONMENTS / "dev.yaml").read_text()
    more = (
        "    requesters: ['arn:aws:iam::123456789012:role/ci', 'github:example/*']\n"
        "    key_reuse: refuse\n    renewal_window: 5d\n    limits: {per_name: 3, per_run: 9}\n"
    )
    (tmp_path / "dev.yaml").write_text(text.replace("    usage: [clientAuth]\n", f"    usage: [clientAuth]\n{more}", 1))
    return tmp_path


def explain_in(folder: Path, *extra: str) -> Result:
    settings = {name: None for name in os.environ if name.startswith("PKIOPS_")}
    command = ["--environments", str(folder), "policy", "explain", "dev", "--profile", "service", "--csr", "-", *extra]
    return CliRunner().invoke(app, command, input=csr(), env=settings, prog_name="pkiops")


def test_what_is_not_known_is_not_judged_and_said(strict: Path) -> None:
    result = explain_in(strict)
    assert result.exit_code == 0, result.output
    [_, told] = result.stdout.split("not judged here")
    for word in (
        "issuing CA",
        "compromised",
        "requesters",
        "key_reuse",
        "limits.per_name",
        "limits.per_run",
        "renewal_window",
    ):
        assert word in told


@pytest.mark.parametrize(
    ("requester", "exit_code"),
    [
        ("arn:aws:sts::123456789012:assumed-role/ci/build", 0),
        ("github:example/orders@refs/heads/main", 0),
        ("arn:aws:sts::123456789012:assumed-role/other/build", 4),
    ],
)
def test_who_would_ask(strict: Path, requester: str, exit_code: int) -> None:
    result = explain_in(strict, "--requester", requester, "--format", "json")
    assert result.exit_code == exit_code, result.output
    found = json.loads(result.stdout)
    [finding] = [one for one in found["findings"] if one["rule"] == "requesters"]
    assert finding["verdict"] == ("pass" if exit_code == 0 else "refuse")
    assert (finding["suggestion"] is None) == (exit_code == 0)
    assert not any("requesters" in one for one in found["not_judged"])


def test_that_badkeys_is_not_installed_is_said_of_rsa_keys_only() -> None:
    before = sys.modules.get("badkeys")
    sys.modules["badkeys"] = None  # type: ignore[assignment]
    try:
        told = explain(csr(private_key=rsa.generate_private_key(65537, 2048)))
        silent = explain(csr())
    finally:
        del sys.modules["badkeys"]
        if before is not None:
            sys.modules["badkeys"] = before
    assert told.exit_code == 0, told.output
    assert "[policy.key-not-examined]" in told.stdout
    assert "badkeys is not installed" in told.stdout
    assert "pip install 'pkiops[weak-keys]'" in told.stdout
    assert "badkeys" not in silent.stdout


def test_what_cannot_be_judged() -> None:
    assert explain(b"no request").exit_code == 2
    assert explain(csr(), profile="nobody").exit_code == 2
    assert explain(csr(), "--validity", "soon").exit_code == 2


def test_who_would_ask_has_a_name_that_somebody_can_have() -> None:
    result = explain(csr(), "--requester", "me")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "write an ARN" in result.stderr
