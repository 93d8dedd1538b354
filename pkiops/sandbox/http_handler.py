"""One connection of the sandbox's server: HTTP/1.1 that stays open, and the end of it where an answer is withheld.

What this module decides: how the application's answer is written, and when a connection ends. Nothing of AWS is known here.
"""

from __future__ import annotations

import contextlib
import http
import socket
from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIEnvironment

from moto.moto_server.werkzeug_app import MotoRequestHandler

from pkiops.sandbox.traffic import Dropped

_CLOSE = ("Connection", "close")
Answer = tuple[str, list[tuple[str, str]], bytes]


class Handler(MotoRequestHandler):
    """Quiet, with the application's ``Date``, and connections that stay open.

    werkzeug's own ``run_wsgi`` closes every connection, because it cannot know whether the body was read; here the application
    always reads it.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave in one segment
    default_request_version = "HTTP/1.0"  # the 0.9 of http.server has no status line to refuse with

    def log(self, type: str, message: str, *args: Any) -> None:
        del type, message, args

    def send_response(self, code: int, message: str | None = None) -> None:
        self.send_response_only(code, message)

    def handle_expect_100(self) -> bool:
        # the client waits a second for this line before it sends its body
        go_on = super().handle_expect_100()
        self.wfile.flush()
        return go_on

    def run_wsgi(self) -> None:
        refused = self._framing_refusal()
        if refused is not None:
            self._refuse(refused)
            return
        try:
            environ = self.make_environ()
        except ValueError:  # a request target that is no URI
            self._refuse(http.HTTPStatus.BAD_REQUEST)
            return
        if environ.get("wsgi.input_terminated"):
            environ["wsgi.input"] = self.rfile  # not werkzeug's reader of chunks; see request_body
        try:
            status, headers, data = run_application(self.server.app, environ)
        except Dropped:
            self.close_connection = True
            with contextlib.suppress(OSError):  # the client may have gone first
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        if _CLOSE in headers:
            headers.remove(_CLOSE)
            self.close_connection = True
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def _framing_refusal(self) -> http.HTTPStatus | None:
        """The status for a request of which two readers could see different ends (RFC 9112 sections 3.2, 5 and 6), or None."""
        encodings = [each.strip().lower() for each in self.headers.get_all("Transfer-Encoding", [])]
        lengths = {each.strip() for each in self.headers.get_all("Content-Length", [])}
        hosts = self.headers.get_all("Host", [])
        if encodings and encodings != ["chunked"]:
            return http.HTTPStatus.NOT_IMPLEMENTED
        ambiguous = len(lengths) + len(encodings) > 1 or self.headers.defects
        if ambiguous or len(hosts) > 1 or (not hosts and self.request_version != "HTTP/1.0"):
            return http.HTTPStatus.BAD_REQUEST
        return None

    def _refuse(self, status: http.HTTPStatus) -> None:
        self.close_connection = True
        self.send_response(status, status.phrase)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.flush()


def run_application(application: Any, environ: WSGIEnvironment) -> Answer:
    """Call a WSGI application and take its whole answer: status line, headers, body."""
    captured: list[tuple[str, list[tuple[str, str]]]] = []

    def capture(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        del exc_info
        captured.append((status, headers))
        return lambda data: None

    answer: Any = application(environ, capture)
    try:
        data = b"".join(answer)
    finally:
        if hasattr(answer, "close"):
            answer.close()
    status, headers = captured[-1]
    return status, headers, data
