"""Revoking many: every row is looked up before the first is revoked, and each ends on its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pkiops.backends.interface import RevocationReason
from pkiops.cert.order import Issued
from pkiops.cert.revoke import CertificateReference, Revocation, Target
from pkiops.cert.revoke_list import BadRow, Wanted
from pkiops.cert.revoke_many import (
    RevokeStatus,
    RowOutcome,
    counts_of,
    named_rows,
    outcome_json,
    plan_rows,
    revoke_rows,
)
from pkiops.errors import AccessDenied, BackendError, InputError, Unreachable
from pkiops.progress import Counted, NoProgress
from pkiops.x509.duration import Duration
from tests import builders
from tests.fakes.authority import reference_of
from tests.unit.cert.setting import Setting, order

WHY = RevocationReason.KEY_COMPROMISE


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


def issue(setting: Setting, name: str, **changes: object) -> Issued:
    sans = (f"dns:{name}.svc.test.example.com",)
    csr = builders.csr({"common_name": sans[0][4:]}, sans=sans)
    return setting.issuance().issue(order(csr, **changes))


def want(target: Target, source: str = "list:1", reason: RevocationReason = WHY) -> Wanted:
    return Wanted(source, "text", target, reason)


def run(setting: Setting, *rows: Wanted | BadRow) -> list[RowOutcome]:
    use_case = revocation(setting)
    before = setting.backend.calls.count("revoke_certificate")
    planned = plan_rows(use_case, rows)
    assert setting.backend.calls.count("revoke_certificate") == before
    return list(revoke_rows(use_case, planned, Counted(NoProgress(), setting.clock, "revoke", len(planned))))


def test_each_row_ends_on_its_own_and_the_order_stays(setting: Setting) -> None:
    a, b = issue(setting, "a"), issue(setting, "b")
    short = issue(setting, "short", validity=Duration(1, "d"))
    setting.clock.advance(timedelta(days=2))
    serial = a.certificate.serial_number
    outcomes = run(
        setting,
        BadRow("list:1", "?", InputError("no serial")),
        want(a.certificate, "list:2"),
        want(serial, "list:3"),
        want(serial, "list:4", RevocationReason.SUPERSEDED),
        want(short.certificate, "list:5"),
        want(0xBAD, "list:6"),
        want(CertificateReference(reference_of("clients"), b.certificate.serial_number), "list:7"),
        want(CertificateReference(reference_of("clients"), 0xBAD), "list:8"),
        want(CertificateReference(reference_of("nobody"), 0xBAD), "list:9"),
        want(setting.backend.cas["clients"].certificate, "list:10"),
    )
    assert [(one.status.value, one.problem and one.problem.code) for one in outcomes] == [
        ("failed", "usage.input"),
        ("revoked", None),
        ("skipped", "revoke-list.repeated"),
        ("failed", "revoke-list.contradiction"),
        ("skipped", "cert.expired"),
        ("failed", "cert.unknown-serial"),
        ("revoked", None),
        ("failed", "backend.not-found"),
        ("failed", "cert.not-ours"),
        ("failed", "cert.is-a-ca"),
    ]
    assert set(setting.backend.revoked["clients"]) == {serial, b.certificate.serial_number}
    assert counts_of(outcomes) == {"revoked": 2, "already": 0, "failed": 6, "skipped": 2}
    document = outcome_json(2, outcomes[1])
    assert (document["names"], document["profile"]) == (["dns:a.svc.test.example.com"], "service")
    assert (document["reason"], document["serial"]) == ("keyCompromise", f"{serial:x}")
    assert document["requester"].endswith("issuer/ci")
    assert outcome_json(1, outcomes[0])["problem"]["message"] == "no serial"


def test_what_the_ledger_knows_as_revoked_needs_no_call(setting: Setting) -> None:
    a = issue(setting, "a")
    run(setting, want(a.certificate))
    setting.backend.calls.clear()
    (again,) = run(setting, want(a.certificate, reason=RevocationReason.SUPERSEDED))
    assert again.status is RevokeStatus.ALREADY
    assert outcome_json(1, again)["reason"] == "keyCompromise"
    assert "revoke_certificate" not in setting.backend.calls


def test_killed_between_answer_and_record_the_next_run_completes_the_ledger(setting: Setting) -> None:
    issued = [issue(setting, name) for name in ("a", "b", "c")]

    class Killed(BaseException):
        pass

    def kill(point: str) -> None:
        if point == "after revoke_certificate" and len(setting.backend.revoked["clients"]) == 2:
            raise Killed

    setting.backend.interrupt = kill
    rows = [want(one.certificate, f"list:{number}") for number, one in enumerate(issued)]
    with pytest.raises(Killed):
        run(setting, *rows)
    assert sum(entry.revocation is not None for entry in setting.entries()) == 1
    setting.backend.interrupt = lambda point: None
    assert [one.status.value for one in run(setting, *rows)] == ["already", "already", "revoked"]
    assert all(entry.revocation is not None for entry in setting.entries())


@pytest.mark.parametrize(("error", "tried"), [(AccessDenied, 1), (Unreachable, 1), (BackendError, 3)])
def test_a_ca_that_fails_for_all_is_given_up(setting: Setting, error: type[BackendError], tried: int) -> None:
    issued = [issue(setting, name) for name in ("a", "b", "c")]
    asked: list[str] = []
    setting.backend.interrupt = _failing(asked, error("no"))
    outcomes = run(setting, *[want(one.certificate, f"list:{number}") for number, one in enumerate(issued)])
    assert [one.status for one in outcomes] == [RevokeStatus.FAILED] * 3
    assert len(asked) == tried
    codes = {one.problem.code for one in outcomes[1:] if one.problem}
    assert codes == ({"revoke-list.not-tried"} if tried == 1 else {"backend.error"})


def _failing(asked: list[str], error: BackendError) -> Callable[[str], None]:
    def fail(point: str) -> None:
        if point == "before revoke_certificate":
            asked.append(point)
            raise error

    return fail


def test_a_name_is_every_unexpired_certificate_of_it(setting: Setting) -> None:
    one = issue(setting, "a")
    two = issue(setting, "a", validity=Duration(60, "d"))
    issue(setting, "a", validity=Duration(1, "d"))
    issue(setting, "b")
    setting.clock.advance(timedelta(days=2))
    told: list[str] = []
    names = ["A.svc.test.example.com", "x.example"]
    found = list(named_rows(revocation(setting), names, WHY, told.append))
    serials = {row.target.serial_number for row in found if isinstance(row, Wanted) and not isinstance(row.target, int)}
    assert serials == {one.certificate.serial_number, two.certificate.serial_number}
    assert [row.error.code for row in found if isinstance(row, BadRow)] == ["cert.unknown-name"]
    assert [row.status.value for row in run(setting, *found)] == ["revoked", "revoked", "failed"]
    assert told == []


def test_a_name_with_a_lost_answer_is_warned_about(setting: Setting) -> None:
    issue(setting, "a")
    record = replace(setting.issuance().prepare(order()).record, sans=setting.entries()[0].sans, request_key="f" * 64)
    setting.ledger.begin(record, 1)
    told: list[str] = []
    assert len(list(named_rows(revocation(setting), ["a.svc.test.example.com"], WHY, told.append))) == 1
    assert len(told) == 1
    assert "pkiops cert resolve test" in told[0]


def test_cas_that_cannot_be_found_are_said_once(setting: Setting) -> None:
    def deny(point: str) -> None:
        if point == "before list_authorities":
            raise AccessDenied("no")

    setting.backend.interrupt = deny
    with pytest.raises(AccessDenied):
        plan_rows(revocation(setting), [want(0xA), want(0xB)])
