"""Java's own keytool lists every certificate of both trust stores, and OpenSSL reads the one that is a standard."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkiops.environment.models import Revocation, TargetKind
from pkiops.x509.certificate import fingerprint
from tests.live.relying_party import find_program, run
from tests.live.site import Site

pytestmark = pytest.mark.live


@pytest.mark.parametrize("store", ["truststore.p12", "truststore.jks"])
def test_keytool_lists_each_as_trusted(tmp_path: Path, store: str) -> None:
    site = Site(tmp_path, TargetKind.JAVA, revocation=Revocation.NONE, include_intermediates=True)
    rendered = site.render()
    options = ["-J-XX:TieredStopAtLevel=1", "-keystore", store, "-storepass", "changeit"]
    said = run([find_program("keytool"), "-list", *options], rendered, environment={"LC_ALL": "C.UTF-8"})
    labels = ("root", "clients", "gone", "policy", "deep")
    assert f"contains {len(labels)} entries" in said
    assert said.count("trustedCertEntry") == len(labels)
    plain = said.replace(":", "").lower()
    for label in labels:
        assert f"{label}-g1" in said
        assert fingerprint(site.cas[label].certificate) in plain


def test_openssl_reads_the_pkcs12_store(tmp_path: Path) -> None:
    rendered = Site(tmp_path, TargetKind.JAVA).render()
    command = [
        find_program("openssl"),
        "pkcs12",
        "-in",
        "truststore.p12",
        "-nokeys",
        "-passin",
        "pass:changeit",
        "-info",
    ]
    said = run(command, rendered)
    assert "MAC: sha256, Iteration 10000" in said
    assert said.count("BEGIN CERTIFICATE") == 1
