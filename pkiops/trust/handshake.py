"""A real mutual TLS handshake with a server, and what came of it.

What this module decides: how a server is knocked at (connect, handshake, a minimal HTTP request, one read), and what
counts as accepted, refused by the server, refused by us, or not reached. In TLS 1.3 a client's handshake is over
before the server has looked at its certificate, so that a refusal arrives at the first read; nginx refuses with an
HTTP page. The words are those of ``explain.py``.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from pkiops.clock import Clock
from pkiops.connecting import connect
from pkiops.errors import InputError
from pkiops.trust.explain import (
    Explanation,
    explain_alert,
    explain_nginx,
    explain_server_certificate,
    is_alert,
)
from pkiops.trust.wire import Connected, Data, Event, Watcher, watch

MAX_ANSWER_BYTES = 65_536
# how much longer than the handshake a refusal in TLS 1.3 is waited for, in seconds
_GRACE = 0.25
_HOST_PORT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (?P<status>[1-5][0-9]{2})[ \r\n]")
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Result(StrEnum):
    """What came of a handshake."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


class Side(StrEnum):
    """Who refused."""

    SERVER = "server"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to knock."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``HOST:PORT``, ``192.0.2.1:443`` or ``[2001:db8::1]:443``.

        Raises:
            InputError: anything else.
        """
        match = _HOST_PORT.fullmatch(text)
        if match is None or not 1 <= int(match["port"]) <= 65_535:
            raise InputError(f"not a host and a port: {text!r}", hint="write HOST:PORT, such as api.example.com:443")
        return cls(match["v6"] or match["host"], int(match["port"]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Identity:
    """The files a client authenticates with: its certificate followed by the CAs above it, and its private key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One handshake to make.

    ``server_ca`` is PEM text of the CAs that may have issued the server's certificate, None for those of the operating system;
    ``verify_server`` off accepts any server. ``tls`` is ``1.2``, ``1.3`` or None for both. ``timeout`` is in seconds, for everything together.
    """

    address: Address
    identity: Identity | None = None
    server_ca: str | None = None
    verify_server: bool = True
    server_name: str | None = None
    tls: str | None = None
    timeout: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it. ``refused_by`` is None unless refused; ``tls_version`` and ``cipher`` unless the handshake got that far."""

    result: Result
    code: str
    summary: str
    advice: str
    refused_by: Side | None = None
    tls_version: str | None = None
    cipher: str | None = None
    http_status: int | None = None


def knock(attempt: Attempt, clock: Clock, watcher: Watcher | None = None) -> Outcome:
    """Make the handshake and say what came of it; a server that refuses or cannot be reached is an outcome, not an error.

    ``watcher`` is told of everything as it happens: connected, each message of TLS, what is said after the handshake.

    Raises:
        InputError: the certificate, the key or the server's CA cannot be used.
    """
    context = client_context(attempt)
    if watcher is not None:
        watch(context, watcher)
    course = _Course(clock, clock.monotonic() + attempt.timeout, watcher or _untold)
    try:
        plain = connect((attempt.address.host, attempt.address.port), clock, course.deadline)
    except (OSError, UnicodeError) as error:
        return _unreachable(attempt.address, error)
    with plain:
        course.tell(Connected(_peer(plain, attempt.address)))
        return _handshake(attempt, context, plain, course)


def _peer(plain: socket.socket, asked: Address) -> str:
    try:
        return str(Address(*plain.getpeername()[:2]))
    except OSError:  # it is gone again already
        return str(asked)


def _untold(event: Event) -> None:
    del event


@dataclass(frozen=True, slots=True)
class _Course:
    """One handshake on its way: until when it may take, and who is told."""

    clock: Clock
    deadline: float
    tell: Watcher

    def remaining(self) -> float:
        # a timeout of zero would mean "do not wait at all" to a socket, which is another error
        return max(self.deadline - self.clock.monotonic(), 0.001)


def client_context(attempt: Attempt) -> ssl.SSLContext:
    """The TLS settings of one attempt.

    Raises:
        InputError: the certificate, the key or the server's CA cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _VERSIONS[attempt.tls or "1.2"]
    context.maximum_version = _VERSIONS[attempt.tls or "1.3"]
    if not attempt.verify_server:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif attempt.server_ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        try:
            context.load_verify_locations(cadata=attempt.server_ca)
        except (ssl.SSLError, ValueError) as error:
            raise InputError(f"the CA of the server cannot be used: {error}", code="handshake.server-ca") from error
    if attempt.identity is not None:
        load_identity(context, attempt.identity)
    return context


def load_identity(context: ssl.SSLContext, identity: Identity) -> None:
    """Give a TLS context the certificate and key to authenticate with.

    Raises:
        InputError: a file cannot be read, the key is encrypted, or the two do not belong together.
    """

    def refuse_to_ask() -> str:
        raise InputError(
            f"the private key {identity.key} is encrypted",
            hint="decrypt it into a file with mode 0600 first",
            code="handshake.key-encrypted",
        )

    try:
        context.load_cert_chain(identity.certificate, identity.key, password=refuse_to_ask)
    except ssl.SSLError as error:
        problem = (
            "do not belong together"
            if error.reason == "KEY_VALUES_MISMATCH"
            else "cannot be used: the one is no certificate in PEM, or the other no private key in PEM"
        )
        raise InputError(
            f"certificate {identity.certificate} and key {identity.key} {problem}",
            hint="the certificate comes first, then its own key",
            code="handshake.identity",
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot read certificate {identity.certificate} or key {identity.key}: {error.strerror}",
            code="usage.input",
        ) from error


def _handshake(attempt: Attempt, context: ssl.SSLContext, plain: socket.socket, course: _Course) -> Outcome:
    sent = attempt.identity is not None
    started = course.clock.monotonic()
    try:
        plain.settimeout(course.remaining())
        secured = context.wrap_socket(
            plain, server_hostname=attempt.server_name or attempt.address.host, suppress_ragged_eofs=False
        )
    except (OSError, ValueError) as error:
        return _failed(attempt, error, sent=sent)
    with contextlib.closing(secured):
        version, cipher = secured.version(), secured.cipher()
        try:
            answer = _ask(secured, attempt.server_name or attempt.address.host, started, course)
        except OSError as error:
            outcome = _failed(attempt, error, sent=sent)
        else:
            outcome = _judge(answer, sent=sent)
        return replace(outcome, tls_version=version, cipher=cipher[0] if cipher else None)


def _early(secured: ssl.SSLSocket, started: float, course: _Course) -> bytes | None:
    """What a server says before it was asked anything: in TLS 1.3 that is where an alert about our certificate arrives.

    A request on its way to a server that has closed already would have its system answer with a reset, which throws the alert away.
    So we listen first, for as long as the handshake took and a little more.
    """
    if secured.version() != "TLSv1.3":
        return None
    secured.settimeout(min(_GRACE + (course.clock.monotonic() - started), course.remaining()))
    try:
        said = secured.recv(16_384)
    except TimeoutError:
        return None
    course.tell(Data(received=True, size=len(said)))
    if not said:
        raise ConnectionResetError("closed before anything was asked")
    return said


def _ask(secured: ssl.SSLSocket, host: str, started: float, course: _Course) -> bytes | None:
    """Send a request and read the answer as far as it says whether we are let in; None if the server stays silent."""
    answer = _early(secured, started, course)
    if answer is not None:
        return answer
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: pkiops\r\nConnection: close\r\n\r\n"
    # a server that has refused may have closed already: its alert is still there to read
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        secured.sendall(request.encode("ascii"))
        course.tell(Data(received=False, size=len(request)))
    answer = b""
    while len(answer) < MAX_ANSWER_BYTES:
        secured.settimeout(course.remaining())
        try:
            piece = secured.recv(16_384)
        except TimeoutError:
            return answer or None
        except (ssl.SSLEOFError, ConnectionResetError):
            if answer:
                return answer
            raise
        answer += piece
        course.tell(Data(received=True, size=len(piece)))
        status = _status(answer)
        if not piece or (status is not None and status != 400):
            return answer
    return answer


def _status(answer: bytes) -> int | None:
    match = _STATUS_LINE.match(answer)
    return int(match["status"]) if match else None


def _judge(answer: bytes | None, *, sent: bool) -> Outcome:
    status = _status(answer or b"")
    refusal = explain_nginx(answer or b"", certificate_sent=sent) if status == 400 else None
    if refusal is not None:
        return _refused(Side.SERVER, refusal, status)
    advice = (
        "to see that the server asks for certificates at all, run again without --cert: it must refuse"
        if sent
        else "no client certificate was sent: this server lets clients in without one"
    )
    if status in {401, 403}:
        return Outcome(
            result=Result.ACCEPTED,
            code="accepted-not-authorized",
            summary=f"the TLS handshake was accepted; the application behind it answered HTTP {status}, "
            "so this client is known but not allowed to see this page",
            advice="ask the owner of the application for the permission; the certificate is not the problem",
            http_status=status,
        )
    if status is not None:
        summary = f"the server accepted the handshake and answered HTTP {status}"
    elif answer is None:
        summary = "the server accepted the handshake and stayed silent (it does not seem to speak HTTP)"
    elif not answer:
        summary = "the server accepted the handshake and closed without an answer (it does not seem to speak HTTP)"
    else:
        summary = "the server accepted the handshake (what it answered is not HTTP)"
    return Outcome(result=Result.ACCEPTED, code="accepted", summary=summary, advice=advice, http_status=status)


def _failed(attempt: Attempt, error: Exception, *, sent: bool) -> Outcome:
    """The outcome of a handshake or a first read that ended in ``error``."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _refused(Side.CLIENT, explain_server_certificate(error.verify_code, error.verify_message))
    if isinstance(error, (ssl.SSLEOFError, ConnectionResetError, BrokenPipeError)):
        return _refused(
            Side.SERVER,
            Explanation(
                "closed",
                "the server closed the connection during the handshake without saying why; "
                + (
                    "it probably did not like the client certificate"
                    if sent
                    else "it probably wants a client certificate"
                ),
                "look into the server's own log for the reason"
                + ("" if sent else "; run again with --cert FILE --key FILE"),
            ),
        )
    if isinstance(error, ssl.SSLError) and error.reason:
        if is_alert(error.reason):
            return _refused(Side.SERVER, explain_alert(error.reason, certificate_sent=sent))
        if error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
            return Outcome(
                result=Result.UNREACHABLE,
                code="not-tls",
                summary=f"what answers at {attempt.address} does not speak TLS",
                advice="check the port: this looks like a plain text service",
            )
        words = error.reason.lower().replace("_", " ")
        return _refused(
            Side.CLIENT,
            Explanation("handshake", f"we could not finish the handshake: {words}", "try the other --tls version"),
        )
    if isinstance(error, ValueError):
        raise InputError(f"cannot ask for the server name: {error}", hint="give another --server-name") from error
    return _unreachable(attempt.address, error)


def _refused(side: Side, explanation: Explanation, http_status: int | None = None) -> Outcome:
    return Outcome(
        result=Result.REFUSED,
        refused_by=side,
        code=explanation.code,
        summary=explanation.summary,
        advice=explanation.advice,
        http_status=http_status,
    )


def _unreachable(address: Address, error: Exception) -> Outcome:
    if isinstance(error, (socket.gaierror, UnicodeError)):
        code, summary = "dns", f"the name {address.host} cannot be resolved"
        advice = "check the spelling, and whether this machine's DNS knows the name"
    elif isinstance(error, ConnectionRefusedError):
        code, summary = "connection-refused", f"nothing listens on port {address.port} of {address.host}"
        advice = "check the port, and whether the server is running"
    elif isinstance(error, TimeoutError):
        code, summary = "timeout", f"no answer from {address} in time"
        advice = "check the address and the firewalls between here and there, or give a longer --timeout"
    else:
        code, summary = "network", f"{address} cannot be reached: {getattr(error, 'strerror', None) or error}"
        advice = "check the network"
    return Outcome(result=Result.UNREACHABLE, code=code, summary=summary, advice=advice)
