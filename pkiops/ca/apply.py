"""Carrying a plan out: buckets, then each authority created, signed by its issuer, installed and ACTIVE.

Rules:

- the plan is computed again after it was shown, and only what was shown is carried out;
- an authority is claimed, and what exists observed again, right before each creating call; every creating call carries a token derived from its
  inputs, so a run that was killed, a second run or ten at once lead to one hierarchy;
- the validity of a CA certificate counts from the CA's own creation, so that it is the same in every run;
- what came back is verified before it is installed.

Which actions there are is ``plan.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol

from pkiops.backends.identity import find_authority, require_authority
from pkiops.backends.interface import (
    AuthorityCertificateRequest,
    AuthorityStatus,
    CreatesAuthorities,
    KeepsCrlsInBucket,
    ObservedAuthority,
    ReadsAuthorities,
    SharesAuthorities,
    TagsAuthorities,
)
from pkiops.backends.prices import HasPrices
from pkiops.backends.retiring import RetiresAuthorities
from pkiops.ca.below import live_by_authority, needs_counts, with_counts
from pkiops.ca.claims import Claims, inputs_digest, shown_caller, untagged
from pkiops.ca.consent import refuse_blocked, refuse_moved
from pkiops.ca.desired import Desired, DesiredAuthority, desired_authority, desired_state
from pkiops.ca.drift import same_subject, subject_text
from pkiops.ca.index import IndexPublisher
from pkiops.ca.observe import observe
from pkiops.ca.place import place_of
from pkiops.ca.plan import plan
from pkiops.ca.renewal import renew_authority
from pkiops.ca.settle import settled
from pkiops.ca.tables import table_keeper
from pkiops.ca.update import update_authority
from pkiops.clock import Clock
from pkiops.environment.homes import home_of
from pkiops.environment.models import Environment
from pkiops.errors import GuardRefused, InvalidState, Throttled
from pkiops.ledger.interface import Entry
from pkiops.ledger.tables import Tables
from pkiops.plan import Action, ActionKind, Plan, run_plan
from pkiops.progress import Counted, NoProgress, Progress
from pkiops.stores.interface import Buckets, Store
from pkiops.x509.algorithms import SigningAlgorithm

# clocks of relying parties may be behind; the service backdates by an hour too, but from the moment of the call
_BACKDATING = timedelta(hours=1)
# a service that does nothing but throttle for so long is not merely busy
_CREATE_PATIENCE_S = 1800.0


class AuthorityBackend(
    ReadsAuthorities,
    CreatesAuthorities,
    TagsAuthorities,
    SharesAuthorities,
    RetiresAuthorities,
    KeepsCrlsInBucket,
    HasPrices,
    Protocol,
):
    """What a backend must be able to do for its hierarchies to be applied."""


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """The use case: plan and apply one environment.

    Args:
        environment: the environment.
        backend: the certificate authorities.
        buckets: the publication buckets.
        clock: for the plan's moment.
        store: the trust bucket, for claims and the index.
        caller: the ARN of whoever runs this; asked for only when something is created.
        run: tells this run from others of the same caller.
        entries: every entry of the ledger, to say what hangs below a change; None where there is no ledger.
        deep: look at policies and permissions that the file does not speak of, too.
        progress: is told of what is looked at.
    """

    environment: Environment
    backend: AuthorityBackend
    buckets: Buckets
    clock: Clock
    store: Store
    caller: Callable[[], str]
    run: str
    entries: Callable[[], Iterable[Entry]] | None = None
    deep: bool = False
    progress: Progress = field(default_factory=NoProgress)
    tables: Tables | None = None

    def desired(self) -> Desired:
        """What the file asks for."""
        return desired_state(self.environment, self.backend, self.buckets)

    def plan(self) -> Plan:
        """Observe, and compute what would be done.

        Raises:
            BackendError: something could not be read.
            GuardRefused: an identity exists twice.
        """
        desired = self.desired()
        self.progress.step(f"looking at what exists for {desired.environment}")
        observed = observe(
            desired, self.backend, self.buckets, self.index(), tables=self.tables, deep=self.deep, count=self._count
        )
        made = replace(plan(desired, observed, self.backend, self.clock.now()), place=place_of(self.environment))
        if self.entries is None or not needs_counts(made):
            return made
        issuers = {one.label: one.issuer for one in desired.authorities}
        return with_counts(made, live_by_authority(self.entries(), self.clock.now()), issuers)

    def _count(self, total: int) -> Counted:
        return Counted(self.progress, self.clock, "reading certificates, policies and permissions", total)

    def index(self) -> IndexPublisher:
        """The publisher of the environment's index."""
        return IndexPublisher(self.environment, self.backend, self.store)

    def apply(
        self,
        shown: Plan,
        *,
        progress: Progress,
        narrow: Callable[[Plan], Plan] | None = None,
        resume: str | None = None,
    ) -> tuple[Action, ...]:
        """Carry out a plan that was shown; return the actions that changed something.

        Args:
            shown: the plan.
            progress: is told of each step.
            narrow: the part of the whole plan that was shown; all of it unless given.
            resume: the command that continues after a failure; ``ca apply`` unless given.

        Raises:
            GuardRefused: parts of it wait for a decision of a person, or what exists is no longer what it was computed from.
            BackendError: the first action failed and nothing had been changed.
            PartialApply: a later one failed; a re-run continues.
        """
        refuse_blocked(shown)
        if not shown.pending:
            return ()
        current = self.plan() if narrow is None else narrow(self.plan())
        desired = self.desired()
        self._refuse_other_makers(shown, current, desired)
        refuse_moved(shown, current)
        buckets = {settings.name: settings for settings in desired.buckets}
        authorities = {authority.label: authority for authority in desired.authorities}

        def apply_bucket(action: Action) -> bool:
            return self.buckets.ensure_bucket(buckets[action.address.split("/")[2]])

        def apply_authority(action: Action) -> bool:
            wanted = authorities[action.address.split("/")[2]]
            if action.kind is ActionKind.CREATE:
                return self._create(wanted)
            if action.kind is ActionKind.ACTIVATE:
                return self._activate(wanted)
            if action.kind is ActionKind.RENEW:
                return self._renew(wanted)
            if action.kind is ActionKind.ADOPT:
                return self._adopt(wanted, progress)
            if action.kind in {ActionKind.ENABLE, ActionKind.DISABLE}:
                return self._switch(wanted, enabled=action.kind is ActionKind.ENABLE)
            return update_authority(self.backend, wanted, self._require(wanted))

        steps: dict[str, Callable[[Action], bool]] = {
            "bucket": apply_bucket,
            "table": table_keeper(desired, self.tables),
            "ca": apply_authority,
            "index": lambda _: self.index().publish_if_applied(),
        }
        return run_plan(current, steps, progress=progress, resume=resume or f"pkiops ca apply {desired.environment}")

    def _adopt(self, wanted: DesiredAuthority, progress: Progress) -> bool:
        # late: it reads certificates, and few plans adopt
        from pkiops.ca.adopt import Adoption

        adoption = Adoption(self.environment, wanted, self.backend, self.index())
        reference = str(wanted.arn)
        return bool(adoption.apply(adoption.plan(reference), reference, progress=progress))

    def _create(self, wanted: DesiredAuthority) -> bool:
        claims = self._claims()
        began = self.clock.monotonic()
        hold = claims.take(wanted, self._digest(wanted))
        # somebody may have been faster; and looking may have taken longer than the claim holds
        while self._identified(existing := self._look(wanted, hold.made), wanted) is None:
            if not claims.is_held(hold):
                hold = claims.take(wanted, self._digest(wanted))
                continue
            try:
                reference = self.backend.create_authority(wanted.request)
            except Throttled:
                # no later than this may the call go out under this claim; under another one it may
                if self.clock.monotonic() - began > _CREATE_PATIENCE_S:
                    raise
                hold = claims.take(wanted, self._digest(wanted))
                continue
            break
        else:
            return False
        if any(one.reference == reference for one in existing):
            # within five minutes the service answers the same call with the same CA, whatever has been done to it since
            raise untagged(self.environment.environment, wanted, hold.claim, reference)
        claims.fulfil(hold, reference)
        created = self.backend.describe_authority(reference)
        if not same_subject(wanted.request, created):
            raise GuardRefused(
                f"creating {wanted.label} returned {reference}, which is another CA ({subject_text(created)})",
                hint="do not use it; run pkiops ca plan and look at the account",
                code="ca.foreign-reference",
            )
        return True

    def _activate(self, wanted: DesiredAuthority) -> bool:
        authority = self._made(wanted)
        if authority.status is AuthorityStatus.ACTIVE:
            return False
        csr_der = self.backend.authority_csr(authority.reference)
        issuer = self._issuer_of(wanted, authority)
        request = AuthorityCertificateRequest(
            authority=authority.reference,
            issuer=issuer.reference,
            issuer_signing_algorithm=SigningAlgorithm(issuer.signing_algorithm),
            csr_der=csr_der,
            path_length=wanted.path_length,
            not_before=authority.created_at - _BACKDATING,
            not_after=wanted.validity.after(authority.created_at),
            name_constraints=wanted.name_constraints or None,
        )
        if (
            issuer.not_after is not None
            and issuer.reference != authority.reference
            and request.not_after > issuer.not_after
        ):
            raise InvalidState(
                f"{wanted.label} would outlive its issuer {wanted.issuer} (until {issuer.not_after:%Y-%m-%d})",
                hint="shorten its validity, or renew the issuer first",
                code="ca.outlives-issuer",
            )
        chain = self.backend.sign_authority(request)
        self._verify(wanted, csr_der, chain)
        if self.backend.describe_authority(authority.reference).status is AuthorityStatus.ACTIVE:
            return False
        self.backend.install_authority(authority.reference, chain)
        return True

    def _renew(self, wanted: DesiredAuthority) -> bool:
        authority = self._require(wanted)
        return renew_authority(self.backend, wanted, authority, self._issuer_of(wanted, authority), at=self.clock.now())

    def _switch(self, wanted: DesiredAuthority, *, enabled: bool) -> bool:
        authority = self._require(wanted)
        if (authority.status is AuthorityStatus.ACTIVE) == enabled:
            return False
        self.backend.set_enabled(authority.reference, enabled=enabled)
        return True

    def _issuer_of(self, wanted: DesiredAuthority, authority: ObservedAuthority) -> ObservedAuthority:
        if wanted.issuer is None:
            return authority
        issuer = self._require(desired_authority(self.environment, wanted.issuer))
        if issuer.status is not AuthorityStatus.ACTIVE:
            raise InvalidState(
                f"{wanted.label} cannot be signed: its issuer {wanted.issuer} is {issuer.status.value}",
                hint=f"bring the issuer to ACTIVE first: pkiops ca plan {self.environment.environment}",
                code="ca.issuer-not-active",
            )
        return issuer

    def _verify(self, wanted: DesiredAuthority, csr_der: bytes, chain: Sequence[bytes]) -> None:
        from pkiops.ca.verify import verify_authority_chain

        verify_authority_chain(wanted, csr_der, chain, at=self.clock.now())

    def _claims(self) -> Claims:
        return Claims(
            self.store,
            self.environment.environment,
            caller=self.caller(),
            run=self.run,
            clock=self.clock,
            exists=self._exists,
        )

    def _digest(self, wanted: DesiredAuthority) -> str:
        home = home_of(self.environment, wanted.label)
        return inputs_digest({"account": home.account, "region": home.region}, wanted)

    def _exists(self, reference: str) -> bool:
        # what a claim says is hostile: it is looked for among what exists, and never sent anywhere
        gone = {AuthorityStatus.DELETED, AuthorityStatus.FAILED}
        return any(one.reference == reference and one.status not in gone for one in self.backend.list_authorities())

    def _refuse_other_makers(self, shown: Plan, current: Plan, desired: Desired) -> None:
        """Stop if an authority that was to be created was made meanwhile out of another file."""
        created = {action.address for action in current.pending if action.kind is ActionKind.CREATE}
        for action in shown.pending:
            if action.kind is not ActionKind.CREATE or action.address in created or "/ca/" not in action.address:
                continue
            wanted = next(one for one in desired.authorities if one.label == action.address.split("/")[2])
            claim = self._claims().holder(wanted.label, wanted.generation)
            if claim is not None and claim.digest != self._digest(wanted):
                raise GuardRefused(
                    f"{action.address} was made meanwhile by {shown_caller(claim)}, from another environment file",
                    hint=f"agree on one file, then run pkiops ca plan {desired.environment}",
                    code="ca.claimed",
                    details={"caller": claim.caller, "reference": claim.reference},
                )

    def _look(self, wanted: DesiredAuthority, made: str | None) -> tuple[ObservedAuthority, ...]:
        """What exists, for an authority that is about to be created; ``made`` is one that its claim names."""
        index = self.index()
        named = index.named(index.published())
        if made:
            named[wanted.label, wanted.generation] = made
        return settled([wanted], self.backend, self.backend.list_authorities(), named=named, exact=True)

    def _identified(self, observed: Sequence[ObservedAuthority], wanted: DesiredAuthority) -> ObservedAuthority | None:
        return find_authority(observed, self.environment.environment, wanted.label, wanted.generation)

    def _made(self, wanted: DesiredAuthority) -> ObservedAuthority:
        """The authority that was created; one whose creation failed cannot be asked for its tags any more."""
        observed = settled([wanted], self.backend, self.backend.list_authorities(), exact=True)
        environment = self.environment.environment
        if self._identified(observed, wanted) is None:
            for one in observed:
                if one.status is AuthorityStatus.FAILED and not one.tags and same_subject(wanted.request, one):
                    raise InvalidState(
                        f"{wanted.label} was created, but the service could not complete it: {one.reference} is FAILED",
                        hint=f"delete it (aws acm-pca delete-certificate-authority), then run pkiops ca apply {environment}",
                        code="ca.failed",
                        details={"reference": one.reference},
                    )
        return require_authority(observed, environment, wanted.label, wanted.generation)

    def _require(self, wanted: DesiredAuthority) -> ObservedAuthority:
        observed = settled([wanted], self.backend, self.backend.list_authorities(), exact=True)
        return require_authority(observed, self.environment.environment, wanted.label, wanted.generation)
