"""How many calls it takes to see what exists, over HTTP, and that nothing is made twice where tags are known late."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from pkiops.ca.apply import Hierarchy
from pkiops.clock import ManualClock, SystemClock
from pkiops.environment.models import Environment
from pkiops.errors import PkiopsError
from pkiops.factory import Factory
from pkiops.plan import ActionKind, Plan
from pkiops.progress import NoProgress
from pkiops.sandbox.engine.settings import Settings
from pkiops.sandbox.faults import fault
from pkiops.sandbox.status import ask
from pkiops.sandbox.traffic import Hindrances
from tests.many import Estate, write_environment
from tests.sandbox_server import START, RunningSandbox, running_sandbox
from tests.unit.ca.worlds import dev

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
    for count, shared in ((1, 0), (100, 0), (101, 7), (250, 30)):
        environment = write_environment(tmp_path, count, shared=shared)
        estate.grow(environment)
        before = calls(many)
        assert is_unchanged(hierarchy(many, environment).plan())
        made = calls(many) - before
        pages = math.ceil(count / 100)
        assert made["ListCertificateAuthorities"] == made["GetResources"] == pages
        assert made["GetPolicy"] + made["ListPermissions"] == shared
        assert made["ListTags"] == made["DescribeCertificateAuthority"] == 0
        # who we are, the index, and seven questions about each of the two buckets: none of it by the CA
        assert made.total() == 2 * pages + shared + 2 + 2 * 7
        of_the_service = made.total() - made["GetObject"] - sum(made[name] for name in made if "Bucket" in name)
        assert of_the_service <= 2 * pages + 12 + shared


@pytest.mark.parametrize("refusal", ["AccessDeniedException", "InvalidParameterException", "403"])
def test_where_the_index_may_not_be_asked_each_ca_is(tmp_path: Path, refusal: str) -> None:
    hindrances = Hindrances(faults=tuple(fault(f"GetResources:{k}:before:{refusal}") for k in (1, 2, 3)))
    with running_sandbox(settings=MANY, hindrances=hindrances) as sandbox:
        environment = write_environment(tmp_path, 12)
        Estate(sandbox.url).grow(environment)
        told = Told()
        one = hierarchy(sandbox, environment, told)
        before = calls(sandbox)
        assert is_unchanged(one.plan())
        assert (calls(sandbox) - before)["ListTags"] == 12
        assert len(told.lines) == 1
        assert "asking each CA for its tags" in told.lines[0]
        # who may not ask does not ask again
        assert is_unchanged(one.plan())
        assert calls(sandbox)["GetResources"] == (2 if refusal == "InvalidParameterException" else 1)


def test_an_index_without_any_of_our_cas_is_not_believed(tmp_path: Path) -> None:
    slow = Settings(authorities_per_region=1000, tagging_delay=timedelta(days=300))
    clock = ManualClock(START)
    with running_sandbox(settings=slow, clock=clock) as sandbox:
        environment = write_environment(tmp_path, 5)
        Estate(sandbox.url).grow(environment)
        clock.advance(timedelta(days=30))
        before = calls(sandbox)
        plan = hierarchy(sandbox, environment).plan()
        assert not plan.blocked
        assert (calls(sandbox) - before)["ListTags"] == 5


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


def test_ten_applies_at_once_make_one_hierarchy_where_tags_are_known_late() -> None:
    settings = Settings(tagging_delay=timedelta(minutes=30))
    with running_sandbox(settings=settings, clock=SystemClock()) as sandbox:

        def apply(_: int) -> str:
            one = hierarchy(sandbox, dev())
            try:
                one.apply(one.plan(), progress=NoProgress())
            except PkiopsError as error:
                return error.message
            return ""

        with ThreadPoolExecutor(10) as pool:
            problems = list(pool.map(apply, range(10)))
        found = sandbox.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"]
        assert sorted(one["Type"] for one in found) == ["ROOT", "SUBORDINATE"], problems
        last = hierarchy(sandbox, dev())
        last.apply(last.plan(), progress=NoProgress())
        assert {
            one["Status"] for one in sandbox.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"]
        } == {"ACTIVE"}
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
