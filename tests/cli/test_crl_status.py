"""``pkiops crl status``: what it prints, what a collector can read of it, and how it ends."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.x509 import load_pem_x509_certificate

from pkiops.clock import ManualClock
from tests.cli.estate import Estate, running_estate
from tests.sandbox_server import START, running_sandbox

TRUST = "example-pki-dev-trust"


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """A revoked client, CRLs published. No test changes anything in it."""
    with running_estate(tmp_path_factory.mktemp("estate")) as estate:
        estate.issue("bad")
        estate.revoke("bad")
        estate.done("crl", "publish", "dev")
        yield estate


def metrics(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The samples of an exposition, read by its grammar alone; whatever is none fails."""
    assert text.endswith("\n")
    typed: set[str] = set()
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    helped = ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped = line.split(" ")[2]
            assert helped not in typed, "the samples of a metric stand together"
        elif line.startswith("# TYPE "):
            assert line == f"# TYPE {helped} gauge"
            typed.add(helped)
        else:
            found = re.fullmatch(r'([a-z_]+)\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\} (\S+)', line)
            assert found, line
            assert found[1] == helped, line
            labels = tuple(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', found[2]))
            assert (found[1], labels) not in samples, line
            samples[found[1], labels] = float(found[3])
    return samples


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Estate]:
    """Its own, with a clock that can be moved. One sandbox fits into a process: tests with this one come first."""
    with running_sandbox(clock=ManualClock(START)) as sandbox, contextlib.chdir(tmp_path):
        estate = Estate(tmp_path, sandbox)
        estate.done("ca", "apply", "dev", "--yes")
        yield estate


def test_nothing_is_published_yet(fresh: Estate) -> None:
    found = fresh.done("crl", "status", "dev")
    assert "critical crl.never-published: no CRL of dev was ever published" in found.stdout
    assert "    hint: pkiops crl publish dev" in found.stdout
    failed = fresh.run("crl", "status", "dev", "--fail-on", "critical")
    assert failed.exit_code == 5
    assert failed.stdout == found.stdout
    assert "1 finding of severity critical\nhint: each has a hint above" in failed.stderr
    assert [line.split()[:3] for line in found.stdout.splitlines()[1:3]] == [
        ["root-g1", "critical", "none"],
        ["clients-g1", "awaited", "none"],
    ]
    assert fresh.run("crl", "status", "dev", "--fail-on", "never").exit_code == 0


def test_an_expired_crl_is_an_outage(fresh: Estate) -> None:
    fresh.issue("good")
    fresh.done("crl", "publish", "dev")
    clock = fresh.sandbox.clock
    assert isinstance(clock, ManualClock)
    clock.advance(timedelta(days=8))
    failed = fresh.run("crl", "status", "dev")
    assert failed.exit_code == 8
    assert "critical crl.expired: the published CRL of dev/ca/clients-g1 expired on" in failed.stdout
    assert failed.stderr.startswith("error: the published CRL of dev/ca/clients-g1 expired on")
    # asked to fail, or not to, and in any format the result is on stdout all the same
    assert fresh.run("crl", "status", "dev", "--fail-on", "warning").exit_code == 8
    silenced = fresh.run("crl", "status", "dev", "--fail-on", "never", "--format", "prometheus")
    assert silenced.exit_code == 0
    found = metrics(silenced.stdout)
    labels = (("environment", "dev"), ("authority", "clients-g1"), ("code", "crl.expired"), ("severity", "critical"))
    assert found["pkiops_crl_finding", labels] == 1


def test_an_older_crl_is_found_and_a_pointer_that_went_back_is_not_missed(fresh: Estate) -> None:
    clock = fresh.sandbox.clock
    assert isinstance(clock, ManualClock)
    fresh.issue("bad")
    fresh.done("crl", "publish", "dev")
    store = fresh.sandbox.client("s3")
    old = store.get_object(Bucket=TRUST, Key="dev/crl/current.json")["Body"].read()
    fresh.revoke("bad")
    clock.advance(timedelta(hours=1))
    body = json.loads(fresh.done("crl", "publish", "dev", "--format", "json").stdout)
    assert body["unrecorded"] == []
    listed = store.list_objects_v2(Bucket=TRUST, Prefix="dev/crl/history/clients-g1/")["Contents"]
    first, second = (json.loads(store.get_object(Bucket=TRUST, Key=one["Key"])["Body"].read()) for one in listed)
    assert second["previous"] == {"number": first["crls"][0]["number"], "sha256": first["crls"][0]["sha256"]}
    key = f"dev/crl/{first['manifest_sha256']}/{first['crls'][0]['der']}"
    der = store.get_object(Bucket=TRUST, Key=key)["Body"].read()
    assert hashlib.sha256(der).hexdigest() == first["crls"][0]["sha256"]
    assert json.loads(fresh.done("crl", "status", "dev", "--format", "json").stdout)["findings"] == []
    store.put_object(Bucket=TRUST, Key="dev/crl/current.json", Body=old)
    clock.advance(timedelta(hours=2))
    failed = fresh.run("crl", "status", "dev", "--fail-on", "critical")
    assert failed.exit_code == 5
    assert "critical crl.number-went-back: CRL number" in failed.stdout
    fresh.done("crl", "publish", "dev")
    fresh.done("crl", "status", "dev", "--fail-on", "warning")


def test_revocations_that_do_not_arrive_or_that_nobody_recorded(fresh: Estate) -> None:
    clock = fresh.sandbox.clock
    assert isinstance(clock, ManualClock)
    fresh.issue("recorded")
    fresh.issue("behind-our-back")
    fresh.done("crl", "publish", "dev")
    fresh.revoke("recorded")
    clock.advance(timedelta(hours=1, seconds=1))
    serial = f"{load_pem_x509_certificate((fresh.folder / 'recorded.pem').read_bytes()).serial_number:x}"
    late = fresh.run("crl", "status", "dev", "--fail-on", "critical")
    assert late.exit_code == 5
    assert (
        f"critical crl.revoked-not-listed: the published CRL of dev/ca/clients-g1 lacks 1 certificate ({serial})"
        in (late.stdout)
    )
    for option in (("--grace", "2h"), ("--no-ledger",)):
        assert fresh.run("crl", "status", "dev", "--fail-on", "critical", *option).exit_code == 0
    other = load_pem_x509_certificate((fresh.folder / "behind-our-back.pem").read_bytes())
    private_ca = fresh.sandbox.client("acm-pca")
    cas = private_ca.list_certificate_authorities()["CertificateAuthorities"]
    arn = next(one["Arn"] for one in cas if one["Type"] == "SUBORDINATE")
    private_ca.revoke_certificate(
        CertificateAuthorityArn=arn, CertificateSerial=f"{other.serial_number:x}", RevocationReason="SUPERSEDED"
    )
    clock.advance(timedelta(hours=1))
    fresh.done("crl", "publish", "dev")
    body = json.loads(fresh.done("crl", "status", "dev", "--format", "json").stdout)
    assert [(one["code"], one["severity"]) for one in body["findings"]] == [("crl.listed-not-recorded", "warning")]
    assert body["crls"][1]["ledger"]["unrecorded"] == {"count": 1, "first": [f"{other.serial_number:x}"]}
    (fresh.folder / ".pkiops" / "dev.db").write_bytes(b"no database" * 1000)
    broken = json.loads(fresh.done("crl", "status", "dev", "--format", "json").stdout)
    assert [one["check"] for one in broken["skipped"]] == ["ledger"]
    (fresh.folder / ".pkiops" / "dev.db").unlink()
    none = json.loads(fresh.done("crl", "status", "dev", "--format", "json").stdout)
    assert [one["reason"] for one in none["skipped"]] == ["no ledger was begun here"]


def test_a_forged_pointer(fresh: Estate) -> None:
    for data in (b"", b"{}", b"x" * 9000):
        fresh.sandbox.client("s3").put_object(Bucket=TRUST, Key="dev/crl/current.json", Body=data)
        failed = fresh.run("crl", "status", "dev", "--format", "json")
        assert failed.exit_code == 8
        body = json.loads(failed.stdout)
        assert [one["severity"] for one in body["findings"]] == ["critical"]
        assert json.loads(failed.stderr)["kind"] == "error"


def test_the_table(estate: Estate) -> None:
    text = estate.done("crl", "status", "dev", "--fail-on", "warning").stdout
    lines = text.splitlines()
    assert lines[0].split() == [
        "CA",
        "STATE",
        "NUMBER",
        "AGE",
        "NEXT",
        "UPDATE",
        "LEFT",
        "OF",
        "ITS",
        "LIFE",
        "REVOKED",
        "BYTES",
    ]
    assert [line.split()[:2] for line in lines[1:3]] == [["root-g1", "ok"], ["clients-g1", "ok"]]
    assert len(lines) == 3


def test_json(estate: Estate) -> None:
    body = json.loads(estate.done("crl", "status", "dev", "--format", "json").stdout)
    assert (body["kind"], body["environment"], body["findings"], body["skipped"]) == ("crl-status", "dev", [], [])
    root, clients = body["crls"]
    assert (root["authority"], clients["authority"], clients["generation"]) == ("root", "clients", 1)
    assert (clients["state"], clients["verified"], clients["entries"]) == ("ok", True, 1)
    assert clients["own_number"] == clients["number"]
    assert clients["age_seconds"] >= 0
    assert 0.9 < clients["remaining_ratio"] < 1
    assert re.fullmatch("[0-9a-f]{64}", clients["sha256"])


def test_metrics_for_a_collector(estate: Estate) -> None:
    text = estate.done("crl", "status", "dev", "--format", "prometheus").stdout
    found = metrics(text)
    of_clients = (("environment", "dev"), ("authority", "clients"), ("generation", "1"))
    assert found["pkiops_crl_published", of_clients] == 1
    assert found["pkiops_crl_verified", of_clients] == 1
    assert found["pkiops_crl_entries", of_clients] == 1
    body = json.loads(estate.done("crl", "status", "dev", "--format", "json").stdout)
    until = datetime.fromisoformat(body["crls"][1]["next_update"]).astimezone(UTC)
    assert found["pkiops_crl_next_update_timestamp_seconds", of_clients] == until.timestamp()
    assert found["pkiops_crl_size_bytes", of_clients] == body["crls"][1]["size_bytes"]
    assert found["pkiops_crl_findings", (("environment", "dev"), ("severity", "critical"))] == 0


def test_a_file_for_the_collector_is_replaced_and_no_other_file_is(estate: Estate) -> None:
    target = estate.folder / "pkiops.prom"
    command = ("crl", "status", "dev", "--format", "prometheus", "--output", "@pkiops.prom")
    for _ in range(2):
        written = estate.done(*command)
        assert written.stdout == ""
        assert metrics(target.read_text())
        assert [one.name for one in estate.folder.glob("*pkiops.prom*")] == ["pkiops.prom"]
        assert target.stat().st_mode & 0o444 == 0o444
    target.write_text("# HELP something_else of somebody else\n")
    assert estate.run(*command).exit_code == 9
    assert target.read_text().startswith("# HELP something_else")
    estate.done(*command, "--overwrite")
    assert metrics(target.read_text())
    target.unlink()
    assert estate.run("crl", "status", "dev", "--output", "@none/x").exit_code == 2
    estate.done("crl", "status", "dev", "--format", "json", "--output", "@status.json")
    assert json.loads((estate.folder / "status.json").read_text())["kind"] == "crl-status"
    assert estate.run("crl", "status", "dev", "--format", "json", "--output", "@status.json").exit_code == 9


def test_an_error_says_where_the_findings_are(estate: Estate) -> None:
    found = ("crl", "status", "dev", "--warn", "100y", "--fail-on", "warning")
    assert "hint: pkiops crl status dev names each" in estate.run(*found, "--format", "prometheus").stderr
    assert "findings.txt, with a hint" in estate.run(*found, "--output", "@findings.txt").stderr
    plain = estate.run(*found, "--output", "-")
    assert "2 findings of severity warning or worse\nhint: each has a hint above" in plain.stderr
    assert "warning crl.expires-soon" in plain.stdout


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--warn", "100y"), 0),
        (("--warn", "100y", "--fail-on", "critical"), 0),
        (("--warn", "100y", "--fail-on", "warning"), 5),
        (("--warn", "100y", "--critical", "99y", "--fail-on", "critical"), 5),
        (("--critical", "99y", "--fail-on", "never"), 0),
        (("--warn", "1d", "--critical", "2d"), 2),
        (("--warn", "soon"), 2),
        (("--fail-on", "info"), 2),
        (("--format", "yaml"), 2),
    ],
)
def test_thresholds_and_exit_codes(estate: Estate, options: tuple[str, ...], code: int) -> None:
    result = estate.run("crl", "status", "dev", *options)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
