"""The sandbox as a server: moto's services, our Private CA, and the hosts of CRLs, on one loopback port.

What this module decides:

- one request at a time reaches moto: its conditional writes are not atomic, AWS's are;
- every answer carries the sandbox's time in ``Date``, so that clients can follow a clock that was moved;
- unsigned requests for the host of a CA's CRL are answered by ``crl_hosts``, for that of its OCSP responder by ``ocsp_http``;
- what hinders calls (``traffic``) is passed before that, and what they changed is kept (``state_file``) before they are answered;
- ``/_pkiops/sandbox`` is for its owner (``control``).
"""

from __future__ import annotations

import contextlib
import email.utils
import functools
import http
import io
import socket
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from moto.core.base_backend import BackendDict
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from werkzeug.serving import BaseWSGIServer, make_server

from pkiops.clock import Clock, Randomness, SystemClock, SystemRandomness
from pkiops.sandbox import gate
from pkiops.sandbox.calls import Call, Refused, identify
from pkiops.sandbox.control import Control
from pkiops.sandbox.crl_hosts import crl_answer
from pkiops.sandbox.engine.settings import Settings
from pkiops.sandbox.engine.state import Pace
from pkiops.sandbox.http_handler import Answer, Handler, run_application
from pkiops.sandbox.iam_needs import WireRequest
from pkiops.sandbox.moto_adapter import Sandbox, plugged_in
from pkiops.sandbox.ocsp_http import ocsp_answer
from pkiops.sandbox.process import port_taken
from pkiops.sandbox.request_body import BodyRefused, read_body
from pkiops.sandbox.state_codec import Unkeepable
from pkiops.sandbox.state_file import StateKeeper, held, may_change
from pkiops.sandbox.status import LOOPBACK, STATUS_PATH
from pkiops.sandbox.time_travel import MovableClock
from pkiops.sandbox.traffic import PRIVATE_CA, Hindrances
from pkiops.sandbox.unimplemented import moto_application

_BACKLOG = 128
_CLOSE = ("Connection", "close")
_Answer = Callable[[str, list[tuple[str, str]], bytes], list[bytes]]


class _Router(DomainDispatcherApplication):
    """moto's choice of a service for a request, without its look through moto's folder for every request."""

    def __init__(self, create_app: Callable[[Any], Any]) -> None:
        super().__init__(create_app)
        self._service_of_host = functools.lru_cache(maxsize=1024)(super().get_backend_for_host)

    def get_backend_for_host(self, host: str | None) -> Any:
        return self._service_of_host(host)


class Application:
    """The WSGI application of the sandbox."""

    def __init__(self, sandbox: Sandbox, control: Control, keeper: StateKeeper | None = None) -> None:
        self._sandbox = sandbox
        self._control = control
        self._keeper = keeper
        self._moto = _Router(moto_application)
        self._swept_at: datetime | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        respond = self._respond(environ, start_response)
        try:
            body = read_body(
                environ["wsgi.input"],
                length=environ.get("CONTENT_LENGTH") or "",
                chunked=bool(environ.get("wsgi.input_terminated")),
            )
        except BodyRefused as refused:
            return respond(refused.status, [_CLOSE], b"")
        environ["wsgi.input"] = io.BytesIO(body)
        if body or "CONTENT_LENGTH" in environ:
            environ["CONTENT_LENGTH"] = str(len(body))
        path, method = environ.get("PATH_INFO", ""), environ.get("REQUEST_METHOD", "")
        if path == STATUS_PATH or path.startswith(f"{STATUS_PATH}/"):
            with self._sandbox.lock:
                answered = self._control.answer(method, path, environ.get("HTTP_X_PKIOPS_SANDBOX", ""), body)
                self._sweep()
            unsaved = self._unsaved() if method == "POST" else None
            return respond(*(unsaved or answered))
        with self._sandbox.lock:
            published = self._publication(environ, body)
        if published is not None:
            return respond(*published)
        return respond(*self._called(environ, body))

    def _called(self, environ: WSGIEnvironment, body: bytes) -> Answer:
        """A call of an AWS API, past what hinders calls.

        Raises:
            Dropped: the connection is to be closed.
        """
        unreadable = gate.refusal(
            environ.get("REQUEST_METHOD", ""),
            environ.get("PATH_INFO", ""),
            functools.partial(_header, environ),
            body,
            self._sandbox.region_names,
        )
        if unreadable is not None:
            return unreadable
        call = identify(
            environ.get("REQUEST_METHOD", ""),
            environ.get("HTTP_HOST", ""),
            environ.get("PATH_INFO", ""),
            environ.get("QUERY_STRING", ""),
            functools.partial(_header, environ),
            body,
        )
        traffic = self._sandbox.traffic
        hindered = traffic.arrive(call)
        if isinstance(hindered, Refused):
            return _refusal(hindered)
        with self._sandbox.lock:
            self._let_time_pass(call)
            denied = self._sandbox.denial(call, _wire_request(environ, body))
            answered = _refusal(denied) if denied else run_application(self._moto, environ)
        unsaved = self._unsaved() if may_change(call, int(answered[0].partition(" ")[0])) else None
        if unsaved is not None:
            return unsaved
        return answered if hindered is None else _refusal(traffic.strike(hindered, call))

    def _unsaved(self) -> Answer | None:
        """Save what has happened; an answer that says so if that is not possible."""
        try:
            if self._keeper is not None:
                self._keeper.settle()
        except (OSError, Unkeepable) as error:
            text = f"the state file cannot be written: {error}\n"
            return "500 Internal Server Error", [("Content-Type", "text/plain")], text.encode()
        return None

    def _let_time_pass(self, call: Call) -> None:
        """Let happen in every Region what time brings: once for each second of it, and after each call that may have changed something.

        A call of Private CA does so for its own Region, which is the only one it can see.
        """
        if call.service == PRIVATE_CA:
            self._swept_at = None
        elif self._sandbox.clock.now() != self._swept_at:
            self._sweep()

    def _sweep(self) -> None:
        for region in self._sandbox.regions():
            self._sandbox.service.maintain(region)
        self._swept_at = self._sandbox.clock.now()

    def _publication(self, environ: WSGIEnvironment, body: bytes) -> Answer | None:
        """The answer of an OCSP responder or of a host of CRLs, if the request is for one."""
        if "HTTP_AUTHORIZATION" in environ:
            return None
        if self._sandbox.clock.now() != self._swept_at:
            self._sweep()
        answered = ocsp_answer(self._sandbox, environ, body)
        return crl_answer(self._sandbox, environ) if answered is None else answered

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


def _wire_request(environ: WSGIEnvironment, body: bytes) -> WireRequest:
    path = str(environ.get("PATH_INFO", "")).encode("latin-1").decode("utf-8", "replace")
    method, host = str(environ.get("REQUEST_METHOD", "")), str(environ.get("HTTP_HOST", ""))
    query = str(environ.get("QUERY_STRING", ""))
    return WireRequest(method, host, path, query, functools.partial(_header, environ), body)


def _header(environ: WSGIEnvironment, name: str) -> str:
    key = name.upper().replace("-", "_")
    return str(environ.get(key if key == "CONTENT_TYPE" else f"HTTP_{key}", ""))


def _refusal(refused: Refused) -> Answer:
    try:
        reason = http.HTTPStatus(refused.status).phrase
    except ValueError:
        reason = "Refused"
    return f"{refused.status} {reason}", list(refused.headers.items()), refused.body


class SandboxServer:
    """A bound server. ``serve`` blocks; ``shutdown`` ends it from another thread."""

    def __init__(self, server: BaseWSGIServer, control: Control, clock: MovableClock, sandbox: Sandbox) -> None:
        self._server = server
        self.instance = control.instance
        self.clock = clock
        self.sandbox = sandbox
        self.port = int(server.server_address[1])
        self.url = f"http://{LOOPBACK}:{self.port}"
        sandbox.traffic.on_stop = self._stop

    def serve(self) -> None:
        """Answer requests until ``shutdown``."""
        self._server.serve_forever(poll_interval=0.1)

    def shutdown(self) -> None:
        """Make ``serve`` return; safe from any other thread."""
        self._server.shutdown()

    def _stop(self) -> None:
        """Refuse all connections from now on, as a server that is gone does."""
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def bound_server(
    port: int,
    *,
    clock: Clock | None = None,
    randomness: Randomness | None = None,
    pace: Pace | None = None,
    settings: Settings | None = None,
    hindrances: Hindrances | None = None,
    state_file: Path | None = None,
    patience: float = 60.0,
) -> Iterator[SandboxServer]:
    """A sandbox bound to a loopback port (0: a free one); it is empty, or as its state file says, and everything else is forgotten at the end.

    Who sends nothing for ``patience`` seconds, in a request or between two, is let go.

    Raises:
        InputError: the port is taken, or the state file cannot be used.
        GuardRefused: others may read the state file.
        InternalError: a sandbox runs in this process already, or moto does not fit.
    """
    movable = MovableClock(clock or SystemClock())
    with contextlib.ExitStack() as stack:
        if state_file is not None:
            stack.enter_context(held(state_file))
        sandbox = stack.enter_context(
            plugged_in(clock=movable, randomness=randomness, pace=pace, settings=settings, hindrances=hindrances)
        )
        BackendDict.reset()
        stack.callback(BackendDict.reset)
        keeper = StateKeeper(state_file, sandbox, movable) if state_file else None
        if keeper is not None:
            keeper.load()
            stack.callback(keeper.settle)
        # never seeded: it proves that a process is the one that was started
        instance = SystemRandomness().token_bytes(16).hex()
        control = Control(sandbox, movable, instance, str(state_file) if state_file else None)
        server = _bind(port, Application(sandbox, control, keeper), patience)
        stack.callback(server.server_close)
        yield SandboxServer(server, control, movable, sandbox)


def _bind(port: int, application: Application, patience: float) -> BaseWSGIServer:
    handler = type("PatientHandler", (Handler,), {"timeout": patience})
    # bound here, because werkzeug ends the process when a port is taken
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
            listener.listen(_BACKLOG)
        except OSError as error:
            raise port_taken(port) from error
        return make_server(LOOPBACK, port, application, threaded=True, request_handler=handler, fd=listener.fileno())
