"""Which name constraints the certificate of an authority should hold: those given, or those derived from the profiles below it. Pure.

Derived ones permit, for each form, the narrowest subtrees that hold every name a profile may be given: RFC 5280 section 4.2.1.10 knows domains,
hosts and blocks, not patterns, so they are wider than the profiles and never narrower. A form that no profile uses is closed: addresses by excluding
all, the others by permitting only the reserved domain ``invalid`` (RFC 6761 section 6.4), because relying parties disagree about empty constraints.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from pkiops.environment.hierarchy import is_below
from pkiops.environment.models import Environment, NameForms
from pkiops.x509.name_constraints import FORMS, NO_CONSTRAINTS, NameConstraints, Subtree, constraints

# a form, and a subtree of it as a value that compares
_Key: TypeAlias = tuple[str, Hashable]
_NOBODY = "invalid"
_ALL_ADDRESSES = (("ip", "0.0.0.0/0"), ("ip", "::/0"))
_WILD = {"*", "**"}
_URI_HOST = re.compile(r"[a-z][a-z0-9+.-]*://([^/]*)")


def name_constraints(environment: Environment, label: str) -> NameConstraints:
    """The constraints that the certificate of ``label`` should hold; empty for none."""
    declared = environment.authorities[label].name_constraints
    if declared is None:
        return NO_CONSTRAINTS
    excluded = subtrees(declared.excluded)
    if declared.source is None:
        return constraints(subtrees(declared.permitted), excluded)
    derived = narrowest(profile_subtrees(environment, label))
    used = {form for form, _ in derived}
    closed = [(form, _NOBODY) for form in FORMS if form not in used and form != "ip"]
    return constraints([*derived, *closed], [*excluded, *(_ALL_ADDRESSES if "ip" not in used else ())])


def subtrees(forms: NameForms) -> tuple[Subtree, ...]:
    """The subtrees of a declaration, spelled in the one way that compares."""
    return tuple((form, _spelled(form, value)) for form in FORMS for value in forms.get(form, ()))


def profile_subtrees(environment: Environment, label: str) -> tuple[Subtree, ...]:
    """One subtree for each pattern of the profiles that ``label`` or an authority below it issues for."""
    return tuple(
        (form, enclosing(form, pattern))
        for profile in environment.profiles.values()
        if is_below(environment, profile.authority, (label,))
        for form in FORMS
        for pattern in getattr(profile.san, form)
    )


def enclosing(form: str, pattern: str) -> str:
    """The narrowest subtree that holds every name a pattern allows (patterns as ``patterns.py`` takes them)."""
    if form == "dns":
        return _without_wildcards(pattern)[1]
    if form == "uri":
        match = _URI_HOST.match(pattern)
        return match[1] if match else pattern
    if form == "email":
        local, _, domain = pattern.rpartition("@")
        wild, rest = _without_wildcards(domain)
        if wild:
            return f".{rest}"
        return rest if local == "*" else f"{local}@{rest}"
    return _spelled("ip", pattern)


def narrowest(found: Iterable[Subtree]) -> tuple[Subtree, ...]:
    """The subtrees without those that lie in another of them, sorted."""
    unique = sorted(set(found))
    owns = {(form, _ancestry(form, value)[0]) for form, value in unique}
    return tuple(
        (form, value)
        for form, value in unique
        if owns.isdisjoint((form, wider) for wider in _ancestry(form, value)[1:])
    )


def holds(form: str, outer: str, inner: str) -> bool:
    """Whether every name in the subtree ``inner`` lies in ``outer`` too."""
    return _ancestry(form, outer)[0] in _ancestry(form, inner)


@dataclass(frozen=True, slots=True)
class Boundary:
    """Name constraints, ready to be asked about many subtrees: a file may hold thousands of patterns."""

    forms: frozenset[str]
    permitted: frozenset[_Key]
    excluded: frozenset[_Key]
    around_excluded: frozenset[_Key]

    @classmethod
    def of(cls, limits: NameConstraints) -> Boundary:
        """What ``limits`` forbid."""
        around = frozenset((form, key) for form, value in limits.excluded for key in _ancestry(form, value))
        return cls(
            forms=frozenset(form for form, _ in limits.permitted),
            permitted=frozenset((form, _ancestry(form, value)[0]) for form, value in limits.permitted),
            excluded=frozenset((form, _ancestry(form, value)[0]) for form, value in limits.excluded),
            around_excluded=around,
        )

    def forbids_some(self, subtree: Subtree) -> bool:
        """Whether some names of a subtree are forbidden: not permitted, or excluded.

        Of two subtrees one always holds the other, or they share nothing.
        """
        form, value = subtree
        above = [(form, key) for key in _ancestry(form, value)]
        if form in self.forms and self.permitted.isdisjoint(above):
            return True
        return above[0] in self.around_excluded or not self.excluded.isdisjoint(above)


def too_wide(given: Iterable[Subtree], limits: NameConstraints) -> Iterator[Subtree]:
    """Those of ``given`` of which some names are forbidden by ``limits``."""
    boundary = Boundary.of(limits)
    return (one for one in given if boundary.forbids_some(one))


def _ancestry(form: str, value: str) -> list[Hashable]:
    """A subtree, and then every one that holds it, as values that compare."""
    if form == "ip":
        from ipaddress import ip_network  # only files with addresses pay for it

        network = ip_network(value)
        bits = int(network.network_address)
        return [
            (network.version, length, bits >> (network.max_prefixlen - length))
            for length in range(network.prefixlen, -1, -1)
        ]
    if form == "dns":
        labels = value.split(".")
        return [".".join(labels[start:]) for start in range(len(labels))]
    mailbox, at, host = value.rpartition("@")
    own = [value, host] if at and mailbox and form == "email" else [value]
    # ".a.example" holds ".b.a.example" and "b.a.example", not "a.example"
    labels = host.removeprefix(".").split(".")
    return [*own, *("." + ".".join(labels[start:]) for start in range(1, len(labels)))]


def _without_wildcards(domain: str) -> tuple[bool, str]:
    """Whether a DNS pattern has wildcards, and its labels after the last of them."""
    labels = domain.split(".")
    last = max((index for index, text in enumerate(labels) if text in _WILD), default=-1)
    return last >= 0, ".".join(labels[last + 1 :])


def _spelled(form: str, value: str) -> str:
    if form != "ip":
        return value
    from ipaddress import ip_network

    return str(ip_network(value))
