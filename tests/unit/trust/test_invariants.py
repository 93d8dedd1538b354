"""What holds for the bytes of every rendered target, whatever the hierarchy: random trees of CAs, read back by other means than ours."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12
from hypothesis import assume, given
from hypothesis import strategies as st

from pkiops.crl.check import MIN_REMAINING
from pkiops.environment.models import Revocation, TargetKind
from pkiops.errors import VerificationFailed
from pkiops.templating import template_root
from pkiops.trust.bundle import TrustBundle, build_bundle
from pkiops.trust.render import render_target
from pkiops.trust.targets.description import FILE
from pkiops.trust.targets.registry import built_in
from tests import builders
from tests.builders import AT
from tests.live_programs import require_program
from tests.seeded import seeded
from tests.unit.trust.hierarchies import Case, Node, case_of, cases, issued

KINDS = list(TargetKind)
# where the depth stands, and how much more than the intermediates is counted there
DEPTHS = {
    "nginx": ("mtls.conf", r"ssl_verify_depth (\d+);", 0),
    "apache": ("mtls.conf", r"SSLVerifyDepth (\d+)", 1),
    "envoy": ("sds-validation-context.yaml", r"max_verify_depth: (\d+)", 1),
    "rabbitmq": ("advanced.config", r"\{depth, (\d+)\}", 0),
}
# what makes a server accept those who should not get in, as each spells it
FAILS_OPEN = (
    "ACCEPT_UNTRUSTED",
    "allow_expired_certificate: true",
    "optional_no_ca",
    "ssl_verify_client optional",
    "SSLVerifyClient optional",
    "crt-ignore-err",
    "ca-ignore-err",
    "{crl_check, best_effort}",
    "fail_if_no_peer_cert = false",
    "SOFT_FAIL",
    "InsecureSkipVerify",
    "rejectUnauthorized: false",
    "CERT_NONE",
    "CERT_OPTIONAL",
    "clientcert=no-verify",
    "require_certificate false",
)
# what stands in a file about it is a warning
WARNINGS = re.compile(r"^\s*(#|//|%|\*).*$|^.*\.md$", re.MULTILINE)


def described(kind: TargetKind) -> dict[str, Any]:
    """The target's own words, read without our reader."""
    document: dict[str, Any] = yaml.safe_load((template_root() / kind.value / FILE).read_text())
    return document


def build(case: Case) -> TrustBundle:
    return build_bundle(case.environment, "services", case.authorities, case.crls, at=AT)


def rendered(bundle: TrustBundle, kind: TargetKind) -> dict[str, bytes]:
    return {file.path: file.data for file in render_target(bundle, kind.value, built_in(kind), "/x")}


def may_refuse(bundle: TrustBundle, kind: TargetKind) -> str | None:
    """The code by which this kind must refuse the bundle, from the words of its description; None if it must take it."""
    words = described(kind)
    rule, limits = words.get("intermediates", "allowed"), words.get("limits", {})
    checks = bundle.revocation is not Revocation.NONE
    if bundle.intermediates and (rule == "refused" or (rule == "refused-with-crls" and checks)):
        return "trust.intermediates"
    if rule == "required" and bundle.intermediate_depth and not bundle.intermediates:
        return "trust.intermediates"
    count = len(bundle.anchors) + len(bundle.intermediates)
    too_many = count > limits.get("certificates", count) or len(bundle.crls) > limits.get("crls", len(bundle.crls))
    too_long = bundle.intermediate_depth + 2 > limits.get("chain", bundle.intermediate_depth + 2)
    return "trust.limit" if too_many or too_long else None


def fitting(case: Case) -> Iterator[tuple[TargetKind, TrustBundle, dict[str, bytes]]]:
    """Every kind that checks revocation in the drawn way, with its files; those that must refuse are seen to."""
    bundle = build(case)
    for kind in KINDS:
        if bundle.revocation.value not in described(kind)["revocations"]:
            continue
        code = may_refuse(bundle, kind)
        if code is None:
            yield kind, bundle, rendered(bundle, kind)
            continue
        with pytest.raises(VerificationFailed) as caught:
            rendered(bundle, kind)
        assert caught.value.code == code


def blocks(data: bytes) -> list[tuple[str, bytes]]:
    """Label and DER of each block; whatever is neither block nor comment fails."""
    found: list[tuple[str, bytes]] = []
    label: str | None = None
    body: list[str] = []
    assert data.endswith(b"\n")
    for line in data.decode("ascii").split("\n")[:-1]:
        if label is None:
            begin = re.fullmatch(r"-----BEGIN ([A-Z0-9 ]+)-----", line)
            assert begin or line.startswith("# "), line
            label, body = (begin[1], []) if begin else (None, [])
        elif line == f"-----END {label}-----":
            found.append((label, base64.b64decode("".join(body), validate=True)))
            label = None
        else:
            assert re.fullmatch(r"[A-Za-z0-9+/=]{1,64}", line)
            body.append(line)
    assert label is None
    return found


def certificates_of(kind: TargetKind, files: dict[str, bytes]) -> list[x509.Certificate]:
    """All that the relying party would trust, in the order of its files."""
    words = described(kind)["files"]
    trusted = [
        path for path, word in words.items() if word in {"authorities", "authorities-bare", "anchors", "intermediates"}
    ]
    found: list[x509.Certificate] = []
    for path in trusted:
        if path not in files:
            assert words[path] == "intermediates"
            continue
        assert {label for label, _ in blocks(files[path])} == {"CERTIFICATE"}
        loaded = x509.load_pem_x509_certificates(files[path])
        assert [one.public_bytes(Encoding.DER) for one in loaded] == [der for _, der in blocks(files[path])]
        found.extend(loaded)
    return found


def crls_of(kind: TargetKind, files: dict[str, bytes]) -> list[x509.CertificateRevocationList]:
    (path,) = [path for path, word in described(kind)["files"].items() if word in {"crls", "crls-bare"}]
    assert {label for label, _ in blocks(files[path])} == {"X509 CRL"}
    return [x509.load_der_x509_crl(der) for _, der in blocks(files[path])]


def key_identifier(extensions: x509.Extensions) -> bytes:
    try:
        return extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier or b""


def revoked_path(case: Case, node: Node) -> bool:
    return any(one in case.revoked for one in (node, *node.above))


@seeded(9)
@given(cases())
def test_1_only_current_cas_are_trusted_and_a_root_among_them(case: Case) -> None:
    relevant = case.relevant()
    roots = {issued(one).certificate for one in relevant if not one.above}
    below = {issued(one).certificate for one in relevant if one.above}
    sound = {issued(one).certificate for one in relevant if one.above and not revoked_path(case, one)}
    for kind, _, files in fitting(case):
        found = certificates_of(kind, files)
        for one in found:
            extensions = one.extensions
            assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca
            assert extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
            assert one.not_valid_before_utc <= AT < one.not_valid_after_utc
        assert len(set(found)) == len(found), "no certificate twice"
        assert set(found[: len(roots)]) == roots, "all anchors, and first"
        assert set(found[len(roots) :]) == (sound if case.bundle.include_intermediates else set()) <= below
        for one, following in pairwise(found):
            if one.subject == following.subject:
                assert one.not_valid_before_utc >= following.not_valid_before_utc, "the newest of a name first"
        for name, data in files.items():
            assert data, f"{name} is empty"
            assert b"PRIVATE KEY" not in data


@seeded(9)
@given(cases())
def test_2_a_file_of_crls_holds_one_current_signed_crl_for_each_ca(case: Case) -> None:
    keys = {
        issued(one).name.public_bytes() + key_identifier(issued(one).certificate.extensions): one
        for one in case.relevant()
    }
    for kind, _, files in fitting(case):
        if case.bundle.revocation is Revocation.NONE:
            assert not [path for path in files if "crl" in path.lower()], "no CRLs, no file of them"
            continue
        seen = set()
        for crl in crls_of(kind, files):
            node = keys[crl.issuer.public_bytes() + key_identifier(crl.extensions)]
            assert node not in seen, "one for each name and key"
            seen.add(node)
            public = issued(node).certificate.public_key()
            assert isinstance(public, ec.EllipticCurvePublicKey)
            assert crl.is_signature_valid(public)
            assert crl.next_update_utc is not None
            assert crl.last_update_utc <= AT
            assert crl.next_update_utc - AT >= MIN_REMAINING
            assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 1
            for one in case.revoked:
                if one.above[0] == node:
                    assert crl.get_revoked_certificate_by_serial_number(issued(one).serial) is not None


@seeded(60)
@given(cases(), st.data())
def test_3_every_ca_of_a_chain_has_its_crl_or_nothing_is_rendered(case: Case, data: st.DataObject) -> None:
    relevant = case.relevant()
    issuing = {one.above[0] for one in case.nodes if one.above}
    wanted = {
        Revocation.CHAIN: {one.name for one in relevant},
        Revocation.LEAF: {one.name for one in relevant if one not in issuing},
        Revocation.NONE: set(),
    }[case.bundle.revocation]
    bundle = build(case)
    assert {one.name for one in bundle.crls} == wanted
    files = rendered(bundle, TargetKind.PEM)
    assert len(crls_of(TargetKind.PEM, files) if wanted else []) == len(wanted)
    missing = data.draw(st.sampled_from(sorted(case.crls)))
    without = replace(case, crls={name: crl for name, crl in case.crls.items() if name != missing})
    if missing not in wanted:
        kept = build(without)
        assert (kept.crls, kept.anchors) == (bundle.crls, bundle.anchors)
        return
    with pytest.raises(VerificationFailed, match=missing) as caught:
        build(without)
    assert caught.value.code == "trust.crl-missing"


@seeded(7)
@given(cases(), st.data())
def test_4_the_same_input_gives_the_same_bytes_in_whatever_order_it_comes(case: Case, data: st.DataObject) -> None:
    anchors = data.draw(st.permutations(case.bundle.anchors))
    trust = replace(case.environment.trust, bundles={"services": replace(case.bundle, anchors=tuple(anchors))})
    authorities = dict(data.draw(st.permutations(list(case.environment.authorities.items()))))
    other = replace(
        case,
        environment=replace(case.environment, trust=trust, authorities=authorities),
        authorities=tuple(data.draw(st.permutations(case.authorities))),
        crls=dict(reversed(case.crls.items())),
    )
    once = {kind: files for kind, _, files in fitting(case)}
    again = {kind: files for kind, _, files in fitting(other)}
    assert once == again


@seeded(80)
@given(cases())
def test_5_the_depth_is_that_of_the_longest_chain_there_is_or_will_be(case: Case) -> None:
    assert build(case).intermediate_depth == case.depth()


@seeded(9)
@given(cases())
def test_5_the_depth_is_that_of_the_longest_chain_as_each_counts(case: Case) -> None:
    assert set(DEPTHS) == {kind.value for kind in KINDS if "depth" in described(kind)} - {"pem"}, "each is looked at"
    for kind, bundle, files in fitting(case):
        assert bundle.intermediate_depth == case.depth()
        if kind.value in DEPTHS:
            file, pattern, more = DEPTHS[kind.value]
            if file in files:
                assert [int(found) for found in re.findall(pattern, files[file].decode())] == [case.depth() + more]


@seeded(7)
@given(cases())
def test_no_rendering_holds_a_word_that_lets_anybody_in(case: Case) -> None:
    for kind, bundle, files in fitting(case):
        for name, data in files.items():
            if name.endswith((".pem", ".crt", ".crl", ".md", ".p12", ".jks")):
                continue
            text = WARNINGS.sub("", data.decode(errors="replace"))
            assert not [word for word in FAILS_OPEN if word in text], (kind, name)
        if kind is TargetKind.APACHE and bundle.crls:
            # a file without the check is ignored; a check that forgives a missing CRL is none
            conf = files["mtls.conf"].decode()
            assert f"\nSSLCARevocationCheck {bundle.revocation.value}\n" in conf
            assert '\nSSLCARevocationFile "/x/crl.pem"\n' in conf


@seeded(7)
@given(cases())
def test_other_forms_hold_the_same_certificates(case: Case) -> None:
    for kind, bundle, files in fitting(case):
        expected = {one.certificate for one in bundle.certificates}
        if kind is TargetKind.JAVA:
            store = pkcs12.load_pkcs12(files["truststore.p12"], b"changeit")
            assert {one.certificate for one in store.additional_certs} == expected
            aliases = [one.friendly_name for one in store.additional_certs]
            assert len({alias.lower() for alias in aliases if alias}) == len(expected), "no two collapse into one"
            assert int.from_bytes(files["truststore.jks"][8:12]) == len(expected)
        if kind is TargetKind.KUBERNETES:
            loaded = yaml.safe_load(files["configmap.yaml"])["data"]["ca.crt"].encode()
            assert set(x509.load_pem_x509_certificates(loaded)) == expected
        if kind is TargetKind.SPIFFE:
            keys = json.loads(files["bundle.json"])["keys"]
            assert {x509.load_der_x509_certificate(base64.b64decode(*key["x5c"])) for key in keys} == expected
        for name, data in files.items():
            if name.startswith(("hashdir/", "certs/", "crls/")) and not name.endswith(".crl"):
                assert len(blocks(data)) == 1, "one object a file"
        manifest = json.loads(files["MANIFEST.json"])
        told = {(one["sha256"], one["role"]) for one in manifest["certificates"]}
        assert told == {
            (one.certificate.fingerprint(hashes.SHA256()).hex(), one.role.value) for one in bundle.certificates
        }
        assert [one["authority"] for one in manifest["crls"]] == [one.name for one in bundle.crls]


def moment(of: datetime) -> str:
    return of.isoformat().replace("+00:00", "Z")


@seeded(7)
@given(cases())
def test_the_manifest_tells_all_that_is_in_the_folder(case: Case) -> None:
    for kind, bundle, files in fitting(case):
        told = json.loads(files["MANIFEST.json"])
        assert (told["environment"], told["bundle"], told["target"]) == ("test", "services", kind.value)
        assert told["files"] == {
            name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != "MANIFEST.json"
        }
        assert told["certificates"] == [
            {
                "authority": one.name,
                "role": "intermediate" if one.certificate.issuer != one.certificate.subject else "anchor",
                "pinned": False,
                "subject": one.certificate.subject.rfc4514_string(),
                "sha256": one.certificate.fingerprint(hashes.SHA256()).hex(),
                "ski": key_identifier(one.certificate.extensions).hex(),
                "not_after": moment(one.certificate.not_valid_after_utc),
            }
            for one in bundle.certificates
        ]
        crls = [] if bundle.revocation is Revocation.NONE else crls_of(kind, files)
        assert [{name: value for name, value in one.items() if name != "authority"} for one in told["crls"]] == [
            {
                "issuer": crl.issuer.rfc4514_string(),
                "aki": key_identifier(crl.extensions).hex(),
                "number": 1,
                "this_update": moment(crl.last_update_utc),
                "next_update": moment(crl.next_update_utc or AT),
                "entries": len(crl),
                "sha256": hashlib.sha256(crl.public_bytes(Encoding.DER)).hexdigest(),
            }
            for crl in crls
        ]
        for line in described(kind).get("check", []):
            assert line in files["VERIFY.md"].decode()
        assert b"trust verify test DIR --bundle services" in files["VERIFY.md"]
    digests = {json.loads(files["MANIFEST.json"])["content_sha256"] for _, _, files in fitting(case)}
    assert len(digests) == 1, "the same content, whatever it is rendered to"


@seeded(60)
@given(cases())
def test_an_expired_crl_of_any_ca_that_counts_is_refused(case: Case) -> None:
    bundle = build(case)
    assume(bundle.crls)
    late = min(one.checked.next_update for one in bundle.crls) - MIN_REMAINING + timedelta(seconds=1)
    with pytest.raises(VerificationFailed) as caught:
        build_bundle(case.environment, "services", case.authorities, case.crls, at=late)
    assert caught.value.code == "crl.expires-soon"


def test_openssl_takes_a_good_client_of_every_ca_and_refuses_the_others(tmp_path: Path) -> None:
    openssl = require_program("openssl")
    root = Node("a", 2)
    old = Node("a", 1, same_name=False)
    policy = Node("a-policy", 1, (root,))
    nodes = (root, old, policy, Node("a-issuing", 1, (policy, root)), Node("a-clients", 1, (old,)))
    case = case_of(nodes, anchors=("a",), revocation=Revocation.CHAIN)
    files = rendered(build(case), TargetKind.PEM)
    for name in ("ca.pem", "crl.pem"):
        (tmp_path / name).write_bytes(files[name])

    def verdict(client: builders.Issued, node: Node) -> int:
        chain = [client.certificate, *(issued(one).certificate for one in (node, *node.above[:-1]))]
        (tmp_path / "client.pem").write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain))
        words = ["-purpose", "sslclient", "-crl_check_all", "-CAfile", "ca.pem", "-CRLfile", "crl.pem"]
        words += ["-attime", str(int(AT.timestamp())), "-untrusted", "client.pem", "client.pem"]
        return subprocess.run(
            [openssl, "verify", *words], cwd=tmp_path, capture_output=True, timeout=60, check=False
        ).returncode

    for node in nodes:
        ca = issued(node)
        if node.above:
            assert verdict(builders.end_entity(ca), node) == 0, node.name
            assert verdict(builders.end_entity(ca, serial=7), node) != 0, "revoked"
            assert verdict(builders.end_entity(ca, usage=("serverAuth",)), node) != 0
    stranger = builders.subordinate_ca(builders.root_ca("Root a-g2"), "CA a-clients-g1")
    assert verdict(builders.end_entity(stranger), nodes[-1]) != 0
