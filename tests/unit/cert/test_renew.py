"""When a certificate is due, and that its renewal is one request."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.cert.order import Issued
from pkiops.cert.renew import renewal_order, to_renew
from pkiops.cert.renew_due import DueRule
from pkiops.errors import GuardRefused, InputError, PolicyDenied, VerificationFailed
from pkiops.ledger.interface import RevocationRecord
from pkiops.policy.rules import FromRequest, SubjectRule
from pkiops.x509.algorithms import KeyAlgorithm
from pkiops.x509.certificate import fingerprint, view
from pkiops.x509.duration import Duration
from pkiops.x509.keys import PrivateKey, generate_private_key
from tests import builders
from tests.fakes.authority import environment, profile
from tests.forged import self_signed
from tests.unit.cert.setting import AT, Setting, order

ROOT = builders.root_ca()
NAME = "orders.svc.test.example.com"


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


def leaf(number: int = 0, days: int = 30) -> builders.Issued:
    return builders.end_entity(ROOT, f"n{number}", not_before=AT, not_after=AT + timedelta(days=days))


class TestDue:
    @pytest.mark.parametrize(
        ("when", "days"), [(None, 20), ("50%", 15), ("90%", 27), ("10d", 20), ("48h", 28), ("31d", -1)]
    )
    def test_by_part_of_the_life_or_by_what_is_left(self, when: str | None, days: int) -> None:
        assert DueRule.parse(when, "0%").moment(leaf().certificate) == AT + timedelta(days=days)

    def test_jitter_is_earlier_by_a_part_of_the_life_and_follows_from_the_certificate(self) -> None:
        rule = DueRule.parse("80%", "10%")
        certificates = [leaf(number).certificate for number in range(40)]
        moments = [rule.moment(one) for one in certificates]
        assert moments == [rule.moment(one) for one in certificates]
        assert all(AT + timedelta(days=21) <= one <= AT + timedelta(days=24) for one in moments)
        # over the days, not on one of them
        assert len({(one - AT).days for one in moments}) == 3
        assert len(set(moments)) > 35

    def test_the_window_of_the_profile_counts_unless_something_is_said(self) -> None:
        window = Duration(10, "d")
        opens = AT + timedelta(days=20, seconds=1)
        assert DueRule.parse(None, "0%").moment(leaf().certificate, window) == opens
        assert DueRule.parse("50%", "0%").moment(leaf().certificate, window) == opens
        assert DueRule.parse("5d", "0%").moment(leaf().certificate, window) == AT + timedelta(days=25)

    def test_the_jitter_never_leads_before_the_window_nor_near_the_end(self) -> None:
        window = Duration(2, "d")
        moments = [DueRule.parse(None, "50%").moment(leaf(number).certificate, window) for number in range(40)]
        assert all(AT + timedelta(days=28) < one <= AT + timedelta(days=29, seconds=1) for one in moments)
        assert len(set(moments)) > 10

    def test_what_it_is_unless_said(self) -> None:
        rule = DueRule.parse(None, None)
        assert (rule.part, rule.left, rule.jitter) == (Fraction(2, 3), None, Fraction(1, 20))

    @pytest.mark.parametrize(
        ("when", "jitter"),
        [("soon", None), ("100%", None), ("1y", None), ("10", None), (None, "51%"), (None, "1d"), ("-1%", None)],
    )
    def test_what_is_no_rule(self, when: str | None, jitter: str | None) -> None:
        with pytest.raises(InputError) as caught:
            DueRule.parse(when, jitter)
        assert caught.value.exit_code == 2


def renew(setting: Setting, old: Issued, key: PrivateKey) -> Issued:
    found = to_renew(setting.issuance(), old.certificate, "a.pem")
    return setting.issuance().issue(renewal_order(setting.environment, found, key, setting.clock))


def test_the_next_one_has_names_profile_and_key_of_the_old(setting: Setting) -> None:
    key = generate_private_key(KeyAlgorithm.EC_prime256v1)
    old = setting.issuance().issue(order(builders.csr(private_key=key)))
    setting.clock.advance(timedelta(days=3))
    new = renew(setting, old, key)
    before, after = view(old.certificate), view(new.certificate)
    assert (after.subject, after.sans, after.spki_sha256) == (before.subject, before.sans, before.spki_sha256)
    assert new.entry.profile == "service"
    assert after.not_after == AT + timedelta(days=33)


def test_whoever_renews_it_with_the_same_key_gets_the_same(setting: Setting) -> None:
    key = generate_private_key(KeyAlgorithm.EC_prime256v1)
    old = setting.issuance().issue(order(builders.csr(private_key=key)))
    setting.clock.advance(timedelta(days=25))
    first = renew(setting, old, key)
    setting.clock.advance(timedelta(minutes=10))
    second = renew(setting, old, key)
    assert fingerprint(first.certificate) == fingerprint(second.certificate)
    assert second.from_ledger
    # the renewal of that one is another request, and so is one with another key
    third = renew(setting, first, key)
    fourth = renew(setting, old, generate_private_key(KeyAlgorithm.EC_prime256v1))
    assert len({fingerprint(one.certificate) for one in (old, first, third, fourth)}) == 4
    assert len(setting.backend.made) == 4


def test_what_the_profile_no_longer_grants_is_not_renewed(setting: Setting) -> None:
    key = generate_private_key(KeyAlgorithm.EC_prime256v1)
    old = setting.issuance().issue(order(builders.csr(private_key=key)))
    found = to_renew(setting.issuance(), old.certificate, "a.pem")
    rules = replace(profile(), san=replace(profile().san, dns=("*.other.example.com",)))
    with pytest.raises(PolicyDenied):
        renewal_order(environment(profiles={"service": rules}), found, key, setting.clock)
    fixed = replace(profile(), subject=replace(profile().subject, common_name="one name"))
    csr = renewal_order(environment(profiles={"service": fixed}), found, key, setting.clock).csr
    assert b"REQUEST" in csr
    with pytest.raises(InputError):
        renewal_order(environment(profiles={"other": profile()}), found, key, setting.clock)


def test_the_profile_is_that_of_the_ledger_or_what_is_said(setting: Setting) -> None:
    old = setting.issuance().issue(order())
    assert to_renew(setting.issuance(), old.certificate, "a.pem").profile == "service"
    assert to_renew(setting.issuance(), old.certificate, "a.pem", profile="dual").profile == "dual"
    with pytest.raises(InputError, match="does not know"):
        to_renew(setting.issuance(), leaf().certificate, "a.pem")


def test_what_the_ledger_does_not_know_is_of_the_profiles_ca_or_refused(setting: Setting, tmp_path: Path) -> None:
    """Anybody can make a certificate for any name; a person who names a profile does not vouch for it."""
    for stranger in (self_signed("admin.svc.test.example.com")[0], leaf().certificate):
        with pytest.raises(VerificationFailed) as caught:
            to_renew(setting.issuance(), stranger, "a.pem", profile="service")
        assert caught.value.code == "cert.not-ours"
    ours = setting.issuance().issue(order()).certificate
    other = tmp_path / "other"
    other.mkdir()
    elsewhere = setting.issuance(ledger=Setting(other).ledger)
    assert to_renew(elsewhere, ours, "a.pem", profile="dual").entry is None
    # of the root, not of the CA of the profile
    rules = replace(profile(), authority="root")
    with pytest.raises(VerificationFailed, match="another CA issued it"):
        to_renew(
            replace(elsewhere, environment=environment(profiles={"service": rules})), ours, "a.pem", profile="service"
        )
    setting.clock.advance(timedelta(days=31))
    with pytest.raises(VerificationFailed):
        to_renew(elsewhere, ours, "a.pem", profile="service")


def test_what_the_ledger_knows_as_another_cas_or_as_wrong_is_refused(setting: Setting) -> None:
    old = setting.issuance().issue(order())
    moved = environment(profiles={"service": replace(profile(), authority="root")})
    with pytest.raises(GuardRefused) as caught:
        to_renew(setting.issuance(environment=moved), old.certificate, "a.pem")
    assert caught.value.code == "cert.other-authority"
    prepared = setting.issuance().prepare(
        order(builders.csr(private_key=generate_private_key(KeyAlgorithm.EC_prime256v1)))
    )
    entry, _ = setting.ledger.begin(prepared.record, 1)
    setting.ledger.record_reference(entry.id, "r")
    wrong = leaf().certificate
    setting.ledger.record_failed(entry.id, "cert.not-as-asked", "other names", reference="r", chain=[der(wrong)])
    with pytest.raises(GuardRefused) as caught:
        to_renew(setting.issuance(), wrong, "a.pem", profile="service")
    assert caught.value.code == "cert.not-as-asked"


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def test_what_is_not_renewed_here(setting: Setting) -> None:
    with pytest.raises(InputError) as caught:
        to_renew(setting.issuance(), ROOT.certificate, "root.pem", profile="service")
    assert caught.value.code == "cert.is-a-ca"
    old = setting.issuance().issue(order())
    with pytest.raises(InputError) as caught:
        to_renew(setting.issuance(environment=environment("prod")), old.certificate, "a.pem")
    assert caught.value.code == "cert.other-environment"


def test_a_revoked_one_is_known_as_such(setting: Setting) -> None:
    old = setting.issuance().issue(order())
    record = RevocationRecord(reason="superseded", at=AT, requester="me")
    setting.ledger.record_revoked("test", str(old.entry.authority_reference), str(old.entry.serial), record)
    assert to_renew(setting.issuance(), old.certificate, "a.pem").is_revoked


def test_what_the_profile_takes_from_requests_is_asked_for_again(setting: Setting) -> None:
    teams = FromRequest(source="request", patterns=("Team *",))
    rules = replace(profile(), subject=SubjectRule(organization="Example Ltd", organizational_unit=teams))
    key = builders.key()
    csr = builders.csr({"organizational_unit": "Team blue"}, sans=("dns:a.svc.test.example.com",), private_key=key)
    changed = environment(profiles={"service": rules})
    issued = setting.issuance(environment=changed).issue(order(csr))
    found = to_renew(setting.issuance(environment=changed), issued.certificate, "a.pem")
    again = setting.issuance(environment=changed).issue(renewal_order(changed, found, key, setting.clock))
    assert again.certificate.subject == issued.certificate.subject
    assert "Team blue" in again.certificate.subject.rfc4514_string()
