"""Steps 1 to 7 of issuance: from bytes to the certificate that will be asked for, without asking for anything.

What this module decides: the order of these steps, that key and names are judged before any call is made, and that what is refused on the way is in
the ledger. The rules are ``policy``'s, the template is the backend's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pkiops.cert.find_indexed import indexed_issuer
from pkiops.cert.history import RunTally, history_of
from pkiops.cert.issuer import Issuer, IssuingBackend, active_issuer, issuing_backend
from pkiops.cert.known_keys import examine_key
from pkiops.cert.order import Order, Prepared, issuance_request, ledger_intent, policy_sha256
from pkiops.cert.reuse import Step, next_step
from pkiops.clock import Clock
from pkiops.crl.indexed import index_counts
from pkiops.environment.models import Environment
from pkiops.errors import AccessDenied, GuardRefused, InputError, InternalError, NotSupported, PkiopsError, PolicyDenied
from pkiops.ledger.interface import EntryState, Ledger, LedgerIntent, Rejection
from pkiops.policy.engine import Decision, Facts, Request, decide, needs_ledger, refusal
from pkiops.policy.findings import LedgerFacts
from pkiops.policy.rules import Profile
from pkiops.progress import Progress
from pkiops.stores.interface import Store
from pkiops.x509.csr import CertificationRequest, load_csr

_REFUSALS = (PolicyDenied, InputError, GuardRefused, NotSupported)

KeepIssuer = Callable[[str, Callable[[], Issuer]], Issuer]
RequireReachable = Callable[[Issuer], None]


def ask_each_time(label: str, ask: Callable[[], Issuer]) -> Issuer:
    """The CA with that label as it is now."""
    del label
    return ask()


def require_nothing(issuer: Issuer) -> None:
    """Any CA may issue, whether its distribution point answers or not."""
    del issuer


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Steps 1 to 7 and their collaborators, which are those of ``Issuance``."""

    environment: Environment
    backend: object
    ledger: Ledger
    clock: Clock
    requester: Callable[[], str]
    progress: Progress
    store: Store | None = None
    ci_identity: str | None = None
    run: RunTally = field(default_factory=RunTally)
    keep_issuer: KeepIssuer
    credential: Callable[[], str] | None = None
    require_reachable: RequireReachable = require_nothing

    def prepare(self, order: Order) -> Prepared:
        """See ``Issuance.prepare``."""
        known: dict[str, Any] = {"csr_sha256": hashlib.sha256(order.csr).hexdigest()}
        try:
            return self._prepare(order, known)
        except PkiopsError as error:
            record_rejection(self.ledger, self.environment, order.profile, known, error)
            raise

    def examine(self, order: Order) -> Prepared:
        """The same, and whatever comes of it stays out of the ledger."""
        return self._prepare(order, {})

    def _prepare(self, order: Order, known: dict[str, Any]) -> Prepared:
        # 1. parse within a size bound, verify the self-signature
        csr = load_csr(order.csr, order.csr_source)
        known.update(csr_sha256=csr.sha256, spki_sha256=csr.spki_sha256, subject=csr.subject)
        # 2. key type, size and known-weak keys: rules like the others, judged with them in 5, so that all findings come at once
        # 3. names are claims: those of the CSR, or those given in their place
        request = Request(csr=csr, usage=(), validity=order.validity, sans=order.sans or csr.sans)
        known.update(sans=request.sans)
        # 4. pick the profile; without one nothing is allowed
        profile = profile_of(self.environment, order.profile)
        policy = policy_sha256(profile)
        known.update(policy_sha256=policy, authority=profile.authority)
        # 5. every rule: first without the CA, so that no call is made for what is refused anyway
        facts = Facts(examination=examine_key(csr))
        self._judged(order, profile, request, facts)
        self._refuse_compromised(order, csr)
        backend = issuing_backend(self.environment, self.backend)
        self.progress.step(f"looking at {self.environment.environment}/ca/{profile.authority}")
        issuer, requester = self._find(backend, profile, known)
        known.update(generation=issuer.generation, authority_reference=issuer.observed.reference)
        callers = (requester, *([self.ci_identity] if self.ci_identity else []))
        facts = replace(facts, issuer_not_after=issuer.observed.not_after, requesters=callers)
        decision = self._judged(order, profile, request, facts)
        self.require_reachable(issuer)
        # 6. the intended certificate as data: the CSR's public key, and the names that were approved
        intent = decision.intent
        if intent is None:
            raise InternalError(f"profile {order.profile} allows a request without saying what is allowed")
        known.update(subject=intent.subject)
        # 7. the template whose fixed extensions equal the intent
        template = backend.expect_certificate(
            issuance_request(intent, csr, issuer, attempt=""), issuer.observed
        ).template
        record = ledger_intent(order, self.environment.environment, requester, policy, csr, issuer, intent, template)
        prepared = Prepared(
            csr=csr, issuer=issuer, record=record, reissue=order.reissue, renewal_window=profile.renewal_window
        )
        if not needs_ledger(profile):
            return prepared

        def judge() -> None:
            self._judge_history(order, profile, request, facts, record)

        if self._is_new(prepared):
            judge()
            return prepared

        def judge_new() -> None:
            # by then nobody records what is refused
            try:
                judge()
            except PolicyDenied as error:
                record_rejection(self.ledger, self.environment, order.profile, known, error)
                raise

        # what serves or is fetched now may be due or revoked by the time it is looked at again
        return replace(prepared, judge_new=judge_new)

    def _is_new(self, prepared: Prepared) -> bool:
        """Whether another certificate would be made; what is unknown is ``complete``'s to refuse."""
        latest = self.ledger.latest(prepared.record.request_key)
        try:
            step = next_step(
                latest,
                prepared.record,
                now=self.clock.now(),
                reissue=prepared.reissue,
                window=prepared.renewal_window,
            )
        except GuardRefused:
            return False
        return step in {Step.NEW_ATTEMPT, Step.GIVE_UP_AND_NEW_ATTEMPT}

    def _judge_history(
        self, order: Order, profile: Profile, request: Request, facts: Facts, record: LedgerIntent
    ) -> None:
        """The rules about what was issued before; the same request again is not held against itself."""
        now = self.clock.now()
        known = history_of(self.ledger, profile, record, now)

        def judge(told: LedgerFacts) -> Decision:
            return self._judged(order, profile, request, replace(facts, ledger=told))

        self.run.judged(record, known, now, judge)

    def _find(self, backend: IssuingBackend, profile: Profile, known: dict[str, Any]) -> tuple[Issuer, str]:
        """The CA that issues, and who asks it: by the index without a call but one read, else by asking the service."""
        issuer = self.keep_issuer(profile.authority, lambda: self._issuer(backend, profile.authority, known))
        # an indexed CA's ARN is in the file's account, and answers nobody else unless its owner says so; rules about who may ask need the ARN
        asks = self.credential if issuer.indexed and not profile.requesters else None
        requester = (asks or self.requester)()
        known.update(requester=requester)
        return issuer, requester

    def _issuer(self, backend: IssuingBackend, label: str, known: dict[str, Any]) -> Issuer:
        passed_by = None
        if self.store is not None and index_counts(self.environment, label):
            found = indexed_issuer(self.environment, self.store, label, self.clock)
            if isinstance(found, Issuer):
                return found
            passed_by = found.reason
            self.progress.step(f"the index is of no use, the service is asked: {passed_by}")
        known.update(requester=self.requester())
        try:
            return active_issuer(self.environment, backend, label, self.clock)
        except AccessDenied as error:
            if passed_by is not None:
                name = self.environment.environment
                error.hint = f"with an index of this file the right would not be needed ({passed_by}): pkiops ca apply {name} writes it"
            raise

    def _judged(self, order: Order, profile: Profile, request: Request, facts: Facts) -> Decision:
        decision = decide(order.profile, profile, request, facts, self.clock.now())
        if not decision.allowed:
            raise refusal(decision, order.csr_source)
        return decision

    def _refuse_compromised(self, order: Order, csr: CertificationRequest) -> None:
        """A key that somebody else has would have another certificate as soon as the same command runs again."""
        found = self.ledger.find_compromised(self.environment.environment, csr.spki_sha256)
        if found is not None:
            raise PolicyDenied(
                f"{order.csr_source}: its key is compromised: certificate {found.serial} of the same key was revoked for keyCompromise",
                hint="make a new key, and a request with it",
                code="cert.key-compromised",
                details={"serial": found.serial},
            )


def profile_of(environment: Environment, name: str) -> Profile:
    """The profile of that name.

    Raises:
        InputError: code ``cert.unknown-profile``.
    """
    profile = environment.profiles.get(name)
    if profile is None:
        raise InputError(
            f"environment {environment.environment} has no profile {name!r}",
            hint=f"profiles of this environment: {', '.join(sorted(environment.profiles)) or 'none'}",
            code="cert.unknown-profile",
        )
    return profile


def record_rejection(
    ledger: Ledger, environment: Environment, profile: str, known: Mapping[str, Any], error: PkiopsError
) -> None:
    """Put a request that came to nothing into the ledger; ``known`` are fields of ``Rejection``."""
    findings = error.details.get("findings", ())
    ledger.record_rejection(
        Rejection(
            state=EntryState.REFUSED if isinstance(error, _REFUSALS) else EntryState.FAILED,
            environment=environment.environment,
            profile=profile,
            code=error.code,
            message=error.message,
            findings=tuple(findings),
            **known,
        )
    )
