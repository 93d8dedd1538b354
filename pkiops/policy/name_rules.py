"""The rules about names: subject alternative names, common name, the rest of the subject.

What this module decides: which of the names a request claims are granted. A common name needs its own grant, because databases, brokers and
Kubernetes log people in by it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from pkiops.policy.findings import Finding, Request, passed, refuse
from pkiops.policy.patterns import san_matches, text_matches
from pkiops.policy.rules import FromRequest, Profile, SanRule
from pkiops.policy.spiffe import is_spiffe, spiffe_problem
from pkiops.x509.names import printable
from pkiops.x509.san import SanKind, SubjectAltName, problem_of

MAX_COMMON_NAME = 64  # ub-common-name, RFC 5280 appendix A.1
_COMPARED = 128


def judge_sans(profile: Profile, request: Request) -> Iterator[Finding]:
    """Every name asked for needs a pattern of its kind; other kinds of names are refused."""
    for san in dict.fromkeys(request.sans):
        yield _judge_san(profile.san, san)
    for name in request.csr.unsupported:
        yield refuse(
            "san-unsupported",
            "san",
            name,
            f"the request asks for a name of a kind that is never issued: {name}",
            "make the request with DNS names, URIs, IP or email addresses only",
        )
    for san in request.csr.sans:
        if san not in request.sans:
            yield passed("san-ignored", "san", str(san), f"{san} of the request is ignored: other names were given")
    if profile.san.required and not request.sans:
        yield refuse(
            "san-required",
            "san.required",
            "",
            "the request has no subject alternative name, and the profile requires one",
            _spelling(profile.san),
        )


def approved_sans(profile: Profile, request: Request) -> tuple[SubjectAltName, ...]:
    """The names that pass, in the order asked for, each once."""
    return tuple(san for san in dict.fromkeys(request.sans) if _judge_san(profile.san, san).verdict == "pass")


def judge_subject(profile: Profile, request: Request) -> tuple[str | None, list[Finding]]:
    """The common name of the certificate (None: it has none), and the findings about the whole subject."""
    rule = profile.subject.common_name
    ignored = [
        passed(
            "subject-ignored",
            "subject",
            f"{name}={printable(value)}",
            f"{name} of the request is ignored: the profile sets the subject",
        )
        for name, value in request.csr.subject
        if name != "CN"
    ]
    if isinstance(rule, FromRequest):
        value, finding = _common_name_from_request(rule, profile, request)
        return value, [finding, *ignored]
    requested = request.csr.common_name
    if rule is None:
        found = [passed("common-name-none", "subject.common_name", "", "the profile gives no common name")]
    else:
        found = [passed("common-name-fixed", "subject.common_name", rule, f"the profile sets the common name {rule}")]
    if requested is not None and requested != rule:
        shown = printable(requested)
        found.append(
            passed(
                "common-name-ignored",
                "subject.common_name",
                shown,
                f"the common name {shown} of the request is ignored",
            )
        )
    return rule, [*found, *ignored]


def _judge_san(rule: SanRule, san: SubjectAltName) -> Finding:
    key = f"san.{san.kind.value}"
    patterns: tuple[str, ...] = getattr(rule, san.kind.value)
    problem = problem_of(san)
    if problem is None and san.kind is SanKind.URI and is_spiffe(san.value):
        problem = spiffe_problem(san.value)
    if problem:
        return refuse("san-malformed", key, str(san), f"{san}: {problem}")
    if san.kind is SanKind.DNS and "*" in san.value:
        return refuse(
            "san-wildcard",
            key,
            str(san),
            f"{san}: wildcard names are not issued; a client must say which one it is",
            "ask for the full name",
        )
    for pattern in patterns:
        if san_matches(pattern, san):
            return passed(f"san-{san.kind.value}-allowed", key, str(san), f"{san} matches {pattern}")
    if not patterns:
        message = f"{san} is not allowed: the profile allows no {san.kind.value} names"
        return refuse(f"san-{san.kind.value}-not-allowed", key, str(san), message, _spelling(rule))
    message = f"{san} is not allowed; allowed: {', '.join(patterns)}"
    return refuse(f"san-{san.kind.value}-not-allowed", key, str(san), message, _nearest(patterns, san))


def _common_name_from_request(rule: FromRequest, profile: Profile, request: Request) -> tuple[str | None, Finding]:
    key = "subject.common_name"
    approved = approved_sans(profile, request)
    names = [value for name, value in request.csr.subject if name == "CN" and value]
    if not names:
        first = next((san.value for san in approved if san.kind is SanKind.DNS), None)
        if first is None or len(first) > MAX_COMMON_NAME:
            return None, passed("common-name-none", key, "", "the request has no common name, and gets none")
        return first, passed(
            "common-name-from-san", key, first, f"the request has no common name; it gets its first DNS name {first}"
        )
    wanted = names[0]
    shown = printable(wanted[: 2 * MAX_COMMON_NAME])
    if len(names) > 1:
        return None, refuse(
            "common-name-several", key, shown, f"the request has {len(names)} common names", "make it with one"
        )
    if len(wanted) > MAX_COMMON_NAME:
        return None, refuse(
            "common-name-too-long",
            key,
            shown,
            f"the common name has {len(wanted)} characters, {MAX_COMMON_NAME} are possible",
            "leave it out; the full name goes into the subject alternative names",
        )
    for san in approved:
        if wanted == san.value or (san.kind is SanKind.DNS and wanted.lower() == san.value):
            return san.value, passed(
                "common-name-allowed", key, shown, f"the common name {san.value} is one of the approved names"
            )
    for pattern in rule.patterns:
        if text_matches(pattern, wanted):
            return wanted, passed("common-name-allowed", key, shown, f"the common name {shown} matches {pattern}")
    fitting = next((san.value for san in approved if len(san.value) <= MAX_COMMON_NAME), None)
    as_dns = SubjectAltName(SanKind.DNS, wanted.lower())
    if fitting is None and _judge_san(profile.san, as_dns).verdict == "pass":
        suggestion = f"ask for {as_dns} too: the profile allows it"
    else:
        suggestion = f"use the common name {fitting}, or none" if fitting else "leave the common name out"
    return None, refuse(
        "common-name-not-allowed",
        key,
        shown,
        f"the common name {shown} is neither one of the approved names nor matches a pattern of the profile",
        suggestion,
    )


def _nearest(patterns: tuple[str, ...], san: SubjectAltName) -> str:
    """The allowed name that is most like the one asked for."""
    compared = san.value[:_COMPARED]
    pattern = max(patterns, key=lambda item: difflib.SequenceMatcher(None, item[:_COMPARED], compared).ratio())
    example = _filled(pattern, san)
    if example and san_matches(pattern, example):
        return f"ask for {example}, which matches {pattern}"
    return f"ask for a name that matches {pattern}"


def _filled(pattern: str, san: SubjectAltName) -> SubjectAltName | None:
    """A pattern with the parts of the requested name in place of its wildcards, from the left; None where that makes no sense."""
    if san.kind is SanKind.IP:
        return None
    separator = "/" if san.kind is SanKind.URI else "."
    if san.kind is SanKind.EMAIL:
        local, _, domain = san.value.rpartition("@")
        wanted = pattern.replace("*@", f"{local}@", 1)
        return None if "*" in wanted or not domain else SubjectAltName(san.kind, wanted)
    parts, own = pattern.split(separator), san.value.split(separator)
    filled = [
        (own[index] if index < len(own) else "") if part in {"*", "**"} else part for index, part in enumerate(parts)
    ]
    return SubjectAltName(san.kind, separator.join(filled))


def _spelling(rule: SanRule) -> str:
    """What a name may look like under this profile."""
    known = [f"{kind.value}:{pattern}" for kind in SanKind for pattern in getattr(rule, kind.value)]
    return (
        f"ask for a name like {', '.join(known[:5])}"
        if known
        else "add patterns to the profile: nothing listed is nothing allowed"
    )
