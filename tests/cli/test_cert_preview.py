"""``cert issue --preview``: what it shows is what the sandbox then issues; nothing is sent and nothing is recorded."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from typer.testing import CliRunner, Result

from pkiops.cli.app import app
from pkiops.clock import ManualClock
from pkiops.sandbox.traffic import Hindrances
from tests import builders
from tests.sandbox_server import START, RunningSandbox, running_sandbox

SAMPLE = (Path(__file__).parents[2] / "environments" / "dev.yaml").read_text(encoding="utf-8")
NAME = "orders.svc.dev.example.com"
RSA = rsa.generate_private_key(65537, 2048)


def environment_text(name: str, changes: Mapping[str, str]) -> str:
    text = SAMPLE.replace("environment: dev", f"environment: {name}").replace("-dev-", f"-{name}-")
    text = text.replace(".pkiops/dev.db", f".pkiops/{name}.db").replace("Example Dev", f"Example {name}")
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


ENVIRONMENTS = {
    "dev": {},
    # its CRL in parts, a responder with a host of its own, an RSA-PSS signature, a CA that may hold only some names
    "parts": {
        "key_algorithm: EC_prime256v1": "key_algorithm: RSA_2048\n    signing_algorithm: SHA384WITHRSA_PSS\n"
        "    ocsp: {enabled: true, host: ocsp.dev.example.com}\n"
        "    name_constraints: {permitted: {dns: [svc.dev.example.com]}}",
        "crl: {validity: 7d}": "crl: {validity: 7d, type: PARTITIONED}",
        "revocation: chain": "revocation: none",
    },
    # made for other names than the profile grants by now: nobody noticed when the file was changed
    "narrow": {
        "key_algorithm: EC_prime256v1": "key_algorithm: EC_prime256v1\n    usage_mode: SHORT_LIVED_CERTIFICATE",
        "validity: {default: 30d, max: 90d}": "validity: {default: 3d, max: 7d}",
    },
}

ONCE = {
    "narrow": {
        "usage_mode: SHORT_LIVED_CERTIFICATE": "usage_mode: SHORT_LIVED_CERTIFICATE\n"
        "    name_constraints: {permitted: {dns: [other.example.com]}}",
        '"*.svc.dev.example.com"': '"*.other.example.com"',
    }
}


@dataclass
class Place:
    folder: Path
    sandbox: RunningSandbox

    def run(self, *words: str) -> Result:
        settings: dict[str, str | None] = {name: None for name in os.environ if name.startswith("PKIOPS_")}
        settings |= {"PKIOPS_SANDBOX_URL": self.sandbox.url}
        command = ["--environments", str(self.folder / "environments"), *words]
        return CliRunner().invoke(app, command, env=settings, prog_name="pkiops")

    def issue(self, env: str, csr: bytes, *more: str) -> Result:
        (self.folder / "a.csr").write_bytes(csr)
        return self.run("cert", "issue", env, "--profile", "service", "--csr", "a.csr", *more)

    def served(self) -> dict[str, int]:
        assert self.sandbox.server is not None
        return {name: count for (_, name), count in self.sandbox.server.sandbox.traffic.served.items()}


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, before = tmp_path_factory.mktemp("preview"), Path.cwd()
    (folder / "environments").mkdir()
    os.chdir(folder)
    try:
        with running_sandbox(clock=ManualClock(START)) as sandbox:
            place = Place(folder, sandbox)
            for name, changes in ENVIRONMENTS.items():
                path, text = folder / "environments" / f"{name}.yaml", environment_text(name, changes)
                for old, new in ONCE.get(name, {}).items():
                    assert old in text, old
                    text = text.replace(old, new)
                path.write_text(text)
                result = place.run("ca", "apply", name, "--yes")
                assert result.exit_code == 0, result.output
                path.write_text(environment_text(name, changes))
            yield place
    finally:
        os.chdir(before)


@pytest.fixture
def place(applied: Place) -> Place:
    """Each test has ledgers of its own."""
    for one in (applied.folder / ".pkiops").glob("*"):
        one.unlink()
    return applied


def csr(subject: Mapping[str, str] | None = None, *sans: str, private_key: Any = None) -> bytes:
    names = sans or (f"dns:{NAME}", "uri:spiffe://dev.example.com/ns/a/sa/b")
    return builders.csr(subject or {"common_name": NAME}, sans=names, private_key=private_key)


REQUESTS = {
    "names through the API": csr(),
    "names out of the CSR": csr({"organization": "Example Ltd", "common_name": NAME}),
    "an RSA key": csr({"organization": "Example Ltd", "common_name": NAME}, private_key=RSA),
}


def extensions(certificate: x509.Certificate) -> dict[str, tuple[bool, str]]:
    return {e.oid.dotted_string: (e.critical, e.value.public_bytes().hex()) for e in certificate.extensions}


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("env", ["dev", "parts"])
def test_every_extension_is_that_of_the_certificate_that_comes(place: Place, env: str, request_: str) -> None:
    shown = place.issue(env, REQUESTS[request_], "--preview", "--format", "json")
    assert shown.exit_code == 0, shown.output
    body = json.loads(shown.stdout)
    issued = place.issue(env, REQUESTS[request_])
    assert issued.exit_code == 0, issued.output
    leaf = x509.load_pem_x509_certificates(issued.stdout.encode())[0]
    previewed = {one["oid"]: (one["critical"], one["der"]) for one in body["extensions"]}
    real = extensions(leaf)
    if env == "parts":
        point = "2.5.29.31"
        assert bytes.fromhex(previewed.pop(point)[1]).count(b"chosen-by-the-service.crl") == 1
        assert real.pop(point)[0] is False
        assert "which part of the CRL it names" in body["not_known"]
    assert previewed == real
    fields = body["certificate"]
    again = json.loads(place.run("cert", "show", "leaf.pem", "--format", "json").stdout if _keep(place, issued) else "")
    (known,) = [one for one in again["certificates"] if not one["is_ca"]]
    assert {name for name in known if name not in fields} == {"serial", "sha256", "pem"}
    assert {name: known[name] for name in fields if name != "crl_urls"} == {
        name: value for name, value in fields.items() if name != "crl_urls"
    }
    ledgered = json.loads(place.issue(env, REQUESTS[request_], "--format", "json").stdout)
    assert (body["template"], body["authority_reference"]) == (ledgered["template"], ledgered["authority_reference"])


def _keep(place: Place, issued: Result) -> bool:
    return bool((place.folder / "leaf.pem").write_text(issued.stdout))


def test_nothing_is_sent_and_nothing_is_recorded(place: Place) -> None:
    place.sandbox.hinder(Hindrances())
    for more in ((), ("--format", "json")):
        assert place.issue("dev", csr(), "--preview", *more).exit_code == 0
    assert not {"IssueCertificate", "GetCertificate"} & set(place.served())
    refused = place.issue("dev", csr(None, "dns:evil.example.org"), "--preview")
    assert (refused.exit_code, refused.stdout) == (4, "")
    assert not list((place.folder / ".pkiops").glob("*"))


def test_text_says_that_it_is_none_and_what_it_costs(place: Place) -> None:
    text = place.issue("dev", csr(), "--preview").stdout
    assert text.startswith("PREVIEW, not a certificate")
    assert "at most 0.75 USD" in text
    assert "a figure of memory" in text
    assert "keyUsage                  critical, " in text
    assert "good; known: pkix.key_usage_value_prohibited_for_ec" in text  # pkilint is installed here, and the key is EC
    assert "BEGIN CERTIFICATE" not in text
    assert "its serial number and signature" in text


def test_a_ca_that_would_make_a_certificate_nobody_accepts_is_found_before(place: Place) -> None:
    shown = place.issue("narrow", csr(None, f"dns:{NAME}"), "--preview", "--format", "json")
    assert shown.exit_code == 8, shown.output
    body = json.loads(shown.stdout)
    assert body["would_be_accepted"] is False
    assert "name" in body["path"]
    assert body["cost"]["usd_at_most"] == 0.058
    assert json.loads(shown.stderr.splitlines()[-1])["error"]["code"] == "cert.preview"
    # and so it is: the sandbox takes the service for one that refuses it
    issued = place.issue("narrow", csr(None, f"dns:{NAME}"))
    assert (issued.exit_code, issued.stdout) == (6, "")


def test_what_the_ledger_holds_is_shown_itself_and_costs_nothing(place: Place) -> None:
    request = csr()
    assert place.issue("dev", request).exit_code == 0
    issued = json.loads(place.issue("dev", request, "--format", "json").stdout)
    body = json.loads(place.issue("dev", request, "--preview", "--format", "json").stdout)
    assert (body["next"], body["cost"]["usd_at_most"]) == ("serve", 0)
    assert body["certificate"]["sha256"] == issued["sha256"]
    assert isinstance(place.sandbox.clock, ManualClock)
    place.sandbox.clock.advance(timedelta(days=25))
    later = json.loads(place.issue("dev", request, "--preview", "--format", "json").stdout)
    assert (later["next"], later["cost"]["usd_at_most"]) == ("new attempt", 0.75)
    assert "sha256" not in later["certificate"]


@pytest.mark.parametrize("option", ["--output", "--output-certificate", "--output-chain"])
def test_it_is_written_nowhere(place: Place, option: str) -> None:
    result = place.issue("dev", csr(), "--preview", option, "x.pem")
    assert result.exit_code == 2
    assert not (place.folder / "x.pem").exists()
