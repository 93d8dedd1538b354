"""Reads what ``status.py`` judges: the published set, and the CRLs that the CAs wrote themselves. Only reads.

What this module decides: that nothing of the published set is believed before it verifies under its CA, what of it cannot be read is a problem of
that one CRL and not of the command, and that whatever else cannot be read (CAs, CRL bucket, ledger) is a check that was skipped, with why. One CRL
at a time is held in memory, and of those before it their serial numbers where there is a ledger to compare with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pkiops.backends.interface import PublishesOwnCrls
from pkiops.crl.authorities import KnownAuthority
from pkiops.crl.check import CheckedCrl, check_crl, read_one
from pkiops.crl.fetch import CrlBackend
from pkiops.crl.manifest import CrlRecord, record_of
from pkiops.crl.outside import CertifiedCa, OutsideCa, outside_cas
from pkiops.crl.parts import fetch_parts, is_in_parts, parts_backend
from pkiops.crl.read import read_crl, read_pointer, read_records
from pkiops.crl.silent import may_be_silent
from pkiops.crl.status_authorities import FoundCas, find_cas
from pkiops.crl.status_facts import (
    AuthorityFacts,
    CrlProblem,
    HistoryFacts,
    LaterCrl,
    OwnCrl,
    PublishedFacts,
    SkippedCheck,
    StatusFacts,
)
from pkiops.crl.status_history import look_ahead, look_back
from pkiops.crl.status_ledger import compare_with_ledger, listed_serials
from pkiops.environment.models import Environment
from pkiops.errors import AccessDenied, BackendError, GuardRefused, InputError, VerificationFailed
from pkiops.ledger.interface import Entry
from pkiops.progress import NoProgress, Progress
from pkiops.stores.interface import Store
from pkiops.x509.crl import view_crl
from pkiops.x509.crl_bytes import LoadedCrl

# AWS Private CA writes a CRL up to half an hour after a revocation (RevokeCertificate); then somebody has to publish it
LEDGER_GRACE = timedelta(hours=1)
_NO_MARGIN = timedelta(0)


class StatusReader:
    """Reads the facts about one environment's CRLs.

    Args:
        environment: the environment.
        store: the trust bucket.
        service: gives the backend where the CAs are; may raise GuardRefused or a BackendError.
        at: the moment (aware) that counts as now.
        entries: every entry of the ledger; None where nothing is to be compared with it.
        no_entries: why there is none, if that is to be said.
        grace: how long a revocation in the ledger may take to be on a published CRL.
        progress: is told of each CRL.
    """

    def __init__(
        self,
        environment: Environment,
        store: Store,
        service: Callable[[], CrlBackend],
        at: Callable[[], datetime],
        *,
        entries: Callable[[], Iterable[Entry]] | None = None,
        no_entries: str | None = None,
        grace: timedelta = LEDGER_GRACE,
        progress: Progress | None = None,
    ) -> None:
        self._environment = environment
        self._store = store
        self._service = service
        self._at = at
        self._entries = entries
        self._grace = grace
        self._progress = progress or NoProgress()
        self._listed: dict[str, set[int]] = {}
        self._skipped = [] if no_entries is None else [SkippedCheck("ledger", None, no_entries)]
        self._may_look = True
        self._may_list = True

    def read(self) -> StatusFacts:
        """Everything.

        Raises:
            BackendError: the trust bucket does not answer, or may not be read.
        """
        digest, records, set_problem = self._published_set()
        found = find_cas(self._environment, self._store, self._service, self._at)
        self._skipped.extend(found.skipped)
        self._skipped.extend(SkippedCheck("crl", one.name, one.reason) for one in found.authorities.skipped)
        authorities = self._with_ledger(self._authorities(digest, records, found), found.authorities.known)
        return StatusFacts(
            environment=self._environment.environment,
            manifest_sha256=digest,
            authorities=authorities,
            set_problem=set_problem,
            index_problem=found.problem,
            skipped=tuple(self._skipped),
        )

    def _published_set(self) -> tuple[str | None, dict[str, CrlRecord], CrlProblem | None]:
        name = self._environment.environment
        try:
            pointer = read_pointer(self._store, name)
            if pointer is None:
                return None, {}, None
            records = read_records(self._store, name, pointer.manifest_sha256)
        except VerificationFailed as error:
            return None, {}, CrlProblem(error.code, error.message)
        except AccessDenied as error:
            error.hint = "without s3:ListBucket, S3 answers the same where nothing is: was anything ever published?"
            raise
        return pointer.manifest_sha256, {one.name: one for one in records}, None

    def _authorities(
        self, digest: str | None, records: dict[str, CrlRecord], found: FoundCas
    ) -> tuple[AuthorityFacts, ...]:
        known = found.authorities.known
        # of one kept elsewhere there may be several certificates, where chains disagree
        outside: dict[str, list[OutsideCa]] = {}
        for ca in outside_cas(self._environment, known):
            outside.setdefault(ca.name, []).append(ca)
        facts = [self._outside_authority(name, cas, digest, records) for name, cas in outside.items()]
        for one in known:
            parts = [record for record in records.values() if record.ca == one.name and record.scope is not None]
            facts += self._parts(one, digest, parts) or [self._own_authority(one, known, digest, records)]
        named = {one.name for one in facts}
        for name, record in records.items():
            if name not in named and record.ca not in found.authorities.expired:
                self._skipped.append(SkippedCheck("signature", name, "no certificate of this CA is at hand"))
                published = self._published(digest, record, ())
                facts.append(
                    AuthorityFacts(name=name, label=record.authority, generation=record.generation, published=published)
                )
        return tuple(facts)

    def _outside_authority(
        self, name: str, cas: Sequence[OutsideCa], digest: str | None, records: dict[str, CrlRecord]
    ) -> AuthorityFacts:
        published = self._published(digest, records.get(name), cas)
        return AuthorityFacts(
            name=name,
            label=cas[0].label,
            generation=cas[0].generation,
            published=published,
            history=self._history(published),
            kept_elsewhere=True,
        )

    def _parts(self, authority: KnownAuthority, digest: str | None, parts: Sequence[CrlRecord]) -> list[AuthorityFacts]:
        """The published parts of a CA's CRL, each like a CRL of its own, and those that it wrote and nobody has published."""
        if not parts:
            return []
        own, unpublished = self._own_parts(authority, parts)
        facts = []
        for record in parts:
            published = self._published(digest, record, (authority,))
            facts.append(
                AuthorityFacts(
                    name=record.name,
                    label=authority.label,
                    generation=authority.generation,
                    published=published,
                    own=own.get(record.name),
                    history=self._history(published),
                )
            )
        for name, one in unpublished.items():
            facts.append(
                AuthorityFacts(
                    name=name, label=authority.label, generation=authority.generation, published=None, own=one
                )
            )
        return facts

    def _own_parts(
        self, authority: KnownAuthority, parts: Sequence[CrlRecord]
    ) -> tuple[dict[str, OwnCrl], dict[str, OwnCrl]]:
        """What the CA wrote itself of the published parts, by their names; and of others. Both are empty where nobody may look."""
        environment = self._environment.environment
        if not self._may_look:
            return {}, {}
        try:
            if not is_in_parts(authority):
                self._skipped.append(SkippedCheck("own-crl", authority.name, "it is complete now, parts are published"))
                return {}, {}
            backend = parts_backend(environment, authority, self._service())
            written = fetch_parts(environment, authority, backend, at=self._at())
        except (BackendError, GuardRefused) as error:
            self._may_look = False
            self._skipped.append(SkippedCheck("own-crl", None, error.message))
            return {}, {}
        except VerificationFailed as error:
            return {parts[0].name: OwnCrl(None, None, error.message)}, {}
        named = {record_of(authority.label, authority.generation, one).name: one for one in written}
        own = {name: OwnCrl(one.number, one.view.this_update) for name, one in named.items()}
        published = {one.name for one in parts}
        gone = "is in the CRL bucket no more"
        lost = {one.name: OwnCrl(None, None, f"{one.scope} {gone}") for one in parts if one.name not in own}
        kept = {name: one for name, one in own.items() if name in published}
        return kept | lost, {name: one for name, one in own.items() if name not in published}

    def _own_authority(
        self,
        authority: KnownAuthority,
        known: Sequence[KnownAuthority],
        digest: str | None,
        records: dict[str, CrlRecord],
    ) -> AuthorityFacts:
        self._progress.step(f"look at the CRL of {self._environment.environment}/ca/{authority.name}")
        record = records.get(authority.name)
        own, is_absent = self._own(authority, record)
        published = self._published(digest, record, (authority,))
        return AuthorityFacts(
            name=authority.name,
            label=authority.label,
            generation=authority.generation,
            published=published,
            own=own,
            history=self._history(published),
            silent=record is None
            and is_absent
            and may_be_silent(authority, known, published={one.ca for one in records.values()}),
        )

    def _published(
        self, digest: str | None, record: CrlRecord | None, cas: Sequence[CertifiedCa]
    ) -> PublishedFacts | None:
        """The published CRL of a CA, of which these are the certificates it may be signed under; none: it is taken as it says it is."""
        if digest is None or record is None:
            return None
        name = f"the published CRL of {self._environment.environment}/ca/{record.name}"
        try:
            data = read_crl(self._store, self._environment.environment, digest, record)
        except AccessDenied as error:
            return PublishedFacts(record=record, problem=CrlProblem("crl.unreadable", error.message, proven=False))
        except VerificationFailed as error:
            return PublishedFacts(record=record, problem=CrlProblem(error.code, error.message))
        try:
            problem = self._judged(data, name, record, cas)
        except VerificationFailed as error:
            problem = CrlProblem(error.code, error.message)
        return PublishedFacts(record=record, size=len(data), verified=bool(cas) and problem is None, problem=problem)

    def _judged(self, data: bytes, name: str, record: CrlRecord, cas: Sequence[CertifiedCa]) -> CrlProblem | None:
        """Check a CRL under one of the CAs, and that the manifest says of it what it says itself.

        Raises:
            VerificationFailed: it does not verify.
        """
        loaded = read_one(data, name)
        differs = CrlProblem("crl.manifest", f"{name} is not what the manifest says of it")
        if not cas:
            view = view_crl(loaded.crl, loaded.der)
            said = (view.number, view.this_update, view.next_update, view.entries)
            return None if said == (record.number, record.this_update, record.next_update, record.entries) else differs
        failure: VerificationFailed | None = None
        for ca in cas:
            try:
                checked = _checked(loaded, ca, name, record.scope)
            except VerificationFailed as error:
                failure = error
                continue
            if record_of(ca.label, ca.generation, checked) != record:
                return differs
            if self._entries is not None and isinstance(ca, KnownAuthority):
                self._listed.setdefault(ca.observed.reference, set()).update(listed_serials(loaded.crl, name))
            return None
        raise failure or VerificationFailed(f"{name} verifies under no CA", code="crl.issuer")

    def _history(self, published: PublishedFacts | None) -> HistoryFacts | None:
        """What the history says of a CRL that verified; who may read entries but not list them hears of those before it alone."""
        if published is None or not published.verified:
            return None
        name, record = self._environment.environment, published.record
        later: LaterCrl | None = None
        if self._may_list:
            try:
                later = look_ahead(self._store, name, record)
            except BackendError as error:
                self._may_list = False
                self._skipped.append(SkippedCheck("later-crls", None, error.message))
        try:
            return replace(look_back(self._store, name, record), later=later)
        except BackendError as error:
            self._skipped.append(SkippedCheck("history", record.name, error.message))
            return None if later is None else HistoryFacts(recorded=True, later=later)

    def _with_ledger(
        self, facts: tuple[AuthorityFacts, ...], known: Sequence[KnownAuthority]
    ) -> tuple[AuthorityFacts, ...]:
        if self._entries is None or not self._listed:
            return facts
        self._progress.step("compare with the ledger")
        try:
            found = compare_with_ledger(self._listed, self._entries(), at=self._at(), grace=self._grace)
        except (BackendError, GuardRefused, InputError) as error:
            self._skipped.append(SkippedCheck("ledger", None, error.message))
            return facts
        references = {(one.label, one.generation): one.observed.reference for one in known}
        # all parts of a CRL were compared together, and what came of it stands with the first
        return tuple(replace(one, ledger=found.get(references.pop((one.label, one.generation), ""))) for one in facts)

    def _own(self, authority: KnownAuthority, record: CrlRecord | None) -> tuple[OwnCrl | None, bool]:
        """The CRL that the CA wrote itself, if it can be looked at; and whether it is known that there is none."""
        if not self._may_look:
            return None, False
        try:
            backend: object = self._service()
            if not isinstance(backend, PublishesOwnCrls):
                return None, False
            if is_in_parts(authority):
                in_parts = parts_backend(self._environment.environment, authority, backend)
                written = fetch_parts(self._environment.environment, authority, in_parts, at=self._at())
                return _whole_of(written, record), not written
            data = backend.fetch_crl(authority.observed)
        except (BackendError, GuardRefused) as error:
            # all CAs of an environment write into one bucket: one answer stands for the others
            self._may_look = False
            self._skipped.append(SkippedCheck("own-crl", None, error.message))
            return None, False
        except VerificationFailed as error:
            return OwnCrl(None, None, error.message), False
        if data is None:
            return None, True
        if record is not None and hashlib.sha256(data).hexdigest() == record.sha256:
            return OwnCrl(record.number, record.this_update), False  # the published one, which is checked as such
        return _own_crl(
            data, authority, f"the CRL that {self._environment.environment}/ca/{authority.name} wrote"
        ), False


def _whole_of(written: Sequence[CheckedCrl], record: CrlRecord | None) -> OwnCrl | None:
    """What a CA that went over to parts wrote beside its published complete CRL: that one, or parts, which have to be published in its place."""
    if record is None or not written:
        return None
    if written[0].scope is not None:
        return OwnCrl(None, None, f"{record.ca} writes its CRL in parts now, and a complete one is published")
    return OwnCrl(written[0].number, written[0].view.this_update)


def _checked(loaded: LoadedCrl, ca: CertifiedCa, name: str, scope: str | None = None) -> CheckedCrl:
    """Check a CRL as of its own beginning: whether it has expired since is a finding of its own."""
    began = loaded.crl.last_update_utc
    return check_crl(loaded.crl, ca.certificate, name, at=began, margin=_NO_MARGIN, der=loaded.der, scope=scope)


def _own_crl(data: bytes, authority: KnownAuthority, name: str) -> OwnCrl:
    try:
        checked = _checked(read_one(data, name), authority, name)
    except VerificationFailed as error:
        return OwnCrl(None, None, error.message)
    return OwnCrl(checked.number, checked.view.this_update)
