"""A ledger in one DynamoDB table, shared by a team, and by runners that live for minutes.

What this module decides: which calls a record takes, and that each is safe to repeat and to race:

- an entry is made on the condition that there is none, and changed on the condition that it is the one that was read: who loses reads again and
  decides anew (``transitions.py``). A condition that fails because the first try got through and its answer was lost is told by the writer's mark;
- the pointers of the names are written before their entry: one that leads nowhere is skipped, an entry that no name leads to cannot be;
- a record is read consistently. What is found through an index or a name is read again as it is now; only whether it is found may lag, by moments.

How items look is ``dynamodb_items.py``; the table itself is ``dynamodb_table.py``'s, and is never made by a read or a record.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import fields, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from pkiops.aws import AwsClients
from pkiops.aws_errors import translated
from pkiops.clock import Clock, Randomness
from pkiops.errors import AlreadyExists, BackendError, InputError, InternalError, NotFound, Unreachable
from pkiops.ledger import dynamodb_items as items
from pkiops.ledger import transitions
from pkiops.ledger.dynamodb_items import Index, Item, Key
from pkiops.ledger.interface import (
    Entry,
    EntryState,
    LedgerIntent,
    Output,
    Position,
    Rejection,
    Report,
    RevocationRecord,
)
from pkiops.ledger.values import moment_text, utf8

_T = TypeVar("_T")
_NEW = "attribute_not_exists(pk)"
_PAGE = 100  # what BatchGetItem takes
_BATCH = 25  # what BatchWriteItem takes
_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 1.0
_PATIENCE_S = 30.0


class DynamoDbLedger:
    """The ledger in ``table``.

    Args:
        clients: of the account and region that the table is in.
        table: its name.
        clock: says when an entry is made or changed, and waits.
        randomness: ids of rejections, marks of writers.
    """

    def __init__(self, clients: AwsClients, table: str, clock: Clock, randomness: Randomness) -> None:
        self._clients = clients
        self._table = table
        self._clock = clock
        self._randomness = randomness
        self._report: Report | None = None

    def leaving_out(self, report: Report) -> DynamoDbLedger:
        """See ``Ledger.leaving_out``."""
        other = copy(self)
        other._report = report
        return other

    def begin(self, intent: LedgerIntent, attempt: int) -> tuple[Entry, bool]:
        """See ``Ledger.begin``."""
        entry_id = f"{intent.request_key}-{attempt}"
        values = {one.name: getattr(intent, one.name) for one in fields(intent)}
        return self._create(self._new(id=entry_id, attempt=attempt, state=EntryState.PENDING, **values))

    def latest(self, request_key: str) -> Entry | None:
        """See ``Ledger.latest``."""
        found = self._query(
            None,
            "pk = :pk AND begins_with(sk, :kind)",
            {":pk": items.request_partition(request_key), ":kind": "attempt#"},
            ConsistentRead=True,
            ScanIndexForward=False,
            Limit=1,
        )
        item = next((one for page in found for one in page), None)
        return None if item is None else self._entry(item)

    def get(self, entry_id: str) -> Entry | None:
        """See ``Ledger.get``."""
        item = self._item(items.entry_key(entry_id))
        return None if item is None else self._entry(item)

    def record_reference(self, entry_id: str, reference: str) -> Entry:
        """See ``Ledger.record_reference``."""
        return self._change(entry_id, lambda entry: transitions.with_reference(entry, reference))

    def record_issued(self, entry_id: str, chain: Sequence[bytes]) -> Entry:
        """See ``Ledger.record_issued``."""
        return self._change(entry_id, lambda entry: transitions.issued(entry, chain))

    def record_failed(
        self, entry_id: str, code: str, message: str, *, reference: str | None, chain: Sequence[bytes] = ()
    ) -> Entry:
        """See ``Ledger.record_failed``."""
        return self._change(entry_id, lambda entry: transitions.failed(entry, code, message, reference, chain))

    def record_unknown(self, entry_id: str, doubt: str) -> Entry:
        """See ``Ledger.record_unknown``."""
        return self._change(entry_id, lambda entry: transitions.unknown(entry, doubt))

    def record_rejection(self, rejection: Rejection) -> Entry:
        """See ``Ledger.record_rejection``; of findings that no item could hold, the first stay."""
        values = {one.name: getattr(rejection, one.name) for one in fields(rejection)}
        findings = tuple(values.pop("findings"))
        entry = self._new(id=str(self._randomness.uuid4()), findings=findings, **values)
        while len(items.document_of(entry)) > items.MAX_DOCUMENT and entry.findings:
            entry = replace(entry, findings=entry.findings[: len(entry.findings) // 2])
        return self._create(entry)[0]

    def record_revoked(self, environment: str, authority_reference: str, serial: str, record: RevocationRecord) -> None:
        """See ``Ledger.record_revoked``."""
        key = items.revocation_key(environment, authority_reference, serial)
        with contextlib.suppress(AlreadyExists):
            self._put(items.revocation_item(key, record), ConditionExpression=_NEW)

    def record_outputs(self, entry_id: str, outputs: Sequence[Output]) -> None:
        """See ``Ledger.record_outputs``."""
        written: list[Item] = []
        for one in dict.fromkeys(outputs):
            key = items.output_key(entry_id, utf8(one.path), one.sha256)
            written.append({**items.key_item(key), "path": {"S": utf8(one.path)}, "sha256": {"S": one.sha256}})
        self._write(written)

    def outputs(self, request_key: str) -> Mapping[str, frozenset[str]]:
        """See ``Ledger.outputs``."""
        found: dict[str, set[str]] = {}
        values = {":pk": items.request_partition(request_key), ":kind": "output#"}
        for page in self._query(None, "pk = :pk AND begins_with(sk, :kind)", values, ConsistentRead=True):
            for item in page:
                found.setdefault(item["path"]["S"], set()).add(item["sha256"]["S"])
        return {path: frozenset(digests) for path, digests in found.items()}

    def find_by_serial(self, environment: str, serial: str) -> tuple[Entry, ...]:
        """See ``Ledger.find_by_serial``."""
        return tuple(self._indexed(items.BY_SERIAL, items.scoped(environment, serial)))

    def find_by_fingerprint(self, certificate_sha256: str) -> Entry | None:
        """See ``Ledger.find_by_fingerprint``."""
        return next(self._indexed(items.BY_FINGERPRINT, certificate_sha256), None)

    def find_compromised(self, environment: str, spki_sha256: str) -> Entry | None:
        """See ``Ledger.find_compromised``."""
        for page in self._pages(items.BY_KEY, items.scoped(environment, spki_sha256)):
            issued = {
                items.key_of(one): (f"revocations#{environment}", one["revocation_sk"]["S"])
                for one in page
                if "revocation_sk" in one
            }
            revoked = self._items(issued.values())
            for key, where in issued.items():
                if where in revoked and items.revocation_of(revoked[where]).reason == "keyCompromise":
                    return next(self._load([key]), None)
        return None

    def entries(self, environment: str, *, after: Position | None = None) -> Iterator[Entry]:
        """See ``Ledger.entries``."""
        return self._indexed(items.BY_ENVIRONMENT, environment, _beyond(after))

    def find_open(self, environment: str) -> Iterator[Entry]:
        """See ``Ledger.find_open``; what the index still holds of the past is left out."""
        return filter(transitions.is_open, self._indexed(items.BY_OPEN, environment))

    def find_by_name(self, environment: str, name: str, *, since: datetime | None = None) -> tuple[Entry, ...]:
        """See ``Ledger.find_by_name``."""
        condition, values = "pk = :pk", {":pk": items.name_partition(environment, name)}
        if since is not None:
            condition, values = f"{condition} AND sk >= :since", {**values, ":since": moment_text(since)}
        # two that began one entry at different moments each left a pointer to it
        found: dict[str, Entry] = {}
        for page in self._query(None, condition, values, ConsistentRead=True):
            keys = [items.entry_key(items.pointed_at(one["sk"]["S"])) for one in page]
            found.update((entry.id, entry) for entry in self._load(keys))
        within = (one for one in found.values() if since is None or one.created_at >= since)
        return tuple(sorted(within, key=lambda entry: (entry.created_at, entry.id)))

    def find_by_key(self, environment: str, spki_sha256: str) -> Iterator[Entry]:
        """See ``Ledger.find_by_key``."""
        return self._indexed(items.BY_KEY, items.scoped(environment, spki_sha256))

    def find_by_authority(self, environment: str, authority: str, *, after: Position | None = None) -> Iterator[Entry]:
        """See ``Ledger.find_by_authority``."""
        return self._indexed(items.BY_AUTHORITY, items.scoped(environment, authority), _beyond(after))

    def find_expiring(
        self, environment: str, start: datetime, end: datetime, *, after: Position | None = None
    ) -> Iterator[Entry]:
        """See ``Ledger.find_expiring``."""
        bounds = _beyond(after)
        between = max(moment_text(start), bounds[0] if bounds else ""), moment_text(end)
        start = max(start, after.moment) if after else start
        for month in items.expiry_months(start, end) if start < end else ():
            yield from self._indexed(items.BY_EXPIRY, items.scoped(environment, month), between)

    def _new(self, **values: Any) -> Entry:
        now = self._clock.now()
        return Entry(**values, created_at=now, updated_at=now)

    def _create(self, entry: Entry) -> tuple[Entry, bool]:
        """Write an entry unless there is one; the one there is then, and whether it is this one."""
        writer = str(self._randomness.uuid4())
        item = items.entry_item(entry, 1, writer)
        key = items.entry_key(entry.id)
        if (existing := self._item(key)) is not None:
            return self._entry(existing), False
        self._write([items.key_item(one) for one in items.name_keys(entry)])
        try:
            self._put(item, ConditionExpression=_NEW)
        except AlreadyExists:
            existing = self._require(entry.id)
            return self._entry(existing), existing["writer"]["S"] == writer
        return items.entry_of(item, None), True

    def _change(self, entry_id: str, change: Callable[[Entry], transitions.Changes]) -> Entry:
        """Change an entry as it is now, as often as it takes to be the one who does."""
        writer = str(self._randomness.uuid4())
        started, pause = self._clock.monotonic(), _PAUSE_S
        while True:
            item = self._require(entry_id)
            entry = self._entry(item)
            changes = {} if item["writer"]["S"] == writer else change(entry)
            if not changes:
                return entry
            version = int(item["version"]["N"])
            changed = replace(entry, **{**changes, "updated_at": self._clock.now()})
            try:
                self._put(
                    items.entry_item(changed, version + 1, writer),
                    ConditionExpression="version = :version",
                    ExpressionAttributeValues={":version": {"N": str(version)}},
                )
            except AlreadyExists:
                if self._clock.monotonic() - started > _PATIENCE_S:
                    raise Unreachable(
                        f"ledger entry {entry_id}: changed by other runs for {_PATIENCE_S:.0f} seconds",
                        hint="run the same command again",
                        code="ledger.busy",
                    ) from None
                # those who collided once should not again
                self._clock.sleep(pause * (0.5 + self._randomness.token_bytes(1)[0] / 510))
                pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _require(self, entry_id: str) -> Item:
        item = self._item(items.entry_key(entry_id))
        if item is None:
            raise InternalError(f"ledger entry {entry_id} does not exist")
        return item

    def _entry(self, item: Item) -> Entry:
        where = items.revocation_key_of(item)
        return items.entry_of(item, None if where is None else self._item(where))

    def _load(self, keys: Sequence[Key]) -> Iterator[Entry]:
        """The entries at some keys, in that order, with their revocations; what is not there is left out."""
        for start in range(0, len(keys), _PAGE):
            page = keys[start : start + _PAGE]
            found = self._items(page)
            where = {key: self._told(partial(items.revocation_key_of, item)) for key, item in found.items()}
            revoked = self._items([one for one in where.values() if one is not None])
            for key in page:
                if key in found:
                    revocation = where[key]
                    revoking = None if revocation is None else revoked.get(revocation)
                    entry = self._told(partial(items.entry_of, found[key], revoking))
                    if entry is not None:
                        yield entry

    def _told(self, read: Callable[[], _T | None]) -> _T | None:
        """What is read; None where it cannot be, and somebody is told of that."""
        try:
            return read()
        except BackendError as error:
            if self._report is None or error.code != "ledger.unreadable-entry":
                raise
            self._report(error)
            return None

    def _indexed(self, index: Index, value: str, between: tuple[str, str] | None = None) -> Iterator[Entry]:
        for page in self._pages(index, value, between):
            yield from self._load([items.key_of(item) for item in page])

    def _pages(self, index: Index, value: str, between: tuple[str, str] | None = None) -> Iterator[Sequence[Item]]:
        """What an index holds of a value, in order; ``between`` bounds the order, the end excluded."""
        condition, values, names = "#partition = :value", {":value": utf8(value)}, {"#partition": index.partition}
        if between:
            condition += " AND #order BETWEEN :start AND :end"
            # an order goes on with # and an id, so that the end itself sorts before all that is at that moment
            values |= {":start": between[0], ":end": between[1]}
            names["#order"] = index.order
        return self._query(index.name, condition, values, ExpressionAttributeNames=names)

    def _query(self, index: str | None, condition: str, values: Mapping[str, str], **more: Any) -> Iterator[list[Item]]:
        parameters: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": {name: {"S": value} for name, value in values.items()},
            **({"IndexName": index} if index else {}),
            **more,
        }
        while True:
            answer = self._call("Query", self._db().query, parameters)
            yield answer["Items"]
            if "LastEvaluatedKey" not in answer or "Limit" in more:
                return
            parameters["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _item(self, key: Key) -> Item | None:
        parameters = {"TableName": self._table, "Key": items.key_item(key), "ConsistentRead": True}
        found: Item | None = self._call("GetItem", self._db().get_item, parameters).get("Item")
        return found

    def _items(self, keys: Iterable[Key]) -> dict[Key, Item]:
        """The items at some keys that there are."""
        wanted = list(dict.fromkeys(keys))
        found: dict[Key, Item] = {}
        for start in range(0, len(wanted), _PAGE):
            asked = {"Keys": [items.key_item(key) for key in wanted[start : start + _PAGE]], "ConsistentRead": True}

            def ask(rest: Mapping[str, Any]) -> Mapping[str, Any]:
                answer = self._call("BatchGetItem", self._db().batch_get_item, {"RequestItems": rest})
                found.update({items.key_of(item): item for item in answer["Responses"].get(self._table, [])})
                left: Mapping[str, Any] = answer.get("UnprocessedKeys", {})
                return left

            self._until_done({self._table: asked}, ask)
        return found

    def _write(self, written: Sequence[Item]) -> None:
        """Write items that are the same whoever writes them."""

        def ask(rest: Mapping[str, Any]) -> Mapping[str, Any]:
            answer = self._call("BatchWriteItem", self._db().batch_write_item, {"RequestItems": rest})
            left: Mapping[str, Any] = answer.get("UnprocessedItems", {})
            return left

        for start in range(0, len(written), _BATCH):
            puts = [{"PutRequest": {"Item": item}} for item in written[start : start + _BATCH]]
            self._until_done({self._table: puts}, ask)

    def _until_done(self, asked: Mapping[str, Any], ask: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
        """Ask for what is left of a batch until nothing is; DynamoDB leaves out what it has no capacity for at the moment."""
        started, pause = self._clock.monotonic(), _PAUSE_S
        while asked := ask(asked):
            if self._clock.monotonic() - started > _PATIENCE_S:
                raise Unreachable(
                    f"ledger table {self._table}: DynamoDB left out a part of a batch for {_PATIENCE_S:.0f} seconds",
                    hint="run the same command again",
                    code="ledger.busy",
                )
            self._clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _put(self, item: Item, **condition: Any) -> None:
        self._call("PutItem", self._db().put_item, {"TableName": self._table, "Item": item, **condition})

    def _call(self, operation: str, call: Callable[..., Any], parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """One call.

        Raises:
            AlreadyExists: its condition does not hold.
            InputError: there is no such table.
            BackendError: it failed.
        """
        try:
            with translated(operation, f"ledger table {self._table}"):
                answer: Mapping[str, Any] = call(**parameters)
                return answer
        except NotFound as error:
            raise InputError(
                f"there is no ledger table {self._table} in {self._clients.access.account}, {self._clients.access.region}",
                hint="pkiops ca apply makes it; ledger.table of the environment file names it",
                code="ledger.no-table",
            ) from error

    def _db(self) -> Any:
        return self._clients.dynamodb()


def _beyond(after: Position | None) -> tuple[str, str] | None:
    """The bounds of an order that leave out what is up to a position: a blank sorts before whatever else an id could go on with."""
    return None if after is None else (f"{moment_text(after.moment)}#{after.entry_id} ", "~")
