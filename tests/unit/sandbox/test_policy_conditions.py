"""Every operator of conditions, sets and absent keys, patterns and variables."""

from __future__ import annotations

from typing import Any

import pytest

from pkiops.sandbox.engine.policy_conditions import conditions_hold
from pkiops.sandbox.engine.policy_language import like

TEMPLATE = "arn:aws:acm-pca:::template/EndEntityClientAuthCertificate/V1"
CONTEXT: dict[str, Any] = {
    "aws:username": "ada",
    "aws:securetransport": "true",
    "aws:sourceip": "192.0.2.7",
    "aws:currenttime": "2026-11-25T12:00:00Z",
    "aws:tagkeys": ("env", "team"),
    "acm-pca:templatearn": TEMPLATE,
    "s3:max-keys": "10",
    "s3:prefix": "home/ada/",
    "odd": "a*b",
}


@pytest.mark.parametrize(
    ("operator", "key", "value", "holds"),
    [
        ("StringEquals", "aws:username", "ada", True),
        ("StringEquals", "AWS:UserName", ["bob", "ada"], True),
        ("StringEquals", "aws:username", "Ada", False),
        ("StringEquals", "odd", "a*b", True),
        ("StringEquals", "aws:username", "a*", False),
        ("StringNotEquals", "aws:username", ["bob", "ada"], False),
        ("StringNotEquals", "aws:username", "bob", True),
        ("StringEqualsIgnoreCase", "aws:username", "ADA", True),
        ("StringNotEqualsIgnoreCase", "aws:username", "ADA", False),
        ("StringLike", "aws:username", "a?a", True),
        ("StringLike", "s3:prefix", "home/${aws:username}/*", True),
        ("StringLike", "s3:prefix", "home/${aws:userid}/*", False),
        ("StringLike", "s3:prefix", "home/${aws:userid, 'ada'}/*", True),
        ("StringNotLike", "aws:username", "b*", True),
        ("ArnEquals", "acm-pca:TemplateArn", "arn:aws:acm-pca:::template/*/V1", True),
        ("ArnLike", "acm-pca:TemplateArn", "arn:aws:acm-pca:*:*:template/EndEntityClientAuth*/V?", True),
        ("ArnLike", "acm-pca:TemplateArn", "arn:aws:*/V1", False),
        ("ArnNotLike", "acm-pca:TemplateArn", "arn:aws:acm-pca:*:*:template/EndEntityCertificate/V*", True),
        ("ArnNotEquals", "acm-pca:TemplateArn", TEMPLATE, False),
        ("Bool", "aws:SecureTransport", True, True),
        ("Bool", "aws:SecureTransport", "false", False),
        ("NumericLessThanEquals", "s3:max-keys", 10, True),
        ("NumericLessThan", "s3:max-keys", "10", False),
        ("NumericGreaterThan", "s3:max-keys", "9.5", True),
        ("NumericGreaterThanEquals", "s3:max-keys", "11", False),
        ("NumericEquals", "s3:max-keys", "ten", False),
        ("NumericNotEquals", "s3:max-keys", "11", True),
        ("DateLessThan", "aws:CurrentTime", "2027-01-01T00:00:00Z", True),
        ("DateGreaterThan", "aws:CurrentTime", "2027-01-01T00:00:00Z", False),
        ("DateGreaterThanEquals", "aws:CurrentTime", "1700000000", True),
        ("DateEquals", "aws:CurrentTime", "yesterday", False),
        ("IpAddress", "aws:SourceIp", "192.0.2.0/24", True),
        ("IpAddress", "aws:SourceIp", ["198.51.100.0/24", "2001:db8::/32"], False),
        ("IpAddress", "aws:SourceIp", "nonsense", False),
        ("NotIpAddress", "aws:SourceIp", "192.0.2.0/24", False),
        ("Null", "aws:username", "false", True),
        ("Null", "aws:username", "true", False),
        ("Null", "absent", True, True),
        ("StringEquals", "absent", "x", False),
        ("StringNotEquals", "absent", "x", True),
        ("StringEqualsIfExists", "absent", "x", True),
        ("StringEqualsIfExists", "aws:username", "x", False),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["env", "team", "cost"], True),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["env"], False),
        ("ForAllValues:StringEquals", "absent", ["env"], True),
        ("ForAnyValue:StringEquals", "aws:TagKeys", ["env"], True),
        ("ForAnyValue:StringLike", "aws:TagKeys", ["c*"], False),
        ("ForAnyValue:StringEquals", "absent", ["env"], False),
        ("ForAnyValue:StringNotEquals", "aws:TagKeys", ["env"], True),
        ("ForAnyValue:StringNotEquals", "absent", ["env"], False),
        ("ForAllValues:StringNotEquals", "aws:TagKeys", ["env"], False),
        ("StringEqualz", "aws:username", "ada", False),
        ("ForSomeValues:StringEquals", "aws:username", "ada", False),
    ],
)
def test_operators(operator: str, key: str, value: Any, holds: bool) -> None:
    assert conditions_hold({operator: {key: value}}, CONTEXT, CONTEXT) is holds


def test_all_operators_and_all_keys_must_hold() -> None:
    both = {"StringEquals": {"aws:username": "ada", "odd": "a*b"}, "Bool": {"aws:SecureTransport": "true"}}
    assert conditions_hold(both, CONTEXT)
    assert not conditions_hold({**both, "Null": {"odd": "true"}}, CONTEXT)
    assert not conditions_hold("everything", CONTEXT)
    assert not conditions_hold({"StringEquals": "everything"}, CONTEXT)


@pytest.mark.parametrize(
    ("text", "pattern", "fits"),
    [
        ("", "*", True),
        ("", "?", False),
        ("a[b]c", "a[b]?", True),
        ("s3:GetObject", "s3:*Object", True),
        ("s3:GetObjectAcl", "s3:*Object", False),
        ("aXbXc", "a*b*c", True),
        ("a*", "a${*}", True),
        ("ab", "a${*}", False),
        ("a$b", "a${$}b", True),
        ("home/x*y", "home/${key}", True),
        ("home/xzy", "home/${key}", False),
        ("home/${}", "home/${}", False),
    ],
)
def test_patterns(text: str, pattern: str, fits: bool) -> None:
    assert like(text, pattern, {"key": "x*y"}) is fits


def test_a_variable_stands_for_itself_where_policies_know_none() -> None:
    assert like("${aws:username}", "${aws:username}")
    assert not like("ada", "${aws:username}")


def test_a_hostile_pattern_takes_no_exponential_time() -> None:
    assert not like("a" * 5000, "*a" * 200 + "b")
