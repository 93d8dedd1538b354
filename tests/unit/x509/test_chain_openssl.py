"""Our verdict on chains and CRLs next to that of ``openssl verify``, which we did not write."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509

from pkiops.errors import VerificationFailed
from pkiops.x509.certificate import pem
from pkiops.x509.chain import Purpose, verify_chain
from pkiops.x509.crl import crl_pem
from pkiops.x509.csr import load_csr
from pkiops.x509.keys import load_private_key, spki_sha256
from pkiops.x509.names import build_name
from tests.builders import AT, Issued, crl, end_entity, key, root_ca, subordinate_ca
from tests.live_programs import require_program

pytestmark = pytest.mark.live

ROOT = root_ca()
CLIENTS = subordinate_ca(ROOT)
LEAF = end_entity(CLIENTS)
DEEP = subordinate_ca(CLIENTS, "Example Test Services CA G1")

CASES: list[tuple[str, Issued, Sequence[Issued], Sequence[Issued], Sequence[x509.CertificateRevocationList] | None]] = [
    ("good", LEAF, [CLIENTS], [ROOT], None),
    ("good with CRLs", LEAF, [CLIENTS], [ROOT], [crl(ROOT), crl(CLIENTS)]),
    ("revoked leaf", LEAF, [CLIENTS], [ROOT], [crl(ROOT), crl(CLIENTS, revoked={LEAF.serial: None})]),
    ("revoked CA", LEAF, [CLIENTS], [ROOT], [crl(ROOT, revoked={CLIENTS.serial: None}), crl(CLIENTS)]),
    ("missing CRL", LEAF, [CLIENTS], [ROOT], [crl(CLIENTS)]),
    ("expired CRL", LEAF, [CLIENTS], [ROOT], [crl(ROOT), crl(CLIENTS, next_update=crl(CLIENTS).last_update_utc)]),
    ("forged CRL", LEAF, [CLIENTS], [ROOT], [crl(ROOT), crl(CLIENTS, signer=key())]),
    ("missing intermediate", LEAF, [], [ROOT], None),
    ("other root", LEAF, [CLIENTS], [root_ca("Other Root")], None),
    ("server only", end_entity(CLIENTS, usage=("serverAuth",)), [CLIENTS], [ROOT], None),
    ("path length", end_entity(DEEP), [DEEP, CLIENTS], [ROOT], None),
    ("forged leaf", end_entity(CLIENTS, signer=key()), [CLIENTS], [ROOT], None),
    (
        "expired leaf",
        end_entity(CLIENTS, not_before=AT.replace(year=2025), not_after=AT.replace(month=5)),
        [CLIENTS],
        [ROOT],
        None,
    ),
    (
        "future leaf",
        end_entity(CLIENTS, not_before=AT.replace(month=7), not_after=AT.replace(month=8)),
        [CLIENTS],
        [ROOT],
        None,
    ),
]


@pytest.mark.parametrize(("leaf", "below", "anchors", "crls"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_verdict_is_openssl_s(
    tmp_path: Path,
    leaf: Issued,
    below: Sequence[Issued],
    anchors: Sequence[Issued],
    crls: Sequence[x509.CertificateRevocationList] | None,
) -> None:
    openssl = require_program("openssl")
    (tmp_path / "leaf.pem").write_bytes(pem(leaf.certificate))
    (tmp_path / "below.pem").write_bytes(b"".join(pem(item.certificate) for item in below))
    (tmp_path / "anchors.pem").write_bytes(b"".join(pem(item.certificate) for item in anchors))
    argv = [openssl, "verify", "-x509_strict", "-purpose", "sslclient", "-attime", str(int(AT.timestamp()))]
    argv += ["-CAfile", "anchors.pem", "-no-CApath", "-no-CAstore"]
    if below:
        argv += ["-untrusted", "below.pem"]
    if crls is not None:
        (tmp_path / "crls.pem").write_bytes(b"".join(crl_pem(item) for item in crls))
        argv += ["-crl_check_all", "-CRLfile", "crls.pem"]
    told = subprocess.run([*argv, "leaf.pem"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert _accepts(leaf, below, anchors, crls) == (told.returncode == 0), told.stdout + told.stderr


def _accepts(
    leaf: Issued,
    below: Sequence[Issued],
    anchors: Sequence[Issued],
    crls: Sequence[x509.CertificateRevocationList] | None,
) -> bool:
    try:
        verify_chain(
            leaf.certificate,
            intermediates=[item.certificate for item in below],
            anchors=[item.certificate for item in anchors],
            at=AT,
            purpose=Purpose.CLIENT,
            crls=crls,
        )
    except VerificationFailed:
        return False
    return True


@pytest.mark.parametrize("algorithm", [["rsa:2048"], ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]], ids=["rsa", "ec"])
def test_requests_and_keys_made_by_openssl_are_read(tmp_path: Path, algorithm: list[str]) -> None:
    openssl = require_program("openssl")
    argv = [openssl, "req", "-new", "-newkey", *algorithm, "-nodes", "-keyout", "key.pem", "-out", "a.csr", "-subj"]
    argv += [
        "/O=Example Ltd/CN=a.example",
        "-addext",
        "subjectAltName=DNS:a.example,URI:spiffe://example.com/a",
        "-text",
    ]
    subprocess.run(argv, cwd=tmp_path, capture_output=True, timeout=60, check=True)
    request = load_csr((tmp_path / "a.csr").read_bytes(), "a.csr")
    assert [str(san) for san in request.sans] == ["dns:a.example", "uri:spiffe://example.com/a"]
    private_key = load_private_key((tmp_path / "key.pem").read_bytes(), "key.pem")
    assert spki_sha256(private_key.public_key()) == request.spki_sha256


def test_names_print_as_openssl_prints_them(tmp_path: Path) -> None:
    openssl = require_program("openssl")
    name = build_name({"country": "GB", "organization": "Example, Ltd", "common_name": "a+b"})
    (tmp_path / "ca.pem").write_bytes(pem(root_ca(name).certificate))
    argv = [openssl, "x509", "-in", "ca.pem", "-noout", "-subject", "-nameopt", "RFC2253"]
    told = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=True)
    assert told.stdout.strip() == r"subject=CN=a\+b,O=Example\, Ltd,C=GB"
