"""Credentials of a role that was assumed, asked for again before they end: archiving what a large CA has issued takes longer than they live.

What this module decides: how long they are asked for, and that their end is reckoned by the clock that calls are made by, from before they were asked
for, because the service's clock may be another (the sandbox's can be moved). Asking is left to ``aws.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from botocore.credentials import CredentialProvider, CredentialResolver, RefreshableCredentials
from botocore.session import Session

from pkiops.clock import Clock

# the longest that a role assumed by another role may last (sts:AssumeRole, role chaining), and what every role allows
LIFE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Given:
    """What AssumeRole answers with."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(repr=False)


def use_role(session: Session, ask: Callable[[], Given], clock: Clock) -> None:
    """Have a session use the credentials that ``ask`` gives, for as long as it lives; asked for when they are first needed.

    What ``ask`` raises is raised to whoever makes the call that needs them.
    """
    session.register_component("credential_provider", CredentialResolver([_Role(ask, clock)]))


class _Role(CredentialProvider):
    METHOD = CANONICAL_NAME = "pkiops-role"

    def __init__(self, ask: Callable[[], Given], clock: Clock) -> None:
        super().__init__()
        self._ask = ask
        self._clock = clock

    def load(self) -> RefreshableCredentials:
        first = self._fetch()
        return RefreshableCredentials(
            access_key=first["access_key"],
            secret_key=first["secret_key"],
            token=first["token"],
            expiry_time=datetime.fromisoformat(first["expiry_time"]),
            refresh_using=self._fetch,
            method=self.METHOD,
            time_fetcher=self._clock.now,
        )

    def _fetch(self) -> dict[str, str]:
        ends = self._clock.now() + LIFE
        given = self._ask()
        return {
            "access_key": given.access_key,
            "secret_key": given.secret_key,
            "token": given.token,
            "expiry_time": ends.isoformat(),
        }
