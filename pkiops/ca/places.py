"""Which part of an environment is in one account, and which personas have anything to do there. Pure.

What this module decides: a persona's policy is made for each account, because IAM's are; whoever works in the account of ``backend`` assumes the
roles of the others from there, and only those that the persona needs. Everybody but issuers and relying parties looks at every home.
"""

from __future__ import annotations

from collections.abc import Iterable

from pkiops.environment.homes import home_of, homes_of
from pkiops.environment.models import Environment, Persona
from pkiops.errors import InputError
from pkiops.homes import Home


class Places:
    """One account of an environment.

    Args:
        environment: the file.
        account: the account.

    Raises:
        InputError: the environment has nothing there.
    """

    def __init__(self, environment: Environment, account: str) -> None:
        self._environment = environment
        self._account = account
        self._roles = homes_of(environment)
        self.homes = tuple(home for home in self._roles if home.account == account)
        self.is_default = account == environment.backend.account
        if not self.homes:
            known = ", ".join(dict.fromkeys(home.account for home in self._roles))
            raise InputError(
                f"environment {environment.environment} has nothing in account {account!r}",
                hint=f"its accounts: {known}",
                code="usage.account",
            )

    def has(self, label: str) -> bool:
        """Whether an authority lives here."""
        return home_of(self._environment, label) in self.homes

    def is_needed_by(self, persona: Persona) -> bool:
        """Whether a persona has anything to do with the authorities here."""
        return _needs(self._environment, persona, self.homes)

    def homes_for(self, persona: Persona) -> tuple[Home, ...]:
        """The homes here that a persona has to do with; all of them where that is none."""
        return tuple(home for home in self.homes if _needs(self._environment, persona, (home,))) or self.homes

    def assumed_by(self, persona: Persona) -> tuple[str, ...]:
        """The roles, sorted, that a persona assumes out of this account."""
        if not self.is_default:
            return ()
        own = self._environment.backend.role_arn
        needed = (
            roles.of(persona) for home, roles in self._roles.items() if _needs(self._environment, persona, (home,))
        )
        return tuple(sorted({role for role in needed if role is not None and role != own}))

    def notes(self, persona: Persona) -> Iterable[str]:
        """What has to be known about a persona's policy, where there are several accounts."""
        if not self.is_default:
            roles = [self._roles[home] for home in self.homes]
            names = " and ".join(sorted({str(one.of(persona)) for one in roles}))
            own = all(persona in one.personas for one in roles)
            who = (
                f"the {persona.value}"
                if own
                else "all who work with this environment and have no role of their own there"
            )
            needs = "" if own else ", and it has what all of them need"
            yield f"for {names}: its trust policy lets {who} of account {self._environment.backend.account} assume it{needs}"
            if not self.is_needed_by(persona):
                yield f"the persona {persona.value} has nothing to do in account {self._account}"
            return
        others = dict.fromkeys(home.account for home in self._roles if home.account != self._account)
        for account in others:
            if _needs(self._environment, persona, [home for home in self._roles if home.account == account]):
                yield f"authorities are in account {account}, too: --account {account} prints what is needed there"


def _needs(environment: Environment, persona: Persona, homes: Iterable[Home]) -> bool:
    if persona is Persona.RELYING_PARTY:
        return False
    if persona is Persona.ISSUER:
        return any(home_of(environment, one.authority) in homes for one in environment.profiles.values())
    return True
