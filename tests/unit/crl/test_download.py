"""Fetching a CRL from a URL whose server may be slow, large, wrong or hostile."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from pkiops.clock import SystemClock
from pkiops.crl.download import ConnectTo, download
from pkiops.errors import BackendError, InputError, NotFound, Unreachable

CLOCK = SystemClock()
ANSWERS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/ca.crl": (200, {}, b"the crl"),
    "/ca.crl?x=1": (200, {}, b"with a query"),
    "/none": (404, {}, b"no"),
    "/hidden": (403, {}, b"no"),
    "/broken": (500, {}, b"no"),
    "/moved": (302, {"Location": "/ca.crl"}, b""),
    "/loop": (302, {"Location": "/loop"}, b""),
    "/to-https": (302, {"Location": "https://127.0.0.1/x"}, b""),
    "/to-nowhere": (302, {"Location": "http://[::/"}, b""),
    "/to-file": (302, {"Location": "file:///etc/passwd"}, b""),
    "/cut": (200, {"Content-Length": "100"}, b"short"),
}


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, headers, body = ANSWERS[self.path]
        if self.path == "/ca.crl" and self.headers["Host"] == "pki.example.com":
            body = b"for pki.example.com"
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join(timeout=10)


@contextmanager
def raw_server(answer: bytes) -> Iterator[str]:
    """Sends ``answer`` and then stays silent with the connection open."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def serve() -> None:
            connection, _ = listener.accept()
            held.append(connection)
            connection.recv(4096)
            connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/ca.crl"
        thread.join(timeout=10)
        for connection in held:
            connection.close()


def test_what_the_server_has(server: str) -> None:
    assert download(f"{server}/ca.crl", CLOCK) == b"the crl"
    assert download(f"{server}/ca.crl?x=1", CLOCK) == b"with a query"
    assert download(f"{server}/moved", CLOCK) == b"the crl"


def test_another_place_can_stand_in_for_the_host(server: str) -> None:
    port = int(server.rpartition(":")[2])
    found = download("http://pki.example.com/ca.crl", CLOCK, connect_to=ConnectTo("127.0.0.1", port))
    assert found == b"for pki.example.com"


@pytest.mark.parametrize(
    ("path", "error", "code"),
    [
        ("/none", NotFound, "crl.not-found"),
        ("/hidden", NotFound, "crl.not-found"),
        ("/broken", BackendError, "crl.http-status"),
        ("/loop", Unreachable, "crl.redirects"),
        ("/to-https", InputError, "crl.url"),
        ("/to-file", InputError, "crl.url"),
        ("/to-nowhere", InputError, "crl.url"),
        ("/cut", Unreachable, "crl.unreachable"),
    ],
)
def test_other_answers_are_errors(server: str, path: str, error: type[Exception], code: str) -> None:
    with pytest.raises(error) as caught:
        download(f"{server}{path}", CLOCK)
    assert getattr(caught.value, "code", None) == code


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.com/x",
        "http://",
        "http:///x",
        "http://user:secret@example.com/x",
        "http://example.com:99999/x",
        "http://example.com:0/x",
        "http://example.com/a b",
        "http://example.com/a\r\nX: y",
        "http://exa\u0301mple.com/",
        "http://[::1/x",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(InputError):
        download(url, CLOCK)


@pytest.mark.parametrize("host", ["a..b", "...", "a" * 64 + ".example.com"])
def test_a_host_that_can_have_no_name_is_not_reached(host: str) -> None:
    with pytest.raises(Unreachable):
        download(f"http://{host}/", CLOCK)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable):
        download(f"http://127.0.0.1:{port}/", CLOCK)


def test_addresses_that_do_not_answer_leave_time_for_those_that_do(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(server.rpartition(":")[2])
    with socket.socket() as full:  # its queue is full, so that what comes next is neither accepted nor refused
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        queued = [socket.socket() for _ in range(4)]
        for one in queued:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", full.getsockname()),
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        began = time.monotonic()
        assert download("http://many.example.com/ca.crl", CLOCK, timeout=3) == b"the crl"
        assert time.monotonic() - began < 3
        found[1] = found[0]
        with pytest.raises(Unreachable):
            download("http://many.example.com/ca.crl", CLOCK, timeout=1)
        assert time.monotonic() - began < 6
        for one in queued:
            one.close()


def test_a_silent_server_is_not_waited_for() -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc") as url, pytest.raises(Unreachable):
        download(url, CLOCK, timeout=0.5)


@contextmanager
def dripping_server(start: bytes, drop: bytes) -> Iterator[str]:
    """Sends ``start``, and then ``drop`` ten times a second, six seconds long."""
    over = threading.Event()
    sent: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(4096)
                connection.sendall(start)
                while len(sent) < 60 and not over.wait(0.1):
                    connection.sendall(drop)
                    sent.append(drop)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/ca.crl"
        over.set()
        thread.join(timeout=10)


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"X: y\r\n"),
    ],
)
def test_a_server_that_drips_is_not_waited_for(start: bytes, drop: bytes) -> None:
    with dripping_server(start, drop) as url:
        started = CLOCK.monotonic()
        with pytest.raises(Unreachable):
            download(url, CLOCK, timeout=0.5)
        assert CLOCK.monotonic() - started < 4


def test_what_is_no_http_is_an_error() -> None:
    with raw_server(b"\x15\x03\x01\x00\x02\x02\x28\r\n") as url, pytest.raises(Unreachable):
        download(url, CLOCK, timeout=2)
