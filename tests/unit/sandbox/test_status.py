"""What a stranger on a loopback port says of itself is no sandbox unless it could be one."""

from __future__ import annotations

import http.server
import json
import threading
from typing import Any

import pytest

from pkiops.sandbox.status import ask

GOOD: dict[str, Any] = {
    "service": "pkiops sandbox",
    "version": "0.1.0",
    "pid": 7,
    "instance": "0" * 32,
    "time": 1_795_000_000,
    "ahead_seconds": 0,
    "state_file": None,
    "authorities": [
        {
            "account": "123456789012",
            "region": "eu-west-1",
            "count": 2,
            "states": {"ACTIVE": 2},
            "certificates": 3,
            "crls": 2,
        }
    ],
    "calls": [{"service": "acm-pca", "operation": "IssueCertificate", "count": 3}],
    "faults_pending": ["*:1:before:drop"],
}


def asked(body: bytes) -> object:
    """What ``ask`` makes of a server that answers with ``body``."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            del args

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request, daemon=True)
        thread.start()
        try:
            return ask(int(server.server_address[1]))
        finally:
            thread.join(timeout=10)


def test_a_sandbox_is_heard() -> None:
    assert asked(json.dumps(GOOD).encode()) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"service": "another"},
        {"instance": "7"},
        {"version": "\x1b]0;owned\x07"},
        {"time": 10**14},
        {"time": -1},
        {"time": float("inf")},
        {"authorities": [{**GOOD["authorities"][0], "region": "\x1b[2J"}]},
        {"authorities": [{**GOOD["authorities"][0], "states": {"\x1b[2J": 1}}]},
        {"calls": [{"service": "\x1b[2J", "operation": "x", "count": 1}]},
        {"faults_pending": ["\x1b[2J"]},
        {"authorities": 5},
    ],
)
def test_what_no_sandbox_says_is_not_believed(change: dict[str, Any]) -> None:
    assert asked(json.dumps({**GOOD, **change}).encode()) is None


@pytest.mark.parametrize("body", [b"", b"null", b"[" * 100_000, b'{"service": "pkiops sandbox"}'])
def test_other_answers_are_no_sandbox(body: bytes) -> None:
    assert asked(body) is None
