"""When a certificate of the ledger serves, to the second."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pkiops.cert.reuse import ASK_AGAIN_WITHIN, Step, due_at, next_step
from pkiops.errors import GuardRefused
from pkiops.ledger.interface import Entry, EntryState, LedgerIntent, RevocationRecord
from pkiops.x509.san import parse_san
from tests.builders import AT

SECOND = timedelta(seconds=1)
TODAY = LedgerIntent(
    request_key="a" * 64,
    environment="test",
    authority="clients",
    generation=1,
    authority_reference="arn:ca",
    profile="service",
    policy_sha256="b" * 64,
    requester="me",
    csr_sha256="c" * 64,
    spki_sha256="d" * 64,
    subject=(("common_name", "a"),),
    sans=(parse_san("dns:a.example"), parse_san("dns:b.example")),
    usages=("clientAuth",),
    template="t",
    not_before=AT,
    not_after=AT + timedelta(days=30),
)
PENDING = Entry(
    id="a-1",
    state=EntryState.PENDING,
    created_at=AT,
    updated_at=AT,
    environment="test",
    profile="service",
    request_key="a" * 64,
    attempt=1,
    authority_reference="arn:ca",
    policy_sha256="b" * 64,
    subject=TODAY.subject,
    sans=tuple(reversed(TODAY.sans)),
    usages=("clientAuth",),
    not_before=AT,
    not_after=AT + timedelta(days=30),
)
ISSUED = replace(PENDING, state=EntryState.ISSUED, chain=(b"x",), certificate_reference="arn:1")
FETCHABLE = replace(PENDING, certificate_reference="arn:1")
WRONG = replace(PENDING, state=EntryState.FAILED, chain=(b"x",))
REVOKED = replace(ISSUED, revocation=RevocationRecord(reason="superseded", at=AT, requester="me"))
OTHER_CA = replace(ISSUED, authority_reference="arn:other")
OTHER_USAGE = replace(ISSUED, usages=("clientAuth", "serverAuth"))
LONGER_UNDER_OLD_RULES = replace(ISSUED, policy_sha256="e" * 64, not_after=AT + timedelta(days=31))
SAME_UNDER_OLD_RULES = replace(ISSUED, policy_sha256="e" * 64)
DUE = due_at(AT, AT + timedelta(days=30))


def test_due_is_the_last_third() -> None:
    assert AT + timedelta(days=20) == DUE


@pytest.mark.parametrize(
    ("entry", "now", "step"),
    [
        (None, AT, Step.NEW_ATTEMPT),
        (ISSUED, AT, Step.SERVE),
        (ISSUED, DUE - SECOND, Step.SERVE),
        (ISSUED, DUE, Step.NEW_ATTEMPT),
        (REVOKED, AT, Step.NEW_ATTEMPT),
        (OTHER_CA, AT, Step.NEW_ATTEMPT),
        (OTHER_USAGE, AT, Step.NEW_ATTEMPT),
        (LONGER_UNDER_OLD_RULES, AT, Step.NEW_ATTEMPT),
        (SAME_UNDER_OLD_RULES, AT, Step.SERVE),
        (PENDING, AT, Step.ASK_AGAIN),
        (PENDING, AT + ASK_AGAIN_WITHIN - SECOND, Step.ASK_AGAIN),
        (replace(PENDING, not_after=AT + timedelta(days=30, minutes=5)), AT, Step.ASK_AGAIN),
        (FETCHABLE, AT + timedelta(days=300), Step.FETCH),
        (replace(PENDING, state=EntryState.FAILED), AT, Step.NEW_ATTEMPT),
        (WRONG, AT, Step.PROVE_AGAIN),
        (WRONG, DUE, Step.NEW_ATTEMPT),
        (replace(PENDING, state=EntryState.UNKNOWN), AT, Step.NEW_ATTEMPT),
    ],
)
def test_how_a_request_goes_on(entry: Entry | None, now: datetime, step: Step) -> None:
    assert next_step(entry, TODAY, now=now, reissue=False) is step


@pytest.mark.parametrize(
    ("entry", "now"),
    [
        (PENDING, AT + ASK_AGAIN_WITHIN),
        (PENDING, AT - ASK_AGAIN_WITHIN),  # a clock that was set back proves nothing either
        (replace(PENDING, usages=("serverAuth",)), AT),
        # written by somebody else under the digest of today's rules: more than they give
        (replace(PENDING, not_after=AT + timedelta(days=30, minutes=5, seconds=1)), AT),
        (replace(PENDING, not_after=AT + timedelta(days=3650)), AT),
        (replace(PENDING, not_before=AT - timedelta(days=1)), AT),
        (replace(PENDING, not_before=AT + timedelta(days=1)), AT),
        (replace(PENDING, not_before=None), AT),
        (replace(PENDING, sans=(*TODAY.sans, parse_san("dns:c.example"))), AT),
        (replace(FETCHABLE, authority_reference="arn:other"), AT),
    ],
)
def test_what_nobody_knows_needs_a_word(entry: Entry, now: datetime) -> None:
    with pytest.raises(GuardRefused) as caught:
        next_step(entry, TODAY, now=now, reissue=False)
    assert caught.value.code == "cert.unknown-intent"
    assert next_step(entry, TODAY, now=now, reissue=True) is Step.GIVE_UP_AND_NEW_ATTEMPT


@pytest.mark.parametrize(
    ("entry", "step"),
    [(ISSUED, Step.SERVE), (PENDING, Step.ASK_AGAIN), (FETCHABLE, Step.FETCH), (WRONG, Step.GIVE_UP_AND_NEW_ATTEMPT)],
)
def test_the_word_changes_nothing_where_all_is_known(entry: Entry, step: Step) -> None:
    assert next_step(entry, TODAY, now=AT, reissue=True) is step
