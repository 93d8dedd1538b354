"""Which name constraints the certificate of an authority should hold: those given, or those derived from the profiles below it. Pure.

Derived ones permit, for each form, the narrowest subtrees that hold every name a profile may be given: RFC 5280 section 4.2.1.10 knows domains,
hosts and blocks, not patterns, so they are wider than the profiles and never narrower. A form that no profile uses is closed: addresses by excluding
all, the others by permitting only the reserved domain ``invalid`` (RFC 6761 section 6.4), because relying parties disagree about empty constraints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pkiops.environment.hierarchy import is_below
from pkiops.environment.models import Environment, NameForms
from pkiops.x509.name_constraints import FORMS, NO_CONSTRAINTS, NameConstraints, Subtree, constraints

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
    return tuple(
        one
        for one in unique
        if not any(other != one and other[0] == one[0] and holds(one[0], other[1], one[1]) for other in unique)
    )


def holds(form: str, outer: str, inner: str) -> bool:
    """Whether every name in the subtree ``inner`` lies in ``outer`` too."""
    if form == "ip":
        from ipaddress import ip_network  # only files with addresses pay for it

        outer_net, inner_net = ip_network(outer), ip_network(inner)
        return outer_net.version == inner_net.version and inner_net.subnet_of(outer_net)  # type: ignore[arg-type]
    if form == "dns":
        return inner == outer or inner.endswith(f".{outer}")
    if outer.startswith("."):
        host = inner.rpartition("@")[2]
        return host.endswith(outer)  # ".a.example" holds ".a.example" and "b.a.example", not "a.example"
    return inner == outer or (form == "email" and "@" not in outer and inner.endswith(f"@{outer}"))


def overlaps(form: str, one: str, other: str) -> bool:
    """Whether some name lies in both subtrees; of two subtrees one always holds the other, or they share nothing."""
    return holds(form, one, other) or holds(form, other, one)


def too_wide(given: Iterable[Subtree], limits: NameConstraints) -> Iterator[Subtree]:
    """Those of ``given`` of which some names are forbidden by ``limits``: not permitted, or excluded."""
    for form, value in given:
        permitted = [limit for kind, limit in limits.permitted if kind == form]
        excluded = [limit for kind, limit in limits.excluded if kind == form]
        inside = not permitted or any(holds(form, limit, value) for limit in permitted)
        if not inside or any(overlaps(form, limit, value) for limit in excluded):
            yield (form, value)


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
