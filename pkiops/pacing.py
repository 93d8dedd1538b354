"""How fast AWS is asked, and how long a service that is merely busy is waited for.

What this module decides:

- operations whose rate is known are held to it before the service has to say so: one bucket per operation, shared by all threads of a process (the
  rates are those of the whole account, so others may be asking too). How large the service's own bursts are is not documented; a second's worth, or a
  handful, goes at once, so that an ordinary environment never waits;
- a throttle is no failure: the same request, with the same token, goes again after a pause, and its operation goes slower for a while. So does what
  got no answer, or a server error, a few times;
- patience ends: for reads and changes after ten minutes. CreateCertificateAuthority may not be sent again so late that the service has forgotten its
  token (five minutes) while another run holds the same claim (one minute) and both wait for a bucket policy to settle (one minute); nor any
  call with a token, once an answer to it was lost. IssueCertificate may begin when its token is four minutes old, and is over within another;
- a call with a patience of its own is not sent at all once that has ended, even if it never was: its turn, or its credentials, came too late.

Retries are ours and botocore's are off, because botocore gives up after a few seconds of throttling, draws all calls of a client from one store of
retries, takes a used-up quota (LimitExceededException) for a throttle, and sleeps by the machine's clock.

Rates: Service Quotas for AWS Private CA, defaults, per account and Region, as read in public dumps of 2026. A raised quota is not asked for: nothing
here is slower than it says.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.exceptions import HTTPClientError

from pkiops.clock import Clock, Randomness
from pkiops.errors import Throttled
from pkiops.progress import Progress

# calls per second
RATES: Mapping[str, Mapping[str, float]] = {
    "acm-pca": {
        "CreateCertificateAuthority": 1,
        "CreateCertificateAuthorityAuditReport": 1,
        "CreatePermission": 1,
        "DeleteCertificateAuthority": 10,
        "DeletePermission": 1,
        "DeletePolicy": 5,
        "DescribeCertificateAuthority": 20,
        "DescribeCertificateAuthorityAuditReport": 20,
        "GetCertificate": 75,
        "GetCertificateAuthorityCertificate": 20,
        "GetCertificateAuthorityCsr": 10,
        "GetPolicy": 5,
        "ImportCertificateAuthorityCertificate": 10,
        "IssueCertificate": 25,
        "ListCertificateAuthorities": 20,
        "ListPermissions": 5,
        "ListTags": 20,
        "PutPolicy": 5,
        "RestoreCertificateAuthority": 20,
        "RevokeCertificate": 20,
        "TagCertificateAuthority": 10,
        "UntagCertificateAuthority": 10,
        "UpdateCertificateAuthority": 10,
    }
}
PATIENCE_S = 600.0
# claims are held for 60 s, a bucket policy is waited for as long, and the service remembers a token for 300 s
CREATE_PATIENCE_S = 150.0
# asked for until its token is four minutes old (cert/reuse.py), and never sent after 4:50 (cert/resolve_rules.py), connecting included
ISSUE_PATIENCE_S = 40.0
_BRIEF = {"CreateCertificateAuthority": CREATE_PATIENCE_S, "IssueCertificate": ISSUE_PATIENCE_S}
_HANDFUL = 10.0
_SLOWER, _SLOWEST, _FASTER_PER_S = 0.85, 0.25, 0.02
_SLOWED_ONCE_S = 0.5
TRANSIENT_REPEATS = 5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 5.0
_FIRST_TRANSIENT_PAUSE_S = 0.05
_TELL_EVERY_S = 5.0

THROTTLES = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "ProvisionedThroughputExceededException",
        "TooManyRequestsException",
        "BandwidthLimitExceeded",
        "SlowDown",
    }
)
_TRANSIENT_CODES = frozenset({"RequestTimeout", "RequestTimeoutException", "PriorRequestNotComplete"})
_TRANSIENT_STATUSES = frozenset({500, 502, 503, 504})
_TOO_MANY_REQUESTS = 429
_BUSY_STATUSES = {"s3": 503}
_STATE = "pkiops_patience"


class Lane:
    """The bucket of one operation. Safe to share between threads.

    Args:
        rate: calls per second.
        clock: whose monotonic time fills the bucket.
    """

    def __init__(self, rate: float, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = max(rate, _HANDFUL)
        self._filled_at = clock.monotonic()
        self._share = 1.0
        self._slowed_at: float | None = None

    def take(self) -> float:
        """Take a place in the lane; the seconds until it is free."""
        with self._lock:
            self._fill()
            self._tokens -= 1
            return max(0.0, -self._tokens / (self._rate * self._share))

    def throttled(self) -> None:
        """The service says that even this is too fast, or others are asking too: nothing is left of the burst, and the lane is slower for a while."""
        with self._lock:
            self._fill()
            self._tokens = min(self._tokens, 0.0)
            now = self._clock.monotonic()
            # several threads hear of the same moment
            if self._slowed_at is None or now - self._slowed_at > _SLOWED_ONCE_S:
                self._share = max(_SLOWEST, self._share * _SLOWER)
                self._slowed_at = now

    def _fill(self) -> None:
        now = self._clock.monotonic()
        passed = now - self._filled_at
        self._tokens = min(max(self._rate, _HANDFUL), self._tokens + passed * self._rate * self._share)
        self._share = min(1.0, self._share + passed * _FASTER_PER_S)
        self._filled_at = now


class _Call:
    """One call on its way: when it began, and how often it was repeated."""

    __slots__ = ("began", "losses", "lost_at", "throttles")

    def __init__(self, began: float) -> None:
        self.began = began
        self.throttles = 0
        self.losses = 0
        self.lost_at: float | None = None


class Pacing:
    """Paces and repeats the calls of the clients it is attached to.

    Args:
        clock: waits by it.
        randomness: spreads the repeats of runs that were throttled at one moment.
        progress: is told what is being waited for.
    """

    def __init__(self, clock: Clock, randomness: Randomness, progress: Progress) -> None:
        self._clock = clock
        self._randomness = randomness
        self._progress = progress
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}
        self._lanes = {
            (service, operation): Lane(rate, clock)
            for service, rates in RATES.items()
            for operation, rate in rates.items()
        }

    def attach(
        self, client: Any, service: str, *, patience: float = PATIENCE_S, repeats: int = TRANSIENT_REPEATS
    ) -> None:
        """Pace a botocore client from now on; its own retries have to be off.

        Args:
            client: the client.
            service: its name in botocore.
            patience: seconds for which a call is repeated.
            repeats: how often one is that got no answer, or a server error.
        """
        name = client.meta.service_model.service_id.hyphenize()

        def before(operation_name: str, request: Any, **_: object) -> None:
            self._begin(service, operation_name, request.context)

        def after(
            operation: Any, response: Any, caught_exception: Any, request_dict: dict[str, Any], **_: object
        ) -> int | None:
            context = request_dict["context"]
            pause = self._pause(service, operation, response, caught_exception, context, repeats)
            if pause is None or self._clock.monotonic() + pause > _deadline(context[_STATE], operation, patience):
                return None
            if context[_STATE].throttles:
                self._say(operation.name, context[_STATE])
            self._clock.sleep(pause)
            return 0  # now

        def signed(operation_name: str, request: Any, **_: object) -> None:
            self._in_time(operation_name, request.context[_STATE])

        # first, so that a request is signed when it goes
        client.meta.events.register_first(f"request-created.{name}", before)
        client.meta.events.register_last(f"request-created.{name}", signed)
        client.meta.events.register_first(f"needs-retry.{name}", after)

    def _begin(self, service: str, operation: str, context: dict[str, Any]) -> None:
        context.setdefault(_STATE, _Call(self._clock.monotonic()))
        lane = self._lanes.get((service, operation))
        wait = lane.take() if lane else 0.0
        if wait > 0:
            self._clock.sleep(wait)

    def _in_time(self, operation: str, call: _Call) -> None:
        """Let a call go, unless its own patience ended while its turn or its credentials were waited for.

        Raises:
            Throttled: it is not sent.
        """
        if operation in _BRIEF and self._clock.monotonic() > call.began + _BRIEF[operation]:
            raise Throttled(
                f"{operation} was held back for more than {_BRIEF[operation]:.0f} s and not sent",
                hint="AWS is busy with other calls of the account; run the same command again: it continues",
            )

    def _pause(
        self, service: str, operation: Any, response: Any, problem: Any, context: dict[str, Any], repeats: int
    ) -> float | None:
        """The seconds to wait before a call is repeated; None where that would not help."""
        call: _Call = context[_STATE]
        if _is_throttle(service, response):
            call.throttles += 1
            lane = self._lanes.get((service, operation.name))
            if lane:
                lane.throttled()
            return self._spread(min(_FIRST_PAUSE_S * 2 ** min(call.throttles - 1, 10), _LONGEST_PAUSE_S))
        if not _is_transient(response, problem):
            return None
        call.losses += 1
        call.lost_at = call.lost_at or self._clock.monotonic()
        if call.losses > repeats:
            return None
        return self._spread(_FIRST_TRANSIENT_PAUSE_S * 2 ** (call.losses - 1))

    def _spread(self, pause: float) -> float:
        """Between half of a pause and all of it."""
        return pause * (0.5 + self._randomness.token_bytes(1)[0] / 510)

    def _say(self, operation: str, call: _Call) -> None:
        now = self._clock.monotonic()
        with self._lock:
            if now - self._told.get(operation, -_TELL_EVERY_S) < _TELL_EVERY_S:
                return
            self._told[operation] = now
        self._progress.step(f"AWS is throttling {operation}: waiting (for {now - call.began:.0f} s so far)")


def _deadline(call: _Call, operation: Any, patience: float) -> float:
    """The moment after which a call is not sent again."""
    end = call.began + _BRIEF.get(operation.name, patience)
    if call.lost_at is not None and _carries_token(operation):
        end = min(end, call.lost_at + CREATE_PATIENCE_S)
    return end


def _carries_token(operation: Any) -> bool:
    shape = operation.input_shape
    return shape is not None and "IdempotencyToken" in shape.members


def _is_throttle(service: str, response: Any) -> bool:
    if response is None:
        return False
    http, parsed = response
    # 503 is how S3 says "reduce your request rate", and the answer to a HEAD has no body to say it in
    busy = _BUSY_STATUSES.get(service, _TOO_MANY_REQUESTS)
    return http.status_code in {_TOO_MANY_REQUESTS, busy} or parsed.get("Error", {}).get("Code") in THROTTLES


def _is_transient(response: Any, problem: Any) -> bool:
    if response is None:
        return isinstance(problem, (BotoConnectionError, HTTPClientError))
    http, parsed = response
    return http.status_code in _TRANSIENT_STATUSES or parsed.get("Error", {}).get("Code") in _TRANSIENT_CODES
