"""The state file: everything a sandbox knows, so that it survives a restart.

What this module decides:

- what is in the file: Private CA with its keys, S3, KMS, DynamoDB, IAM, role sessions, how far the clock was moved; not the
  other services of moto;
- an answer that tells of a change leaves when the change is in the file: a process killed right after it has lost nothing (a machine
  that loses its power may have). Changes that happen together are written together;
- the file is replaced as a whole, holds private keys (mode 0600, never through a link), and is not trusted when it is read.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from moto.core.exceptions import ServiceException
from werkzeug.exceptions import HTTPException

from pkiops.errors import GuardRefused, InputError
from pkiops.sandbox import stored_buckets, stored_identities, stored_kms, stored_sessions, stored_tables
from pkiops.sandbox.calls import Call
from pkiops.sandbox.engine.state import Region
from pkiops.sandbox.moto_adapter import Sandbox
from pkiops.sandbox.state_codec import Reader, Unreadable, Writer
from pkiops.sandbox.time_travel import MovableClock

FORMAT = "pkiops sandbox state"
VERSION = 1
_MAX_BYTES = 1024 * 1024 * 1024
_ACCOUNT = re.compile("[0-9]{12}", re.ASCII)
_REGION = re.compile("[a-z0-9-]{1,32}")
_KEPT_SERVICES = frozenset({"acm-pca", "s3", "sts", "tagging", "kms", "dynamodb", "iam"})
_LOOKS = ("List", "Get", "Head", "Describe", "Query", "Scan", "BatchGet", "TransactGet")
# these look, but a CA, a certificate or a key of AWS's own may come into being while they do
_LOOKS_THAT_CHANGE = frozenset(
    {
        "DescribeKey",
        "DescribeCertificateAuthority",
        "DescribeCertificateAuthorityAuditReport",
        "GetCertificateAuthorityCsr",
        "GetCertificate",
    }
)


@dataclass(slots=True)
class State:
    """All that is kept."""

    ahead: timedelta = timedelta()
    regions: list[Region] = field(default_factory=list)
    buckets: list[stored_buckets.Bucket] = field(default_factory=list)
    sessions: list[stored_sessions.RoleSession] = field(default_factory=list)
    keys: list[stored_kms.StoredKey] = field(default_factory=list)
    tables: list[stored_tables.StoredTable] = field(default_factory=list)
    identities: list[stored_identities.Identities] = field(default_factory=list)


def may_change(call: Call, status: int) -> bool:
    """Whether a call that was answered with this HTTP status may have changed what is kept."""
    if call.service not in _KEPT_SERVICES:
        return False
    if call.operation == "GetCertificate" and status == 200:
        return False
    return call.operation in _LOOKS_THAT_CHANGE or not call.operation.startswith(_LOOKS)


def encoded(state: State) -> bytes:
    """The file of a state."""
    writer = Writer()
    body = writer.value(State, state)
    document = {"format": FORMAT, "version": VERSION, "certificates": writer.certificates, "state": body}
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def decoded(data: bytes) -> State:
    """The state of a file.

    Raises:
        Unreadable: it is no state file, or of a version this one does not know.
    """
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable("it is not JSON") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise Unreadable("it is not the state of a sandbox")
    if document.get("version") != VERSION:
        raise Unreadable(f"its version is {str(document.get('version'))[:20]}, not {VERSION}")
    certificates = document.get("certificates")
    if not isinstance(certificates, list):
        raise Unreadable("it has no table of certificates")
    state: State = Reader(certificates).value(State, document.get("state"), "state")
    return state


class StateKeeper:
    """Keeps the state of one sandbox in one file.

    Args:
        path: the file; made when missing.
        sandbox: whose state it is.
        clock: how far it was moved is part of the state.
    """

    def __init__(self, path: Path, sandbox: Sandbox, clock: MovableClock) -> None:
        self._path = path
        self._sandbox = sandbox
        self._clock = clock
        self._counting = threading.Lock()
        self._writing = threading.Lock()
        self._asked = 0
        self._written = 0
        self._digest = b""

    def load(self) -> None:
        """Take over what the file holds, if there is one.

        Raises:
            InputError: it cannot be read, or is not ours.
            GuardRefused: others may read it, or it is a link.
        """
        data = _read(self._path)
        if data is None:
            return
        try:
            state = decoded(data)
            self._restore(state)
        except (
            Unreadable,
            ServiceException,
            HTTPException,
            ValueError,
            TypeError,
            AttributeError,
            LookupError,
        ) as error:
            raise InputError(
                f"{self._path} cannot be used as the state of a sandbox: {error}",
                hint="give another file, or move this one away to start empty",
                code="sandbox.state-file",
            ) from error

    def _restore(self, state: State) -> None:
        places = [(each.account, each.name) for each in state.regions]
        places += [(each.account, each.region) for each in state.buckets]
        places += [(each.account, each.region) for each in state.sessions]
        places += [(each.account, each.region) for each in state.keys]
        places += [(each.account, each.region) for each in state.tables]
        places += [(each.account, each.partition) for each in state.identities]
        for account, region_name in places:
            if not _ACCOUNT.fullmatch(account) or not _REGION.fullmatch(region_name):
                raise Unreadable("it names an account or a Region that cannot be")
        stored_kms.restore(state.keys)
        stored_identities.restore(state.identities)
        stored_tables.restore(state.tables)
        stored_buckets.restore(state.buckets)
        stored_sessions.restore(state.sessions)
        for region in state.regions:
            self._sandbox.adopt(region)
        self._clock.offset = state.ahead

    def settle(self) -> None:
        """Return when everything that has happened so far is in the file.

        Raises:
            OSError: it cannot be written.
            Unkeepable: a service holds something that has no form in the file.
        """
        with self._counting:
            self._asked += 1
            ticket = self._asked
        with self._writing:
            if self._written >= ticket:
                return  # whoever wrote last saw what we did
            with self._sandbox.lock:
                with self._counting:
                    upto = self._asked
                data = encoded(self._state())
            digest = hashlib.sha256(data).digest()
            if digest != self._digest:
                _write(self._path, data)
                self._digest = digest
            self._written = upto

    def _state(self) -> State:
        return State(
            ahead=self._clock.offset,
            regions=self._sandbox.regions(),
            buckets=stored_buckets.stored(),
            sessions=stored_sessions.stored(),
            keys=stored_kms.stored(),
            tables=stored_tables.stored(),
            identities=stored_identities.stored(),
        )


def _read(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", code="sandbox.state-file") from error
    with open(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_BYTES:
            raise InputError(f"{path} is no file, or too large", code="sandbox.state-file")
        if found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise GuardRefused(
                f"{path} belongs to somebody else, or others may read it; it holds private keys",
                hint=f"chmod 600 {path}",
                code="guard.state-file",
            )
        return stream.read(_MAX_BYTES)


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with open(os.open(temporary, flags, 0o600), "wb") as stream:
            stream.write(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep other sandboxes away from a state file.

    Raises:
        InputError: another one has it, or its folder is missing.
    """
    lock = path.with_name(f".{path.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise InputError(f"{lock} cannot be made: {error.strerror}", code="sandbox.state-file") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"another sandbox uses {path}", code="sandbox.state-file") from error
        yield
    finally:
        os.close(descriptor)
