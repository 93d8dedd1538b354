"""What callers asked for since the sandbox started, and whether they might: to find out which permissions a program needs.

What this module decides: that the record is bounded, and how it is asked for over HTTP. One entry for each principal, action, resource and decision.
"""

from __future__ import annotations

import http.client
import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from pkiops.errors import Unreachable
from pkiops.sandbox.status import LOOPBACK, STATUS_PATH

PERMISSIONS_PATH = f"{STATUS_PATH}/permissions"
_MOST_ENTRIES = 5000  # names come from outside
_MAX_ANSWER = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """``principal`` is a user's or role's ARN (of a session: its role's), ``decision`` is ``allowed`` or ``denied``, ``count`` how often."""

    principal: str
    action: str
    resource: str
    decision: str
    count: int


class Record:
    """The entries of one sandbox, in the order in which they first came."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str, str]] = Counter()
        self._left_off = 0

    def add(self, principal: str, action: str, resource: str, *, allowed: bool) -> None:
        """Count one decision."""
        entry = (principal, action, resource, "allowed" if allowed else "denied")
        if entry in self._counts or len(self._counts) < _MOST_ENTRIES:
            self._counts[entry] += 1
        else:
            self._left_off += 1

    def entries(self) -> list[Asked]:
        """All of them."""
        return [Asked(*entry, count) for entry, count in self._counts.items()]

    def document(self) -> bytes:
        """The answer to who asks over HTTP; ``left_off`` counts what found no room."""
        return json.dumps(
            {"permissions": [asdict(each) for each in self.entries()], "left_off": self._left_off}
        ).encode()


def ask_permissions(port: int, *, timeout: float = 10.0) -> list[Asked]:
    """What callers of the sandbox on a loopback port asked for; empty where IAM is not enforced.

    Raises:
        Unreachable: no sandbox answered, or not as one does.
    """
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout)
    try:
        connection.request("GET", PERMISSIONS_PATH)
        answer = connection.getresponse()
        found: Any = json.loads(answer.read(_MAX_ANSWER))["permissions"]
        return [
            Asked(
                str(each["principal"]),
                str(each["action"]),
                str(each["resource"]),
                str(each["decision"]),
                int(each["count"]),
            )
            for each in found
        ]
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, RecursionError) as error:
        raise Unreachable(f"the sandbox on port {port} did not answer: {error}") from error
    finally:
        connection.close()
