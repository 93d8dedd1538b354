"""A client that knocks at any server: a handshake, one question, one answer; and once more with the session of before.

What this module decides: who counts as let in. Only whoever gets the answer of the protocol does: in TLS 1.3 the handshake of a refused client
succeeds, and the refusal arrives at the first read.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from pkiops.trust.handshake import Identity

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
TIMEOUT = 5


def _nothing(plain: socket.socket) -> None:
    del plain


@dataclass(frozen=True)
class Protocol:
    """What is said: before the handshake, and after it; ``welcome`` is how the answer to somebody who was let in starts."""

    question: bytes = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    welcome: bytes = b"HTTP/1.1 200"
    before: Callable[[socket.socket], None] = _nothing


HTTP = Protocol()


@dataclass
class Knocker:
    """One client of one version of TLS, with the session of its last visit."""

    port: int
    identity: Identity | None
    tls: str
    protocol: Protocol = HTTP

    def __post_init__(self) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE
        self._context.minimum_version = self._context.maximum_version = VERSIONS[self.tls]
        if self.identity is not None:
            self._context.load_cert_chain(self.identity.certificate, self.identity.key)
        self._session: ssl.SSLSession | None = None

    def knock(self) -> bool:
        """Whether the server lets us in; a session from before is offered."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT) as plain:
            self.protocol.before(plain)
            # OSError: refused with an alert, or dropped
            with contextlib.suppress(OSError), self._context.wrap_socket(plain, session=self._session) as secured:
                secured.sendall(self.protocol.question)
                answer = self._read(secured)
                self._session = secured.session
                return answer.startswith(self.protocol.welcome)
        return False

    def _read(self, secured: ssl.SSLSocket) -> bytes:
        answer = b""
        while len(answer) < len(self.protocol.welcome) and (piece := secured.recv(4096)):
            answer += piece
        return answer
