"""Issue a certificate for a CSR under a profile: the ten steps of issuance, 1 to 7 in ``prepare`` and 8 to 10 here.

What this module decides: that the intent is in the ledger before a CA hears of it, that every end is in the ledger too, and that two runs of one
request, or one run after another was killed anywhere, end with one certificate. What serves again is ``reuse``'s decision, what is compared is
``compare``'s. Writing files is left to the caller, after step 10.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.cert.compare import differences
from pkiops.cert.history import RunTally
from pkiops.cert.issuer import IssuingBackend, issuing_backend
from pkiops.cert.lint import lint, require_clean, require_linter
from pkiops.cert.order import Issued, Order, Prepared, intent_of, issuance_request
from pkiops.cert.prepare import (
    KeepIssuer,
    Preparation,
    RequireReachable,
    ask_each_time,
    record_rejection,
    require_nothing,
)
from pkiops.cert.prove import verify_path
from pkiops.cert.reuse import Step, is_settling, next_step, require_young
from pkiops.clock import Clock
from pkiops.environment.models import Environment
from pkiops.errors import (
    AccessDenied,
    BackendError,
    GuardRefused,
    InProgress,
    InputError,
    InternalError,
    NotFound,
    PkiopsError,
    VerificationFailed,
)
from pkiops.ledger.interface import Entry, EntryState, Ledger
from pkiops.progress import NoProgress, Progress
from pkiops.stores.interface import Store
from pkiops.x509.certificate import crl_urls_of, load_certificate, serial_hex

# Not an answer of the CA: the call may have arrived all the same.
UNANSWERED = frozenset({"backend.client", "backend.answer"})
# The CA itself says that a certificate which it had accepted to make will never exist.
REQUEST_FAILED = "backend.request-failed"
_MOST_TURNS = 20
_NEW = frozenset({Step.NEW_ATTEMPT, Step.GIVE_UP_AND_NEW_ATTEMPT})


@dataclass(frozen=True, kw_only=True)
class Issuance:
    """The use case and its collaborators.

    Args:
        environment: whose profiles and CAs count.
        backend: the CAs; it must be able to read them and to issue.
        ledger: remembers every request.
        clock: the moment from which validity counts; the ledger's clock must be the same.
        requester: says who is asking (a caller's ARN), and may refuse the caller; called when the rules that need no call have allowed the order.
        progress: told of each step.
        store: the trust bucket, whose index says which CA issues; without it the service is asked.
        ci_identity: who the CI job says it is, beside the caller (``ci_identity``); None outside of one.
        run: counts what this run lets through; one for all orders of a run.
        keep_issuer: gives the CA with a label, by asking for it or out of what it kept.
        credential: names the caller by its credential, without a call; where the index is enough, it is asked for in place of ``requester``, which
            then is called only if the CA refuses.
        require_reachable: refuses (GuardRefused) a CA whose distribution point has never answered, where the file asks for that.
    """

    environment: Environment
    backend: object
    ledger: Ledger
    clock: Clock
    requester: Callable[[], str]
    progress: Progress = field(default_factory=NoProgress)
    store: Store | None = None
    ci_identity: str | None = None
    run: RunTally = field(default_factory=RunTally)
    keep_issuer: KeepIssuer = ask_each_time
    credential: Callable[[], str] | None = None
    require_reachable: RequireReachable = require_nothing

    def issue(self, order: Order) -> Issued:
        """All ten steps but the files; raises what ``prepare`` and ``complete`` raise."""
        return self.complete(self.prepare(order))

    def prepare(self, order: Order) -> Prepared:
        """Steps 1 to 7.

        Raises:
            InputError: the CSR cannot be read, there is no such profile, or the linter that the file asks for is not installed.
            PolicyDenied: a rule refuses, or proof of possession fails.
            BackendError: the CA cannot be read, is not ACTIVE, or cannot issue this.
            VerificationFailed: the CA's chain is broken or not the pinned one.
            GuardRefused: the caller is of another account, or nobody has ever answered at the CA's distribution point.
        """
        return self._preparation().prepare(order)

    def examine(self, order: Order) -> Prepared:
        """Steps 1 to 7 as ``prepare`` takes them, but nothing is recorded, a refusal neither; raises the same."""
        return self._preparation().examine(order)

    def _preparation(self) -> Preparation:
        require_linter(self.environment)
        return Preparation(
            environment=self.environment,
            backend=self.backend,
            ledger=self.ledger,
            clock=self.clock,
            requester=self.requester,
            progress=self.progress,
            store=self.store,
            ci_identity=self.ci_identity,
            run=self.run,
            keep_issuer=self.keep_issuer,
            credential=self.credential,
            require_reachable=self.require_reachable,
        )

    def complete(self, prepared: Prepared) -> Issued:
        """Steps 8 to 10.

        Raises:
            GuardRefused: code ``cert.unknown-intent``, an earlier attempt may have led to a certificate.
            PolicyDenied: as ``begin``.
            VerificationFailed: codes ``cert.not-as-asked``, ``cert.lint``, or a code of the chain.
            BackendError: the CA refused, failed or did not answer; the same order again continues.
        """
        entry, step, created = self.begin(prepared)
        if step in {Step.SERVE, Step.PROVE_AGAIN}:
            return self.serve(prepared, entry, step)
        if step is not Step.FETCH:
            entry = self.ask(prepared, entry, created=created)
        issued = self.finish(prepared, entry)
        if step is Step.FETCH and self._next(prepared, issued.entry) is not Step.SERVE:
            # it was fetched late: known now, but due already
            return self.complete(prepared)
        return issued

    def serve(self, prepared: Prepared, entry: Entry, step: Step) -> Issued:
        """Step 9 again for the certificate of an entry, and 10 where it was found wanting before (``PROVE_AGAIN``).

        Raises:
            VerificationFailed: code ``cert.not-as-asked``, or a code of the chain.
        """
        proven = self._prove(prepared, entry, _parsed(entry.chain, entry.id), from_ledger=True)
        return self.record(proven) if step is Step.PROVE_AGAIN else proven

    def finish(self, prepared: Prepared, entry: Entry) -> Issued:
        """Steps 9 and 10 for an open entry whose reference is known, whoever learnt it; raises what ``fetch`` and ``record`` do."""
        return self.record(self.fetch(prepared, entry))

    def look(self, prepared: Prepared) -> tuple[Entry | None, Step]:
        """The latest entry of a request, and how it goes on; nothing is written, unless that it is refused.

        Raises:
            GuardRefused: code ``cert.unknown-intent``.
        """
        latest = self.ledger.latest(prepared.record.request_key)
        return latest, self._next(prepared, latest)

    @property
    def _issues(self) -> IssuingBackend:
        return issuing_backend(self.environment, self.backend)

    def begin(self, prepared: Prepared) -> tuple[Entry, Step, bool]:
        """Step 8, its first half: the entry to go on with, how, and whether this call created it.

        Raises:
            GuardRefused: code ``cert.unknown-intent``; or ``cert.contended``.
            PolicyDenied: a rule about what was issued before refuses another certificate, which was not to be made when the order was prepared.
        """
        record = prepared.record
        for _ in range(_MOST_TURNS):
            latest = self.ledger.latest(record.request_key)
            step = self._next(prepared, latest)
            if step in _NEW and prepared.judge_new is not None:
                prepared.judge_new()
            if latest is not None and step is Step.GIVE_UP_AND_NEW_ATTEMPT:
                self.ledger.record_unknown(latest.id, f"given up for another attempt (--reissue) by {record.requester}")
            elif latest is not None and step is not Step.NEW_ATTEMPT:
                return latest, step, False
            attempt = 1 if latest is None or latest.attempt is None else latest.attempt + 1
            # 8. write the intent to the ledger, then ask
            entry, created = self.ledger.begin(record, attempt)
            if created:
                return entry, Step.NEW_ATTEMPT, True
            # another run was faster: its intent counts, and the next turn sees how that goes on
        raise GuardRefused(
            f"request {record.request_key} is made again and again by other runs",
            hint="find out what else issues for this CSR, then run again",
            code="cert.contended",
        )

    def _next(self, prepared: Prepared, latest: Entry | None) -> Step:
        with self.recorded(prepared):
            return next_step(
                latest,
                prepared.record,
                now=self.clock.now(),
                reissue=prepared.reissue,
                window=prepared.renewal_window,
            )

    @contextlib.contextmanager
    def recorded(self, prepared: Prepared) -> Iterator[None]:
        """What stops an order in here, before anything is asked for, is in the ledger too, as what stops it in ``prepare`` is."""
        try:
            yield
        except PkiopsError as error:
            record = prepared.record
            known = {
                "authority": record.authority,
                "generation": record.generation,
                "authority_reference": record.authority_reference,
                "policy_sha256": record.policy_sha256,
                "requester": record.requester,
                "csr_sha256": record.csr_sha256,
                "spki_sha256": record.spki_sha256,
                "subject": record.subject,
                "sans": record.sans,
            }
            record_rejection(self.ledger, self.environment, record.profile, known, error)
            raise

    def ask(self, prepared: Prepared, entry: Entry, *, created: bool) -> Entry:
        """Step 8, its second half: ``request``, and its answer goes into the ledger; raises what ``request`` does."""
        reference = self.request(prepared, entry, created=created)
        try:
            return self.ledger.record_reference(entry.id, reference)
        except BackendError as error:
            # a ledger may be waited for longer than the token lives that would give the same certificate again
            name = self.environment.environment
            error.message += f"; so it is not written down that the CA makes {reference}"
            error.hint = f"run the same command again: within four minutes it gets that certificate; later pkiops cert resolve {name} finds it"
            raise

    def request(self, prepared: Prepared, entry: Entry, *, created: bool) -> str:
        """Ask with a token that follows from the stored intent, so that asking twice is asking once; the certificate's reference.

        Args:
            prepared: the order.
            entry: its intent, as ``begin`` gave it.
            created: this run made the entry, and no call of it was left without an answer.

        Raises:
            BackendError: the CA refused, failed or did not answer.
            GuardRefused: code ``cert.unknown-intent``, the entry has become too old to ask for.
        """
        require_young(entry, self.clock.now())
        self.progress.step(f"asking {entry.authority_reference} for the certificate")
        request = issuance_request(intent_of(entry, prepared.csr), prepared.csr, prepared.issuer, attempt=entry.id)
        try:
            return self._issues.request_certificate(request)
        except BackendError as error:
            # only the first to ask knows that a refusal means no certificate: a call before may have led to one
            if created and not error.retryable and error.code not in UNANSWERED and not _asked_before(error):
                self.ledger.record_failed(entry.id, error.code, error.message, reference=None)
            else:
                _advise(error, "run the same command again within four minutes: it asks for the same certificate")
            if isinstance(error, (AccessDenied, NotFound)):
                self._refuse_stranger()
            raise

    def _refuse_stranger(self) -> None:
        """Ask who calls, now that the CA refused: a caller of another account is told that (GuardRefused), and not which permission it lacks."""
        with contextlib.suppress(BackendError):
            self.requester()

    def fetch(self, prepared: Prepared, entry: Entry) -> Issued:
        """Step 9: the certificate of an open entry, proven to be what was asked for.

        Raises:
            InProgress: it is not there yet, or its reference is so young that the CA may not know it.
            VerificationFailed: code ``cert.not-as-asked``, or a code of the chain; the ledger knows it.
            BackendError: there is no such certificate, which the ledger then knows, or the CA did not answer.
        """
        reference = entry.certificate_reference
        if reference is None or entry.authority_reference is None:
            raise InternalError(f"ledger entry {entry.id} has nothing to fetch by")
        self.progress.step(f"fetching {reference}")
        try:
            answer = self._issues.fetch_certificate(entry.authority_reference, reference)
        except BackendError as error:
            if isinstance(error, NotFound) and is_settling(entry, self.clock.now()):
                raise InProgress(
                    f"{error.message}; it was asked for less than a minute ago",
                    hint="run the same command again: it fetches what was asked for",
                ) from error
            if isinstance(error, NotFound) or error.code == REQUEST_FAILED:
                self.ledger.record_failed(entry.id, error.code, error.message, reference=reference)
            else:
                _advise(error, "the certificate is being made; run the same command again, at any time, to fetch it")
            raise
        certificate = _parsed(answer[:1], reference)
        try:
            return self._prove(prepared, entry, certificate, from_ledger=False)
        except VerificationFailed as error:
            # known by its serial from now on, and proven again before another is paid for
            self.ledger.record_failed(entry.id, error.code, error.message, reference=reference, chain=answer[:1])
            raise

    def _prove(self, prepared: Prepared, entry: Entry, certificate: x509.Certificate, *, from_ledger: bool) -> Issued:
        # 9. compare what came back, parsed, with the stored intent field by field; build and verify the chain
        issuer = prepared.issuer
        intent = intent_of(entry, prepared.csr)
        request = issuance_request(intent, prepared.csr, issuer, attempt=entry.id)
        expected = self._issues.expect_certificate(request, issuer.observed)
        named = crl_urls_of(certificate)
        if entry.state is EntryState.ISSUED and len(named) == 1:
            # it was compared when it was made; since then the CA may have been given another host, and certificates keep theirs
            expected = replace(expected, crl_url=named[0])
        found = differences(certificate, intent, expected, issuer.certificate, ocsp=issuer.observed.ocsp)
        if found:
            serial = serial_hex(certificate.serial_number)
            command = f"pkiops cert revoke {self.environment.environment} {serial} --authority {issuer.label}"
            raise VerificationFailed(
                "\n".join(
                    [
                        f"certificate {serial} of {issuer.observed.reference} is not what was asked for",
                        *(f"  {one}" for one in found),
                    ]
                ),
                hint=f"do not use it; revoke it ({command}); after that a run makes another attempt",
                code="cert.not-as-asked",
                details={
                    "serial": serial,
                    "differences": [{"field": d.field, "expected": d.expected, "actual": d.actual} for d in found],
                },
            )
        serial = serial_hex(certificate.serial_number)
        require_clean(
            lint(self.environment, self.backend, certificate),
            f"certificate {serial} of {issuer.observed.reference}",
            hint=f"do not use it; revoke it (pkiops cert revoke {self.environment.environment} {serial} --authority {issuer.label}), "
            "and change the profile or lint in the file",
        )
        verify_path(certificate, issuer.chain, intent, self.clock.now())
        return Issued(
            entry=entry,
            certificate=certificate,
            chain=issuer.chain,
            from_ledger=from_ledger,
            renewal_window=prepared.renewal_window,
        )

    def record(self, proven: Issued) -> Issued:
        """Step 10: the certificate is in the ledger before the caller writes its files.

        Raises:
            AlreadyExists: another certificate is recorded for this entry.
        """
        chain = [one.public_bytes(Encoding.DER) for one in (proven.certificate, *proven.chain)]
        return replace(proven, entry=self.ledger.record_issued(proven.entry.id, chain))


def _parsed(chain: Sequence[bytes], source: str) -> x509.Certificate:
    """The first certificate of an answer.

    Raises:
        VerificationFailed: code ``cert.not-as-asked``, there is none.
    """
    if not chain:
        raise VerificationFailed(f"the answer for {source} holds no certificate", code="cert.not-as-asked")
    try:
        return load_certificate(chain[0], f"the answer for {source}")
    except InputError as error:
        raise VerificationFailed(error.message, hint=error.hint, code="cert.not-as-asked") from error


def _asked_before(error: BackendError) -> bool:
    """Whether the call was repeated below us, so that the refusal may answer the second of two; a used-up quota is always repeated."""
    return bool(error.details.get("retries")) and error.code != "backend.quota"


def _advise(error: BackendError, advice: str) -> None:
    error.hint = f"{error.hint}; {advice}" if error.hint else advice
