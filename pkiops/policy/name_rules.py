"""The rules about subject alternative names: kinds, patterns, wildcards, how many and how long.

What this module decides: which of the names a request claims are granted, and the nearest name that would be. The subject is ``subject_rules.py``'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pkiops.policy.findings import Finding, Request, passed, refuse
from pkiops.policy.patterns import NamePatterns, san_matches, san_patterns
from pkiops.policy.rules import Profile, SanRule
from pkiops.policy.spiffe import is_spiffe, spiffe_problem
from pkiops.x509.san import SanKind, SubjectAltName, problem_of

_SHOWN = 5  # patterns in a message


@dataclass(frozen=True, slots=True)
class JudgedNames:
    """The findings about names, and the approved ones in the order asked for, each once."""

    findings: tuple[Finding, ...]
    approved: tuple[SubjectAltName, ...]


def judge_sans(profile: Profile, request: Request) -> JudgedNames:
    """Every name asked for needs a pattern of its kind; other kinds of names are refused."""
    findings: list[Finding] = []
    approved: list[SubjectAltName] = []
    asked = dict.fromkeys(request.sans)
    for san in asked:
        finding = _judge_san(profile.san, san)
        findings.append(finding)
        if finding.verdict == "pass":
            approved.append(san)
    findings += _judge_number(profile.san, tuple(asked))
    for name in request.csr.unsupported:
        message = f"the request asks for a name of a kind that is never issued: {name}"
        suggestion = "make the request with DNS names, URIs, IP or email addresses only"
        findings.append(refuse("san-unsupported", "san", name, message, suggestion))
    for san in request.csr.sans:
        if san not in asked:
            message = f"{san} of the request is ignored: other names were given"
            findings.append(passed("san-ignored", "san", str(san), message))
    return JudgedNames(tuple(findings), tuple(approved))


def grants(rule: SanRule, san: SubjectAltName) -> bool:
    """Whether a name alone would be granted."""
    return _judge_san(rule, san).verdict == "pass"


def _judge_number(rule: SanRule, asked: Sequence[SubjectAltName]) -> Iterator[Finding]:
    count = len(asked)
    if count > rule.max_names:
        message = f"{count} names are more than the {rule.max_names} allowed in one certificate"
        yield refuse(
            "san-too-many", "san.max_names", str(count), message, "ask for fewer names, or in several requests"
        )
    else:
        yield passed("san-number-allowed", "san.max_names", str(count), f"{count} of at most {rule.max_names} names")
    kinds = {san.kind.value for san in asked}
    if rule.required and not asked:
        message = "the request has no subject alternative name, and the profile requires one"
        yield refuse("san-required", "san.required", "", message, _spelling(rule))
    for kind in rule.required_kinds:
        if kind in kinds:
            yield passed(
                "san-kind-given", "san.required_kinds", kind, f"there is a {kind} name, as the profile requires"
            )
        elif asked or not rule.required:
            message = f"the request has no {kind} name, and the profile requires one"
            yield refuse("san-kind-required", "san.required_kinds", kind, message, _spelling(rule, kind))
    uris = [san for san in asked if san.kind is SanKind.URI]
    if len(uris) > 1 and any(is_spiffe(san.value) for san in uris):
        # X.509-SVID, section 2: validators refuse such a certificate
        message = f"a certificate with a SPIFFE ID has no other URI, and {len(uris)} are asked for"
        yield refuse(
            "san-spiffe-several",
            "san.uri",
            str(len(uris)),
            message,
            f"ask for {uris[0]} alone, in a request of its own",
        )


def _judge_san(rule: SanRule, san: SubjectAltName) -> Finding:
    kind = san.kind.value
    key, shown = f"san.{kind}", str(san)
    problem = problem_of(san)
    if problem is None and san.kind is SanKind.URI and is_spiffe(san.value):
        problem = spiffe_problem(san.value)
    if problem:
        return refuse("san-malformed", key, shown, f"{shown}: {problem}", "spell it as its kind demands")
    if rule.max_length is not None and len(san.value) > rule.max_length:
        message = f"{shown} has {len(san.value)} characters, {rule.max_length} are allowed"
        return refuse("san-too-long", "san.max_length", shown, message, f"ask for a name of at most {rule.max_length}")
    if san.kind is SanKind.DNS and "*" in san.value and not rule.wildcards:
        message = f"{shown}: wildcard names are not issued; a client must say which one it is"
        return refuse("san-wildcard", "san.wildcards", shown, message, "ask for the full name")
    known = _known(san.kind, getattr(rule, kind))
    number = known.matcher.first(san.value)
    if number is not None:
        return passed(f"san-{kind}-allowed", key, shown, f"{shown} matches {known.patterns[number]}")
    if not known.patterns:
        message = f"{shown} is not allowed: the profile allows no {kind} names"
        return refuse(f"san-{kind}-not-allowed", key, shown, message, _spelling(rule))
    message = f"{shown} is not allowed; allowed: {known.listed}"
    return refuse(f"san-{kind}-not-allowed", key, shown, message, _nearest(known, san))


@dataclass(frozen=True, slots=True)
class _Known:
    """The patterns of a kind, ready to be asked; ``ends`` leads from the fixed end of a pattern to the number of the first that has it."""

    patterns: tuple[str, ...]
    matcher: NamePatterns
    listed: str
    ends: Mapping[tuple[str, ...], int]


@lru_cache(maxsize=256)
def _known(kind: SanKind, patterns: tuple[str, ...]) -> _Known:
    listed = ", ".join(patterns[:_SHOWN])
    if len(patterns) > _SHOWN:
        listed += f" and {len(patterns) - _SHOWN} more"
    ends: dict[tuple[str, ...], int] = {}
    for number, pattern in enumerate(patterns):
        parts = _significant(kind, pattern)
        for length in range(1, len(parts) + 1):
            if parts[length - 1] in {"*", "**"}:
                break
            ends.setdefault(tuple(parts[:length]), number)
    return _Known(patterns, san_patterns(kind, patterns), listed, ends)


def _significant(kind: SanKind, value: str) -> list[str]:
    """The parts of a name or pattern, beginning with the one that says most about whose it is."""
    if kind is SanKind.URI:
        return value.split("/")
    if kind is SanKind.IP:
        return []
    return value.rpartition("@")[2].split(".")[::-1]


def _nearest(known: _Known, san: SubjectAltName) -> str:
    """The allowed name that is most like the one asked for: of the pattern with which it shares most of what says whose it is."""
    parts = _significant(san.kind, san.value)
    number = 0
    for length in range(1, len(parts) + 1):
        found = known.ends.get(tuple(parts[:length]))
        if found is None:
            break
        number = found
    pattern = known.patterns[number]
    example = _filled(pattern, san)
    if example and problem_of(example) is None and san_matches(pattern, example):
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
    return None if "*" in filled else SubjectAltName(san.kind, separator.join(filled))


def _spelling(rule: SanRule, wanted: str | None = None) -> str:
    """What a name may look like under this profile."""
    kinds = [kind.value for kind in SanKind if wanted in {None, kind.value}]
    known = [f"{kind}:{pattern}" for kind in kinds for pattern in getattr(rule, kind)]
    return (
        f"ask for a name like {', '.join(known[:_SHOWN])}"
        if known
        else "add patterns to the profile: nothing listed is nothing allowed"
    )
