"""What a plain boto3 script gets from the sandbox, before judges we did not write: OpenSSL, cryptography's verifier, pkilint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from pkiops.clock import SystemClock
from tests.live_programs import require_program
from tests.sandbox_server import RunningSandbox, running_sandbox

SCRIPT = Path(__file__).with_name("plain_client.py")
OPENSSL_REVOKED = "certificate revoked"


@dataclass(frozen=True)
class Made:
    """What the script left."""

    folder: Path
    report: dict[str, Any]
    sandbox: RunningSandbox

    def certificate(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.folder / f"{name}.pem").read_bytes())

    def crl(self, name: str) -> x509.CertificateRevocationList:
        return x509.load_der_x509_crl((self.folder / f"{name}.crl").read_bytes())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("plain")
    # the machine's clock: OpenSSL and pkilint judge by it
    with running_sandbox(clock=SystemClock()) as sandbox:
        environment = {**sandbox.environment, "PATH": os.environ["PATH"], "HOME": str(folder)}
        run = subprocess.run(
            [sys.executable, str(SCRIPT), str(folder)],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        for name in ("root", "clients"):
            crl = x509.load_der_x509_crl((folder / f"{name}.crl").read_bytes())
            (folder / f"{name}.crl.pem").write_bytes(crl.public_bytes(Encoding.PEM))
        yield Made(folder, json.loads(run.stdout), sandbox)


def test_both_authorities_are_active(made: Made) -> None:
    assert made.report["states"] == ["ACTIVE", "ACTIVE"]


def test_the_leaf_is_for_clients(made: Made) -> None:
    leaf = made.certificate("good")
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    constraints = made.certificate("root").extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints.path_length == 1


def test_cryptographys_verifier_accepts_it(made: Made) -> None:
    verifier = PolicyBuilder().store(Store([made.certificate("root")])).time(datetime.now(UTC)).build_client_verifier()
    verified = verifier.verify(made.certificate("good"), [made.certificate("clients")])
    assert verified.subjects is not None
    assert [name.value for name in verified.subjects] == ["good.example.com"]
    with pytest.raises(VerificationError):
        verifier.verify(made.certificate("good"), [])


def test_only_the_revoked_one_is_in_the_crl(made: Made) -> None:
    crl = made.crl("clients")
    assert [entry.serial_number for entry in crl] == [made.certificate("revoked").serial_number]
    assert len(made.crl("root")) == 0


def openssl_verify(made: Made, leaf: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        require_program("openssl"),
        "verify",
        *options,
        "-CAfile",
        "root.pem",
        "-untrusted",
        "clients.pem",
        f"{leaf}.pem",
    ]
    return subprocess.run(command, cwd=made.folder, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.live
def test_openssl_accepts_the_chain_strictly(made: Made) -> None:
    run = openssl_verify(made, "good", "-x509_strict", "-purpose", "sslclient")
    assert run.returncode == 0, run.stderr
    assert openssl_verify(made, "good", "-x509_strict", "-purpose", "sslserver").returncode != 0


@pytest.mark.live
def test_openssl_refuses_the_revoked_one_by_the_crl(made: Made) -> None:
    options = ["-x509_strict", "-purpose", "sslclient", "-crl_check_all"]
    options += ["-CRLfile", "clients.crl.pem", "-CRLfile", "root.crl.pem"]
    good, revoked = openssl_verify(made, "good", *options), openssl_verify(made, "revoked", *options)
    assert good.returncode == 0, good.stderr
    assert revoked.returncode != 0
    assert OPENSSL_REVOKED in revoked.stdout + revoked.stderr


@pytest.mark.live
def test_curl_follows_the_distribution_point(made: Made) -> None:
    """The URL out of the certificate, with nothing but the address of its host changed."""
    point = made.certificate("good").extensions.get_extension_for_oid(ExtensionOID.CRL_DISTRIBUTION_POINTS).value
    assert isinstance(point, x509.CRLDistributionPoints)
    url = str((point[0].full_name or [])[0].value)
    command = [
        require_program("curl"),
        "--silent",
        "--fail",
        "--max-time",
        "20",
        "--noproxy",
        "*",
        "--connect-to",
        f"::127.0.0.1:{made.sandbox.port}",
        url,
    ]
    run = subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert run.returncode == 0
    assert run.stdout == (made.folder / "clients.crl").read_bytes()


def pkilint(made: Made, *command: str) -> list[dict[str, Any]]:
    """The findings of severity ERROR or worse."""
    program = str(Path(sys.executable).with_name(command[0]))
    run = subprocess.run(
        [program, *command[1:], "-s", "ERROR", "-f", "JSON"],
        cwd=made.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.stdout, run.stderr
    results = json.loads(run.stdout)["results"]
    return [finding for result in results for finding in result["finding_descriptions"]]


@pytest.mark.parametrize("name", ["root", "clients", "rsa"])
def test_pkilint_finds_no_error_in_a_certificate(made: Made, name: str) -> None:
    assert pkilint(made, "lint_pkix_cert", "lint", f"{name}.pem") == []


def test_the_one_error_of_the_service_itself_is_kept(made: Made) -> None:
    """The service's end-entity templates set keyEncipherment for EC keys too, which RFC 8813 forbids."""
    findings = pkilint(made, "lint_pkix_cert", "lint", "good.pem")
    assert [finding["code"] for finding in findings] == ["pkix.key_usage_value_prohibited_for_ec"]


@pytest.mark.parametrize("name", ["root", "clients"])
def test_pkilint_finds_no_error_in_a_crl(made: Made, name: str) -> None:
    assert pkilint(made, "lint_crl", "lint", "-t", "CRL", "-p", "PKIX", f"{name}.crl.pem") == []


def test_the_crl_is_fresh_for_a_week(made: Made) -> None:
    crl = made.crl("clients")
    assert crl.next_update_utc is not None
    assert crl.next_update_utc - crl.last_update_utc == timedelta(days=7, hours=1)
