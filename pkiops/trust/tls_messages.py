"""The messages of a TLS handshake that say something worth telling: hellos and certificates.

What this module decides: how they are read (RFC 8446 sections 4.1.2, 4.1.3, 4.2.1, 4.4.2; RFC 5246 section 7.4; RFC 6066 section 3). What is asked
for is read by ``certificate_request.py``. Everything that a server wrote is bounded and may be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pkiops.trust.tls_reader import Reader
from pkiops.trust.wire import TLS_1_3, Message

_SERVER_NAME, _SUPPORTED_VERSIONS = 0, 43
_RANDOM_SIZE = 32
# the random by which a ServerHello says "once more, please" (RFC 8446 section 4.1.3)
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client offers: the name it asks for, and versions by their numbers, best first."""

    server_name: str | None
    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ServerHello:
    """What a server chose; ``retry``: it wants another ClientHello first."""

    version: int
    cipher: int
    retry: bool


def read_client_hello(message: Message) -> ClientHello:
    """Read a ClientHello.

    Raises:
        MalformedMessage: a length in it is wrong.
    """
    hello = Reader(message.body, "the ClientHello")
    version = hello.number(2)
    hello.take(_RANDOM_SIZE)
    for size, what in ((1, "the session"), (2, "the list of ciphers"), (1, "the list of compressions")):
        hello.vector(size, what)
    name: str | None = None
    versions: tuple[int, ...] = (version,)
    for kind, body in _extensions(hello):
        if kind == _SERVER_NAME:
            listed = body.vector(2, "the list of server names")
            listed.take(1)
            name = listed.vector(2, "the server name").rest().decode("ascii", errors="replace")
        elif kind == _SUPPORTED_VERSIONS:
            versions = _numbers(body.vector(1, "the list of versions"))
    return ClientHello(name, versions)


def read_server_hello(message: Message) -> ServerHello:
    """Read a ServerHello.

    Raises:
        MalformedMessage: a length in it is wrong.
    """
    hello = Reader(message.body, "the ServerHello")
    version = hello.number(2)
    retry = hello.take(_RANDOM_SIZE) == _RETRY
    hello.vector(1, "the session")
    cipher = hello.number(2)
    hello.take(1)
    for kind, body in _extensions(hello):
        if kind == _SUPPORTED_VERSIONS:
            version = body.number(2)
    return ServerHello(version, cipher, retry)


def read_certificates(message: Message) -> tuple[bytes, ...]:
    """The certificates (DER, unread) of a Certificate message, that of its sender first; none if it sends none.

    Raises:
        MalformedMessage: a length in it is wrong.
    """
    whole = Reader(message.body, "the Certificate message")
    is_1_3 = message.version >= TLS_1_3
    if is_1_3:
        whole.vector(1, "the context of the request")
    listed = whole.vector(3, "the list of certificates")
    whole.end()
    found = []
    while listed:
        found.append(listed.vector(3, "a certificate").rest())
        if is_1_3:
            listed.vector(2, "the extensions of a certificate")
    return tuple(found)


def _extensions(hello: Reader) -> Iterator[tuple[int, Reader]]:
    # a hello of TLS 1.2 may end before them
    listed = hello.vector(2, "the list of extensions") if hello else hello
    while listed:
        yield listed.number(2), listed.vector(2, "an extension")
    hello.end()


def _numbers(listed: Reader) -> tuple[int, ...]:
    found = []
    while listed:
        found.append(listed.number(2))
    return tuple(found)
