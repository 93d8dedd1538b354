"""Two generations of a hierarchy at once, as during the renewal of a root: the CAs of before, and those that follow them.

What this module decides: how both are found by whoever asks for the CAs of the environment, each under a reference of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pkiops.backends.interface import ObservedAuthority
from pkiops.environment.models import Environment
from tests.unit.crl.world import CrlAuthorities

MARK = "#"


def next_generation(env: Environment, labels: Sequence[str]) -> Environment:
    """The environment in which these CAs are to follow those that exist, under names of their own."""

    def changed(label: str) -> object:
        one = env.authorities[label]
        subject = replace(one.subject, common_name=f"{one.subject.common_name} next")
        return replace(one, generation=one.generation + 1, subject=subject)

    renewed = {label: changed(label) for label in labels}
    return replace(env, authorities={**env.authorities, **renewed})  # type: ignore[dict-item]


class Generations(CrlAuthorities):
    """The CAs of several backends together; those of each have references that start with its number."""

    def __init__(self, parts: Sequence[CrlAuthorities]) -> None:
        self._parts = tuple(parts)

    def list_authorities(self) -> tuple[ObservedAuthority, ...]:
        return tuple(
            replace(one, reference=f"{one.reference}{MARK}{number}")
            for number, part in enumerate(self._parts)
            for one in part.list_authorities()
        )

    def describe_authority(self, reference: str) -> ObservedAuthority:
        part, own = self._find(reference)
        return replace(part.describe_authority(own), reference=reference)

    def authority_chain(self, reference: str) -> tuple[bytes, ...]:
        part, own = self._find(reference)
        return part.authority_chain(own)

    def fetch_crl(self, authority: ObservedAuthority) -> bytes | None:
        part, own = self._find(authority.reference)
        return part.fetch_crl(replace(authority, reference=own))

    def _find(self, reference: str) -> tuple[CrlAuthorities, str]:
        own, _, number = reference.rpartition(MARK)
        return self._parts[int(number)], own
