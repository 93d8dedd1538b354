"""How many calls it takes to see what exists, over HTTP, and that nothing is made twice where tags are known late."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pkiops.aws import AwsAccess, AwsClients
from pkiops.backends.aws_private_ca import AwsPrivateCa
from pkiops.ca.apply import Hierarchy
from pkiops.clock import ManualClock, SystemClock
from pkiops.environment.models import Environment
from pkiops.errors import PkiopsError
from pkiops.factory import Factory
from pkiops.plan import ActionKind, Plan
from pkiops.progress import NoProgress
from pkiops.sandbox.engine.settings import Settings
from pkiops.sandbox.faults import fault
from pkiops.sandbox.quotas import DEFAULT_RATES
from pkiops.sandbox.status import advance, ask
from pkiops.sandbox.traffic import Hindrances
from tests.many import Estate, write_environment
from tests.sandbox_server import ACCOUNT, REGION, START, RunningSandbox, running_sandbox, sandbox
from tests.unit.ca.worlds import dev

__all__ = ["sandbox"]
MANY = Settings(authorities_per_region=1000)


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, message: str) -> None:
        self.lines.append(message)


def hierarchy(sandbox: RunningSandbox, environment: Environment, told: Told | None = None) -> Hierarchy:
    factory = Factory(environment, variables={"PKIOPS_SANDBOX_URL": sandbox.url}, progress=told)
    factory.check_account()
    return Hierarchy(
        environment, factory.backend, factory.buckets, factory.clock, factory.trust_store, factory.caller, "run"
    )


def calls(sandbox: RunningSandbox) -> Counter[str]:
    status = ask(sandbox.port)
    assert status is not None
    return Counter({one.operation: one.count for one in status.calls})


def is_unchanged(plan: Plan) -> bool:
    return {action.kind for action in plan.actions} == {ActionKind.NO_OP} and not plan.unmanaged


@pytest.fixture
def many() -> Iterator[RunningSandbox]:
    with running_sandbox(settings=MANY) as running:
        yield running


def test_an_unchanged_environment_is_planned_by_the_page_and_not_by_the_authority(
    many: RunningSandbox, tmp_path: Path
) -> None:
    estate = Estate(many.url)
    for count, shared in ((1, 0), (8, 0), (9, 0), (100, 0), (101, 7), (250, 30)):
        environment = write_environment(tmp_path, count, shared=shared)
        estate.grow(environment)
        before = calls(many)
        assert is_unchanged(hierarchy(many, environment).plan())
        made = calls(many) - before
        pages = math.ceil(count / 100)
        # a handful is asked at once, and what it says is true
        assert made["ListTags"] == (count if count <= 8 else 0)
        assert made["GetResources"] == (0 if count <= 8 else pages)
        assert made["ListCertificateAuthorities"] == pages
        assert made["GetPolicy"] + made["ListPermissions"] == shared
        assert made["DescribeCertificateAuthority"] == 0
        # who we are, the index, and seven questions about each of the two buckets: none of it by the CA
        assert made.total() <= 2 * pages + made["ListTags"] + shared + 2 + 2 * 7
        of_the_service = made.total() - made["GetObject"] - sum(made[name] for name in made if "Bucket" in name)
        assert of_the_service <= 2 * pages + 12 + shared


@pytest.mark.parametrize("refusal", ["AccessDeniedException", "InvalidParameterException", "403"])
def test_where_the_index_may_not_be_asked_each_ca_is(tmp_path: Path, refusal: str) -> None:
    hindrances = Hindrances(faults=tuple(fault(f"GetResources:{k}:before:{refusal}") for k in (1, 2, 3)))
    with running_sandbox(settings=MANY, hindrances=hindrances) as sandbox:
        environment = write_environment(tmp_path, 20)
        Estate(sandbox.url).grow(environment)
        told = Told()
        one = hierarchy(sandbox, environment, told)
        before = calls(sandbox)
        assert is_unchanged(one.plan())
        assert (calls(sandbox) - before)["ListTags"] == 20
        assert len(told.lines) == 1
        assert "asking each CA for its tags" in told.lines[0]
        # who may not ask does not ask again
        assert is_unchanged(one.plan())
        assert calls(sandbox)["GetResources"] == (2 if refusal == "InvalidParameterException" else 1)


def test_an_index_without_any_of_our_cas_is_not_believed(tmp_path: Path) -> None:
    slow = Settings(authorities_per_region=1000, tagging_delay=timedelta(days=300))
    clock = ManualClock(START)
    with running_sandbox(settings=slow, clock=clock) as sandbox:
        environment = write_environment(tmp_path, 12)
        Estate(sandbox.url).grow(environment)
        clock.advance(timedelta(days=30))
        before = calls(sandbox)
        plan = hierarchy(sandbox, environment).plan()
        assert not plan.blocked
        assert (calls(sandbox) - before)["ListTags"] == 12


@pytest.mark.parametrize("age", [timedelta(), timedelta(days=30)])
def test_what_the_index_does_not_know_yet_is_asked_itself_and_never_made_again(tmp_path: Path, age: timedelta) -> None:
    """One half is known, the other not yet: young ones are asked because they are young, old ones because they could be what is missing."""
    clock = ManualClock(START)
    late = Settings(authorities_per_region=1000, tagging_delay=timedelta(days=60))
    with running_sandbox(settings=late, clock=clock) as sandbox:
        estate = Estate(sandbox.url)
        estate.grow(write_environment(tmp_path, 5))
        clock.advance(timedelta(days=61))
        environment = write_environment(tmp_path, 10)
        estate.grow(environment)
        clock.advance(age)
        before = calls(sandbox)
        plan = hierarchy(sandbox, environment).plan()
        assert {action.kind for action in plan.actions} == {ActionKind.NO_OP}
        assert (calls(sandbox) - before)["ListTags"] == 5


def strangers(sandbox: RunningSandbox) -> None:
    """Ten CAs of another environment, which the index knows: it is asked, and believed."""
    for number in range(10):
        sandbox.client("acm-pca").create_certificate_authority(
            CertificateAuthorityType="ROOT",
            CertificateAuthorityConfiguration={
                "KeyAlgorithm": "EC_prime256v1",
                "SigningAlgorithm": "SHA256WITHECDSA",
                "Subject": {"CommonName": f"Stranger {number}"},
            },
            Tags=[{"Key": "pkiops:environment", "Value": "other"}],
        )
    advance(sandbox.port, "2h")


def ours(sandbox: RunningSandbox) -> list[Any]:
    found: list[Any] = sandbox.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"]
    return [
        one for one in found if not one["CertificateAuthorityConfiguration"]["Subject"]["CommonName"].startswith("Str")
    ]


def test_ten_applies_at_once_make_one_hierarchy_where_tags_are_known_late() -> None:
    settings = Settings(tagging_delay=timedelta(minutes=30))
    with running_sandbox(settings=settings, clock=SystemClock()) as sandbox:
        strangers(sandbox)

        def apply(_: int) -> str:
            one = hierarchy(sandbox, dev())
            try:
                one.apply(one.plan(), progress=NoProgress())
            except PkiopsError as error:
                return error.message
            return ""

        with ThreadPoolExecutor(10) as pool:
            problems = list(pool.map(apply, range(10)))
        assert sorted(one["Type"] for one in ours(sandbox)) == ["ROOT", "SUBORDINATE"], problems
        last = hierarchy(sandbox, dev())
        last.apply(last.plan(), progress=NoProgress())
        assert {one["Status"] for one in ours(sandbox)} == {"ACTIVE"}
        assert is_unchanged(hierarchy(sandbox, dev()).plan())


OPERATIONS = (
    "CreateCertificateAuthority",
    "DescribeCertificateAuthority",
    "GetCertificateAuthorityCsr",
    "IssueCertificate",
    "GetCertificate",
    "ImportCertificateAuthorityCertificate",
    "ListCertificateAuthorities",
    "ListTags",
    "GetCertificateAuthorityCertificate",
    "GetResources",
    "GetCallerIdentity",
)
OF_S3 = ("HeadBucket", "CreateBucket", "PutBucketPolicy", "GetBucketPolicy", "PutObject", "GetObject")


def test_the_rate_of_the_service_is_kept_before_it_has_to_say_so(tmp_path: Path) -> None:
    denied = tuple(fault(f"GetResources:{k}:before:AccessDeniedException") for k in (1, 2))
    with running_sandbox(settings=MANY, clock=SystemClock()) as sandbox:
        environment = write_environment(tmp_path, 80)
        Estate(sandbox.url).grow(environment)
        sandbox.hinder(Hindrances(quotas=DEFAULT_RATES, faults=denied))
        told = Told()
        assert is_unchanged(hierarchy(sandbox, environment, told).plan())
        assert calls(sandbox)["ListTags"] <= 86  # the clocks of both sides may differ a little
        assert any(line.startswith("asking each CA for its tags: ") for line in told.lines)


def test_a_copy_of_the_service_is_not_asked_through_an_index_of_the_real_one(
    many: RunningSandbox, tmp_path: Path
) -> None:
    environment = write_environment(tmp_path, 12)
    Estate(many.url).grow(environment)
    urls = dict.fromkeys(("acm-pca", "s3", "sts"), many.url)
    access = AwsAccess(region=REGION, account=ACCOUNT, role_arn=None, endpoint_urls=urls, sandbox=True)
    found = AwsPrivateCa(AwsClients(access), SystemClock()).list_authorities()
    assert [one.tags_confirmed for one in found] == [True] * 12
    assert (calls(many)["GetResources"], calls(many)["ListTags"]) == (0, 12)


def test_a_handful_of_cas_is_asked_and_nothing_is_in_doubt(sandbox: RunningSandbox) -> None:
    one = hierarchy(sandbox, dev())
    one.apply(one.plan(), progress=NoProgress())
    assert all(each.tags_confirmed for each in one.backend.list_authorities())
    assert calls(sandbox)["GetResources"] == 0


def test_a_creation_that_is_throttled_for_longer_than_a_claim_holds_is_claimed_again() -> None:
    """Patience for one creating call ends before its token does; the next one is made under a claim that is young again."""
    faults = tuple(fault(f"CreateCertificateAuthority:{k}:before:ThrottlingException") for k in range(1, 101))
    clock = ManualClock(START)
    with running_sandbox(clock=clock, hindrances=Hindrances(faults=faults)) as sandbox:
        # the sandbox's clock moves as our waiting does
        factory = Factory(dev(), variables={"PKIOPS_SANDBOX_URL": sandbox.url}, clock=clock)
        one = Hierarchy(
            dev(), factory.backend, factory.buckets, factory.clock, factory.trust_store, lambda: "alice", "run"
        )
        one.apply(one.plan(), progress=NoProgress())
        assert sorted(each["Type"] for each in ours(sandbox)) == ["ROOT", "SUBORDINATE"]
        assert clock.monotonic() > 300
        assert is_unchanged(one.plan())


def test_a_storm_of_throttles_on_every_operation_never_reaches_the_user() -> None:
    """Eight in a row at each operation that an apply makes; the pauses are spent on a clock that does not wait."""
    codes = {**dict.fromkeys(OPERATIONS, "ThrottlingException"), **dict.fromkeys(OF_S3, "SlowDown")}
    faults = tuple(fault(f"{name}:{k}:before:{code}") for name, code in codes.items() for k in range(1, 9))
    with running_sandbox(hindrances=Hindrances(faults=faults)) as sandbox:
        told = Told()
        factory = Factory(dev(), variables={"PKIOPS_SANDBOX_URL": sandbox.url}, clock=ManualClock(START), progress=told)
        factory.check_account()
        one = Hierarchy(
            dev(), factory.backend, factory.buckets, factory.clock, factory.trust_store, factory.caller, "run"
        )
        one.apply(one.plan(), progress=NoProgress())
        assert is_unchanged(one.plan())
        found = sandbox.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"]
        assert sorted((one["Type"], one["Status"]) for one in found) == [("ROOT", "ACTIVE"), ("SUBORDINATE", "ACTIVE")]
        assert any(line.startswith("AWS is throttling IssueCertificate: waiting") for line in told.lines)
