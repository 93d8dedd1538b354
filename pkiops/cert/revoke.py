"""Revoke a certificate, given as a file or by its serial.

What this module decides: which CA of the environment is asked, from the certificate's own issuer and signature, the ledger, or the authority that was
named, and that the three never contradict each other; that CA certificates are not revoked here; and that a revocation is in the ledger. Which CAs
there are is read in the published index where that counts, else asked of the service, once. Asking for consent is left to the caller,
between ``plan`` and ``revoke``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from cryptography import x509

from pkiops.backends.interface import PublishesOwnCrls, ReadsAuthorities, RevocationReason, RevokesCertificates
from pkiops.clock import Clock
from pkiops.crl.authorities import Authorities, KnownAuthority, observe_authorities
from pkiops.crl.indexed import indexed_authorities
from pkiops.environment.models import Environment
from pkiops.errors import AccessDenied, BackendError, GuardRefused, InputError, InvalidState, NotFound, NotSupported
from pkiops.ledger.interface import Entry, Ledger, RevocationRecord
from pkiops.progress import NoProgress, Progress
from pkiops.stores.interface import Store
from pkiops.x509.certificate import serial_hex, view
from pkiops.x509.names import build_name, rfc4514
from pkiops.x509.signatures import certificate_signed_by


@dataclass(frozen=True, kw_only=True, slots=True)
class RevocationPlan:
    """What would be revoked, and by whom. ``serial`` is hex; ``subject`` is None for a serial that nobody here knows.

    ``profile`` and ``requester`` are what the ledger knows of it.
    """

    environment: str
    authority: str
    authority_reference: str
    crl_url: str | None
    serial: str
    reason: RevocationReason
    subject: str | None
    not_after: datetime | None
    known_revocation: RevocationRecord | None
    names: tuple[str, ...] = ()
    profile: str | None = None
    requester: str | None = None


@dataclass(frozen=True, slots=True)
class CertificateReference:
    """A certificate as the backend names it: the reference of its CA, and its serial number."""

    authority: str
    serial_number: int


Target = x509.Certificate | int | CertificateReference


@dataclass(frozen=True, kw_only=True, slots=True)
class Revoked:
    """What came of it; ``in_crl_after_seconds`` is how long until the CRL carries it, as the service states it."""

    plan: RevocationPlan
    already_revoked: bool
    in_crl_after_seconds: int

    @property
    def crl_url(self) -> str | None:
        """Where that CRL is."""
        return self.plan.crl_url


@dataclass(frozen=True, kw_only=True)
class Revocation:
    """The use case and its collaborators, which are those of ``Issuance``."""

    environment: Environment
    backend: object
    ledger: Ledger
    clock: Clock
    requester: Callable[[], str]
    store: Store | None = None
    credential: Callable[[], str] | None = None
    progress: Progress = field(default_factory=NoProgress)

    @property
    def authorities(self) -> tuple[KnownAuthority, ...]:
        """The CAs that could have issued something, looked for once.

        Raises:
            NotSupported: the backend has none to list.
            VerificationFailed: what names them cannot be trusted.
            BackendError: the bucket or the service failed.
        """
        return self._known[0]

    def plan(self, target: Target, *, reason: RevocationReason, authority: str | None = None) -> RevocationPlan:
        """Find the CA that issued the certificate (or serial), and say what would be revoked.

        Raises:
            NotFound: no CA of the environment is known to have issued it.
            GuardRefused: it is a CA certificate, or the CAs contradict each other.
            InvalidState: it has expired, so it cannot be revoked and need not be.
            NotSupported: the backend cannot revoke.
        """
        if not isinstance(self.backend, RevokesCertificates) or not isinstance(self.backend, ReadsAuthorities):
            raise NotSupported(
                f"the backend of environment {self.environment.environment} cannot revoke certificates",
                code="backend.cannot-revoke",
            )
        known, _ = self._known
        serial = serial_hex(target if isinstance(target, int) else target.serial_number)
        entries = self.ledger.find_by_serial(self.environment.environment, serial)
        issuer = self._issuer(known, target, entries, authority, serial)
        entry = next((one for one in entries if one.authority_reference == issuer.observed.reference), None)
        _refuse_authorities(known, issuer, target, serial)
        plan = RevocationPlan(
            environment=self.environment.environment,
            authority=issuer.label,
            authority_reference=issuer.observed.reference,
            crl_url=self._crl_url(issuer),
            serial=serial,
            reason=reason,
            subject=_subject(target, entry),
            not_after=_not_after(target, entry),
            known_revocation=entry.revocation if entry else None,
            names=_names(target, entry),
            profile=entry.profile if entry else None,
            requester=entry.requester if entry else None,
        )
        if plan.not_after is not None and plan.not_after <= self.clock.now():
            raise InvalidState(
                f"certificate {serial} of {plan.environment}/ca/{plan.authority} expired on {plan.not_after:%Y-%m-%dT%H:%M:%SZ}",
                hint="nobody accepts it any more; there is nothing to revoke",
                code="cert.expired",
            )
        return plan

    def revoke(self, plan: RevocationPlan) -> Revoked:
        """Revoke, and record it. One that is revoked already is a success.

        Raises:
            NotFound: the CA never issued that serial.
            BackendError: the CA refused or failed.
        """
        if not isinstance(self.backend, RevokesCertificates):
            raise NotSupported("the backend cannot revoke certificates", code="backend.cannot-revoke")
        try:
            outcome = self.backend.revoke_certificate(plan.authority_reference, plan.serial, plan.reason)
        except (AccessDenied, NotFound):
            # where the index was enough nobody asked who calls: a caller of another account is told that, and not which permission it lacks
            with contextlib.suppress(BackendError):
                self.requester()
            raise
        _, requester = self._known
        record = RevocationRecord(reason=plan.reason.value, at=self.clock.now(), requester=requester)
        self.ledger.record_revoked(plan.environment, plan.authority_reference, plan.serial, record)
        return Revoked(
            plan=plan,
            already_revoked=outcome.already_revoked,
            in_crl_after_seconds=_remaining(plan, outcome.visible_after_seconds, record.at),
        )

    @cached_property
    def _known(self) -> tuple[tuple[KnownAuthority, ...], str]:
        """The CAs that could have issued something, and who asks: by the index without a call but one read, else by asking the service."""
        found = indexed_authorities(self.environment, self.store, self.clock)
        if isinstance(found, Authorities):
            return found.known, (self.credential or self.requester)()
        self.progress.step(f"the index is of no use, the service is asked: {found.reason}")
        # the first call also sets the clock where that follows the server
        requester = self.requester()
        reader = self.backend
        if not isinstance(reader, ReadsAuthorities):
            raise NotSupported("the backend cannot list authorities", code="backend.cannot-revoke")
        return observe_authorities(self.environment, reader, self.clock.now()).known, requester

    def _crl_url(self, issuer: KnownAuthority) -> str | None:
        if not isinstance(self.backend, PublishesOwnCrls):
            return None
        return self.backend.crl_url(issuer.observed)

    def _issuer(
        self,
        known: tuple[KnownAuthority, ...],
        target: Target,
        entries: tuple[Entry, ...],
        authority: str | None,
        serial: str,
    ) -> KnownAuthority:
        if authority is not None and authority not in self.environment.authorities:
            raise InputError(
                f"environment {self.environment.environment} has no authority {authority!r}",
                hint=f"authorities of this environment: {', '.join(self.environment.authorities)}",
                code="cert.unknown-authority",
            )
        named = [one for one in known if authority in {None, one.label}]
        if isinstance(target, x509.Certificate):
            found = [one for one in named if certificate_signed_by(target, one.certificate)]
        elif isinstance(target, CertificateReference):
            found = [one for one in named if one.observed.reference == target.authority]
        else:
            recorded = {entry.authority_reference for entry in entries}
            found = [one for one in named if one.observed.reference in recorded] if recorded else []
            if not found and authority is not None:
                # nothing is known of that serial: believe whoever names the CA, which will know
                found = [one for one in named if one.generation == self.environment.authorities[authority].generation]
        if len(found) == 1:
            return found[0]
        raise self._no_issuer(found, target, authority, serial)

    def _no_issuer(
        self, found: list[KnownAuthority], target: Target, authority: str | None, serial: str
    ) -> NotFound | GuardRefused:
        where = (
            f"{self.environment.environment}/ca/{authority}"
            if authority
            else f"environment {self.environment.environment}"
        )
        if found:
            return GuardRefused(
                f"serial {serial} belongs to several CAs: {', '.join(one.name for one in found)}",
                hint="name the one that is meant with --authority, or give the certificate itself",
                code="cert.ambiguous",
            )
        if isinstance(target, x509.Certificate):
            return NotFound(
                f"{where} has no CA that issued certificate {serial}: its issuer is {rfc4514(target.issuer)}",
                hint=f"pkiops ca show {self.environment.environment} lists the CAs: one that is DELETED is restored first; "
                "else use the environment that issued it",
                code="cert.not-ours",
            )
        if isinstance(target, CertificateReference):
            return NotFound(
                f"{where} has no CA {target.authority} that issued certificate {serial}",
                hint=f"pkiops ca show {self.environment.environment} lists the CAs",
                code="cert.not-ours",
            )
        return NotFound(
            f"serial {serial} is not in the ledger of {where}",
            hint="give the certificate itself, or the CA that issued it with --authority; is this the folder of its ledger?",
            code="cert.unknown-serial",
        )


def _refuse_authorities(known: tuple[KnownAuthority, ...], issuer: KnownAuthority, target: Target, serial: str) -> None:
    """A revoked CA takes everything below it along; that is never the side effect of a serial."""
    below = [
        one.name
        for one in known
        if serial_hex(one.certificate.serial_number) == serial and one.certificate.issuer == issuer.certificate.subject
    ]
    is_ca = isinstance(target, x509.Certificate) and _is_ca(target)
    if below or is_ca:
        raise GuardRefused(
            f"{serial} is the certificate of a CA{f' ({below[0]})' if below else ''}: revoking it refuses everything below it",
            hint="cert revoke is for end entities; take a CA out of service with its environment file and the service's own tools",
            code="cert.is-a-ca",
        )


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _remaining(plan: RevocationPlan, seconds: int, now: datetime) -> int:
    """``seconds`` less those that have passed since it was revoked before."""
    passed = (now - plan.known_revocation.at).total_seconds() if plan.known_revocation else 0.0
    return max(0, seconds - int(passed))


def _subject(target: Target, entry: Entry | None) -> str | None:
    if isinstance(target, x509.Certificate):
        return rfc4514(target.subject)
    return rfc4514(build_name(dict(entry.subject))) if entry else None


def _not_after(target: Target, entry: Entry | None) -> datetime | None:
    if isinstance(target, x509.Certificate):
        return target.not_valid_after_utc
    return entry.not_after if entry else None


def _names(target: Target, entry: Entry | None) -> tuple[str, ...]:
    if isinstance(target, x509.Certificate):
        return tuple(str(san) for san in view(target).sans)
    return tuple(str(san) for san in entry.sans) if entry else ()
