"""Audit reports row by row: in whatever pieces they come, and hostile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkiops.aws import AwsAccess, AwsClients
from pkiops.backends.auditing import AuditedCertificate, AuditsIssuance
from pkiops.backends.aws_private_ca import AwsPrivateCa
from pkiops.clock import SystemClock
from pkiops.errors import BackendError
from tests.seeded import seeded

REFERENCE = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/12345678-1234-1234-1234-123456789012"
ROW = {
    "awsAccountId": "111122223333",
    "certificateArn": f"{REFERENCE}/certificate/00ff",
    "serial": "00:ff:0a",
    "subject": "CN=a,O=Exämple",
    "notBefore": "2026-11-25T11:00:00+0000",
    "notAfter": "2026-12-25T12:00:00+0000",
    "issuedAt": "2026-11-25T12:00:00+0000",
    "templateArn": "arn:aws:acm-pca:::template/EndEntityClientAuthCertificate/V1",
}
ACCESS = AwsAccess(region="eu-west-1", account="111122223333", role_arn=None, endpoint_urls={}, sandbox=True)
BACKEND = AwsPrivateCa(AwsClients(ACCESS), SystemClock())


def read(data: bytes, size: int = 1024) -> list[AuditedCertificate]:
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    return list(BACKEND.audited_certificates(pieces, REFERENCE))


def report(*rows: dict[str, Any], indent: int | None = None) -> bytes:
    return json.dumps(list(rows), indent=indent, ensure_ascii=False).encode()


def test_the_backend_audits() -> None:
    assert isinstance(BACKEND, AuditsIssuance)


def test_a_row_is_read() -> None:
    (row,) = read(report(ROW))
    assert row == AuditedCertificate(
        reference=f"{REFERENCE}/certificate/00ff",
        serial="ff0a",
        subject="CN=a,O=Exämple",
        not_before=datetime(2026, 11, 25, 11, tzinfo=UTC),
        not_after=datetime(2026, 12, 25, 12, tzinfo=UTC),
        issued_at=datetime(2026, 11, 25, 12, tzinfo=UTC),
        revoked_at=None,
        own=False,
        is_authority=False,
    )


def test_a_revocation_counts_by_its_moment_not_by_its_reason() -> None:
    told = read(
        report(
            {**ROW, "revokedAt": "2026-11-26T12:00:00+0000", "revocationReason": "SUPERSEDED"},
            {**ROW, "revokedAt": "", "revocationReason": "UNSPECIFIED"},
        )
    )
    assert [one.revoked_at for one in told] == [datetime(2026, 11, 26, 12, tzinfo=UTC), None]


@pytest.mark.parametrize(
    ("template", "own", "is_authority"),
    [
        ("RootCACertificate", True, False),
        ("BlankRootCACertificate_PathLen1_APIPassthrough", True, False),
        ("SubordinateCACertificate_PathLen0", False, True),
        ("BlankSubordinateCACertificate_PathLen0_CSRPassthrough", False, True),
        ("EndEntityCertificate", False, False),
    ],
)
def test_templates_tell_what_a_certificate_is(template: str, own: bool, is_authority: bool) -> None:
    (row,) = read(report({**ROW, "templateArn": f"arn:aws:acm-pca:::template/{template}/V1"}))
    assert (row.own, row.is_authority) == (own, is_authority)


def test_an_old_sample_s_spelling_and_a_missing_template_are_taken() -> None:
    odd = {key: value for key, value in ROW.items() if key not in {"subject", "templateArn"}}
    (row,) = read(report({**odd, "Subject": "CN=b"}))
    assert (row.subject, row.own, row.is_authority) == ("CN=b", False, False)


@seeded(100)
@given(st.lists(st.text(max_size=30), max_size=8), st.integers(1, 700), st.sampled_from([None, 1]))
def test_pieces_of_any_size_give_the_same_rows(subjects: list[str], size: int, indent: int | None) -> None:
    data = report(*({**ROW, "subject": one.encode("utf-8", "replace").decode()} for one in subjects), indent=indent)
    assert read(data, size) == read(data, len(data))
    assert len(read(data, size)) == len(subjects)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[",
        b"[{}",
        b"[1]",
        b"[] []",
        b"[]x",
        b"\xff[]",
        b"[[]]",
        b"[" + b'{"a":' * 20_000,
        report(ROW)[:-1],
        report(ROW)[:-10],
        report({**ROW, "certificateArn": REFERENCE.replace("1234-", "4321-") + "/certificate/1"}),
        report({**ROW, "certificateArn": 1}),
        report({**ROW, "serial": "../../x"}),
        report({**ROW, "serial": "00" * 200}),
        report({**ROW, "notAfter": "tomorrow"}),
        report({**ROW, "notAfter": "9999-12-31T23:59:59-1200"}),
        report({key: value for key, value in ROW.items() if key != "notAfter"}),
        report({**ROW, "subject": "x" * 70_000}),
        report({**ROW, "revokedAt": "yes"}),
    ],
)
def test_what_is_no_report_of_this_ca_is_refused(data: bytes) -> None:
    with pytest.raises(BackendError) as caught:
        read(data)
    assert caught.value.code == "backend.report-unreadable"


def test_a_large_report_is_read_as_it_comes() -> None:
    asked = 0

    def pieces() -> Iterator[bytes]:
        nonlocal asked
        yield b"["
        while True:
            asked += 1
            yield json.dumps(ROW).encode() + b","

    rows = BACKEND.audited_certificates(pieces(), REFERENCE)
    for _ in range(50):
        next(rows)
    assert asked <= 52
