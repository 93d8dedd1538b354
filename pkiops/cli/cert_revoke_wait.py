"""``pkiops cert revoke --wait``: until the CRLs of the CAs list what was revoked; what is said meanwhile, and afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Protocol, cast

from pkiops.cli.cert import duration_of
from pkiops.cli.options import option
from pkiops.cli.output import StderrProgress, note
from pkiops.errors import NotSupported, PartialApply, PkiopsError

if TYPE_CHECKING:
    from pkiops.cert.revoke import Revocation, RevocationPlan
    from pkiops.crl.authorities import KnownAuthority
    from pkiops.crl.await_listed import Listing
    from pkiops.crl.fetch import CrlBackend
    from pkiops.factory import Factory

_MOST_TOLD = 100

WaitOption = Annotated[bool, option("--wait", help="Wait until the CA's CRL lists them.")]
WaitTimeoutOption = Annotated[
    str, option("--wait-timeout", metavar="DURATION", help="With --wait: how long. AWS writes a CRL within 30 minutes.")
]
WAIT_TIMEOUT = "45m"


class Waiting(Protocol):
    """Waits for what was revoked; says how that ended when everything else is said."""

    def check(self, plans: Sequence[RevocationPlan]) -> None:
        """Ask whether there will be CRLs to wait for, before anything is revoked."""

    def wait(self, plans: Sequence[RevocationPlan]) -> None:
        """Wait; failures are kept for ``end``."""

    def json(self) -> dict[str, Any]:
        """What belongs into the JSON result; nothing unless somebody waited."""

    def end(self) -> None:
        """Say how it ended.

        Raises:
            PartialApply: code ``cert.revoke-not-listed``, the time is over.
            PkiopsError: what the wait failed by.
        """


def waiting_of(factory: Factory, use_case: Revocation, timeout: str, *, wait: bool) -> Waiting:
    """Who waits; with ``wait`` false, nobody does.

    Raises:
        InputError: the timeout is no duration.
    """
    if not wait:
        return _NoWait()
    duration = duration_of(timeout, "--wait-timeout")
    return _Wait(factory, use_case, timedelta(seconds=duration.approximate_seconds()), timeout)


class _NoWait:
    def check(self, plans: Sequence[RevocationPlan]) -> None:
        del plans

    def wait(self, plans: Sequence[RevocationPlan]) -> None:
        del plans

    def json(self) -> dict[str, Any]:
        return {}

    def end(self) -> None:
        return


@dataclass
class _Wait:
    factory: Factory
    use_case: Revocation
    timeout: timedelta
    text: str
    listing: Listing | None = None
    failure: PkiopsError | None = None

    def check(self, plans: Sequence[RevocationPlan]) -> None:
        from pkiops.crl.await_listed import require_crls

        self._backend()
        require_crls(self._name, self._authorities(plans))

    def wait(self, plans: Sequence[RevocationPlan]) -> None:
        from pkiops.crl.await_listed import Awaited, await_listed

        if not plans:
            return
        wanted = [Awaited(one.authority_reference, int(one.serial, 16), one.not_after) for one in plans]
        try:
            self.listing = await_listed(
                self._name,
                wanted,
                self._authorities(plans),
                self._backend(),
                self.factory.clock,
                timeout=self.timeout,
                progress=StderrProgress(shown=True),
            )
        except PkiopsError as error:
            self.failure = error

    def json(self) -> dict[str, Any]:
        found, problem = self.listing, self.failure
        if found is not None:
            problem = found.problem
        return {
            "wait": {
                "listed": found.listed if found else None,
                "expired": found.expired if found else None,
                "missing": [f"{one.serial:x}" for one in found.missing] if found else None,
                "seconds": round(found.seconds, 1) if found else None,
                "problem": None if problem is None else {"code": problem.code, "message": problem.message},
            }
        }

    def end(self) -> None:
        publish = f"pkiops crl publish {self._name}"
        if self.failure is not None:
            error = self.failure
            note("revoked they are; only waiting for the CRL failed")
            raise error
        if self.listing is None:
            return
        found = self.listing
        if not found.missing:
            expired = f"; {found.expired:,} expired, which CRLs leave out" if found.expired else ""
            note(f"the CA's CRL lists them ({found.listed:,}{expired}); next: {publish}")
            return
        total = found.listed + len(found.missing)
        why = f": {found.problem.message}" if found.problem else ""
        raise PartialApply(
            f"{len(found.missing):,} of {total:,} revoked certificates are not on the CA's CRL after {self.text}{why}",
            hint="AWS writes a new CRL about 5 to 30 minutes after a revocation: the same command again waits on; "
            f"next, once they are listed: {publish}",
            code="cert.revoke-not-listed",
            details={"missing": [f"{one.serial:x}" for one in found.missing[:_MOST_TOLD]], "of": total},
        )

    @property
    def _name(self) -> str:
        return self.factory.environment.environment

    def _authorities(self, plans: Sequence[RevocationPlan]) -> list[KnownAuthority]:
        from pkiops.backends.interface import ReadsAuthorities
        from pkiops.crl.indexed import as_it_is

        asked = {one.authority_reference for one in plans}
        found = [one for one in self.use_case.authorities if one.observed.reference in asked]
        reader = self.use_case.backend
        if not isinstance(reader, ReadsAuthorities):
            return found
        return [as_it_is(self.factory.environment, reader, one) for one in found]

    def _backend(self) -> CrlBackend:
        from pkiops.backends.interface import PublishesOwnCrls

        backend = self.use_case.backend
        if not isinstance(backend, PublishesOwnCrls):
            raise NotSupported(
                f"the CAs of {self._name} write no CRLs themselves, so there is none to wait for",
                hint="revoke without --wait",
                code="crl.not-written",
            )
        return cast("CrlBackend", backend)
