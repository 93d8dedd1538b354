"""Can what a profile promises be issued, and by the authority it names?

Pure. What a request is then allowed is the policy engine's question; here a profile that contradicts its authority or
itself is found before anybody asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from pkiops.environment.authority_checks import shorter
from pkiops.environment.finding import Finding, KeyPath, listed
from pkiops.environment.models import Environment, UsageMode
from pkiops.environment.patterns import pattern_problem
from pkiops.policy.requesters import requester_problem
from pkiops.policy.rules import FromRequest, Profile, SubjectRule
from pkiops.policy.templates import template_problem
from pkiops.x509.duration import Duration

SHORT_LIVED_MAX = Duration(7, "d")  # usage mode SHORT_LIVED_CERTIFICATE of CreateCertificateAuthority
LONGEST_WINDOW = Duration(1, "y")
_KINDS = ("dns", "uri", "ip", "email")


def check_profiles(environment: Environment) -> Iterator[Finding]:
    """Every finding about profiles."""
    for name, profile in environment.profiles.items():
        path: KeyPath = ("profiles", name)
        yield from _check_validity(environment, profile, path)
        yield from _check_names(profile, path)
        yield from _check_subject(profile, path)
        yield from _check_history(profile, path)


def _check_validity(environment: Environment, profile: Profile, path: KeyPath) -> Iterator[Finding]:
    default, longest = profile.validity.default, profile.validity.max
    if default.approximate_seconds() > longest.approximate_seconds():
        yield Finding((*path, "validity", "default"), f"must not be longer than max, {longest}", "env.profile-validity")
    authority = environment.authorities.get(profile.authority)
    if authority is None:
        message = f"there is no such authority; write {listed(environment.authorities)}"
        yield Finding((*path, "authority"), message, "env.profile-authority")
        return
    if authority.usage_mode is UsageMode.SHORT_LIVED_CERTIFICATE and (
        longest.approximate_seconds() > SHORT_LIVED_MAX.approximate_seconds()
    ):
        message = f"{profile.authority} is a SHORT_LIVED_CERTIFICATE authority; write at most {SHORT_LIVED_MAX}"
        yield Finding((*path, "validity", "max"), message, "env.short-lived")
    if not shorter(longest, authority.validity):
        message = f"must be shorter than the {authority.validity} of its authority {profile.authority}"
        yield Finding((*path, "validity", "max"), message, "env.profile-validity")


def _check_names(profile: Profile, path: KeyPath) -> Iterator[Finding]:
    patterns = [(kind, index, text) for kind in _KINDS for index, text in enumerate(getattr(profile.san, kind))]
    for kind, index, text in patterns:
        problem = pattern_problem(kind, text)
        if problem:
            yield Finding((*path, "san", kind, index), problem, "env.pattern")
    denied = [(kind, index, text) for kind in _KINDS for index, text in enumerate(getattr(profile.san.deny, kind))]
    for kind, index, text in denied:
        if problem := pattern_problem(kind, text):
            yield Finding((*path, "san", "deny", kind, index), problem, "env.pattern")
        elif text in getattr(profile.san, kind):
            message = f"it is allowed too (san.{kind}), which would grant nothing; remove it from one of the two"
            yield Finding((*path, "san", "deny", kind, index), message, "env.pattern")
    if profile.san.required and not patterns:
        message = "names are required but none is allowed; list patterns under dns, uri, ip or email, or write required: false"
        yield Finding((*path, "san"), message, "env.san", at_key=True)
    for index, kind in enumerate(profile.san.required_kinds):
        if not getattr(profile.san, kind):
            message = f"a {kind} name is required but none is allowed; list patterns under {kind}"
            yield Finding((*path, "san", "required_kinds", index), message, "env.san")


def _check_subject(profile: Profile, path: KeyPath) -> Iterator[Finding]:
    for one in fields(SubjectRule):
        rule = getattr(profile.subject, one.name)
        if isinstance(rule, FromRequest):
            yield from _check_attribute(profile, one.name, rule, (*path, "subject", one.name))


def _check_attribute(profile: Profile, field: str, rule: FromRequest, path: KeyPath) -> Iterator[Finding]:
    if rule.source == "names":
        if rule.template is None:
            yield Finding(path, "from: names needs a template, such as {dns.0}; add it", "env.template", at_key=True)
        elif problem := template_problem(rule.template):
            yield Finding((*path, "template"), problem, "env.template")
        if rule.patterns:
            message = "patterns are for from: request; the names that fill a template are approved already"
            yield Finding((*path, "patterns"), message, "env.template", at_key=True)
        return
    if rule.template is not None:
        yield Finding(
            (*path, "template"), "a template is for from: names; write that, or patterns", "env.template", at_key=True
        )
    if field == "common_name" and not profile.san.required and not rule.patterns:
        message = "with san.required: false the common name of a request has nothing to be held against; add patterns"
        yield Finding(path, message, "env.common-name")
    if field != "common_name" and not rule.patterns:
        message = f"there is nothing to hold the {field} of a request against; add patterns"
        yield Finding(path, message, "env.subject", at_key=True)
    for index, text in enumerate(rule.patterns):
        if not text.strip("*.-_"):
            message = f"this allows every {field.replace('_', ' ')}; write a pattern with at least one word in it"
            yield Finding((*path, "patterns", index), message, "env.pattern")


def _check_history(profile: Profile, path: KeyPath) -> Iterator[Finding]:
    """Who may ask, how often and how early."""
    for index, pattern in enumerate(profile.requesters):
        if problem := requester_problem(pattern):
            yield Finding((*path, "requesters", index), problem, "env.requester")
    window, default = profile.renewal_window, profile.validity.default
    if window is not None and window.approximate_seconds() * 3 > default.approximate_seconds() * 2:
        message = f"must be at most two thirds of the default validity, {default}: a certificate is not due before the first third is over"
        yield Finding((*path, "renewal_window"), message, "env.renewal-window")
    if profile.limits.window.approximate_seconds() > LONGEST_WINDOW.approximate_seconds():
        message = f"write at most {LONGEST_WINDOW}: everything issued within the window is counted at each request"
        yield Finding((*path, "limits", "window"), message, "env.limit")
