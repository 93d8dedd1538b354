"""Do the authorities of an environment form hierarchies that AWS Private CA can build and relying parties accept?

Pure. Rules that need a whole chain (lifetimes, path lengths, depth) look only at authorities whose chain up to a root is sound: one broken issuer is
one finding, not ten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pkiops.environment.constraint_checks import check_name_constraints
from pkiops.environment.external_checks import check_external_authorities
from pkiops.environment.finding import Finding, KeyPath, listed, nearest
from pkiops.environment.hierarchy import issuers
from pkiops.environment.models import Authority, Environment, UsageMode
from pkiops.environment.subjects import common_name
from pkiops.x509.algorithms import signing_algorithms
from pkiops.x509.duration import Duration

MAX_LEVELS = 5  # hierarchies of AWS Private CA: a root and four levels below it
MAX_PATH_LENGTH = 3  # the highest of the templates SubordinateCACertificate_PathLen0..3
MAX_CRL_DAYS = 5000  # CrlConfiguration.ExpirationInDays
MAX_YEARS = 1000  # nobody means more, and dates have four digits for the year (RFC 5280 section 4.1.2.5)
_DAY = 86_400


def shorter(one: Duration, other: Duration) -> bool:
    """Does ``one`` certainly end before ``other``, both counted from the same day? Years vary by a day, so two days are left between unlike units."""
    if one.unit == other.unit:
        return one.count < other.count
    margin = 2 * _DAY if "y" in {one.unit, other.unit} else 0
    return one.approximate_seconds() + margin < other.approximate_seconds()


def check_authorities(environment: Environment) -> Iterator[Finding]:
    """Every finding about authorities, alone and in their hierarchy."""
    authorities = environment.authorities
    names: dict[str, str] = {}
    for label, authority in authorities.items():
        path: KeyPath = ("authorities", label)
        yield from _check_alone(authority, path)
        name = common_name(authority.subject)
        if name is None:
            continue
        if name in names:
            message = f"authority {names[name]} has this name too; two keys under one name break chain building"
            yield Finding((*path, "subject", "common_name"), message, "env.common-name")
        names.setdefault(name, label)
    outside = environment.external_authorities
    if all(one.issuer is not None and one.issuer not in outside for one in authorities.values()):
        yield Finding(
            ("authorities",), "no authority is a root; leave out the issuer of one", "env.no-root", at_key=True
        )
    levels = _levels(issuers(environment))
    yield from _check_hierarchy(environment, levels)
    yield from check_external_authorities(environment, levels)
    yield from check_name_constraints(environment, levels)


def _check_alone(authority: Authority, path: KeyPath) -> Iterator[Finding]:
    fitting = signing_algorithms(authority.key_algorithm)
    if authority.signing_algorithm is not None and authority.signing_algorithm not in fitting:
        message = f"does not fit a key of {authority.key_algorithm.value}; write {listed(fitting)}, or leave it out"
        yield Finding((*path, "signing_algorithm"), message, "env.signing-algorithm")
    if authority.validity.approximate_seconds() > Duration(MAX_YEARS, "y").approximate_seconds():
        yield Finding((*path, "validity"), f"is too long; write at most {MAX_YEARS}y", "env.validity")
    days = authority.crl.validity
    if days.unit != "d" or days.count > MAX_CRL_DAYS:
        message = f"the service counts the days of a CRL; write whole days, 1d to {MAX_CRL_DAYS}d"
        yield Finding((*path, "crl", "validity"), message, "env.crl-validity")
    elif not shorter(days, authority.validity):
        message = f"a CRL must end before its authority does; write less than {authority.validity}"
        yield Finding((*path, "crl", "validity"), message, "env.crl-validity")


def _check_hierarchy(environment: Environment, levels: Mapping[str, int | None]) -> Iterator[Finding]:
    authorities, known = environment.authorities, (*environment.authorities, *environment.external_authorities)
    for label, authority in authorities.items():
        path: KeyPath = ("authorities", label, "issuer")
        if authority.issuer is not None and authority.issuer not in known:
            close = nearest(authority.issuer, known)
            advice = f"did you mean {close}?" if close else f"write {listed(known)}"
            yield Finding(path, f"there is no such authority; {advice}", "env.issuer")
        elif levels[label] == 0:
            yield Finding(path, "this authority is its own issuer in the end; break the loop", "env.loop")
        elif (levels[label] or 0) > MAX_LEVELS:
            message = (
                f"this is level {levels[label]} of a hierarchy; the service allows {MAX_LEVELS}, the root included"
            )
            yield Finding(path, message, "env.depth")
        elif levels[label] is not None and authority.issuer is not None and authority.issuer in authorities:
            yield from _check_child(label, authority, authority.issuer, authorities[authority.issuer])
    if all(level is None or level <= MAX_LEVELS for label, level in levels.items() if label in authorities):
        yield from _check_path_lengths(authorities, levels)


def _levels(issuers: Mapping[str, str | None]) -> dict[str, int | None]:
    """1 for a root, 2 for what it issues; 0 for a member of a loop; None where the chain ends nowhere or leads into a loop."""
    levels: dict[str, int | None] = {}
    for label in issuers:
        trail: dict[str, None] = {}
        above: str | None = label
        while above is not None and above in issuers and above not in levels and above not in trail:
            trail[above] = None
            above = issuers[above]
        if above in trail:
            looped = list(trail)
            levels.update(dict.fromkeys(looped, None))
            levels.update(dict.fromkeys(looped[looped.index(above) :], 0))
            continue
        level = 0 if above is None else levels.get(above) or None
        for step in reversed(trail):
            level = None if level is None else level + 1
            levels[step] = level
    return levels


def _check_child(label: str, authority: Authority, issuer: str, parent: Authority) -> Iterator[Finding]:
    if not shorter(authority.validity, parent.validity):
        message = (
            f"must be shorter than the {parent.validity} of its issuer {issuer}: "
            "a child is created later, and must not outlive its issuer"
        )
        yield Finding(("authorities", label, "validity"), message, "env.outlives")
    if parent.usage_mode is UsageMode.SHORT_LIVED_CERTIFICATE:
        message = f"{issuer} issues certificates of at most 7 days (SHORT_LIVED_CERTIFICATE), so it can have no authority below it"
        yield Finding(("authorities", label, "issuer"), message, "env.short-lived")


def _check_path_lengths(authorities: Mapping[str, Authority], levels: Mapping[str, int | None]) -> Iterator[Finding]:
    """Path lengths nest (RFC 5280 section 4.2.1.9), from the deepest level up so that each authority knows what is needed below it."""
    needed: dict[str, int] = {}
    sound = [label for label in authorities if levels[label]]
    for label in sorted(sound, key=lambda name: levels[name] or 0, reverse=True):
        authority = authorities[label]
        least = needed.get(label, 0)
        own = authority.path_length
        path: KeyPath = ("authorities", label, "path_length")
        if own is not None and own < least:
            message = f"must be at least {least} for the authorities below it; write {least}, or leave it out"
            if least > MAX_PATH_LENGTH and authority.issuer is None:
                message = "is too small for the authorities below it; leave it out, or make theirs smaller"
            elif least > MAX_PATH_LENGTH:
                message = (
                    f"is too small for the authorities below it, and {MAX_PATH_LENGTH} is the most; make theirs smaller"
                )
            yield Finding(path, message, "env.path-length")
        elif own is None and authority.issuer is not None and least > MAX_PATH_LENGTH:
            message = f"would have to be {least} for the authorities below it, and {MAX_PATH_LENGTH} is the most; make theirs smaller"
            yield Finding(path, message, "env.path-length")
        if authority.issuer is not None:
            length = least if own is None else max(own, least)
            needed[authority.issuer] = max(needed.get(authority.issuer, 0), min(length, MAX_PATH_LENGTH) + 1)
