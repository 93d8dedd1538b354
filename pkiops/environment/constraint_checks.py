"""Are the name constraints of a file sound, can the service sign them, and do they allow what the profiles promise?

Pure. What they are made into is ``name_constraints.py``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from pkiops.environment.finding import Finding, KeyPath
from pkiops.environment.hierarchy import chain
from pkiops.environment.models import Environment, NameConstraints, NameForms
from pkiops.environment.name_constraints import Boundary, enclosing, name_constraints, profile_subtrees, subtrees
from pkiops.environment.patterns import pattern_problem
from pkiops.x509.name_constraints import FORMS

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_MAILBOX = re.compile(r"[A-Za-z0-9!#$%&'+/=?^_`{|}~.-]+@" + _DOMAIN.pattern)
# CustomExtension takes 4096 characters of base64, which is 3072 bytes; tags and lengths are at most 8 for each subtree
_MAX_DER = 3072


def check_name_constraints(environment: Environment, levels: Mapping[str, int | None]) -> Iterator[Finding]:
    """Every finding about name constraints; ``levels`` tells which authorities have a sound chain (``authority_checks``)."""
    sound: dict[str, KeyPath] = {}
    for label, authority in environment.authorities.items():
        declared = authority.name_constraints
        if declared is None:
            continue
        path: KeyPath = ("authorities", label, "name_constraints")
        findings = [*_check_alone(declared, path)]
        if authority.issuer is None:
            message = (
                "relying parties ignore them in a root (RFC 5280 section 6.1); write them at the authorities below it"
            )
            findings.append(Finding(path, message, "env.name-constraints", at_key=True))
        yield from findings
        if not findings and levels.get(label):
            sound[label] = path
    signed: list[str] = []
    patterns_are_sound = not any(_broken_patterns(environment))
    for label, path in sound.items():
        declared = environment.authorities[label].name_constraints
        if (declared is not None and declared.source is None) or patterns_are_sound:
            too_large = [*_check_signed(environment, label, path)]
            yield from too_large
            if not too_large:
                signed.append(label)
    if patterns_are_sound:
        yield from _check_promises(environment, signed, levels)


def _check_alone(declared: NameConstraints, path: KeyPath) -> Iterator[Finding]:
    given, excluded = _count(declared.permitted), _count(declared.excluded)
    if declared.source is not None and given:
        message = "the permitted names come from the profiles; remove them, or remove from"
        yield Finding((*path, "permitted"), message, "env.name-constraints", at_key=True)
    if declared.source is None and not given and not excluded:
        message = "constrains nothing; write permitted or excluded names, or from: profiles"
        yield Finding(path, message, "env.name-constraints", at_key=True)
    for side in ("permitted", "excluded"):
        forms: NameForms = getattr(declared, side)
        for form in FORMS:
            for index, value in enumerate(forms.get(form, ())):
                problem = _problem(form, value)
                if problem:
                    yield Finding((*path, side, form, index), problem, "env.name-constraints")


def _problem(form: str, value: str) -> str | None:
    if form == "ip":
        # unlike in a pattern, the block of all addresses has a meaning here: excluded, it closes the form
        return None if value in {"0.0.0.0/0", "::/0"} else pattern_problem("ip", value)
    if form == "dns":
        ok = _DOMAIN.fullmatch(value)
        return None if ok else "write a domain in lower case without wildcards; it stands for all names below it too"
    host = value.removeprefix(".")
    if _DOMAIN.fullmatch(host) or (form == "email" and _MAILBOX.fullmatch(value)):
        return None
    mailbox = ", name@example.com for one mailbox" if form == "email" else ""
    return f"write a host in lower case, .example.com for what is below it{mailbox}"


def _check_signed(environment: Environment, label: str, path: KeyPath) -> Iterator[Finding]:
    declared = environment.authorities[label].name_constraints
    if declared is not None and declared.source is not None and not profile_subtrees(environment, label):
        message = "no profile with names is issued by this authority or one below it, so there is nothing to derive"
        yield Finding((*path, "from"), message, "env.name-constraints")
        return
    made = name_constraints(environment, label)
    if 16 + sum(len(value.encode()) + 8 for _, value in (*made.permitted, *made.excluded)) > _MAX_DER:
        message = (
            f"are too large for the service, which takes an extension of {_MAX_DER} bytes; write fewer, wider ones"
        )
        yield Finding(path, message, "env.name-constraints", at_key=True)


def _check_promises(
    environment: Environment, signed: Collection[str], levels: Mapping[str, int | None]
) -> Iterator[Finding]:
    """A profile must not promise names that its authority, or one above it, can never vouch for."""
    limits = {label: Boundary.of(name_constraints(environment, label)) for label in signed}
    for name, profile in environment.profiles.items():
        if not levels.get(profile.authority):
            continue
        for form in FORMS:
            for index, pattern in enumerate(getattr(profile.san, form)):
                subtree = (form, enclosing(form, pattern))
                for label in chain(environment, profile.authority):
                    if label in limits and limits[label].forbids_some(subtree):
                        message = f"authority {label} may not vouch for all of these names: see its name_constraints"
                        yield Finding(("profiles", name, "san", form, index), message, "env.name-constraints")
                        break
    for label in signed:
        yield from _check_nesting(environment, label, limits)


def _check_nesting(environment: Environment, label: str, limits: Mapping[str, Boundary]) -> Iterator[Finding]:
    """What is permitted below must be permitted above: a chain's constraints all hold."""
    declared = environment.authorities[label].name_constraints
    for above in chain(environment, label)[1:]:
        if declared is not None and above in limits:
            for form in FORMS:
                for index, subtree in enumerate(one for one in subtrees(declared.permitted) if one[0] == form):
                    if limits[above].forbids_some(subtree):
                        message = (
                            f"authority {above} above may not vouch for all of these names: see its name_constraints"
                        )
                        where = ("authorities", label, "name_constraints", "permitted", form, index)
                        yield Finding(where, message, "env.name-constraints")


def _broken_patterns(environment: Environment) -> Iterator[str]:
    for profile in environment.profiles.values():
        for form in FORMS:
            yield from (text for text in getattr(profile.san, form) if pattern_problem(form, text))


def _count(forms: NameForms) -> int:
    return sum(len(values) for values in forms.values())
