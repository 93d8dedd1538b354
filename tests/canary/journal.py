"""What a run has made, on disk before and after each creation, so that a run that was killed can be cleaned up.

What this module decides: one file of JSON lines per run, written through to the disk line by line, gone when nothing is left. A line that
was cut off by the end of the process is no line.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Made:
    """What a journal tells of a run.

    Args:
        run: its identifier.
        account: where it took place.
        region: and in which Region.
        authorities: ARNs.
        buckets: names, of those too that may never have come into being.
        unanswered: how many CAs it asked for without knowing what came of it.
    """

    run: str
    account: str
    region: str
    authorities: list[str] = field(default_factory=list)
    buckets: list[str] = field(default_factory=list)
    unanswered: int = 0


class Journal:
    """The journal of one run.

    Args:
        folder: where journals are; made if it is not there.
        run: the run's identifier.
    """

    def __init__(self, folder: Path, run: str) -> None:
        self.path = folder / f"{run}.jsonl"

    def begin(self, run: str, account: str, region: str) -> None:
        """Start the file; nothing has been made so far."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.write("begin", run=run, account=account, region=region)
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # the new name too
        finally:
            os.close(descriptor)

    def write(self, event: str, **details: str) -> None:
        """Add one line, and have it on the disk before returning."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, (json.dumps({"event": event, **details}) + "\n").encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self) -> Made | None:
        """What it tells, or None: it does not even say of which run it is."""
        lines = list(_lines(self.path))
        begin = next((line for line in lines if line.get("event") == "begin"), None)
        if begin is None:
            return None
        made = Made(begin["run"], begin["account"], begin["region"])
        for line in lines:
            match line:
                case {"event": "create", "kind": "authority"}:
                    made.unanswered += 1
                case {"event": "created" | "refused", "kind": "authority", "name": name}:
                    made.unanswered -= 1
                    if line["event"] == "created" and name not in made.authorities:
                        made.authorities.append(name)
                case {"event": "create", "kind": "bucket", "name": name}:
                    made.buckets.append(name)
        return made

    def forget(self) -> None:
        """Nothing is left of this run."""
        self.path.unlink(missing_ok=True)


def read_journals(folder: Path) -> Iterator[tuple[Journal, Made]]:
    """The runs that have left a journal behind."""
    for path in sorted(folder.glob("*.jsonl")):
        journal = Journal(folder, path.stem)
        made = journal.read()
        if made is not None:
            yield journal, made


def _lines(path: Path) -> Iterator[dict[str, str]]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            yield json.loads(line)
