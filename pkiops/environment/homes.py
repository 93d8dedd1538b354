"""Where the authorities of an environment file live, and which role is assumed there. Pure.

Rules:

- an authority is where ``backend`` says, but for what its own ``backend`` says otherwise;
- the role of ``backend`` is that of its account, in whatever region; an authority in another account is reached by roles of its own: one for all, or
  for each persona that the file's ``access`` tells by its role;
- CAs of older generations may also be in ``backend.former_homes``; the current generation is in its own home and nowhere else.

That a home is reached in one way is checked by ``home_checks.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pkiops.environment.models import AuthorityHome, Environment, Persona
from pkiops.homes import Home, home_of_reference


@dataclass(frozen=True, slots=True)
class Roles:
    """Which role is assumed in a home: ``general`` (None: the caller's own credentials), but for the personas that have one of their own there."""

    general: str | None
    personas: Mapping[Persona, str] = field(default_factory=dict)

    def of(self, persona: Persona | None) -> str | None:
        """The role that a persona assumes."""
        return self.personas.get(persona, self.general) if persona else self.general

    @property
    def keepers(self) -> tuple[str, ...]:
        """The roles that make and change CAs, or revoke: the service wants these to be able to write into the CRL bucket."""
        found = (self.general, self.of(Persona.PROVISIONER), self.of(Persona.REVOKER))
        return tuple(sorted({role for role in found if role is not None}))


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


def roles_at(environment: Environment, given: AuthorityHome | None) -> Roles:
    """The roles that are assumed there."""
    inherited = environment.backend.role_arn
    if place_of(environment, given).account != environment.backend.account:
        inherited = None
    if given is None:
        return Roles(inherited)
    return Roles(given.role_arn or inherited, given.access or {})


def homes_of(environment: Environment) -> Mapping[Home, Roles]:
    """Every home of the environment with its roles: the default first, then those of authorities, then former ones, in the order of the file."""
    homes = {default_home(environment): Roles(environment.backend.role_arn)}
    declared = [one.backend for one in environment.authorities.values()]
    for given in (*declared, *(environment.backend.former_homes or ())):
        homes.setdefault(place_of(environment, given), roles_at(environment, given))
    return homes


def persona_of(environment: Environment, caller: str) -> Persona | None:
    """Which persona a caller is (the ARN that STS gives), by the roles of the file's ``access``; None for anybody else.

    A session's ARN holds the role's name without its path: ``arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION``.
    """
    parts = caller.split(":", 5)
    words = parts[-1].split("/")
    if len(parts) != 6 or parts[2] != "sts" or words[0] != "assumed-role" or len(words) < 3:
        return None
    for persona, role in environment.access.items():
        named = role.split(":", 5)
        if (named[4], named[5].rpartition("/")[2]) == (parts[4], words[1]):
            return persona
    return None


def is_at_home(environment: Environment, label: str, generation: int, reference: str) -> bool:
    """Whether a CA that says it is this generation of a declared authority is where that may be.

    What is no ARN has no home, and is nowhere else.
    """
    found = home_of_reference(reference)
    declared = environment.authorities[label]
    if found is None or found == home_of(environment, label):
        return True
    return generation < declared.generation and found in homes_of(environment)
