"""Which call is allowed in which state, and how an authority gets from one to the other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from pkiops.sandbox.engine.errors import ServiceError
from pkiops.sandbox.engine.request_model import operation_names, service_model
from pkiops.sandbox.engine.settings import Settings
from pkiops.sandbox.engine.state import AuditReport, Pace, Permission, Readiness, ReportStatus
from tests.unit.sandbox.world import START, TEMPLATE, World, csr, policy

STATES = ("CREATING", "PENDING_CERTIFICATE", "ACTIVE", "DISABLED", "EXPIRED", "DELETED", "FAILED")
# the table of the reference, section 1.2; where it says nothing or contradicts itself, the stricter reading
TABLE = {
    "CreateCertificateAuthority": "YYYYYYY",  # of another CA, whatever becomes of this one
    "DescribeCertificateAuthority": "YYYYYYY",
    "ListCertificateAuthorities": "YYYYYYY",
    "GetCertificateAuthorityCsr": "NYYYYNN",
    "GetCertificateAuthorityCertificate": "NNYYYNN",
    "IssueCertificate": "NNYNNNN",
    "IssueCertificate by itself": "NYYNYNN",
    "GetCertificate": "NYYYYNN",
    "ImportCertificateAuthorityCertificate": "NYYNYNN",
    "UpdateCertificateAuthority": "NNYYNNN",
    "RevokeCertificate": "NNYYNNN",
    "TagCertificateAuthority": "NYYYYNN",
    "UntagCertificateAuthority": "NYYYYNN",
    "ListTags": "NYYYYNN",
    "DeleteCertificateAuthority": "YYNYYNY",
    "RestoreCertificateAuthority": "NNNNNYN",
    "CreateCertificateAuthorityAuditReport": "NNYYNNN",
    "CreatePermission": "NNYNNNN",
    "ListPermissions": "NYYYYNN",
    "DeletePermission": "NYYYYNN",
    "PutPolicy": "NNYNNNN",
    "GetPolicy": "NYYYYNN",
    "DeletePolicy": "NYYYYNN",
    "DescribeCertificateAuthorityAuditReport": "YYYYYYY",
}


class Case:
    """An authority brought into a state, with a renewed certificate at hand for import."""

    def __init__(self, state: str) -> None:
        settings = Settings(failed_creations={1: "REQUEST_TIMED_OUT"}) if state == "FAILED" else Settings()
        self.world = world = World(pace=Pace(creating_polls=100, certificate_polls=0, seconds=1), settings=settings)
        self.arn = world.create()
        self.certificate = ""
        self.certificate_arn = f"{self.arn}/certificate/{'0' * 31}1"
        self.serial = "1"
        self.csr = csr()
        if state == "CREATING":
            return
        world.advance(seconds=2)
        if state == "FAILED":
            return
        self.csr = world.authority_csr(self.arn)
        year = {"Type": "YEARS", "Value": 1}
        self.certificate_arn = world.issue(self.arn, self.csr, TEMPLATE.format("RootCACertificate"), Validity=year)
        self.certificate = world.get(self.arn, self.certificate_arn)["Certificate"]
        if state in {"PENDING_CERTIFICATE", "DELETED"}:
            if state == "DELETED":
                world.call("DeleteCertificateAuthority", CertificateAuthorityArn=self.arn)
            return
        world.call(
            "ImportCertificateAuthorityCertificate", CertificateAuthorityArn=self.arn, Certificate=self.certificate
        )
        self.certificate_arn = world.issue(self.arn, csr(), Validity={"Type": "DAYS", "Value": 300})
        self.serial = self.certificate_arn.rpartition("/")[2]
        if state == "DISABLED":
            world.call("UpdateCertificateAuthority", CertificateAuthorityArn=self.arn, Status="DISABLED")
        if state == "EXPIRED":
            # a longer certificate, made while it was possible, to be imported after the first ran out
            long_arn = world.issue(
                self.arn, self.csr, TEMPLATE.format("RootCACertificate"), Validity={"Type": "YEARS", "Value": 5}
            )
            self.certificate = world.get(self.arn, long_arn)["Certificate"]
            world.advance(days=366)

    def do(self, operation: str) -> None:
        issue = {
            "SigningAlgorithm": "SHA256WITHECDSA",
            "Validity": {"Type": "DAYS", "Value": 1},
        }
        tags = [{"Key": "k"}]
        requests: dict[str, dict[str, object]] = {
            "IssueCertificate": {**issue, "Csr": csr()},
            "IssueCertificate by itself": {
                **issue,
                "Csr": self.csr,
                "TemplateArn": TEMPLATE.format("RootCACertificate"),
            },
            "GetCertificate": {"CertificateArn": self.certificate_arn},
            "ImportCertificateAuthorityCertificate": {"Certificate": self.certificate or csr()},
            "UpdateCertificateAuthority": {"Status": "ACTIVE"},
            "RevokeCertificate": {"CertificateSerial": self.serial, "RevocationReason": "SUPERSEDED"},
            "TagCertificateAuthority": {"Tags": tags},
            "UntagCertificateAuthority": {"Tags": tags},
            "CreateCertificateAuthorityAuditReport": {"S3BucketName": "reports", "AuditReportResponseFormat": "CSV"},
            "CreatePermission": {"Principal": "acm.amazonaws.com", "Actions": ["IssueCertificate"]},
            "DeletePermission": {"Principal": "acm.amazonaws.com"},
            "PutPolicy": {"Policy": policy(self.arn)},
            "DescribeCertificateAuthorityAuditReport": {"AuditReportId": self.give_what_can_be_removed(operation)},
        }
        if operation == "CreateCertificateAuthority":
            assert self.world.create(common_name="Another") != self.arn
            return
        if operation == "ListCertificateAuthorities":
            (listed,) = self.world.call(operation)["CertificateAuthorities"]
            assert listed["Arn"] == self.arn
            return
        member = "ResourceArn" if operation.endswith("Policy") else "CertificateAuthorityArn"
        self.world.call(operation.partition(" ")[0], **{member: self.arn}, **requests.get(operation, {}))

    def give_what_can_be_removed(self, operation: str) -> str:
        """A policy, a permission and a report, which only an ACTIVE authority gets by calls; the identifier of the report."""
        authority = self.world.region.authorities[self.arn]
        identifier = "00000000-0000-0000-0000-000000000000"
        if operation == "DescribeCertificateAuthorityAuditReport":
            authority.reports[identifier] = AuditReport(
                identifier, "CSV", "reports", "a-key", START, Readiness(0, START), ReportStatus.SUCCESS
            )
        if operation in {"DeletePermission", "ListPermissions"}:
            actions = ("GetCertificate",)
            authority.permissions["acm.amazonaws.com"] = Permission("acm.amazonaws.com", "1" * 12, actions, START)
        authority.policy = policy(self.arn)
        return identifier


def test_the_table_holds_every_operation_and_every_state() -> None:
    assert {operation.partition(" ")[0] for operation in TABLE} == set(operation_names())
    assert set(STATES) == set(service_model().shape_for("CertificateAuthorityStatus").metadata["enum"])
    assert {len(row) for row in TABLE.values()} == {len(STATES)}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("operation", TABLE)
def test_each_call_in_each_state(operation: str, state: str) -> None:
    case = Case(state)
    assert case.world.status(case.arn) == state
    if TABLE[operation][STATES.index(state)] == "Y":
        case.do(operation)
        return
    with pytest.raises(ServiceError) as caught:
        case.do(operation)
    codes = {"CREATING": "RequestInProgressException", "FAILED": "RequestFailedException"}
    is_csr = operation == "GetCertificateAuthorityCsr"
    assert caught.value.code == (codes.get(state, "InvalidStateException") if is_csr else "InvalidStateException")


def test_creating_ends_after_polls_or_after_time() -> None:
    world = World(pace=Pace(creating_polls=2, certificate_polls=0, seconds=5))
    arn = world.create("ROOT", "A")
    assert [world.status(arn) for _ in range(3)] == ["CREATING", "CREATING", "PENDING_CERTIFICATE"]
    other = world.create("ROOT", "B")
    assert world.refused("RequestInProgressException", "GetCertificateAuthorityCsr", CertificateAuthorityArn=other)
    world.advance(seconds=5)
    assert world.call("GetCertificateAuthorityCsr", CertificateAuthorityArn=other)["Csr"]


@pytest.mark.parametrize("reason", ["REQUEST_TIMED_OUT", "UNSUPPORTED_ALGORITHM", "OTHER"])
def test_a_creation_may_fail(reason: str) -> None:
    world = World(pace=Pace(creating_polls=1, certificate_polls=0), settings=Settings(failed_creations={2: reason}))
    world.create("ROOT", "A")
    arn = world.create("ROOT", "B")
    assert "FailureReason" not in world.describe(arn)
    described = world.describe(arn)
    assert (described["Status"], described["FailureReason"]) == ("FAILED", reason)
    world.refused("RequestFailedException", "GetCertificateAuthorityCsr", CertificateAuthorityArn=arn)
    world.call("DeleteCertificateAuthority", CertificateAuthorityArn=arn)
    world.refused("ResourceNotFoundException", "DescribeCertificateAuthority", CertificateAuthorityArn=arn)


def test_a_certificate_is_not_there_at_once() -> None:
    world = World(pace=Pace(creating_polls=0, certificate_polls=1))
    arn = world.create()
    certificate_arn = world.issue(arn, world.authority_csr(arn), TEMPLATE.format("RootCACertificate"))
    request = {"CertificateAuthorityArn": arn, "CertificateArn": certificate_arn}
    world.refused("RequestInProgressException", "GetCertificate", **request)
    assert world.get(arn, certificate_arn)["Certificate"]


def test_expired_is_computed_and_a_new_certificate_revives() -> None:
    case = Case("EXPIRED")
    case.do("ImportCertificateAuthorityCertificate")
    assert case.world.status(case.arn) == "ACTIVE"


def test_an_expired_authority_that_was_disabled_stays_so() -> None:
    world = World()
    arn = world.root(years=1)
    request = world.authority_csr(arn)
    template = TEMPLATE.format("RootCACertificate")
    long = world.get(arn, world.issue(arn, request, template, Validity={"Type": "YEARS", "Value": 5}))["Certificate"]
    world.call("UpdateCertificateAuthority", CertificateAuthorityArn=arn, Status="DISABLED")
    world.advance(days=366)
    assert world.status(arn) == "EXPIRED"
    world.call("ImportCertificateAuthorityCertificate", CertificateAuthorityArn=arn, Certificate=long)
    assert world.status(arn) == "DISABLED"


def disabled(world: World) -> str:
    arn = world.root()
    world.call("UpdateCertificateAuthority", CertificateAuthorityArn=arn, Status="DISABLED")
    return arn


def expired(world: World) -> str:
    arn = world.root(years=1)
    world.advance(days=366)
    return arn


@pytest.mark.parametrize(
    ("make", "status"), [(World.create, "PENDING_CERTIFICATE"), (disabled, "DISABLED"), (expired, "EXPIRED")]
)
def test_deleted_and_restored(make: Callable[[World], str], status: str) -> None:
    world = World()
    arn = make(world)
    assert world.status(arn) == status
    world.call("DeleteCertificateAuthority", CertificateAuthorityArn=arn, PermanentDeletionTimeInDays=7)
    described = world.describe(arn)
    assert described["Status"] == "DELETED"
    assert described["RestorableUntil"] == int((world.clock.now() + timedelta(days=7)).timestamp())
    world.advance(days=7)
    world.call("RestoreCertificateAuthority", CertificateAuthorityArn=arn)
    assert world.status(arn) == status
    assert "RestorableUntil" not in world.describe(arn)


def test_after_the_window_it_is_gone() -> None:
    world = World()
    arn = world.create()
    world.call("DeleteCertificateAuthority", CertificateAuthorityArn=arn)
    world.advance(days=30)
    assert world.status(arn) == "DELETED"
    world.advance(seconds=1)
    world.refused("ResourceNotFoundException", "DescribeCertificateAuthority", CertificateAuthorityArn=arn)
    assert world.call("ListCertificateAuthorities") == {"CertificateAuthorities": []}


def test_what_never_came_to_be_is_gone_at_once() -> None:
    case = Case("CREATING")
    case.do("DeleteCertificateAuthority")
    case.world.refused("ResourceNotFoundException", "DescribeCertificateAuthority", CertificateAuthorityArn=case.arn)


@pytest.mark.parametrize("status", ["CREATING", "PENDING_CERTIFICATE", "DELETED", "EXPIRED", "FAILED"])
def test_only_active_and_disabled_can_be_set(status: str) -> None:
    world = World()
    world.refused(
        "InvalidArgsException", "UpdateCertificateAuthority", CertificateAuthorityArn=world.root(), Status=status
    )


def test_what_describe_says() -> None:
    world = World()
    arn = world.root(Tags=[{"Key": "k", "Value": "v"}])
    described = world.describe(arn)
    assert set(described) == {
        "Arn",
        "OwnerAccount",
        "CreatedAt",
        "LastStateChangeAt",
        "Type",
        "Serial",
        "Status",
        "NotBefore",
        "NotAfter",
        "CertificateAuthorityConfiguration",
        "RevocationConfiguration",
        "KeyStorageSecurityStandard",
        "UsageMode",
    }
    assert described["CreatedAt"] == int(START.timestamp())
    assert described["NotBefore"] == int((START - timedelta(hours=1)).timestamp())
    assert described["RevocationConfiguration"] == {
        "CrlConfiguration": {"Enabled": False},
        "OcspConfiguration": {"Enabled": False},
    }
    assert described["KeyStorageSecurityStandard"] == "FIPS_140_2_LEVEL_3_OR_HIGHER"
    assert described["UsageMode"] == "GENERAL_PURPOSE"
    assert described["OwnerAccount"] == "111122223333"


def test_the_last_change_is_of_the_status_that_was_set() -> None:
    world = World()
    arn = world.root(years=1)
    changed = []
    for status in ("DISABLED", "ACTIVE"):
        world.advance(hours=1)
        world.call("UpdateCertificateAuthority", CertificateAuthorityArn=arn, Status=status)
        changed.append(world.describe(arn)["LastStateChangeAt"])
    assert changed == [int((START + timedelta(hours=hours)).timestamp()) for hours in (1, 2)]
    world.call("UpdateCertificateAuthority", CertificateAuthorityArn=arn, Status="ACTIVE")
    world.advance(days=366)
    described = world.describe(arn)
    assert (described["Status"], described["LastStateChangeAt"]) == ("EXPIRED", changed[1])
