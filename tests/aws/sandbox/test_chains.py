"""Chains of every template and key algorithm before judges we did not write: pkilint, cryptography's verifier, OpenSSL, Go.

What a template is meant to be is no fault. The exceptions, all of them stated below:

- the service sets keyEncipherment in end-entity templates whatever the key, which RFC 8813 forbids for EC keys (pkilint);
- code signing and OCSP signing certificates have a critical extendedKeyUsage and are for no TLS peer (cryptography's TLS verifier);
- OpenSSL before 3.5 and Go's crypto/x509 do not know ML-DSA.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store

from pkiops.sandbox.engine.templates import TEMPLATES
from tests.live_programs import require_program
from tests.unit.sandbox.chains import PLAIN, REVOCATION, Chain, every_chain, hierarchies
from tests.unit.sandbox.ocsp_requests import ask, request_for
from tests.unit.sandbox.pkilint_judge import certificate_faults, crl_faults, ocsp_faults
from tests.unit.sandbox.world import CLIENT_AUTH, CRL, START, csr

GO_PROGRAM = Path(__file__).with_name("go_verifier") / "main.go"
SIGNERS = {ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.OCSP_SIGNING}


def test_there_is_a_chain_for_every_template_and_pair_of_algorithms() -> None:
    chains = every_chain()
    assert len({chain.name for chain in chains}) == len(chains)
    assert {chain.template for chain in chains if chain.name.startswith(PLAIN)} == set(TEMPLATES)
    assert len(hierarchies()) == 6 + 2 + 9 + 3


def test_pkilint_finds_no_fault_in_any_certificate() -> None:
    faults = {chain.name: certificate_faults(chain.leaf) for chain in every_chain()}
    assert {name: codes for name, codes in faults.items() if codes} == {}
    for hierarchy in hierarchies():
        chain = hierarchy.chain("EndEntityClientAuthCertificate")
        for one in (*chain.intermediates, chain.root):
            assert certificate_faults(one) == []


def test_the_one_fault_of_the_service_itself_is_kept() -> None:
    """keyEncipherment for an EC key."""
    hierarchy = hierarchies()[-1]
    leaf = hierarchy.world.issued(hierarchy.sub, csr(), CLIENT_AUTH)
    assert certificate_faults(leaf) == ["pkix.key_usage_value_prohibited_for_ec"]


@pytest.mark.parametrize("kind", ["COMPLETE", "PARTITIONED"])
def test_pkilint_finds_no_fault_in_any_crl(kind: str) -> None:
    for hierarchy in hierarchies():
        world = hierarchy.world
        configuration = {**CRL["CrlConfiguration"], "CrlType": kind}
        for arn in (hierarchy.root, hierarchy.sub):
            world.call(
                "UpdateCertificateAuthority",
                CertificateAuthorityArn=arn,
                RevocationConfiguration={**REVOCATION, "CrlConfiguration": configuration},
            )
        serial = f"{hierarchy.chain('EndEntityClientAuthCertificate').leaf.serial_number:x}"
        request = {"CertificateAuthorityArn": hierarchy.sub, "CertificateSerial": serial}
        world.call("RevokeCertificate", RevocationReason="KEY_COMPROMISE", **request)
        written = [data for (_, key), data in world.buckets.objects.items() if key.endswith(".crl")]
        assert written
        for data in written:
            assert crl_faults(x509.load_der_x509_crl(data)) == [], hierarchy.pair


def test_pkilint_finds_no_fault_in_any_ocsp_answer() -> None:
    for hierarchy in hierarchies():
        chain = hierarchy.chain("EndEntityClientAuthCertificate")
        answer = ask(hierarchy.world, request_for(chain.leaf, chain.intermediates[0]))
        assert ocsp_faults(answer.data) == [], hierarchy.pair


def test_cryptographys_verifier_finds_no_fault_in_any_chain() -> None:
    asked = 0
    for chain in every_chain():
        if chain.is_for_ca():
            continue  # it verifies TLS peers only; CA certificates are below them here
        builder = PolicyBuilder().store(Store([chain.root])).time(START)
        usages = set(chain.usages())
        if usages & SIGNERS:
            anything = ExtensionPolicy.permit_all()
            builder = builder.extension_policies(
                ca_policy=ExtensionPolicy.webpki_defaults_ca(),
                ee_policy=anything.require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None),
            )
        if ExtendedKeyUsageOID.CLIENT_AUTH in usages or usages & SIGNERS:
            builder.build_client_verifier().verify(chain.leaf, list(chain.intermediates))
            asked += 1
        if ExtendedKeyUsageOID.SERVER_AUTH in usages:
            server = builder.build_server_verifier(x509.DNSName("svc-a.example.com"))
            assert server.verify(chain.leaf, list(chain.intermediates))
            asked += 1
    assert asked > 100


def pem(certificates: Iterable[x509.Certificate]) -> str:
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in certificates)


def openssl_knows_ml_dsa(openssl: str) -> bool:
    version = subprocess.run([openssl, "version"], capture_output=True, text=True, timeout=10, check=True).stdout
    match = re.match(r"OpenSSL (\d+)\.(\d+)", version)
    return match is not None and (int(match[1]), int(match[2])) >= (3, 5)


@pytest.mark.live
def test_openssl_finds_no_fault_in_any_chain(tmp_path: Path) -> None:
    openssl = require_program("openssl")
    chains = [chain for chain in every_chain() if openssl_knows_ml_dsa(openssl) or "ML_DSA" not in chain.name]
    for group in by_issuers(chains):
        (tmp_path / "root.pem").write_text(pem([group[0].root]))
        (tmp_path / "untrusted.pem").write_text(pem(group[0].intermediates))
        files = []
        for number, chain in enumerate(group):
            (tmp_path / f"{number}.pem").write_text(pem([chain.leaf]))
            files.append(f"{number}.pem")
        untrusted = ["-untrusted", "untrusted.pem"] if group[0].intermediates else []
        command = [openssl, "verify", "-x509_strict", "-attime", str(int(START.timestamp())), "-CAfile", "root.pem"]
        run = subprocess.run(
            [*command, *untrusted, *files], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert run.returncode == 0, (group[0].name, run.stderr)
        assert run.stdout.count(": OK") == len(group)


def by_issuers(chains: Iterable[Chain]) -> list[list[Chain]]:
    """Chains with the same issuers together: one call of the judge for each."""

    def issuers(chain: Chain) -> bytes:
        return b"".join(one.public_bytes(Encoding.DER) for one in (chain.root, *chain.intermediates))

    return [list(group) for _, group in itertools.groupby(sorted(chains, key=issuers), key=issuers)]


@pytest.mark.live
def test_go_finds_no_fault_in_any_chain(tmp_path: Path) -> None:
    chains = [chain for chain in every_chain() if "ML_DSA" not in chain.name]
    documents = [
        {
            "Name": chain.name,
            "Leaf": pem([chain.leaf]),
            "Intermediates": pem(chain.intermediates),
            "Root": pem([chain.root]),
            "Time": int(START.timestamp()),
        }
        for chain in chains
    ]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "GOCACHE": str(tmp_path / "cache"),
        "GO111MODULE": "off",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "",
    }
    run = subprocess.run(
        [require_program("go"), "run", str(GO_PROGRAM)],
        env=environment,
        cwd=tmp_path,
        input=json.dumps(documents),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {}
