"""The sandbox as a server: moto's services, our Private CA, and the hosts of CRLs, on one loopback port.

What this module decides:

- one request at a time reaches moto: its conditional writes are not atomic, AWS's are;
- every answer carries the sandbox's time in ``Date``, so that clients can follow a clock that was moved;
- an unsigned GET for the host of a CA's CRL is answered out of the bucket, as the CDN in front of it would, and unsigned
  requests for the host of a CA's OCSP responder by ``ocsp_http``;
- ``/_pkiops/sandbox`` says who is listening, for whoever wants to see or end it.
"""

from __future__ import annotations

import contextlib
import email.utils
import functools
import io
import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from moto.core.base_backend import BackendDict
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler
from werkzeug.serving import BaseWSGIServer, make_server

from pkiops import __version__
from pkiops.clock import Clock, Randomness, SystemRandomness
from pkiops.sandbox.engine import crl, crl_locations
from pkiops.sandbox.engine.settings import Settings
from pkiops.sandbox.engine.state import Pace
from pkiops.sandbox.moto_adapter import Sandbox, plugged_in
from pkiops.sandbox.ocsp_http import ocsp_answer
from pkiops.sandbox.process import LOOPBACK, STATUS_PATH, port_taken
from pkiops.sandbox.unimplemented import moto_application

_BACKLOG = 128
_MAX_BODY = 64 * 1024 * 1024
_Answer = Callable[[str, list[tuple[str, str]], bytes], list[bytes]]


class _Handler(MotoRequestHandler):
    """Quiet, with the application's ``Date``, and connections that stay open.

    werkzeug's own ``run_wsgi`` closes every connection, because it cannot know whether the body was read; here the application
    always reads it.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave in one segment

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
        environ = self.make_environ()
        # the end of a chunked body, or of one that was refused, is not known to be consumed
        self.close_connection |= bool(environ.get("wsgi.input_terminated"))
        status, headers, data = _run(self.server.app, environ)
        self.close_connection |= status.startswith("413")
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()


def _run(application: Any, environ: WSGIEnvironment) -> tuple[str, list[tuple[str, str]], bytes]:
    """Call a WSGI application and take its whole answer."""
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


class _Router(DomainDispatcherApplication):
    """moto's choice of a service for a request, without its look through moto's folder for every request."""

    def __init__(self, create_app: Callable[[Any], Any]) -> None:
        super().__init__(create_app)
        self._service_of_host = functools.lru_cache(maxsize=1024)(super().get_backend_for_host)

    def get_backend_for_host(self, host: str | None) -> Any:
        return self._service_of_host(host)


class Application:
    """The WSGI application of the sandbox."""

    def __init__(self, sandbox: Sandbox, instance: str) -> None:
        self._sandbox = sandbox
        self._instance = instance
        self._moto = _Router(moto_application)
        self._swept_at: datetime | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = _read_body(environ)
        if body is None:
            return self._respond(environ, start_response)("413 Content Too Large", [], b"")
        environ["wsgi.input"] = io.BytesIO(body)
        if body or "CONTENT_LENGTH" in environ:
            environ["CONTENT_LENGTH"] = str(len(body))
        if environ.get("PATH_INFO") == STATUS_PATH:
            return self._status(environ, start_response)
        with self._sandbox.lock:
            self._let_time_pass(environ)
            answered = None if "HTTP_AUTHORIZATION" in environ else ocsp_answer(self._sandbox, environ, body)
            if answered is not None:
                return self._respond(environ, start_response)(*answered)
            published = self._published(environ)
            if published is not None:
                return self._crl(environ, start_response, published)
            return self._through_moto(environ, start_response)

    def _let_time_pass(self, environ: WSGIEnvironment) -> None:
        """Let happen in every Region what time brings: once for each second of it, and after each call that may have changed something.

        A call of Private CA does so for its own Region, which is the only one it can see.
        """
        now = self._sandbox.clock.now()
        if environ.get("HTTP_X_AMZ_TARGET", "").startswith("ACMPrivateCA."):
            self._swept_at = None
        elif now != self._swept_at:
            for region in self._sandbox.regions():
                self._sandbox.service.maintain(region)
            self._swept_at = now

    def _through_moto(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        status, headers, data = _run(self._moto, environ)
        return self._respond(environ, start_response)(status, headers, data)

    def _respond(self, environ: WSGIEnvironment, start_response: StartResponse) -> _Answer:
        def respond(status: str, headers: list[tuple[str, str]], data: bytes) -> list[bytes]:
            date = email.utils.format_datetime(self._sandbox.clock.now(), usegmt=True)
            kept = [(name, value) for name, value in headers if name.lower() not in {"date", "content-length"}]
            # the answer to HEAD keeps the length of what GET would give
            lengths = [value for name, value in headers if name.lower() == "content-length"]
            is_head = environ.get("REQUEST_METHOD") == "HEAD"
            length = lengths[0] if is_head and lengths else str(len(data))
            if not status.startswith(("204", "304")):
                kept.append(("Content-Length", length))
            start_response(status, [*kept, ("Date", date)])
            return [] if is_head else [data]

        return respond

    def _status(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        regions = self._sandbox.regions()
        document = {
            "service": "pkiops sandbox",
            "version": __version__,
            "pid": os.getpid(),
            "instance": self._instance,
            "time": int(self._sandbox.clock.now().timestamp()),
            "authorities": [
                {"account": region.account, "region": region.name, "count": len(region.authorities)}
                for region in regions
                if region.authorities
            ],
        }
        data = json.dumps(document).encode()
        return self._respond(environ, start_response)("200 OK", [("Content-Type", "application/json")], data)

    def _published(self, environ: WSGIEnvironment) -> tuple[str, str] | None:
        """Bucket and key, if this is an unsigned GET for a host that CRLs are served under."""
        signed = "HTTP_AUTHORIZATION" in environ or "X-Amz-Signature" in environ.get("QUERY_STRING", "")
        if signed or environ.get("REQUEST_METHOD") not in {"GET", "HEAD"}:
            return None
        host = environ.get("HTTP_HOST", "").partition(":")[0].lower()
        for region in self._sandbox.regions():
            for authority in region.authorities.values():
                if host in crl_locations.hosts(authority, region):
                    bucket = str(authority.crl_configuration["S3BucketName"])
                    return bucket, environ.get("PATH_INFO", "").lstrip("/")
        return None

    def _crl(self, environ: WSGIEnvironment, start_response: StartResponse, where: tuple[str, str]) -> list[bytes]:
        bucket, key = where
        data = self._sandbox.buckets.read(bucket, key) if key.endswith(".crl") else None
        respond = self._respond(environ, start_response)
        if data is None:
            return respond("404 Not Found", [("Content-Type", "text/plain")], b"no such CRL\n")
        headers = [("Content-Type", crl.CONTENT_TYPE), ("Content-Length", str(len(data)))]
        return respond("200 OK", headers, data)


def _read_body(environ: WSGIEnvironment) -> bytes | None:
    """The body of a request, or None if it is larger than anything sensible."""
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        data = stream.read(_MAX_BODY + 1)
    else:
        length = environ.get("CONTENT_LENGTH") or "0"
        if not length.isdigit() or int(length) > _MAX_BODY:
            return None
        data = stream.read(int(length))
    return None if len(data) > _MAX_BODY else bytes(data)


class SandboxServer:
    """A bound server. ``serve`` blocks; ``shutdown`` ends it from another thread."""

    def __init__(self, server: BaseWSGIServer, instance: str) -> None:
        self._server = server
        self.instance = instance
        self.port = int(server.server_address[1])
        self.url = f"http://{LOOPBACK}:{self.port}"

    def serve(self) -> None:
        """Answer requests until ``shutdown``."""
        self._server.serve_forever(poll_interval=0.1)

    def shutdown(self) -> None:
        """Make ``serve`` return; safe from any other thread."""
        self._server.shutdown()


@contextlib.contextmanager
def bound_server(
    port: int,
    *,
    clock: Clock | None = None,
    randomness: Randomness | None = None,
    pace: Pace | None = None,
    settings: Settings | None = None,
) -> Iterator[SandboxServer]:
    """A sandbox bound to a loopback port (0: a free one), with empty state; everything is forgotten at the end.

    Raises:
        InputError: the port is taken.
        InternalError: a sandbox runs in this process already, or moto does not fit.
    """
    randomness = randomness or SystemRandomness()
    with plugged_in(clock=clock, randomness=randomness, pace=pace, settings=settings) as sandbox:
        BackendDict.reset()
        instance = randomness.token_bytes(16).hex()
        server = _bind(port, Application(sandbox, instance))
        try:
            yield SandboxServer(server, instance)
        finally:
            server.server_close()
            BackendDict.reset()


def _bind(port: int, application: Application) -> BaseWSGIServer:
    # bound here, because werkzeug ends the process when a port is taken
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
            listener.listen(_BACKLOG)
        except OSError as error:
            raise port_taken(port) from error
        return make_server(LOOPBACK, port, application, threaded=True, request_handler=_Handler, fd=listener.fileno())
