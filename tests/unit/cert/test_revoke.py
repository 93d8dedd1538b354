"""Revoking: the right CA is asked, contradictions are refused, and it is in the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pkiops.backends.interface import RevocationReason
from pkiops.cert.report import revoked_json
from pkiops.cert.revoke import Revocation
from pkiops.errors import GuardRefused, InputError, InvalidState, NotFound, NotSupported, PolicyDenied
from pkiops.ledger.interface import EntryState, LedgerIntent
from pkiops.x509.certificate import fingerprint, serial_hex
from pkiops.x509.duration import Duration
from tests import builders
from tests.unit.cert.setting import AT, Setting, order

REASON = RevocationReason.KEY_COMPROMISE


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


def revocation(setting: Setting) -> Revocation:
    return Revocation(
        environment=setting.environment,
        backend=setting.backend,
        ledger=setting.ledger,
        clock=setting.clock,
        requester=lambda: "arn:revoker",
    )


@pytest.mark.parametrize("by", ["certificate", "serial"])
def test_a_certificate_of_the_ledger_is_revoked(setting: Setting, by: str) -> None:
    issued = setting.issuance().issue(order())
    target = issued.certificate if by == "certificate" else issued.certificate.serial_number
    plan = revocation(setting).plan(target, reason=REASON)
    assert (plan.authority, plan.subject) == ("clients", "CN=orders.svc.test.example.com,O=Example Ltd")
    assert setting.backend.revoked["clients"] == {}
    outcome = revocation(setting).revoke(plan)
    assert (outcome.already_revoked, outcome.in_crl_after_seconds) == (False, 1800)
    assert outcome.crl_url == "http://pki.test.example.com/crl/clients.crl"
    (entry,) = setting.entries()
    assert entry.revocation is not None
    assert (entry.revocation.reason, entry.revocation.at, entry.revocation.requester) == (
        "keyCompromise",
        AT,
        "arn:revoker",
    )


def test_revoking_twice_is_a_success_and_the_first_reason_stays(setting: Setting) -> None:
    issued = setting.issuance().issue(order())
    use_case = revocation(setting)
    use_case.revoke(use_case.plan(issued.certificate, reason=REASON))
    setting.clock.advance(timedelta(hours=1))
    again = use_case.plan(issued.certificate, reason=RevocationReason.SUPERSEDED)
    assert again.known_revocation is not None
    outcome = use_case.revoke(again)
    assert (outcome.already_revoked, outcome.in_crl_after_seconds) == (True, 0), "half an hour has passed"
    assert revoked_json(outcome, setting.clock.now())["reason"] == "keyCompromise"
    (entry,) = setting.entries()
    assert entry.revocation is not None
    assert entry.revocation.reason == "keyCompromise"


def test_after_it_the_same_request_gives_another_certificate(setting: Setting) -> None:
    first = setting.issuance().issue(order())
    use_case = revocation(setting)
    use_case.revoke(use_case.plan(first.certificate, reason=RevocationReason.SUPERSEDED))
    assert fingerprint(setting.issuance().issue(order()).certificate) != fingerprint(first.certificate)


def test_a_compromised_key_never_gets_another_certificate(setting: Setting) -> None:
    first = setting.issuance().issue(order())
    use_case = revocation(setting)
    use_case.revoke(use_case.plan(first.certificate, reason=RevocationReason.KEY_COMPROMISE))
    for again in (order(), order(request_id="another"), order(validity=Duration.parse("1d"))):
        with pytest.raises(
            PolicyDenied, match=f"certificate {first.entry.serial} of the same key was revoked"
        ) as caught:
            setting.issuance().issue(again)
        assert caught.value.code == "cert.key-compromised"
    assert [entry.state for entry in setting.entries()].count(EntryState.REFUSED) == 3
    assert setting.issuance().issue(order(builders.csr(private_key=builders.key()))).entry.serial != first.entry.serial


def test_a_certificate_that_is_not_in_the_ledger_is_found_by_its_signature(setting: Setting) -> None:
    issued = setting.issuance().issue(order())
    elsewhere = Setting(setting.folder / "elsewhere", setting.environment, setting.clock)
    elsewhere.backend = setting.backend
    plan = revocation(elsewhere).plan(issued.certificate, reason=REASON)
    assert plan.authority == "clients"
    revocation(elsewhere).revoke(plan)
    assert issued.certificate.serial_number in setting.backend.revoked["clients"]


def test_a_serial_that_is_not_in_the_ledger_needs_its_ca(setting: Setting) -> None:
    issued = setting.issuance().issue(order())
    elsewhere = Setting(setting.folder / "elsewhere", setting.environment, setting.clock)
    elsewhere.backend = setting.backend
    with pytest.raises(NotFound) as caught:
        revocation(elsewhere).plan(issued.certificate.serial_number, reason=REASON)
    assert "--authority" in str(caught.value.hint)
    plan = revocation(elsewhere).plan(issued.certificate.serial_number, reason=REASON, authority="clients")
    assert plan.subject is None
    assert not revocation(elsewhere).revoke(plan).already_revoked
    never = revocation(elsewhere).plan(12345, reason=REASON, authority="clients")
    with pytest.raises(NotFound):
        revocation(elsewhere).revoke(never)


def test_a_certificate_of_somebody_else_is_refused(setting: Setting) -> None:
    # the same names, another key
    root = builders.root_ca({"organization": "Example Ltd", "common_name": "Example Test Root CA G1"})
    issuer = builders.subordinate_ca(root, {"organization": "Example Ltd", "common_name": "Example Test Clients CA G1"})
    with pytest.raises(NotFound) as caught:
        revocation(setting).plan(builders.end_entity(issuer).certificate, reason=REASON)
    assert caught.value.code == "cert.not-ours"
    assert "DELETED is restored first" in str(caught.value.hint)


def test_the_authority_named_must_be_the_issuer(setting: Setting) -> None:
    issued = setting.issuance().issue(order())
    with pytest.raises(NotFound):
        revocation(setting).plan(issued.certificate, reason=REASON, authority="root")
    with pytest.raises(InputError):
        revocation(setting).plan(issued.certificate, reason=REASON, authority="nobody")


def test_a_ca_is_not_revoked_by_the_way(setting: Setting) -> None:
    certificate = setting.backend.cas["clients"].certificate
    with pytest.raises(GuardRefused):
        revocation(setting).plan(certificate, reason=REASON)
    with pytest.raises(GuardRefused):
        revocation(setting).plan(certificate.serial_number, reason=REASON, authority="root")


def test_an_expired_certificate_is_left_alone(setting: Setting) -> None:
    issued = setting.issuance().issue(order())
    setting.clock.advance(timedelta(days=31))
    with pytest.raises(InvalidState) as caught:
        revocation(setting).plan(issued.certificate, reason=REASON)
    assert caught.value.code == "cert.expired"


def test_a_backend_that_cannot_revoke_says_so_first(setting: Setting) -> None:
    with pytest.raises(NotSupported):
        replace(revocation(setting), backend=object()).plan(1, reason=REASON)


def test_a_serial_shared_by_two_cas_is_never_guessed(setting: Setting) -> None:
    issued = setting.issuance().issue(order())
    record = replace(_intent(setting), authority="root", request_key="f" * 64)
    entry, _ = setting.ledger.begin(
        replace(record, authority_reference=setting.backend.list_authorities()[0].reference), 1
    )
    setting.ledger.record_issued(entry.id, issued.entry.chain)
    with pytest.raises(GuardRefused) as caught:
        revocation(setting).plan(issued.certificate.serial_number, reason=REASON)
    assert caught.value.code == "cert.ambiguous"
    plan = revocation(setting).plan(issued.certificate.serial_number, reason=REASON, authority="clients")
    assert (plan.authority, plan.serial) == ("clients", serial_hex(issued.certificate.serial_number))


def _intent(setting: Setting) -> LedgerIntent:
    return setting.issuance().prepare(order()).record
