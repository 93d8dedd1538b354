"""Where it is written down which process listens on a port, and whether that process still lives.

What this module decides: the folder for records and logs, which nobody but its owner may enter; and that a record counts only while
the process that wrote it holds a lock on it. The lock ends with the process, so a record left behind, copied or forged names nobody:
the process number in it is never taken for that of a sandbox.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pkiops.errors import GuardRefused, InputError

_INSTANCE = re.compile(r"[0-9a-f]{32}")
_MOST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Record:
    """A sandbox's process, and the random number of its run."""

    pid: int
    instance: str


def state_folder() -> Path:
    """The folder for records and logs, made if need be: ours, and nobody else may enter it.

    The first of these that can be made: in ``XDG_RUNTIME_DIR``, in ``XDG_STATE_HOME``, in the home, in the folder for temporary
    files. A container often has a user without a home, or a home that cannot be written.

    Raises:
        GuardRefused: it is a link, or belongs to somebody else.
        InputError: none of them can be made.
    """
    for folder in _candidates():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.lstat()
        except OSError:
            continue
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise GuardRefused(
                f"{folder} is a link or belongs to somebody else", hint="remove it", code="guard.state-folder"
            )
        if found.st_mode & 0o077:
            folder.chmod(0o700)
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    raise InputError(
        "there is no folder in which to write down which process the sandbox is",
        hint="set XDG_STATE_HOME to a folder that you can write",
        code="sandbox.state-folder",
    )


def _candidates() -> Iterator[Path]:
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or "")
    if runtime.is_absolute() and runtime.is_dir():
        yield runtime / "pkiops"
    state = Path(os.environ.get("XDG_STATE_HOME") or "")
    if state.is_absolute():
        yield state / "pkiops"
    else:
        with contextlib.suppress(RuntimeError):  # neither HOME nor an entry among the machine's users
            home = Path.home()
            if home.is_absolute():
                yield home / ".local" / "state" / "pkiops"
    with contextlib.suppress(FileNotFoundError):
        yield Path(tempfile.gettempdir()) / f"pkiops-{os.getuid()}"


def record_path(port: int) -> Path:
    """Where the record of a port is."""
    return state_folder() / f"sandbox-{port}.json"


@contextlib.contextmanager
def recorded(port: int, instance: str) -> Iterator[None]:
    """Say, while the context lasts, that this process is the sandbox on a port.

    Raises:
        GuardRefused, InputError: there is no folder for it, see ``state_folder``.
    """
    path = record_path(port)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="ascii") as stream:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        json.dump(asdict(Record(os.getpid(), instance)), stream)
        stream.flush()
        new.replace(path)  # we hold the port: whatever was written there is stale
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def living(path: Path) -> Record | None:
    """The record of a process that lives; None if there is none, or it is not what it should be."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with open(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or not _is_locked(descriptor):
            return None
        return _parsed(stream.read(_MOST_BYTES))


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _parsed(data: bytes) -> Record | None:
    try:
        document = json.loads(data)
        pid, instance = document["pid"], document["instance"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if type(pid) is not int or pid <= 1 or not isinstance(instance, str) or not _INSTANCE.fullmatch(instance):
        return None
    return Record(pid, instance)
