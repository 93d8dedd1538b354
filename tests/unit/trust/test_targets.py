"""What each target writes for a bundle, byte for byte the same every time."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.crl.check import check_crl
from pkiops.environment.models import Bundle, Environment, Revocation, Target, TargetKind
from pkiops.errors import InputError
from pkiops.trust.bundle import TrustBundle, build_bundle
from pkiops.trust.manifest import content_digest
from pkiops.trust.name_hash import subject_hash
from pkiops.trust.render import render_target
from pkiops.trust.targets.registry import built_in, target_of
from pkiops.x509.certificate import fingerprint
from tests import builders
from tests.builders import AT
from tests.fakes.authority import environment
from tests.live_programs import require_program
from tests.unit.crl.world import World, with_bundle

Make = Callable[..., TrustBundle]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    world = World(tmp_path)

    def bundle(env: Environment | None = None) -> TrustBundle:
        known = world.known()
        crls = {
            a.name: check_crl(builders.crl(world.backend.cas[a.label]), a.certificate, a.name, at=AT) for a in known
        }
        return build_bundle(env or world.environment, "services", known, crls, at=AT)

    return bundle


def files(bundle: TrustBundle, target: str = "nginx", location: str = "/etc/trust/services/nginx") -> dict[str, bytes]:
    kind = built_in(TargetKind(target))
    return {file.path: file.data for file in render_target(bundle, target, kind, location)}


def test_nginx(make: Make) -> None:
    found = files(make())
    assert sorted(found) == ["MANIFEST.json", "VERIFY.md", "ca.pem", "crl.pem", "mtls.conf"]
    conf = found["mtls.conf"].decode()
    directives = re.findall(r"^([a-z_]+) (.+);$", conf, re.MULTILINE)
    assert dict(directives) == {
        "ssl_client_certificate": '"/etc/trust/services/nginx/ca.pem"',
        "ssl_crl": '"/etc/trust/services/nginx/crl.pem"',
        "ssl_verify_client": "on",
        "ssl_verify_depth": "1",
        "ssl_protocols": "TLSv1.2 TLSv1.3",
        "ssl_session_cache": "off",
        "ssl_session_tickets": "off",
    }


def test_without_revocation_there_is_no_crl_and_no_word_of_it(make: Make) -> None:
    bundle = make(with_bundle(environment(), revocation=Revocation.NONE))
    for target in ("nginx", "pem"):
        found = files(bundle, target)
        assert "crl.pem" not in found
        assert b"crl" not in found.get("mtls.conf", b"")
        assert b"-CRLfile" not in found["VERIFY.md"]


def test_included_intermediates_stand_beside_the_anchors_or_apart(make: Make) -> None:
    bundle = make(with_bundle(environment(), include_intermediates=True))
    assert files(bundle)["ca.pem"].count(b"BEGIN CERTIFICATE") == 2
    plain = files(bundle, "pem")
    assert plain["ca.pem"].count(b"BEGIN CERTIFICATE") == 1
    assert plain["intermediates.pem"].count(b"BEGIN CERTIFICATE") == 1


def test_pem_has_every_object_on_its_own(make: Make) -> None:
    bundle = make()
    found = files(bundle, "pem")
    root = bundle.anchors[0].certificate
    assert x509.load_pem_x509_certificate(found[f"certs/{fingerprint(root)[:8]}-root-g1.crt"]) == root
    assert x509.load_der_x509_crl(found["crls/clients-g1.crl"]) == x509.load_pem_x509_crl(
        found["crls/clients-g1.crl.pem"]
    )
    for name, data in found.items():
        if name.startswith("hashdir/"):
            assert data.count(b"-----BEGIN") == 1


@pytest.mark.parametrize("target", ["nginx", "pem"])
def test_the_same_bundle_gives_the_same_bytes(make: Make, target: str) -> None:
    bundle = make()
    assert files(bundle, target) == files(replace(bundle), target)


def test_the_manifest_tells_what_is_inside(make: Make) -> None:
    bundle = make()
    manifest = json.loads(files(bundle)["MANIFEST.json"])
    assert manifest["content_sha256"] == content_digest(bundle)
    assert [one["authority"] for one in manifest["certificates"]] == ["root-g1"]
    assert [one["authority"] for one in manifest["crls"]] == ["root-g1", "clients-g1"]
    assert sorted(manifest["files"]) == ["VERIFY.md", "ca.pem", "crl.pem", "mtls.conf"]
    other = json.loads(files(bundle, "pem")["MANIFEST.json"])
    assert other["content_sha256"] == manifest["content_sha256"], "the same content, whatever it is rendered to"


@pytest.mark.parametrize("location", ['/x"; ssl_verify_client off; #', "/x\\", "/$x", "/x\ny"])
def test_a_path_cannot_break_out_of_the_configuration(make: Make, location: str) -> None:
    with pytest.raises(InputError):
        files(make(), location=location)


def test_a_path_may_hold_blanks_and_semicolons(make: Make) -> None:
    assert b'ssl_crl "/srv/a b;c/crl.pem";' in files(make(), location="/srv/a b;c")["mtls.conf"]


def test_kinds(make: Make) -> None:
    bundle = Bundle(
        anchors=("root",), targets={"edge": Target(kind=TargetKind.NGINX), "pem": Target(), "odd": Target()}
    )
    assert target_of(bundle, "services", "edge") is built_in(TargetKind.NGINX)
    assert target_of(bundle, "services", "pem") is built_in(TargetKind.PEM)
    for name in ("odd", "none"):
        with pytest.raises(InputError):
            target_of(bundle, "services", name)
    leaf = replace(bundle, revocation=Revocation.LEAF)
    with pytest.raises(InputError, match="leaf"):
        target_of(leaf, "services", "edge")
    assert target_of(leaf, "services", "pem") is built_in(TargetKind.PEM)


NAMES = [
    x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Example Root CA G1")]),
    x509.Name(
        [
            x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "GB"),
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "  Exämple   LTD  ÄÖ "),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, "MiXed  Case"),
            x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, "Pki@Example.com"),
        ]
    ),
    x509.Name(
        [
            x509.RelativeDistinguishedName(
                [
                    x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "two"),
                    x509.NameAttribute(x509.NameOID.COMMON_NAME, "values"),
                ]
            )
        ]
    ),
    x509.Name([x509.NameAttribute(x509.ObjectIdentifier("1.3.6.1.4.1.311.60.2.1.3"), "DE")]),
    x509.Name([]),
]


@pytest.mark.live
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_the_hash_of_a_name_is_that_of_openssl(tmp_path: Path, name: x509.Name) -> None:
    openssl = require_program("openssl")
    path = tmp_path / "ca.pem"
    path.write_bytes(builders.root_ca(name).certificate.public_bytes(Encoding.PEM))
    run = subprocess.run(
        [openssl, "x509", "-in", str(path), "-noout", "-subject_hash"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert subject_hash(name) == run.stdout.strip()


@pytest.mark.live
def test_openssl_finds_its_way_through_the_hash_folder(make: Make, tmp_path: Path) -> None:
    openssl = require_program("openssl")
    bundle = make(with_bundle(environment(), include_intermediates=True))
    for path, data in files(bundle, "pem").items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    clients = tmp_path / "clients.pem"
    clients.write_bytes(bundle.intermediates[0].certificate.public_bytes(Encoding.PEM))
    moment = str(int(AT.timestamp()))
    command = [openssl, "verify", "-attime", moment, "-x509_strict", "-crl_check_all", "-no-CAfile", "-no-CAstore"]
    run = subprocess.run(
        [*command, "-CApath", str(tmp_path / "hashdir"), str(clients)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert run.returncode == 0, run.stderr
