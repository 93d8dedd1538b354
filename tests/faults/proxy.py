"""An HTTP proxy between pkiops and the sandbox that counts calls, and makes trouble or does something else right before or after one.

It changes nothing in either: pkiops is pointed at it as at any endpoint. ``before``, and of a lost request, means that it never reached the
service; ``after``, and of a lost answer or a kill, that the service carried it out and the answer never reached pkiops. Told to, it puts other
words into the mouth of either: ``request`` and ``answer`` make of the sandbox a service that behaves differently.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

from pkiops.sandbox.calls import Call, identify
from tests.faults.trouble import Arrived, Fault, Trouble, answer_of

_OF_THE_REQUEST = frozenset({"expect", "content-length"})
_OF_THE_ANSWER = frozenset({"connection", "transfer-encoding"})
_OF_THE_BODY = frozenset({"content-length", "etag", "x-amz-checksum-crc32"})
Moment = Literal["before", "after"]


@dataclass
class Trigger:
    """What happens at which call."""

    call: int
    moment: Moment
    action: Callable[[], None]


@dataclass
class FaultyProxy:
    """The proxy as a test sees it: its URL, the calls so far and which of them changed something, an optional trigger, the trouble it makes.

    ``request`` says what becomes of the body of a call, ``answer`` what becomes of status and body of its answer; both are told its name.
    """

    url: str
    target: str
    trigger: Trigger | None = None
    request: Callable[[str, bytes], bytes] = lambda _, body: body
    answer: Callable[[str, int, bytes], tuple[int, bytes]] = lambda _, status, body: (status, body)
    calls: list[str] = field(default_factory=list)
    trouble: Trouble | None = None
    arrived: list[Arrived] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, trouble: Trouble | None = None) -> None:
        """Forget what has arrived, and make this trouble from now on."""
        with self.lock:
            self.trouble = trouble
            self.calls, self.arrived, self.effects = [], [], []

    def arrive(self, name: str, call: Call, body: bytes) -> Arrived:
        with self.lock:
            self.calls.append(name)
            arrived = Arrived(len(self.calls), call, (name, body.hex()))
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
        name = self.headers.get("X-Amz-Target") or f"{self.command} {self.path}"
        arrived = proxy.arrive(name, self._call(body), body)
        trigger = proxy.trigger if proxy.trigger and proxy.trigger.call == arrived.number else None
        if trigger and trigger.moment == "before":
            self._fire(trigger)
            return
        fault = proxy.trouble.strikes(arrived) if proxy.trouble else None
        if fault and self._is_kept_out(fault, arrived.call):
            return
        parts = urlsplit(proxy.target)
        body = proxy.request(name, body)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_THE_REQUEST}
        with closing(http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)) as connection:
            connection.request(self.command, self.path, body=body or None, headers=headers)
            answer = connection.getresponse()
            data = answer.read()
        proxy.carried_out(arrived, answer.status)
        if fault is not None:
            self.close_connection = True
            if proxy.trouble:
                proxy.trouble.after(fault)
            return
        if trigger:
            self._fire(trigger)
            return
        status, changed = proxy.answer(name, answer.status, data)
        self.send_response_only(status)
        dropped = _OF_THE_ANSWER if changed is data else _OF_THE_ANSWER | _OF_THE_BODY
        for header, value in answer.getheaders():
            if header.lower() not in dropped:
                self.send_header(header, value)
        if changed is not data:
            self.send_header("Content-Length", str(len(changed)))
        self.end_headers()
        self.wfile.write(changed)
        self.wfile.flush()

    def _call(self, body: bytes) -> Call:
        parts = urlsplit(self.path)
        host = self.headers.get("Host", "")
        return identify(self.command, host, parts.path, parts.query, lambda name: self.headers.get(name) or "", body)

    def _is_kept_out(self, fault: Fault, call: Call) -> bool:
        """Whether the fault keeps the call from the service; then it is answered as the fault says, or not at all."""
        refusal = answer_of(fault, call)
        if refusal is None:
            self.close_connection = fault is Fault.LOST_REQUEST
            return fault is Fault.LOST_REQUEST
        self.send_response_only(refusal.status)
        for header, value in refusal.headers.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(refusal.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(refusal.body)
        self.wfile.flush()
        return True

    def _fire(self, trigger: Trigger) -> None:
        self.close_connection = True
        trigger.action()

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
