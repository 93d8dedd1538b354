"""Requests drawn from the service's model, and bent: every one has an answer of the model's shape or a known error, and the state
stays sound.

What is drawn prefers what gets deep: ARNs that exist, enumerated values, known templates, real CSRs. One in a few members is bent.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from pkiops.sandbox.engine.errors import ServiceError
from pkiops.sandbox.engine.request_model import operation_names, service_model
from pkiops.sandbox.engine.state import Status
from tests.seeded import seeded
from tests.unit.sandbox.world import CRL, TEMPLATE, World, csr, require_shape

UNMODELLED = {
    "ValidationException",
    "AccessDeniedException",
    "ThrottlingException",
    "SerializationException",
    "SandboxNotImplemented",
}
ODD_TEXT = st.text(max_size=40) | st.sampled_from(
    ["", "\x00", "x" * 300, "é", "../..", "{}", "arn:aws:acm-pca:::template/Nope/V1"]
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

    def __init__(self) -> None:
        self.world = World()
        self.root = self.world.root()
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
        assert (authority.certificate is None) == (
            authority.status in {Status.CREATING, Status.PENDING, Status.FAILED}
        ) or (authority.status is Status.DELETED)
        assert len(authority.tags) <= 50
        if authority.certificate is not None:
            assert authority.owns(authority.certificate.public_key())
        assert all(number == one.certificate.serial_number for number, one in authority.issued.items())
        assert (authority.restorable_until is not None) == (authority.status is Status.DELETED)


@seeded(200, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_every_request_has_a_modelled_answer(data: st.DataObject) -> None:
    account = Account()
    for _ in range(REQUESTS):
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
