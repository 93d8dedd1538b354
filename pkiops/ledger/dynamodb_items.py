"""What a ledger's table in DynamoDB holds: keys, indexes, and how a record becomes an item and an item a record. Pure.

What this module decides:

- one table, keys ``pk`` and ``sk``: the attempts of a request and what was written for it are one partition, in order; a rejection is one of its
  own; the revocations of an environment are one; each name has one of pointers, because an index takes one value of an item, and names are many;
- an item holds its record as one JSON text, and beside it the attributes that keys, conditions and indexes need;
- indexes hold keys alone, so that a record costs one small write in each, and what is read through one is then read as it is now;
- sizes: DynamoDB takes 400 KB an item (item size, "Constraints in Amazon DynamoDB").
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from pkiops.errors import BackendError
from pkiops.ledger.interface import Entry, EntryState, RevocationRecord
from pkiops.ledger.transitions import is_open
from pkiops.ledger.values import moment_of, moment_text, read_from, require_sound, searched_names, utf8
from pkiops.x509.san import SanKind, SubjectAltName

Key = tuple[str, str]
Item = Mapping[str, Mapping[str, str]]
# 400 KB less the attributes beside it
MAX_DOCUMENT = 380_000
_MOMENTS = ("created_at", "updated_at", "not_before", "not_after")
_OF_REQUEST = re.compile(r"(?P<request>[0-9a-f]{64})-(?P<attempt>[1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True)
class Index:
    """A global secondary index: its name, its keys, and what it holds besides them and the table's."""

    name: str
    partition: str
    order: str
    included: tuple[str, ...] = ()


BY_ENVIRONMENT = Index("by-environment", "environment", "created")
BY_AUTHORITY = Index("by-authority", "authority", "created")
BY_SERIAL = Index("by-serial", "serial", "created")
BY_FINGERPRINT = Index("by-fingerprint", "fingerprint", "created")
BY_KEY = Index("by-key", "key", "created", ("revocation_sk",))
BY_EXPIRY = Index("by-expiry", "expiry_month", "expires")
# holds only what is open: an entry leaves it when its certificate is known
BY_OPEN = Index("by-open", "open", "created")
INDEXES = (BY_ENVIRONMENT, BY_AUTHORITY, BY_SERIAL, BY_FINGERPRINT, BY_KEY, BY_EXPIRY, BY_OPEN)


def entry_key(entry_id: str) -> Key:
    """Where an entry is; attempts of one request sort by number."""
    match = _OF_REQUEST.fullmatch(entry_id)
    if match is None:
        return f"rejection#{entry_id}", "rejection"
    return request_partition(match["request"]), f"attempt#{int(match['attempt']):09d}"


def request_partition(request_key: str) -> str:
    """The partition of a request."""
    return f"request#{request_key}"


def output_key(entry_id: str, path: str, sha256: str) -> Key:
    """Where it is that a file was written for an entry."""
    partition, attempt = entry_key(entry_id)
    return partition, f"output#{attempt}#{hashlib.sha256(path.encode()).hexdigest()}#{sha256}"


def revocation_key(environment: str, authority_reference: str, serial: str) -> Key:
    """Where a revocation is."""
    return f"revocations#{environment}", f"{authority_reference}#{serial}"


def name_partition(environment: str, name: str) -> str:
    """The partition of the pointers to the entries with a name; a digest, because names may be longer than keys."""
    return f"name#{environment}#{hashlib.sha256(utf8(name).lower().encode()).hexdigest()}"


def name_keys(entry: Entry) -> tuple[Key, ...]:
    """The pointers to an entry, by its names, in the order of creation."""
    names = sorted(searched_names(entry.subject, entry.sans))
    place = f"{moment_text(entry.created_at)}#{entry.id}"
    return tuple((name_partition(entry.environment, name), place) for name in names)


def pointed_at(place: str) -> str:
    """The id of the entry that a pointer leads to."""
    return place.rpartition("#")[2]


def scoped(environment: str, value: str) -> str:
    """A value of one environment, as an index has it."""
    return f"{environment}#{value}"


def expiry_months(start: datetime, end: datetime) -> tuple[str, ...]:
    """The months in which something between two moments expires."""
    first, last = start.astimezone(UTC), end.astimezone(UTC)
    span = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return tuple(f"{number // 12:04d}-{number % 12 + 1:02d}" for number in span)


def key_item(key: Key) -> dict[str, dict[str, str]]:
    """A key as the API writes it."""
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def key_of(item: Item) -> Key:
    """The key of an item."""
    return item["pk"]["S"], item["sk"]["S"]


def entry_item(entry: Entry, version: int, writer: str) -> dict[str, dict[str, str]]:
    """An entry as an item.

    Args:
        entry: the entry, without its revocation.
        version: counts its changes; each is made on the condition of the one before.
        writer: says which call wrote it, to know an own write again whose answer was lost.

    Raises:
        BackendError: it is larger than an item may be.
    """
    document = document_of(entry)
    if len(document) > MAX_DOCUMENT:
        raise BackendError(
            f"ledger entry {entry.id} is too large for DynamoDB: {len(document):,} bytes, of at most {MAX_DOCUMENT:,}",
            code="ledger.too-large",
        )
    indexed = {
        "environment": entry.environment,
        "created": f"{moment_text(entry.created_at)}#{entry.id}",
    }
    if entry.authority is not None:
        indexed["authority"] = scoped(entry.environment, entry.authority)
    if entry.spki_sha256 is not None:
        indexed["key"] = scoped(entry.environment, entry.spki_sha256)
    if entry.serial is not None:
        indexed["serial"] = scoped(entry.environment, entry.serial)
        indexed["revocation_sk"] = revocation_key(entry.environment, str(entry.authority_reference), entry.serial)[1]
    if entry.certificate_sha256 is not None:
        indexed["fingerprint"] = entry.certificate_sha256
        if entry.not_after is not None:
            expires = moment_text(entry.not_after)
            indexed["expiry_month"] = scoped(entry.environment, expires[:7])
            indexed["expires"] = f"{expires}#{entry.id}"
    if is_open(entry):
        indexed["open"] = entry.environment
    return {
        **key_item(entry_key(entry.id)),
        "version": {"N": str(version)},
        "writer": {"S": writer},
        "document": {"S": document},
        **{name: {"S": utf8(value)} for name, value in indexed.items()},
    }


def document_of(entry: Entry) -> str:
    """An entry, without its revocation, as JSON in ASCII."""
    values: dict[str, Any] = {one.name: getattr(entry, one.name) for one in fields(Entry) if one.name != "revocation"}
    for name in _MOMENTS:
        values[name] = moment_text(values[name]) if values[name] else None
    values["sans"] = [[san.kind.value, san.value] for san in entry.sans]
    values["chain"] = [base64.b64encode(der).decode("ascii") for der in entry.chain]
    values = {name: utf8(value) if isinstance(value, str) else value for name, value in values.items()}
    return json.dumps({name: value for name, value in values.items() if value not in (None, [], ())})


def entry_of(item: Item, revocation: Item | None) -> Entry:
    """The entry that an item holds.

    Raises:
        BackendError: code ``ledger.unreadable-entry``.
    """
    with read_from(id_at(key_of(item))):
        return require_sound(_entry_of(item, revocation))


def id_at(key: Key) -> str:
    """The id of the entry at a key."""
    partition, attempt = key[0].partition("#")[2], key[1].partition("#")[2]
    return f"{partition}-{int(attempt)}" if attempt.isdecimal() and len(attempt) <= len("000000001") else partition


def _entry_of(item: Item, revocation: Item | None) -> Entry:
    values: dict[str, Any] = json.loads(item["document"]["S"])
    for name in _MOMENTS:
        if name in values:
            values[name] = moment_of(values[name])
    values["state"] = EntryState(values["state"])
    values["subject"] = tuple((field, value) for field, value in values.get("subject", ()))
    values["sans"] = tuple(SubjectAltName(SanKind(kind), value) for kind, value in values.get("sans", ()))
    values["chain"] = tuple(base64.b64decode(text, validate=True) for text in values.get("chain", ()))
    for name in ("usages", "findings", "doubts"):
        values[name] = tuple(values.get(name, ()))
    return Entry(**values, revocation=None if revocation is None else revocation_of(revocation))


def revocation_item(key: Key, record: RevocationRecord) -> dict[str, dict[str, str]]:
    """A revocation as an item."""
    values = {"reason": record.reason, "at": moment_text(record.at), "requester": utf8(record.requester)}
    return {**key_item(key), "document": {"S": json.dumps(values)}}


def revocation_of(item: Item) -> RevocationRecord:
    """The revocation that an item holds."""
    values = json.loads(item["document"]["S"])
    return RevocationRecord(reason=values["reason"], at=moment_of(values["at"]), requester=values["requester"])


def revocation_key_of(item: Item) -> Key | None:
    """Where the revocation of an entry's certificate is or would be; None of an entry without a certificate."""
    if "revocation_sk" not in item:
        return None
    with read_from(id_at(key_of(item))):
        return f"revocations#{item['environment']['S']}", item["revocation_sk"]["S"]
