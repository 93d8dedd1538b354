"""Every kind of target: what holds for all of them, and what each refuses because its relying party would fail open or lock everyone out."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from botocore.validate import ParamValidator
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from pkiops.crl.check import CheckedCrl, check_crl
from pkiops.environment.models import Environment, Revocation, TargetKind
from pkiops.errors import InputError, VerificationFailed
from pkiops.templating import template_root
from pkiops.trust.bundle import TrustBundle, build_bundle
from pkiops.trust.pem_file import read_ca_file, read_crl_file
from pkiops.trust.targets.contents import JAVA_PASSWORD
from pkiops.trust.targets.description import FILE
from pkiops.trust.targets.registry import built_in
from tests import builders
from tests.builders import AT
from tests.fakes.authority import environment
from tests.unit.crl.world import World, with_bundle

Make = Callable[..., TrustBundle]
LOCATION = "/etc/trust/services/it"
ALL = list(TargetKind)
WAYS = [(kind, way) for kind in ALL for way in sorted(built_in(kind).revocations)]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    world = World(tmp_path)
    known = world.known()
    crls = {a.name: check_crl(builders.crl(world.backend.cas[a.label]), a.certificate, a.name, at=AT) for a in known}

    def bundle(
        revocation: Revocation = Revocation.CHAIN, *, intermediates: bool = False, **changed: CheckedCrl
    ) -> TrustBundle:
        env: Environment = with_bundle(environment(), revocation=revocation, include_intermediates=intermediates)
        return build_bundle(env, "services", known, {**crls, **changed}, at=AT)

    return bundle


def files(kind: TargetKind, bundle: TrustBundle, location: str = LOCATION) -> dict[str, bytes]:
    return {file.path: file.data for file in built_in(kind).render(bundle, location)}


def fitting(make: Make, kind: TargetKind, revocation: Revocation) -> TrustBundle:
    return make(revocation, intermediates=kind is TargetKind.AWS_APIGATEWAY)


def test_every_kind_is_a_folder_and_every_folder_with_a_description_a_kind() -> None:
    described = {path.parent.name for path in template_root().glob(f"*/{FILE}")}
    assert described == {kind.value for kind in TargetKind}


@pytest.mark.parametrize(("kind", "revocation"), WAYS)
def test_what_holds_for_every_kind(make: Make, kind: TargetKind, revocation: Revocation) -> None:
    bundle = fitting(make, kind, revocation)
    target = built_in(kind)
    found = files(kind, bundle)
    assert found == files(kind, replace(bundle)), "the same bundle gives the same bytes"
    trusted = [c for name in target.trusted_files if name in found for c in read_ca_file(found[name], name)]
    assert set(trusted) == {one.certificate for one in bundle.certificates}
    if revocation is Revocation.NONE:
        assert not [name for name in found if "crl" in name.lower()], "no CRLs, no file of them, and none empty"
    else:
        assert target.crl_file is not None
        crls = read_crl_file(found[target.crl_file], target.crl_file)
        assert [one.der for one in crls] == [one.checked.der for one in bundle.crls]
    assert "VERIFY.md" in found
    for name, data in found.items():
        assert data, f"{name} is empty"
        assert b"PRIVATE KEY" not in data
        if name.endswith((".pem", ".crt")):
            labels = set(re.findall(rb"-----BEGIN ([A-Z0-9 ]+)-----", data))
            assert len(labels) == 1, f"{name} mixes {labels}"


@pytest.mark.parametrize(("kind", "revocation"), WAYS)
def test_a_path_cannot_break_out(make: Make, kind: TargetKind, revocation: Revocation) -> None:
    bundle = fitting(make, kind, revocation)
    for location in ('/x"; y #', "/x'y", "/x\\y", "/$x", "/x`y", "/x #y", "/x: y", "/x%{y}", "/x\ny"):
        try:
            found = files(kind, bundle, location)
        except InputError:
            continue
        assert location.isprintable()
        for name, data in found.items():
            if name.endswith(".yaml"):
                assert _texts_with(yaml.safe_load(data), "/x") <= {location, *(f"{location}/{path}" for path in found)}


def _texts_with(value: object, part: str) -> set[str]:
    if isinstance(value, dict):
        return {text for one in value.values() for text in _texts_with(one, part)}
    if isinstance(value, list):
        return {text for one in value for text in _texts_with(one, part)}
    return {value} if isinstance(value, str) and value.startswith(part) else set()


@pytest.mark.parametrize(
    ("kind", "file", "line"),
    [
        (TargetKind.NGINX, "mtls.conf", "ssl_verify_depth 1;"),
        (TargetKind.APACHE, "mtls.conf", "SSLVerifyDepth 2"),
        (TargetKind.ENVOY, "sds-validation-context.yaml", "max_verify_depth: 2"),
        (TargetKind.RABBITMQ, "advanced.config", "{depth, 1},"),
    ],
)
def test_each_counts_the_depth_in_its_own_way(make: Make, kind: TargetKind, file: str, line: str) -> None:
    bundle = make()
    assert line in [one.strip() for one in files(kind, bundle)[file].decode().splitlines()]
    deeper = replace(bundle, intermediate_depth=2)
    raised = re.sub(r"\d", lambda match: str(int(match[0]) + 1), line)
    assert raised in [one.strip() for one in files(kind, deeper)[file].decode().splitlines()]


@pytest.mark.parametrize(
    ("kind", "file", "line"),
    [
        (TargetKind.NGINX, "mtls.conf", "ssl_session_tickets off;"),
        (TargetKind.HAPROXY, "bind.cfg", "tune.ssl.cachesize 0"),
        (TargetKind.APACHE, "mtls.conf", "SSLSessionTickets off"),
        (TargetKind.ENVOY, "listener.yaml", "disable_stateless_session_resumption: true"),
        (TargetKind.NODEJS, "mtls.cjs", "secureOptions: constants.SSL_OP_NO_TICKET,"),
        (TargetKind.PYTHON, "mtls.py", "context.options |= ssl.OP_NO_TICKET"),
        (TargetKind.RABBITMQ, "advanced.config", "{reuse_sessions, false},"),
    ],
)
def test_nobody_comes_back_with_an_old_session(make: Make, kind: TargetKind, file: str, line: str) -> None:
    assert line in [one.strip() for one in files(kind, make())[file].decode().splitlines()]


@pytest.mark.parametrize("kind", [TargetKind.JAVA, TargetKind.GO])
def test_where_every_certificate_is_an_anchor_no_intermediate_goes_with_crls(make: Make, kind: TargetKind) -> None:
    with pytest.raises(VerificationFailed, match="anchor") as caught:
        files(kind, make(intermediates=True))
    assert caught.value.code == "trust.intermediates"
    assert files(kind, make(Revocation.NONE, intermediates=True))


def test_spiffe_takes_roots_only_and_api_gateway_whole_chains_only(make: Make) -> None:
    for kind, intermediates in ((TargetKind.SPIFFE, True), (TargetKind.AWS_APIGATEWAY, False)):
        with pytest.raises(VerificationFailed) as caught:
            files(kind, make(Revocation.NONE, intermediates=intermediates))
        assert caught.value.code == "trust.intermediates"
        assert files(kind, make(Revocation.NONE, intermediates=not intermediates))


@pytest.mark.parametrize(
    ("kind", "cannot"),
    [
        (TargetKind.NGINX, Revocation.LEAF),
        (TargetKind.HAPROXY, Revocation.LEAF),
        (TargetKind.POSTGRESQL, Revocation.LEAF),
        (TargetKind.NODEJS, Revocation.LEAF),
        (TargetKind.MOSQUITTO, Revocation.CHAIN),
        (TargetKind.SPIFFE, Revocation.CHAIN),
        (TargetKind.AWS_APIGATEWAY, Revocation.CHAIN),
        (TargetKind.CLOUDFRONT, Revocation.CHAIN),
    ],
)
def test_a_way_of_checking_that_it_lacks_is_not_promised(kind: TargetKind, cannot: Revocation) -> None:
    assert cannot not in built_in(kind).revocations


def many_anchors(bundle: TrustBundle, number: int) -> TrustBundle:
    root = bundle.anchors[0]
    roots = [replace(root, name=f"r{n}", certificate=builders.root_ca(f"Root {n}").certificate) for n in range(number)]
    return replace(bundle, anchors=tuple(roots))


@pytest.mark.parametrize(
    ("kind", "most"), [(TargetKind.AWS_ALB, 25), (TargetKind.AWS_ROLESANYWHERE, 2)], ids=["alb", "rolesanywhere"]
)
def test_no_more_certificates_than_a_service_takes(make: Make, kind: TargetKind, most: int) -> None:
    bundle = make(Revocation.NONE)
    assert files(kind, many_anchors(bundle, most))
    with pytest.raises(VerificationFailed) as caught:
        files(kind, many_anchors(bundle, most + 1))
    assert caught.value.code == "trust.limit"
    assert caught.value.details == {"what": "certificates", "size": most + 1, "limit": most}


@pytest.mark.parametrize("kind", [TargetKind.AWS_ALB, TargetKind.AWS_APIGATEWAY])
def test_no_longer_chain_than_a_service_takes(make: Make, kind: TargetKind) -> None:
    bundle = make(Revocation.NONE, intermediates=True)
    assert files(kind, replace(bundle, intermediate_depth=2))
    with pytest.raises(VerificationFailed, match="5 certificates in a chain"):
        files(kind, replace(bundle, intermediate_depth=3))


@pytest.mark.parametrize(
    ("kind", "entries", "what"),
    [
        (TargetKind.KUBERNETES, 21_000, "bytes of"),
        (TargetKind.AWS_ROLESANYWHERE, 6_000, "bytes of a CRL"),
        (TargetKind.CLOUDFRONT, 83_000, "bytes of keys"),
    ],
)
def test_no_larger_crl_than_fits(make: Make, kind: TargetKind, entries: int, what: str) -> None:
    bundle = make()
    assert files(kind, bundle)
    large = large_crl(entries)
    bundle = replace(bundle, crls=(bundle.crls[0], replace(bundle.crls[1], checked=large)))
    with pytest.raises(VerificationFailed, match=what) as caught:
        files(kind, bundle)
    assert caught.value.code == "trust.limit"


def test_what_aws_takes_of_revocation_at_most(make: Make) -> None:
    """300,000 bytes for IAM Roles Anywhere, 30 CRLs and 500,000 entries for a load balancer: exactly as many, and one more."""
    bundle = make()
    one = bundle.crls[1]
    files(TargetKind.AWS_ALB, replace(bundle, crls=(one,) * 30))
    with pytest.raises(VerificationFailed, match="31 CRLs, but it takes 30"):
        files(TargetKind.AWS_ALB, replace(bundle, crls=(one,) * 31))

    def with_entries(entries: int) -> TrustBundle:
        view = replace(one.checked.view, entries=entries)
        return replace(bundle, crls=(replace(one, checked=replace(one.checked, view=view)),))

    files(TargetKind.AWS_ALB, with_entries(500_000))
    with pytest.raises(VerificationFailed, match="500001 entries of all CRLs"):
        files(TargetKind.AWS_ALB, with_entries(500_001))
    with pytest.raises(VerificationFailed, match="3 CRLs, but it takes 2"):
        files(TargetKind.AWS_ROLESANYWHERE, replace(bundle, crls=(one,) * 3))


def test_a_key_value_store_gets_every_revoked_number_once(make: Make) -> None:
    root, clients = make().crls
    serials = (0x0A, 0xABCDEF, (1 << 159) - 1)
    ca = builders.root_ca("Busy CA")

    def revoking(numbers: tuple[int, ...]) -> CheckedCrl:
        crl = builders.crl(ca, revoked=dict.fromkeys(numbers))
        return check_crl(crl, ca.certificate, "busy", at=AT)

    bundle = replace(
        make(Revocation.LEAF),
        crls=(replace(root, checked=revoking(serials[:2])), replace(clients, checked=revoking(serials))),
    )
    found = files(TargetKind.CLOUDFRONT, bundle)
    assert json.loads(found["revoked-serials.json"]) == {
        "data": [{"key": key, "value": ""} for key in sorted(["A", "ABCDEF", "7" + "F" * 39])]
    }
    none_revoked = files(TargetKind.CLOUDFRONT, make(Revocation.LEAF))
    assert json.loads(none_revoked["revoked-serials.json"]) == {"data": []}
    assert "connection-function.js" in none_revoked
    assert not {"revoked-serials.json", "connection-function.js"} & set(
        files(TargetKind.CLOUDFRONT, make(Revocation.NONE))
    )


@pytest.mark.parametrize("revocation", [Revocation.CHAIN, Revocation.NONE])
def test_the_plan_of_a_load_balancer_is_what_its_service_takes(make: Make, revocation: Revocation) -> None:
    found = files(TargetKind.AWS_ALB, make(revocation))
    plan = json.loads(found["plan.json"])
    service = botocore.session.get_session().get_service_model("elbv2")
    assert set(plan["upload"]) == {"ca.pem", *(name for name in found if name.endswith(".crl.pem"))}
    assert len(plan["add"]) == (2 if revocation is Revocation.CHAIN else 0)
    for call in (plan["create"], plan["modify"], *plan["add"], plan["remove"]):
        parameters = dict(call["parameters"])
        if "RevocationIds" in parameters:
            parameters["RevocationIds"] = [1]
        shape = service.operation_model(call["operation"]).input_shape
        assert shape is not None
        assert not ParamValidator().validate(parameters, shape).has_errors()
        assert set(shape.required_members) <= set(parameters)
    for uploaded in plan["upload"]:
        assert f"${{VERSION:{uploaded}}}" in found["plan.json"].decode()
        assert f"${{PREFIX}}/{uploaded}" in found["plan.json"].decode()


def large_crl(entries: int) -> CheckedCrl:
    ca = builders.root_ca("Busy CA")
    at = builders.AT
    serials = range(1 << 152, (1 << 152) + entries)
    revoked: list[Any] = [
        x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build() for serial in serials
    ]
    small = builders.crl(ca)
    builder: Any = x509.CertificateRevocationListBuilder(
        ca.name, small.last_update_utc, small.next_update_utc, list(small.extensions), revoked
    )
    signed: x509.CertificateRevocationList = builder.sign(ca.key, small.signature_hash_algorithm)
    return check_crl(signed, ca.certificate, "busy", at=at)


def test_java_stores_hold_every_certificate_under_its_name(make: Make) -> None:
    bundle = make(Revocation.NONE, intermediates=True)
    found = files(TargetKind.JAVA, bundle)
    read = pkcs12.load_pkcs12(found["truststore.p12"], JAVA_PASSWORD.encode())
    assert read.key is None
    names = {one.friendly_name: one.certificate for one in read.additional_certs}
    assert names == {one.name.encode(): one.certificate for one in bundle.certificates}
    with pytest.raises(ValueError, match=r"[Pp]assword|MAC"):
        pkcs12.load_pkcs12(found["truststore.p12"], b"another")
    assert found["truststore.jks"].startswith(b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\x02")


def test_kubernetes_objects(make: Make) -> None:
    bundle = make()
    found = files(TargetKind.KUBERNETES, bundle)
    ca, crl = found["ca.pem"].decode(), found["crl.pem"].decode()
    objects = {name: yaml.safe_load(data) for name, data in found.items() if name.endswith(".yaml")}
    assert {name: (one["apiVersion"], one["kind"]) for name, one in objects.items()} == {
        "configmap.yaml": ("v1", "ConfigMap"),
        "secret.yaml": ("v1", "Secret"),
        "clustertrustbundle.yaml": ("certificates.k8s.io/v1beta1", "ClusterTrustBundle"),
        "trust-manager-bundle.yaml": ("trust.cert-manager.io/v1alpha1", "Bundle"),
    }
    for one in objects.values():
        # RFC 1123 subdomain, as the API server wants it
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", one["metadata"]["name"])
        assert set(one["metadata"]) == {"name", "labels"}
    assert objects["configmap.yaml"]["data"] == {"ca.crt": ca, "ca.crl": crl}
    assert set(objects["configmap.yaml"]) == {"apiVersion", "kind", "metadata", "data"}
    assert objects["secret.yaml"]["stringData"] == {"ca.crt": ca, "ca.crl": crl}
    assert objects["secret.yaml"]["type"] == "Opaque"
    assert objects["clustertrustbundle.yaml"]["spec"] == {"trustBundle": ca}
    assert not [line for line in ca.splitlines() if line.startswith("#")], "no text between the blocks"
    assert objects["trust-manager-bundle.yaml"]["spec"] == {
        "sources": [{"inLine": ca}],
        "target": {"configMap": {"key": "ca.crt"}},
    }
    without = files(TargetKind.KUBERNETES, make(Revocation.NONE))
    assert yaml.safe_load(without["configmap.yaml"])["data"] == {"ca.crt": ca}
    assert yaml.safe_load(without["secret.yaml"])["stringData"] == {"ca.crt": ca}


def test_a_spiffe_bundle_has_one_key_for_each_root(make: Make) -> None:
    bundle = make(Revocation.NONE)
    document = json.loads(files(TargetKind.SPIFFE, bundle)["bundle.json"])
    assert set(document) == {"keys", "spiffe_refresh_hint"}
    (key,) = document["keys"]
    root = bundle.anchors[0].certificate
    assert (key["use"], key["kty"], key["crv"], "kid" in key) == ("x509-svid", "EC", "P-256", False)
    assert [base64.b64decode(one) for one in key["x5c"]] == [root.public_bytes(Encoding.DER)]
    numbers = root.public_key().public_numbers()  # type: ignore[union-attr]
    for name in ("x", "y"):
        decoded = base64.urlsafe_b64decode(key[name] + "=")
        assert int.from_bytes(decoded, "big") == getattr(numbers, name)


def test_envoys_files_are_the_resources_that_it_knows(make: Make) -> None:
    found = files(TargetKind.ENVOY, make(), "/srv/a: b/services/envoy")
    (secret,) = yaml.safe_load(found["sds-validation-context.yaml"])["resources"]
    assert secret["validation_context"] == {
        "trusted_ca": {"filename": "/srv/a: b/services/envoy/ca.pem"},
        "crl": {"filename": "/srv/a: b/services/envoy/crl.pem"},
        "only_verify_leaf_cert_crl": False,
        "max_verify_depth": 2,
        "watched_directory": {"path": "/srv/a: b/services"},
    }
    context = yaml.safe_load(found["listener.yaml"])["transport_socket"]["typed_config"]
    assert context["require_client_certificate"] is True
    source = context["common_tls_context"]["validation_context_sds_secret_config"]
    assert source["name"] == secret["name"]


def test_rabbitmq_never_checks_by_best_effort(make: Make) -> None:
    for way, word in ((Revocation.CHAIN, "true"), (Revocation.LEAF, "peer")):
        found = files(TargetKind.RABBITMQ, make(way))
        text = found["advanced.config"].decode()
        # this file's ssl_options replace the others, so that what demands certificates has to stand in it
        for option in (
            "{verify, verify_peer}",
            "{fail_if_no_peer_cert, true}",
            "{depth, 1}",
            "{reuse_sessions, false}",
            f'{{cacertfile, "{LOCATION}/ca.pem"}}',
            f"{{crl_check, {word}}}",
            f'{{dir, "{LOCATION}/hashdir"}}',
        ):
            assert option in text
        body = "".join(line for line in text.splitlines() if not line.strip().startswith("%"))
        for left, right in ("[]", "{}", "()"):
            assert body.count(left) == body.count(right)
        assert body.rstrip().endswith("].")
        assert [name for name in found if re.fullmatch(r"hashdir/[0-9a-f]{8}\.r0", name)]
        assert not rabbitmq_settings(found), "nothing that would be replaced"
    lines = rabbitmq_settings(files(TargetKind.RABBITMQ, make(Revocation.NONE)))
    assert all(re.fullmatch(r"ssl_options\.[a-z0-9_.]+ = \S+", line) for line in lines)
    assert {"ssl_options.verify = verify_peer", "ssl_options.fail_if_no_peer_cert = true"} <= set(lines)


def rabbitmq_settings(found: dict[str, bytes]) -> list[str]:
    return [line for line in found["rabbitmq.conf"].decode().splitlines() if not line.startswith("#")]


def test_what_aws_takes_has_no_comments_and_one_crl_a_file(make: Make) -> None:
    for kind in (TargetKind.AWS_ALB, TargetKind.AWS_ROLESANYWHERE):
        found = files(kind, make())
        assert not any(line.startswith(b"#") for name in ("ca.pem", "crl.pem") for line in found[name].splitlines())
        single = [data for name, data in found.items() if name.endswith(".crl.pem")]
        assert [data.count(b"-----BEGIN") for data in single] == [1, 1]


@pytest.mark.parametrize("kind", ALL)
def test_where_the_root_is_shared_the_issuers_that_are_meant_are_told(make: Make, kind: TargetKind) -> None:
    bundle = fitting(make, kind, next(iter(sorted(built_in(kind).revocations))))
    alone, shared = files(kind, bundle), files(kind, replace(bundle, shared_root=True))
    assert [one.name for one in bundle.issuers] == ["clients-g1"]
    lists = {TargetKind.NGINX: "issuers.conf", TargetKind.HAPROXY: "issuers.txt"}
    if kind in lists:
        assert set(shared) - set(alone) == {lists[kind]}
        assert b"CN=Example Test Clients CA G1,O=Example Ltd" in shared[lists[kind]]
        assert b"Root CA" not in shared[lists[kind]]
    elif kind is TargetKind.APACHE:
        name = base64.b64encode(b"CN=Example Test Clients CA G1,O=Example Ltd")
        assert b"in { '" + name + b"' })" in shared["mtls.conf"]
        assert b"Rewrite" not in alone["mtls.conf"]
    elif kind is not TargetKind.PEM:
        assert b"Those that are meant: clients-g1." in shared["VERIFY.md"]
        assert b"pkiops writes no list of allowed issuers for" in shared["VERIFY.md"]
        assert b"Those that are meant" not in alone["VERIFY.md"]


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        (TargetKind.JAVA, "java.properties"),
        (TargetKind.KUBERNETES, "clustertrustbundle.yaml"),
        (TargetKind.KUBERNETES, "trust-manager-bundle.yaml"),
    ],
)
def test_a_file_that_alone_checks_no_crls_says_so(make: Make, kind: TargetKind, file: str) -> None:
    assert b"revoked clients in" in files(kind, make())[file]
    assert b"revoked" not in files(kind, make(Revocation.NONE))[file]
