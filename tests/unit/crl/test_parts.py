"""CRLs in parts: published with all of their parts or not at all, read back by name, and never taken for a complete one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.backends.interface import AuthorityStatus, ObservedAuthority
from pkiops.clock import ManualClock
from pkiops.crl.check import check_crl
from pkiops.crl.manifest import CrlRecord, decode_manifest, encode_manifest, record_of
from pkiops.crl.parts import MAX_PARTS, require_not_too_many
from pkiops.crl.read import read_current, read_pointer, read_records
from pkiops.crl.status import Thresholds, judge
from pkiops.crl.status_facts import CrlStatus, Severity
from pkiops.crl.status_read import StatusReader
from pkiops.environment.models import Environment
from pkiops.errors import GuardRefused, PkiopsError, VerificationFailed
from pkiops.ledger.interface import Entry, EntryState
from pkiops.trust.bundle import build_bundle
from pkiops.trust.render import published_crls
from tests import builders
from tests.fakes.authority import reference_of
from tests.unit.crl.world import CrlAuthorities, World

URL = "http://pki.test.example.com/crl/{}.crl"
A, B, C = (f"0f8fad5b-d9cb-469f-a165-70867728950{one}" for one in "abc")


def part(issuer: builders.Issued, url: str, number: int = 10, *, at: datetime = builders.AT, **more: object) -> bytes:
    """A part for the certificates that name ``url``."""
    settings = {"critical": True, "user": False, "revoked": None, "next_update": None} | more
    names = [x509.UniformResourceIdentifier(url)]
    point = x509.IssuingDistributionPoint(names, None, bool(settings["user"]), False, None, False, False)
    return builders.crl(
        issuer,
        at=at,
        number=number,
        revoked=settings["revoked"],  # type: ignore[arg-type]
        next_update=settings["next_update"],  # type: ignore[arg-type]
        extra=[builders.Extra(point, critical=bool(settings["critical"]))],
    ).public_bytes(Encoding.DER)


class InParts(CrlAuthorities):
    """``clients`` writes its CRL in parts; ``parts`` is what lies in the folder, by file name."""

    def __init__(self, env: Environment, clock: ManualClock) -> None:
        super().__init__(env, clock)
        self.in_parts = True
        self.parts: dict[str, bytes] = {}

    def put(self, name: str, number: int = 10, **more: object) -> None:
        url = URL.format(name)
        self.parts[f"{name}.crl"] = part(self.cas["clients"], url, number, at=self._clock.now(), **more)

    def fetch_crl_parts(self, authority: ObservedAuthority) -> Iterator[tuple[str, bytes]]:
        assert authority.reference == reference_of("clients")
        yield from sorted(self.parts.items())

    def _observed(self, label: str, *, tagged: bool) -> ObservedAuthority:
        observed = super()._observed(label, tagged=tagged)
        if label != "clients" or not self.in_parts or observed.crl is None:
            return observed
        return replace(observed, crl=replace(observed.crl, complete=False))


class PartsWorld(World):
    """A world whose ``clients`` has the parts A and B; the complete CRL of before is not in the folder."""

    backend: InParts

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.backend = InParts(self.environment, self.clock)
        self.backend.put(A)
        self.backend.put(B, 11, revoked={5: None})
        self.backend.crls["clients"] = None

    def records(self) -> dict[str, CrlRecord]:
        """The published records by the file that their URL ends in; of complete ones by their name."""
        pointer = read_pointer(self.store, "test")
        assert pointer is not None
        records = read_records(self.store, "test", pointer.manifest_sha256)
        return {one.scope.rpartition("/")[2] if one.scope else one.name: one for one in records}

    def status(self) -> CrlStatus:
        reader = StatusReader(self.environment, self.store, lambda: self.backend, self.clock.now)
        return judge(reader.read(), self.clock.now(), Thresholds())


@pytest.fixture
def world(tmp_path: Path) -> PartsWorld:
    return PartsWorld(tmp_path)


def refused(world: PartsWorld) -> str:
    """The code with which publishing is refused; nothing changes then."""
    before = world.store.list_keys("")
    with pytest.raises(PkiopsError) as caught:
        world.publish()
    assert world.store.list_keys("") == before
    return caught.value.code


def test_all_parts_are_published_each_with_its_scope_and_number(world: PartsWorld) -> None:
    outcome = world.publish()
    assert outcome.moved
    records = world.records()
    assert {name: one.number for name, one in records.items()} == {"root-g1": 1, f"{A}.crl": 10, f"{B}.crl": 11}
    folder = f"test/crl/{outcome.manifest_sha256}/"
    for name in (A, B):
        record = records[f"{name}.crl"]
        assert (record.ca, record.scope) == ("clients-g1", URL.format(name))
        found = world.store.get(folder + record.der_file, max_bytes=10_000)
        assert found is not None
        assert found.data == world.backend.parts[f"{name}.crl"]
        assert record.der_file == f"{record.name}.crl"
    together = world.store.get(folder + "crl.pem", max_bytes=100_000)
    assert together is not None
    assert together.data.count(b"-----BEGIN X509 CRL-----") == 3
    manifest = world.store.get(folder + "manifest.json", max_bytes=100_000)
    assert manifest is not None
    assert json.loads(manifest.data)["format_version"] == "1.1"
    assert not world.publish().moved


def test_a_manifest_without_parts_is_what_it_always_was() -> None:
    ca = builders.root_ca()
    record = record_of("root", 1, check_crl(builders.crl(ca), ca.certificate, "crl", at=builders.AT))
    data = encode_manifest("test", [record])
    assert json.loads(data)["format_version"] == "1.0"
    assert set(json.loads(data)["crls"][0]) == {
        *("authority", "generation", "issuer", "aki", "number", "this_update", "next_update", "entries", "sha256"),
        *("der", "pem"),
    }
    assert decode_manifest(data, "test", "manifest") == (record,)
    with_part = replace(record, scope=URL.format(A))
    assert decode_manifest(encode_manifest("test", [record, with_part]), "test", "manifest") == (record, with_part)
    for wrong in (data.replace(b'"1.0"', b'"1.1"'), encode_manifest("test", [with_part]).replace(b'"1.1"', b'"1.0"')):
        with pytest.raises(VerificationFailed):
            decode_manifest(wrong, "test", "manifest")
    for scope in ("ftp://a/b.crl", "http://a/\n.crl", "", "http://" + "a" * 3000):
        with pytest.raises(VerificationFailed):
            decode_manifest(encode_manifest("test", [replace(record, scope=scope)]), "test", "manifest")


def test_parts_move_by_themselves_and_none_goes_back(world: PartsWorld) -> None:
    first = world.publish()
    world.backend.put(A, 12)
    world.backend.put(C, 12)
    second = world.publish()
    changes = {one.record.scope: one.change for one in second.records if one.record.scope}
    assert changes == {URL.format(A): "updated", URL.format(B): "unchanged", URL.format(C): "new"}
    assert second.previous_sha256 == first.manifest_sha256
    world.backend.put(B, 10)
    assert refused(world) == "crl.number-went-back"
    world.backend.put(B, 11, revoked={5: None, 6: None})
    assert refused(world) == "crl.number-reused"


def test_a_part_that_is_missing_stops_the_set_until_somebody_consents(world: PartsWorld) -> None:
    world.publish()
    lost = world.backend.parts.pop(f"{B}.crl")
    with pytest.raises(GuardRefused, match=B) as caught:
        world.publish()
    assert (caught.value.code, caught.value.details) == ("crl.partitions-incomplete", {"parts": [URL.format(B)]})
    assert set(world.records()) == {"root-g1", f"{A}.crl", f"{B}.crl"}
    world.backend.parts[f"{B}.crl"] = lost
    assert not world.publish().moved
    del world.backend.parts[f"{B}.crl"]
    assert world.publish(allow_removal=True).moved
    assert set(world.records()) == {"root-g1", f"{A}.crl"}


def test_a_part_that_ran_out_may_go(world: PartsWorld) -> None:
    world.backend.put(B, 11, next_update=world.clock.now() + timedelta(hours=2))
    world.publish()
    world.later(hours=3)
    assert refused(world) == "crl.expired"
    del world.backend.parts[f"{B}.crl"]
    assert world.publish().moved


def test_no_part_at_all_is_a_missing_crl_unless_nothing_was_issued(world: PartsWorld) -> None:
    kept = dict(world.backend.parts)
    world.backend.parts.clear()
    assert refused(world) == "crl.missing"
    # beside a set that is published, one that has issued nothing does not count yet
    world.backend.status["clients"] = AuthorityStatus.PENDING_CERTIFICATE
    world.publish()
    world.backend.status["clients"] = AuthorityStatus.ACTIVE
    assert [one.name for one in world.publish().skipped] == ["clients-g1"]
    assert [one.code for one in world.status().findings] == ["crl.awaited"]
    with pytest.raises(VerificationFailed) as caught:
        world.publish(entries=lambda: [issued(world, URL.format(A))])
    assert caught.value.code == "crl.missing"
    world.backend.parts = kept
    assert [one.code for one in world.status().findings] == ["crl.not-in-set"]
    assert world.publish().moved


def test_crls_of_others_in_the_folder_do_not_count(world: PartsWorld) -> None:
    cas = world.backend.cas
    world.backend.parts["0.crl"] = builders.crl(cas["root"], at=world.clock.now()).public_bytes(Encoding.DER)
    other = builders.subordinate_ca(cas["root"], cas["clients"].name, at=world.clock.now())
    world.backend.parts[f"{C}.crl"] = part(other, URL.format(C))
    world.publish()
    assert set(world.records()) == {"root-g1", f"{A}.crl", f"{B}.crl"}


def unusable(world: PartsWorld) -> dict[str, tuple[str, bytes, str]]:
    clients, at = world.backend.cas["clients"], world.clock.now()
    forged = builders.Issued(clients.certificate, builders.key())
    names = [x509.UniformResourceIdentifier(URL.format(name)) for name in (C, "more")]
    two = x509.IssuingDistributionPoint(names, None, False, False, None, False, False)
    nameless = x509.IssuingDistributionPoint(None, None, True, False, None, False, False)

    def with_point(point: x509.IssuingDistributionPoint) -> bytes:
        extra = [builders.Extra(point, critical=True)]
        return builders.crl(clients, at=at, number=12, extra=extra).public_bytes(Encoding.DER)

    return {
        "forged": (C, builders.crl(clients, at=at, signer=forged.key).public_bytes(Encoding.DER), "crl.signature"),
        "of another URL": (C, part(clients, URL.format("elsewhere")), "crl.parts-misplaced"),
        "another part's": (C, world.backend.parts[f"{A}.crl"], "crl.parts-misplaced"),
        "not http": (C, part(clients, f"ldap://x/{C}.crl"), "crl.parts-misplaced"),
        "control characters": (C, part(clients, f"http://x/\r\n/{C}.crl"), "crl.parts-misplaced"),
        "not critical": (C, part(clients, URL.format(C), critical=False), "crl.scope"),
        "users only": (C, part(clients, URL.format(C), user=True), "crl.scope"),
        "two URLs": (C, with_point(two), "crl.scope"),
        "no URL": (C, with_point(nameless), "crl.scope"),
        "expired": (C, part(clients, URL.format(C), next_update=at - timedelta(seconds=1)), "crl.expired"),
        "complete": (C, builders.crl(clients, at=at, number=12).public_bytes(Encoding.DER), "crl.parts-unscoped"),
        "empty": (C, b"", "crl.not-pem"),
        "cut off": (C, part(clients, URL.format(C))[:-5], "crl.truncated"),
        "a certificate": (C, clients.certificate.public_bytes(Encoding.PEM), "crl.certificate-inside"),
        "a page": (C, b"<html>403</html>", "crl.not-pem"),
    }


CASES = ("forged", "of another URL", "another part's", "not http", "control characters", "not critical", "users only")
MORE = ("two URLs", "no URL", "expired", "complete", "empty", "cut off", "a certificate", "a page")


@pytest.mark.parametrize("case", [*CASES, *MORE])
def test_a_part_that_must_not_be_handed_out_stops_the_whole_set(world: PartsWorld, case: str) -> None:
    world.publish()
    name, data, code = unusable(world)[case]
    world.backend.parts[f"{name}.crl"] = data
    assert refused(world) == code


def test_two_complete_ones_where_parts_should_be_are_refused(world: PartsWorld) -> None:
    clients, at = world.backend.cas["clients"], world.clock.now()
    whole = builders.crl(clients, at=at).public_bytes(Encoding.DER)
    world.backend.parts = {"one.crl": whole, "other.crl": whole}
    assert refused(world) == "crl.parts-misplaced"


def test_too_many_parts_are_refused() -> None:
    ca = builders.root_ca()
    record = record_of("root", 1, check_crl(builders.crl(ca), ca.certificate, "crl", at=builders.AT))
    parts = [replace(record, scope=URL.format(number)) for number in range(MAX_PARTS)]
    require_not_too_many("test", [record, *parts])
    manifest = encode_manifest("test", [record, *parts])
    assert len(decode_manifest(manifest, "test", "manifest")) == MAX_PARTS + 1
    with pytest.raises(VerificationFailed) as caught:
        require_not_too_many("test", [*parts, replace(record, scope=URL.format("more"))])
    assert caught.value.code == "crl.parts-too-many"


def issued(world: PartsWorld, url: str | None, *, days: int = 30) -> Entry:
    """What the ledger knows of a certificate that names this URL."""
    made = builders.end_entity(
        world.backend.cas["clients"], crl_urls=[url] if url else [], not_after=world.clock.now() + timedelta(days=days)
    )
    return Entry(
        id="1",
        state=EntryState.ISSUED,
        created_at=world.clock.now(),
        updated_at=world.clock.now(),
        environment="test",
        profile="service",
        authority_reference=reference_of("clients"),
        serial=f"{made.serial:x}",
        not_after=made.certificate.not_valid_after_utc,
        chain=(made.certificate.public_bytes(Encoding.DER),),
    )


def test_certificates_that_the_ledger_knows_need_their_part(world: PartsWorld) -> None:
    fine = [issued(world, URL.format(A)), issued(world, URL.format(C), days=-1), issued(world, None)]
    assert world.publish(entries=lambda: fine).moved
    lacking = [*fine, issued(world, URL.format(C))]
    with pytest.raises(VerificationFailed, match=f"1 certificates .*{C}") as caught:
        world.publish(entries=lambda: lacking)
    assert caught.value.code == "crl.partitions-incomplete"
    world.backend.put(C)
    assert world.publish(entries=lambda: lacking).moved


def test_from_complete_to_parts_and_back(world: PartsWorld) -> None:
    world.backend.in_parts = False
    world.backend.write("clients", 5)
    world.publish()
    # the file says parts now, and the CA has written none yet: what it wrote before speaks for all it has issued
    world.backend.in_parts = True
    kept = dict(world.backend.parts)
    whole = world.backend.crls["clients"]
    assert whole is not None
    world.backend.parts = {"ca-id.crl": whole}
    assert not world.publish(entries=lambda: [issued(world, URL.format("ca-id"))]).moved
    (clients,) = [one.facts for one in world.status().authorities if one.facts.name == "clients-g1"]
    assert (clients.own is not None and clients.own.number, world.status().findings) == (5, ())
    world.backend.parts = kept
    (said,) = world.status().findings
    assert (said.code, "in parts now" in said.message) == ("crl.own-invalid", True)
    with pytest.raises(GuardRefused, match="complete CRL of test/ca/clients-g1") as caught:
        world.publish()
    assert caught.value.code == "crl.removal"
    assert world.publish(allow_removal=True).moved
    # back again: a complete CRL follows its parts by itself, an older one does not
    world.backend.in_parts = False
    world.backend.write("clients", 10)
    assert refused(world) == "crl.number-went-back"
    world.backend.write("clients", 11)
    assert world.publish().moved
    assert set(world.records()) == {"root-g1", "clients-g1"}


def test_a_bundle_says_that_it_needs_a_complete_one(world: PartsWorld) -> None:
    world.publish()
    crls = published_crls(world.environment, world.known(), world.store, at=world.clock.now())
    assert set(crls) == {"root-g1"}
    with pytest.raises(VerificationFailed, match="in parts") as caught:
        build_bundle(world.environment, "services", world.known(), crls, at=world.clock.now())
    assert (caught.value.code, "COMPLETE" in str(caught.value.hint)) == ("trust.crl-in-parts", True)
    found = read_current(world.store, "test", world.known(), at=world.clock.now())
    assert found is not None
    assert set(found.crls) == {"root-g1"}


def test_status_looks_at_each_part(world: PartsWorld) -> None:
    world.publish()
    records = world.records()
    status = world.status()
    assert [one.facts.name for one in status.authorities] == [
        "root-g1",
        *(records[f"{name}.crl"].name for name in sorted((A, B), key=URL.format)),
    ]
    assert all(one.state == "ok" and one.facts.published and one.facts.published.verified for one in status.authorities)
    pointer = read_pointer(world.store, "test")
    assert pointer is not None
    key = f"test/crl/{pointer.manifest_sha256}/{records[f'{B}.crl'].der_file}"
    world.store.put(key, world.backend.parts[f"{A}.crl"])
    assert [(one.code, one.authority) for one in world.status().findings if one.unusable] == [
        ("crl.set-damaged", records[f"{B}.crl"].name)
    ]
    world.later(days=8)
    expired = {one.authority for one in world.status().findings if one.code == "crl.expired"}
    assert records[f"{A}.crl"].name in expired


def test_a_part_that_nobody_publishes_is_an_alarm_after_a_while(world: PartsWorld) -> None:
    world.publish()
    assert world.status().findings == ()
    world.backend.put(C)
    assert [(one.code, one.severity) for one in world.status().findings] == [("crl.publisher-behind", Severity.INFO)]
    world.clock.advance(timedelta(hours=3))
    (said,) = world.status().findings
    assert (said.code, said.severity) == ("crl.not-in-set", Severity.CRITICAL)
    del world.backend.parts[f"{A}.crl"], world.backend.parts[f"{C}.crl"]
    (said,) = world.status().findings
    assert (said.code, URL.format(A) in said.message) == ("crl.own-invalid", True)
    world.backend.parts[f"{A}.crl"] = b"no CRL"
    assert [one.code for one in world.status().findings] == ["crl.own-invalid"]
