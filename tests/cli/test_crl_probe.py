"""``pkiops crl status --probe``: what a relying party would get, on the sandbox, which answers for the hosts of its CAs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cli.estate import Estate, running_estate


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with running_estate(tmp_path_factory.mktemp("estate")) as estate:
        yield estate


def test_a_ca_that_issued_nothing_has_no_crl_and_its_root_answers(estate: Estate) -> None:
    found = estate.done("crl", "status", "dev", "--probe", "--no-ledger")
    assert "root-g1" in found.stdout
    rows = [line.split()[:2] for line in found.stdout.splitlines() if "http://pki.dev.example.com/" in line][:2]
    assert rows == [["root-g1", "answers"], ["clients-g1", "cdp.awaited"]]


def test_every_point_answers_once_something_was_issued(estate: Estate) -> None:
    estate.issue("good")
    estate.done("crl", "publish", "dev")
    found = json.loads(estate.done("crl", "status", "dev", "--probe", "--format", "json").stdout)
    points = found["distribution_points"]
    assert [(one["authority"], one["answers"]) for one in points] == [("root-g1", True), ("clients-g1", True)]
    assert all(one["number"] == one["published_number"] for one in points)
    assert all(one["url"].startswith("http://pki.dev.example.com/crl/") for one in points)


def test_nobody_answers_where_the_host_leads(estate: Estate) -> None:
    aside = ("--probe", "--connect-to", "pki.dev.example.com:80:127.0.0.1:1", "--fail-on", "critical")
    found = estate.run("crl", "status", "dev", *aside)
    assert found.exit_code == 5
    assert found.stdout.count("critical cdp.unreachable") == 2
    metrics = estate.run("crl", "status", "dev", *aside, "--format", "prometheus").stdout
    assert 'code="cdp.unreachable",severity="critical"} 1' in metrics


def test_without_probe_nothing_is_asked(estate: Estate) -> None:
    found = json.loads(estate.done("crl", "status", "dev", "--format", "json").stdout)
    assert found["distribution_points"] is None
    assert estate.run("crl", "status", "dev", "--connect-to", "127.0.0.1:1").exit_code == 2
    assert estate.run("crl", "status", "dev", "--probe", "--connect-to", "nonsense").exit_code == 2
