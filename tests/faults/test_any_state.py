"""Whatever was done to an account and to the file, in any order: apply converges, or says which decision of a person it waits for.

The account's owner does through plain boto3 whatever AWS allows, the file changes, time goes by, calls fail. After every undisturbed apply:

- either it has succeeded, and the next plan has nothing left to do,
- or it has refused, naming decisions of which each is one that only a person can make; it never ends in a bug, and never with a fault of AWS;
- no CA was made for an authority and generation that had one, none was made that is nobody's, and none of anybody else was changed;
- what others wrote into bucket policies is still there, and no bucket of ours is open.
"""

from __future__ import annotations

import functools
import re
import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from hypothesis import HealthCheck, Phase, event
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from moto import mock_aws

from pkiops.aws import AwsAccess, AwsClients
from pkiops.backends.aws_private_ca import AwsPrivateCa
from pkiops.ca.apply import Hierarchy
from pkiops.ca.cost import cost, cost_text
from pkiops.ca.doctor.diagnose import diagnose
from pkiops.ca.doctor.examine import Examination
from pkiops.ca.fingerprints import fingerprint
from pkiops.ca.report import render_plan
from pkiops.ca.show import read_fingerprints, render_tree, shown_authorities
from pkiops.clock import ManualClock, SeededRandomness
from pkiops.errors import BackendError, GuardRefused, PartialApply, PkiopsError
from pkiops.plan import ActionKind, Plan
from pkiops.progress import NoProgress
from pkiops.sandbox import moto_adapter
from pkiops.sandbox.engine.settings import Settings
from pkiops.sandbox.faults import fault
from pkiops.sandbox.traffic import Hindrances, Traffic
from pkiops.stores.s3 import S3Store
from pkiops.stores.s3_buckets import S3Buckets
from tests.faults.account import BUCKET_CHANGES, BUCKETS, SOME_TAGS, Account
from tests.faults.files import EDITS, Edit, edited, sample, setting
from tests.faults.hierarchy import IDENTITY, assert_not_open
from tests.faults.virtual_time import virtual_time
from tests.sandbox_server import ACCOUNT, REGION, START
from tests.seeded import seeded

# what a blocked action may wait for: each is a decision, or something that only a person can do
DECISIONS = (
    r"needs a new generation",
    r"is DISABLED: .* write enabled: true or false",
    r"is EXPIRED: renew its certificate .*, or declare a new generation",
    r"says otherwise: renew it .*, or declare a new generation",
    r"is FAILED and never recovers: delete it",
    r"is DELETED and can be restored .*: restore it .*, or declare a new generation",
    r"its issuer \w+ waits for a decision",
    r"its issuer \w+ is DISABLED, and the file says enabled: false",
    r"would outlive its issuer .*: shorten validity",
    r"(the|that the) file pins",
    r"belongs to other tooling",
    r"does not exist, and manage: false: make it where it is declared",
)
# what a whole run may wait for: two CAs of one identity, a claim of other inputs, tags that somebody took away, a CA that AWS failed to make
# and a CA pinned by its ARN that has another certificate than the file says
GUARDS = {"ca.duplicate-identity", "ca.claimed", "ca.untagged", "ca.failed", "ca.not-as-declared", "plan.blocked"}
WHICH = st.integers(min_value=0, max_value=5)
LABELS = st.sampled_from(["root", "clients"])
FAULTS = st.sampled_from(
    [
        "before:AccessDeniedException",
        "after:AccessDeniedException",
        "before:ThrottlingException",
        "after:drop",
        "before:500",
        "after:stop",
    ]
)


@functools.cache
def plain(service: str) -> Any:
    """A client of the account's owner."""
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION)
    return session.client(service, config=Config(retries={"total_max_attempts": 1}))  # type: ignore[call-overload]


class AnyState(RuleBasedStateMachine):
    """One account, one environment file, and everything that may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.open = ExitStack()
        self.clock = ManualClock(START)
        self.folder = Path(self.open.enter_context(tempfile.TemporaryDirectory()))
        self.document = sample()
        self.runs = 0

    @initialize(
        failed=st.sampled_from([(), (), (), (), (), (), (1,), (2,), (3,)]),
        late=st.sampled_from([(), (), (1,), (2,), (3,)]),
        applied=st.sampled_from([False, True, True]),
    )
    def begin(self, failed: tuple[int, ...], late: tuple[int, ...], applied: bool) -> None:
        """Some creations fail at last, some certificates are accepted and never issued; mostly something exists already."""
        settings = Settings(failed_creations=dict.fromkeys(failed, "OTHER"), late_failures=frozenset(late))
        self.sandbox = self.open.enter_context(
            moto_adapter.plugged_in(clock=self.clock, randomness=SeededRandomness(0), settings=settings)
        )
        self.open.enter_context(mock_aws())
        self.open.enter_context(virtual_time(self.clock))
        access = AwsAccess(region=REGION, account=ACCOUNT, role_arn=None, endpoint_urls={}, sandbox=True)
        self.clients = AwsClients(access, clock=self.clock)
        self.account = Account(plain("acm-pca"), plain("s3"))
        self.edit(lambda document: None)
        if applied:
            self.apply()

    def teardown(self) -> None:
        self.open.close()

    def edit(self, change: Edit) -> None:
        made = edited(self.document, change, self.folder)
        if made is not None:
            self.document, self.environment = made

    def hierarchy(self) -> Hierarchy:
        self.runs += 1
        backend = AwsPrivateCa(self.clients, self.clock)
        store = S3Store(self.clients, self.environment.publication.trust.bucket)
        run = str(self.runs)
        buckets = S3Buckets(self.clients, self.clock)
        return Hierarchy(self.environment, backend, buckets, self.clock, store, lambda: "arn:aws:iam::1:user/us", run)

    # what people do to the file

    @rule(name=st.sampled_from(sorted(EDITS)))
    def change_the_file(self, name: str) -> None:
        self.edit(EDITS[name])

    @rule(which=WHICH, label=LABELS)
    def pin_an_arn(self, which: int, label: str) -> None:
        if arn := self.chosen(which):
            self.edit(setting(label, "arn", arn))

    @rule(which=WHICH)
    def pin_a_certificate(self, which: int) -> None:
        arn = self.chosen(which)
        described = next((one for one in self.account.authorities() if one["Arn"] == arn), None)
        if arn and described and "NotAfter" in described and described["Status"] != "DELETED":
            self.edit(setting("root", "sha256", fingerprint(AwsPrivateCa(self.clients, self.clock), arn)))

    # what the owner does to the account

    @rule(which=WHICH, on=st.booleans())
    def switch(self, which: int, on: bool) -> None:
        if arn := self.chosen(which):
            self.account.switch(arn, on=on)

    @rule(which=WHICH)
    def delete(self, which: int) -> None:
        if arn := self.chosen(which):
            self.account.switch(arn, on=False)
            self.account.delete(arn)

    @rule(which=WHICH)
    def restore(self, which: int) -> None:
        deleted = [one["Arn"] for one in self.account.authorities() if one["Status"] == "DELETED"]
        if deleted:
            self.account.restore(deleted[which % len(deleted)])

    @rule(which=WHICH, keys=st.sampled_from(SOME_TAGS))
    def untag(self, which: int, keys: list[str]) -> None:
        if arn := self.chosen(which):
            self.account.untag(arn, keys)

    @rule(which=WHICH, label=LABELS, generation=st.sampled_from(["1", "2"]))
    def tag(self, which: int, label: str, generation: str) -> None:
        if arn := self.chosen(which):
            self.account.tag(arn, dict(zip(IDENTITY, ("dev", label, generation), strict=True)))

    @rule(which=WHICH, tagged=st.booleans())
    def make_another_of_the_same_name(self, which: int, tagged: bool) -> None:
        if arn := self.chosen(which):
            self.account.copy(arn, tagged=tagged)

    @rule(which=WHICH, issuer=WHICH, days=st.sampled_from([30, 400, 1825]))
    def sign_by_hand(self, which: int, issuer: int, days: int) -> None:
        arn, above = self.chosen(which), self.chosen(issuer)
        if arn and above:
            self.account.sign(arn, above, days)

    @rule(which=WHICH, issuer=WHICH)
    def revoke(self, which: int, issuer: int) -> None:
        arn, above = self.chosen(which), self.chosen(issuer)
        if arn and above:
            self.account.revoke(arn, above)

    @rule(which=WHICH)
    def share(self, which: int) -> None:
        if arn := self.chosen(which):
            self.account.share(arn)

    @rule(which=WHICH)
    def turn_the_crl_off(self, which: int) -> None:
        if arn := self.chosen(which):
            self.account.crl_off(arn)

    @rule(name=st.sampled_from(BUCKETS), what=st.sampled_from(BUCKET_CHANGES))
    def change_a_bucket(self, name: str, what: str) -> None:
        self.account.bucket(name, what)

    @rule(what=st.sampled_from(["index", "claims", "spoilt"]))
    def forget(self, what: str) -> None:
        self.account.forget(what)

    @rule(label=LABELS, generation=st.sampled_from([1, 2]))
    def claim(self, label: str, generation: int) -> None:
        self.account.claim(label, generation)

    @rule(by=st.sampled_from([timedelta(minutes=6), timedelta(hours=1), timedelta(days=8), timedelta(days=800)]))
    def let_time_pass(self, by: timedelta) -> None:
        self.clock.advance(by)

    # what pkiops does

    @rule(call=st.integers(min_value=1, max_value=70), what=FAULTS)
    def apply_in_trouble(self, call: int, what: str) -> None:
        before = self.living()
        self.sandbox.traffic = Traffic(self.clock, Hindrances(faults=(fault(f"*:{call}:{what}"),)))
        try:
            one = self.hierarchy()
            one.apply(one.plan(), progress=NoProgress())
        except (BackendError, PartialApply, GuardRefused) as error:
            event(f"in trouble: {error.code}")
        finally:
            self.sandbox.traffic = Traffic(self.clock, Hindrances())
        self.assert_nothing_twice(before)

    @rule()
    def apply(self) -> None:
        before, foreign = self.living(), self.foreign()
        statements = {name: self.account.statements(name) for name in BUCKETS}
        one = self.hierarchy()
        try:
            shown = one.plan()
            assert render_plan(shown)
            one.apply(shown, progress=NoProgress())
        except PkiopsError as error:
            self.assert_waits_for_a_person(error, before)
        else:
            event("converged")
            again = self.hierarchy().plan()
            if any(one.kind is ActionKind.ADOPT for one in shown.pending):
                self.apply()  # what else differs of an adopted CA is for the plan after it
                return
            assert not again.pending, described(again)
            assert not again.blocked, described(again)
            for name in self.account.buckets() & set(BUCKETS):
                assert_not_open(self.account.s3, name)
        self.assert_nothing_twice(before)
        assert self.foreign().items() >= foreign.items()
        assert {name: self.account.statements(name) for name in BUCKETS} == statements

    # each rule is as likely as any other: these make it likely that what was changed meets an apply

    @rule()
    def apply_again(self) -> None:
        self.apply()

    @rule(hours=st.integers(min_value=0, max_value=30))
    def apply_later(self, hours: int) -> None:
        self.clock.advance(timedelta(hours=hours))
        self.apply()

    @rule(name=st.sampled_from(sorted(EDITS)))
    def apply_another_file(self, name: str) -> None:
        self.edit(EDITS[name])
        self.apply()

    @rule()
    def look_around(self) -> None:
        """Those who only look are told everything, or that two CAs are one; and change nothing."""
        before = self.living()
        one = self.hierarchy()
        backend = AwsPrivateCa(self.clients, self.clock)
        found = Examination(
            self.environment, backend, one.buckets, one.store, self.clock, probe=False, deep=True
        ).read()
        assert all("NoSuchBucket" in why for why in found.unread.values()), found.unread
        assert all(finding.hint for finding in diagnose(found, self.clock.now()))
        observed = backend.list_authorities()
        try:
            bill = cost(self.environment, observed, backend.prices, None, self.clock.now())
            fingerprints, unreadable = read_fingerprints(backend, observed, "dev")
            shown = shown_authorities(one.desired(), observed, fingerprints)
        except GuardRefused as error:
            if error.code != "ca.duplicate-identity":
                raise
            return
        assert not unreadable
        assert cost_text(bill, backend.prices)
        assert render_tree("dev", shown, self.clock.now())
        assert self.living() == before

    # what must hold

    def chosen(self, which: int) -> str | None:
        found = self.account.authorities()
        return str(found[which % len(found)]["Arn"]) if found else None

    def living(self) -> dict[str, tuple[str, ...]]:
        """The CAs that are not gone, and the identity that each one's tags give it."""
        gone = {"DELETED", "FAILED"}
        return {
            one["Arn"]: tuple(self.account.tags(one["Arn"]).get(key, "") for key in IDENTITY)
            for one in self.account.authorities()
            if one["Status"] not in gone
        }

    def foreign(self) -> dict[str, Any]:
        """The CAs that are of no environment, or of another, as the service describes them; not those that the file pins."""
        pinned = {one.arn for one in self.environment.authorities.values()}
        return {
            one["Arn"]: one
            for one in self.account.authorities()
            if self.account.tags(one["Arn"]).get(IDENTITY[0]) != "dev"
            and one["Arn"] not in pinned
            and one["Status"] != "CREATING"
        }

    def assert_nothing_twice(self, before: dict[str, tuple[str, ...]]) -> None:
        had = set(before.values())
        for arn, identity in self.living().items():
            if arn not in before:
                assert identity[0] == "dev", f"{arn} is nobody's"
                assert identity not in had, f"{arn} is the second of {identity}"
                had.add(identity)

    def assert_waits_for_a_person(self, error: PkiopsError, before: dict[str, tuple[str, ...]]) -> None:
        code = str(error.details.get("cause", {}).get("code", error.code))
        assert error.hint
        event(f"waits: {code}")
        if code == "ca.gone":
            self.clock.advance(timedelta(minutes=5))
            self.apply()
            return
        assert code in GUARDS, f"{code}: {error.message}"
        if code == "plan.blocked":
            assert self.living().keys() == before.keys()
            for one in error.details["blocked"]:
                assert any(re.search(decision, one["reason"]) for decision in DECISIONS), one


def described(plan: Plan) -> str:
    return "\n".join(f"{one.kind} {one.address}: {one.reason} {one.changes}" for one in plan.actions)


# sixteen steps can be read as they are: making them fewer would take minutes
AnyState.TestCase.settings = seeded(
    40,
    stateful_step_count=16,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestAnyState = AnyState.TestCase
