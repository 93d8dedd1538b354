"""The file of a SQLite ledger: making it, recognising it, opening it.

What this module decides: the schema; that the file is made whole under another name and then linked into place, so that any number of processes may
be first at once; that only its owner reads it; and that a file which is not a ledger of this version is refused and left alone.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pkiops.errors import BackendError, InputError, Unreachable
from pkiops.ledger.values import utf8

BUSY_SECONDS = 30.0
SCHEMA_VERSION = 2
# an entry that may have led to a certificate which is not known here
OPEN = "entries.serial IS NULL AND entries.state IN ('pending', 'unknown')"
# Four bytes of the file's header that say whose it is: "pkio".
_APPLICATION_ID = 0x706B696F
_REACHABLE = "it must be a file that you may read and write, in a folder that you may write"

# what version 2 added: every way in which entries are looked for is a table or an index
_SEARCHES = f"""
CREATE TABLE names (
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    entry_id TEXT NOT NULL REFERENCES entries (id),
    PRIMARY KEY (environment, name, entry_id)
) WITHOUT ROWID;
CREATE INDEX entries_by_authority ON entries (environment, authority, created_at, id);
CREATE INDEX entries_by_key ON entries (environment, spki_sha256, created_at, id);
CREATE INDEX entries_by_expiry ON entries (environment, not_after, id) WHERE serial IS NOT NULL;
CREATE INDEX entries_open ON entries (environment, created_at, id) WHERE {OPEN.replace("entries.", "")};
"""
_SCHEMA = f"""
CREATE TABLE entries (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('pending', 'issued', 'refused', 'failed', 'unknown')),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    environment TEXT NOT NULL,
    profile TEXT NOT NULL,
    request_key TEXT,
    attempt INTEGER,
    authority TEXT,
    generation INTEGER,
    authority_reference TEXT,
    policy_sha256 TEXT,
    requester TEXT,
    csr_sha256 TEXT,
    spki_sha256 TEXT,
    template TEXT,
    not_before TEXT,
    not_after TEXT,
    certificate_reference TEXT,
    serial TEXT,
    certificate_sha256 TEXT,
    code TEXT,
    message TEXT,
    subject TEXT NOT NULL DEFAULT '[]',
    sans TEXT NOT NULL DEFAULT '[]',
    usages TEXT NOT NULL DEFAULT '[]',
    chain TEXT NOT NULL DEFAULT '[]',
    findings TEXT NOT NULL DEFAULT '[]',
    doubts TEXT NOT NULL DEFAULT '[]',
    UNIQUE (request_key, attempt)
);
CREATE INDEX entries_in_order ON entries (environment, created_at, id);
CREATE INDEX entries_by_serial ON entries (environment, serial);
CREATE INDEX entries_by_fingerprint ON entries (certificate_sha256);
CREATE TABLE revocations (
    environment TEXT NOT NULL,
    authority_reference TEXT NOT NULL,
    serial TEXT NOT NULL,
    reason TEXT NOT NULL,
    revoked_at TEXT NOT NULL,
    revoked_by TEXT NOT NULL,
    PRIMARY KEY (environment, authority_reference, serial)
);
CREATE TABLE outputs (
    entry_id TEXT NOT NULL REFERENCES entries (id),
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (entry_id, path, sha256)
);
{_SEARCHES}
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""
_NAMES_OF_ENTRIES = """
INSERT OR IGNORE INTO names
SELECT environment, folded(json_extract(one.value, '$[1]')), entries.id FROM entries, json_each(entries.sans) AS one
UNION
SELECT environment, folded(json_extract(one.value, '$[1]')), entries.id FROM entries, json_each(entries.subject) AS one
WHERE json_extract(one.value, '$[0]') = 'common_name'
"""


@contextlib.contextmanager
def transaction(path: Path, *, write: bool) -> Iterator[sqlite3.Connection]:
    """A connection inside one transaction: committed at the end, rolled back on any error.

    Where there is no file, writing makes it; reading does not, and finds an empty ledger.

    Raises:
        InputError: the file is not a ledger, is of a newer version, or cannot be read or made.
        Unreachable: other processes held the file for longer than ``BUSY_SECONDS``.
        BackendError: writing failed (no space, a failing disk).
    """
    with _sqlite_errors(path):
        found = exists(path)
        if write and not found:
            create(path)
        with contextlib.closing(_open(path) if found or write else _empty()) as connection:
            # IMMEDIATE takes the write lock first: what was read stays true until it is written.
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()


@contextlib.contextmanager
def kept_open(path: Path) -> Iterator[None]:
    """Transactions meanwhile cost half: whoever closes a file last writes its journal back and removes it, and now nobody is the last.

    Raises:
        InputError: as for ``transaction``.
    """
    with _sqlite_errors(path):
        if not exists(path):
            create(path)
        connection = _open(path)
    # outside: what goes wrong meanwhile is not about this connection
    with contextlib.closing(connection):
        yield


def exists(path: Path) -> bool:
    """Whether there is a file at ``path``, a ledger or not.

    Raises:
        InputError: a folder on the way may not be looked into.
    """
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise InputError(
            f"cannot open the ledger {path}: {error.strerror}", hint=_REACHABLE, code="ledger.unwritable"
        ) from error
    return True


def create(path: Path) -> None:
    """Make an empty ledger at ``path`` unless something is there: parents 0700, the file 0600."""
    try:
        _make_folders(path.parent)
        # mkstemp makes it 0600; SQLite gives its companion files (-wal, -shm) the same mode.
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(descriptor)
        temporary = Path(name)
        try:
            with contextlib.closing(_connect(temporary)) as connection:
                # Stored in the header, and switched on while nobody else can be looking.
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(_SCHEMA)
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            temporary.unlink()
    except OSError as error:
        raise InputError(
            f"cannot make the ledger {path}: {error.strerror}",
            hint="ledger.path of the environment file says where it is",
            code="ledger.unwritable",
        ) from error


def _make_folders(folder: Path) -> None:
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)


def _connect(path: Path | str) -> sqlite3.Connection:
    # isolation_level None: transactions begin where this module says, not where the library guesses.
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


def _empty() -> sqlite3.Connection:
    connection = _connect(":memory:")
    connection.executescript(_SCHEMA)
    return connection


def _open(path: Path) -> sqlite3.Connection:
    connection = _connect(path)
    try:
        ours = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if ours != _APPLICATION_ID:
            raise _not_ours(path)
        if version == 1:
            _upgrade(connection)
        elif version != SCHEMA_VERSION:
            raise InputError(
                f"ledger {path} has schema version {version}; this pkiops knows version {SCHEMA_VERSION}",
                hint="use the version of pkiops that wrote it, or a newer one",
                code="ledger.version",
            )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _upgrade(connection: sqlite3.Connection) -> None:
    """From version 1 to 2, in one transaction; a process that was faster has done it."""
    connection.create_function("folded", 1, lambda name: utf8(name).lower(), deterministic=True)
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] == 1:
            for statement in (*_SEARCHES.split(";"), _NAMES_OF_ENTRIES, f"PRAGMA user_version = {SCHEMA_VERSION}"):
                connection.execute(statement)
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _not_ours(path: Path) -> InputError:
    return InputError(
        f"{path} is not a pkiops ledger; it was left as it is",
        hint="ledger.path of the environment file names it: choose another path, or move that file away",
        code="ledger.not-ours",
    )


@contextlib.contextmanager
def _sqlite_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if _primary_code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise Unreachable(
                f"ledger {path}: held by other processes for {BUSY_SECONDS:.0f} seconds",
                hint="run the same command again",
                code="ledger.busy",
            ) from error
        if _primary_code(error) in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
            raise InputError(
                f"cannot open the ledger {path}: {error}",
                hint=_REACHABLE,
                code="ledger.unwritable",
            ) from error
        raise BackendError(f"ledger {path}: {error}", code="ledger.failed") from error
    except sqlite3.DatabaseError as error:
        if _primary_code(error) == sqlite3.SQLITE_NOTADB:
            raise _not_ours(path) from error
        raise BackendError(f"ledger {path}: {error}", code="ledger.failed") from error


def _primary_code(error: sqlite3.Error) -> int:
    # errors of the Python module itself carry no code of the library
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
