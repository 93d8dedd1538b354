"""Can what a profile promises be issued, and by the authority it names?

Pure. What a request is then allowed is the policy engine's question; here a profile that contradicts its authority or
itself is found before anybody asks.
"""

from __future__ import annotations

from collections.abc import Iterator

from pkiops.environment.authority_checks import shorter
from pkiops.environment.finding import Finding, KeyPath, listed
from pkiops.environment.models import Environment, UsageMode
from pkiops.environment.patterns import pattern_problem
from pkiops.policy.rules import FromRequest, Profile
from pkiops.x509.duration import Duration

SHORT_LIVED_MAX = Duration(7, "d")  # usage mode SHORT_LIVED_CERTIFICATE of CreateCertificateAuthority
_KINDS = ("dns", "uri", "ip", "email")


def check_profiles(environment: Environment) -> Iterator[Finding]:
    """Every finding about profiles."""
    for name, profile in environment.profiles.items():
        path: KeyPath = ("profiles", name)
        yield from _check_validity(environment, profile, path)
        yield from _check_names(profile, path)


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
    name = profile.subject.common_name
    if profile.san.required and not patterns:
        message = "names are required but none is allowed; list patterns under dns, uri, ip or email, or write required: false"
        yield Finding((*path, "san"), message, "env.san", at_key=True)
    if not isinstance(name, FromRequest):
        return
    if not profile.san.required and not name.patterns:
        message = "with san.required: false the common name of a request has nothing to be held against; add patterns"
        yield Finding((*path, "subject", "common_name"), message, "env.common-name")
    for index, text in enumerate(name.patterns):
        if not text.strip("*.-_"):
            message = "this allows every common name; write a pattern with at least one word in it"
            yield Finding((*path, "subject", "common_name", "patterns", index), message, "env.pattern")
