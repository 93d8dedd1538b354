"""Waiting until the CRLs of the CAs list what was revoked.

What this module decides: that a certificate is listed when the CRL that its CA wrote, fetched and checked as for ``crl publish``, has its serial
number; which failures may pass while one waits (no CRL yet, one that runs out, a busy service) and which end it (a CRL that is not the CA's,
a missing right); how gently it asks; and that a certificate which expires meanwhile is not waited for, because it leaves the CRLs (RFC 5280
section 3.3).

AWS Private CA writes a CRL about 5 to 30 minutes after a revocation. Publishing it to relying parties is the business of ``publish``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pkiops.clock import Clock
from pkiops.crl.authorities import KnownAuthority
from pkiops.crl.fetch import CrlBackend, fetch_set
from pkiops.errors import BackendError, NotSupported, PkiopsError, VerificationFailed
from pkiops.progress import NoProgress, Progress
from pkiops.x509.revoked import RevokedSerials

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_TELL_EVERY_S = 120.0
# what the next CRL of the same CA mends
_PASSES = frozenset({"crl.missing", "crl.expired", "crl.expires-soon", "crl.parts-unscoped"})


@dataclass(frozen=True, slots=True)
class Awaited:
    """A revoked certificate: the reference of its CA, its serial number, and when it expires (aware UTC; None: not known here)."""

    authority: str
    serial: int
    not_after: datetime | None


@dataclass(frozen=True, slots=True)
class Listing:
    """What the CRLs list in the end; ``seconds`` is how long that was waited for, ``problem`` what stood in the way last.

    ``expired`` are those that were not waited for.
    """

    listed: int
    expired: int
    missing: tuple[Awaited, ...]
    seconds: float
    problem: PkiopsError | None = None


def require_crls(environment: str, authorities: Sequence[KnownAuthority]) -> None:
    """Check that the CAs write CRLs, before anything is revoked.

    Raises:
        NotSupported: one does not (code ``crl.not-written``).
    """
    without = [f"{environment}/ca/{one.name}" for one in authorities if one.observed.crl is None]
    if without:
        raise NotSupported(
            f"{', '.join(without)} writes no CRL, so there is none to wait for",
            hint="revoke without --wait, or give the authority a crl in the environment file and apply",
            code="crl.not-written",
        )


def await_listed(
    environment: str,
    wanted: Sequence[Awaited],
    authorities: Sequence[KnownAuthority],
    backend: CrlBackend,
    clock: Clock,
    *,
    timeout: timedelta,
    progress: Progress,
) -> Listing:
    """Ask for the CRLs until they list everything that is wanted, or the time is over.

    Args:
        environment: its name, for messages.
        wanted: the revoked certificates, each of one of ``authorities``.
        authorities: the CAs.
        backend: fetches their CRLs.
        clock: tells the time and waits.
        timeout: how long; the CRLs are asked for once at least, and once more at its end.
        progress: hears what is still missing.

    Raises:
        VerificationFailed: a CRL is not to be believed.
        AccessDenied: it may not be read.
        BackendError: the backend failed in another way that does not pass.
    """
    wait = _Wait(environment, backend, clock, {one.observed.reference: one for one in authorities}, list(wanted))
    began = clock.monotonic()
    pause, told_at, told = _FIRST_PAUSE_S, began, -1
    while True:
        wait.look()
        waited = clock.monotonic() - began
        missing = len(wait.missing)
        if not missing or waited >= timeout.total_seconds():
            break
        if missing != told or clock.monotonic() - told_at >= _TELL_EVERY_S:
            progress.step(_told(wait, len(wanted), waited))
            told, told_at = missing, clock.monotonic()
        clock.sleep(min(pause, timeout.total_seconds() - waited))
        pause = min(2 * pause, _LONGEST_PAUSE_S)
    listed = len(wanted) - missing - wait.expired
    return Listing(listed, wait.expired, tuple(wait.missing), clock.monotonic() - began, wait.problem)


def _told(wait: _Wait, total: int, waited: float) -> str:
    why = f" ({wait.problem.message})" if wait.problem is not None else ""
    return f"wait for the CRL: {len(wait.missing):,} of {total:,} not listed after {int(waited // 60)} min{why}"


@dataclass(slots=True)
class _Wait:
    """What is still missing. A CRL that was read already is not read again."""

    environment: str
    backend: CrlBackend
    clock: Clock
    authorities: dict[str, KnownAuthority]
    missing: list[Awaited]
    expired: int = 0
    problem: PkiopsError | None = None
    _read: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def look(self) -> None:
        """Drop what has expired, and what the CRLs list now."""
        living = [one for one in self.missing if one.not_after is None or one.not_after > self.clock.now()]
        self.expired += len(self.missing) - len(living)
        self.missing = living
        self.problem = None
        for reference in dict.fromkeys(one.authority for one in living):
            try:
                self._look_at(self.authorities[reference])
            except VerificationFailed as error:
                if error.code not in _PASSES:
                    raise
                self.problem = error
            except BackendError as error:
                if not error.retryable:
                    raise
                self.problem = error

    def _look_at(self, authority: KnownAuthority) -> None:
        found, _ = fetch_set(self.environment, (authority,), self.backend, at=self.clock.now(), progress=NoProgress())
        reference = authority.observed.reference
        versions = tuple(one.view.sha256 for one in found.crls)
        if self._read.get(reference) == versions:
            return
        for crl in found.crls:
            serials = RevokedSerials(crl.der)
            self.missing = [one for one in self.missing if one.authority != reference or one.serial not in serials]
        self._read[reference] = versions
