"""Who issued whom, among what exists and what is declared. Pure.

What this module decides: that the certificates say it, and the environment file only where a certificate is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pkiops.backends.interface import AuthorityType
from pkiops.environment.hierarchy import chain, children, external_places, is_external
from pkiops.environment.models import Environment
from pkiops.inventory.members import Member
from pkiops.inventory.records import Identity, Position


class Family:
    """Who issued whom, among members and declared authorities."""

    def __init__(self, environment: Environment, members: Sequence[Member]) -> None:
        self.environment = environment
        self._by_sha256 = {one.chain[0].sha256: one for one in members if one.chain}
        self._issuers = {one.chain[1].sha256 for one in members if len(one.chain) > 1}
        tagged = [one for one in members if one.identified_by is Identity.TAGS]
        self._by_identity = {(one.label, one.generation): one for one in tagged}
        self._count = Counter((one.label, one.generation) for one in tagged)

    def is_twin(self, member: Member) -> bool:
        """Whether another CA carries the same identity tags."""
        return member.identified_by is Identity.TAGS and self._count[member.label, member.generation] > 1

    def depth(self, member: Member) -> int | None:
        if member.chain:
            return len(member.chain) - 1
        if member.observed.type is AuthorityType.ROOT:
            return 0
        return self.declared_depth(member.label)

    def declared_depth(self, label: str | None) -> int | None:
        if label is None or label not in self.environment.authorities:
            return None
        return len(chain(self.environment, label)) - 1

    def position(self, member: Member) -> Position:
        if member.observed.type is AuthorityType.ROOT:
            return Position.ROOT
        issues = bool(member.chain) and member.chain[0].sha256 in self._issuers
        return Position.INTERMEDIATE if issues else self.declared_position(member.label)

    def declared_position(self, label: str | None) -> Position:
        declared = self.environment.authorities.get(label or "")
        if declared is None or label is None:
            return Position.ISSUING
        if declared.issuer is None:
            return Position.ROOT
        return Position.INTERMEDIATE if children(self.environment, label) else Position.ISSUING

    def issuer(self, member: Member) -> tuple[str | None, str | None, str | None]:
        """Label, reference and subject of the issuer; the certificate says who it is, and the file only where there is none."""
        if not member.chain:
            is_root = member.observed.type is AuthorityType.ROOT
            return (None, None, None) if is_root else self.declared_issuer(member.label)
        if len(member.chain) == 1:
            return None, None, None
        above = member.chain[1]
        found = self._by_sha256.get(above.sha256)
        if found is not None:
            return found.label, found.observed.reference, above.subject
        return self._outside(member), None, above.subject

    def _outside(self, member: Member) -> str | None:
        """The issuer's label where the file says that it is kept elsewhere, and does not pin another certificate."""
        if member.label not in self.environment.authorities or member.label is None:
            return None
        places = external_places(self.environment, member.label, len(member.chain))
        label = next((name for name, place in places.items() if place == 1), None)
        pin = self.environment.external_authorities[label].sha256 if label else None
        return label if pin in {None, member.chain[1].sha256} else None

    def declared_issuer(self, label: str | None) -> tuple[str | None, str | None, str | None]:
        declared = self.environment.authorities.get(label or "")
        if declared is None or declared.issuer is None:
            return None, None, None
        if is_external(self.environment, declared.issuer):
            return declared.issuer, None, None
        identity = (declared.issuer, self.environment.authorities[declared.issuer].generation)
        found = self._by_identity.get(identity) if self._count[identity] == 1 else None
        subject = found.chain[0].subject if found and found.chain else None
        return declared.issuer, found.observed.reference if found else None, subject
