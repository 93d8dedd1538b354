"""Partitioned CRLs before OpenSSL: the right partition is found, a wrong one is no answer, a revoked certificate is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.live_programs import require_program
from tests.unit.sandbox.test_extensions import crl_urls, load_authority
from tests.unit.sandbox.test_partitions import Case
from tests.unit.sandbox.world import START


class Judged:
    """Two partitions of one certificate each; the second certificate is revoked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        case = Case(size=1)
        self.write("root.pem", load_authority(case.world, case.arn))
        leaves = {"good": case.leaf(), "revoked": case.leaf()}
        case.revoke(leaves["revoked"])
        for name, leaf in leaves.items():
            self.write(f"{name}.pem", leaf)
            self.write(f"{name}.crl", case.crl(crl_urls(leaf)[0]))

    def write(self, name: str, what: x509.Certificate | x509.CertificateRevocationList) -> None:
        (self.folder / name).write_bytes(what.public_bytes(Encoding.PEM))

    def verify(self, leaf: str, *crls: str) -> str:
        command = [
            require_program("openssl"),
            "verify",
            "-x509_strict",
            "-crl_check",
            "-attime",
            str(int(START.timestamp())),
        ]
        for name in crls:
            command += ["-CRLfile", f"{name}.crl"]
        command += ["-CAfile", "root.pem", f"{leaf}.pem"]
        run = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=30, check=False)
        return run.stdout + run.stderr


@pytest.mark.live
def test_openssl_finds_the_partition_of_a_certificate(tmp_path: Path) -> None:
    judged = Judged(tmp_path)
    assert "good.pem: OK" in judged.verify("good", "good")
    assert "good.pem: OK" in judged.verify("good", "revoked", "good")
    assert "different CRL scope" in judged.verify("good", "revoked")
    for crls in (["revoked"], ["good", "revoked"]):
        assert "certificate revoked" in judged.verify("revoked", *crls)
    assert "different CRL scope" in judged.verify("revoked", "good")
