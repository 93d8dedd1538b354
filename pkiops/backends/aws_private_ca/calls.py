"""What every call to acm-pca shares: the client, waiting, and PEM to DER.

Waiting is our own: botocore's waiters use the global sleep, and give up on the first throttle or on an answer that is late by a second.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Self, TypeVar

from pkiops.aws import AwsClients
from pkiops.clock import Clock
from pkiops.errors import BackendError, InProgress, NotFound, Throttled, Unreachable
from pkiops.x509 import pem

if TYPE_CHECKING:
    from mypy_boto3_acm_pca import ACMPCAClient

_T = TypeVar("_T")

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_PATIENCE_S = 90.0
# what was created a moment ago may be unknown to the next call for a while
_SETTLING_S = 30.0


class Calls:
    """Base of the groups of calls; holds no idea of any of them.

    Args:
        clients: the clients of the account and region.
        clock: waits and gives up by it.
        publication: those of the account and region in which the CRL bucket is, if that is another.
    """

    def __init__(self, clients: AwsClients, clock: Clock, publication: AwsClients | None = None) -> None:
        self._clients = clients
        self._clock = clock
        self._publication = publication or clients
        self._is_patient = True

    def single_calls(self) -> Self:
        """The same, but certificates are asked for and fetched with one call each, at once (MakesSingleCalls)."""
        other = copy.copy(self)
        other._is_patient = False
        return other

    def _issuing(self) -> ACMPCAClient:
        return self._clients.private_ca() if self._is_patient else self._clients.private_ca_unpaced()

    def _wait_for(self, ask: Callable[[], _T | None], what: str) -> _T:
        """Ask until there is an answer; None, InProgress and Throttled mean not yet, NotFound does while things settle.

        Raises:
            InProgress: patience ran out.
        """
        started = self._clock.monotonic()
        pause = _FIRST_PAUSE_S
        last: BackendError | None = None
        while True:
            try:
                answer = ask()
                if answer is not None:
                    return answer
            except (InProgress, Throttled, Unreachable) as error:
                last = error
            except NotFound as error:
                if self._clock.monotonic() - started > _SETTLING_S:
                    raise
                last = error
            if self._clock.monotonic() - started + pause > _PATIENCE_S:
                raise InProgress(
                    f"{what}: not ready after {_PATIENCE_S:.0f} s" + (f" ({last.message})" if last else ""),
                    hint="run the same command again: it continues",
                ) from last
            self._clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _when_free(self, change: Callable[[], object]) -> None:
        """Make a change, and again while an earlier one of the same CA is still under way (ConcurrentModificationException).

        Raises:
            InProgress: patience ran out, and the change was not made; or the service says that this very change is being made.
        """
        started = self._clock.monotonic()
        pause = _FIRST_PAUSE_S
        while True:
            try:
                change()
            except InProgress as error:
                waited = self._clock.monotonic() - started
                if not is_another_change(error) or waited + pause > _PATIENCE_S:
                    raise
            else:
                return
            self._clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)


def is_another_change(error: InProgress) -> bool:
    """Whether the call was refused because of another change under way: then what it asked for is not being done."""
    return error.details.get("aws_error") == "ConcurrentModificationException"


def certificates_from_api(certificate: str, chain: str | None, what: str) -> tuple[bytes, ...]:
    """The service's certificate and chain (PEM, without final newlines) as DER, root last.

    Raises:
        BackendError: the service's answer holds no certificate.
    """
    try:
        found = pem.decode(certificate, pem.CERTIFICATE) + pem.decode(chain or "", pem.CERTIFICATE)
    except ValueError as error:
        raise BackendError(f"{what}: the service's answer is not PEM: {error}", code="backend.answer") from error
    if not found:
        raise BackendError(f"{what}: the service's answer holds no certificate", code="backend.answer")
    return found
