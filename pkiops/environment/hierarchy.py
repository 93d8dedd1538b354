"""The tree of authorities of one environment: who is below whom, and how deep; above them may be CAs that are kept elsewhere.

Pure. Every function but ``is_below`` expects an environment that passed ``checks.py``: each issuer exists, nothing is its own
ancestor, and there are at most five levels.
"""

from __future__ import annotations

from collections.abc import Collection

from pkiops.environment.models import Authority, Environment, ExternalAuthority
from pkiops.errors import InternalError


def children(environment: Environment, label: str) -> tuple[str, ...]:
    """The authorities that ``label`` issues, in the order of the file."""
    return tuple(name for name, authority in environment.authorities.items() if authority.issuer == label)


def roots(environment: Environment) -> tuple[str, ...]:
    """The authorities without an issuer, in the order of the file; those that are kept elsewhere last."""
    above = issuers(environment)
    everyone = (*environment.authorities, *environment.external_authorities)
    return tuple(label for label in everyone if above[label] is None)


def issuers(environment: Environment) -> dict[str, str | None]:
    """The issuer's label of every CA, ours and those kept elsewhere; None for a root."""
    above = {label: one.issuer for label, one in environment.external_authorities.items()}
    return above | {label: one.issuer for label, one in environment.authorities.items()}


def declaration(environment: Environment, label: str) -> Authority | ExternalAuthority:
    """What the file says of a CA, ours or kept elsewhere.

    Raises:
        KeyError: there is no such authority.
    """
    return environment.authorities.get(label) or environment.external_authorities[label]


def is_external(environment: Environment, label: str | None) -> bool:
    """Whether ``label`` is a CA that is kept elsewhere."""
    return label in environment.external_authorities


def externals_above(environment: Environment, label: str) -> tuple[str, ...]:
    """The CAs kept elsewhere that are above ``label``, the nearest first, the root last; none for a hierarchy of ours."""
    return tuple(step for step in chain(environment, label)[1:] if is_external(environment, step))


def external_places(environment: Environment, label: str, length: int) -> dict[str, int]:
    """Where in the chain of ``label`` (its own certificate first) the CAs are that are kept elsewhere.

    The root is the last one, however many are between; those between have their places only in a chain of exactly the declared length.
    """
    labels = chain(environment, label)
    places = {name: place for place, name in enumerate(labels) if is_external(environment, name)}
    if length == len(labels):
        return places
    return {labels[-1]: length - 1} if labels[-1] in places and length > 1 else {}


def chain(environment: Environment, label: str) -> tuple[str, ...]:
    """``label``, its issuer, the issuer's issuer, up to the root.

    Raises:
        KeyError: there is no such authority.
        InternalError: the authorities form a loop; ``checks.py`` would have refused them.
    """
    steps = [label]
    while (issuer := declaration(environment, steps[-1]).issuer) is not None:
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
    above = issuers(environment)
    while step is not None and step in above and step not in seen:
        if step in tops:
            return True
        seen.add(step)
        step = above[step]
    return False


def issuers_first(environment: Environment) -> tuple[str, ...]:
    """All authorities, each after its issuer: every one without an issuer of ours followed by what is below it, in the order of the file."""
    below: dict[str | None, list[str]] = {}
    for name, authority in environment.authorities.items():
        below.setdefault(None if is_external(environment, authority.issuer) else authority.issuer, []).append(name)
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
