"""A CRL from a URL: http or https, bounded in size and time.

What this module decides: which URLs are followed (no other schemes, no credentials, redirects within the same scheme
only), where the connection goes (another host and port may stand in for the URL's, as with ``curl --connect-to``),
and how much is read. What was fetched is not believed: that is ``check.py``'s business.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from pkiops.clock import Clock
from pkiops.connecting import connect, remaining
from pkiops.errors import BackendError, InputError, NotFound, Unreachable

MAX_BYTES = 128 * 1024 * 1024
_MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PIECE = 65_536
_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")


@dataclass(frozen=True, slots=True)
class ConnectTo:
    """Where to connect in place of the URL's own host and port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer over HTTP: names of headers in lower case, ``location`` of a redirect, and the body of a 200, empty else."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    location: str | None = None


def is_url(text: str) -> bool:
    """Whether a word of the command line means a URL and not a file."""
    return text.lower().startswith(("http://", "https://"))


def download(url: str, clock: Clock, *, connect_to: ConnectTo | None = None, timeout: float = 30.0) -> bytes:
    """The body behind a URL.

    Args:
        url: ``http://`` or ``https://``.
        clock: measures the time.
        connect_to: connect there; the URL's host is still the one that is asked for.
        timeout: seconds for everything together.

    Raises:
        InputError: the URL is none, or what it leads to is larger than 128 MiB.
        NotFound: HTTP 404, or 403, which is what S3 says about an object that is not there.
        Unreachable: no connection, no answer in time, or it was cut off.
        BackendError: any other HTTP status.
    """
    deadline = clock.monotonic() + timeout
    scheme = _split(url).scheme
    for _ in range(_MAX_REDIRECTS + 1):
        parts = _split(url)
        if parts.scheme != scheme:
            raise InputError(f"{url}: a redirect to another scheme is not followed", code="crl.url")
        answer = _asked(parts, url, clock, deadline, connect_to)
        if answer.location is None:
            _require_ok(answer.status, url)
            return answer.body
        url = _redirected(url, answer.location)
    raise Unreachable(f"{url}: too many redirects", code="crl.redirects")


def ask_once(url: str, clock: Clock, *, connect_to: ConnectTo | None = None, timeout: float = 30.0) -> Answer:
    """What is answered at a URL, whatever it is: no redirect is followed. Arguments are those of ``download``.

    Raises:
        InputError: the URL is none, or what is there is larger than 128 MiB.
        Unreachable: no connection, no answer in time, or it was cut off.
    """
    return _asked(_split(url), url, clock, clock.monotonic() + timeout, connect_to)


def _asked(parts: SplitResult, url: str, clock: Clock, deadline: float, connect_to: ConnectTo | None) -> Answer:
    try:
        return _request(parts, clock, deadline, connect_to)
    except (
        OSError,
        http.client.HTTPException,
        UnicodeError,
    ) as error:  # the last: a label of the host is empty or too long
        raise Unreachable(
            f"cannot fetch {url}: {getattr(error, 'strerror', None) or str(error) or type(error).__name__}",
            hint=f"does anything listen at {connect_to.host}:{connect_to.port}?"
            if connect_to
            else "does anybody serve this host yet? On a sandbox: --connect-to and its address, such as 127.0.0.1:4599",
            code="crl.unreachable",
        ) from error


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InputError(f"not a URL: {url!r}", code="crl.url") from error
    host = parts.hostname or ""
    plain = parts.username is None and parts.password is None and url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(host) or port == 0 or not plain:
        raise InputError(f"not an http or https URL without credentials: {url!r}", code="crl.url")
    return parts


def _redirected(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise InputError(f"{url}: a redirect to {location!r}, which is not a URL", code="crl.url") from error


def _request(parts: SplitResult, clock: Clock, deadline: float, connect_to: ConnectTo | None) -> Answer:
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    where = (connect_to.host, connect_to.port) if connect_to else (host, port)
    connection = http.client.HTTPConnection(host, port)
    try:
        connected = connect(where, clock, deadline)
        connection.sock = connected
        if secure:
            connected = ssl.create_default_context().wrap_socket(connected, server_hostname=host)
            connection.sock = connected
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", parts.netloc)
        connection.putheader("Accept", "application/pkix-crl, */*")
        connection.putheader("User-Agent", "pkiops")
        connection.endheaders()
        with _response(connected, clock, deadline) as response:
            location = response.getheader("Location") if response.status in _REDIRECTS else None
            body = _body(response, parts.geturl()) if response.status == 200 else b""
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, headers, body, location or None)
    finally:
        connection.close()


def _require_ok(status: int, url: str) -> None:
    if status in {403, 404}:
        raise NotFound(
            f"{url} answered HTTP {status}",
            hint="the service writes the first CRL of a CA when the first certificate that points to it is issued",
            code="crl.not-found",
        )
    if status != 200:
        raise BackendError(f"{url} answered HTTP {status}", code="crl.http-status")


class _UntilDeadline(io.RawIOBase):
    """What a socket says until the deadline; a timeout of the socket itself starts anew with every byte that drips in."""

    def __init__(self, connected: socket.socket, clock: Clock, deadline: float) -> None:
        self._socket = connected
        self._clock = clock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(remaining(self._clock, self._deadline))
        return self._socket.recv_into(buffer)


def _response(connected: socket.socket, clock: Clock, deadline: float) -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(connected, method="GET")
    response.fp.close()
    response.fp = io.BufferedReader(_UntilDeadline(connected, clock, deadline))
    response.begin()
    return response


def _body(response: http.client.HTTPResponse, url: str) -> bytes:
    expected = response.length
    pieces: list[bytes] = []
    size = 0
    while True:
        piece = response.read1(_PIECE)
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BYTES:
            raise InputError(f"{url} is larger than {MAX_BYTES} bytes", code="crl.too-big")
    if expected is not None and size != expected:
        raise http.client.IncompleteRead(b"", expected - size)
    return b"".join(pieces)
