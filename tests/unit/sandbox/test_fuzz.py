"""Requests drawn from the service's model, and bent: every one has an answer of the model's shape or a known error, and the state
stays sound. Most go to the engine, a share over HTTP.

What is drawn prefers what gets deep: ARNs that exist, enumerated values, known templates, real CSRs. One in a few members is bent.
"""

from __future__ import annotations

import base64
import http.client
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import boto3
from cryptography import x509
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from pkiops.clock import ManualClock
from pkiops.sandbox.engine.errors import ServiceError
from pkiops.sandbox.engine.request_model import operation_names, service_model
from pkiops.sandbox.engine.state import Status
from pkiops.sandbox.server import SandboxServer, bound_server
from tests.aws.sandbox import scene
from tests.seeded import seeded
from tests.unit.sandbox.world import ACCOUNT, AT_ONCE, CRL, START, TEMPLATE, World, csr, require_shape

UNMODELLED = {
    "ValidationException",
    "AccessDeniedException",
    "ThrottlingException",
    "SerializationException",
    "SandboxNotImplemented",
}
ODD_TEXT = st.text(max_size=40) | st.sampled_from(
    ["", "\x00", "x" * 300, "é", "\ud800", "../..", "{}", "arn:aws:acm-pca:::template/Nope/V1"]
)
ODD = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | ODD_TEXT | st.lists(st.integers(0, 3), max_size=3)
TEMPLATES = [
    TEMPLATE.format(name)
    for name in (
        "RootCACertificate",
        "SubordinateCACertificate_PathLen0",
        "EndEntityClientAuthCertificate",
        "EndEntityClientAuthCertificate_APIPassthrough",
        "BlankEndEntityCertificate_APICSRPassthrough",
        "BlankRootCACertificate_PathLen1_APIPassthrough",
    )
]


class Account:
    """One engine with a root, an issuing CA, a pending one and a certificate; it lives through the requests of one example."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.root = self.world.root(RevocationConfiguration=CRL)
        self.world.issue(self.root, csr())
        self.pending = self.world.create("SUBORDINATE", "Example Pending", RevocationConfiguration=CRL)
        self.codes = {
            error.name for name in operation_names() for error in service_model().operation_model(name).error_shapes
        } | UNMODELLED

    def arns(self) -> list[str]:
        return [*self.world.region.authorities, f"{self.root[:-12]}000000000000"]

    def certificates(self) -> list[str]:
        return [one.arn for ca in self.world.region.authorities.values() for one in list(ca.issued.values())[:3]] or [
            self.root
        ]

    def serials(self) -> list[str]:
        return [f"{number:x}" for ca in self.world.region.authorities.values() for number in list(ca.issued)[:3]] or [
            "0a"
        ]


REQUESTS = 10
STEPS = [
    timedelta(seconds=30),
    timedelta(minutes=31),
    timedelta(days=5),
    timedelta(days=40),
    timedelta(days=400),
    timedelta(days=30 * 365),
]
CSR = base64.b64encode(csr().encode()).decode()


def pick(data: st.DataObject, items: list[str]) -> str:
    return items[data.draw(st.integers(0, 99)) % len(items)]


def leaf(account: Account, data: st.DataObject, name: str, shape: Any) -> Any:
    """A value of a scalar member, by preference one that exists."""
    known: dict[str, Callable[[], list[str]]] = {
        "CertificateAuthorityArn": account.arns,
        "ResourceArn": account.arns,
        "CertificateArn": account.certificates,
        "CertificateSerial": account.serials,
        "TemplateArn": lambda: TEMPLATES,
        "S3BucketName": lambda: ["example-crl", "other"],
        "Csr": lambda: [CSR],
        "Country": lambda: ["GB", "G"],
        "Principal": lambda: ["acm.amazonaws.com", "x"],
    }
    if name in known:
        return pick(data, known[name]())
    choices = getattr(shape, "enum", None)
    if choices:
        return data.draw(st.sampled_from(list(choices)))
    if shape.type_name in {"integer", "long"}:
        return data.draw(st.integers(-1, 10) | st.sampled_from([1_795_700_000, 261125000000, 10**15]))
    if shape.type_name == "boolean":
        return data.draw(st.booleans())
    text = data.draw(st.text(max_size=20))
    return base64.b64encode(text.encode("utf-8", "replace")).decode() if shape.type_name == "blob" else text


def value_of(account: Account, data: st.DataObject, name: str, shape: Any, depth: int = 0) -> Any:
    if data.draw(st.integers(0, 24)) == 0:
        return data.draw(ODD)
    if shape.type_name == "structure":
        chosen = {
            member: value_of(account, data, member, inner, depth + 1)
            for member, inner in shape.members.items()
            if data.draw(st.integers(0, 9)) < (9 if member in shape.required_members else 3)
        }
        return chosen
    if shape.type_name == "list":
        size = data.draw(st.integers(0, 2))
        return [value_of(account, data, name, shape.member, depth + 1) for _ in range(size)]
    return leaf(account, data, name, shape)


def sound_request(account: Account, data: st.DataObject, operation: str) -> dict[str, Any]:
    """A request of the two operations that need many members at once, as a client would send it."""
    if operation == "CreateCertificateAuthority":
        return {
            "CertificateAuthorityConfiguration": {
                "KeyAlgorithm": "EC_prime256v1",
                "SigningAlgorithm": "SHA256WITHECDSA",
                "Subject": {"CommonName": data.draw(st.sampled_from(["a", "b", "c"]))},
            },
            "CertificateAuthorityType": data.draw(st.sampled_from(["ROOT", "SUBORDINATE"])),
        }
    return {
        "CertificateAuthorityArn": pick(data, [account.root, *account.arns()]),
        "Csr": CSR,
        "SigningAlgorithm": "SHA256WITHECDSA",
        "TemplateArn": data.draw(st.sampled_from(TEMPLATES)),
        "Validity": {"Type": "DAYS", "Value": data.draw(st.integers(1, 40))},
    }


def request_of(account: Account, data: st.DataObject, operation: str, shape: Any) -> dict[str, Any]:
    if operation in {"CreateCertificateAuthority", "IssueCertificate"} and data.draw(st.integers(0, 3)):
        request = sound_request(account, data, operation)
        for member in data.draw(st.lists(st.sampled_from(sorted(shape.members)), max_size=2)):
            request[member] = value_of(account, data, member, shape.members[member])
        return request
    drawn = value_of(account, data, operation, shape)
    return drawn if isinstance(drawn, dict) else {}


def assert_sound(account: Account) -> None:
    """What must hold of every authority after any request."""
    for arn, authority in account.world.region.authorities.items():
        assert authority.arn == arn
        assert authority.status is not Status.EXPIRED, "computed, never stored"
        assert (authority.certificate is None) == (
            authority.status in {Status.CREATING, Status.PENDING, Status.FAILED}
        ) or (authority.status is Status.DELETED)
        assert len(authority.tags) <= 50
        assert len(authority.permissions) <= 1
        if authority.certificate is not None:
            assert authority.owns(authority.certificate.public_key())
        assert (authority.restorable_until is not None) == (authority.status is Status.DELETED)
        for number, one in authority.issued.items():
            assert one.arn == f"{arn}/certificate/{number:032x}"
            assert number == one.certificate.serial_number
            assert (one.revoked_at is not None) == (number in authority.revoked) == (one.reason is not None)
            if one.chain:
                assert one.certificate.not_valid_after_utc <= one.chain[0].not_valid_after_utc
        assert len(set(authority.revoked)) == len(authority.revoked)
        assert set(authority.revoked) <= set(authority.issued)


def assert_published(account: Account, read: Callable[[str, str], bytes | None]) -> None:
    """The CRL in the bucket is signed by its CA and lists what was revoked; every CA can be listed and described."""
    world = account.world
    listed = world.call("ListCertificateAuthorities", MaxResults=1000)["CertificateAuthorities"]
    assert {each["Arn"] for each in listed} == set(world.region.authorities)
    for arn, authority in world.region.authorities.items():
        assert {**world.describe(arn)} == next(each for each in listed if each["Arn"] == arn)
        configuration, state = authority.crl_configuration, authority.crl
        if state is None or state.failed_at is not None or not configuration["Enabled"] or authority.partitions:
            continue
        folder = str(configuration.get("CustomPath") or "crl").strip("/")
        data = read(configuration["S3BucketName"], f"{folder}/{authority.identifier}.crl".lstrip("/"))
        if data is None or authority.certificate is None:
            continue  # switched on after the last one was made
        crl = x509.load_der_x509_crl(data)
        assert crl.is_signature_valid(authority.certificate.public_key())  # type: ignore[arg-type]
        assert {entry.serial_number for entry in crl} <= set(authority.revoked)


def drawn_requests(account: Account, data: st.DataObject) -> None:
    """Send what is drawn, and hold the answers and the state to what they must be."""
    for _ in range(REQUESTS):
        if data.draw(st.integers(0, 7)) == 0:
            account.world.clock.advance(data.draw(st.sampled_from(STEPS)))
        operation = data.draw(st.sampled_from(operation_names()))
        model = service_model().operation_model(operation)
        request = request_of(account, data, operation, model.input_shape)
        code = None
        try:
            answer = account.world.service.call(account.world.region, operation, request, lambda: [])
            require_shape(model.output_shape, answer)
        except ServiceError as error:
            code = error.code
        assert code is None or code in account.codes, operation
        assert_sound(account)


@seeded(200, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_every_request_has_a_modelled_answer(data: st.DataObject) -> None:
    account = Account()
    drawn_requests(account, data)
    assert_published(account, lambda bucket, key: account.world.buckets.objects.get((bucket, key)))


class OverHttp:
    """The engine behind a server, as far as a ``World`` calls it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self._scope = (
            "AWS4-HMAC-SHA256 Credential=x/20261125/eu-west-1/acm-pca/aws4_request, SignedHeaders=host, Signature=0"
        )

    def call(self, region: Any, operation: str, request: Mapping[str, Any], elsewhere: Any) -> dict[str, Any]:
        del elsewhere
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"ACMPrivateCA.{operation}",
            "Authorization": self._scope,
            "x-moto-account-id": region.account,
        }
        self._connection.request("POST", "/", json.dumps(request), headers)
        answer = self._connection.getresponse()
        document: dict[str, Any] = json.loads(answer.read())
        if answer.status == http.HTTPStatus.OK:
            return document
        assert answer.status == http.HTTPStatus.BAD_REQUEST, document
        raise ServiceError(document["__type"], document["message"])


class RemoteWorld(World):
    """A world whose engine is asked over HTTP."""

    def __init__(self, server: SandboxServer, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self.service = OverHttp(server.port)  # type: ignore[assignment]
        self.region = server.sandbox.region(ACCOUNT, "eu-west-1")


@contextmanager
def served() -> Iterator[tuple[SandboxServer, ManualClock]]:
    """A server with the bucket that CRLs go to, and its clock."""
    clock = ManualClock(START)
    with bound_server(0, clock=clock, pace=AT_ONCE) as server:
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        try:
            session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="eu-west-1")
            policy = scene.bucket_policy(StringEquals={"aws:SourceAccount": ACCOUNT})
            scene.make_bucket(session.client("s3", endpoint_url=server.url), policy)
            yield server, clock
        finally:
            server.shutdown()
            thread.join(timeout=20)


@seeded(20, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_every_request_over_http_has_a_modelled_answer(data: st.DataObject) -> None:
    with served() as (server, clock):
        account = Account(RemoteWorld(server, clock))
        drawn_requests(account, data)
        assert_published(account, server.sandbox.buckets.read)
