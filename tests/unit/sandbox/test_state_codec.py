"""The engine's objects as JSON and back; what cannot be kept or read is said."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pkiops.sandbox.engine.state import Region
from pkiops.sandbox.state_codec import Reader, Unreadable, Writer, unknown_types
from pkiops.sandbox.state_file import State, decoded, encoded
from tests.unit.sandbox.world import CRL, World, csr, policy


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    number: int
    when: datetime


@dataclass
class Everything:
    text: str
    yes: bool
    ratio: float
    blob: bytes
    wait: timedelta
    colour: Colour
    anything: Any
    maybe: Inner | None = None
    inner: dict[int, Inner] = field(default_factory=dict)
    keyed: dict[tuple[str, ...], tuple[datetime, str]] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    several: tuple[int, ...] = ()


NOW = datetime(2026, 11, 25, tzinfo=UTC)
SAMPLE = Everything(
    "ü\x00",
    True,
    1.0,
    b"\xff",
    timedelta(days=300),
    Colour.RED,
    {"a": [1, None, b"x", {"$bytes": "not a blob"}], "b": {1: "one"}},
    Inner(1, NOW),
    {7: Inner(2, NOW)},
    {("a", "b"): (NOW, "c")},
    frozenset({"z", "a"}),
    (3, 2, 1),
)


def through(kind: Any, value: Any) -> Any:
    writer = Writer()
    text = json.dumps(writer.value(kind, value))
    return Reader(writer.certificates).value(kind, json.loads(text), "it")


def test_every_known_type_comes_back_as_it_was() -> None:
    assert through(Everything, SAMPLE) == SAMPLE


def test_keys_come_back() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    again = through(Any, {"key": key})["key"]
    numbers = [each.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for each in (key, again)]
    assert numbers[0] == numbers[1]


def test_every_field_of_the_state_is_of_a_known_type() -> None:
    """If this fails, a field was added whose type the state file cannot keep: teach state_codec about it."""
    assert unknown_types(State) == []


@dataclass
class Odd:
    thing: complex


@dataclass
class Odder:
    things: dict[str, list[Odd]]


def test_an_unknown_type_is_loud() -> None:
    assert unknown_types(Odder) == [f"Odder.things: Odd.thing: no way to keep {complex}"]
    with pytest.raises(TypeError, match="no way to keep"):
        Writer().value(Odder, Odder({"a": [Odd(1j)]}))
    with pytest.raises(TypeError, match="no way to keep a object"):
        Writer().value(Any, object())


def busy_world() -> World:
    world = World()
    root = world.root("Root", Tags=[{"Key": "team", "Value": "a"}], IdempotencyToken="one", RevocationConfiguration=CRL)
    world.root("Post-quantum", key="ML_DSA_65", signing="ML_DSA_65")
    custom = [{"ObjectIdentifier": "0.9.2342.19200300.100.1.25", "Value": "example"}]
    world.create(configuration={"Subject": {"CustomAttributes": custom}})
    clients = world.subordinate(root, RevocationConfiguration=CRL)
    leaf = world.issued(clients, csr())
    world.call(
        "RevokeCertificate",
        CertificateAuthorityArn=clients,
        CertificateSerial=f"{leaf.serial_number:x}",
        RevocationReason="SUPERSEDED",
    )
    world.call(
        "CreateCertificateAuthorityAuditReport",
        CertificateAuthorityArn=clients,
        S3BucketName="example-crl",
        AuditReportResponseFormat="CSV",
    )
    actions = ["IssueCertificate", "GetCertificate"]
    world.call("CreatePermission", CertificateAuthorityArn=clients, Principal="acm.amazonaws.com", Actions=actions)
    world.call("PutPolicy", ResourceArn=clients, Policy=policy(clients))
    world.call("UpdateCertificateAuthority", CertificateAuthorityArn=clients, Status="DISABLED")
    world.call("DeleteCertificateAuthority", CertificateAuthorityArn=clients)
    return world


def test_a_region_comes_back_and_goes_on() -> None:
    world = busy_world()
    kept = encoded(State(timedelta(days=3), [world.region]))
    state = decoded(kept)
    assert encoded(state) == kept
    (region,) = state.regions
    before = {arn: world.describe(arn) for arn in world.region.authorities}
    world.region = region
    assert {arn: world.describe(arn) for arn in region.authorities} == before
    (deleted,) = [arn for arn in before if world.status(arn) == "DELETED"]
    world.call("RestoreCertificateAuthority", CertificateAuthorityArn=deleted)
    world.call("UpdateCertificateAuthority", CertificateAuthorityArn=deleted, Status="ACTIVE")
    assert world.call("GetPolicy", ResourceArn=deleted) == {"Policy": policy(deleted)}
    (permission,) = world.call("ListPermissions", CertificateAuthorityArn=deleted)["Permissions"]
    assert permission["Actions"] == ["IssueCertificate", "GetCertificate"]
    (report,) = region.authorities[deleted].reports
    world.call("DescribeCertificateAuthorityAuditReport", CertificateAuthorityArn=deleted, AuditReportId=report)
    certificate = world.issued(deleted, csr())
    issuer = region.authorities[deleted].certificate
    assert issuer is not None
    certificate.verify_directly_issued_by(issuer)


def test_certificates_are_kept_once() -> None:
    world = World()
    root = world.root()
    for _ in range(20):
        world.issued(root, csr())
    document = json.loads(encoded(State(regions=[world.region])))
    assert len(document["certificates"]) == 22  # the root's own is there as issued and as installed


def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(encoded(State(regions=[busy_world().region])))
    return found


def authority(found: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = next(iter(found["state"]["regions"][0]["authorities"].values()))
    return first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format="other"), "not the state of a sandbox"),
        (lambda d: d.update(version=2), "version is 2"),
        (lambda d: d.update(certificates={}), "no table of certificates"),
        (lambda d: d.update(certificates=["AAAA"]), "certificates cannot be read"),
        (lambda d: d.update(certificates=["not base64"]), "base64"),
        (lambda d: d.update(state=[]), "state is a list, not a dict"),
        (lambda d: d["state"].update(regions={}), "regions is a dict"),
        (lambda d: d["state"].update(colour="red"), "does not know: colour"),
        (lambda d: authority(d).pop("arn"), "lacks fields"),
        (lambda d: authority(d).update(arn=7), "arn is a int"),
        (lambda d: authority(d).update(certificate=-1), "negative"),
        (lambda d: authority(d).update(certificate=10**6), "cannot be read"),
        (lambda d: authority(d).update(status="BANANA"), "BANANA"),
        (lambda d: authority(d).update(created_at="2026-01-01T00:00:00"), "no time zone"),
        (lambda d: authority(d).update(created_at="yesterday"), "cannot be read"),
        (lambda d: authority(d).update(key={"$key": "AAAA"}), "cannot be read"),
        (lambda d: authority(d).update(issued=[[1]]), "cannot be read"),
        (lambda d: authority(d).update(subject="AAAA"), "cannot be read"),
    ],
)
def test_what_a_file_may_not_say(change: Any, message: str) -> None:
    found = document()
    change(found)
    with pytest.raises(Unreadable, match=message):
        decoded(json.dumps(found).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"\x80\x04N.", b"[" * 100_000, b"{}"])
def test_what_is_no_file_of_ours(data: bytes) -> None:
    with pytest.raises(Unreadable):
        decoded(data)


def test_a_name_keeps_its_string_types() -> None:
    world = World()
    arn = world.create()
    subject = world.region.authorities[arn].subject
    again = through(Region, world.region).authorities[arn].subject
    assert isinstance(again, x509.Name)
    assert again.public_bytes() == subject.public_bytes()
