"""``require_reachable: true``: nothing is issued whose distribution point nobody has ever answered; on the sandbox, which answers for its CAs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest
from typer.testing import Result

from pkiops.sandbox.traffic import Hindrances
from tests import builders
from tests.cli.estate import ENVIRONMENTS, Estate, running_estate

CRLS, TRUST = "example-pki-dev-crl", "example-pki-dev-trust"
RECORD = "dev/crl/reached.json"


@pytest.fixture
def estate(tmp_path: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with running_estate(tmp_path_factory.mktemp("estate")) as estate:
        guarded = estate.folder / "guarded"
        guarded.mkdir()
        text = (ENVIRONMENTS / "dev.yaml").read_text()
        (guarded / "dev.yaml").write_text(
            text.replace("  trust:\n    bucket", "    require_reachable: true\n  trust:\n    bucket", 1)
        )
        estate.done(
            "cert",
            "request",
            "dev",
            "--profile",
            "service",
            "--san",
            "dns:a.svc.dev.example.com",
            "--key",
            "@a.key",
            "--csr",
            "@a.csr",
        )
        yield estate


def guarded(estate: Estate, *words: str) -> Result:
    return estate.run("--environments", "@guarded", *words)


def issue(estate: Estate, *more: str) -> Result:
    return guarded(
        estate,
        "cert",
        "issue",
        "dev",
        "--profile",
        "service",
        "--csr",
        "@a.csr",
        "--output",
        "@a.pem",
        "--overwrite",
        *more,
    )


def served(estate: Estate) -> Mapping[tuple[str, str], int]:
    """Calls since the sandbox was last told what hinders it."""
    assert estate.sandbox.server is not None
    return estate.sandbox.server.sandbox.traffic.served


def take_crls_away(estate: Estate) -> None:
    s3 = estate.sandbox.client("s3")
    for one in s3.list_objects_v2(Bucket=CRLS, Prefix="crl/").get("Contents", []):
        s3.delete_object(Bucket=CRLS, Key=one["Key"])


def test_nobody_answers_and_nothing_is_issued(estate: Estate) -> None:
    take_crls_away(estate)
    refused = issue(estate, "--format", "json")
    assert refused.exit_code == 9
    error = json.loads(refused.stderr.splitlines()[-1])["error"]
    assert (error["code"], error["details"]["host"]) == ("crl.unreachable", "pki.dev.example.com")
    assert not (estate.folder / "a.pem").exists()
    listed = json.loads(estate.done("cert", "list", "dev", "--format", "json").stdout)
    assert "ISSUED" not in json.dumps(listed).upper()


def test_a_bulk_run_refuses_each_row_and_asks_once(estate: Estate) -> None:
    take_crls_away(estate)
    (estate.folder / "csr").mkdir()
    (estate.folder / "out").mkdir()
    for number in range(20):
        host = f"b{number}.svc.dev.example.com"
        request = builders.csr({"common_name": host}, sans=(f"dns:{host}",))
        (estate.folder / "csr" / f"{number}.csr").write_bytes(request)
    where = ("--output-dir", "@out", "--profile", "service", "--report", "@report.jsonl", "--issue-rate", "500")
    estate.sandbox.hinder(Hindrances())
    result = guarded(estate, "cert", "bulk", "dev", "--manifest", "@csr", *where)
    assert result.exit_code == 7, result.output
    rows = [json.loads(line) for line in (estate.folder / "report.jsonl").read_text().splitlines()]
    refused = [one for one in rows if "crl.unreachable" in json.dumps(one)]
    assert len(refused) == 20
    assert served(estate).get(("acm-pca", "IssueCertificate")) is None
    assert served(estate)["s3", "GetObject"] <= 2  # not one for each row


def test_a_record_of_the_publisher_counts_where_the_host_cannot_be_reached(estate: Estate) -> None:
    probed = guarded(estate, "crl", "status", "dev", "--probe", "--no-ledger")
    assert "pki.dev.example.com answers: recorded" in probed.stderr
    again = guarded(estate, "crl", "status", "dev", "--probe", "--no-ledger")
    assert "recorded" not in again.stderr
    take_crls_away(estate)
    issued = issue(estate)
    assert issued.exit_code == 0, issued.output
    assert (estate.folder / "a.pem").exists()


def test_without_a_record_the_issuer_asks_the_host_and_writes_nothing(estate: Estate) -> None:
    assert issue(estate).exit_code == 0
    kept = estate.sandbox.client("s3").list_objects_v2(Bucket=TRUST, Prefix=RECORD)
    assert kept["KeyCount"] == 0


def test_the_probe_records_nothing_where_the_file_does_not_ask(estate: Estate) -> None:
    assert estate.run("crl", "status", "dev", "--probe", "--no-ledger").exit_code == 0
    kept = estate.sandbox.client("s3").list_objects_v2(Bucket=TRUST, Prefix=RECORD)
    assert kept["KeyCount"] == 0


def test_a_broken_record_does_not_hide_that_crls_were_published(estate: Estate) -> None:
    estate.sandbox.client("s3").put_object(Bucket=TRUST, Key=RECORD, Body=b"[")
    estate.issue("first")
    found = guarded(estate, "crl", "publish", "dev", "--format", "json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["kind"] == "crl-publish"
    assert f"not recorded in {RECORD}" in found.stderr
    # the alarm still sounds, and an issuer does not go by it
    assert guarded(estate, "crl", "status", "dev", "--probe", "--no-ledger").exit_code == 0
    assert issue(estate).exit_code == 8
