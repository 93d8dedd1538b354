"""The tree of authorities of one environment: who is below whom, and how deep.

Pure. Every function but ``is_below`` expects an environment that passed ``checks.py``: each issuer exists, nothing is its own
ancestor, and there are at most five levels.
"""

from __future__ import annotations

from collections.abc import Collection

from pkiops.environment.models import Environment
from pkiops.errors import InternalError


def children(environment: Environment, label: str) -> tuple[str, ...]:
    """The authorities that ``label`` issues, in the order of the file."""
    return tuple(name for name, authority in environment.authorities.items() if authority.issuer == label)


def roots(environment: Environment) -> tuple[str, ...]:
    """The authorities without an issuer, in the order of the file."""
    return tuple(name for name, authority in environment.authorities.items() if authority.issuer is None)


def chain(environment: Environment, label: str) -> tuple[str, ...]:
    """``label``, its issuer, the issuer's issuer, up to the root.

    Raises:
        KeyError: there is no such authority.
        InternalError: the authorities form a loop; ``checks.py`` would have refused them.
    """
    steps = [label]
    while (issuer := environment.authorities[steps[-1]].issuer) is not None:
        if issuer in steps:
            raise InternalError(f"authority {label} is its own issuer")
        steps.append(issuer)
    return tuple(steps)


def root_of(environment: Environment, label: str) -> str:
    """The root above ``label``; a root is its own."""
    return chain(environment, label)[-1]


def is_below(environment: Environment, label: str, tops: Collection[str]) -> bool:
    """Whether ``label`` or an authority above it is one of ``tops``; of a broken chain, as far as it goes."""
    seen: set[str] = set()
    step: str | None = label
    while step is not None and step in environment.authorities and step not in seen:
        if step in tops:
            return True
        seen.add(step)
        step = environment.authorities[step].issuer
    return False


def issuers_first(environment: Environment) -> tuple[str, ...]:
    """All authorities, each after its issuer: every root followed by what is below it, in the order of the file."""
    below: dict[str | None, list[str]] = {}
    for name, authority in environment.authorities.items():
        below.setdefault(authority.issuer, []).append(name)
    order: list[str] = []
    waiting = list(reversed(below.get(None, [])))
    while waiting:
        label = waiting.pop()
        order.append(label)
        waiting.extend(reversed(below.get(label, [])))
    return tuple(order)


def effective_path_length(environment: Environment, label: str) -> int | None:
    """PathLenConstraint (RFC 5280 section 4.2.1.9) of an authority's certificate.

    What the file says; else, for a subordinate, just enough for the authorities below it, because the service has no
    subordinate template without a path length; for a root None, no limit.
    """
    authority = environment.authorities[label]
    if authority.path_length is not None:
        return authority.path_length
    if authority.issuer is None:
        return None
    below = (effective_path_length(environment, child) for child in children(environment, label))
    return max((length + 1 for length in below if length is not None), default=0)


def effective_path_lengths(environment: Environment) -> dict[str, int | None]:
    """``effective_path_length`` of every authority, in one pass."""
    found: dict[str, int | None] = {}
    least: dict[str | None, int] = {}
    for label in reversed(issuers_first(environment)):  # what is below comes first
        authority = environment.authorities[label]
        given = authority.path_length
        length = given if given is not None or authority.issuer is None else least.get(label, 0)
        found[label] = length
        if length is not None:
            least[authority.issuer] = max(least.get(authority.issuer, 0), length + 1)
    return found
