"""Find out what came of requests whose answer was lost: their certificates are looked for in the CA's audit report, and the ledger is completed.

What this module decides: the order of things (what is fetched by its reference, what needs a report), which report is good enough, and that an entry
is recorded as never made only by a report of a time when nobody could be asking for it any more. Steps 9 and 10 of issuance prove and record what
is found, so it is safe to be killed anywhere, run twice, or run by two at once. What belongs to what is decided by ``resolve_rules``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from itertools import islice, takewhile

from pkiops.backends.auditing import AuditedCertificate, AuditReport, AuditsIssuance
from pkiops.cert.issue import REQUEST_FAILED, Issuance
from pkiops.cert.issuer import Issuer, issuing_backend, with_chain
from pkiops.cert.order import Prepared
from pkiops.cert.resolve_rules import (
    SETTLED_AFTER,
    entry_of,
    is_asked_for,
    is_likely,
    is_possible,
    settled_at,
    times_of,
)
from pkiops.cert.reuse import SETTLED_REFERENCE, is_settling
from pkiops.errors import (
    AccessDenied,
    AlreadyExists,
    BackendError,
    InProgress,
    InputError,
    InvalidState,
    NotFound,
    NotSupported,
    PkiopsError,
    VerificationFailed,
)
from pkiops.ledger.interface import Entry, EntryState, LedgerIntent, Position
from pkiops.ledger.transitions import is_open
from pkiops.x509.certificate import load_certificate
from pkiops.x509.chain import verify_ca_chain
from pkiops.x509.csr import CertificationRequest
from pkiops.x509.keys import PublicKey, spki_sha256

NEVER_MADE = "cert.never-made"
_FETCHERS, _BATCH = 8, 64


class Outcome(StrEnum):
    """What is known of an entry now."""

    ISSUED = "issued"
    NEVER_MADE = "never-made"
    NOT_AS_ASKED = "not-as-asked"
    FAILED = "failed"
    ASKED_FOR = "asked-for"
    WAITING = "waiting"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True, slots=True)
class Resolution:
    """An entry as it is now, and what was found out; ``error`` says why not, ``again`` from when on more can be found out."""

    entry: Entry
    outcome: Outcome
    error: PkiopsError | None = None
    again: datetime | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """Everything that was open, in the order of the ledger, and the reports that were read."""

    resolutions: tuple[Resolution, ...]
    reports: tuple[AuditReport, ...]


@dataclass(frozen=True, kw_only=True)
class Resolving:
    """The use case: ``issuance`` brings its collaborators and records what is found."""

    issuance: Issuance
    _reports: list[AuditReport] = field(default_factory=list)

    def resolve(self, entry_id: str | None = None) -> Resolved:
        """Resolve one entry, or every open one of the environment.

        Raises:
            InputError: the ledger has no such entry.
            GuardRefused: the caller is of another account.
        """
        entries = self._entries(entry_id)
        opened = [one for one in entries if is_open(one)]
        if opened:
            # the first call also sets the clock where that follows the server
            self.issuance.requester()
        done = {one.id: Resolution(one, _outcome_of(one)) for one in entries if not is_open(one)}
        by_authority: dict[str, list[Entry]] = {}
        for entry in opened:
            if is_asked_for(entry, self.issuance.clock.now()):
                done[entry.id] = Resolution(entry, Outcome.ASKED_FOR)
            else:
                by_authority.setdefault(str(entry.authority_reference), []).append(entry)
        for reference, group in by_authority.items():
            done |= {one.entry.id: one for one in self._of_authority(reference, group)}
        return Resolved(tuple(done[one.id] for one in entries), tuple(self._reports))

    def _entries(self, entry_id: str | None) -> list[Entry]:
        name, ledger = self.issuance.environment.environment, self.issuance.ledger
        if entry_id is None:
            return list(ledger.find_open(name))
        entry = ledger.get(entry_id)
        if entry is None or entry.environment != name:
            raise InputError(
                f"the ledger of environment {name} has no entry {entry_id}",
                hint=f"pkiops cert list {name} --state open lists what can be resolved",
                code="cert.unknown-entry",
            )
        return [entry]

    def _of_authority(self, reference: str, group: Sequence[Entry]) -> list[Resolution]:
        search = _Search(self.issuance, reference, group, self._reports.append)
        try:
            search.run()
        except BackendError as error:
            search.leave(_denied(error, group[0], len(search.left)) if isinstance(error, AccessDenied) else error)
        except VerificationFailed as error:  # the chain of the CA
            search.leave(error)
        return search.resolutions


def _outcome_of(entry: Entry) -> Outcome:
    if entry.state is EntryState.ISSUED:
        return Outcome.ISSUED
    if entry.code == NEVER_MADE:
        return Outcome.NEVER_MADE
    return Outcome.NOT_AS_ASKED if entry.chain else Outcome.FAILED


def _denied(error: BackendError, entry: Entry, count: int) -> AccessDenied:
    return AccessDenied(
        f"what came of {count} {'request' if count == 1 else 'requests'} to {entry.environment}/ca/{entry.authority} stays unknown: {error.message}",
        hint="it takes the rights to make audit reports of the CA and to read them (acm-pca:CreateCertificateAuthorityAuditReport, "
        "acm-pca:DescribeCertificateAuthorityAuditReport, acm-pca:GetCertificate, s3:ListBucket, "
        f"and s3:GetObject below audit-report/ of the CRL bucket): pkiops env iam-policy {entry.environment} --persona issuer --allow-resolve",
        code="cert.resolve-denied",
        details=error.details,
    )


class _Search:
    """The entries of one CA, and what is found out about them."""

    def __init__(
        self, issuance: Issuance, reference: str, group: Sequence[Entry], told: Callable[[AuditReport], None]
    ) -> None:
        self._issuance, self._reference, self._told = issuance, reference, told
        self.left = {one.id: one for one in group}
        self.resolutions: list[Resolution] = []
        self._backend = issuing_backend(issuance.environment, issuance.backend)

    def leave(self, error: PkiopsError) -> None:
        """Say of all that is left that it could not be found out."""
        self._done(*(Resolution(one, Outcome.UNRESOLVED, error) for one in self.left.values()))

    def run(self) -> None:
        """Find out what there is to find out."""
        issuer = self._issuer(next(iter(self.left.values())))
        for entry in list(self.left.values()):
            if entry.certificate_reference is not None:
                answer = self._fetched(entry, entry.certificate_reference)
                if answer is not None:
                    self._complete(entry, issuer, answer)
        clock = self._issuance.clock
        if not any(settled_at(one) <= clock.now() for one in self.left.values()):
            self._done(*(Resolution(one, Outcome.WAITING, again=settled_at(one)) for one in self.left.values()))
            return
        report, refused = self._report()
        if report is not None:
            self._told(report)
            self._look_through(report, issuer)
        for entry in list(self.left.values()):
            if report is not None and report.created_at >= settled_at(entry):
                message = f"the audit report {report.where} of {report.created_at:%Y-%m-%dT%H:%M:%SZ} holds no certificate of its key"
                self._after(self._issuance.ledger.record_failed(entry.id, NEVER_MADE, message, reference=None))
            elif refused is not None and settled_at(entry) <= clock.now():
                self._done(Resolution(entry, Outcome.UNRESOLVED, refused))
            else:
                self._done(Resolution(entry, Outcome.WAITING, again=settled_at(entry)))

    def _done(self, *resolutions: Resolution) -> None:
        for one in resolutions:
            self.left.pop(one.entry.id, None)
            self.resolutions.append(one)

    def _after(self, entry: Entry) -> None:
        """An entry as the ledger has it after a record; where another run was faster, that counts."""
        if is_open(entry):
            self._done(Resolution(entry, Outcome.WAITING, again=settled_at(entry)))
        else:
            self._done(Resolution(entry, _outcome_of(entry)))

    def _issuer(self, entry: Entry) -> Issuer:
        environment, now = self._issuance.environment, self._issuance.clock.now()
        observed = self._backend.describe_authority(self._reference)
        label = str(entry.authority)
        declared = environment.authorities.get(label)
        if declared is not None and declared.generation == entry.generation:
            return with_chain(environment, self._backend, label, observed, at=now)
        # of a generation that the file no longer describes, and so does not pin either
        source = f"the chain of {self._reference}"
        chain = tuple(load_certificate(der, source) for der in self._backend.authority_chain(self._reference))
        verify_ca_chain(chain, at=now)
        return Issuer(label, entry.generation or 1, observed, chain)

    def _fetched(self, entry: Entry, reference: str) -> tuple[bytes, ...] | None:
        """A certificate and those above it; None, with the entry done, where the service says that there is none or will be none."""
        try:
            return self._backend.fetch_certificate(self._reference, reference)
        except BackendError as error:
            if not isinstance(error, NotFound) and error.code != REQUEST_FAILED:
                raise
            if isinstance(error, NotFound) and is_settling(entry, self._issuance.clock.now()):
                self._done(Resolution(entry, Outcome.WAITING, again=entry.updated_at + SETTLED_REFERENCE))
                return None
            self._after(self._issuance.ledger.record_failed(entry.id, error.code, error.message, reference=reference))
            return None

    def _report(self) -> tuple[AuditReport | None, BackendError | None]:
        """A report that settles all that can be settled now, or the newest there is and why there is no newer one."""
        backend, environment = self._issuance.backend, self._issuance.environment
        if not isinstance(backend, AuditsIssuance):
            raise NotSupported(
                f"the backend of environment {environment.environment} ({environment.backend.type}) makes no audit reports",
                code="backend.no-reports",
            )
        now, bucket = self._issuance.clock.now(), environment.publication.crl.bucket
        settled = [moment for one in self.left.values() if (moment := settled_at(one)) <= now]
        self._issuance.progress.step(f"asking {self._reference} for an audit report")
        try:
            return backend.audit_report(self._reference, bucket, since=max(settled)), None
        except (InProgress, InvalidState) as error:
            return backend.newest_audit_report(self._reference, bucket), error

    def _look_through(self, report: AuditReport, issuer: Issuer) -> None:
        """Complete the entries whose certificate is in a report."""
        looked_at: set[str] = set()
        found: list[str] = []
        for fits in (is_likely, is_possible):
            rows = self._candidates(report, fits, looked_at) if self.left else iter(())
            with ThreadPoolExecutor(max_workers=_FETCHERS) as pool:
                while batch := tuple(islice(rows, _BATCH)):
                    looked_at.update(one.reference for one in batch)
                    self._issuance.progress.step(f"looking at the keys of {len(looked_at)} certificates")
                    # all of a batch are waited for: none is left running when one fails
                    answers = list(pool.map(self._answer, batch))
                    for row, answer in zip(batch, answers, strict=True):
                        self._match(row, answer, issuer, found)

    def _candidates(
        self,
        report: AuditReport,
        fits: Callable[[AuditedCertificate, Entry], bool],
        looked_at: set[str],
    ) -> Iterator[AuditedCertificate]:
        backend, entries = self._issuance.backend, tuple(self.left.values())
        if not isinstance(backend, AuditsIssuance):
            return
        first, last = times_of(entries)
        known = self._known(entries)
        for row in backend.audited_certificates(backend.read_audit_report(report), self._reference):
            if not first <= row.issued_at <= last or row.reference in looked_at or row.serial in known:
                continue
            if any(fits(row, one) for one in entries):
                yield row

    def _known(self, entries: Sequence[Entry]) -> set[str]:
        """The serials of this CA that the ledger knows from about that time: read in one go, because a bulk issues many in a minute."""
        first, last = times_of(entries)
        ledger, name = self._issuance.ledger, self._issuance.environment.environment
        # an entry is made before its certificate, and not longer before than it may be asked for
        since = Position(first - SETTLED_AFTER, "")
        around = ledger.find_by_authority(name, str(entries[0].authority), after=since)
        return {
            one.serial
            for one in takewhile(lambda one: one.created_at <= last, around)
            if one.serial is not None and one.authority_reference == self._reference
        }

    def _answer(self, row: AuditedCertificate) -> tuple[bytes, ...]:
        return self._backend.fetch_certificate(self._reference, row.reference)

    def _match(self, row: AuditedCertificate, answer: tuple[bytes, ...], issuer: Issuer, found: list[str]) -> None:
        certificate = load_certificate(answer[0], row.reference)
        done = [one.entry for one in self.resolutions if one.entry.id in found]
        entry = entry_of(certificate, (*self.left.values(), *done), found)
        if entry is None:
            return
        # a second one of the same entry becomes a doubt
        entry = self._issuance.ledger.record_reference(entry.id, row.reference)
        if entry.id in self.left:
            found.append(entry.id)
            self._complete(entry, issuer, answer)

    def _complete(self, entry: Entry, issuer: Issuer, answer: tuple[bytes, ...]) -> None:
        """Prove and record the certificate of an entry."""
        certificate = load_certificate(answer[0], str(entry.certificate_reference))
        ledger, reference = self._issuance.ledger, entry.certificate_reference
        prepared = _prepared(entry, issuer, certificate.public_key())
        if spki_sha256(certificate.public_key()) != entry.spki_sha256:
            wrong = VerificationFailed(
                f"{reference} is a certificate of another key than the one that was asked for",
                hint="do not use it; find out who made it",
                code="cert.not-as-asked",
            )
            kept = ledger.record_failed(entry.id, wrong.code, wrong.message, reference=reference, chain=answer[:1])
            self._done(Resolution(kept, Outcome.NOT_AS_ASKED, wrong))
            return
        try:
            self._after(self._issuance.finish(prepared, entry).entry)
        except VerificationFailed as error:
            self._done(Resolution(ledger.get(entry.id) or entry, Outcome.NOT_AS_ASKED, error))
        except AlreadyExists:
            self._after(ledger.get(entry.id) or entry)


def _prepared(entry: Entry, issuer: Issuer, public_key: PublicKey) -> Prepared:
    """The order as the ledger remembers it. Of the request it knows digests, and that is all that proving needs besides the key."""
    record = LedgerIntent(**{one.name: getattr(entry, one.name) for one in fields(LedgerIntent)})
    csr = CertificationRequest(
        der=b"",
        pem=b"",
        public_key=public_key,
        key_algorithm=None,
        key_description="",
        subject=entry.subject,
        common_name=None,
        sans=entry.sans,
        unsupported=(),
        other_extensions=(),
        spki_sha256=record.spki_sha256,
        sha256=record.csr_sha256,
    )
    return Prepared(csr=csr, issuer=issuer, record=record, reissue=False)
