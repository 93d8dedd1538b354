"""The steps that are told of real handshakes, and of messages that nobody in their right mind would send."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkiops.trust.handshake import Identity, knock
from pkiops.trust.steps import Part, Sender, Step, Steps
from pkiops.trust.wire import Connected, ContentType, HandshakeType, Message, watch
from tests.unit.trust.test_advertised import openssl_server
from tests.unit.trust.test_certificate_request import name, request_1_2, vector
from tests.unit.trust.test_handshake import CLOCK, OK, attempt, good, listening, tls_server

__all__ = ["good"]
SERVER, CLIENT = Sender.SERVER, Sender.CLIENT
HANDSHAKES = {
    "1.2": [
        (Part.TCP, CLIENT, "connect"),
        (Part.TLS, CLIENT, "ClientHello"),
        (Part.TLS, SERVER, "ServerHello"),
        (Part.TLS, SERVER, "Certificate"),
        (Part.TLS, CLIENT, "verify"),
        (Part.TLS, SERVER, "ServerKeyExchange"),
        (Part.MUTUAL, SERVER, "CertificateRequest"),
        (Part.TLS, SERVER, "ServerHelloDone"),
        (Part.MUTUAL, CLIENT, "Certificate"),
        (Part.TLS, CLIENT, "ClientKeyExchange"),
        (Part.MUTUAL, CLIENT, "CertificateVerify"),
        (Part.TLS, CLIENT, "ChangeCipherSpec"),
        (Part.TLS, CLIENT, "Finished"),
        (Part.TLS, SERVER, "NewSessionTicket"),
        (Part.TLS, SERVER, "Finished"),
        (Part.DATA, CLIENT, "request"),
        (Part.DATA, SERVER, "answer"),
    ],
    "1.3": [
        (Part.TCP, CLIENT, "connect"),
        (Part.TLS, CLIENT, "ClientHello"),
        (Part.TLS, SERVER, "ServerHello"),
        (Part.TLS, SERVER, "EncryptedExtensions"),
        (Part.MUTUAL, SERVER, "CertificateRequest"),
        (Part.TLS, SERVER, "Certificate"),
        (Part.TLS, CLIENT, "verify"),
        (Part.TLS, SERVER, "CertificateVerify"),
        (Part.TLS, SERVER, "Finished"),
        (Part.MUTUAL, CLIENT, "Certificate"),
        (Part.MUTUAL, CLIENT, "CertificateVerify"),
        (Part.TLS, CLIENT, "Finished"),
        (Part.TLS, SERVER, "NewSessionTicket"),
        (Part.TLS, SERVER, "NewSessionTicket"),
        (Part.DATA, CLIENT, "request"),
        (Part.DATA, SERVER, "answer"),
    ],
}


def told(steps: list[Step]) -> list[tuple[Part, Sender, str]]:
    return [(one.part, one.sender, one.name) for one in steps]


def text_of(steps: list[Step], sender: Sender, what: str) -> str:
    return next(one.text for one in steps if (one.sender, one.name) == (sender, what))


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_a_mutual_handshake(tmp_path: Path, good: Identity, tls: str) -> None:
    steps: list[Step] = []
    with openssl_server(tmp_path, "-Verify", "3", "-verify_return_error", "-CAfile", "names.pem") as address:
        knock(attempt(address, good, tls), CLOCK, Steps(CLOCK, steps.append, trusted="a CA of ours"))
    assert told(steps) == HANDSHAKES[tls]
    assert [one.ms for one in steps] == sorted(one.ms for one in steps)
    assert f"TLS {tls} with " in text_of(steps, SERVER, "ServerHello")
    assert "0x" not in text_of(steps, SERVER, "ServerHello")
    assert "below CN=Example Test Root CA G1" in text_of(steps, SERVER, "CertificateRequest")
    assert "CN=Stranger" in text_of(steps, SERVER, "CertificateRequest")
    assert "ECDSA P-256" in text_of(steps, SERVER, "CertificateRequest")
    assert "CN=localhost" in text_of(steps, SERVER, "Certificate")
    assert "a CA of ours" in text_of(steps, CLIENT, "verify")
    assert "with 1 above it" in text_of(steps, CLIENT, "Certificate")


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_standard_tls_has_no_step_of_mutual_tls(tmp_path: Path, tls: str) -> None:
    steps: list[Step] = []
    with openssl_server(tmp_path) as address:
        knock(attempt(address, tls=tls), CLOCK, Steps(CLOCK, steps.append, trusted="a CA of ours"))
    standard = [one for one in HANDSHAKES[tls] if one[0] is not Part.MUTUAL]
    assert told(steps) == standard
    last = CLIENT if tls == "1.3" else SERVER
    assert text_of(steps, last, "Finished") == "the handshake is over"


@pytest.mark.parametrize(
    ("tls", "when", "alert"),
    [
        ("1.2", "during the handshake", "handshake_failure"),
        ("1.3", "after the handshake was over for us", "certificate_required"),
    ],
)
def test_when_a_refusal_arrives(tmp_path: Path, tls: str, when: str, alert: str) -> None:
    steps: list[Step] = []
    with listening(tls_server(tmp_path, OK)) as address:
        knock(attempt(address, tls=tls), CLOCK, Steps(CLOCK, steps.append, trusted="a CA of ours"))
    assert text_of(steps, CLIENT, "Certificate") == "an empty list: we send no certificate"
    assert (steps[-1].sender, steps[-1].name) == (SERVER, "Alert")
    assert steps[-1].text == f"the server broke off {when}: {alert}"
    assert not any(one.part is Part.DATA for one in steps)


def test_a_server_that_we_refuse(tmp_path: Path) -> None:
    steps: list[Step] = []
    with listening(tls_server(tmp_path, OK)) as address:
        knock(
            replace(attempt(address), server_ca=None), CLOCK, Steps(CLOCK, steps.append, trusted="a CA of this machine")
        )
    assert (steps[-1].sender, steps[-1].name) == (CLIENT, "Alert")
    assert steps[-1].text == "we broke off during the handshake: unknown_ca"
    assert "verify" not in [one.name for one in steps]


def handshake(kind: int, body: bytes, *, received: bool = True, version: int = 0x0303) -> Message:
    return Message(received, ContentType.HANDSHAKE, kind, version, body)


@given(
    st.lists(
        st.builds(
            Message,
            st.booleans(),
            st.sampled_from(ContentType),
            st.one_of(st.sampled_from(HandshakeType), st.integers(0, 255)).map(int),
            st.sampled_from([0x0303, 0x0304]),
            st.binary(max_size=120),
        ),
        max_size=5,
    )
)
def test_whatever_arrives_is_told(messages: list[Message]) -> None:
    steps: list[Step] = []
    watcher = Steps(CLOCK, steps.append, trusted=None)
    for message in messages:
        before = len(steps)
        watcher(message)
        silent = message.content is ContentType.CHANGE_CIPHER_SPEC and message.version == 0x0304
        assert silent or len(steps) > before


def test_what_cannot_be_read_is_said() -> None:
    steps: list[Step] = []
    watcher = Steps(CLOCK, steps.append, trusted=None)
    watcher(handshake(HandshakeType.CERTIFICATE, vector(3, vector(3, b"\x30\x03no!"))))
    watcher(handshake(HandshakeType.CERTIFICATE_REQUEST, request_1_2(*(name(f"CA {i}") for i in range(5)))))
    watcher(handshake(99, b""))
    watcher(Connected("[2001:db8::1]:443"))
    assert steps[0].text.startswith("cannot be read: ")
    assert (steps[1].name, steps[1].text) == ("verify", "the server's certificate was not verified: any is accepted")
    assert "CN=CA 2 and 2 more" in steps[2].text
    assert steps[3].text == "a message that we do not know"
    assert steps[4].text == "TCP is connected to [2001:db8::1]:443"


def test_a_server_that_talks_without_end_is_not_kept() -> None:
    context: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    seen: list[object] = []
    watch(context, seen.append)
    for _ in range(1000):
        context._msg_callback(None, "read", 772, 22, 4, b"\x04\x00\x00\x00")
    assert len(seen) == 200
