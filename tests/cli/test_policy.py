"""``pkiops policy``: what it prints, and its exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

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


def test_what_cannot_be_judged() -> None:
    assert explain(b"no request").exit_code == 2
    assert explain(csr(), profile="nobody").exit_code == 2
    assert explain(csr(), "--validity", "soon").exit_code == 2
