"""Audit reports: what is in them, when they are written, how often."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from pkiops.sandbox.engine.audit_reports import subject_text
from pkiops.sandbox.engine.state import Pace
from tests.unit.sandbox.world import ACCOUNT, CLIENT_AUTH, TEMPLATE, World, csr

HEADER = (
    "awsAccountId,requestedByServicePrincipal,certificateArn,serial,subject,notBefore,notAfter,issuedAt,revokedAt,"
    "revocationReason,templateArn"
)


def ask(world: World, arn: str, kind: str = "JSON") -> dict[str, str]:
    answer: dict[str, str] = world.call(
        "CreateCertificateAuthorityAuditReport",
        CertificateAuthorityArn=arn,
        S3BucketName="reports",
        AuditReportResponseFormat=kind,
    )
    return answer


def status(world: World, arn: str, report: dict[str, str]) -> str:
    answer: dict[str, Any] = world.call(
        "DescribeCertificateAuthorityAuditReport", CertificateAuthorityArn=arn, AuditReportId=report["AuditReportId"]
    )
    assert (answer["S3BucketName"], answer["S3Key"]) == ("reports", report["S3Key"])
    return str(answer["AuditReportStatus"])


def busy(world: World) -> tuple[str, str, str]:
    """A root, a certificate that is good, one that is revoked."""
    root = world.root()
    good = world.issue(root, csr("svc, a"))
    world.advance(minutes=90)
    revoked = world.issue(root, csr("svc-b"), None)
    world.call(
        "RevokeCertificate",
        CertificateAuthorityArn=root,
        CertificateSerial=revoked.rpartition("/")[2],
        RevocationReason="KEY_COMPROMISE",
    )
    return root, good, revoked


def test_json() -> None:
    world = World()
    root, good, revoked = busy(world)
    report = ask(world, root)
    assert report["S3Key"] == f"audit-report/{root.rpartition('/')[2]}/{report['AuditReportId']}.json"
    assert status(world, root, report) == "SUCCESS"
    assert world.buckets.content_types["reports", report["S3Key"]] == "application/json"
    own, first, second = json.loads(world.buckets.objects["reports", report["S3Key"]])
    assert own["templateArn"] == TEMPLATE.format("RootCACertificate")
    assert own["subject"] == "CN=Example Root,O=Example Ltd,C=GB"
    serial = good.rpartition("/")[2]
    assert first == {
        "awsAccountId": ACCOUNT,
        "certificateArn": good,
        "serial": ":".join(serial[i : i + 2] for i in range(0, 32, 2)).removeprefix("00:"),
        "subject": "CN=svc\\, a",
        "notBefore": "2026-11-25T11:00:00+0000",
        "notAfter": "2026-12-25T12:00:00+0000",
        "issuedAt": "2026-11-25T12:00:00+0000",
        "templateArn": CLIENT_AUTH,
    }
    assert second["certificateArn"] == revoked
    assert second["revokedAt"] == "2026-11-25T13:30:00+0000"
    assert second["revocationReason"] == "KEY_COMPROMISE"
    assert second["templateArn"] == TEMPLATE.format("EndEntityCertificate")


def test_csv() -> None:
    world = World()
    root, good, revoked = busy(world)
    report = ask(world, root, "CSV")
    assert status(world, root, report) == "SUCCESS"
    text = world.buckets.objects["reports", report["S3Key"]].decode()
    assert text.splitlines()[0] == HEADER
    assert world.buckets.content_types["reports", report["S3Key"]] == "text/csv"
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["certificateArn"] for row in rows][1:] == [good, revoked]
    assert [row["requestedByServicePrincipal"] for row in rows] == ["", "", ""]
    assert [row["revokedAt"] for row in rows] == ["", "", "2026-11-25T13:30:00+0000"]
    assert [row["revocationReason"] for row in rows] == ["", "", "KEY_COMPROMISE"]
    assert rows[1]["subject"] == "CN=svc\\, a"


def test_a_report_takes_a_moment_and_shows_what_is_there_by_then() -> None:
    world = World(pace=Pace(creating_polls=0, certificate_polls=0, report_polls=2))
    root = world.root()
    report = ask(world, root)
    assert ("reports", report["S3Key"]) not in world.buckets.objects
    assert "is being created" in world.refused(
        "RequestInProgressException",
        "CreateCertificateAuthorityAuditReport",
        CertificateAuthorityArn=root,
        S3BucketName="reports",
        AuditReportResponseFormat="CSV",
    )
    world.issue(root, csr())
    assert [status(world, root, report) for _ in range(3)] == ["CREATING", "CREATING", "SUCCESS"]
    assert len(json.loads(world.buckets.objects["reports", report["S3Key"]])) == 2


def test_a_report_nobody_asks_for_is_written_in_time() -> None:
    world = World(pace=Pace(creating_polls=0, certificate_polls=0, report_polls=9, seconds=5))
    root = world.root()
    report = ask(world, root)
    world.advance(seconds=5)
    world.call("ListCertificateAuthorities")
    assert ("reports", report["S3Key"]) in world.buckets.objects


def test_one_in_thirty_minutes() -> None:
    world = World()
    root = world.root()
    assert status(world, root, ask(world, root)) == "SUCCESS"
    world.advance(minutes=29)
    world.refused(
        "RequestFailedException",
        "CreateCertificateAuthorityAuditReport",
        CertificateAuthorityArn=root,
        S3BucketName="reports",
        AuditReportResponseFormat="JSON",
    )
    world.advance(minutes=1)
    assert status(world, root, ask(world, root)) == "SUCCESS"


def test_a_bucket_that_refuses_first_and_one_that_refuses_later() -> None:
    world = World(pace=Pace(creating_polls=0, certificate_polls=0, report_polls=1))
    root = world.root()
    world.buckets.refusing = "it does not exist"
    assert "it does not exist" in world.refused(
        "InvalidArgsException",
        "CreateCertificateAuthorityAuditReport",
        CertificateAuthorityArn=root,
        S3BucketName="reports",
        AuditReportResponseFormat="JSON",
    )
    world.buckets.refusing = None
    report = ask(world, root)
    world.buckets.refusing = "its policy has changed"
    assert [status(world, root, report) for _ in range(2)] == ["CREATING", "FAILED"]
    world.buckets.refusing = None
    assert ask(world, root)["AuditReportId"] != report["AuditReportId"]  # one that failed does not count


def test_reports_that_are_not_there() -> None:
    world = World()
    root = world.root()
    nothing = "00000000-0000-0000-0000-000000000000"
    for arn, code in ((root, "ResourceNotFoundException"), (f"{root}x", "InvalidArnException")):
        world.refused(
            code, "DescribeCertificateAuthorityAuditReport", CertificateAuthorityArn=arn, AuditReportId=nothing
        )
    request = {"CertificateAuthorityArn": root, "AuditReportResponseFormat": "XML", "S3BucketName": "reports"}
    world.refused("ValidationException", "CreateCertificateAuthorityAuditReport", **request)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "CN=plain"),
        ('a,b+c"d\\e<f>g;h', 'CN=a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h'),
        (" padded ", "CN=\\ padded\\ "),
        ("#hash", "CN=\\#hash"),
        ("\u00fc=1", "CN=\u00fc=1"),
        (" ", "CN=\\ "),
    ],
)
def test_escapes_of_a_subject(value: str, text: str) -> None:
    assert subject_text(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, value)])) == text


def test_order_and_unknown_types_of_a_subject() -> None:
    name = x509.Name(
        [
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "GB")]),
            x509.RelativeDistinguishedName(
                [
                    x509.NameAttribute(NameOID.COMMON_NAME, "a"),
                    x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "b"),
                ]
            ),
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@b.example")]),
        ]
    )
    assert subject_text(name) == "1.2.840.113549.1.9.1=#160b6140622e6578616d706c65,CN=a+OU=b,C=GB"
    assert subject_text(x509.Name([])) == ""
