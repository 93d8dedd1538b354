"""Claims: who is about to create an authority, and out of which inputs (one object per generation in the trust bucket).

The service remembers an idempotency token for five minutes only, and two people may hold different files. What this module decides:

- a claim is taken with If-None-Match before a CA is created; its holder creates within a minute, or takes it again;
- a claim of the same inputs is joined: the same token makes both runs' call one call;
- a claim of other inputs stops the second run and names the first one's caller;
- one that has no CA to show for it and is older than ten minutes by the store's own clock is dead, and replaced with If-Match.

Whether a CA exists is told by the caller; creating it is left to ``apply.py``. What is read here is hostile: it is bounded, and shown escaped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from pkiops.ca.desired import DesiredAuthority
from pkiops.clock import Clock
from pkiops.errors import AlreadyExists, GuardRefused, InProgress
from pkiops.stores.interface import IF_ABSENT, Condition, Store, StoredObject

# a claim is good for so long after it was written ...
HELD_S = 60.0
# ... and nobody joins one that is about to run out
_JOINED_S = 30.0
# older than this without a CA, its holder is dead: no creating call of ours takes so long
DEAD_S = 600.0
# the service's tokens live for five minutes; a claim that young still makes one call of two
_ONE_CALL_S = 240.0
_MAX_BYTES = 4096
_MAX_TEXT = 512
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Claim:
    """``digest`` of the inputs, the ARN of the ``caller``, the ``run`` that wrote it, and the CA it led to, once there is one."""

    digest: str
    caller: str
    run: str
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A claim that allows one creating call until ``until``; ``made`` is the CA that the same inputs led to already, if they did."""

    key: str
    claim: Claim
    version: str
    until: datetime
    made: str | None = None


def inputs_digest(home: Mapping[str, str], wanted: DesiredAuthority) -> str:
    """SHA-256 (hex) of everything the file says about an authority and of where it is to be made."""
    canonical = json.dumps([dict(home), asdict(wanted)], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def claim_key(environment: str, label: str, generation: int) -> str:
    """The key of a claim in the trust bucket."""
    return f"{environment}/claims/{label}/{generation}.json"


class Claims:
    """The claims of one environment, taken in the name of one run.

    Args:
        store: the trust bucket.
        environment: the environment's name.
        caller: the ARN of whoever runs this, shown to those who come second.
        run: tells this run from others of the same caller.
        clock: measures how long a claim is held.
        exists: whether a CA of that reference exists and is not deleted.
    """

    def __init__(
        self,
        store: Store,
        environment: str,
        *,
        caller: str,
        run: str,
        clock: Clock,
        exists: Callable[[str], bool],
    ) -> None:
        self._store = store
        self._environment = environment
        self._caller = caller
        self._run = run
        self._clock = clock
        self._exists = exists

    def take(self, wanted: DesiredAuthority, digest: str) -> Hold:
        """Claim the making of one authority.

        Raises:
            GuardRefused: somebody else holds it with other inputs, or made it (code ``ca.claimed``).
            InProgress: too many runs fight for it.
            BackendError: the store cannot be read or written.
        """
        key = claim_key(self._environment, wanted.label, wanted.generation)
        mine = Claim(digest, self._caller, self._run)
        condition, made = IF_ABSENT, None
        for _ in range(_ATTEMPTS):
            try:
                version = self._store.put(key, _encode(mine), condition=condition, content_type="application/json")
            except AlreadyExists:
                found = self._store.get(key, max_bytes=_MAX_BYTES)
            else:
                return Hold(key, mine, version, _after(self._clock, HELD_S), made)
            if found is None:
                condition, made = IF_ABSENT, None
                continue
            claim = _decode(found.data)
            made = self._made_by(claim)
            if claim is None or claim.digest != digest:
                self._refuse_young(wanted, claim, found, made)
            elif found.age_s < (_ONE_CALL_S if made else _JOINED_S):
                return Hold(key, claim, found.version, _after(self._clock, HELD_S - found.age_s), made)
            elif made:
                raise untagged(self._environment, wanted, claim, made)
            condition = Condition(version=found.version)
        raise InProgress(
            f"{self._environment}/ca/{wanted.label}: too many runs claim it at once",
            hint=f"run pkiops ca apply {self._environment} again",
            code="ca.claims",
        )

    def is_held(self, hold: Hold) -> bool:
        """Whether the claim still allows a creating call; else it must be taken again."""
        return hold.made is not None or self._clock.now() < hold.until

    def fulfil(self, hold: Hold, reference: str) -> None:
        """Write down which CA the claim led to; somebody of the same inputs may have done so already."""
        done = replace(hold.claim, reference=reference)
        version = hold.version
        for _ in range(_ATTEMPTS):
            try:
                self._store.put(
                    hold.key, _encode(done), condition=Condition(version=version), content_type="application/json"
                )
            except AlreadyExists:
                found = self._store.get(hold.key, max_bytes=_MAX_BYTES)
                claim = _decode(found.data) if found else None
                if found is None or claim is None or claim.digest != hold.claim.digest or claim.reference:
                    return
                version = found.version
            else:
                return

    def holder(self, label: str, generation: int) -> Claim | None:
        """Who claimed the making of an authority last; None when nobody did, or in a way that cannot be read."""
        found = self._store.get(claim_key(self._environment, label, generation), max_bytes=_MAX_BYTES)
        return _decode(found.data) if found else None

    def _made_by(self, claim: Claim | None) -> str | None:
        reference = claim.reference if claim else None
        return reference if reference and self._exists(reference) else None

    def _refuse_young(
        self, wanted: DesiredAuthority, claim: Claim | None, found: StoredObject, made: str | None
    ) -> None:
        """Stop unless the claim of other inputs is dead."""
        if made is None and found.age_s > DEAD_S:
            return
        who = shown_caller(claim)
        what = f"made {made}" if made else f"claimed it {found.age_s:.0f} s ago"
        when = "" if made else f", or wait {max(1, round((DEAD_S - found.age_s) / 60))} min if that run is dead"
        raise GuardRefused(
            f"{self._environment}/ca/{wanted.label} generation {wanted.generation}: {who} {what} from another environment file",
            hint=f"agree on one file, then run pkiops ca plan {self._environment}{when}",
            code="ca.claimed",
            details={"caller": claim.caller if claim else None, "age_s": found.age_s, "reference": made},
        )


def shown_caller(claim: Claim | None) -> str:
    """The claim's caller as text for people."""
    return ascii(claim.caller)[1:-1] if claim else "somebody"


def untagged(environment: str, wanted: DesiredAuthority, claim: Claim, made: str) -> GuardRefused:
    """The refusal to make an authority again whose CA exists, but was taken its tags."""
    return GuardRefused(
        f"{environment}/ca/{wanted.label} generation {wanted.generation}: {shown_caller(claim)} made {made}, "
        "which does not carry the tags of that authority any more",
        hint=f"find out who removed them; pkiops ca adopt {environment} {wanted.label} {made} sets them again",
        code="ca.untagged",
        details={"caller": claim.caller, "reference": made},
    )


def _after(clock: Clock, seconds: float) -> datetime:
    return clock.now() + timedelta(seconds=seconds)


def _encode(claim: Claim) -> bytes:
    return json.dumps({"format_version": 1, "kind": "authority-claim", **asdict(claim)}, indent=2).encode() + b"\n"


def _decode(data: bytes) -> Claim | None:
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    digest, caller, run, reference = (body.get(name) for name in ("digest", "caller", "run", "reference"))
    if not all(isinstance(text, str) and len(text) <= _MAX_TEXT for text in (digest, caller, run)):
        return None
    if reference is not None and not (isinstance(reference, str) and len(reference) <= _MAX_TEXT):
        return None
    return Claim(digest, caller, run, reference)  # type: ignore[arg-type]
