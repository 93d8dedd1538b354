"""Places of AWS that keep a secret under a name, in versions: what Secrets Manager and Parameter Store have in common.

What this module decides: the tags that say whose secret it is, and what is asked before one is replaced. What a secret holds is its writer's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pkiops.errors import InputError

ENVIRONMENT_TAG = "pkiops:environment"
MAX_NAME = 512
PROFILE_TAG = "pkiops:profile"
OWNER_TAG = "pkiops:owner"


def checked_name(name: str, allowed: re.Pattern[str], what: str) -> str:
    """A name that the service will take.

    Raises:
        InputError: it will not.
    """
    if len(name) > MAX_NAME or not allowed.fullmatch(name):
        raise InputError(f"{what}: no name that the service takes", code="output.name")
    return name


@dataclass(frozen=True, slots=True)
class KeptSecret:
    """A secret that is there: its tags, and whether its current version is one that pkiops wrote."""

    tags: Mapping[str, str]
    ours: bool


class SecretPlace(Protocol):
    """Secrets by name, each in versions."""

    def describe(self, name: str) -> str:
        """The secret of that name, for messages."""

    def look(self, name: str) -> KeptSecret | None:
        """What is there; None for nothing. The secret itself is not read.

        Raises:
            BackendError: the service refused.
            InvalidState: it waits for its deletion.
            InputError: the service takes no such name.
        """

    def put(self, name: str, value: str, tags: Mapping[str, str]) -> bool:
        """Make this the current version; whether anything had to be changed. The same value again makes no version.

        Raises:
            BackendError: the service refused.
            InputError: the value is too long for it.
        """
