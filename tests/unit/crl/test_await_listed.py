"""Waiting for the CRL that lists what was revoked: until it does, as long as one is patient, and not for what has expired."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.backends.interface import ObservedAuthority
from pkiops.clock import ManualClock
from pkiops.crl.authorities import observe_authorities
from pkiops.crl.await_listed import Awaited, Listing, await_listed, require_crls
from pkiops.errors import AccessDenied, NotSupported, PkiopsError, Unreachable, VerificationFailed
from tests import builders
from tests.fakes.authority import FakeAuthorities, environment, reference_of

AT = builders.AT
CA = reference_of("clients")
LATER = AT + timedelta(days=30)
HALF_HOUR, HOUR = timedelta(minutes=30), timedelta(hours=1)


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, message: str) -> None:
        self.lines.append(message)


class SlowAuthorities(FakeAuthorities):
    """CAs whose CRLs list what was revoked when a moment has come; ``answers`` come first, in the place of a CRL."""

    def __init__(self, clock: ManualClock, *, at: dict[int, datetime]) -> None:
        super().__init__(environment(), clock)
        self._moves = clock
        self._at = at
        self.answers: list[bytes | PkiopsError | None] = []
        self.fetched: list[datetime] = []

    def fetch_crl(self, authority: ObservedAuthority) -> bytes | None:
        self.fetched.append(self._moves.now())
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, PkiopsError):
                raise answer
            return answer
        self.revoked["clients"] = {serial: None for serial, at in self._at.items() if at <= self._moves.now()}
        return super().fetch_crl(authority)


def wait(
    backend: SlowAuthorities, clock: ManualClock, *serials: int, timeout: timedelta = HOUR, not_after: datetime = LATER
) -> tuple[Listing, list[str]]:
    known = observe_authorities(environment(), backend, AT).known
    told = Told()
    wanted = [Awaited(CA, one, not_after) for one in serials]
    return await_listed("test", wanted, known, backend, clock, timeout=timeout, progress=told), told.lines


def test_it_ends_when_all_are_listed_and_asks_gently() -> None:
    clock = ManualClock(AT)
    backend = SlowAuthorities(clock, at={1: AT + HALF_HOUR, 2: AT + HALF_HOUR / 2, 3: AT})
    listing, told = wait(backend, clock, 1, 2, 3)
    assert (listing.listed, listing.expired, listing.missing, listing.problem) == (3, 0, (), None)
    assert HALF_HOUR <= clock.now() - AT <= HALF_HOUR + timedelta(minutes=1)
    assert listing.seconds == pytest.approx((clock.now() - AT).total_seconds(), abs=1)
    pauses = [(b - a).total_seconds() for a, b in zip(backend.fetched, backend.fetched[1:], strict=False)]
    assert pauses[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert set(pauses[7:]) == {60}
    assert "2 of 3 not listed after 0 min" in told[0]
    assert any("1 of 3" in line for line in told)
    assert len(told) < 20


def test_what_is_listed_already_costs_one_look() -> None:
    clock = ManualClock(AT)
    backend = SlowAuthorities(clock, at={1: AT})
    assert wait(backend, clock, 1)[0].listed == 1
    assert backend.fetched == [AT]
    assert clock.now() == AT


def test_the_time_ends_with_a_last_look() -> None:
    clock = ManualClock(AT)
    backend = SlowAuthorities(clock, at={1: AT + timedelta(minutes=5), 2: AT + HOUR})
    listing, _ = wait(backend, clock, 1, 2, timeout=timedelta(minutes=7))
    assert (listing.listed, [one.serial for one in listing.missing]) == (1, [2])
    assert clock.now() == AT + timedelta(minutes=7) == backend.fetched[-1]


def test_what_expires_meanwhile_is_not_waited_for() -> None:
    clock = ManualClock(AT)
    backend = SlowAuthorities(clock, at={1: AT + timedelta(minutes=5)})
    listing, _ = wait(backend, clock, 1, 2, not_after=AT + timedelta(minutes=10))
    assert (listing.listed, listing.expired, listing.missing) == (1, 1, ())
    assert clock.now() - AT <= timedelta(minutes=11)


def test_what_passes_is_waited_out() -> None:
    clock = ManualClock(AT)
    backend = SlowAuthorities(clock, at={1: AT})
    old = builders.crl(backend.cas["clients"], at=AT - timedelta(days=6, hours=23, minutes=30))
    stale = old.public_bytes(Encoding.DER)
    backend.answers = [None, Unreachable("no answer"), stale]
    listing, told = wait(backend, clock, 1)
    assert (listing.listed, listing.problem) == (1, None)
    assert len(backend.fetched) == 4
    assert "no CRL exists yet" in told[0]


def test_why_it_is_not_listed_is_kept() -> None:
    clock = ManualClock(AT)
    backend = SlowAuthorities(clock, at={1: AT})
    backend.answers = [None] * 10
    listing, _ = wait(backend, clock, 1, timeout=timedelta(seconds=3))
    assert [one.serial for one in listing.missing] == [1]
    assert listing.problem is not None
    assert listing.problem.code == "crl.missing"


def _forged(backend: FakeAuthorities) -> bytes:
    name = {"organization": "Example Ltd", "common_name": "Example Test Clients CA G1"}
    stranger = builders.subordinate_ca(builders.root_ca("Stranger"), name)
    return builders.crl(stranger, at=AT, revoked={1: None}).public_bytes(Encoding.DER)


def _of_another_ca(backend: FakeAuthorities) -> bytes:
    return builders.crl(backend.cas["root"], at=AT, revoked={1: None}).public_bytes(Encoding.DER)


def _truncated(backend: FakeAuthorities) -> bytes:
    return builders.crl(backend.cas["clients"], at=AT, revoked={1: None}).public_bytes(Encoding.DER)[:-3]


@pytest.mark.parametrize("made", [_forged, _of_another_ca, _truncated, lambda _: b"", lambda _: b"<html>"])
def test_a_crl_that_is_not_the_cas_ends_it(made: Callable[[FakeAuthorities], bytes]) -> None:
    clock = ManualClock(AT)
    backend = SlowAuthorities(clock, at={1: AT})
    backend.answers = [made(backend)]
    with pytest.raises(VerificationFailed):
        wait(backend, clock, 1)
    assert clock.now() == AT


def test_a_missing_right_ends_it() -> None:
    clock = ManualClock(AT)
    backend = SlowAuthorities(clock, at={1: AT})
    backend.answers = [AccessDenied("no")]
    with pytest.raises(AccessDenied):
        wait(backend, clock, 1)


def test_a_serial_counts_only_on_the_crl_of_its_own_ca() -> None:
    clock = ManualClock(AT)
    backend = SlowAuthorities(clock, at={1: AT})
    known = observe_authorities(environment(), backend, AT).known
    wanted = [Awaited(CA, 1, LATER), Awaited(reference_of("root"), 1, LATER)]
    found = await_listed("test", wanted, known, backend, clock, timeout=timedelta(seconds=1), progress=Told())
    assert found.missing == (wanted[1],)


def test_a_ca_without_crls_is_refused_before() -> None:
    backend = SlowAuthorities(ManualClock(AT), at={})
    known = observe_authorities(environment(), backend, AT).known
    require_crls("test", known)
    without = replace(known[1], observed=replace(known[1].observed, crl=None))
    with pytest.raises(NotSupported) as caught:
        require_crls("test", [known[0], without])
    assert caught.value.code == "crl.not-written"
