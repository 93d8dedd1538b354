"""Taking a CA out of service and back: disable, enable, restore.

What this module decides: that what exists is looked at again after the prompt, and that only what was shown is carried out; that a restored CA, whose
tags nobody could read before, is looked at afterwards; and that the index is brought to what exists, also by a run that finds everything done.
What each verb says and accepts is ``end_of_life.py``; deleting is ``deletion.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from pkiops.backends.interface import (
    AuthorityStatus,
    ConfirmsTags,
    ObservedAuthority,
    ReadsAuthorities,
)
from pkiops.backends.prices import HasPrices
from pkiops.backends.retiring import RetiresAuthorities
from pkiops.ca.below import live_by_authority, with_counts
from pkiops.ca.desired import Desired
from pkiops.ca.end_of_life import restore_plan, switch_plan
from pkiops.ca.index import IndexPublisher
from pkiops.ca.place import place_of
from pkiops.ca.target import Target, Wish, find_deleted, find_target, in_doubt, is_tagged_as
from pkiops.clock import Clock
from pkiops.environment.models import Environment
from pkiops.errors import GuardRefused, VerificationFailed
from pkiops.ledger.interface import Entry
from pkiops.plan import Action, Plan, run_plan
from pkiops.progress import Progress


class RetiringBackend(ReadsAuthorities, RetiresAuthorities, HasPrices, Protocol):
    """What these verbs need of a backend."""


@dataclass(frozen=True, slots=True)
class Estate:
    """What the verbs of this package's end of life share.

    Args:
        environment: the environment.
        desired: what its file asks for.
        backend: the certificate authorities.
        index: publishes what exists when it is done.
        clock: for what is still valid.
        entries: every entry of the ledger; None where there is no ledger.
    """

    environment: Environment
    desired: Desired
    backend: RetiringBackend
    index: IndexPublisher
    clock: Clock
    entries: Callable[[], Iterable[Entry]] | None = None

    def observe(self, wish: Wish) -> tuple[ObservedAuthority, ...]:
        """Everything that exists, with the tags confirmed of what may be meant."""
        observed = self.backend.list_authorities()
        doubtful = in_doubt(observed, self.desired, wish)
        if not doubtful or not isinstance(self.backend, ConfirmsTags):
            return observed
        answers = {one.reference: one for one in self.backend.confirm_tags(doubtful)}
        return tuple(answers.get(one.reference, one) for one in observed)

    def placed(self, plan: Plan) -> Plan:
        """A plan that says where it acts."""
        return replace(plan, place=place_of(self.environment))

    def run(
        self, shown: Plan, current: Plan, perform: Callable[[Action], bool], *, progress: Progress, resume: str
    ) -> tuple[Action, ...]:
        """Carry out ``current`` if it is what was shown, or nothing is left to do.

        Raises:
            GuardRefused: what exists has changed since (code ``plan.moved``).
            BackendError: the service refused, and nothing was changed.
            PartialApply: a later step failed; a re-run continues.
        """
        if not current.pending:
            self.index.publish_if_applied()
            return ()
        if current.digest() != shown.digest():
            raise GuardRefused(
                f"nothing was done: {current.actions[0].address} is no longer what was shown: {current.actions[0].reason}",
                hint="run the same command again and look at what it says now",
                code="plan.moved",
            )
        return run_plan(
            current,
            {"ca": perform, "index": lambda _: self.index.publish_if_applied()},
            progress=progress,
            resume=resume,
        )


@dataclass(frozen=True, slots=True)
class Switch:
    """Disabling (``enabled`` False) or enabling one CA."""

    estate: Estate
    wish: Wish
    enabled: bool

    def plan(self) -> Plan:
        """What would be done, with the live certificates that the ledger knows below it.

        Raises:
            NotFound: there is no such CA.
            InvalidState: its status cannot be set.
        """
        made = self._plan(self._target())
        entries, clock = self.estate.entries, self.estate.clock
        if entries is None or self.enabled or not made.pending:
            return made
        issuers = {one.label: one.issuer for one in self.estate.desired.authorities}
        return with_counts(made, live_by_authority(entries(), clock.now()), issuers)

    def apply(self, shown: Plan, *, progress: Progress) -> tuple[Action, ...]:
        """Do what was shown; again, it changes nothing.

        Raises:
            GuardRefused: what exists has changed since.
            BackendError: the service refused.
        """
        target = self._target()

        def switch(action: Action) -> bool:
            del action
            self.estate.backend.set_enabled(target.authority.reference, enabled=self.enabled)
            return True

        verb = "enable" if self.enabled else "disable"
        resume = f"pkiops ca {verb} {target.words}"
        return self.estate.run(shown, self._plan(target), switch, progress=progress, resume=resume)

    def _target(self) -> Target:
        return find_target(self.estate.observe(self.wish), self.estate.desired, self.wish)

    def _plan(self, target: Target) -> Plan:
        return self.estate.placed(switch_plan(self.estate.environment, target, enabled=self.enabled))


@dataclass(frozen=True, slots=True)
class Restoration:
    """Restoring one DELETED CA."""

    estate: Estate
    wish: Wish

    def plan(self) -> Plan:
        """What would be done.

        Raises:
            NotFound: no DELETED CA fits.
            GuardRefused: several do.
        """
        return self._plan(self.target())

    def apply(self, shown: Plan, *, progress: Progress) -> tuple[Action, ...]:
        """Restore it and see whose it is; again, it changes nothing.

        Raises:
            GuardRefused: what exists has changed since.
            VerificationFailed: the restored CA carries other tags (code ``ca.restored-foreign``).
            BackendError: the service refused.
        """
        target = self.target()

        def restore(action: Action) -> bool:
            del action
            self.estate.backend.restore_authority(target.authority.reference)
            self._require_ours(target)
            return True

        resume = f"pkiops ca restore {target.words}"
        return self.estate.run(shown, self._plan(target), restore, progress=progress, resume=resume)

    def target(self) -> Target:
        """The CA in question as it is now."""
        return find_deleted(self.estate.observe(self.wish), self.estate.desired, self.wish)

    def _plan(self, target: Target) -> Plan:
        return self.estate.placed(restore_plan(target, self.estate.backend, self.estate.clock.now()))

    def _require_ours(self, target: Target) -> None:
        reference = target.authority.reference
        observed = self.estate.observe(replace(self.wish, reference=reference))
        restored = next((one for one in observed if one.reference == reference), None)
        if restored is not None and restored.status is AuthorityStatus.DELETED:
            return  # somebody deletes it again at this moment
        if restored is None or not is_tagged_as(restored, target):
            said = ", ".join(
                f"{key}={value}" for key, value in sorted(dict(restored.tags or {} if restored else {}).items())
            )
            raise VerificationFailed(
                f"{reference} was restored, but it is not {target.address} generation {target.generation}: its tags are {said or 'none'}",
                hint=f"adopt it (pkiops ca adopt {target.environment} {target.label} {reference}), or have its owner delete it again",
                code="ca.restored-foreign",
                details={"reference": reference, "tags": dict((restored.tags if restored else None) or {})},
            )
