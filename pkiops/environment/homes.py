"""Where the authorities of an environment file live, and which role is assumed there. Pure.

Rules:

- an authority is where ``backend`` says, but for what its own ``backend`` says otherwise;
- the role of ``backend`` is that of its account, in whatever region; an authority in another account is reached by a role of its own;
- CAs of older generations may also be in ``backend.former_homes``; the current generation is in its own home and nowhere else.

That one home is reached by one role is checked by ``home_checks.py``.
"""

from __future__ import annotations

from collections.abc import Mapping

from pkiops.environment.models import AuthorityHome, Environment
from pkiops.homes import Home, home_of_reference


def default_home(environment: Environment) -> Home:
    """Where ``backend`` says: the buckets' home, and that of every authority which names no other."""
    return Home(account=environment.backend.account, region=environment.backend.region)


def home_of(environment: Environment, label: str) -> Home:
    """Where an authority lives.

    Raises:
        KeyError: there is no such authority.
    """
    return place_of(environment, environment.authorities[label].backend)


def place_of(environment: Environment, given: AuthorityHome | None) -> Home:
    """The home that a ``backend`` of an authority means; None is that of the file."""
    default = default_home(environment)
    if given is None:
        return default
    return Home(account=given.account or default.account, region=given.region or default.region)


def role_of(environment: Environment, given: AuthorityHome | None) -> str | None:
    """The role that is assumed there; None for the caller's own credentials."""
    if given is not None and given.role_arn is not None:
        return given.role_arn
    return environment.backend.role_arn if place_of(environment, given).account == environment.backend.account else None


def homes_of(environment: Environment) -> Mapping[Home, str | None]:
    """Every home of the environment with its role: the default first, then those of authorities, then former ones, in the order of the file."""
    homes = {default_home(environment): environment.backend.role_arn}
    declared = [one.backend for one in environment.authorities.values()]
    for given in (*declared, *(environment.backend.former_homes or ())):
        homes.setdefault(place_of(environment, given), role_of(environment, given))
    return homes


def is_at_home(environment: Environment, label: str, generation: int, reference: str) -> bool:
    """Whether a CA that says it is this generation of a declared authority is where that may be.

    What is no ARN has no home, and is nowhere else.
    """
    found = home_of_reference(reference)
    declared = environment.authorities[label]
    if found is None or found == home_of(environment, label):
        return True
    return generation < declared.generation and found in homes_of(environment)
