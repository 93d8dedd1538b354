"""The engine with a bucket in memory, and the calls most tests begin with."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pkiops.clock import ManualClock, SeededRandomness
from pkiops.sandbox.engine.errors import ServiceError
from pkiops.sandbox.engine.request_model import service_model
from pkiops.sandbox.engine.service import PrivateCa
from pkiops.sandbox.engine.settings import Settings
from pkiops.sandbox.engine.state import BucketAccess, BucketRefused, Pace, Region

START = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
ACCOUNT = "111122223333"
OTHER_ACCOUNT = "444455556666"
TEMPLATE = "arn:aws:acm-pca:::template/{}/V1"
CLIENT_AUTH = TEMPLATE.format("EndEntityClientAuthCertificate")
AT_ONCE = Pace(creating_polls=0, certificate_polls=0, report_polls=0)
CRL = {
    "CrlConfiguration": {
        "Enabled": True,
        "ExpirationInDays": 8,
        "S3BucketName": "example-crl",
        "S3ObjectAcl": "BUCKET_OWNER_FULL_CONTROL",
    }
}


@dataclass
class MemoryBuckets:
    """Objects by (bucket, key); ``refusing`` makes every write fail."""

    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    content_types: dict[tuple[str, str], str] = field(default_factory=dict)
    writes: list[tuple[BucketAccess, str]] = field(default_factory=list)
    refusing: str | None = None

    def put(self, access: BucketAccess, key: str, data: bytes, content_type: str) -> None:
        if self.refusing:
            raise BucketRefused(self.refusing)
        self.objects[access.bucket, key] = data
        self.content_types[access.bucket, key] = content_type
        self.writes.append((access, key))


class World:
    """One engine, one Region."""

    def __init__(
        self,
        *,
        pace: Pace = AT_ONCE,
        settings: Settings | None = None,
        partition: str = "aws",
        region: str = "eu-west-1",
    ) -> None:
        self.clock = ManualClock(START)
        self.buckets = MemoryBuckets()
        self.service = PrivateCa(self.clock, SeededRandomness(7), self.buckets, pace, settings)
        self.region = Region(partition, ACCOUNT, region)
        self.elsewhere: list[Region] = []

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        for member in ("Csr", "Certificate", "CertificateChain"):
            if isinstance(request.get(member), str):
                request[member] = base64.b64encode(request[member].encode()).decode()
        answer = self.service.call(self.region, operation, request, lambda: self.elsewhere)
        require_shape(service_model().operation_model(operation).output_shape, answer)
        return answer

    def refused(self, code: str, operation: str, **request: Any) -> str:
        """The message of a refusal that must have this code."""
        with pytest.raises(ServiceError) as caught:
            self.call(operation, **request)
        assert caught.value.code == code, caught.value.message
        return caught.value.message

    def create(self, kind: str = "ROOT", common_name: str = "Example Root", **more: Any) -> str:
        configuration = {
            "KeyAlgorithm": more.pop("key", "EC_prime256v1"),
            "SigningAlgorithm": more.pop("signing", "SHA256WITHECDSA"),
            "Subject": {"CommonName": common_name, "Organization": "Example Ltd", "Country": "GB"},
        }
        configuration.update(more.pop("configuration", {}))
        if self.region.partition == "aws-cn":
            more.setdefault("KeyStorageSecurityStandard", "CCPC_LEVEL_1_OR_HIGHER")
        answer = self.call(
            "CreateCertificateAuthority",
            CertificateAuthorityConfiguration=configuration,
            CertificateAuthorityType=kind,
            **more,
        )
        return str(answer["CertificateAuthorityArn"])

    def describe(self, arn: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.call("DescribeCertificateAuthority", CertificateAuthorityArn=arn)[
            "CertificateAuthority"
        ]
        return answer

    def status(self, arn: str) -> str:
        return str(self.describe(arn)["Status"])

    def authority_csr(self, arn: str) -> str:
        self.describe(arn)
        return str(self.call("GetCertificateAuthorityCsr", CertificateAuthorityArn=arn)["Csr"])

    def issue(self, arn: str, request: str, template: str | None = CLIENT_AUTH, **more: Any) -> str:
        more.setdefault("Validity", {"Type": "DAYS", "Value": 30})
        more.setdefault("SigningAlgorithm", self.describe(arn)["CertificateAuthorityConfiguration"]["SigningAlgorithm"])
        if template is not None:
            more["TemplateArn"] = template
        answer = self.call("IssueCertificate", CertificateAuthorityArn=arn, Csr=request, **more)
        return str(answer["CertificateArn"])

    def get(self, arn: str, certificate_arn: str) -> dict[str, str]:
        answer: dict[str, str] = self.call(
            "GetCertificate", CertificateAuthorityArn=arn, CertificateArn=certificate_arn
        )
        return answer

    def issued(self, arn: str, request: str, template: str | None = CLIENT_AUTH, **more: Any) -> x509.Certificate:
        return load(self.get(arn, self.issue(arn, request, template, **more))["Certificate"])

    def root(
        self, common_name: str = "Example Root", *, years: int = 20, template: str | None = None, **more: Any
    ) -> str:
        """An ACTIVE root."""
        arn = self.create("ROOT", common_name, **more)
        template = template or TEMPLATE.format("RootCACertificate")
        certificate_arn = self.issue(arn, self.authority_csr(arn), template, Validity={"Type": "YEARS", "Value": years})
        certificate = self.get(arn, certificate_arn)["Certificate"]
        self.call("ImportCertificateAuthorityCertificate", CertificateAuthorityArn=arn, Certificate=certificate)
        return arn

    def subordinate(
        self, parent: str, common_name: str = "Example Clients", *, path_length: int = 0, **more: Any
    ) -> str:
        """An ACTIVE subordinate below ``parent``."""
        years = more.pop("years", 5)
        arn = self.create("SUBORDINATE", common_name, **more)
        template = TEMPLATE.format(f"SubordinateCACertificate_PathLen{path_length}")
        validity = {"Type": "YEARS", "Value": years}
        issued = self.get(parent, self.issue(parent, self.authority_csr(arn), template, Validity=validity))
        self.call("ImportCertificateAuthorityCertificate", CertificateAuthorityArn=arn, **issued)
        return arn

    def crl(self, arn: str, bucket: str = "example-crl") -> x509.CertificateRevocationList:
        key = f"crl/{arn.rpartition('/')[2]}.crl"
        return x509.load_der_x509_crl(self.buckets.objects[bucket, key])

    def advance(self, **by: float) -> None:
        self.clock.advance(timedelta(**by))


def policy(arn: str, *accounts: str, actions: Sequence[str] = ("IssueCertificate",), **more: Any) -> str:
    """A resource policy with one statement, for OTHER_ACCOUNT unless accounts are given."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": list(accounts) or OTHER_ACCOUNT},
        "Action": [f"acm-pca:{action}" for action in actions],
        "Resource": arn,
        **more,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def csr(
    common_name: str | None = "svc-a",
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> str:
    """A request signed by a fresh P-256 key."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    for value, critical in extensions:
        builder = builder.add_extension(value, critical=critical)
    key = key or ec.generate_private_key(ec.SECP256R1())
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def require_shape(shape: Any, value: Any) -> None:
    """Hold an answer to botocore's model: known members, required ones, types, enumerated values."""
    if shape is None:
        assert value == {}
    elif shape.type_name == "structure":
        assert set(value) <= set(shape.members)
        assert set(shape.required_members) <= set(value)
        for name, content in value.items():
            require_shape(shape.members[name], content)
    elif shape.type_name == "list":
        for item in value:
            require_shape(shape.member, item)
    elif shape.type_name == "string":
        assert isinstance(value, str)
        assert not shape.enum or value in shape.enum
    elif shape.type_name == "boolean":
        assert isinstance(value, bool)
    else:
        assert shape.type_name in {"integer", "long", "timestamp"}
        assert type(value) is int


def san(*names: str) -> tuple[x509.ExtensionType, bool]:
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False


def load(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def key_of(certificate: x509.Certificate) -> Any:
    """The public key, without the union that mypy would want taken apart."""
    return certificate.public_key()
