"""The rules about key, usage, lifetime, extensions and sender of a request.

What this module decides: for each of them whether the profile grants it, and the nearest thing that it would grant.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from pkiops.policy.findings import Facts, Finding, KeyExamination, Request, passed, refuse
from pkiops.policy.requesters import requester_matches
from pkiops.policy.rules import Profile
from pkiops.x509.csr import CertificationRequest
from pkiops.x509.duration import Duration
from pkiops.x509.names import printable
from pkiops.x509.weak_keys import weakness_of

# CRLs, OCSP and TLS compare with clocks that are not ours; a certificate must not be refused for being new (RFC 5280 sets no value).
CLOCK_SKEW = timedelta(minutes=5)
_UNITS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def judge_key(profile: Profile, csr: CertificationRequest, examination: KeyExamination | None) -> Iterator[Finding]:
    """Algorithm and size must be listed; a listed key must not be one that can be broken or is known to others."""
    allowed = ", ".join(key.value for key in profile.keys)
    name = csr.key_algorithm.value if csr.key_algorithm else csr.key_description
    if csr.key_algorithm not in profile.keys:
        yield refuse(
            "key-not-allowed",
            "keys",
            name,
            f"the key {name} is not allowed; allowed: {allowed}",
            f"make a new key, {profile.keys[0].value} for example",
        )
    weakness = weakness_of(csr.public_key) or (examination.weakness if examination else None)
    if weakness:
        yield refuse("key-weak", "keys", name, f"the key is weak: {weakness}", "make a new key with another program")
    elif csr.key_algorithm in profile.keys:
        yield passed("key-allowed", "keys", name, f"the key {name} is allowed")
    if examination is not None and not weakness:
        yield _examined(examination, name)


def _examined(examination: KeyExamination, name: str) -> Finding:
    if examination.program is None:
        message = (
            "badkeys is not installed: the key was looked at for small and close factors, ROCA and its exponent, but not for primes"
            " and keys that are known to others (pip install 'pkiops[weak-keys]')"
        )
        return passed("key-not-examined", "keys", name, message)
    listed = (
        "and it is not among the keys that have leaked"
        if examination.leaked_keys
        else "but its list of keys that have leaked is not there (badkeys --update-bl fetches it)"
    )
    return passed("key-examined", "keys", name, f"{examination.program} finds nothing wrong with the key, {listed}")


def judge_requesters(profile: Profile, requesters: tuple[str, ...] | None) -> Iterator[Finding]:
    """One of the identities of who asks must match a pattern; without patterns, whoever can call the authority may ask."""
    if requesters is None:
        return
    shown = ", ".join(printable(one) for one in requesters)
    if not profile.requesters:
        yield passed("requester-any", "requesters", shown, "the profile does not say who may ask")
        return
    for identity in requesters:
        for pattern in profile.requesters:
            if requester_matches(pattern, identity):
                message = f"{printable(identity)} matches {pattern}"
                yield passed("requester-allowed", "requesters", printable(identity), message)
                return
    allowed = ", ".join(profile.requesters)
    message = f"{shown or 'nobody known'} may not ask under this profile; allowed: {allowed}"
    yield refuse(
        "requester-not-allowed",
        "requesters",
        shown,
        message,
        f"ask as {profile.requesters[0]}, or under another profile",
    )


def judge_usage(profile: Profile, request: Request) -> Iterator[Finding]:
    """Only usages of the profile can be asked for."""
    for usage in request.usage or profile.usage:
        if usage in profile.usage:
            yield passed("usage-allowed", "usage", usage.value, f"{usage.value} is a usage of the profile")
        else:
            allowed = ", ".join(item.value for item in profile.usage)
            yield refuse(
                "usage-not-allowed",
                "usage",
                usage.value,
                f"the usage {usage.value} is not allowed; allowed: {allowed}",
                f"ask for {allowed}",
            )


def judge_extensions(csr: CertificationRequest) -> Iterator[Finding]:
    """What else a request carries is ignored: extensions are the template's and the profile's."""
    for oid in csr.other_extensions:
        yield passed("extension-ignored", "csr", oid, f"the extension {oid} of the request is ignored")


def validity_of(profile: Profile, request: Request) -> Duration:
    """How long the certificate is to live: what was asked for, else the profile's default."""
    return request.validity or profile.validity.default


def judge_validity(profile: Profile, request: Request, facts: Facts, now: datetime) -> Iterator[Finding]:
    """Not longer than the profile's maximum, and not beyond the end of the issuing CA."""
    wanted = validity_of(profile, request)
    end = wanted.after(now)
    longest_end = profile.validity.max.after(now)
    limits = [longest_end, *([facts.issuer_not_after] if facts.issuer_not_after else [])]
    fitting = longest_that_fits(now, min(limits))
    suggestion = f"ask for at most {fitting}" if fitting else "renew the CA, or issue from its successor"
    sound = True
    if end > longest_end:
        sound = False
        yield refuse(
            "validity-too-long",
            "validity.max",
            str(wanted),
            f"a validity of {wanted} is longer than the {profile.validity.max} allowed",
            suggestion
            if facts.issuer_not_after and facts.issuer_not_after < longest_end
            else f"ask for at most {profile.validity.max}",
        )
    if facts.issuer_not_after is not None and end > facts.issuer_not_after:
        sound = False
        yield refuse(
            "validity-beyond-issuer",
            "validity",
            str(wanted),
            f"a validity of {wanted} ends on {end:%Y-%m-%d %H:%M:%SZ}, after the issuing CA itself "
            f"({facts.issuer_not_after:%Y-%m-%d %H:%M:%SZ})",
            suggestion,
        )
    if sound:
        yield passed("validity-allowed", "validity", str(wanted), f"a validity of {wanted} is allowed")


def longest_that_fits(now: datetime, end: datetime) -> Duration | None:
    """The longest duration from ``now`` to at most ``end``, in the largest unit of which a whole one fits; None if nothing does."""
    seconds = int((end - now).total_seconds())
    for unit, length in _UNITS:
        if seconds >= length:
            return Duration(seconds // length, unit)
    return None
