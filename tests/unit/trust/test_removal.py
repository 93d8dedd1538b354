"""A CA leaves a bundle only with consent while certificates below it live, or while nobody can tell."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from pkiops.clock import ManualClock, SeededRandomness
from pkiops.environment.models import Environment, Revocation, Trust
from pkiops.errors import AccessDenied, GuardRefused, VerificationFailed
from pkiops.ledger.interface import Entry, LedgerIntent, RevocationRecord
from pkiops.ledger.sqlite import SqliteLedger
from pkiops.trust.bundle import TrustBundle
from pkiops.trust.manifest import manifest_file
from pkiops.trust.removal import Removal, counted, find_removals, merged
from pkiops.trust.render import Choice, Destination, RenderOutcome, render_trust
from pkiops.trust.standing import Standing, parse_standing, read_standing, require_no_older_crl
from pkiops.x509.certificate import fingerprint, serial_hex
from pkiops.x509.san import parse_san
from tests import builders
from tests.builders import AT, Issued
from tests.fakes.authority import environment
from tests.seeded import seeded
from tests.unit.crl.world import World, with_bundle
from tests.unit.trust.test_bundle import Made, crl_of

DAY = timedelta(days=1)
Entries = Callable[[datetime], Iterable[Entry]]


class Estate:
    """CAs whose bundles were rendered, and the same environment with CAs of new keys: the old root leaves with the next rendering."""

    def __init__(self, folder: Path, env: Environment | None = None) -> None:
        self.old, self.new = World(folder / "old", env=env), World(folder / "new", env=env)
        self.to = folder / "out"
        self.clock = ManualClock(AT)
        self.asked_until = AT
        self.ledger = SqliteLedger(folder / "ledger.db", self.clock, SeededRandomness(1))
        self.old.publish()
        self.new.publish()
        self.render(self.old)

    def issue(self, name: str, world: World | None = None, *, days: int = 30, revoked: bool = False) -> None:
        cas = (world or self.old).backend.cas
        leaf = builders.end_entity(cas["clients"], name, not_after=AT + days * DAY).certificate
        chain = (leaf, cas["clients"].certificate, cas["root"].certificate)
        entry, _ = self.ledger.begin(intent(name, AT + days * DAY), 1)
        self.ledger.record_issued(entry.id, [one.public_bytes(Encoding.DER) for one in chain])
        if revoked:
            record = RevocationRecord(reason="superseded", at=AT, requester="me")
            self.ledger.record_revoked("test", "arn:ca", serial_hex(leaf.serial_number), record)

    def entries(self, end: datetime = AT + 9999 * DAY) -> Iterator[Entry]:
        self.asked_until = end
        return self.ledger.find_expiring("test", self.clock.now(), end)

    def render(
        self, world: World, *, entries: Entries | None = None, allow: bool = False, overwrite: bool = False
    ) -> RenderOutcome:
        destination = Destination(folder=self.to, location="/etc/trust", allow_removal=allow, overwrite=overwrite)
        return render_trust(
            world.environment,
            world.backend,
            world.store,
            destination,
            Choice(),
            at=world.clock.now(),
            live_entries=entries,
        )

    def refused(self, *, entries: Entries | None = None) -> GuardRefused:
        before = self.content()
        with pytest.raises(GuardRefused) as caught:
            self.render(self.new, entries=entries)
        assert self.content() == before, "nothing was written"
        assert (caught.value.exit_code, caught.value.code) == (9, "guard.removal")
        return caught.value

    def content(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in self.to.rglob("*") if path.is_file()}


def intent(name: str, not_after: datetime) -> LedgerIntent:
    return LedgerIntent(
        request_key=name.ljust(64, "0"),
        environment="test",
        authority="clients",
        generation=1,
        authority_reference="arn:ca",
        profile="service",
        policy_sha256="b" * 64,
        requester="arn:me",
        csr_sha256="c" * 64,
        spki_sha256="d" * 64,
        subject=(("common_name", name),),
        sans=(parse_san(f"dns:{name}"),),
        usages=("clientAuth",),
        template="t",
        not_before=AT,
        not_after=not_after,
    )


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    return Estate(tmp_path)


def test_what_lives_below_an_anchor_keeps_it_in_the_bundle(estate: Estate) -> None:
    for number in range(3):
        estate.issue(f"{number}.example.com", days=10 + number)
    estate.issue("other.example.com", estate.new, days=90)
    error = estate.refused(entries=estate.entries)
    assert "anchor root-g1" in error.message
    assert "3 live certificates are below it, the last until 2026-06-13T12:00:00Z" in error.message
    assert "--allow-removal" in str(error.hint)
    found = [(one["role"], one["live_certificates"]) for one in error.details["removals"]]
    assert found == [("anchor", 3), ("intermediate", 3)]


def test_the_ledger_is_asked_for_no_longer_than_the_cas_live(estate: Estate) -> None:
    estate.render(estate.new, entries=estate.entries, allow=True)
    ends = [one.certificate.not_valid_after_utc for one in estate.old.backend.cas.values()]
    assert estate.asked_until == max(ends) + timedelta(seconds=1)


def test_a_folder_that_claims_a_ca_for_ever_does_not_make_the_ledger_be_asked_for_ever(estate: Estate) -> None:
    for path in estate.to.rglob("MANIFEST.json"):
        document = json.loads(path.read_text())
        document["certificates"][0]["not_after"] = "9999-12-31T23:59:59Z"
        path.write_text(json.dumps(document))
    estate.render(estate.new, entries=estate.entries, allow=True)
    assert estate.asked_until < AT + timedelta(days=41 * 366)


def test_with_consent_it_goes_and_nobody_is_asked_again(estate: Estate) -> None:
    estate.issue("a.example.com")
    done = estate.render(estate.new, entries=estate.entries, allow=True)
    assert [(one.authority, one.live) for one in done.removals] == [("root-g1", 1), ("clients-g1", 1)]
    assert "1 live certificate is below it, the last until 2026-07-01T12:00:00Z" in done.removals[0].describe()
    again = estate.render(estate.new, entries=estate.entries)
    assert again.removals == ()
    assert {one.change for one in again.targets} == {"unchanged"}


def test_what_is_expired_revoked_or_below_another_keeps_nobody(estate: Estate) -> None:
    estate.issue("expired.example.com", days=1)
    estate.clock.advance(DAY)
    estate.new.clock.advance(DAY)
    estate.issue("revoked.example.com", revoked=True)
    estate.issue("other.example.com", estate.new)
    done = estate.render(estate.new, entries=estate.entries)
    assert [(one.authority, one.live, one.last) for one in done.removals] == [
        ("root-g1", 0, None),
        ("clients-g1", 0, None),
    ]
    assert "no live certificate is below it" in done.removals[0].describe()


def test_where_there_is_no_ledger_nobody_can_tell(estate: Estate) -> None:
    error = estate.refused()
    assert "not known" in error.message
    assert "there is no ledger here" in error.message
    assert error.details["removals"][0]["live_certificates"] is None
    done = estate.render(estate.new, allow=True)
    assert [one.live for one in done.removals] == [None, None]
    assert estate.render(estate.new).removals == ()


def test_a_ledger_that_may_not_be_read_tells_nothing(estate: Estate) -> None:
    def denied(end: datetime) -> Iterator[Entry]:
        estate.issue("a.example.com")
        yield from estate.entries(end)
        raise AccessDenied("Query: AccessDeniedException")

    error = estate.refused(entries=denied)
    assert "the ledger cannot be read (Query: AccessDeniedException)" in error.message
    assert estate.render(estate.new, entries=denied, allow=True).removals[0].live is None


def test_where_nothing_stands_nothing_leaves(estate: Estate, tmp_path: Path) -> None:
    estate.to = tmp_path / "elsewhere"
    assert estate.render(estate.new).removals == ()


def test_a_folder_of_somebody_else_is_compared_with_nothing(estate: Estate) -> None:
    for path in estate.to.rglob("MANIFEST.json"):
        path.unlink()
    with pytest.raises(GuardRefused, match="did not write"):
        estate.render(estate.new)
    assert estate.render(estate.new, overwrite=True).removals == ()


def test_every_bundle_goes_to_a_folder_of_its_own_and_keeps_its_own_anchors(estate: Estate) -> None:
    world = estate.old
    (bundle,) = world.environment.trust.bundles.values()
    both = {"edge": replace(bundle, revocation=Revocation.NONE), "services": bundle}
    world.environment = replace(world.environment, trust=Trust(bundles=both))
    done = estate.render(world)
    assert [(one.bundle.name, one.target, one.change) for one in done.targets] == [
        ("edge", "pem", "created"),
        ("edge", "nginx", "created"),
        ("services", "pem", "unchanged"),
        ("services", "nginx", "unchanged"),
    ]
    assert sorted(path.name for path in estate.to.iterdir()) == ["edge", "services"]
    estate.new.environment = world.environment
    with pytest.raises(GuardRefused) as caught:
        estate.render(estate.new)
    assert {one["bundle"] for one in caught.value.details["removals"]} == {"edge", "services"}


def test_a_bundle_of_another_environment_is_not_replaced(estate: Estate, tmp_path: Path) -> None:
    other = World(tmp_path / "prod", env=with_bundle(environment("prod")))
    other.publish()
    before = estate.content()
    with pytest.raises(GuardRefused, match="holds test/services/pem, not prod/services/pem") as caught:
        estate.render(other)
    assert caught.value.code == "guard.other-bundle"
    assert estate.content() == before
    assert estate.render(other, overwrite=True).removals == ()


def test_a_crl_never_goes_back(estate: Estate) -> None:
    world = estate.old
    world.backend.write("clients", 7)
    world.publish()
    estate.render(world)
    before = estate.content()
    stale = World(estate.to.parent / "stale")
    stale.backend.cas = world.backend.cas
    stale.backend.write("root", 1)
    stale.backend.write("clients", 6)
    stale.publish()
    with pytest.raises(VerificationFailed, match="number 6, but .* holds number 7") as caught:
        estate.render(stale)
    assert caught.value.code == "trust.crl-older"
    assert estate.content() == before


# -- what leaves, without a ledger ---------------------------------------------------------------------------------


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path, with_bundle(environment(), include_intermediates=True))


def standing(bundle: TrustBundle) -> Standing:
    document = json.loads(manifest_file(bundle, "pem", "/x", []).data)
    return parse_standing(document, "m")


def leaving(before: TrustBundle, after: TrustBundle, at: datetime = AT) -> list[tuple[str, str]]:
    return [(one.role, one.authority) for one in find_removals(standing(before), after, at)]


def test_nothing_leaves_a_bundle_that_stays(made: Made) -> None:
    assert leaving(made.build(), made.build()) == []


def test_a_root_without_a_key_identifier_stays_as_well(tmp_path: Path) -> None:
    """Roots kept elsewhere may be older than RFC 5280; their CRLs name the key all the same."""
    made = Made(tmp_path)
    renew(made, "root", None, without=[x509.SubjectKeyIdentifier])
    made.crls["root-g1"] = crl_of("root-g1", made.cas["root"])
    assert made.build().crls[0].name == "root-g1"
    assert leaving(made.build(), made.build()) == []
    without = replace(made.build(), anchors=(), members=(), crls=())
    assert {authority for _, authority in leaving(made.build(), without)} == {"root-g1", "clients-g1"}


def renew(made: Made, label: str, issuer: Issued | None, **more: Any) -> Issued:
    """The CA again, its key kept."""
    own = made.cas[label]
    since = AT - 3 * DAY
    if issuer is None:
        made.cas[label] = builders.root_ca(own.name, private_key=own.key, not_before=since, **more)
    else:
        made.cas[label] = builders.subordinate_ca(issuer, own.name, private_key=own.key, not_before=since, **more)
    made.authorities = [
        replace(one, chain=tuple(made.cas[name].certificate for name in names))
        for one, names in zip(made.authorities, (("root",), ("clients", "root")), strict=True)
    ]
    return own


def test_a_ca_that_was_renewed_with_its_key_stays(made: Made) -> None:
    before = made.build()
    renew(made, "root", None)
    renew(made, "clients", made.cas["root"])
    assert leaving(before, made.build()) == []


def test_an_expired_ca_leaves_without_a_word(made: Made) -> None:
    before = made.build()
    ends = before.anchors[0].certificate.not_valid_after_utc
    after = replace(before, anchors=(), intermediates=(), members=(), revocation=Revocation.NONE)
    assert leaving(before, after) == [("anchor", "root-g1"), ("intermediate", "clients-g1")]
    assert leaving(before, after, ends - timedelta(seconds=1)) == [("anchor", "root-g1")]
    assert leaving(before, after, ends) == []


def test_an_intermediate_that_clients_may_lean_on_is_missed(made: Made) -> None:
    before = made.build()
    made.environment = with_bundle(made.environment, include_intermediates=False)
    assert leaving(before, made.build()) == [("intermediate", "clients-g1")]


def test_a_revoked_intermediate_leaves_without_a_word(made: Made) -> None:
    before = made.build()
    made.crls["root-g1"] = crl_of("root-g1", made.cas["root"], revoked={made.cas["clients"].serial: None})
    assert leaving(before, made.build()) == []


def test_a_ca_whose_crl_leaves_is_missed_while_that_crl_is_current(tmp_path: Path) -> None:
    made = Made(tmp_path)
    made.add("clients", builders.subordinate_ca(made.cas["root"], "Second"), made.cas["root"], generation=2)
    before = made.build()
    made.authorities.pop()
    after = made.build()
    assert leaving(before, after) == [("intermediate", "clients-g2")]
    assert leaving(before, after, AT + 8 * DAY) == [], "nobody got in with it any more"
    made.environment = with_bundle(made.environment, revocation=Revocation.NONE)
    assert leaving(before, made.build()) == [], "who checks no CRLs needs none"


def test_what_is_below_a_revoked_ca_does_not_live(tmp_path: Path) -> None:
    estate = Estate(tmp_path)
    estate.issue("a.example.com")
    made = Made(tmp_path / "made")
    root, clients = estate.old.backend.cas["root"], estate.old.backend.cas["clients"]
    removal = Removal(
        bundle="b", authority="clients-g1", role="intermediate", subject="", sha256=None, ski=None, not_after=None
    )
    removal = replace(removal, sha256=fingerprint(clients.certificate))
    assert counted([removal], [made.build()], estate.entries(), AT)[0].live == 1
    revoking = crl_of("root-g1", root, revoked={clients.serial: None})
    bundle = made.build()
    bundle = replace(bundle, crls=(replace(bundle.crls[0], checked=revoking),))
    assert counted([removal], [bundle], estate.entries(), AT)[0].live == 0


def test_a_ca_that_leaves_several_targets_is_told_once() -> None:
    one = Removal(bundle="b", authority="root-g1", role="anchor", subject="CN=R", sha256="aa", ski="bb", not_after=None)
    crl = replace(one, role="intermediate", sha256=None)
    assert merged([crl, one, one, replace(one, bundle="a")]) == (replace(one, bundle="a"), one)


# -- a hostile manifest ----------------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
CERTIFICATE = {
    "authority": "root-g1",
    "role": "anchor",
    "subject": "CN=R",
    "sha256": "a" * 64,
    "ski": "ab" * 20,
    "not_after": "2036-01-01T00:00:00Z",
}
CRL = {"authority": "root-g1", "issuer": "CN=R", "aki": "ab" * 20, "number": 1, "next_update": "2036-01-01T00:00:00Z"}


@seeded(200)
@given(st.sampled_from(sorted(CERTIFICATE)), st.sampled_from(sorted(CRL)), _JSON, _JSON)
def test_whatever_a_manifest_says_it_is_taken_or_refused(own: str, of_crl: str, one: object, other: object) -> None:
    for document in (
        {"certificates": [{**CERTIFICATE, own: one}], "crls": [{**CRL, of_crl: other}]},
        {"certificates": one, "crls": other},
        {"certificates": [one], "crls": [other]},
    ):
        try:
            found = parse_standing(document, "m")
        except VerificationFailed:
            continue
        for certificate in found.certificates:
            assert certificate.not_after.tzinfo is not None
            assert len(certificate.subject) <= 4096
        for crl in found.crls:
            assert crl.number >= 0


@pytest.mark.parametrize(
    "change",
    [
        {"certificates": [{**CERTIFICATE, "sha256": "../../etc"}]},
        {"certificates": [{**CERTIFICATE, "authority": "root-g1; rm"}]},
        {"certificates": [CERTIFICATE] * 3000},
        {"crls": [{**CRL, "number": 1 << 200}]},
        {"crls": [{**CRL, "number": True}]},
        {"crls": "none"},
    ],
)
def test_a_manifest_that_hides_what_was_there_stops_the_rendering(estate: Estate, change: dict[str, Any]) -> None:
    path = estate.to / "services" / "pem" / "MANIFEST.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(GuardRefused, match="nobody can tell") as caught:
        estate.render(estate.old)
    assert caught.value.code == "guard.damaged-manifest"
    assert estate.render(estate.old, overwrite=True).removals == ()


def test_what_a_manifest_says_is_printed_without_its_control_characters(estate: Estate) -> None:
    path = estate.to / "services" / "pem" / "MANIFEST.json"
    document = json.loads(path.read_text())
    document["certificates"].append({**CERTIFICATE, "subject": "CN=\x1b[31m\nred"})
    path.write_text(json.dumps(document))
    (removal,) = estate.render(estate.old, allow=True).removals
    assert removal.describe().isprintable()


def test_a_link_in_place_of_the_folder_is_not_read(estate: Estate, tmp_path: Path) -> None:
    bundle = Made(tmp_path / "made").build()
    link = tmp_path / "link"
    link.symlink_to(estate.to / "services" / "pem")
    assert read_standing(link, bundle, "pem", overwrite=False) is None
    found = read_standing(estate.to / "services" / "pem", bundle, "pem", overwrite=False)
    assert found is not None
    require_no_older_crl(found, bundle, link)
