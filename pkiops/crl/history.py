"""The numbered history: which CRLs of a CA were published, and where each of them still is.

``ENV/crl/history/AUTHORITY-gN/KEY-ID/NUMBER.json`` in the trust bucket: what the manifest says of that CRL, the folder that holds it (folders never
change), and which CRL it followed. One object for each CRL, written once (If-None-Match) and never changed: two publishers do not wait for each
other, and however long the history is, publishing costs one more write for each CRL that is new. Numbers are padded, so that keys are in their order.

What this module decides: an entry is written before the pointer moves. Killed in between, the history names a CRL that nobody points to yet, in a
folder that is complete; the next run publishes it, or a newer one. The other way round a killed publisher would leave a hole, and no later run could
tell it from one that somebody made. The history is a record, and no condition: that it cannot be written or says something else stops no CRL on its
way to relying parties, and is said by ``crl status``.

A KEY-ID of its own, because a CA that was deleted and made anew under the same name counts from the beginning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pkiops.crl.manifest import CrlRecord, canonical_json, decode_manifest, format_of, parse_json
from pkiops.errors import AccessDenied, AlreadyExists, VerificationFailed
from pkiops.stores.interface import IF_ABSENT, Store

MAX_ENTRY_BYTES = 16 * 1024
# 2**160, the greatest number (RFC 5280 section 5.2.3: 20 octets), has so many digits
_DIGITS = 49
_NUMBER = re.compile(rf"[0-9]{{{_DIGITS}}}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Previous:
    """The CRL that was published before another one."""

    number: int
    sha256: str


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One CRL of the history, the folder it is in (``ENV/crl/SHA256/``), and the one it followed; None for the first one.

    ``age_s`` is how many seconds ago one that was read had been written, by the store's own clock.
    """

    record: CrlRecord
    manifest_sha256: str
    previous: Previous | None
    age_s: float = 0.0

    def encode(self, environment: str) -> bytes:
        """The entry as it is stored."""
        previous = None if self.previous is None else {"number": self.previous.number, "sha256": self.previous.sha256}
        return canonical_json(
            {
                "format_version": format_of([self.record]),
                "environment": environment,
                "crls": [self.record.as_json()],
                "manifest_sha256": self.manifest_sha256,
                "previous": previous,
            }
        )


def history_folder(environment: str, record: CrlRecord) -> str:
    """Where the history of a CA's key is; ends in a slash."""
    return f"{environment}/crl/history/{record.name}/{record.aki}/"


def history_key(environment: str, record: CrlRecord, number: int) -> str:
    """Where the entry of a number is, of the CA whose CRL ``record`` is of."""
    return f"{history_folder(environment, record)}{number:0{_DIGITS}d}.json"


def write_history(store: Store, environment: str, entries: Iterable[HistoryEntry]) -> tuple[str, ...]:
    """Write what is not there yet; the names (``clients-g1``) of those that the caller may not write.

    Raises:
        BackendError: the store failed.
    """
    refused = []
    for entry in entries:
        key = history_key(environment, entry.record, entry.record.number)
        data = entry.encode(environment)
        try:
            store.put(key, data, condition=IF_ABSENT, content_type="application/json", cache_control=_FOR_EVER)
        except AlreadyExists:
            continue
        except AccessDenied:
            refused.append(entry.record.name)
    return tuple(refused)


def read_history(store: Store, environment: str, record: CrlRecord, number: int) -> HistoryEntry | None:
    """The entry of a number in the history of the CA whose CRL ``record`` is of; None where there is none.

    Raises:
        VerificationFailed: what is there is no entry of that number (code ``crl.history``).
        BackendError: the store failed, or it may not be read.
    """
    key = history_key(environment, record, number)
    where = f"{key} in {store.describe()}"
    found = store.get(key, max_bytes=MAX_ENTRY_BYTES)
    if found is None:
        return None
    try:
        entry = _decoded(found.data, environment, where)
    except VerificationFailed as error:
        raise VerificationFailed(error.message, code="crl.history") from error
    if (entry.record.name, entry.record.aki, entry.record.number) != (record.name, record.aki, number):
        raise VerificationFailed(f"{where} is of another CRL", code="crl.history")
    return replace(entry, age_s=found.age_s)


def later_numbers(store: Store, environment: str, record: CrlRecord, *, limit: int) -> tuple[int, ...]:
    """The numbers in the history above that of ``record``, the lowest first, at most ``limit``; what is no entry by its name is passed over.

    Raises:
        BackendError: the store failed, or it may not be listed.
    """
    folder = history_folder(environment, record)
    keys = store.list_keys(folder, after=history_key(environment, record, record.number), limit=limit)
    names = [key.removeprefix(folder).removesuffix(".json") for key in keys]
    return tuple(int(name) for name in names if _NUMBER.fullmatch(name))


def _decoded(data: bytes, environment: str, where: str) -> HistoryEntry:
    document = parse_json(data, where)
    manifest, previous = document.pop("manifest_sha256", None), document.pop("previous", None)
    # the rest is a manifest of one CRL
    records = decode_manifest(canonical_json(document), environment, where)
    if len(records) != 1 or not isinstance(manifest, str) or not _SHA256.fullmatch(manifest):
        raise VerificationFailed(f"{where} is no entry of a history", code="crl.history")
    return HistoryEntry(records[0], manifest, _previous(previous, where))


def _previous(value: object, where: str) -> Previous | None:
    if value is None:
        return None
    if isinstance(value, dict) and set(value) == {"number", "sha256"}:
        number, sha256 = value["number"], value["sha256"]
        is_number = isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= 2**160
        if is_number and isinstance(sha256, str) and _SHA256.fullmatch(sha256):
            return Previous(number, sha256)
    raise VerificationFailed(f"{where} names no CRL that it followed", code="crl.history")
