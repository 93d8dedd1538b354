"""``pkiops cert``: what it prints, writes and refuses."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner, Result

from pkiops.backends.interface import RevocationReason
from pkiops.cert.order import Issued
from pkiops.cli.app import app
from pkiops.cli.cert import PurposeChoice
from pkiops.cli.cert_outputs import CertificateOutputs, parse_targets
from pkiops.cli.cert_revoke import ReasonChoice
from pkiops.clock import ManualClock, SeededRandomness
from pkiops.errors import GuardRefused
from pkiops.ledger.sqlite import SqliteLedger
from pkiops.x509.certificate import pem
from pkiops.x509.chain import Purpose
from pkiops.x509.crl import crl_pem
from pkiops.x509.keys import load_private_key, private_key_pem, spki_sha256
from tests import builders
from tests.sandbox_server import START, RunningSandbox, running_sandbox

ENVIRONMENTS = Path(__file__).parents[2] / "environments"
NAME = "orders.svc.dev.example.com"


@dataclass
class Shell:
    """Runs pkiops in a folder of its own."""

    folder: Path
    variables: dict[str, str]

    def run(self, *arguments: str, stdin: bytes = b"") -> Result:
        settings = {**{name: None for name in os.environ if name.startswith("PKIOPS_")}, **self.variables}
        command = ["--environments", str(ENVIRONMENTS), *arguments]
        return CliRunner().invoke(app, command, input=stdin, env=settings, prog_name="pkiops")

    def files(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Without a sandbox: whatever calls out is refused at once."""
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, {"PKIOPS_SANDBOX_URL": "http://127.0.0.1:9"})


def write(shell: Shell, name: str, data: bytes) -> str:
    (shell.folder / name).write_bytes(data)
    return name


def request(shell: Shell, *extra: str, san: str = f"dns:{NAME}") -> Result:
    where = ("--key", "a.key", "--csr", "a.csr")
    return shell.run("cert", "request", "dev", "--profile", "service", "--san", san, *where, *extra)


def csr(*sans: str, **changes: Any) -> bytes:
    return builders.csr({"common_name": NAME}, sans=sans or (f"dns:{NAME}",), **changes)


def error_of(result: Result) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("error:")]


class TestRequest:
    def test_makes_a_key_and_a_request(self, shell: Shell) -> None:
        result = request(shell)
        assert result.exit_code == 0, result.stderr
        assert result.stdout == ""
        assert shell.files() == {"a.key", "a.csr"}
        assert stat.S_IMODE((shell.folder / "a.key").stat().st_mode) == 0o600
        assert x509.load_pem_x509_csr((shell.folder / "a.csr").read_bytes()).is_signature_valid
        assert "PRIVATE" not in result.output

    def test_says_it_in_json(self, shell: Shell) -> None:
        body = json.loads(request(shell, "--format", "json").stdout)
        assert (body["kind"], body["environment"], body["key"]) == ("cert-request", "dev", "a.key")
        assert body["request"]["sans"] == [f"dns:{NAME}"]

    def test_encrypts_the_key_under_a_named_secret(self, shell: Shell) -> None:
        shell.variables["PKIOPS_SECRET_ORDERS_KEY"] = "correct horse"
        result = request(shell, "--key-passphrase-name", "orders-key", "--format", "json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["key_encrypted"]
        assert "correct horse" not in result.output
        data = (shell.folder / "a.key").read_bytes()
        assert data.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
        assert stat.S_IMODE((shell.folder / "a.key").stat().st_mode) == 0o600
        key = load_private_key(data, "a.key", b"correct horse")
        asked_for = x509.load_pem_x509_csr((shell.folder / "a.csr").read_bytes())
        assert spki_sha256(key.public_key()) == spki_sha256(asked_for.public_key())
        if shutil.which("openssl"):
            good = openssl("pkey", "-in", "a.key", "-noout", "-passin", "pass:correct horse")
            assert good.returncode == 0, good.stderr
            assert openssl("pkey", "-in", "a.key", "-noout", "-passin", "pass:wrong").returncode != 0

    def test_a_secret_that_is_missing_makes_nothing(self, shell: Shell) -> None:
        result = request(shell, "--key-passphrase-name", "orders-key")
        assert (result.exit_code, shell.files()) == (2, set())
        assert "set PKIOPS_SECRET_ORDERS_KEY" in result.stderr
        told = request(shell, "--key-passphrase-name", "correct horse")
        assert (told.exit_code, shell.files()) == (2, set())
        assert "correct horse" not in told.stderr

    def test_refuses_what_would_not_be_issued(self, shell: Shell) -> None:
        result = request(shell, san="dns:evil.example.org")
        assert result.exit_code == 4
        assert len(error_of(result)) == 1
        assert shell.files() == set()

    @pytest.mark.parametrize("existing", ["a.key", "a.csr"])
    def test_overwrites_nothing(self, shell: Shell, existing: str) -> None:
        write(shell, existing, b"mine")
        assert request(shell).exit_code == 9
        assert shell.files() == {existing}
        assert (shell.folder / existing).read_bytes() == b"mine"
        assert request(shell, "--overwrite").exit_code == 0

    def test_refuses_a_name_that_is_none(self, shell: Shell) -> None:
        assert request(shell, san="orders").exit_code == 2


def damaged(data: bytes) -> bytes:
    der = bytearray(x509.load_pem_x509_csr(data).public_bytes(Encoding.DER))
    der[-2] ^= 0x55
    return bytes(der)


def with_nul() -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a\x00b.svc.dev.example.com")])
    return builders.csr(name)


HOSTILE: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 2),
    "text": (b"please issue\n", 2),
    "truncated": (csr()[:300], 2),
    "bad self-signature": (damaged(csr()), 4),
    "RSA 1024": (csr(private_key=rsa.generate_private_key(65537, 1024)), 4),  # noqa: S505 - must be refused
    "5 MB": (b"-----BEGIN CERTIFICATE REQUEST-----\n" + b"A" * 5_000_000, 2),
    "5 MB of DER": (b"\x30\x83\x4c\x4b\x40" + b"\x00" * 5_000_000, 2),
    "NUL in a name": (with_nul(), 4),
    "wrong PEM type": (pem(builders.root_ca().certificate), 2),
    "private key": (private_key_pem(builders.key()), 2),
    "private key beside it": (csr() + private_key_pem(builders.key()), 2),
    "two requests": (csr() + csr(), 2),
    "name out of bounds": (csr("dns:evil.example.org"), 4),
    "wildcard": (csr("dns:*.svc.dev.example.com"), 4),
    "no name": (builders.csr({"organization": "x"}, sans=()), 4),
}


class TestHostileRequests:
    @pytest.mark.parametrize("name", sorted(HOSTILE))
    @pytest.mark.parametrize("way", ["file", "stdin"])
    def test_one_error_and_nothing_written(self, shell: Shell, name: str, way: str) -> None:
        data, code = HOSTILE[name]
        source = write(shell, "hostile.csr", data) if way == "file" else "-"
        before = shell.files()
        result = shell.run(
            "cert", "issue", "dev", "--profile", "service", "--csr", source, "--output", "out.pem",
            stdin=data if way == "stdin" else b"",
        )  # fmt: skip
        assert result.exit_code == code, result.output
        assert len(error_of(result)) == 1
        assert result.stdout == ""
        assert "Traceback" not in result.output
        # the ledger remembers the refusal; nothing else was made, and no call (it would have failed with 6)
        assert shell.files() - before == {".pkiops/dev.db"}

    def test_the_error_is_json_when_asked(self, shell: Shell) -> None:
        arguments = ["cert", "issue", "dev", "--profile", "service", "--csr", "-", "--format", "json"]
        result = subprocess.run(
            [sys.executable, "-m", "pkiops", "--environments", str(ENVIRONMENTS), *arguments],
            input=csr("dns:a.b"),
            capture_output=True,
            cwd=shell.folder,
            env={**os.environ, **shell.variables, "PYTHONPATH": str(ENVIRONMENTS.parent)},
            timeout=60,
            check=False,
        )
        assert (result.returncode, result.stdout) == (4, b"")
        assert json.loads(result.stderr)["error"]["details"]["findings"]

    def test_a_file_that_is_not_there(self, shell: Shell) -> None:
        result = shell.run("cert", "issue", "dev", "--profile", "service", "--csr", "none.csr")
        assert result.exit_code == 2
        assert shell.files() == set()

    @pytest.mark.parametrize(
        "extra",
        [
            ("--validity", "soon"),
            ("--san", "orders"),
            ("--output-chain", "-"),
            ("--output", "-", "--format", "json"),
            ("--profile", "other"),
        ],
    )
    def test_wrong_options(self, shell: Shell, extra: tuple[str, ...]) -> None:
        result = shell.run("cert", "issue", "dev", "--profile", "service", "--csr", "-", *extra, stdin=csr())
        assert result.exit_code == 2
        assert "out.pem" not in shell.files()


class TestShow:
    def test_a_certificate(self, shell: Shell) -> None:
        root = builders.root_ca()
        leaf = builders.end_entity(root)
        result = shell.run("cert", "show", write(shell, "a.pem", pem(leaf.certificate) + pem(root.certificate)))
        assert result.exit_code == 0
        assert "clientAuth" in result.stdout
        both = shell.run("cert", "show", "a.pem", "--format", "json")
        assert len(json.loads(both.stdout)["certificates"]) == 2

    def test_a_request_from_stdin(self, shell: Shell) -> None:
        result = shell.run("cert", "show", "-", "--format", "json", stdin=csr())
        assert json.loads(result.stdout)["request"]["sans"] == [f"dns:{NAME}"]

    def test_hostile_text_does_not_reach_the_terminal(self, shell: Shell) -> None:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a\x1b]0;gotcha\x07")])
        leaf = builders.end_entity(builders.root_ca(), name)
        result = shell.run("cert", "show", "-", stdin=pem(leaf.certificate))
        assert result.exit_code == 0
        assert "\x1b" not in result.stdout

    def test_something_else(self, shell: Shell) -> None:
        assert shell.run("cert", "show", "-", stdin=b"hello").exit_code == 2


class TestVerifyFiles:
    @pytest.fixture
    def files(self, shell: Shell) -> dict[str, builders.Issued]:
        root = builders.root_ca()
        issuer = builders.subordinate_ca(root)
        leaf = builders.end_entity(issuer)
        write(shell, "root.pem", pem(root.certificate))
        write(shell, "leaf.pem", pem(leaf.certificate) + pem(issuer.certificate))
        write(shell, "alone.pem", pem(leaf.certificate))
        write(shell, "issuer.pem", pem(issuer.certificate))
        write(shell, "root.crl", crl_pem(builders.crl(root)))
        write(shell, "good.crl", crl_pem(builders.crl(issuer)))
        write(shell, "bad.crl", crl_pem(builders.crl(issuer, revoked={leaf.serial: None})))
        return {"root": root, "issuer": issuer, "leaf": leaf}

    def verify(self, shell: Shell, *arguments: str) -> Result:
        return shell.run("cert", "verify", *arguments, "--at", "2026-06-01T12:00:00Z")

    def test_good(self, shell: Shell, files: object) -> None:
        del files
        result = self.verify(shell, "leaf.pem", "--anchors", "root.pem")
        assert result.exit_code == 0, result.stderr
        assert "good for clientAuth" in result.stdout
        assert "revocation was not checked" in result.stderr
        alone = self.verify(shell, "alone.pem", "--anchors", "root.pem", "--intermediates", "issuer.pem")
        assert alone.exit_code == 0

    def test_with_crls(self, shell: Shell, files: object) -> None:
        del files
        good = ("leaf.pem", "--anchors", "root.pem", "--crl", "root.crl", "--crl", "good.crl", "--format", "json")
        body = json.loads(self.verify(shell, *good).stdout)
        assert (body["verified"], body["revocation_checked"], len(body["chain"])) == (True, True, 3)
        result = self.verify(shell, "leaf.pem", "--anchors", "root.pem", "--crl", "root.crl", "--crl", "bad.crl")
        assert result.exit_code == 8
        assert "revoked" in result.stderr

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (("alone.pem", "--anchors", "root.pem"), 8),
            (("leaf.pem", "--anchors", "root.pem", "--purpose", "serverAuth"), 8),
            (("leaf.pem", "--anchors", "root.pem", "--crl", "good.crl"), 8),
            (("leaf.pem",), 2),
            (("leaf.pem", "--env", "dev", "--anchors", "root.pem"), 2),
            (("leaf.pem", "--env", "dev", "--crl", "good.crl"), 2),
            (("leaf.pem", "--anchors", "good.crl"), 2),
            (("none.pem", "--anchors", "root.pem"), 2),
        ],
    )
    def test_not_good(self, shell: Shell, files: object, arguments: tuple[str, ...], code: int) -> None:
        del files
        result = self.verify(shell, *arguments)
        assert result.exit_code == code, result.output
        assert result.stdout == ""

    def test_a_moment_needs_its_zone(self, shell: Shell, files: object) -> None:
        del files
        result = shell.run("cert", "verify", "leaf.pem", "--anchors", "root.pem", "--at", "2026-06-01T12:00")
        assert result.exit_code == 2
        day = shell.run("cert", "verify", "leaf.pem", "--anchors", "root.pem", "--at", "2026-06-01", "--format", "json")
        moment = shell.run(
            "cert", "verify", "leaf.pem", "--anchors", "root.pem", "--at", "2026-06-01T00:00:00Z", "--format", "json"
        )
        assert (day.exit_code, day.stderr) == (moment.exit_code, moment.stderr)


@pytest.fixture
def applied(shell: Shell) -> Iterator[tuple[Shell, RunningSandbox]]:
    """The environment dev, applied on a sandbox whose clock stands still."""
    with running_sandbox(clock=ManualClock(START)) as sandbox:
        shell.variables = {**sandbox.environment}
        result = shell.run("ca", "apply", "dev", "--yes")
        assert result.exit_code == 0, result.output
        yield shell, sandbox


def issue(shell: Shell, *extra: str) -> Result:
    return shell.run("cert", "issue", "dev", "--profile", "service", "--csr", "a.csr", *extra)


def openssl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=30, check=False)


def test_from_request_to_revocation(applied: tuple[Shell, RunningSandbox]) -> None:
    shell, sandbox = applied
    assert request(shell).exit_code == 0
    first = issue(shell)
    assert first.exit_code == 0, first.stderr
    certificates = x509.load_pem_x509_certificates(first.stdout.encode())
    assert len(certificates) == 2  # the certificate and its issuer; never the root
    again = issue(shell)
    assert again.stdout == first.stdout
    assert "of the ledger" in again.stderr

    body = json.loads(issue(shell, "--format", "json").stdout)
    assert body["from_ledger"]
    assert body["attempt"] == 1
    assert "EndEntityClientAuthCertificate/V1" in body["template"]
    write(shell, "leaf.pem", first.stdout.encode())
    verified = shell.run("cert", "verify", "leaf.pem", "--env", "dev", "--format", "json")
    assert verified.exit_code == 0, verified.output
    assert json.loads(verified.stdout)["revocation_checked"]
    _judged_by_openssl(shell, sandbox, certificates, revoked=False)

    assert shell.run("cert", "revoke", "dev", body["serial"]).exit_code == 9  # nobody can be asked
    revoked = shell.run("cert", "revoke", "dev", "leaf.pem", "--reason", "keyCompromise", "--yes")
    assert revoked.exit_code == 0, revoked.output
    assert "in about 30 minutes" in revoked.stderr
    again = shell.run("cert", "revoke", "dev", body["serial"], "--yes", "--format", "json")
    assert json.loads(again.stdout)["already_revoked"]
    assert shell.run("cert", "revoke", "dev", "leaf.pem").exit_code == 0  # nothing is left to be asked about
    assert isinstance(sandbox.clock, ManualClock)
    sandbox.clock.advance(timedelta(minutes=40))
    refused = shell.run("cert", "verify", "leaf.pem", "--env", "dev")
    assert refused.exit_code == 8, refused.output
    assert "revoked" in refused.stderr
    _judged_by_openssl(shell, sandbox, certificates, revoked=True)
    compromised = issue(shell)
    assert (compromised.exit_code, compromised.stdout) == (4, "")
    assert "its key is compromised" in compromised.stderr


def _judged_by_openssl(
    shell: Shell, sandbox: RunningSandbox, certificates: list[x509.Certificate], *, revoked: bool
) -> None:
    if shutil.which("openssl") is None:
        return
    arns = [one["Arn"] for one in sandbox.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"]]
    roots, crls = b"", b""
    for arn in arns:
        answer = sandbox.client("acm-pca").get_certificate_authority_certificate(CertificateAuthorityArn=arn)
        if not answer.get("CertificateChain"):
            roots += answer["Certificate"].encode() + b"\n"
        key = f"crl/{arn.rsplit('/', 1)[-1]}.crl"
        data = sandbox.client("s3").get_object(Bucket="example-pki-dev-crl", Key=key)["Body"].read()
        crls += crl_pem(x509.load_der_x509_crl(data))
    write(shell, "roots.pem", roots)
    write(shell, "all.crl", crls)
    write(shell, "ee.pem", pem(certificates[0]))
    write(shell, "issuer.pem", pem(certificates[1]))
    moment = str(int(sandbox.clock.now().timestamp()))
    result = openssl(
        "verify", "-x509_strict", "-purpose", "sslclient", "-crl_check_all", "-attime", moment,
        "-CAfile", "roots.pem", "-untrusted", "issuer.pem", "-CRLfile", "all.crl", "ee.pem",
    )  # fmt: skip
    assert ("certificate revoked" in result.stderr) == revoked, result.stderr
    assert (result.returncode == 0) == (not revoked), result.stderr


def test_processes_at_once_end_with_one_certificate(applied: tuple[Shell, RunningSandbox]) -> None:
    shell, _ = applied
    assert request(shell).exit_code == 0
    arguments = ["cert", "issue", "dev", "--profile", "service", "--csr", "a.csr", "--format", "json"]
    variables = {**os.environ, **shell.variables, "PYTHONPATH": str(ENVIRONMENTS.parent)}
    command = [sys.executable, "-m", "pkiops", "--environments", str(ENVIRONMENTS), *arguments]
    runs = [
        subprocess.Popen(command, cwd=shell.folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    answers = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, [error.decode() for _, error in answers]
    assert len({json.loads(out)["sha256"] for out, _ in answers}) == 1
    assert json.loads(issue(shell, "--format", "json").stdout)["attempt"] == 1


def test_a_request_made_elsewhere_gets_the_names_of_policy(applied: tuple[Shell, RunningSandbox]) -> None:
    shell, _ = applied
    write(shell, "a.csr", builders.csr({"organization": "Somebody", "common_name": NAME}, sans=(f"dns:{NAME}",)))
    body = json.loads(issue(shell, "--format", "json").stdout)
    assert body["subject"] == f"CN={NAME},O=Example Ltd"
    assert "_APIPassthrough" in body["template"]


def test_files_are_replaced_as_a_set_or_not_at_all(applied: tuple[Shell, RunningSandbox]) -> None:
    shell, sandbox = applied
    assert request(shell).exit_code == 0
    targets = ("--output", "full.pem", "--output-certificate", "leaf.pem", "--output-chain", "chain.pem")
    first = issue(shell, *targets)
    assert first.exit_code == 0, first.output
    assert first.stdout == ""
    written = {name: (shell.folder / name).read_bytes() for name in ("full.pem", "leaf.pem", "chain.pem")}
    assert written["full.pem"] == written["leaf.pem"] + written["chain.pem"]
    # its own set, again and renewed
    assert issue(shell, *targets).exit_code == 0
    assert isinstance(sandbox.clock, ManualClock)
    sandbox.clock.advance(timedelta(days=25))
    assert issue(shell, *targets).exit_code == 0
    assert (shell.folder / "leaf.pem").read_bytes() != written["leaf.pem"]
    # one file changed by hand: nothing is touched
    renewed = (shell.folder / "full.pem").read_bytes()
    write(shell, "leaf.pem", b"mine")
    refused = issue(shell, *targets)
    assert refused.exit_code == 9
    assert "error: leaf.pem was changed since it was written" in refused.stderr
    assert (shell.folder / "full.pem").read_bytes() == renewed
    assert (shell.folder / "leaf.pem").read_bytes() == b"mine"
    assert issue(shell, *targets, "--overwrite").exit_code == 0


def test_a_file_that_another_run_of_the_request_wrote_meanwhile_is_replaced(
    applied: tuple[Shell, RunningSandbox],
) -> None:
    shell, _ = applied
    assert request(shell).exit_code == 0
    body = json.loads(issue(shell, "--output", "a.pem", "--format", "json").stdout)
    certificate = x509.load_pem_x509_certificate(body["certificate"].encode())
    written = (shell.folder / "a.pem").read_bytes()
    ledger = SqliteLedger(shell.folder / ".pkiops" / "dev.db", ManualClock(START), SeededRandomness(1))
    entry = ledger.latest(body["request_key"])
    assert entry is not None
    chain = tuple(x509.load_der_x509_certificate(der) for der in entry.chain[1:])
    issued = Issued(entry=entry, certificate=certificate, chain=chain, from_ledger=True)
    # the other run has looked at its targets before a.pem was there, and writes only now
    target = shell.folder / "a.pem"
    assert CertificateOutputs(parse_targets([str(target)], None, None)).write(issued, ledger, overwrite=False) == (
        str(target),
    )
    assert target.read_bytes() == written
    target.write_bytes(b"theirs")
    with pytest.raises(GuardRefused, match="was changed since it was written"):
        CertificateOutputs(parse_targets([str(target)], None, None)).write(issued, ledger, overwrite=False)
    assert target.read_bytes() == b"theirs"


def test_an_encrypted_key_is_good_for_every_output_that_holds_it(applied: tuple[Shell, RunningSandbox]) -> None:
    shell, _ = applied
    shell.variables["PKIOPS_SECRET_ORDERS_KEY"] = "correct horse"
    assert request(shell, "--key-passphrase-name", "orders-key").exit_code == 0
    locked = issue(shell, "--key", "a.key", "--output", "folder=tls")
    assert locked.exit_code == 2
    assert "the private key is encrypted" in locked.stderr
    done = issue(shell, "--key", "a.key", "--key-passphrase-name", "orders-key", "--output", "folder=tls")
    assert done.exit_code == 0, done.output
    assert b"BEGIN PRIVATE KEY" in (shell.folder / "tls" / "current" / "tls.key").read_bytes()


def test_targets_are_checked_before_anything_is_asked_for(applied: tuple[Shell, RunningSandbox]) -> None:
    shell, _ = applied
    assert request(shell).exit_code == 0
    write(shell, "theirs.pem", b"theirs")
    assert issue(shell, "--output", "theirs.pem").exit_code == 9
    assert issue(shell, "--output", "none/a.pem").exit_code == 2
    assert issue(shell, "--output", "a.pem", "--output-chain", "a.pem").exit_code == 2
    body = json.loads(issue(shell, "--format", "json").stdout)
    assert not body["from_ledger"]
    assert body["attempt"] == 1


def test_without_a_server_it_says_what_to_do(shell: Shell) -> None:
    assert request(shell).exit_code == 0
    result = issue(shell)
    assert result.exit_code == 6
    assert "sandbox up" in result.stderr


def test_the_words_of_the_command_line_are_those_of_the_library() -> None:
    assert {one.value for one in ReasonChoice} == {one.value for one in RevocationReason}
    assert {one.value for one in PurposeChoice} == {one.value for one in Purpose}


@pytest.mark.parametrize("verb", ["request", "issue", "show", "verify", "revoke"])
def test_help_is_there(shell: Shell, verb: str) -> None:
    result = shell.run("cert", verb, "--help")
    assert result.exit_code == 0
    assert "--format" in result.stdout
