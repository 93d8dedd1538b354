"""Deleting a CA: what hangs below it is counted by its final audit report, everything it has issued is kept in an archive, only then it goes.

What this module decides: that a report counts only if it was made after the CA was disabled, so that it is complete; what the archive holds, and that
each certificate and CRL in it verifies under the CA's key; how fast certificates are fetched; and that the CA is looked at once more right before.
What is accepted and said is ``end_of_life.py``, the form of the archive ``archive.py``.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509

from pkiops.backends.auditing import AuditedCertificate, AuditsIssuance, PublishesCrlsInParts
from pkiops.backends.interface import AuthorityStatus, ObservedAuthority, PublishesOwnCrls
from pkiops.ca.archive import Archive
from pkiops.ca.drift import subject_text
from pkiops.ca.end_of_life import WAS_IN_USE, Issued, delete_plan, refuse_in_use
from pkiops.ca.retirement import Estate, RetiringBackend
from pkiops.ca.target import Target, Wish, find_target
from pkiops.clock import Clock
from pkiops.errors import GuardRefused, InputError, VerificationFailed
from pkiops.plan import Action, Plan
from pkiops.progress import Counted, Progress
from pkiops.x509.certificate import load_certificate, pem
from pkiops.x509.crl import load_crls
from pkiops.x509.signatures import certificate_signed_by, crl_signed_by

REPORT = "audit-report.json"
# GetCertificate takes 75 calls a second from everybody in the account and region (AWS Private CA quotas)
_FETCHES_PER_SECOND = 50.0
_FETCHERS = 8
_BATCH = 64
_EXAMPLES = 5
_PART_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,199}")


class DeletingBackend(RetiringBackend, AuditsIssuance, PublishesOwnCrls, PublishesCrlsInParts, Protocol):
    """What deleting needs of a backend."""

    def fetch_certificate(self, authority: str, certificate: str) -> tuple[bytes, ...]:
        """A certificate and those above it, DER."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was found and shown before anybody was asked."""

    target: Target
    issued: Issued
    plan: Plan


@dataclass(frozen=True, slots=True)
class Deletion:
    """Deleting one CA.

    Args:
        estate: what all these verbs share.
        backend: the certificate authorities, with what they have issued.
        wish: which CA.
        days: how long it can be restored, 7 to 30.
        folder: where the archive goes; None for the default name in the working directory.
        allow_live: whether live certificates below it are accepted.
    """

    estate: Estate
    backend: DeletingBackend
    wish: Wish
    days: int = 30
    folder: Path | None = None
    allow_live: bool = False

    def look(self) -> Look:
        """What would be done. Of a CA that was in use the final audit report is taken for that.

        Raises:
            NotFound: there is no such CA.
            GuardRefused: it is ACTIVE, has live certificates below it, or the archive's folder is something else.
            InProgress: the service makes no report now.
        """
        target = self._target()
        refuse_in_use(target)
        used = target.authority.status in WAS_IN_USE
        if used:
            self._archive(target).check()
        issued = self._issued(target) if used else Issued(report=None)
        plan = delete_plan(
            target,
            issued,
            self.backend,
            days=self.days,
            archive=str(self.folder_of(target)) if used else None,
            allow_live=self.allow_live,
            now=self.estate.clock.now(),
        )
        return Look(target, issued, self.estate.placed(plan))

    def folder_of(self, target: Target) -> Path:
        """The archive's folder."""
        return self.folder or Path(f"{target.environment}-{target.label}-g{target.generation}-archive")

    def apply(self, shown: Look, *, progress: Progress) -> tuple[Action, ...]:
        """Archive, then delete; again, it changes nothing.

        Raises:
            GuardRefused: what exists has changed since (code ``plan.moved``).
            VerificationFailed: something that the CA is said to have issued is not signed by it; nothing was deleted.
            BackendError: the service refused.
        """
        reference = shown.target.authority.reference
        current = self._target()
        if current.authority.reference == reference and current.authority.status is AuthorityStatus.DELETED:
            self.estate.index.publish_if_applied()
            return ()
        self._require_unchanged(shown.target, current.authority)

        def delete(action: Action) -> bool:
            del action
            if shown.target.authority.status in WAS_IN_USE:
                self._keep(shown, progress)
                # archiving may have taken hours: its tags too
                self._require_unchanged(shown.target, self._target().authority)
            self.backend.delete_authority(reference, days=self.days)
            return True

        resume = f"pkiops ca delete {shown.target.words}"
        return self.estate.run(shown.plan, shown.plan, delete, progress=progress, resume=resume)

    def _target(self) -> Target:
        return find_target(self.estate.observe(self.wish), self.estate.desired, self.wish)

    def _archive(self, target: Target) -> Archive:
        whose = {
            "environment": target.environment,
            "authority": target.label,
            "generation": target.generation,
            "reference": target.authority.reference,
        }
        return Archive(self.folder_of(target), whose)

    def _issued(self, target: Target) -> Issued:
        one, bucket = target.authority, self.estate.environment.publication.crl.bucket
        if one.status is AuthorityStatus.EXPIRED:
            report = self.backend.newest_audit_report(one.reference, bucket)
        else:
            report = self.backend.audit_report(one.reference, bucket, since=one.changed_at or one.created_at)
        if report is None:
            return Issued(report=None)
        rows = self.backend.audited_certificates(self.backend.read_audit_report(report), one.reference)
        counted = count_issued(rows, self.estate.clock.now())
        return Issued(report=report, **counted)

    def _keep(self, shown: Look, progress: Progress) -> None:
        """Write the archive."""
        target, report = shown.target, shown.issued.report
        archive = self._archive(target)
        archive.begin()
        chain = self.backend.authority_chain(target.authority.reference)
        own = load_certificate(chain[0], target.authority.reference)
        archive.write("authority.pem", (pem(own),))
        archive.write("chain.pem", (pem(load_certificate(der, target.authority.reference)) for der in chain[1:]))
        crls = self._keep_crls(archive, target.authority, own)
        if report is not None:
            archive.write(REPORT, self.backend.read_audit_report(report))
            rows = self.backend.audited_certificates(archive.pieces(REPORT), target.authority.reference)
            _Fetching(archive, self.backend, own, self.estate.clock).keep(rows, shown.issued.certificates, progress)
        archive.finish(_facts(shown, crls, self.estate.clock.now()))

    def _keep_crls(self, archive: Archive, authority: ObservedAuthority, own: x509.Certificate) -> list[str]:
        if authority.crl is None:
            return []
        if authority.crl.complete:
            data = self.backend.fetch_crl(authority)
            if data is None:
                return []
            if not _is_crl_of(data, own, authority.reference):
                raise VerificationFailed(
                    f"the CRL of {authority.reference} in s3://{authority.crl.bucket} is not signed by it",
                    hint="find out who else writes into the bucket; nothing was deleted",
                    code="crl.foreign",
                )
            archive.write("crl/authority.crl", (data,))
            return ["crl/authority.crl"]
        kept = []
        for name, data in self.backend.fetch_crl_parts(authority):
            # other CAs may share the folder
            if _PART_NAME.fullmatch(name) and _is_crl_of(data, own, name):
                archive.write(f"crl/{name}", (data,))
                kept.append(f"crl/{name}")
        return kept

    def _require_unchanged(self, before: Target, now: ObservedAuthority) -> None:
        one = before.authority
        if (one.reference, one.status, one.changed_at) != (now.reference, now.status, now.changed_at):
            raise GuardRefused(
                f"nothing was deleted: {before.address} ({one.reference}) was {_state(one)}, and now {now.reference} is {_state(now)}",
                hint=f"somebody else works on it; look at it again: pkiops ca show {before.environment}",
                code="plan.moved",
            )


def _state(one: ObservedAuthority) -> str:
    return f"{one.status.value} since {one.changed_at:%Y-%m-%d %H:%M:%S}Z" if one.changed_at else one.status.value


def count_issued(rows: Iterable[AuditedCertificate], now: datetime) -> dict[str, Any]:
    """The fields of ``Issued`` by the rows of a report: own certificates are listed but hang below nothing."""
    certificates = live = authorities = 0
    last: datetime | None = None
    examples: list[str] = []
    for row in rows:
        certificates += 1
        if row.own or row.revoked_at is not None or row.not_after <= now:
            continue
        live += 1
        authorities += row.is_authority
        last = row.not_after if last is None else max(last, row.not_after)
        if len(examples) < _EXAMPLES:
            kind = "CA " if row.is_authority else ""
            examples.append(f"{kind}{row.subject[:200]} (serial {row.serial}, until {row.not_after:%Y-%m-%d})")
    return {
        "certificates": certificates,
        "live": live,
        "live_authorities": authorities,
        "last": last,
        "examples": tuple(examples),
    }


class _Fetching:
    """Fetches certificates into an archive, several at once but no faster than the service likes."""

    def __init__(self, archive: Archive, backend: DeletingBackend, own: x509.Certificate, clock: Clock) -> None:
        self._archive, self._backend, self._own, self._clock = archive, backend, own, clock
        self._lock = threading.Lock()
        self._next = 0.0

    def keep(self, rows: Iterator[AuditedCertificate], count: int, progress: Progress) -> None:
        """Write every certificate that is not there already."""
        counted = Counted(progress, self._clock, "archiving certificates", count)

        def keep_one(row: AuditedCertificate) -> None:
            self._keep(row)
            counted.one_done()

        with ThreadPoolExecutor(max_workers=_FETCHERS) as pool:
            while batch := tuple(islice(rows, _BATCH)):
                # all of a batch are waited for: none is left running when one fails
                for _ in pool.map(keep_one, batch):
                    pass

    def _keep(self, row: AuditedCertificate) -> None:
        name = f"certificates/{row.serial}.pem"
        kept = self._archive.read(name)
        if kept is None or not self._is_it(kept, row):
            self._wait_for_turn()
            authority = row.reference.partition("/certificate/")[0]
            certificate = load_certificate(self._backend.fetch_certificate(authority, row.reference)[0], row.reference)
            if f"{certificate.serial_number:x}" != row.serial or not certificate_signed_by(certificate, self._own):
                raise VerificationFailed(
                    f"{row.reference}: what the service returned is not the certificate that the report lists, or not signed by the CA",
                    hint="nothing was deleted; ask AWS support",
                    code="ca.foreign-certificate",
                )
            self._archive.write(name, (pem(certificate),))

    def _is_it(self, kept: bytes, row: AuditedCertificate) -> bool:
        try:
            certificate = load_certificate(kept, row.serial)
        except InputError:
            return False
        return f"{certificate.serial_number:x}" == row.serial and certificate_signed_by(certificate, self._own)

    def _wait_for_turn(self) -> None:
        with self._lock:
            now = self._clock.monotonic()
            turn = max(now, self._next)
            self._next = turn + 1 / _FETCHES_PER_SECOND
        if turn > now:
            self._clock.sleep(turn - now)


def _is_crl_of(data: bytes, own: x509.Certificate, source: str) -> bool:
    try:
        crl = load_crls(data, source)[0]
    except InputError:
        return False
    return crl.issuer == own.subject and crl_signed_by(crl, own)


def _facts(shown: Look, crls: list[str], now: datetime) -> Mapping[str, Any]:
    one, issued = shown.target.authority, shown.issued
    return {
        "archived_at": _iso(now),
        "subject": subject_text(one),
        "type": one.type.value,
        "status": one.status.value,
        "key_algorithm": one.key_algorithm,
        "usage_mode": one.usage_mode,
        "created_at": _iso(one.created_at),
        "not_after": _iso(one.not_after) if one.not_after else None,
        "audit_report": {"where": issued.report.where, "created_at": _iso(issued.report.created_at)}
        if issued.report
        else None,
        "certificates": issued.certificates,
        "live_certificates": issued.live,
        "crls": crls,
    }


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
