"""The steps of standard and of mutual TLS, told as they happen from what was seen on the wire.

What this module decides: the words for each event, and which of them exist only because the client authenticates too: the server's
CertificateRequest, and the client's Certificate and CertificateVerify (RFC 8446 section 4.4, RFC 5246 sections 7.4.4 to 7.4.8). Nothing is told that
was not seen; that a certificate of the server was accepted is seen by what follows it.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pkiops.clock import Clock
from pkiops.errors import PkiopsError
from pkiops.trust.certificate_request import CertificateRequest, read_certificate_request
from pkiops.trust.tls_messages import read_certificates, read_client_hello, read_server_hello
from pkiops.trust.tls_reader import MalformedMessage
from pkiops.trust.wire import CLOSE_NOTIFY, TLS_1_3, Connected, ContentType, Data, Event, HandshakeType, Message
from pkiops.x509.certificate import load_certificate, view
from pkiops.x509.names import printable

_VERSIONS = {0x0300: "SSL 3.0", 0x0301: "TLS 1.0", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}
_SHOWN_NAMES = 3
# RFC 8446 section 4.2.3, those that certificates of clients are signed with
_SCHEMES = {
    0x0401: "RSA SHA-256",
    0x0403: "ECDSA P-256",
    0x0503: "ECDSA P-384",
    0x0603: "ECDSA P-521",
    0x0804: "RSA-PSS SHA-256",
    0x0807: "Ed25519",
    0x0904: "ML-DSA-44",
    0x0905: "ML-DSA-65",
    0x0906: "ML-DSA-87",
}


class Part(StrEnum):
    """What a step belongs to."""

    TCP = "tcp"
    TLS = "tls"  # every TLS connection has it
    MUTUAL = "mutual"  # only if the client authenticates too
    DATA = "data"


class Sender(StrEnum):
    """Who did it."""

    CLIENT = "client"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: milliseconds since the beginning, what it belongs to, who took it, its name (in TLS that of the RFCs), and what it says."""

    ms: int
    part: Part
    sender: Sender
    name: str
    text: str


class Steps:
    """Watches one handshake and tells its steps.

    Args:
        clock: measures.
        tell: is given each step as it happens.
        trusted: which CAs the server's certificate must come from, in words; None if any is accepted.
    """

    def __init__(self, clock: Clock, tell: Callable[[Step], None], *, trusted: str | None) -> None:
        self._clock = clock
        self._tell_step = tell
        self._trusted = trusted
        self._began = clock.monotonic()
        self._certificate_in_doubt = False
        self._asked = False
        self._ciphers: dict[int, str] = {}
        self._finished: set[Sender] = set()

    def __call__(self, event: Event) -> None:
        """Take one event, and tell what it means."""
        if isinstance(event, Connected):
            self._tell(Part.TCP, Sender.CLIENT, "connect", f"TCP is connected to {event.peer}")
        elif isinstance(event, Data):
            self._data(event)
        else:
            self._message(event)

    def _tell(self, part: Part, sender: Sender, name: str, text: str) -> None:
        ms = round((self._clock.monotonic() - self._began) * 1000)
        self._tell_step(Step(ms, part, sender, name, text))

    def _data(self, event: Data) -> None:
        if not event.received:
            self._tell(Part.DATA, Sender.CLIENT, "request", f"a small HTTP request, encrypted ({event.size} octets)")
        elif event.size:
            self._tell(Part.DATA, Sender.SERVER, "answer", f"an answer, encrypted ({event.size} octets)")
        else:
            self._tell(Part.DATA, Sender.SERVER, "end", "the server has nothing more to say")

    def _message(self, message: Message) -> None:
        sender = Sender.SERVER if message.received else Sender.CLIENT
        if message.content is ContentType.ALERT:
            self._alert(message, sender)
            return
        if self._certificate_in_doubt:
            # OpenSSL goes on only with a certificate that it accepts
            self._certificate_in_doubt = False
            verified = (
                "was not verified: any is accepted"
                if self._trusted is None
                else f"is good: its chain ends in {self._trusted}, and its name is the one asked for"
            )
            self._tell(Part.TLS, Sender.CLIENT, "verify", f"the server's certificate {verified}")
        if message.content is ContentType.HANDSHAKE:
            self._handshake(message, sender)
        elif message.version < TLS_1_3:  # in TLS 1.3 it has no meaning, and is sent for old machines between the two
            self._tell(Part.TLS, sender, "ChangeCipherSpec", "everything from here is encrypted")

    def _alert(self, message: Message, sender: Sender) -> None:
        who = "we" if sender is Sender.CLIENT else "the server"
        if message.number == CLOSE_NOTIFY:
            text = f"{who} will say no more (close_notify)"
        else:
            when = (
                "after the handshake was over for us" if len(self._finished) == len(Sender) else "during the handshake"
            )
            text = f"{who} broke off {when}: {message.alert}"
        self._certificate_in_doubt = False
        self._tell(Part.TLS, sender, "Alert", text)

    def _handshake(self, message: Message, sender: Sender) -> None:
        try:
            kind = HandshakeType(message.number)
        except ValueError:
            self._tell(Part.TLS, sender, f"type {message.number}", "a message that we do not know")
            return
        try:
            part, text = self._say(kind, message, sender)
        except (MalformedMessage, PkiopsError) as error:
            part, text = Part.TLS, f"cannot be read: {printable(str(error))}"
        name = kind.name.title().replace("_", "")
        self._tell(part, sender, name, text)

    def _say(self, kind: HandshakeType, message: Message, sender: Sender) -> tuple[Part, str]:
        if kind is HandshakeType.CERTIFICATE_REQUEST:
            self._asked = True
            return Part.MUTUAL, _request(read_certificate_request(message))
        if kind is HandshakeType.CERTIFICATE:
            return self._certificate(message, sender)
        if kind is HandshakeType.CERTIFICATE_VERIFY:
            if sender is Sender.CLIENT:
                return Part.MUTUAL, "our signature over the handshake so far: we have the key of the certificate"
            return Part.TLS, "the server's signature over the handshake so far: it has the key of its certificate"
        return Part.TLS, self._standard(kind, message, sender)

    def _certificate(self, message: Message, sender: Sender) -> tuple[Part, str]:
        chain = read_certificates(message)
        if sender is Sender.SERVER:
            self._certificate_in_doubt = True
            return Part.TLS, f"of the server: {_shown(chain)}"
        if not chain:
            return Part.MUTUAL, "an empty list: we send no certificate"
        return Part.MUTUAL, f"ours: {_shown(chain)}"

    def _standard(self, kind: HandshakeType, message: Message, sender: Sender) -> str:
        if kind is HandshakeType.CLIENT_HELLO:
            hello = read_client_hello(message)
            name = f"asks for {printable(hello.server_name)}" if hello.server_name else "asks for no name"
            return f"{name}, offers {', '.join(_version(one) for one in hello.versions)}"
        if kind is HandshakeType.SERVER_HELLO:
            chosen = read_server_hello(message)
            if chosen.retry:
                return "the server wants another ClientHello, with other parameters (HelloRetryRequest)"
            return f"the server chose {_version(chosen.version)} with {self._cipher(chosen.cipher)}"
        if kind is HandshakeType.FINISHED:
            return self._finish(message, sender)
        return _SAYINGS[kind]

    def _finish(self, message: Message, sender: Sender) -> str:
        self._finished.add(sender)
        if len(self._finished) < len(Sender):
            return f"{'we are' if sender is Sender.CLIENT else 'the server is'} done, and nobody has changed what was said so far"
        if message.version >= TLS_1_3 and self._asked:
            return "the handshake is over for us; what the server makes of our answer to its CertificateRequest comes after it"
        return "the handshake is over"

    def _cipher(self, number: int) -> str:
        if not self._ciphers:
            listed = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).get_ciphers()
            self._ciphers = {one["id"] & 0xFFFF: one["name"] for one in listed}
        return self._ciphers.get(number, f"cipher 0x{number:04x}")


_SAYINGS = {
    HandshakeType.HELLO_REQUEST: "the server wants to negotiate anew",
    HandshakeType.NEW_SESSION_TICKET: "a ticket: whoever comes back with it shows no certificate again, if the server takes it",
    HandshakeType.ENCRYPTED_EXTENSIONS: "everything from here is encrypted",
    HandshakeType.SERVER_KEY_EXCHANGE: "the server's half of the key exchange, signed with the key of its certificate",
    HandshakeType.SERVER_HELLO_DONE: "our turn",
    HandshakeType.CLIENT_KEY_EXCHANGE: "our half of the key exchange",
    HandshakeType.CERTIFICATE_STATUS: "the server's OCSP response",
    HandshakeType.KEY_UPDATE: "new keys",
}


def _version(number: int) -> str:
    return _VERSIONS.get(number, f"version 0x{number:04x}")


def _request(asked: CertificateRequest) -> str:
    schemes = [_SCHEMES[one] for one in asked.signature_schemes if one in _SCHEMES]
    signed = f"; signed with {', '.join(schemes)}" if schemes else ""
    names = [one.text for one in asked.names]
    if not names:
        return f"the server asks for a client certificate and names no CA: any may be sent{signed}"
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return f"the server asks for a client certificate issued below {'; '.join(names[:_SHOWN_NAMES])}{more}{signed}"


def _shown(chain: tuple[bytes, ...]) -> str:
    if not chain:
        return "none"
    first = view(load_certificate(chain[0], "the certificate"))
    above = f", with {len(chain) - 1} above it" if len(chain) > 1 else ""
    return f"{first.subject}, issued by {first.issuer}{above}"
