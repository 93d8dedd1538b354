"""An HTTP proxy between pkiops and the sandbox that counts calls and makes trouble.

It changes nothing in either: pkiops is pointed at it as at any endpoint. A lost request never reached the service; of a lost answer, and
before a kill, the service carried the call out.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from pkiops.sandbox.calls import identify
from tests.faults.trouble import Arrived, Fault, StrikesOne, Trouble, answer_of

_CLOSES = {Fault.LOST_ANSWER, Fault.KILLED}


@dataclass
class FaultyProxy:
    """The proxy as a test sees it: its URL, what has arrived, what of it changed something, and the trouble it makes."""

    url: str
    target: str
    trouble: Trouble | None = None
    arrived: list[Arrived] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, trouble: Trouble | None = None) -> None:
        """Forget what has arrived, and make this trouble from now on."""
        with self.lock:
            self.trouble = trouble
            self.arrived = []
            self.effects = []

    def arrive(self, call: tuple[str, ...], handler: BaseHTTPRequestHandler, body: bytes) -> Arrived:
        parts = urlsplit(handler.path)
        found = identify(
            handler.command,
            handler.headers.get("Host", ""),
            parts.path,
            parts.query,
            lambda name: handler.headers.get(name) or "",
            body,
        )
        with self.lock:
            arrived = Arrived(len(self.arrived) + 1, found, call)
            self.arrived.append(arrived)
            return arrived

    def carried_out(self, arrived: Arrived, status: int) -> None:
        if arrived.changes and status < 300:
            with self.lock:
                self.effects.append(arrived.name)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    proxy: FaultyProxy

    def handle_expect_100(self) -> bool:
        go_on = super().handle_expect_100()
        self.wfile.flush()
        return go_on

    def _forward(self) -> None:
        proxy = self.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        identity = (self.command, self.path, self.headers.get("X-Amz-Target") or "", body.hex())
        arrived = proxy.arrive(identity, self, body)
        trouble = proxy.trouble
        fault = trouble.strikes(arrived) if trouble else None
        if fault is Fault.LOST_REQUEST:
            self.close_connection = True
            return
        refusal = answer_of(fault, arrived.call) if fault else None
        if refusal is not None:
            self._answer(refusal.status, "", list(refusal.headers.items()), refusal.body)
            return
        status, reason, headers, data = self._ask(body)
        proxy.carried_out(arrived, status)
        if fault in _CLOSES:
            self.close_connection = True
            if fault is Fault.KILLED and isinstance(trouble, StrikesOne):
                trouble.kill()
            return
        self._answer(status, reason, headers, data)

    def _ask(self, body: bytes) -> tuple[int, str, list[tuple[str, str]], bytes]:
        parts = urlsplit(self.proxy.target)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
        with closing(http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)) as connection:
            connection.request(self.command, self.path, body=body or None, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.reason, answer.getheaders(), answer.read()

    def _answer(self, status: int, reason: str, headers: list[tuple[str, str]], data: bytes) -> None:
        left_out = {"connection", "transfer-encoding"}
        kept = [(name, value) for name, value in headers if name.lower() not in left_out]
        if not any(name.lower() == "content-length" for name, _ in kept):
            kept.append(("Content-Length", str(len(data))))
        self.send_response_only(status, reason)
        for name, value in kept:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _forward

    def log_message(self, format: str, *args: object) -> None:
        del format, args


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        del request, client_address  # clients are killed on purpose here


@contextmanager
def faulty_proxy(target: str) -> Iterator[FaultyProxy]:
    """A proxy on a free loopback port in front of ``target``."""
    proxy = FaultyProxy(url="", target=target)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    server = _Server(("127.0.0.1", 0), handler)
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
