"""The options of ``pkiops sandbox up``, ``advance``, and what ``status`` says, as a person sees them."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError

from pkiops.sandbox.iam_record import ask_permissions
from tests.aws.sandbox import scene
from tests.cli.test_sandbox import Shell
from tests.unit.sandbox.world import csr


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@contextlib.contextmanager
def up(shell: Shell, *arguments: str) -> Iterator[None]:
    started = shell.run("up", "--detach", "--port", str(shell.port), *arguments)
    assert started.returncode == 0, started.stderr
    try:
        yield
    finally:
        shell.run("down", "--port", str(shell.port))


def client(shell: Shell, service: str = "acm-pca") -> Any:
    session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="a", region_name="eu-west-1")
    config = Config(retries={"total_max_attempts": 1})
    return session.client(service, endpoint_url=f"http://127.0.0.1:{shell.port}", config=config)  # type: ignore[call-overload]


def test_advance_moves_the_clock_and_says_where_it_is(shell: Shell) -> None:
    with up(shell):
        moved = shell.run("advance", "300d", "--port", str(shell.port))
        assert moved.returncode == 0, moved.stderr
        assert moved.stdout.startswith("the sandbox's time is 20")
        assert "300d ahead of the machine's" in moved.stdout
        moved = shell.run("advance", "45s", "--port", str(shell.port), "--format", "json")
        document = json.loads(moved.stdout)
        assert (document["kind"], document["ahead_seconds"]) == ("sandbox-time", 300 * 86400 + 45)
        assert shell.status()["sandbox_time"][:10] == document["sandbox_time"][:10]
        assert "300d 45s ahead" in shell.run("status", "--port", str(shell.port)).stdout


def test_advance_too_far_says_so_in_words(shell: Shell) -> None:
    with up(shell):
        far = shell.run("advance", "9000y", "--port", str(shell.port))
        assert far.returncode == 2
        assert f"the sandbox on port {shell.port} refused: that is beyond the year 9000" in far.stderr


def test_advance_of_nothing(shell: Shell) -> None:
    nobody = shell.run("advance", "1d", "--port", str(shell.port))
    assert nobody.returncode == 6
    assert "no sandbox is running" in nobody.stderr
    wrong = shell.run("advance", "soon", "--port", str(shell.port))
    assert wrong.returncode == 2
    assert "'soon' is not a duration" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--fault", "nonsense"), "is not a fault"),
        (("--quota", "PutObject=1"), "is not a quota"),
        (("--latency", "fast"), "is not a duration"),
        (("--crl-delay", "1y"), "too long for a delay"),
        (("--issue-delay", "3"), "is not a duration"),
    ],
)
def test_an_option_that_is_wrong_starts_nothing(shell: Shell, arguments: tuple[str, ...], message: str) -> None:
    for how in ((), ("--detach",)):
        run = shell.run("up", *how, "--port", str(shell.port), *arguments)
        assert (run.returncode, run.stdout) == (2, "")
        assert message in run.stderr


def test_knobs_reach_a_sandbox_in_the_background(shell: Shell) -> None:
    knobs = [
        "--quotas",
        "--quota",
        "ListTags=1",
        "--fault",
        "ListPermissions:1:before:InternalFailure",
        "--latency",
        "50ms",
    ]
    with up(shell, *knobs, "--issue-delay", "2s", "--crl-delay", "30m"):
        pca = client(shell)
        began = time.monotonic()
        root = scene.active_root(pca)
        assert time.monotonic() - began > 1  # the sandbox's clock knows whole seconds
        with pytest.raises(ClientError, match="told to fail"):
            pca.list_permissions(CertificateAuthorityArn=root)
        pca.list_tags(CertificateAuthorityArn=root)
        with pytest.raises(ClientError, match="Rate exceeded"):
            pca.list_tags(CertificateAuthorityArn=root)


def test_status_in_full(shell: Shell) -> None:
    with up(shell, "--fault", "ListTags:9:after:drop"):
        pca = client(shell)
        scene.make_bucket(client(shell, "s3"))
        root = scene.active_root(pca, RevocationConfiguration=scene.CRL)
        scene.leaf(pca, root)
        text = shell.run("status", "--port", str(shell.port)).stdout
        for word in (
            "123456789012",
            "eu-west-1",
            "1 ACTIVE",
            "IssueCertificate",
            "ListTags:9:after:drop",
            "memory only",
        ):
            assert word in text
        document = shell.status()
        assert document["authorities"] == [
            {
                "account": "123456789012",
                "region": "eu-west-1",
                "count": 1,
                "states": {"ACTIVE": 1},
                "certificates": 2,
                "crls": 1,
            }
        ]
        assert {"service": "acm-pca", "operation": "IssueCertificate", "count": 2} in document["calls"]
        assert document["faults_pending"] == ["ListTags:9:after:drop"]
        assert document["state_file"] is None


def test_a_seed_repeats_identifiers(shell: Shell) -> None:
    seen = []
    for _ in range(2):
        with up(shell, "--seed", "7"):
            pca = client(shell)
            root = scene.active_root(pca)
            key = pca.get_certificate_authority_csr(CertificateAuthorityArn=root)["Csr"]
            seen.append((root, scene.leaf(pca, root), key))
    assert seen[0][:2] == seen[1][:2]
    assert seen[0][2] != seen[1][2]


def test_state_survives_an_end_and_a_kill(shell: Shell) -> None:
    state = shell.home / "state.json"
    with up(shell, "--state", "state.json"):
        root = scene.active_root(client(shell))
        shell.run("advance", "10d", "--port", str(shell.port))
    process = shell.up("--state", str(state))
    assert process.stdout is not None
    while "AWS_DEFAULT_REGION" not in process.stdout.readline():
        pass
    pca = client(shell)
    leaf = scene.leaf(pca, root)
    process.kill()
    process.communicate(timeout=60)
    with up(shell, "--state", str(state)):
        assert scene.certificate(client(shell), root, leaf)
        assert shell.status()["ahead_seconds"] == 10 * 86400
        assert shell.status()["state_file"] == str(state)
        second = shell.run("up", "--port", "0", "--state", str(state))
        assert second.returncode == 2
        assert "another sandbox uses" in second.stderr


def test_a_stop_ends_the_process_after_the_effect(shell: Shell) -> None:
    arguments = ("--state", str(shell.home / "state.json"))
    process = shell.up(*arguments, "--fault", "IssueCertificate:2:after:stop")
    assert process.stdout is not None
    while "AWS_DEFAULT_REGION" not in process.stdout.readline():
        pass
    pca = client(shell)
    root = scene.active_root(pca)
    with pytest.raises(HTTPClientError):
        scene.issue(pca, root, csr(), IdempotencyToken="t")
    process.communicate(timeout=60)
    assert process.returncode == 128 + 9
    with up(shell, *arguments):
        assert shell.status()["authorities"][0]["certificates"] == 2
        assert scene.issue(client(shell), root, csr(), IdempotencyToken="t")
        assert shell.status()["authorities"][0]["certificates"] == 2


def test_callers_are_held_to_their_policies(shell: Shell) -> None:
    with up(shell, "--enforce-iam"):
        with pytest.raises(ClientError) as caught:
            client(shell).list_certificate_authorities()
        assert caught.value.response["Error"]["Code"] == "UnrecognizedClientException"
        session = boto3.Session(aws_access_key_id="sandbox", aws_secret_access_key="sandbox", region_name="eu-west-1")
        session.client("acm-pca", endpoint_url=f"http://127.0.0.1:{shell.port}").list_certificate_authorities()
        (asked,) = ask_permissions(shell.port)
        assert (asked.principal, asked.decision) == ("arn:aws:iam::123456789012:root", "allowed")
