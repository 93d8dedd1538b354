"""A bulk run over the fake CAs: what one row may do to the others, which files rows may claim, and what a run makes of errors of CA and ledger."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from pkiops.backends.interface import AuthorityStatus, IssuanceRequest
from pkiops.cert.bulk import BulkIssuance, Ended
from pkiops.cert.bulk_manifest import BadRow, Defaults, Row, folder_rows, stream_rows
from pkiops.cert.bulk_parts import Interruption, KeptIssuers
from pkiops.cert.bulk_results import RowResult, RowStatus
from pkiops.cert.order import Issued, Prepared
from pkiops.clock import ManualClock, SystemClock
from pkiops.environment.models import Environment
from pkiops.errors import AccessDenied, InputError, NotFound, Throttled, Unreachable
from pkiops.ledger.interface import EntryState, Ledger
from tests import builders
from tests.fakes.authority import environment, honest_answer, profile, reference_of
from tests.unit.cert.setting import AT, Setting

NAME = "{}.svc.test.example.com"


class FlowingClock(ManualClock):
    """The calendar stands still until it is moved; what paces calls runs."""

    def monotonic(self) -> float:
        return SystemClock().monotonic()


@dataclass
class Shelf:
    """Takes results; ``refuse`` may raise for a row."""

    written: list[str] = field(default_factory=list)
    refuse: Callable[[str, Row], None] = lambda when, row: None

    def files(self, row: Row) -> Sequence[str]:
        return (f"{row.output}.pem",)

    def check(self, row: Row, prepared: Prepared) -> None:
        self.refuse("check", row)

    def write(self, row: Row, issued: Issued) -> tuple[str, ...]:
        self.refuse("write", row)
        self.written.append(row.output)
        return (f"{row.output}.pem",)


class Yard:
    """Requests in a folder, and runs over them."""

    def __init__(self, folder: Path, env: Environment | None = None) -> None:
        self.folder = folder
        self.setting = Setting(folder, environment=env or environment(), clock=FlowingClock(AT))
        self.shelf = Shelf()
        self.results: list[RowResult] = []
        self.report: Callable[[RowResult], None] = self.results.append

    def row(self, number: int, name: str = "", profile: str = "service", output: str = "") -> Row:
        host = NAME.format(name or f"h{number}")
        path = self.folder / f"{name or number}.csr"
        if not path.exists():
            path.write_bytes(builders.csr({"common_name": host}, sans=(f"dns:{host}",)))
        return Row(
            number=number,
            source=f"rows:{number}",
            csr=path,
            profile=profile,
            sans=(),
            validity=None,
            request_id=None,
            output=output or f"o{number}",
        )

    def run(self, rows: Iterable[Row | BadRow], environment: Environment | None = None) -> Ended:
        self.results.clear()
        issuance = replace(self.setting.issuance(environment=environment), keep_issuer=KeptIssuers(self.setting.clock))
        return BulkIssuance(
            issuance=issuance,
            delivery=self.shelf,
            clock=self.setting.clock,
            report=self.report,
            interruption=Interruption(),
            issue_rate=500,
            get_rate=500,
        ).run(rows)

    def status(self) -> dict[int, RowStatus]:
        return {one.row: one.status for one in sorted(self.results, key=lambda one: one.row)}


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def failing(when: str, number: int) -> Callable[[str, Row], None]:
    def refuse(at: str, row: Row) -> None:
        if (at, row.number) == (when, number):
            raise RuntimeError("nobody thought of this")

    return refuse


@pytest.mark.parametrize("when", ["check", "write"])
def test_what_nobody_foresaw_in_one_row_is_the_end_of_that_row(yard: Yard, when: str) -> None:
    yard.shelf.refuse = failing(when, 2)
    yard.run(yard.row(number) for number in (1, 2, 3))
    assert yard.status() == {1: RowStatus.ISSUED, 2: RowStatus.FAILED, 3: RowStatus.ISSUED}
    error = next(one.error for one in yard.results if one.row == 2)
    assert error is not None
    assert error.code == "internal.error"
    assert error.message == "bug in pkiops: RuntimeError: nobody thought of this"
    assert "test_bulk.py:" in error.details["at"][-1]


def test_a_report_that_fails_ends_the_run(yard: Yard) -> None:
    def broken(result: RowResult) -> None:
        raise RuntimeError("no more room")

    yard.report = broken
    with pytest.raises(RuntimeError, match="no more room"):
        yard.run([yard.row(1)])


def test_the_first_row_that_may_write_a_file_has_it(yard: Yard) -> None:
    rows = [("denied", "b"), ("", "b"), ("", "B"), ("", "b"), ("", "e\u0301"), ("", "\u00c9")]
    (yard.folder / "denied.csr").write_bytes(
        builders.csr({"common_name": "x.example.org"}, sans=("dns:x.example.org",))
    )
    yard.run(yard.row(number, name, output=output) for number, (name, output) in enumerate(rows))
    assert list(yard.status().values()) == [
        RowStatus.REFUSED,
        RowStatus.ISSUED,
        RowStatus.INVALID,
        RowStatus.INVALID,
        RowStatus.ISSUED,
        RowStatus.INVALID,
    ]
    assert {one.error.code for one in yard.results if one.status is RowStatus.INVALID and one.error} == {
        "manifest.output-twice"
    }
    assert sorted(yard.shelf.written) == ["b", "e\u0301"]


class SlowLedger:
    """A ledger that is asked too often when a reference, or a certificate, is recorded for the first time."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self._ledger, self._name = ledger, name

    def __getattr__(self, name: str) -> Any:
        if name == self._name:
            self._name = ""
            return self._throttle
        return getattr(self._ledger, name)

    def _throttle(self, *known: object) -> None:
        raise Throttled("the table is busy")


@pytest.mark.parametrize("name", ["record_reference", "record_issued"])
def test_a_throttle_of_the_ledger_costs_no_certificate(yard: Yard, name: str) -> None:
    yard.setting.ledger = cast(Ledger, SlowLedger(yard.setting.ledger, name))
    yard.run([yard.row(1)])
    assert yard.status() == {1: RowStatus.ISSUED}
    assert len(yard.setting.backend.made) == 1


def test_a_refusal_after_a_throttle_of_the_ledger_is_no_failure(yard: Yard) -> None:
    yard.setting.ledger = cast(Ledger, SlowLedger(yard.setting.ledger, "record_reference"))
    yard.setting.backend.interrupt = calls("before request_certificate", None, AccessDenied("no longer"))
    yard.run([yard.row(1)])
    assert yard.status() == {1: RowStatus.FAILED}
    assert [one.state for one in yard.setting.entries()] == [EntryState.PENDING]
    yard.setting.backend.interrupt = lambda point: None
    yard.run([yard.row(1)])
    assert yard.status() == {1: RowStatus.ISSUED}
    assert len(yard.setting.backend.made) == 1


def test_a_throttled_token_is_not_used_when_it_may_be_forgotten(yard: Yard) -> None:
    lost = calls("after request_certificate", Unreachable("no answer"))
    throttled = calls("before request_certificate", None, Throttled("slower"))

    def interrupt(point: str) -> None:
        lost(point)
        try:
            throttled(point)
        except Throttled:
            yard.setting.clock.advance(timedelta(minutes=6))
            raise

    yard.setting.backend.interrupt = interrupt
    yard.run([yard.row(1)])
    assert yard.status() == {1: RowStatus.UNKNOWN}
    assert len(yard.setting.backend.made) == 1


def test_what_an_earlier_run_asked_for_a_moment_ago_is_waited_for(yard: Yard) -> None:
    yard.setting.backend.interrupt = calls("before fetch_certificate", Stopped())
    with pytest.raises(Stopped):
        yard.run([yard.row(1)])
    yard.setting.backend.interrupt = calls("before fetch_certificate", NotFound("what?"), NotFound("what?"))
    yard.run([yard.row(1)])
    assert yard.status() == {1: RowStatus.ISSUED}
    assert len(yard.setting.backend.made) == 1


@pytest.mark.parametrize("disabled", [True, False])
def test_a_dead_ca_is_given_up_and_the_others_go_on(tmp_path: Path, disabled: bool) -> None:
    env = environment()
    both = {**env.authorities, "devices": env.authorities["clients"]}
    env = replace(env, authorities=both, profiles={**env.profiles, "device": replace(profile(), authority="devices")})
    yard = Yard(tmp_path, env)
    backend = yard.setting.backend

    def answer(request: IssuanceRequest, issuer: builders.Issued, serial: int) -> bytes:
        if request.authority == reference_of("devices"):
            raise AccessDenied("not for you")
        return honest_answer(request, issuer, serial)

    if disabled:
        backend.status["devices"] = AuthorityStatus.DISABLED
    else:
        backend.answer = answer
    profiles = ["service", *["device"] * 60, "service"]
    ended = yard.run(yard.row(number, profile=name) for number, name in enumerate(profiles))
    status = yard.status()
    assert len(status) == 62
    assert (status.pop(0), status.pop(61)) == (RowStatus.ISSUED, RowStatus.ISSUED)
    counts = Counter(status.values())
    # what is under way when it is given up fails too
    assert 10 <= counts.pop(RowStatus.FAILED) <= 10 + 24 + 1
    assert set(counts) == {RowStatus.NOT_TRIED}
    assert list(ended.gave_up) == ["devices"]


class Stopped(BaseException):
    """As if somebody had killed the run."""


def calls(point: str, *errors: BaseException | None) -> Callable[[str], None]:
    """What calls of one kind end with, one after the other; then they do not fail any more."""
    left = list(errors)

    def interrupt(reached: str) -> None:
        error = left.pop(0) if reached == point and left else None
        if error is not None:
            raise error

    return interrupt


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ('"output": "\\ud800"', "manifest.encoding"),
        ('"profile": "\\ud800"', "manifest.encoding"),
        ('"request_id": "\\udfff"', "manifest.encoding"),
        ('"sans": ["dns:\\ud800"]', "manifest.encoding"),
        ('"output": "a\\u0000"', "manifest.output"),
        ('"output": ".."', "manifest.output"),
        ('"csr": ".."', "manifest.path"),
        ('"csr": "/dev/zero"', "manifest.path"),
        ('"csr": "a\\u0000.csr"', "manifest.path"),
    ],
)
def test_a_hostile_line_is_a_bad_row(tmp_path: Path, values: str, code: str) -> None:
    [found] = read(tmp_path, values)
    assert isinstance(found, BadRow)
    assert found.error.code == code


@pytest.mark.parametrize("name", ["x" * 300, "a/" * 3000 + "a", "none/a.csr", "folder", "pipe", "a.csr/b"])
def test_what_is_no_file_cannot_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.csr").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe")
    [found] = read(tmp_path, f'"csr": "{name}", "output": "a"')
    assert isinstance(found, Row)
    with pytest.raises(InputError) as caught:
        found.request()
    assert caught.value.code == "usage.input-file"
    assert len(caught.value.message) < 700


def read(folder: Path, values: str) -> Sequence[Row | BadRow]:
    line = '{"csr": "a.csr", "profile": "service", ' + values + "}"
    return list(stream_rows(io.BytesIO(line.encode()), "rows", Defaults(folder)))


def test_requests_of_a_folder_come_by_name(tmp_path: Path) -> None:
    for name in ("b.csr", "a.csr", "notes.txt", "c.pem"):
        (tmp_path / name).write_bytes(b"")
    rows = list(folder_rows(tmp_path, Defaults(tmp_path, "service")))
    assert [(row.number, Path(row.source).name) for row in rows] == [(1, "a.csr"), (2, "b.csr"), (3, "c.pem")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"csr": "a.csr", "san": "dns:a"}', "no such key: 'san'"),
        ('{"csr": "a.csr", "validity": 30}', "validity: not a text"),
    ],
)
def test_a_line_of_json_names_the_key_that_is_wrong(tmp_path: Path, line: str, said: str) -> None:
    (row,) = stream_rows(io.BytesIO(line.encode()), "rows.jsonl", Defaults(tmp_path, "service"))
    assert isinstance(row, BadRow)
    assert said in row.error.message
