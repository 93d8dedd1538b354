"""The TLS messages of one connection, as they go over the wire, in both versions of TLS.

What this module decides: how messages are seen, and their names. In TLS 1.3 nearly all of them are encrypted, so nobody beside the connection can
read them; Python's ssl module hands them out decrypted through the hook it debugs itself with, ``SSLContext._msg_callback`` (since 3.8). It is the
only hook of another module's that pkiops uses, and only here; without it, ``watch`` says so. What messages mean is decided by whoever watches.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType

from pkiops.errors import InputError

TLS_1_3 = 0x0304
# the hook knows no sizes, and OpenSSL itself takes at most 100 KB of a certificate message
_MAX_MESSAGES = 200


class ContentType(IntEnum):
    """What kind of message it is (RFC 8446 section 5.1)."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22


class HandshakeType(IntEnum):
    """Which handshake message it is (RFC 8446 section 4, RFC 5246 section 7.4)."""

    HELLO_REQUEST = 0
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    NEW_SESSION_TICKET = 4
    ENCRYPTED_EXTENSIONS = 8
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_VERIFY = 15
    CLIENT_KEY_EXCHANGE = 16
    FINISHED = 20
    CERTIFICATE_STATUS = 22
    KEY_UPDATE = 24


CLOSE_NOTIFY = 0
# RFC 8446 section 6, and those of RFC 5246 section 7.2 that it no longer has
ALERTS = MappingProxyType(
    {
        CLOSE_NOTIFY: "close_notify",
        10: "unexpected_message",
        20: "bad_record_mac",
        21: "decryption_failed",
        22: "record_overflow",
        30: "decompression_failure",
        40: "handshake_failure",
        41: "no_certificate",
        42: "bad_certificate",
        43: "unsupported_certificate",
        44: "certificate_revoked",
        45: "certificate_expired",
        46: "certificate_unknown",
        47: "illegal_parameter",
        48: "unknown_ca",
        49: "access_denied",
        50: "decode_error",
        51: "decrypt_error",
        60: "export_restriction",
        70: "protocol_version",
        71: "insufficient_security",
        80: "internal_error",
        86: "inappropriate_fallback",
        90: "user_canceled",
        100: "no_renegotiation",
        109: "missing_extension",
        110: "unsupported_extension",
        111: "certificate_unobtainable",
        112: "unrecognized_name",
        113: "bad_certificate_status_response",
        114: "bad_certificate_hash_value",
        115: "unknown_psk_identity",
        116: "certificate_required",
        120: "no_application_protocol",
    }
)


@dataclass(frozen=True, slots=True)
class Message:
    """One message. ``number`` is a handshake type or an alert's description, ``version`` the protocol's at that moment, ``body`` what follows the
    header.
    """

    received: bool
    content: ContentType
    number: int
    version: int
    body: bytes = field(repr=False)

    def is_handshake(self, kind: HandshakeType, *, received: bool) -> bool:
        """Whether it is that handshake message, going that way."""
        return self.content is ContentType.HANDSHAKE and self.number == kind and self.received is received

    @property
    def alert(self) -> str | None:
        """The name of the alert that it is, None if it is none."""
        if self.content is not ContentType.ALERT:
            return None
        return ALERTS.get(self.number, f"alert {self.number}")


@dataclass(frozen=True, slots=True)
class Connected:
    """TCP is connected, to this ``peer`` (address and port)."""

    peer: str


@dataclass(frozen=True, slots=True)
class Data:
    """What was said over the finished connection; no octets received: the server will say no more."""

    received: bool
    size: int


Event = Connected | Message | Data
Watcher = Callable[[Event], None]


def can_watch() -> bool:
    """Whether this Python shows the messages of TLS."""
    return hasattr(ssl.SSLContext, "_msg_callback")


def require_messages() -> None:
    """Return if this Python shows the messages of TLS.

    Raises:
        InputError: it does not.
    """
    if not can_watch():
        raise InputError(
            "this Python does not show the messages of TLS, so what the server asks for cannot be read",
            hint="run pkiops with CPython, or leave --advertised and -v out",
            code="handshake.no-messages",
        )


def watch(context: ssl.SSLContext, watcher: Watcher) -> None:
    """Have ``watcher`` told of every message of the connections made with ``context`` from now on, of the first 200 in all.

    Raises:
        InputError: this Python has no such hook.
    """
    require_messages()
    left = _MAX_MESSAGES

    def hook(connection: object, direction: str, version: int, content: int, number: int, data: bytes) -> None:
        nonlocal left
        del connection, number  # the number is guessed for some kinds of content; it stands in the data
        message = _message(direction, version, content, data)
        if message is not None and left:
            left -= 1
            watcher(message)

    context._msg_callback = hook  # type: ignore[attr-defined]


def _message(direction: str, version: int, content: int, data: bytes) -> Message | None:
    """None for what is no message: headers of records, and their inner content types."""
    received = direction == "read"
    if content == ContentType.HANDSHAKE and len(data) >= 4:
        return Message(received, ContentType.HANDSHAKE, data[0], int(version), data[4:])
    if content == ContentType.ALERT and len(data) == 2:
        return Message(received, ContentType.ALERT, data[1], int(version), data[:1])
    if content == ContentType.CHANGE_CIPHER_SPEC:
        return Message(received, ContentType.CHANGE_CIPHER_SPEC, 0, int(version), b"")
    return None
