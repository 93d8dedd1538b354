"""What a running sandbox says of itself, asked over HTTP, and the moving of its clock.

What this module decides: that whoever listens on the port is a stranger until the answer has the shape and the words of a
sandbox. Starting and ending one is ``process.py``.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pkiops.errors import InputError, NotFound, Unreachable
from pkiops.sandbox.time_travel import span

LOOPBACK = "127.0.0.1"
STATUS_PATH = "/_pkiops/sandbox"
ADVANCE_PATH = f"{STATUS_PATH}/advance"
_MAX_ANSWER = 256 * 1024
_LAST_SECOND = 253_402_300_799  # of the year 9999
_INSTANCE = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Authorities:
    """How many CAs an account has in a Region, by state; what they issued, and how many CRLs they keep."""

    account: str
    region: str
    count: int
    states: Mapping[str, int]
    certificates: int
    crls: int


@dataclass(frozen=True)
class Calls:
    """How often an operation was called since the sandbox started."""

    service: str
    operation: str
    count: int


@dataclass(frozen=True)
class SandboxStatus:
    """What a sandbox says of itself; ``time`` is its clock in epoch seconds, ``ahead_seconds`` how far that was moved."""

    url: str
    version: str
    pid: int
    instance: str
    time: int
    ahead_seconds: int
    state_file: str | None
    authorities: tuple[Authorities, ...]
    calls: tuple[Calls, ...]
    faults_pending: tuple[str, ...]


def ask(port: int, *, timeout: float = 5.0) -> SandboxStatus | None:
    """Ask whoever listens on a loopback port who it is; None if nobody does, or it is no sandbox."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout)
    try:
        connection.request("GET", STATUS_PATH)
        answer = connection.getresponse()
        data = answer.read(_MAX_ANSWER)
        return _parsed(port, json.loads(data)) if answer.status == http.HTTPStatus.OK else None
    except (
        OSError,
        http.client.HTTPException,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ):
        return None
    finally:
        connection.close()


def something_listens(port: int) -> bool:
    """Whether anybody takes a connection on a loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1.0):
            return True
    except OSError:
        return False


def not_running(port: int) -> NotFound:
    """The error for a port on which no sandbox listens."""
    who = "what listens there is none" if something_listens(port) else "nobody listens there"
    return NotFound(
        f"no sandbox is running on port {port}: {who}",
        hint="start one with: pkiops sandbox up",
        code="sandbox.not-running",
    )


def port_of(url: str) -> int:
    """The port of a sandbox's URL, as ``pkiops sandbox up`` prints it.

    Raises:
        InputError: it is not one on this machine.
    """
    try:
        parts = urlsplit(url)
        port = parts.port if parts.port is not None else 80
    except ValueError:
        port = 0
    if not port or parts.scheme != "http" or parts.hostname not in {LOOPBACK, "localhost"}:
        raise InputError(
            "PKIOPS_SANDBOX_URL is not the URL of a sandbox on this machine",
            hint=f"it looks like http://{LOOPBACK}:4599; or say which one with --port",
            code="sandbox.url",
        )
    return port


def _parsed(port: int, document: Any) -> SandboxStatus | None:
    if not isinstance(document, dict) or document.get("service") != "pkiops sandbox":
        return None
    instance, time = str(document["instance"]), int(document["time"])
    if not _INSTANCE.fullmatch(instance) or not 0 <= time <= _LAST_SECOND:
        return None
    status = SandboxStatus(
        url=f"http://{LOOPBACK}:{port}",
        version=str(document["version"]),
        pid=int(document["pid"]),
        instance=instance,
        time=time,
        ahead_seconds=int(document["ahead_seconds"]),
        state_file=None if document["state_file"] is None else str(document["state_file"]),
        authorities=tuple(_authorities(each) for each in document["authorities"]),
        calls=tuple(Calls(str(c["service"]), str(c["operation"]), int(c["count"])) for c in document["calls"]),
        faults_pending=tuple(str(each) for each in document["faults_pending"]),
    )
    # whoever listens there may say what they like, and it ends up on a terminal
    return status if all(text.isprintable() for text in _texts(status)) else None


def _texts(status: SandboxStatus) -> Iterator[str]:
    yield from (status.version, status.state_file or "", *status.faults_pending)
    for authorities in status.authorities:
        yield from (authorities.account, authorities.region, *authorities.states)
    for calls in status.calls:
        yield from (calls.service, calls.operation)


def _authorities(found: Any) -> Authorities:
    states = {str(state): int(count) for state, count in found["states"].items()}
    return Authorities(
        str(found["account"]),
        str(found["region"]),
        int(found["count"]),
        states,
        int(found["certificates"]),
        int(found["crls"]),
    )


def advance(port: int, by: str, *, timeout: float = 120.0) -> SandboxStatus:
    """Move the clock of the sandbox on a port ahead, and say what it says of itself afterwards.

    Args:
        port: where it listens.
        by: ``45s``, ``300d`` or ``10y``.
        timeout: seconds; what time brings (new CRLs) happens before the answer.

    Raises:
        InputError: no such duration.
        NotFound: no sandbox listens there.
        Unreachable: it did not answer.
    """
    span(by)
    found = ask(port)
    if found is None:
        raise not_running(port)
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout)
    try:
        headers = {"Content-Type": "application/json", "X-Pkiops-Sandbox": found.instance}
        connection.request("POST", ADVANCE_PATH, json.dumps({"by": by}), headers)
        answer = connection.getresponse()
        document = json.loads(answer.read(_MAX_ANSWER))
        status = _parsed(port, document) if answer.status == http.HTTPStatus.OK else None
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreachable(f"the sandbox on port {port} did not answer: {error}") from error
    finally:
        connection.close()
    if status is None:
        raise InputError(f"the sandbox on port {port} refused: {_refusal_text(document)}", code="sandbox.advance")
    return status


def _refusal_text(document: object) -> str:
    said = document.get("error") if isinstance(document, dict) else None
    return (said if isinstance(said, str) else str(document))[:500]
