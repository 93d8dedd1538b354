"""Publishing the CRLs of an environment: a folder that never changes, and a pointer that is moved to it.

What this module decides: the order of the steps, so that whoever reads sees a complete set whenever a publisher is
killed, and that the pointer never goes back.

1. Read the pointer and what it points to. 2. Only then fetch from the CAs: what is fetched is at least as new as what
was published before, unless a CA went back. 3. Refuse a set that is older anywhere. 4. Write the folder, the manifest
last, and read it back. 5. Write what is new into the history. 6. Move the pointer under the condition that it is still
the one of step 1 (RFC 9110 If-Match); who loses that race starts again at step 1. 7. Read the pointer back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509

from pkiops.clock import Clock
from pkiops.crl.authorities import KnownAuthority, SkippedAuthority, observe_authorities, require_whole_chains
from pkiops.crl.fetch import CrlBackend, fetch_set
from pkiops.crl.history import HistoryEntry, Previous, write_history
from pkiops.crl.manifest import FORMAT_VERSION, CrlRecord, CrlSet, canonical_json
from pkiops.crl.outside import outside_cas
from pkiops.crl.outside_crls import Published, with_outside
from pkiops.crl.parts import require_all_parts
from pkiops.crl.read import Pointer, file_key, pointer_key, read_pointer, read_records
from pkiops.crl.silent import REASON, issuers_in, may_be_silent
from pkiops.crl.succession import PublishedRecord, compare, refuse_removal
from pkiops.environment.models import Environment
from pkiops.errors import AlreadyExists, InProgress, NotFound, VerificationFailed
from pkiops.ledger.interface import Entry
from pkiops.progress import NoProgress, Progress
from pkiops.stores.interface import ALWAYS, IF_ABSENT, Condition, Store

# Each try is lost only to somebody else's success, so a handful is plenty.
MAX_TRIES = 5
_FOR_EVER = "public, max-age=31536000, immutable"
_NEVER = "no-cache"


@dataclass(frozen=True, slots=True)
class PublishOutcome:
    """What publishing led to.

    ``moved`` is whether the pointer moved, ``repaired`` how many files of the folder had to be written again, ``unrecorded`` of which CAs
    (``clients-g1``) the caller may write no history, ``authorities`` the CAs that were found.
    """

    environment: str
    moved: bool
    repaired: int
    manifest_sha256: str
    previous_sha256: str | None
    records: tuple[PublishedRecord, ...]
    skipped: tuple[SkippedAuthority, ...]
    unrecorded: tuple[str, ...] = ()
    authorities: tuple[KnownAuthority, ...] = ()


def publish_crls(
    environment: Environment,
    backend: CrlBackend,
    store: Store,
    clock: Clock,
    *,
    allow_removal: bool = False,
    external: Sequence[x509.CertificateRevocationList] = (),
    entries: Callable[[], Iterable[Entry]] | None = None,
    progress: Progress | None = None,
) -> PublishOutcome:
    """Publish the current CRL of every CA of the environment as one set.

    Once a set is published, a CA that has issued nothing yet, and so has no CRL, does not hold up the others.

    Args:
        environment: the environment.
        backend: where its CAs are.
        store: the trust bucket.
        clock: the moment at which CRLs must be current.
        allow_removal: accept that the CRL of a CA which no longer counts leaves the set.
        external: CRLs of CAs that are kept elsewhere; without one, the published one stays while it is current.
        entries: every entry of the ledger; None where there is no ledger.
        progress: is told of each step.

    Raises:
        VerificationFailed: a CRL is missing, expired, forged, or older than the published one; or what was written does not read back.
        GuardRefused: a CRL would leave the set.
        NotFound: the environment has no CA with a valid certificate.
        InProgress: other publishers were faster, again and again.
        BackendError: the backend or the store failed.
    """
    watch = progress or NoProgress()
    for _ in range(MAX_TRIES):
        outcome = _try(
            environment,
            backend,
            store,
            clock.now(),
            allow_removal=allow_removal,
            external=external,
            entries=entries,
            progress=watch,
        )
        if outcome is not None:
            return outcome
        watch.step("somebody else has just published: look again")
    raise InProgress(
        f"the CRLs of {environment.environment} are being published by others: lost {MAX_TRIES} races for {store.describe()}",
        hint="run it again",
        code="crl.race",
    )


def _try(
    environment: Environment,
    backend: CrlBackend,
    store: Store,
    at: datetime,
    *,
    allow_removal: bool,
    external: Sequence[x509.CertificateRevocationList],
    entries: Callable[[], Iterable[Entry]] | None,
    progress: Progress,
) -> PublishOutcome | None:
    """One attempt; None when somebody else moved the pointer meanwhile."""
    name = environment.environment
    pointer = read_pointer(store, name)
    before = {} if pointer is None else {r.name: r for r in read_records(store, name, pointer.manifest_sha256)}
    authorities = observe_authorities(environment, backend, at)
    if not authorities.known:
        raise NotFound(
            f"{name} has no CA with a valid certificate",
            hint=f"pkiops ca plan {name} says what it takes",
            code="crl.no-authority",
        )
    require_whole_chains(environment, authorities.known)

    def may_lack(one: KnownAuthority) -> bool:
        issuers = issuers_in(entries()) if entries else ()
        published = {record.ca for record in before.values()}
        return pointer is not None and may_be_silent(one, authorities.known, published=published, issuers=issuers)

    candidate, silent = fetch_set(name, authorities.known, backend, at=at, progress=progress, may_lack=may_lack)
    if entries is not None:
        require_all_parts(candidate, authorities.known, entries, at=at)
    published = Published(before, pointer.manifest_sha256 if pointer else None)
    outside = outside_cas(environment, authorities.known)
    candidate, without = with_outside(environment, candidate, outside, external, published, store, at=at)
    records = compare(name, candidate, before)
    if not allow_removal:
        # what is below an expired CA is refused with its CRL and without it
        refuse_removal(candidate, {n: one for n, one in before.items() if one.ca not in authorities.expired}, at)
    progress.step(f"write {file_key(name, candidate.digest(), '')}")
    written = _write_folder(store, candidate)
    moved = pointer is None or pointer.manifest_sha256 != candidate.digest()
    unrecorded = write_history(store, name, _history(candidate.digest(), records, before)) if moved else ()
    if moved and not _move(store, candidate, pointer, at):
        return None
    skipped = (*authorities.skipped, *(SkippedAuthority(one.name, REASON) for one in silent), *without)
    outcome = _outcome(candidate, pointer, records, skipped, moved=moved, written=written)
    return replace(outcome, unrecorded=unrecorded, authorities=authorities.known)


def _history(
    digest: str, records: Sequence[PublishedRecord], before: Mapping[str, CrlRecord]
) -> Iterable[HistoryEntry]:
    """What is new in the set; what stays the same was written down when it was new."""
    for one in records:
        old = before.get(one.record.name)
        if one.change == "new" or old is None:
            yield HistoryEntry(one.record, digest, None)
        elif one.change == "updated":
            yield HistoryEntry(one.record, digest, Previous(old.number, old.sha256))


def _outcome(
    candidate: CrlSet,
    pointer: Pointer | None,
    records: Sequence[PublishedRecord],
    skipped: tuple[SkippedAuthority, ...],
    *,
    moved: bool,
    written: int,
) -> PublishOutcome:
    return PublishOutcome(
        environment=candidate.environment,
        moved=moved,
        repaired=0 if moved else written,
        manifest_sha256=candidate.digest(),
        previous_sha256=pointer.manifest_sha256 if pointer else None,
        records=tuple(records),
        skipped=skipped,
    )


def _write_folder(store: Store, candidate: CrlSet) -> int:
    """Write what is not there yet, and put right what is damaged; return how many files were written.

    The folder's name is the digest of all it holds, so that writing the same again is always right.
    """
    written = 0
    for file in candidate.files():
        key = file_key(candidate.environment, candidate.digest(), file.name)
        there = _is_there(store, key, file.data)
        if there:
            continue
        # another publisher may write the same set at this moment; what is there is compared below
        with contextlib.suppress(AlreadyExists):
            condition = IF_ABSENT if there is None else ALWAYS
            store.put(key, file.data, condition=condition, content_type=file.content_type, cache_control=_FOR_EVER)
            written += 1
        if not _is_there(store, key, file.data):
            raise VerificationFailed(
                f"{key} in {store.describe()} does not read back as it was written",
                hint="run it again",
                code="crl.read-back",
            )
    return written


def _is_there(store: Store, key: str, data: bytes) -> bool | None:
    """Whether the store holds exactly ``data`` under ``key``; None if it holds nothing there."""
    try:
        found = store.get(key, max_bytes=len(data))
    except VerificationFailed:
        return False  # larger than what belongs there
    return None if found is None else found.data == data


def _move(store: Store, candidate: CrlSet, pointer: Pointer | None, at: datetime) -> bool:
    """Point to the new set, unless the pointer is no longer the one that was read."""
    key = pointer_key(candidate.environment)
    data = canonical_json(
        {
            "format_version": FORMAT_VERSION,
            "environment": candidate.environment,
            "manifest_sha256": candidate.digest(),
            "generated_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )
    condition = IF_ABSENT if pointer is None else Condition(version=pointer.version)
    try:
        version = store.put(key, data, condition=condition, content_type="application/json", cache_control=_NEVER)
    except AlreadyExists:
        return False
    after = read_pointer(store, candidate.environment)
    # another publisher may have moved on already, which is no failure of ours
    if after is None or (after.version == version and after.manifest_sha256 != candidate.digest()):
        raise VerificationFailed(
            f"{key} in {store.describe()} does not read back as it was written", code="crl.read-back"
        )
    return True
