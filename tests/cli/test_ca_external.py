"""``pkiops ca csr`` and ``ca install`` over the sandbox: below a root that is kept offline, and everything that can be brought back wrongly."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from typer.testing import CliRunner, Result

from pkiops.cli.app import app
from pkiops.clock import ManualClock
from pkiops.environment.load import load_file
from pkiops.environment.name_constraints import name_constraints
from pkiops.x509.certificate import fingerprint, load_certificates, pem
from pkiops.x509.name_constraints import NameConstraints
from tests import builders
from tests.builders import Issued
from tests.offline_root import NAME, SAMPLE, OfflineRoot
from tests.sandbox_server import START, RunningSandbox, running_sandbox


@dataclass
class Desk:
    """A working directory with ``offline.yaml``, a sandbox, and a root that is kept elsewhere."""

    folder: Path
    sandbox: RunningSandbox
    root: OfflineRoot

    @property
    def file(self) -> Path:
        return self.folder / "environments" / "offline.yaml"

    def run(self, *words: str, stdin: bytes = b"") -> Result:
        settings: dict[str, str | None] = {name: None for name in os.environ if name.startswith("PKIOPS_")}
        settings |= {"PKIOPS_SANDBOX_URL": self.sandbox.url}
        return CliRunner().invoke(app, list(words), input=stdin, env=settings, prog_name="pkiops")

    def done(self, *words: str) -> Result:
        result = self.run(*words)
        assert result.exit_code == 0, (words, result.output)
        return result

    def edit(self, old: str, new: str) -> None:
        text = self.file.read_text(encoding="utf-8")
        assert text.count(old) == 1, old
        self.file.write_text(text.replace(old, new), encoding="utf-8")

    @property
    def limits(self) -> NameConstraints:
        return name_constraints(load_file(self.file), "clients")

    def csr(self) -> bytes:
        return str(json.loads(self.done("ca", "csr", "offline", "clients", "--format", "json").stdout)["csr"]).encode()

    def write(self, **files: bytes) -> None:
        for name, data in files.items():
            (self.folder / f"{name}.pem").write_bytes(data)

    def brought(self, root: OfflineRoot | None = None, **changes: Any) -> None:
        """``clients.pem`` and ``chain.pem``, as they come from whoever signed."""
        signer = root or self.root
        self.write(clients=signer.sign(self.csr(), **{"limits": self.limits, **changes}), chain=signer.chain)

    def install(self, *words: str) -> Result:
        return self.run("ca", "install", "offline", "clients", "clients.pem", "--chain", "chain.pem", "--yes", *words)

    def installed(self) -> list[str]:
        """The sha256 of what is installed, the CA's own first; nothing where nothing is."""
        client = self.sandbox.client("acm-pca")
        (authority,) = client.list_certificate_authorities()["CertificateAuthorities"]
        if authority["Status"] == "PENDING_CERTIFICATE":
            return []
        answer = client.get_certificate_authority_certificate(CertificateAuthorityArn=authority["Arn"])
        text = f"{answer['Certificate']}\n{answer['CertificateChain']}"
        return [fingerprint(one) for one in load_certificates(text.encode(), "answer")]

    def index(self) -> dict[str, Any]:
        body = self.sandbox.client("s3").get_object(Bucket="example-pki-offline-trust", Key="offline/index.json")[
            "Body"
        ]
        found: dict[str, Any] = json.loads(body.read())
        return found


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "offline.yaml").write_text(SAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with running_sandbox() as sandbox:
        yield Desk(tmp_path, sandbox, OfflineRoot(START))


@pytest.fixture
def pending(desk: Desk) -> Desk:
    """Applied: the CA is there and waits for its certificate."""
    desk.done("ca", "apply", "offline", "--yes")
    return desk


@pytest.fixture
def active(pending: Desk) -> Desk:
    pending.brought()
    assert pending.install().exit_code == 0
    return pending


def findings(result: Result) -> list[str]:
    error = json.loads(result.stderr.splitlines()[-1])["error"]
    assert error["code"] == "ca.import", result.output
    return [one["rule"] for one in error["details"]["findings"]]


def test_apply_makes_the_ca_and_says_what_it_waits_for(desk: Desk) -> None:
    planned = desk.run("ca", "plan", "offline", "--detailed-exitcode")
    assert planned.exit_code == 5
    applied = desk.done("ca", "apply", "offline", "--yes")
    assert (
        "waiting: offline/ca/clients: waits for a certificate signed by offline-root: pkiops ca csr" in applied.stdout
    )
    assert desk.installed() == []
    waiting = desk.run("ca", "plan", "offline", "--detailed-exitcode")
    assert (waiting.exit_code, "nothing to do, 1 waiting" in waiting.stdout) == (5, True)
    assert "pkiops ca csr offline clients" in waiting.stderr
    again = desk.done("ca", "apply", "offline")
    assert "> waiting offline/ca/clients" in again.stdout
    body = json.loads(desk.done("ca", "plan", "offline", "--format", "json").stdout)
    assert [one["kind"] for one in body["actions"] if "/ca/" in one["address"]] == ["waiting"]


def test_the_sheet_says_what_to_sign(pending: Desk) -> None:
    text = pending.done("ca", "csr", "offline", "clients").stdout
    sheet = json.loads(pending.done("ca", "csr", "offline", "clients", "--format", "json").stdout)
    request = x509.load_pem_x509_csr(sheet["csr"].encode())
    assert request.is_signature_valid
    assert sheet["csr_sha256"] in text
    assert sheet["spki_sha256"] in text
    assert sheet["csr"] in text  # without --output the request is on the sheet
    assert sheet["issuer"] == {"authority": "offline-root", "sha256": None}
    assert sheet["required"]["basic_constraints"] == {"critical": True, "ca": True, "path_length": 0}
    assert sheet["required"]["not_after"] == "2031-11-25T12:00:00Z"
    assert sheet["replaces_until"] is None
    step = sheet["step_template"].replace("{{ toJson .Subject }}", "{}")
    assert json.loads(step)["extensions"][0]["value"] == sheet["required"]["name_constraints"]["der"]
    assert "This is a renewal" not in text


def test_the_request_and_what_goes_with_it_are_written_together(pending: Desk) -> None:
    result = pending.done("ca", "csr", "offline", "clients", "--output", "my request.csr")
    names = {"my request.csr", "my request.openssl.cnf", "my request.step.tpl", "my request.sheet.txt"}
    assert {path.name for path in pending.folder.iterdir()} == {"environments", *names}
    assert "BEGIN CERTIFICATE REQUEST" not in result.stdout
    assert "openssl req -in 'my request.csr' -noout -verify" in (pending.folder / "my request.sheet.txt").read_text()
    (pending.folder / "my request.csr").unlink()
    refused = pending.run("ca", "csr", "offline", "clients", "--output", "my request.csr")
    assert (refused.exit_code, (pending.folder / "my request.csr").exists()) == (9, False)
    assert pending.run("ca", "csr", "offline", "clients", "-o", "my request.csr", "--overwrite").exit_code == 0
    assert pending.run("ca", "csr", "offline", "clients", "-o", "no/such.csr").exit_code == 2


def test_it_is_installed_once_and_the_index_names_it(pending: Desk) -> None:
    assert pending.index()["authorities"] == []
    pending.brought()
    installed = pending.install()
    assert installed.exit_code == 0, installed.output
    assert "done: activate offline/ca/clients" in installed.stdout
    assert "+ activate offline/ca/clients: signed by offline-root" in installed.stderr
    pin = f"external_authorities.offline-root:  sha256: {pending.root.sha256}"
    assert pin in installed.stderr
    assert pending.installed()[1:] == [pending.root.sha256]
    (entry,) = pending.index()["authorities"]
    assert entry["chain"] == pending.installed()
    assert pending.run("ca", "plan", "offline", "--detailed-exitcode").exit_code == 0
    again = pending.run("ca", "install", "offline", "clients", "clients.pem", "--chain", "chain.pem")
    assert again.exit_code == 0, again.output  # nothing to ask for
    assert "has this certificate already" in again.stdout


def test_a_pinned_root_is_checked_and_its_pin_not_printed_again(pending: Desk) -> None:
    pending.edit("offline-root:\n", f"offline-root:\n    sha256: {pending.root.sha256}\n")
    pending.brought()
    installed = pending.install()
    assert (installed.exit_code, "pin the root" in installed.stderr) == (0, False)
    pending.edit(pending.root.sha256, "ab" * 32)
    assert findings(pending.install("--format", "json")) == ["import.pin"]


@pytest.mark.parametrize("form", ["together", "der", "stdin"])
def test_it_is_read_in_every_form_it_comes_in(pending: Desk, form: str) -> None:
    pending.brought()
    certificate, chain = ((pending.folder / name).read_bytes() for name in ("clients.pem", "chain.pem"))
    if form == "together":
        pending.write(clients=b"Bag attributes\n" + certificate + b"\n" + chain)
        result = pending.run("ca", "install", "offline", "clients", "clients.pem", "--yes")
    elif form == "der":
        pending.write(clients=x509.load_pem_x509_certificate(certificate).public_bytes(builders_der()))
        result = pending.install()
    else:
        command = ("ca", "install", "offline", "clients", "-", "--chain", "chain.pem", "--yes")
        result = pending.run(*command, stdin=certificate)
    assert result.exit_code == 0, result.output
    assert len(pending.installed()) == 2


def builders_der() -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.DER


def test_without_consent_nothing_is_sent(pending: Desk) -> None:
    pending.brought()
    result = pending.run("ca", "install", "offline", "clients", "clients.pem", "--chain", "chain.pem")
    assert (result.exit_code, pending.installed()) == (9, [])
    assert "+ activate offline/ca/clients" in result.stderr


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"limits": NameConstraints()}, ["import.name-constraints"]),
        ({"path_length": 1}, ["import.path-length"]),
        ({"path_length": None, "without": (x509.KeyUsage,)}, ["import.path-length", "import.key-usage"]),
        ({"subject": builders.subject_of("Another CA")}, ["import.subject"]),
        ({"days": 9000}, ["import.outlives-issuer"]),
    ],
)
def test_what_is_wrong_is_said_at_once_and_nothing_is_sent(
    pending: Desk, changes: dict[str, Any], rules: list[str]
) -> None:
    pending.brought(**changes)
    result = pending.install("--format", "json")
    assert (result.exit_code, findings(result), pending.installed()) == (8, rules, [])


def test_another_root_of_the_same_name_is_no_reason_to_trust_it_when_one_is_pinned(pending: Desk) -> None:
    pending.edit("offline-root:\n", f"offline-root:\n    sha256: {pending.root.sha256}\n")
    pending.brought(OfflineRoot(START))
    result = pending.install("--format", "json")
    assert (result.exit_code, findings(result)) == (8, ["import.pin"])
    pending.brought(OfflineRoot(START, name={**NAME, "common_name": "Somebody Else"}))
    assert findings(pending.install("--format", "json")) == ["import.pin", "import.issuer"]


def test_the_certificate_of_another_request_is_refused(pending: Desk) -> None:
    pending.brought()
    other = builders.csr(x509.load_pem_x509_csr(pending.csr()).subject, sans=())
    pending.write(clients=pending.root.sign(other, limits=pending.limits))
    assert findings(pending.install("--format", "json")) == ["import.public-key"]


def test_what_cannot_be_read_is_said(pending: Desk) -> None:
    pending.brought()
    key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    certificate = (pending.folder / "clients.pem").read_bytes()
    cases = {
        b"": "certificate.not-pem",
        b"nothing": "certificate.not-pem",
        certificate[:-40]: "certificate.truncated",
        pending.csr(): "certificate.wrong-pem-type",
        certificate + key: "certificate.private-key",
        certificate * 33: "ca.too-many",
        b"x" * 1_100_000: "certificate.not-pem",
        certificate * 2: "ca.two-chains",
    }
    for data, code in cases.items():
        pending.write(clients=data)
        result = pending.install("--format", "json")
        assert result.exit_code == 2
        assert json.loads(result.stderr.splitlines()[-1])["error"]["code"] == code
    missing = pending.run("ca", "install", "offline", "clients", "no.pem", "--yes")
    assert (missing.exit_code, pending.installed()) == (2, [])


def test_authorities_that_are_not_signed_elsewhere_are_refused(desk: Desk) -> None:
    own = "  own:\n    subject: {common_name: Own Root}\n    validity: 20y\n    crl: {validity: 90d}\n\nprofiles:\n"
    desk.edit("\nprofiles:\n", own)
    for verb in (["csr", "offline"], ["install", "offline"]):
        file = [] if verb[0] == "csr" else ["clients.pem"]
        desk.write(clients=pem(desk.root.issued.certificate))
        unknown = desk.run("ca", *verb, "nobody", *file)
        assert (unknown.exit_code, "it declares clients, own" in unknown.stderr) == (2, True)
        ours = desk.run("ca", *verb, "own", *file)
        assert (ours.exit_code, "is a root and signs itself" in ours.stderr) == (2, True)
        early = desk.run("ca", *verb, "clients", *file)
        assert (early.exit_code, "pkiops ca apply offline" in early.stderr) == (6, True)


def test_a_disabled_ca_takes_no_certificate(active: Desk) -> None:
    active.brought()
    active.edit("    crl: {validity: 7d}\n", "    enabled: false\n    crl: {validity: 7d}\n")
    active.done("ca", "apply", "offline", "--yes")
    result = active.install()
    assert (result.exit_code, "write enabled: true" in result.stderr) == (6, True)


def test_a_renewal_shows_what_it_changes_and_keeps_the_key(active: Desk) -> None:
    before = active.installed()
    sheet = active.done("ca", "csr", "offline", "clients").stdout
    assert "This is a renewal: the CA has a certificate until 2031-11-25T11:00:00Z" in sheet
    assert isinstance(active.sandbox.clock, ManualClock)
    active.sandbox.clock.advance(timedelta(days=700))
    active.root.now = active.sandbox.clock.now()
    active.brought()
    refused = active.run("ca", "install", "offline", "clients", "clients.pem", "--chain", "chain.pem")
    assert (refused.exit_code, active.installed()) == (9, before)
    renewed = active.install()
    assert renewed.exit_code == 0, renewed.output
    assert "~ renew offline/ca/clients" in renewed.stderr
    assert f"sha256: {before[0]} -> " in renewed.stderr
    assert "root sha256" not in renewed.stderr
    assert active.installed() != before
    assert active.index()["authorities"][0]["chain"] == active.installed()
    assert active.run("ca", "plan", "offline", "--detailed-exitcode").exit_code == 0


def test_another_root_above_it_is_said_before_it_is_installed(active: Desk) -> None:
    active.brought(OfflineRoot(START))
    renewed = active.install()
    assert renewed.exit_code == 0, renewed.output
    assert "its root is another one: relying parties need that as an anchor before" in renewed.stderr
    active.brought(days=30)
    assert "it ends before the one that is installed" in active.install().stderr


def test_an_expired_ca_is_renewed_by_what_its_plan_says(active: Desk) -> None:
    assert isinstance(active.sandbox.clock, ManualClock)
    active.sandbox.clock.advance(timedelta(days=1900))
    planned = active.run("ca", "plan", "offline", "--detailed-exitcode")
    assert planned.exit_code == 5
    assert "is EXPIRED: have another one signed by offline-root (pkiops ca csr offline clients)" in planned.stdout
    active.root.now = active.sandbox.clock.now()
    active.brought(days=1700)
    assert active.install().exit_code == 0
    assert active.run("ca", "plan", "offline", "--detailed-exitcode").exit_code == 0


def company(now: Any = START) -> tuple[Issued, OfflineRoot]:
    root = builders.root_ca("Company Root CA", at=now)
    return root, OfflineRoot(now, name={"common_name": "Company Issuing CA"}, above=root)


def test_below_an_intermediate_of_another_company_and_with_a_ca_of_ours_below(desk: Desk) -> None:
    root, issuing = company()
    text = desk.file.read_text(encoding="utf-8")
    start, end = text.index("external_authorities:"), text.index("authorities:\n  clients")
    outside = (
        f"external_authorities:\n  company-root: {{sha256: {fingerprint(root.certificate)}}}\n"
        "  company-issuing: {issuer: company-root, subject: {common_name: Company Issuing CA}}\n\n"
    )
    text = (text[:start] + outside + text[end:]).replace("issuer: offline-root", "issuer: company-issuing")
    below = "  below: {issuer: clients, subject: {common_name: B}, validity: 4y, crl: {validity: 7d}}\n\nprofiles:\n"
    desk.file.write_text(text.replace("\nprofiles:\n", below), encoding="utf-8")
    desk.done("ca", "apply", "offline", "--yes")
    desk.brought(issuing, path_length=1)
    swapped = b"".join(pem(one) for one in reversed(load_certificates(issuing.chain, "chain")))
    desk.write(chain=swapped)
    assert "import.chain-order" in findings(desk.install("--format", "json"))
    desk.write(chain=pem(issuing.issued.certificate))
    assert findings(desk.install("--format", "json")) == [
        "import.chain-incomplete",
        "import.chain-length",
        "import.pin",
    ]
    desk.write(chain=issuing.chain)
    assert desk.install().exit_code == 0
    applied = desk.done("ca", "apply", "offline", "--yes")
    assert "done: activate offline/ca/below" in applied.stdout
    assert desk.run("ca", "plan", "offline", "--detailed-exitcode").exit_code == 0
    chains = {one["authority"]: one["chain"] for one in desk.index()["authorities"]}
    assert chains["below"] == [chains["below"][0], *chains["clients"]]
    assert chains["clients"][2] == fingerprint(root.certificate)
    tree = desk.done("ca", "show", "offline").stdout
    assert tree.index("company-root") < tree.index("company-issuing") < tree.index("clients (") < tree.index("below (")


def test_one_that_lives_in_another_region(desk: Desk) -> None:
    desk.edit("    issuer: offline-root ", "    backend: {region: us-east-1}\n    issuer: offline-root ")
    desk.done("ca", "apply", "offline", "--yes")
    desk.brought()
    assert ":us-east-1:" in desk.done("ca", "csr", "offline", "clients").stdout
    refused = desk.run("ca", "install", "offline", "clients", "clients.pem", "--chain", "chain.pem")
    assert (refused.exit_code, "us-east-1" in refused.stderr) == (9, True)
    assert desk.install().exit_code == 0
    assert desk.run("ca", "plan", "offline", "--detailed-exitcode").exit_code == 0


def test_one_that_exists_below_the_root_is_adopted(active: Desk) -> None:
    client = active.sandbox.client("acm-pca")
    (authority,) = client.list_certificate_authorities()["CertificateAuthorities"]
    arn = authority["Arn"]
    tags = [{"Key": f"pkiops:{name}"} for name in ("environment", "authority", "generation")]
    client.untag_certificate_authority(CertificateAuthorityArn=arn, Tags=tags)
    active.edit("offline-root:\n", f"offline-root:\n    sha256: {'ab' * 32}\n")
    refused = active.run("ca", "adopt", "offline", "clients", arn, "--yes")
    assert (refused.exit_code, f"the file says {'ab' * 32}" in refused.stderr) == (9, True)
    active.edit("ab" * 32, active.root.sha256)
    assert active.done("ca", "adopt", "offline", "clients", arn, "--yes").exit_code == 0
    assert active.run("ca", "plan", "offline", "--detailed-exitcode").exit_code == 0
