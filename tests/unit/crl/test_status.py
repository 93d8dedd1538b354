"""What is wrong with published CRLs: judged from facts, and read out of a bucket that others write to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.ca.index import IndexPublisher
from pkiops.crl.fetch import CrlBackend
from pkiops.crl.read import file_key, pointer_key, read_pointer
from pkiops.crl.status import Thresholds, judge, span
from pkiops.crl.status_facts import CrlStatus, Severity
from pkiops.crl.status_read import StatusReader
from pkiops.environment.index import index_key
from pkiops.errors import AccessDenied, GuardRefused
from pkiops.stores.interface import ALWAYS, Condition, Store, StoredObject
from pkiops.x509.certificate import fingerprint
from tests import builders
from tests.unit.crl.test_outside import Company
from tests.unit.crl.world import World


def status(
    world: World,
    *,
    store: Store | None = None,
    service: Callable[[], CrlBackend] | None = None,
    thresholds: Thresholds | None = None,
) -> CrlStatus:
    reader = StatusReader(world.environment, store or world.store, service or (lambda: world.backend), world.clock.now)
    return judge(reader.read(), world.clock.now(), thresholds or Thresholds())


def nobody() -> CrlBackend:
    raise AccessDenied("acm-pca:ListCertificateAuthorities is not allowed")


def stranger() -> CrlBackend:
    raise GuardRefused("the caller is of account 999999999999")


def codes(found: CrlStatus) -> list[tuple[str, str, str | None]]:
    return [(one.code, one.severity.word, one.authority) for one in found.findings]


def skipped(found: CrlStatus) -> list[tuple[str, str | None]]:
    return [(one.check, one.authority) for one in found.skipped]


class Guarded:
    """A store in which some keys may not be read, nor told from those that are not there."""

    def __init__(self, inner: Store, refused: str) -> None:
        self.inner = inner
        self.refused = refused

    def get(self, key: str, *, max_bytes: int) -> StoredObject | None:
        if self.refused in key:
            raise AccessDenied(f"s3:GetObject on {key} is not allowed")
        return self.inner.get(key, max_bytes=max_bytes)

    def put(
        self,
        key: str,
        data: bytes,
        *,
        condition: Condition = ALWAYS,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> str:
        raise AssertionError("crl status writes nothing")

    def list_keys(self, prefix: str, *, after: str = "", limit: int | None = None) -> tuple[str, ...]:
        if self.refused in prefix:
            raise AccessDenied(f"s3:ListBucket of {prefix} is not allowed")
        return self.inner.list_keys(prefix, after=after, limit=limit)

    def describe(self) -> str:
        return self.inner.describe()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def pinned(world: World) -> World:
    """The root pinned, and the index published."""
    authorities = world.environment.authorities
    pin = fingerprint(world.backend.cas["root"].certificate)
    world.environment = replace(
        world.environment, authorities={**authorities, "root": replace(authorities["root"], sha256=pin)}
    )
    assert IndexPublisher(world.environment, world.backend, world.store).publish()
    return world


def test_fresh_crls_are_fine(world: World) -> None:
    world.backend.write("clients", 3, revoked={7: None})
    world.publish()
    found = status(world)
    assert codes(found) == []
    assert found.skipped == ()
    row = found.authorities[1]
    assert row.facts.name == "clients-g1"
    assert row.state == "ok"
    assert row.age == timedelta(hours=1)
    assert row.remaining == timedelta(days=7)
    assert row.remaining_ratio == pytest.approx(7 * 24 / (7 * 24 + 1))
    assert row.facts.published is not None
    assert (row.facts.published.record.number, row.facts.published.record.entries) == (3, 1)
    assert row.facts.published.verified
    assert row.facts.published.size == len(world.backend.crls["clients"] or b"")


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (4.5, []),
        (4.75, [("crl.expires-soon", "warning")]),
        (6.2, [("crl.expires-soon", "critical")]),
        (7.001, [("crl.expired", "critical")]),
    ],
)
def test_time_left_is_judged_by_the_lifetime(world: World, days: float, expected: list[tuple[str, str]]) -> None:
    """169 hours: a third is 56.3, an eighth 21.1."""
    world.publish()
    world.later(days=days)
    found = status(world)
    assert [(code, severity) for code, severity, name in codes(found) if name == "clients-g1"] == expected
    assert bool(found.unusable) == (days > 7)


@pytest.mark.parametrize(
    ("given", "hours", "expected"),
    [
        ((None, None), 4 * 24, (4 * 24 / 3, 4 * 24 / 8)),
        ((None, None), 2, (1, 1)),
        ((10, None), 4 * 24, (10, 10)),
        ((40, None), 4 * 24, (40, 12)),
        ((None, 50), 4 * 24, (50, 50)),
        ((40, 20), 4 * 24, (40, 20)),
    ],
)
def test_thresholds(given: tuple[int | None, int | None], hours: int, expected: tuple[float, float]) -> None:
    warn, critical = (None if one is None else timedelta(hours=one) for one in given)
    found = Thresholds(warn, critical).of(timedelta(hours=hours))
    assert found == (timedelta(hours=expected[0]), timedelta(hours=expected[1]))


def test_given_thresholds_count(world: World) -> None:
    world.publish()
    found = status(world, thresholds=Thresholds(warn=timedelta(days=8), critical=timedelta(days=7, hours=1)))
    assert {severity for _, severity, _ in codes(found)} == {"critical"}
    assert [one.state for one in found.authorities] == ["critical", "critical"]


def test_nothing_published(world: World) -> None:
    found = status(world)
    assert codes(found) == [("crl.never-published", "critical", None)]
    assert [(one.facts.name, one.state) for one in found.authorities] == [
        ("root-g1", "critical"),
        ("clients-g1", "critical"),
    ]
    assert not found.unusable


def test_the_publisher_has_an_hour_more_than_the_service(world: World) -> None:
    world.publish()
    world.backend.write("clients", 2)
    assert codes(status(world)) == [("crl.publisher-behind", "info", "clients-g1")]
    assert status(world).authorities[1].state == "ok"
    world.later(hours=1, seconds=1)
    assert codes(status(world)) == [("crl.publisher-behind", "warning", "clients-g1")]


def test_the_bucket_of_the_ca_went_back(world: World) -> None:
    old = world.backend.crls["clients"]
    world.backend.write("clients", 2)
    world.publish()
    world.backend.crls["clients"] = old
    assert codes(status(world)) == [("crl.own-went-back", "critical", "clients-g1")]


@pytest.mark.parametrize("data", [b"", b"\x30\x03\x02\x01\x01", b"x" * 10_000])
def test_what_somebody_else_wrote_for_the_ca(world: World, data: bytes) -> None:
    world.publish()
    world.backend.crls["clients"] = data
    assert codes(status(world)) == [("crl.own-invalid", "warning", "clients-g1")]


def test_a_ca_is_missing_from_the_set(world: World) -> None:
    _publish_forged(world, drop=True)
    found = status(world)
    assert codes(found) == [("crl.not-in-set", "critical", "clients-g1")]
    assert found.authorities[1].state == "critical"
    world.backend.crls["clients"] = None
    assert codes(status(world)) == [("crl.awaited", "info", "clients-g1")]
    # where its bucket cannot be looked at nobody knows that it is silent
    assert codes(status(pinned(world), service=nobody)) == [("crl.not-in-set", "critical", "clients-g1")]


@pytest.mark.parametrize("data", [b"", b"{}", b'{"manifest_sha256": "../x"}', b"[" * 4000, b"x" * 5000])
def test_a_forged_pointer_is_a_finding(world: World, data: bytes) -> None:
    world.publish()
    world.store.put(pointer_key("test"), data)
    found = status(world)
    assert [severity for _, severity, _ in codes(found)] == ["critical"]
    assert found.unusable
    assert [one.state for one in found.authorities] == ["critical", "critical"]


@pytest.mark.parametrize("data", [b"damaged", None, b"x" * 200])
def test_a_damaged_folder_is_a_finding_of_that_crl(world: World, tmp_path: Path, data: bytes | None) -> None:
    world.publish()
    pointer = read_pointer(world.store, "test")
    assert pointer is not None
    key = file_key("test", pointer.manifest_sha256, "clients-g1.crl")
    if data is None:
        (tmp_path / "trust-bucket" / key).unlink()
    else:
        world.store.put(key, data)
    found = status(world)
    assert [(code[:7], severity, name) for code, severity, name in codes(found)] == [
        ("crl.set", "critical", "clients-g1")
    ]
    assert [one.state for one in found.authorities] == ["ok", "critical"]
    assert found.unusable


def test_a_forged_crl_with_a_manifest_to_match(world: World) -> None:
    forged = builders.crl(
        world.backend.cas["clients"], at=world.clock.now(), number=9, signer=builders.key()
    ).public_bytes(Encoding.DER)
    _publish_forged(world, forged, number=9)
    found = status(world)
    assert ("crl.signature", "critical", "clients-g1") in codes(found)
    assert found.unusable
    row = found.authorities[1].facts.published
    assert row is not None
    assert not row.verified


def test_a_manifest_that_says_something_else_than_the_crl(world: World) -> None:
    own = world.backend.crls["clients"]
    assert own is not None
    _publish_forged(world, own, number=5)
    found = status(world)
    assert ("crl.manifest", "critical", "clients-g1") in codes(found)
    # nor without anybody to verify it
    assert ("crl.manifest", "critical", "clients-g1") in codes(status(world, service=nobody))


def _publish_forged(world: World, data: bytes = b"", *, number: int = 1, drop: bool = False) -> None:
    """Publish, and then point to a folder in which the CRL of ``clients`` is another one, or none."""
    world.publish()
    pointer = read_pointer(world.store, "test")
    assert pointer is not None
    found = world.store.get(file_key("test", pointer.manifest_sha256, "manifest.json"), max_bytes=100_000)
    root = world.store.get(file_key("test", pointer.manifest_sha256, "root-g1.crl"), max_bytes=100_000)
    assert found is not None
    assert root is not None
    document = json.loads(found.data)
    if drop:
        document["crls"] = [one for one in document["crls"] if one["authority"] != "clients"]
    else:
        entry = next(one for one in document["crls"] if one["authority"] == "clients")
        entry |= {"sha256": hashlib.sha256(data).hexdigest(), "number": number}
    manifest = json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    digest = hashlib.sha256(manifest).hexdigest()
    for name, content in (("manifest.json", manifest), ("clients-g1.crl", data), ("root-g1.crl", root.data)):
        world.store.put(file_key("test", digest, name), content)
    world.store.put(pointer_key("test"), json.dumps({"manifest_sha256": digest}).encode())


def test_who_reads_only_the_trust_bucket_finds_the_cas_by_the_pinned_root(world: World) -> None:
    pinned(world).publish()
    for refused in (nobody, stranger):
        found = status(world, service=refused, store=Guarded(world.store, "nothing"))
        assert codes(found) == []
        assert skipped(found) == [("own-crl", None)]
        assert all(one.facts.published and one.facts.published.verified for one in found.authorities)


def test_the_service_is_not_asked_where_the_index_tells(world: World) -> None:
    pinned(world).publish()
    world.backend.calls.clear()
    assert codes(status(world)) == []
    assert world.backend.calls == []


def test_without_a_pin_and_without_rights_nothing_is_verified_and_it_is_said(world: World) -> None:
    world.publish()
    found = status(world, service=nobody)
    assert ("crl.unverified", "warning", None) in codes(found)
    assert skipped(found) == [("authorities", None), ("signature", "root-g1"), ("signature", "clients-g1")]
    row = found.authorities[0].facts.published
    assert row is not None
    assert not row.verified
    assert found.authorities[0].remaining == timedelta(days=7)
    # what expires is said all the same
    world.later(days=8)
    assert {code for code, _, _ in codes(status(world, service=nobody))} == {"crl.unverified", "crl.expired"}


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 100_000, b'{"kind": "authority-index"}'])
def test_an_index_that_is_none_is_a_finding_and_the_service_is_asked(world: World, data: bytes) -> None:
    pinned(world).publish()
    world.store.put(index_key("test"), data)
    assert codes(status(world)) == [("index.unreadable", "critical", None)]
    found = status(world, service=nobody)
    assert codes(found) == [("index.unreadable", "critical", None), ("crl.unverified", "warning", None)]


def test_an_index_of_another_root_vouches_for_nothing(world: World, tmp_path: Path) -> None:
    pinned(world).publish()
    other = World(tmp_path / "other")
    other.environment = world.environment
    IndexPublisher(world.environment, other.backend, world.store).publish(anew=True)
    found = status(world, service=nobody)
    assert codes(found)[0] == ("index.pin", "critical", None)
    assert ("crl.unverified", "warning", None) in codes(found)


def test_an_index_that_may_not_be_read_is_no_failure(world: World) -> None:
    pinned(world).publish()
    assert codes(status(world, store=Guarded(world.store, "index.json"))) == []
    found = status(world, store=Guarded(world.store, "index.json"), service=nobody)
    assert codes(found) == [("crl.unverified", "warning", None)]


def test_a_crl_that_may_not_be_read_is_a_finding_but_not_proof(world: World) -> None:
    world.publish()
    found = status(world, store=Guarded(world.store, "clients-g1.crl"))
    assert codes(found) == [("crl.unreadable", "critical", "clients-g1")]
    assert not found.unusable


def test_a_pointer_that_may_not_be_read_says_what_s3_does_not(world: World) -> None:
    with pytest.raises(AccessDenied) as caught:
        status(world, store=Guarded(world.store, "current.json"))
    assert "was anything ever published" in (caught.value.hint or "")


def test_a_ca_kept_elsewhere(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.publish(external=[company.crl("company-root"), company.crl("company-issuing", days=8)])
    assert codes(status(company)) == []
    company.later(days=6)
    company.backend.write("clients", 2)
    company.backend.write("root", 2)
    company.publish()
    assert codes(status(company)) == [("crl.expires-soon", "warning", "company-issuing-g1")]
    company.later(days=3)
    company.publish()
    assert codes(status(company)) == [("crl.not-brought", "warning", "company-issuing-g1")]


def test_an_expired_ca_is_named_and_its_crl_is_nobodys(world: World) -> None:
    world.publish()
    world.later(days=365 * 5 + 10)
    found = status(world)
    assert "clients-g1" not in {one.facts.name for one in found.authorities}
    assert any("expired" in one.reason for one in found.skipped)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (timedelta(days=3, hours=4, minutes=5), "3d 4h"),
        (timedelta(hours=4, minutes=5), "4h 5m"),
        (timedelta(minutes=5, seconds=1), "5m"),
        (timedelta(seconds=9), "9s"),
        (timedelta(), "0s"),
        (-timedelta(days=1, hours=1), "-1d 1h"),
    ],
)
def test_spans(time: timedelta, text: str) -> None:
    assert span(time) == text


def test_the_worst_comes_first(world: World) -> None:
    world.publish()
    world.backend.write("root", 2)
    world.later(days=5)
    world.backend.write("clients", 2)
    severities = [one.severity for one in status(world).findings]
    assert severities == sorted(severities, reverse=True)
    assert severities[0] is Severity.WARNING
