"""The rules about subject alternative names: kinds, patterns, wildcards, how many and how long.

What this module decides: which of the names a request claims are granted, and the nearest name that would be. The subject is ``subject_rules.py``'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pkiops.policy.findings import Finding, Request, passed, refuse
from pkiops.policy.patterns import NamePatterns, denied_patterns, san_matches, san_patterns
from pkiops.policy.rules import Profile, SanRule
from pkiops.policy.spiffe import is_spiffe, spiffe_problem
from pkiops.x509.san import SanKind, SubjectAltName, problem_of

_SHOWN = 5  # patterns in a message
_EXAMPLES = 5  # names of a request that are told what would pass, word for word


@dataclass(frozen=True, slots=True)
class JudgedNames:
    """The findings about names, and the approved ones in the order asked for, each once."""

    findings: tuple[Finding, ...]
    approved: tuple[SubjectAltName, ...]


def judge_sans(profile: Profile, request: Request) -> JudgedNames:
    """Every name asked for needs a pattern of its kind; other kinds of names are refused."""
    findings: list[Finding] = []
    approved: list[SubjectAltName] = []
    # whose syntax reading the request has judged
    as_read = request.sans is request.csr.sans
    asked = dict.fromkeys(request.sans)
    judge = _Judge(profile.san)
    for san in asked:
        finding = judge(san, is_sound=as_read)
        findings.append(finding)
        if finding.verdict == "pass":
            approved.append(san)
    findings += _judge_number(profile.san, tuple(asked))
    for name in request.csr.unsupported:
        message = f"the request asks for a name of a kind that is never issued: {name}"
        suggestion = "make the request with DNS names, URIs, IP or email addresses only"
        findings.append(refuse("san-unsupported", "san", name, message, suggestion))
    for san in () if as_read else request.csr.sans:
        if san not in asked:
            message = f"{san} of the request is ignored: other names were given"
            findings.append(passed("san-ignored", "san", str(san), message))
    return JudgedNames(tuple(findings), tuple(approved))


def grants(rule: SanRule, san: SubjectAltName) -> bool:
    """Whether a name alone would be granted."""
    return _Judge(rule)(san, is_sound=False).verdict == "pass"


def denied_by(rule: SanRule, san: SubjectAltName) -> str | None:
    """The first pattern that denies a name; None if none does."""
    patterns: tuple[str, ...] = getattr(rule.deny, san.kind.value)
    number = denied_patterns(san.kind, patterns).first(san.value) if patterns else None
    return None if number is None else patterns[number]


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


class _Judge:
    """Judges names one by one; only the first refused ones of a request are given an example of what would pass."""

    def __init__(self, rule: SanRule) -> None:
        self._rule = rule
        self._examples = _EXAMPLES
        self._known = {kind: _known(kind, getattr(rule, kind.value)) for kind in SanKind}

    def __call__(self, san: SubjectAltName, *, is_sound: bool) -> Finding:
        known, value = self._known[san.kind], san.value
        problem = None if is_sound else problem_of(san)
        if problem is None and san.kind is SanKind.URI and is_spiffe(value):
            problem = spiffe_problem(value)
        if problem:
            shown = str(san)
            return refuse("san-malformed", known.key, shown, f"{shown}: {problem}", "spell it as its kind demands")
        # a sound name of any kind is visible ASCII
        shown = f"{known.kind}:{value}"
        longest = self._rule.max_length
        if longest is not None and len(value) > longest:
            message = f"{shown} has {len(value)} characters, {longest} are allowed"
            return refuse("san-too-long", "san.max_length", shown, message, f"ask for a name of at most {longest}")
        if not self._rule.wildcards and value.startswith("*") and san.kind is SanKind.DNS:
            message = f"{shown}: wildcard names are not issued; a client must say which one it is"
            return refuse("san-wildcard", "san.wildcards", shown, message, "ask for the full name")
        denied = denied_by(self._rule, san)
        if denied is not None:
            message = f"{shown} is denied by {denied}, whatever else allows it"
            suggestion = f"ask for a name that no pattern of {known.denies} matches"
            return refuse("san-denied", known.denies, shown, message, suggestion)
        number = known.matcher.first(value)
        if number is not None:
            undenied = f", and nothing of {known.denies}" if getattr(self._rule.deny, known.kind) else ""
            message = f"{shown} matches {known.patterns[number]}{undenied}"
            return Finding(known.passes, "pass", known.key, shown, message)
        return self._refused(known, san, shown)

    def _refused(self, known: _Known, san: SubjectAltName, shown: str) -> Finding:
        if not known.patterns:
            message = f"{shown} is not allowed: the profile allows no {known.kind} names"
            return Finding(known.refuses, "refuse", known.key, shown, message, _spelling(self._rule))
        pattern = known.patterns[_nearest(known, san.value)]
        suggestion = f"ask for a name that matches {pattern}"
        if self._examples > 0:
            self._examples -= 1
            example = _filled(pattern, san)
            if (
                example
                and problem_of(example) is None
                and san_matches(pattern, example)
                and not denied_by(self._rule, example)
            ):
                suggestion = f"ask for {example}, which matches {pattern}"
        message = f"{shown} is not allowed; allowed: {known.listed}"
        return Finding(known.refuses, "refuse", known.key, shown, message, suggestion)


@dataclass(frozen=True, slots=True)
class _Known:
    """The patterns of a kind, ready to be asked; ``ends`` leads from the fixed end of a pattern to the number of the first that has it."""

    san_kind: SanKind
    kind: str
    key: str
    denies: str
    passes: str
    refuses: str
    patterns: tuple[str, ...]
    matcher: NamePatterns
    listed: str
    ends: Mapping[str, int]


@lru_cache(maxsize=256)
def _known(kind: SanKind, patterns: tuple[str, ...]) -> _Known:
    listed = ", ".join(patterns[:_SHOWN])
    if len(patterns) > _SHOWN:
        listed += f" and {len(patterns) - _SHOWN} more"
    ends: dict[str, int] = {}
    for number, pattern in enumerate(patterns):
        end = pattern.rpartition("@")[2]
        while end:
            if "*" not in end:
                ends.setdefault(end, number)
            end = _shorter(kind, end)
    return _Known(
        san_kind=kind,
        kind=kind.value,
        key=f"san.{kind.value}",
        denies=f"san.deny.{kind.value}",
        passes=f"policy.san-{kind.value}-allowed",
        refuses=f"policy.san-{kind.value}-not-allowed",
        patterns=patterns,
        matcher=san_patterns(kind, patterns),
        listed=listed,
        ends=ends,
    )


def _shorter(kind: SanKind, value: str) -> str:
    """What says a little less exactly whose a name is: a URI without its last segment, a domain without its first label."""
    if kind is SanKind.URI:
        return value.rpartition("/")[0]
    return value.partition(".")[2] if kind is not SanKind.IP else ""


def _nearest(known: _Known, value: str) -> int:
    """The number of the pattern that shares with a name most of what says whose it is; the first if none shares anything."""
    rest = value.rpartition("@")[2]
    while rest:
        if rest in known.ends:
            return known.ends[rest]
        rest = _shorter(known.san_kind, rest)
    return 0


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
