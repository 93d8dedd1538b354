"""What a running server asks of its clients, and which of them it lets in.

What this module decides: that a server is knocked at without a certificate first, over each version of TLS, and then with each probe over each
version it has; whether it asks for certificates at all; and what a client without one ought to meet. Whose the advertised names are is decided by
``advertised_names.py``, what one handshake comes to by ``handshake.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from pkiops.clock import Clock
from pkiops.trust.certificate_request import CertificateRequest, read_certificate_request
from pkiops.trust.explain import explain_alert
from pkiops.trust.handshake import Attempt, Outcome, Result, Side, knock
from pkiops.trust.probe import Probe
from pkiops.trust.tls_reader import MalformedMessage
from pkiops.trust.wire import CLOSE_NOTIFY, Event, HandshakeType, Message, Watcher, can_watch, require_messages

VERSIONS = ("1.2", "1.3")
NO_CERTIFICATE = "no certificate"
# how a server answers a ClientHello with a version that it does not have: as RFC 8446 wants it, as others do, and without a word
_NOT_THIS_VERSION = frozenset({"protocol_version", "handshake_failure", None})


class Asks(StrEnum):
    """Whether a server asks for a client's certificate over one version of TLS."""

    YES = "yes"
    NO = "no"
    # it does not speak this version
    NOT_OFFERED = "not-offered"
    # the handshake broke off before it could
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class VersionAnswer:
    """What the server asked for over one version. ``request`` is there if it asked, unless ``problem`` says why it cannot be read."""

    tls: str
    asks: Asks
    request: CertificateRequest | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class ClientAnswer:
    """What came of one client over one version; ``alert`` is the name of the alert that the server sent, if it sent one."""

    client: str
    tls: str
    outcome: Outcome
    alert: str | None
    expect_accepted: bool

    @property
    def as_expected(self) -> bool:
        """Whether the right thing happened; that we refuse a server is never right."""
        if self.outcome.result is Result.UNREACHABLE or self.outcome.refused_by is Side.CLIENT:
            return False
        return (self.outcome.result is Result.ACCEPTED) is self.expect_accepted


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything that was learned of a server. It ends early where the server cannot be reached."""

    versions: tuple[VersionAnswer, ...]
    clients: tuple[ClientAnswer, ...]

    @property
    def unreachable(self) -> Outcome | None:
        """The outcome that ended it early, if one did."""
        return next((one.outcome for one in self.clients if one.outcome.result is Result.UNREACHABLE), None)


@dataclass(frozen=True, slots=True)
class Heard:
    """One handshake: what came of it, and the messages of TLS that went by; None if this Python does not show them."""

    outcome: Outcome
    messages: tuple[Message, ...] | None

    @property
    def alert(self) -> str | None:
        """The name of the alert that the server sent, if it sent one."""
        told = [one.alert for one in self.messages or () if one.received and one.alert and one.number != CLOSE_NOTIFY]
        return told[-1] if told else None

    @property
    def asked(self) -> bool | None:
        """Whether the server asked for a client certificate; None if it could not, or nobody knows."""
        if self.first(HandshakeType.CERTIFICATE_REQUEST) is not None:
            return True
        return False if self.messages is not None and self.outcome.tls_version is not None else None

    def first(self, kind: HandshakeType) -> Message | None:
        """The first message of that kind that the server sent."""
        return next((one for one in self.messages or () if one.is_handshake(kind, received=True)), None)


def listen(attempt: Attempt, clock: Clock, watcher: Watcher | None = None) -> Heard:
    """Knock, and keep the messages that went by; ``watcher`` is told of them as well.

    Raises:
        InputError: the certificate, the key or the server's CA cannot be used; there is a watcher, and this Python shows no messages.
    """
    if watcher is None and not can_watch():
        return Heard(knock(attempt, clock), None)
    messages: list[Message] = []

    def note(event: Event) -> None:
        if isinstance(event, Message):
            messages.append(event)
        if watcher is not None:
            watcher(event)

    outcome = knock(attempt, clock, note)
    heard = Heard(outcome, tuple(messages))
    if heard.alert == "handshake_failure" and heard.first(HandshakeType.CERTIFICATE_REQUEST) is None:
        # nobody asked for the certificate that was not sent
        why = explain_alert("SSLV3_ALERT_HANDSHAKE_FAILURE", certificate_sent=True)
        return replace(heard, outcome=replace(outcome, code=why.code, summary=why.summary, advice=why.advice))
    return heard


def survey(
    attempt: Attempt,
    probes: Sequence[Probe],
    clock: Clock,
    *,
    without_certificate: bool = False,
    watching: Callable[[Attempt, str], Watcher] | None = None,
) -> Survey:
    """Knock without a certificate and with every probe, over TLS 1.2 and 1.3, or over the version of ``attempt`` alone.

    Args:
        attempt: where and how; its identity does not matter, its timeout is for each handshake.
        probes: who else knocks.
        clock: measures the timeouts.
        without_certificate: whether clients without a certificate ought to get in.
        watching: called before each handshake with what is tried and whose it is; gives who is told of its events.

    Raises:
        InputError: a certificate, a key or the server's CA cannot be used; this Python shows no messages.
    """
    require_messages()
    versions: list[VersionAnswer] = []
    clients: list[ClientAnswer] = []
    nobody = Probe(NO_CERTIFICATE, None, without_certificate)
    for tls in VERSIONS if attempt.tls is None else (attempt.tls,):
        for client in (nobody, *probes):
            knocking = replace(attempt, identity=client.identity, tls=tls)
            knocked = listen(knocking, clock, watching(knocking, client.name) if watching else None)
            # a server that hangs may have asked before
            if client is nobody and (
                knocked.outcome.result is not Result.UNREACHABLE or knocked.first(HandshakeType.CERTIFICATE_REQUEST)
            ):
                versions.append(_version_answer(tls, knocked))
                if versions[-1].asks is Asks.NOT_OFFERED and attempt.tls is None:
                    break
            clients.append(ClientAnswer(client.name, tls, knocked.outcome, knocked.alert, client.expect_accepted))
            if knocked.outcome.result is Result.UNREACHABLE:
                return Survey(tuple(versions), tuple(clients))
    return Survey(tuple(versions), tuple(clients))


def _version_answer(tls: str, knocked: Heard) -> VersionAnswer:
    request = knocked.first(HandshakeType.CERTIFICATE_REQUEST)
    if request is not None:
        try:
            return VersionAnswer(tls, Asks.YES, read_certificate_request(request), None)
        except MalformedMessage as error:
            return VersionAnswer(tls, Asks.YES, None, str(error))
    if knocked.asked is False:
        return VersionAnswer(tls, Asks.NO, None, None)
    if (
        knocked.outcome.refused_by is Side.SERVER
        and knocked.alert in _NOT_THIS_VERSION
        and knocked.first(HandshakeType.SERVER_HELLO) is None
    ):
        return VersionAnswer(tls, Asks.NOT_OFFERED, None, knocked.outcome.summary)
    return VersionAnswer(tls, Asks.UNKNOWN, None, knocked.outcome.summary)
