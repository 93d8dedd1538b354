"""Cleaning: what is found by which way, what is left alone, and what is said of what cannot be removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkiops.sandbox.engine.settings import Settings
from tests.aws.canary import other_services as other
from tests.aws.canary.scene import Scene, clients, scene, workbench
from tests.sandbox_server import ACCOUNT

CHEAP = ("authority-csr-extensions", "crl-probe-objects")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as found:
        yield found


def denied(*operations: str) -> other.Answer:
    """Nothing comes of these."""

    def answer(name: str, status: int, body: bytes) -> tuple[int, bytes]:
        if name.rpartition(".")[2] in operations:
            return 400, json.dumps({"__type": "AccessDeniedException", "message": "no"}).encode()
        return status, body

    return answer


def test_one_way_of_looking_is_enough(here: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    here.proxy.answer = denied("GetResources")
    assert here.run(cases=CHEAP) == 0
    assert here.left() == []
    assert "resources cannot be listed by tag" in capsys.readouterr().err


def test_who_cannot_list_is_not_clean_though_the_journal_knows(here: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    here.proxy.answer = denied("ListCertificateAuthorities", "GetResources")
    assert here.run(cases=CHEAP) == 6
    assert here.left() == []
    said = capsys.readouterr().err
    assert "CAs cannot be listed" in said
    assert f"NOT CLEAN: run make canary CLEAN=1 ACCOUNT={ACCOUNT} REGION=eu-west-1" in said
    assert here.clean() == 0
    assert here.journals == []


def test_one_that_cannot_be_removed_keeps_nothing_else(here: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    here.proxy.answer = denied("DeleteCertificateAuthority")
    here.proxy.request = other.asked(
        "DeleteCertificateAuthority", lambda body: body.update(CertificateAuthorityArn="x")
    )
    assert here.run(cases=CHEAP) == 6
    [left] = here.left()
    assert left.endswith(" DISABLED")
    assert f"{left.split()[0]} is left: An error occurred (AccessDeniedException)" in capsys.readouterr().err
    assert here.clean() == 0
    assert here.left() == []


def test_authorities_that_failed_are_deleted_too(tmp_path: Path) -> None:
    with scene(tmp_path, Settings(failed_creations={1: "OTHER", 2: "OTHER", 3: "OTHER"})) as here:
        assert here.run(cases=CHEAP) == 7
        reasons = {name: case["reason"] for name, case in here.cases().items()} if here.output.exists() else {}
        assert reasons == {}  # nothing was learnt, nothing is written
        assert here.left() == []
        assert here.journals == []


def test_nothing_else_is_touched_and_it_asks(here: Scene) -> None:
    asked = clients(here.sandbox)
    asked.s3.create_bucket(Bucket="pkiops-canary-notes", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    workspace, _, journal = workbench(here)
    mine = workspace.create_authority(token="mine")
    request = {
        "CertificateAuthorityType": "ROOT",
        "CertificateAuthorityConfiguration": {
            "KeyAlgorithm": "EC_prime256v1",
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Subject": {"CommonName": "somebody's"},
        },
    }
    foreign = asked.pca.create_certificate_authority(**request)["CertificateAuthorityArn"]
    assert here.canary("--account", ACCOUNT, "--clean") == 9
    assert here.questions == ["Delete all of it? A run that goes on elsewhere in this account loses its CA too."]
    assert {line.split()[0] for line in here.left()} == {mine, foreign, "pkiops-canary-notes"}
    journal.write("created", kind="authority", name=foreign)  # a journal is no reason to delete what has no tag
    assert here.clean() == 6
    assert [line.split()[0] for line in here.left()] == [foreign, "pkiops-canary-notes"]
    assert here.journals == [journal.path]


def test_a_journal_of_another_account_is_left_alone(here: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    folder = here.folder / "journals"
    folder.mkdir()
    line = {"event": "begin", "run": "20260101000000-00000000", "account": "111122223333", "region": "eu-west-1"}
    (folder / "20260101000000-00000000.jsonl").write_text(json.dumps(line) + "\n{torn")
    assert here.clean() == 0
    assert "is of another account: 111122223333" in capsys.readouterr().err
    assert len(here.journals) == 1
