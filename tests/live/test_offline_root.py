"""A root kept offline by a real openssl, with the commands of the signing sheet as they stand, and its judgement of what is issued below.

openssl judges by this machine's clock, so the sandbox follows it too.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pkiops.cli.app import app
from pkiops.clock import SystemClock
from tests.live_programs import require_program
from tests.offline_root import SAMPLE
from tests.sandbox_server import RunningSandbox, running_sandbox

pytestmark = pytest.mark.live
SUBJECT = "/C=GB/O=Example Ltd/CN=Example Offline Root CA G1"
EXTENSIONS = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
REVOKING = """\
[ ca ]
default_ca = offline
[ offline ]
database = index.txt
crlnumber = number
default_md = sha256
default_crl_days = 90
crl_extensions = extensions
[ extensions ]
authorityKeyIdentifier = keyid
"""
KEYS = {
    "EC": ("ec", "-pkeyopt", "ec_paramgen_curve:P-384"),
    "RSA": ("rsa:3072",),
}


@dataclass
class Office:
    """Two folders that share nothing but what is carried over: ours, and the one of the machine that signs."""

    ours: Path
    offline: Path
    sandbox: RunningSandbox

    def run(self, *words: str) -> Result:
        settings = {"PKIOPS_SANDBOX_URL": self.sandbox.url}
        return CliRunner().invoke(app, list(words), env=settings, prog_name="pkiops")

    def done(self, *words: str) -> Result:
        result = self.run(*words)
        assert result.exit_code == 0, (words, result.output)
        return result

    def shell(self, command: str) -> str:
        """A command on the machine that signs."""
        run = subprocess.run(  # noqa: S602 - as on the sheet
            command, shell=True, cwd=self.offline, capture_output=True, text=True, timeout=60, check=False
        )
        assert run.returncode == 0, (command, run.stdout, run.stderr)
        return run.stdout + run.stderr

    def carry(self, *names: str, back: bool = False) -> None:
        source, target = (self.offline, self.ours) if back else (self.ours, self.offline)
        for name in names:
            (target / name).write_bytes((source / name).read_bytes())

    def make_root(self, kind: str) -> None:
        """``issuer.pem`` and ``issuer.key``, which stays."""
        key = " ".join(KEYS[kind])
        added = " ".join(f"-addext {one}" for one in EXTENSIONS)
        files = "-keyout issuer.key -out issuer.pem"
        self.shell(f'openssl req -x509 -newkey {key} -nodes {files} -days 7300 -subj "{SUBJECT}" {added}')

    def sign(self) -> None:
        """Do what the sheet says, and bring the certificate back."""
        self.done("ca", "csr", "offline", "clients", "--output", "clients.csr", "--overwrite")
        self.carry("clients.csr", "clients.openssl.cnf", "clients.sheet.txt")
        sheet = (self.offline / "clients.sheet.txt").read_text(encoding="utf-8")
        compared = [self.shell(line) for line in re.findall(r"^ +(openssl req .*)$", sheet, re.MULTILINE)]
        assert "verify OK" in compared[0]
        for title, output in zip(("request, SHA-256", "public key, SHA-256"), compared[1:], strict=True):
            (digest,) = re.findall(rf"^ +{title} +([0-9a-f]{{64}})$", sheet, re.MULTILINE)
            assert digest in output
        (command,) = re.findall(r"^ +(openssl x509 -req .*)$", sheet, re.MULTILINE)
        self.shell(command)
        self.carry("clients.pem", "issuer.pem", back=True)

    def make_crl(self) -> None:
        """``root.crl``: what the root revoked, which is nothing."""
        (self.offline / "ca.cnf").write_text(REVOKING, encoding="utf-8")
        (self.offline / "index.txt").write_text("", encoding="utf-8")
        (self.offline / "number").write_text("01\n", encoding="utf-8")
        self.shell("openssl ca -gencrl -config ca.cnf -cert issuer.pem -keyfile issuer.key -out root.crl")
        self.carry("root.crl", back=True)

    def install(self) -> Result:
        return self.run("ca", "install", "offline", "clients", "clients.pem", "--chain", "issuer.pem", "--yes")


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    require_program("openssl")
    ours, offline = tmp_path / "ours", tmp_path / "offline"
    (ours / "environments").mkdir(parents=True)
    offline.mkdir()
    (ours / "environments" / "offline.yaml").write_text(SAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(ours)
    with running_sandbox(clock=SystemClock()) as sandbox:
        yield Office(ours, offline, sandbox)


def pin_and_anchor(office: Office, installed: Result) -> None:
    """What the reviewed commit after the installation says."""
    (line,) = re.findall(r"sha256: [0-9a-f]{64}$", installed.stderr, re.MULTILINE)[-1:]
    path = office.ours / "environments" / "offline.yaml"
    text = path.read_text(encoding="utf-8").replace("  offline-root:\n", f"  offline-root:\n    {line}\n")
    bundle = "{services: {anchors: [offline-root], targets: {pem: {}}}}"
    path.write_text(text.replace("trust: {}", f"trust: {{bundles: {bundle}}}"), encoding="utf-8")


@pytest.mark.parametrize("kind", KEYS)
def test_from_a_root_of_openssl_to_a_client_that_openssl_accepts(office: Office, kind: str) -> None:
    office.make_root(kind)
    office.done("ca", "apply", "offline", "--yes")
    office.sign()
    installed = office.install()
    assert installed.exit_code == 0, installed.output
    assert office.run("ca", "plan", "offline", "--detailed-exitcode").exit_code == 0
    pin_and_anchor(office, installed)
    san = "dns:orders.svc.offline.example.com"
    profile = ("offline", "--profile", "service")
    office.done("cert", "request", *profile, "--san", san, "--key", "a.key", "--csr", "a.csr")
    office.done("cert", "issue", *profile, "--csr", "a.csr", "--output", "a.pem")
    verified = office.done("cert", "verify", "a.pem", "--env", "offline")
    assert "good for clientAuth" in verified.stdout
    assert "revoked was not checked: that CA is kept elsewhere" in verified.stderr
    published = office.done("crl", "publish", "offline")
    assert "offline-root: is kept elsewhere, and no current CRL of it was given" in published.stderr
    early = office.run("trust", "render", "offline", "--to", "out")
    assert (early.exit_code, "pkiops crl publish --external-crl FILE" in early.stderr) == (8, True)
    office.make_crl()
    published = office.done("crl", "publish", "offline", "--external-crl", "root.crl")
    assert "not in the set" not in published.stderr
    office.done("trust", "render", "offline", "--to", "out")
    office.done("trust", "verify", "offline", "out")
    kept = office.done("crl", "publish", "offline").stdout
    assert re.search(r"^offline-root-g1 +unchanged", kept, re.MULTILINE)
    # the root of the bundle is the offline one, and openssl accepts the client below it by the strictest rules
    assert (office.ours / "out/services/pem/ca.pem").read_text().count("BEGIN CERTIFICATE") == 1
    for name in ("a.pem", "out/services/pem/ca.pem", "out/services/pem/crl.pem"):
        (office.offline / Path(name).name).write_bytes((office.ours / name).read_bytes())
    verify = "openssl verify -x509_strict -purpose sslclient -untrusted a.pem"
    office.shell(f"{verify} -CAfile issuer.pem a.pem")
    office.shell(f"{verify} -CAfile ca.pem -crl_check_all -CRLfile crl.pem a.pem")
    text = office.shell("openssl x509 -in clients.pem -noout -text")
    assert "X509v3 Name Constraints: critical" in text
    assert "DNS:svc.offline.example.com" in text
    assert "CA:TRUE, pathlen:0" in text


def test_what_the_issuer_signs_without_the_sheet_is_refused(office: Office) -> None:
    office.make_root("EC")
    office.done("ca", "apply", "offline", "--yes")
    office.sign()
    office.shell("openssl x509 -req -in clients.csr -CA issuer.pem -CAkey issuer.key -days 30 -out clients.pem")
    office.carry("clients.pem", back=True)
    refused = office.install()
    assert refused.exit_code == 8
    for words in (
        "of X.509 version 1",
        "basic constraints are missing",
        "key usage is missing",
        "the name constraints are none",
    ):
        assert words in refused.stderr
    office.sign()
    assert office.install().exit_code == 0


def test_a_renewal_with_the_same_key_leaves_what_was_issued_valid(office: Office) -> None:
    office.make_root("EC")
    office.done("ca", "apply", "offline", "--yes")
    office.sign()
    office.install()
    profile = ("offline", "--profile", "service")
    office.done(
        "cert", "request", *profile, "--san", "dns:a.svc.offline.example.com", "--key", "a.key", "--csr", "a.csr"
    )
    office.done("cert", "issue", *profile, "--csr", "a.csr", "--output-certificate", "a.pem")
    (office.offline / "old.pem").write_bytes((office.ours / "clients.pem").read_bytes())
    office.sign()
    renewed = office.install()
    assert (renewed.exit_code, "~ renew offline/ca/clients" in renewed.stderr) == (0, True)
    (office.offline / "a.pem").write_bytes((office.ours / "a.pem").read_bytes())
    for ca in ("old.pem", "clients.pem"):
        office.shell(f"openssl verify -x509_strict -CAfile issuer.pem -untrusted {ca} a.pem")
