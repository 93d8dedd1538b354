"""The rules about the subject: each attribute fixed, from the request, or made from the approved names.

What this module decides: what stands in the subject of the certificate. A common name needs its own grant, because databases, brokers and Kubernetes
log people in by it; whatever else a request says about its subject counts only where the profile asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pkiops.policy.findings import Finding, Request, passed, refuse
from pkiops.policy.name_rules import denied_by, grants
from pkiops.policy.patterns import first_text
from pkiops.policy.rules import FromRequest, Profile
from pkiops.policy.templates import filled
from pkiops.x509.names import SUBJECT_FIELDS, has_unprintable, printable
from pkiops.x509.san import SanKind, SubjectAltName

MAX_COMMON_NAME = 64  # ub-common-name, RFC 5280 appendix A.1
_LONGEST = {
    "country": 2,
    "state": 128,
    "locality": 128,
    "organization": 64,
    "organizational_unit": 64,
    "common_name": 64,
}
_SHORT = {
    "country": "C",
    "state": "ST",
    "locality": "L",
    "organization": "O",
    "organizational_unit": "OU",
    "common_name": "CN",
}
_COUNTRY = re.compile(r"[A-Z]{2}")


@dataclass(frozen=True, slots=True)
class JudgedSubject:
    """The findings about the subject, and its attributes in the order of ``SUBJECT_FIELDS``."""

    findings: tuple[Finding, ...]
    subject: tuple[tuple[str, str], ...]


def judge_subject(
    profile_name: str, profile: Profile, request: Request, approved: Sequence[SubjectAltName]
) -> JudgedSubject:
    """Judge every attribute; ``approved`` are the names that are granted."""
    findings: list[Finding] = []
    values: dict[str, str | None] = {}
    used: set[str] = set()
    for field in SUBJECT_FIELDS:
        rule = getattr(profile.subject, field)
        if isinstance(rule, FromRequest) and rule.source == "names":
            values[field], finding = _from_names(field, rule, profile_name, approved)
            findings.append(finding)
        elif isinstance(rule, FromRequest):
            used.add(_SHORT[field])
            judge = _common_name_from_request if field == "common_name" else _from_request
            values[field], finding = judge(field, rule, profile, request, approved)
            findings.append(finding)
        elif field == "common_name":
            values[field] = rule
            findings += _fixed_common_name(rule)
        else:
            values[field] = rule
            if rule is not None:
                findings.append(
                    passed("subject-fixed", f"subject.{field}", rule, f"the profile sets {field} to {rule}")
                )
    findings += _ignored(request, used, values.get("common_name"))
    return JudgedSubject(tuple(findings), tuple((field, value) for field, value in values.items() if value))


def _fixed_common_name(rule: str | None) -> list[Finding]:
    if rule is None:
        return [passed("common-name-none", "subject.common_name", "", "the profile gives no common name")]
    return [passed("common-name-fixed", "subject.common_name", rule, f"the profile sets the common name {rule}")]


def _ignored(request: Request, used: set[str], common_name: str | None) -> list[Finding]:
    """What the request says about its subject without being asked."""
    found: list[Finding] = []
    for name, value in request.csr.subject:
        if name in used or (name == "CN" and value == common_name):
            continue
        shown = printable(value)
        if name == "CN":
            message = f"the common name {shown} of the request is ignored"
            found.append(passed("common-name-ignored", "subject.common_name", shown, message))
        else:
            message = f"{name} of the request is ignored: the profile sets the subject"
            found.append(passed("subject-ignored", "subject", f"{name}={shown}", message))
    return found


def _from_names(
    field: str, rule: FromRequest, profile_name: str, approved: Sequence[SubjectAltName]
) -> tuple[str | None, Finding]:
    key, template = f"subject.{field}", rule.template or ""
    value, missing = filled(template, profile_name, approved)
    if missing is not None:
        message = f"{field} is made of {template}, and no approved name gives {{{missing}}}"
        return None, refuse(
            "subject-template", key, template, message, f"ask for a {missing.partition('.')[0]} name that has it"
        )
    problem = _unfit(field, value)
    if problem:
        message = f"{field} would be {printable(value[:128])}, {problem}"
        return None, refuse("subject-template", key, printable(value[:128]), message, "ask for a shorter name")
    return value, passed("subject-template-filled", key, value, f"{field} is {value}, made of {template}")


def _from_request(
    field: str, rule: FromRequest, profile: Profile, request: Request, approved: Sequence[SubjectAltName]
) -> tuple[str | None, Finding]:
    key = f"subject.{field}"
    given = [value for name, value in request.csr.subject if name == _SHORT[field] and value]
    if not given:
        return None, passed("subject-none", key, "", f"the request has no {field}, and gets none")
    shown = printable(given[0][:256])
    if len(given) > 1:
        return None, refuse(
            "subject-several", key, shown, f"the request has {len(given)} of {field}", "make it with one"
        )
    problem = _unfit(field, given[0])
    number = None if problem else first_text(rule.patterns, given[0])
    if number is not None:
        return given[0], passed("subject-allowed", key, shown, f"{field} {shown} matches {rule.patterns[number]}")
    reason = problem or f"which matches none of {', '.join(rule.patterns)}"
    suggestion = (
        f"make the request with a {field} that matches {rule.patterns[0]}, or without"
        if rule.patterns
        else f"leave {field} out"
    )
    return None, refuse("subject-not-allowed", key, shown, f"{field} of the request is {shown}, {reason}", suggestion)


def _unfit(field: str, value: str) -> str | None:
    longest = _LONGEST[field]
    if len(value) > longest:
        return f"which has {len(value)} characters, {longest} are possible"
    if field == "country" and not _COUNTRY.fullmatch(value):
        return "which is no country code of two capitals"
    return "which holds control or invisible characters" if has_unprintable(value) else None


def _common_name_from_request(
    field: str, rule: FromRequest, profile: Profile, request: Request, approved: Sequence[SubjectAltName]
) -> tuple[str | None, Finding]:
    key = f"subject.{field}"
    names = [value for name, value in request.csr.subject if name == "CN" and value]
    if not names:
        first = next((san.value for san in approved if san.kind is SanKind.DNS), None)
        if first is None or len(first) > MAX_COMMON_NAME:
            return None, passed("common-name-none", key, "", "the request has no common name, and gets none")
        message = f"the request has no common name; it gets its first DNS name {first}"
        return first, passed("common-name-from-san", key, first, message)
    wanted = names[0]
    shown = printable(wanted[: 2 * MAX_COMMON_NAME])
    if len(names) > 1:
        message = f"the request has {len(names)} common names"
        return None, refuse("common-name-several", key, shown, message, "make it with one")
    if len(wanted) > MAX_COMMON_NAME:
        message = f"the common name has {len(wanted)} characters, {MAX_COMMON_NAME} are possible"
        suggestion = "leave it out; the full name goes into the subject alternative names"
        return None, refuse("common-name-too-long", key, shown, message, suggestion)
    for san in approved:
        if wanted == san.value or (san.kind is SanKind.DNS and wanted.lower() == san.value):
            message = f"the common name {san.value} is one of the approved names"
            return san.value, passed("common-name-allowed", key, shown, message)
    # programs of old take it for the host's name
    spelled = wanted.lower().rstrip(".")
    denied = next(
        (found for kind in SanKind if (found := denied_by(profile.san, SubjectAltName(kind, spelled))) is not None),
        None,
    )
    if denied is not None:
        message = f"the common name {shown} is denied by {denied} of san.deny"
        return None, refuse("common-name-not-allowed", key, shown, message, "leave the common name out")
    number = first_text(rule.patterns, wanted)
    if number is not None:
        message = f"the common name {shown} matches {rule.patterns[number]}"
        return wanted, passed("common-name-allowed", key, shown, message)
    message = f"the common name {shown} is neither one of the approved names nor matches a pattern of the profile"
    return None, refuse("common-name-not-allowed", key, shown, message, _nearest_common_name(profile, wanted, approved))


def _nearest_common_name(profile: Profile, wanted: str, approved: Sequence[SubjectAltName]) -> str:
    fitting = next((san.value for san in approved if len(san.value) <= MAX_COMMON_NAME), None)
    as_dns = SubjectAltName(SanKind.DNS, wanted.lower())
    if fitting is None and grants(profile.san, as_dns):
        return f"ask for {as_dns} too: the profile allows it"
    return f"use the common name {fitting}, or none" if fitting else "leave the common name out"
