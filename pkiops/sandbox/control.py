"""What a running sandbox says of itself, and how it is told to move its clock: ``/_pkiops/sandbox``.

What this module decides: the document of ``pkiops sandbox status``, and that only who has read it may move the clock: a page in somebody's browser
can send a request to loopback, but cannot read the instance number that it would have to repeat.
"""

from __future__ import annotations

import hmac
import json
import os
from collections import Counter
from typing import Any

from pkiops import __version__
from pkiops.errors import InputError
from pkiops.sandbox.engine.state import Region
from pkiops.sandbox.iam_record import PERMISSIONS_PATH, Record
from pkiops.sandbox.moto_adapter import Sandbox
from pkiops.sandbox.status import ADVANCE_PATH, STATUS_PATH
from pkiops.sandbox.time_travel import MovableClock

_MOST_REGIONS = 200
_JSON = [("Content-Type", "application/json")]
Answer = tuple[str, list[tuple[str, str]], bytes]


class Control:
    """The sandbox as its owner sees it.

    Args:
        sandbox: what is running.
        clock: its time.
        instance: the random number of this run.
        state_file: where its state is kept, or None.
    """

    def __init__(self, sandbox: Sandbox, clock: MovableClock, instance: str, state_file: str | None) -> None:
        self._sandbox = sandbox
        self._clock = clock
        self.instance = instance
        self._state_file = state_file

    def answer(self, method: str, path: str, instance: str, body: bytes) -> Answer:
        """Status line, headers and body for a request to one of the sandbox's own paths."""
        if path == STATUS_PATH and method in {"GET", "HEAD"}:
            return "200 OK", list(_JSON), self._status()
        if path == PERMISSIONS_PATH and method in {"GET", "HEAD"}:
            enforcement = self._sandbox.enforcement
            return "200 OK", list(_JSON), (enforcement.record if enforcement else Record()).document()
        if path != ADVANCE_PATH:
            return _error("404 Not Found", "there is nothing here")
        if method != "POST":
            return _error("405 Method Not Allowed", "POST only")
        if not hmac.compare_digest(instance.encode(), self.instance.encode()):
            return _error("403 Forbidden", "X-Pkiops-Sandbox must repeat the instance of the status")
        try:
            document = json.loads(body)
            by = document["by"] if isinstance(document, dict) else None
        except (ValueError, RecursionError, KeyError):
            by = None
        if not isinstance(by, str):
            return _error("400 Bad Request", 'send {"by": "300d"}')
        try:
            self._clock.advance(by)
        except InputError as error:
            return _error("400 Bad Request", error.message)
        return "200 OK", list(_JSON), self._status()

    def _status(self) -> bytes:
        now = self._clock.now()
        traffic = self._sandbox.traffic
        regions = [self._region(region) for region in self._sandbox.regions() if region.authorities]
        document = {
            "service": "pkiops sandbox",
            "version": __version__,
            "pid": os.getpid(),
            "instance": self.instance,
            "time": int(now.timestamp()),
            "ahead_seconds": int(self._clock.offset.total_seconds()),
            "state_file": self._state_file,
            "authorities": regions[:_MOST_REGIONS],
            "calls": [
                {"service": service, "operation": operation, "count": count}
                for (service, operation), count in sorted(traffic.served.items())
            ],
            "faults_pending": [str(each) for each in traffic.faults_pending],
        }
        return json.dumps(document).encode()

    def _region(self, region: Region) -> dict[str, Any]:
        now = self._clock.now()
        found = region.authorities.values()
        states = Counter(str(authority.visible_status(now)) for authority in found)
        published = [authority for authority in found if authority.crl is not None]
        return {
            "account": region.account,
            "region": region.name,
            "count": len(found),
            "states": dict(sorted(states.items())),
            "certificates": sum(len(authority.issued) for authority in found),
            "crls": sum(max(1, len(authority.partitions)) for authority in published),
        }


def _error(status: str, message: str) -> Answer:
    return status, list(_JSON), json.dumps({"error": message}).encode()
