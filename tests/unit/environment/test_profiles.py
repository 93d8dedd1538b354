"""What a file may say about a profile: each rule written right, and broken once."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from pkiops.policy.rules import DenyRule, FromRequest, LimitRule, Profile
from pkiops.x509.duration import Duration
from tests.unit.environment.samples import changed, problems, read

LINE = "    authority: clients\n"  # line 30
SAN = "      required: true\n"  # line 38


def with_(text: str) -> str:
    """The sound file with a line more in its profile, which becomes line 31."""
    return changed(LINE, f"{LINE}    {text}\n")


def san(text: str) -> str:
    """The sound file with a line more in the profile's names, which becomes line 39."""
    return changed(SAN, f"{SAN}      {text}\n")


def subject(text: str) -> str:
    """The sound file with a line more in the profile's subject, which becomes line 36."""
    return changed("      common_name: {from: request}\n", f"      common_name: {{from: request}}\n      {text}\n")


def profile(text: str) -> Profile:
    return read(text).profiles["service"]


def test_what_is_not_given_is_the_strict_and_cheap_choice() -> None:
    sound = profile(changed(LINE, LINE))
    assert (sound.key_reuse, sound.requesters, sound.renewal_window, sound.limits) == ("allow", (), None, LimitRule())
    assert (sound.san.wildcards, sound.san.max_names, sound.san.required_kinds) == (False, 150, ())


def test_every_rule_is_read() -> None:
    assert profile(with_("key_reuse: refuse")).key_reuse == "refuse"
    assert profile(with_("requesters: ['github:example/*']")).requesters == ("github:example/*",)
    assert profile(with_("renewal_window: 20d")).renewal_window == Duration(20, "d")
    limits = profile(with_("limits: {per_name: 3, window: 7d, per_run: 100}")).limits
    assert limits == LimitRule(per_name=3, window=Duration(7, "d"), per_run=100)
    names = profile(san("required_kinds: [dns]")).san
    assert names.required_kinds == ("dns",)
    assert profile(san("wildcards: true")).san.wildcards
    assert profile(san("deny: {dns: [admin.svc.example.com]}")).san.deny == DenyRule(dns=("admin.svc.example.com",))
    rule = profile(subject("organizational_unit: {from: names, template: '{dns.0}'}")).subject.organizational_unit
    assert rule == TypeAdapter(FromRequest).validate_python({"from": "names", "template": "{dns.0}"})
    assert isinstance(profile(subject("locality: {from: request, patterns: [London]}")).subject.locality, FromRequest)


WRONG = [
    (san("deny: {dns: ['*']}"), "39:20", "san.deny.dns[0]", "env.pattern", "last label must be a word"),
    (san("deny: {ip: [10.0.0.1/8]}"), "39:19", "san.deny.ip[0]", "env.pattern", "CIDR"),
    (san("deny: {hosts: [a.example.com]}"), "39:14", "san.deny.hosts", "env.unknown-key", ""),
    (with_("key_reuse: sometimes"), "31:16", "key_reuse", "env.value", "allow or refuse"),
    (with_("requesters: ['*']"), "31:18", "requesters[0]", "env.requester", "write an ARN"),
    (with_("requesters: ['arn:aws:iam::*:role/ci']"), "31:18", "requesters[0]", "env.requester", "last part only"),
    (
        with_("requesters: ['arn:aws:iam::111122223333:*']"),
        "31:18",
        "requesters[0]",
        "env.requester",
        "before the first",
    ),
    (
        with_("requesters: ['arn:aws:sts::111122223333:assumed-role/ci']"),
        "31:18",
        "requesters[0]",
        "env.requester",
        "role/ROLE",
    ),
    (with_("requesters: ['github:*/orders']"), "31:18", "requesters[0]", "env.requester", "owner or group"),
    (with_("requesters: ['circle:a/b']"), "31:18", "requesters[0]", "env.requester", "github, gitlab, jenkins"),
    (with_("requesters: ['github:a/b@\"']"), "31:18", "requesters[0]", "env.requester", "letters, digits"),
    (with_("renewal_window: 21d"), "31:21", "renewal_window", "env.renewal-window", "two thirds"),
    (with_("renewal_window: soon"), "31:21", "renewal_window", "env.value", "a number and a unit"),
    (with_("limits: {per_name: 0}"), "31:24", "limits.per_name", "env.value", "at least 1"),
    (with_("limits: {window: 2y}"), "31:22", "limits.window", "env.limit", "at most 1y"),
    (with_("limits: {per_week: 2}"), "31:14", "limits.per_week", "env.unknown-key", "did you mean per_name"),
    (san("required_kinds: [uri]"), "39:24", "san.required_kinds[0]", "env.san", "list patterns under uri"),
    (san("required_kinds: [host]"), "39:24", "san.required_kinds[0]", "env.value", "dns, uri, ip or email"),
    (san("max_names: 151"), "39:18", "san.max_names", "env.value", "at most 150"),
    (san("wildcards: 'yes'"), "39:18", "san.wildcards", "env.type", "true or false"),
    (subject("locality: {from: request}"), "36:7", "subject.locality", "env.subject", "add patterns"),
    (subject("locality: {from: names}"), "36:7", "subject.locality", "env.template", "needs a template"),
    (
        subject("locality: {from: names, template: '{dns.0', patterns: [a]}"),
        "36:41",
        "subject.locality.template",
        "env.template",
        "without its }",
    ),
    (
        subject("locality: {from: names, template: '{ip.0}'}"),
        "36:41",
        "subject.locality.template",
        "env.template",
        "no placeholder {ip.0}",
    ),
    (
        subject("locality: {from: names, template: London}"),
        "36:41",
        "subject.locality.template",
        "env.template",
        "holds no placeholder",
    ),
    (
        subject("locality: {from: names, template: '{dns}', patterns: [a]}"),
        "36:50",
        "subject.locality.patterns",
        "env.template",
        "for from: request",
    ),
    (
        subject("locality: {from: request, template: '{dns}', patterns: [a]}"),
        "36:33",
        "subject.locality.template",
        "env.template",
        "for from: names",
    ),
    (
        subject("organization: {from: request, patterns: ['*']}"),
        "36:48",
        "subject.organization.patterns[0]",
        "env.pattern",
        "every organization",
    ),
    (subject("organization: {form: names}"), "36:22", "subject.organization.form", "env.unknown-key", "mean from"),
    (subject("organization: [a]"), "36:21", "subject.organization", "env.type", "a mapping"),
    (subject("country: {from: dns}"), "36:23", "subject.country.from", "env.value", "request or names"),
]


@pytest.mark.parametrize(
    ("text", "place", "key", "code", "says"), WRONG, ids=[row[2] + str(n) for n, row in enumerate(WRONG)]
)
def test_each_rule_broken(text: str, place: str, key: str, code: str, says: str) -> None:
    found = problems(text)
    matching = [one for one in found if one.code == code and one.key_path == f"profiles.service.{key}"]
    assert len(matching) == 1, found
    assert f"{matching[0].line}:{matching[0].column}" == place, matching
    assert says in matching[0].message
