"""``pkiops cert issue --output FORMAT=DEST``: which files there are, who may read them, and what is refused before anything is asked for."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12
from typer.testing import Result

from pkiops.cert.output_formats import OutputFormat
from pkiops.cli.cert_outputs import OutputTarget, parse_targets
from pkiops.clock import ManualClock
from pkiops.errors import InputError
from pkiops.x509.keys import load_private_key, private_key_der, private_key_pem
from tests import builders
from tests.cli.test_cert import ENVIRONMENTS, Shell, error_of, issue, request, write
from tests.jks import read_jks
from tests.sandbox_server import START, RunningSandbox, running_sandbox

P12 = ("--key", "a.key", "--passphrase-name", "keystore")


@pytest.fixture
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A key and its request, and no server: whatever calls out ends with 6."""
    monkeypatch.chdir(tmp_path)
    shell = Shell(
        tmp_path,
        {
            "PKIOPS_SANDBOX_URL": "http://127.0.0.1:9",
            "PKIOPS_SECRET_KEYSTORE": "changeit",
            "PKIOPS_SECRET_UMLAUT": "änderung",
        },
    )
    assert request(shell).exit_code == 0
    return shell


@pytest.fixture
def ready(quiet: Shell) -> Iterator[tuple[Shell, RunningSandbox]]:
    """The same over an applied environment, on a sandbox whose clock stands still."""
    with running_sandbox(clock=ManualClock(START)) as sandbox:
        quiet.variables.update(sandbox.environment)
        assert quiet.run("ca", "apply", "dev", "--yes").exit_code == 0
        yield quiet, sandbox


def outputs(*words: str) -> list[str]:
    return [part for word in words for part in ("--output", word)]


def mode(shell: Shell, name: str) -> int:
    return stat.S_IMODE((shell.folder / name).stat().st_mode)


def test_every_format_at_once(ready: tuple[Shell, RunningSandbox]) -> None:
    shell, sandbox = ready
    names = {
        "fullchain": "full.pem", "certificate": "leaf.pem", "chain": "chain.pem", "key": "copy.key", "combined": "all.pem", "der": "leaf.der",
        "pkcs7": "chain.p7b", "pkcs7-pem": "chain.p7", "pkcs12": "a.p12", "pkcs12-legacy": "old.p12", "jks": "a.jks", "kubernetes": "orders-tls.yaml",
        "json": "a.json", "folder": "live",
    }  # fmt: skip
    assert set(names) == {one for one in OutputFormat if one.service is None}
    words = outputs(*(f"{format_}={name}" for format_, name in names.items()))
    done = issue(shell, *words, *P12)
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    private = {
        "copy.key",
        "all.pem",
        "a.p12",
        "old.p12",
        "a.jks",
        "orders-tls.yaml",
        "live/current/tls.key",
        "live/current/haproxy.pem",
    }
    public = {
        "full.pem",
        "leaf.pem",
        "chain.pem",
        "leaf.der",
        "chain.p7b",
        "chain.p7",
        "a.json",
        "live/current/tls.crt",
        "live/current/ca.crt",
    }
    assert {mode(shell, name) for name in private} == {0o600}
    assert all(mode(shell, name) & 0o044 for name in public)
    found = pkcs12.load_pkcs12((shell.folder / "a.p12").read_bytes(), b"changeit")
    certificate = x509.load_pem_x509_certificate((shell.folder / "leaf.pem").read_bytes())
    assert found.cert is not None
    assert found.cert.certificate == certificate
    assert json.loads((shell.folder / "a.json").read_text())["serial"] == f"{certificate.serial_number:x}"
    assert "PRIVATE" not in (shell.folder / "a.json").read_text()
    (entry,) = read_jks((shell.folder / "a.jks").read_bytes(), "changeit")
    assert (entry.key, entry.chain[0]) == (
        private_key_der(load_private_key((shell.folder / "a.key").read_bytes(), "a.key")),
        certificate.public_bytes(Encoding.DER),
    )
    assert entry.dated == START
    assert yaml.safe_load((shell.folder / "orders-tls.yaml").read_text())["metadata"]["name"] == "orders-tls"
    # its own files and folder, written again; the salted ones differ each time
    document = (shell.folder / "a.json").read_bytes()
    assert isinstance(sandbox.clock, ManualClock)
    sandbox.clock.advance(timedelta(minutes=1))
    assert issue(shell, *words, *P12).exit_code == 0
    assert (shell.folder / "a.json").read_bytes() == document
    (again,) = read_jks((shell.folder / "a.jks").read_bytes(), "changeit")
    assert (again, again.salt == entry.salt) == (replace(entry, salt=again.salt), False)
    write(shell, "a.p12", b"mine")
    full = (shell.folder / "full.pem").read_bytes()
    refused = issue(shell, *words, *P12)
    assert (refused.exit_code, len(error_of(refused))) == (9, 1)
    assert ((shell.folder / "a.p12").read_bytes(), (shell.folder / "full.pem").read_bytes()) == (b"mine", full)


def test_a_folder_changes_in_one_step_and_only_when_there_is_something_new(ready: tuple[Shell, RunningSandbox]) -> None:
    shell, sandbox = ready
    arguments = (*outputs("folder=live"), "--key", "a.key")
    assert issue(shell, *arguments).exit_code == 0
    first = os.readlink(shell.folder / "live" / "current")
    identity = (shell.folder / "live" / "current").lstat().st_ino
    assert issue(shell, *arguments).exit_code == 0
    assert (shell.folder / "live" / "current").lstat().st_ino == identity  # no watcher is woken for nothing
    versions = [first]
    assert isinstance(sandbox.clock, ManualClock)
    for _ in range(2):
        sandbox.clock.advance(timedelta(days=25))
        assert issue(shell, *arguments).exit_code == 0
        versions.append(os.readlink(shell.folder / "live" / "current"))
    assert len(set(versions)) == 3
    # the one that was replaced stays for its readers, older ones go
    assert {path.name for path in (shell.folder / "live").iterdir()} == {"current", *versions[1:]}
    current = shell.folder / "live" / "current"
    leaf = x509.load_pem_x509_certificates((current / "tls.crt").read_bytes())[0]
    assert (current / "tls.key").read_bytes() in (current / "haproxy.pem").read_bytes()
    assert leaf.public_key() == x509.load_pem_x509_csr((shell.folder / "a.csr").read_bytes()).public_key()


def test_a_folder_of_somebody_else_is_left_alone(ready: tuple[Shell, RunningSandbox]) -> None:
    shell, _ = ready
    arguments = (*outputs("folder=live"), "--key", "a.key")
    assert issue(shell, *arguments).exit_code == 0
    live = shell.folder / "live"
    (live / "current" / "tls.crt").write_bytes(b"changed by hand")
    changed = issue(shell, *arguments)
    assert changed.exit_code == 9
    assert "was changed since" in changed.stderr
    assert (live / "current" / "tls.crt").read_bytes() == b"changed by hand"
    assert issue(shell, *arguments, "--overwrite").exit_code == 0
    assert issue(shell, *arguments).exit_code == 0
    # another name's certificate
    other = "billing.svc.dev.example.com"
    made = shell.run(
        "cert", "request", "dev", "--profile", "service", "--san", f"dns:{other}", "--key", "b.key", "--csr", "b.csr"
    )
    assert made.exit_code == 0, made.output
    theirs = shell.run(
        "cert", "issue", "dev", "--profile", "service", "--csr", "b.csr", *outputs("folder=live"), "--key", "b.key"
    )
    assert theirs.exit_code == 9
    assert "holds the certificate of cn:orders.svc.dev.example.com" in theirs.stderr
    # the same name with a new key is its successor
    assert request(shell, "--overwrite").exit_code == 0
    successor = issue(shell, *arguments)
    assert successor.exit_code == 0, successor.output


def test_what_a_killed_run_left_is_no_reason_to_stop(ready: tuple[Shell, RunningSandbox]) -> None:
    shell, _ = ready
    (shell.folder / "live" / ".new-killed").mkdir(parents=True)
    arguments = (*outputs("folder=live"), "--key", "a.key")
    assert issue(shell, *arguments).exit_code == 0
    (shell.folder / "live" / "current").unlink()  # killed before the link
    again = issue(shell, *arguments)
    assert again.exit_code == 0, again.output
    assert (shell.folder / "live" / "current" / "tls.crt").is_file()


def test_a_secret_goes_through_a_pipe(ready: tuple[Shell, RunningSandbox]) -> None:
    shell, _ = ready
    done = issue(shell, *outputs("kubernetes=-"), "--key", "a.key", "--secret-name", "shop/orders")
    assert done.exit_code == 0, done.output
    assert yaml.safe_load(done.stdout)["metadata"]["namespace"] == "shop"
    assert shell.files() == {"a.key", "a.csr", ".pkiops/dev.db"}


def test_what_aws_keeps(ready: tuple[Shell, RunningSandbox]) -> None:
    shell, sandbox = ready
    arguments = (*outputs("secrets-manager=dev/orders", "parameter-store=/dev/orders", "a.pem"), "--key", "a.key")
    done = issue(shell, *arguments, "--format", "json")
    assert done.exit_code == 0, done.output
    body = json.loads(done.stdout)
    assert body["written"] == ["a.pem", "secret dev/orders", "parameter /dev/orders"]
    secrets, parameters = sandbox.client("secretsmanager"), sandbox.client("ssm")
    text = secrets.get_secret_value(SecretId="dev/orders")["SecretString"]
    parameter = parameters.get_parameter(Name="/dev/orders", WithDecryption=True)["Parameter"]
    assert parameter["Value"] == text
    assert parameter["Type"] == "SecureString"
    kept = json.loads(text)
    assert (kept["certificate"], kept["serial"]) == (body["certificate"], body["serial"])
    assert kept["private_key"].encode() == (shell.folder / "a.key").read_bytes()
    # again: no new version; renewed: one more each
    assert issue(shell, *arguments).exit_code == 0
    assert parameters.get_parameter(Name="/dev/orders")["Parameter"]["Version"] == 1
    assert isinstance(sandbox.clock, ManualClock)
    sandbox.clock.advance(timedelta(days=25))
    assert issue(shell, *arguments).exit_code == 0
    assert parameters.get_parameter(Name="/dev/orders")["Parameter"]["Version"] == 2
    assert json.loads(secrets.get_secret_value(SecretId="dev/orders")["SecretString"])["serial"] != body["serial"]
    # changed by somebody else: nothing is written anywhere
    before = (shell.folder / "a.pem").read_bytes()
    secrets.put_secret_value(SecretId="dev/orders", SecretString="theirs")
    sandbox.clock.advance(timedelta(days=25))
    refused = issue(shell, *arguments)
    assert refused.exit_code == 9, refused.output
    assert "error: secret dev/orders exists, or was changed" in refused.stderr
    assert (shell.folder / "a.pem").read_bytes() == before
    assert parameters.get_parameter(Name="/dev/orders")["Parameter"]["Version"] == 2
    assert issue(shell, *arguments, "--overwrite").exit_code == 0


def test_a_secret_of_other_names_is_left_alone(ready: tuple[Shell, RunningSandbox]) -> None:
    shell, _ = ready
    assert issue(shell, *outputs("parameter-store=/dev/tls"), "--key", "a.key").exit_code == 0
    files = ("--key", "b.key", "--csr", "b.csr")
    other = ("--profile", "service", "--san", "dns:billing.svc.dev.example.com")
    assert shell.run("cert", "request", "dev", *other, *files).exit_code == 0
    place = outputs("parameter-store=/dev/tls")
    refused = shell.run("cert", "issue", "dev", "--profile", "service", *files, *place)
    assert refused.exit_code == 9, refused.output
    assert "holds a certificate of other names" in refused.stderr


REFUSED: dict[str, tuple[tuple[str, ...], int, str]] = {
    "no key": (tuple(outputs("pkcs12=a.p12")), 2, "a request has only its public half"),
    "no key for a folder": (tuple(outputs("folder=live")), 2, "--key"),
    "no passphrase": ((*outputs("pkcs12=a.p12"), "--key", "a.key"), 2, "PKIOPS_SECRET_<NAME>"),
    "unknown passphrase": ((*outputs("pkcs12=a.p12"), "--key", "a.key", "--passphrase-name", "nope"), 2, "PKIOPS_SECRET_NOPE"),
    "passphrase itself": ((*outputs("pkcs12=a.p12"), "--key", "a.key", "--passphrase-name", "s3cr3t!"), 2, "is not the name of a secret"),
    "passphrase that Java refuses": ((*outputs("pkcs12=a.p12"), "--key", "a.key", "--passphrase-name", "umlaut"), 2, "ASCII"),
    "another key": ((*outputs("pkcs12=a.p12"), "--key", "b.key", "--passphrase-name", "keystore"), 2, "not that of the request"),
    "no such format": (tuple(outputs("pfx=a.pfx")), 2, "no such format"),
    "no key for a JKS": (tuple(outputs("jks=a.jks")), 2, "--key"),
    "no passphrase for a JKS": ((*outputs("jks=a.jks"), "--key", "a.key"), 2, "hint: --passphrase-name NAME"),
    "passphrase of a JKS that Java refuses": ((*outputs("jks=a.jks"), "--key", "a.key", "--passphrase-name", "umlaut"), 2, "ASCII"),
    "no destination": (tuple(outputs("der=")), 2, "no destination"),
    "stdout twice": (tuple(outputs("-", "der=-")), 2, "only one"),
    "stdout and JSON": ((*outputs("der=-"), "--format", "json"), 2, "one result"),
    "a file twice": (tuple(outputs("a.pem", "der=a.pem")), 2, "named twice"),
    "a folder twice": ((*outputs("folder=live", "folder=./live"), "--key", "a.key"), 2, "named twice"),
    "a secret on stdout": ((*outputs("secrets-manager=-"), "--key", "a.key"), 2, "no name of a secret"),
    "no key for a secret": (tuple(outputs("parameter-store=/a")), 2, "--key"),
    "a name that is none": ((*outputs("parameter-store=/a b"), "--key", "a.key"), 2, "parameter /a b: no name"),
    "a folder on stdout": ((*outputs("folder=-"), "--key", "a.key"), 2, "no folder"),
    "a folder for nginx that is none": ((*outputs('folder=a"b'), "--key", "a.key"), 2, "nginx"),
    "a folder that is a file": ((*outputs("folder=a.csr"), "--key", "a.key"), 2, "is not a folder"),
    "a folder in nowhere": ((*outputs("folder=none/live"), "--key", "a.key"), 2, "does not exist"),
    "a folder in use": ((*outputs("folder=."), "--key", "a.key"), 9, "did not write"),
    "a Secret without a name": ((*outputs("kubernetes=-"), "--key", "a.key"), 2, "--secret-name"),
    "a name for no Secret": ((*outputs("a.pem"), "--secret-name", "shop/orders"), 2, "no --output writes one"),
    "a Secret's name": ((*outputs("kubernetes=Orders.yaml"), "--key", "a.key"), 2, "no name of a Kubernetes Secret"),
    "one target of several": (tuple(outputs("a.pem", "der=none/a.der")), 2, "does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_wrong_is_said_before_a_certificate_exists(ready: tuple[Shell, RunningSandbox], name: str) -> None:
    shell, _ = ready
    write(shell, "b.key", private_key_pem(builders.key()))
    arguments, code, said = REFUSED[name]
    before = shell.files()
    refused = issue(shell, *arguments)
    assert refused.exit_code == code, refused.output
    assert said in refused.stderr
    assert "s3cr3t" not in refused.output
    assert shell.files() - before <= {".pkiops/dev.db"}
    assert json.loads(issue(shell, "--format", "json").stdout)["from_ledger"] is False


def test_a_request_whose_outputs_are_refused_is_in_the_ledger(ready: tuple[Shell, RunningSandbox]) -> None:
    shell, _ = ready
    write(shell, "mine.pem", b"mine")
    assert issue(shell, *outputs("mine.pem")).exit_code == 9
    listed = shell.run("cert", "list", "dev", "--state", "refused", "--format", "json")
    (entry,) = json.loads(listed.stdout)["entries"]
    assert (entry["state"], entry["code"]) == ("refused", "guard.overwrite")
    assert issue(shell, *outputs("new.pem")).exit_code == 0


def test_neither_binary_nor_a_key_reaches_a_terminal(quiet: Shell) -> None:
    for words in (
        outputs("der=-"),
        [*outputs("key=-"), "--key", "a.key"],
        [*outputs("pkcs12=-"), *P12],
        [*outputs("jks=-"), *P12],
    ):
        result = on_terminal(quiet, words)
        assert result[0] == 2
        assert "stdout is a terminal" in result[1]


def on_terminal(shell: Shell, words: list[str]) -> tuple[int, str]:
    master, terminal = os.openpty()
    command = [
        sys.executable,
        "-m",
        "pkiops",
        "--environments",
        str(ENVIRONMENTS),
        "cert",
        "issue",
        "dev",
        "--profile",
        "service",
    ]
    run = subprocess.run(
        [*command, "--csr", "a.csr", *words],
        stdout=terminal,
        stderr=subprocess.PIPE,
        cwd=shell.folder,
        env={**os.environ, **shell.variables, "PYTHONPATH": str(ENVIRONMENTS.parent)},
        timeout=60,
        check=False,
    )
    os.close(terminal)
    os.close(master)
    return run.returncode, run.stderr.decode()


@pytest.mark.parametrize(
    ("text", "format_", "dest"),
    [
        ("a.pem", OutputFormat.FULLCHAIN, "a.pem"),
        ("-", OutputFormat.FULLCHAIN, "-"),
        ("./x=y.pem", OutputFormat.FULLCHAIN, "./x=y.pem"),
        ("/tmp/der=x", OutputFormat.FULLCHAIN, "/tmp/der=x"),
        ("der=a=b", OutputFormat.DER, "a=b"),
        ("pkcs7-pem=-", OutputFormat.PKCS7_PEM, "-"),
    ],
)
def test_how_a_destination_is_read(text: str, format_: OutputFormat, dest: str) -> None:
    assert parse_targets([text], None, None) == (OutputTarget(format_, dest),)


def test_a_word_that_is_no_format_is_no_file_name_either() -> None:
    with pytest.raises(InputError) as caught:
        parse_targets(["p12=a"], None, None)
    assert caught.value.hint == "for a file of that name write ./p12=a"


def test_an_encrypted_key_is_read_with_its_passphrase(ready: tuple[Shell, RunningSandbox]) -> None:
    shell, _ = ready
    encrypted = subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", "a.key", "-out", "e.key", "-passout", "env:PW"],
        cwd=shell.folder, env={**os.environ, "PW": "changeit"}, capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    assert encrypted.returncode == 0, encrypted.stderr
    plain = issue(shell, *outputs("combined=all.pem"), "--key", "e.key")
    assert (plain.exit_code, "is encrypted" in plain.stderr) == (2, True)
    done: Result = issue(shell, *outputs("combined=all.pem"), "--key", "e.key", "--key-passphrase-name", "keystore")
    assert done.exit_code == 0, done.output
    assert (shell.folder / "a.key").read_bytes() in (shell.folder / "all.pem").read_bytes()
