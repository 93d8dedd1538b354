"""Real handshakes with servers of every temper, and what is said about them."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from pkiops.clock import SystemClock
from pkiops.errors import InputError
from pkiops.trust.explain import explain_alert, explain_nginx, explain_server_certificate, explain_verification
from pkiops.trust.handshake import Address, Attempt, Identity, Outcome, Result, Side, knock
from pkiops.trust.identity_hints import hints_about
from pkiops.x509.keys import private_key_pem
from tests import builders
from tests.builders import Issued

CLOCK = SystemClock()
NOW = CLOCK.now()
ROOT = builders.root_ca(at=NOW)
CLIENTS = builders.subordinate_ca(ROOT, at=NOW)
SERVER = builders.end_entity(ROOT, "localhost", at=NOW, sans=("dns:localhost", "ip:127.0.0.1"), usage=("serverAuth",))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
VERSIONS = ("1.2", "1.3")


def write(folder: Path, name: str, issued: Issued, chain: Sequence[Issued] = ()) -> Identity:
    identity = Identity(folder / f"{name}.pem", folder / f"{name}.key")
    certificates = [one.certificate.public_bytes(Encoding.PEM) for one in (issued, *chain)]
    identity.certificate.write_bytes(b"".join(certificates))
    identity.key.write_bytes(private_key_pem(issued.key))
    return identity


Handler = Callable[[socket.socket], None]


@contextlib.contextmanager
def listening(handle: Handler) -> Iterator[Address]:
    """Hands every connection to ``handle``, in a thread of its own; whatever a client does to it is no failure here."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                connection.settimeout(5)
                with connection, contextlib.suppress(OSError):
                    handle(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield Address("127.0.0.1", listener.getsockname()[1])
        finally:
            done.set()
            thread.join(timeout=10)


def tls_server(folder: Path, *answers: bytes, crls: bool = False, version: str | None = None) -> Handler:
    """A server that demands a client certificate below ROOT."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    identity = write(folder, "server", SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    trusted = ROOT.certificate.public_bytes(Encoding.PEM)
    if crls:
        revoked = {0xBAD: x509.ReasonFlags.key_compromise}
        lists = [builders.crl(ROOT, at=NOW), builders.crl(CLIENTS, at=NOW, revoked=revoked)]
        trusted += b"".join(one.public_bytes(Encoding.PEM) for one in lists)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN
    (folder / "trusted.pem").write_bytes(trusted)
    context.load_verify_locations(cafile=folder / "trusted.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    if version == "1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(4096)
            for answer in answers:
                secured.sendall(answer)
                CLOCK.sleep(0.05)
            if answers:
                secured.unwrap()
            else:
                secured.recv(4096)  # until the client goes away

    return handle


@pytest.fixture
def good(tmp_path: Path) -> Identity:
    return write(tmp_path, "good", builders.end_entity(CLIENTS, at=NOW), [CLIENTS])


def attempt(address: Address, identity: Identity | None = None, tls: str | None = None) -> Attempt:
    ca = ROOT.certificate.public_bytes(Encoding.PEM).decode()
    return Attempt(address=address, identity=identity, server_ca=ca, tls=tls, timeout=5)


def knocked(handler: Handler, identity: Identity | None = None, tls: str | None = None) -> Outcome:
    with listening(handler) as address:
        return knock(attempt(address, identity, tls), CLOCK)


@pytest.mark.parametrize("tls", VERSIONS)
def test_a_good_client_is_accepted(tmp_path: Path, good: Identity, tls: str) -> None:
    outcome = knocked(tls_server(tmp_path, OK, crls=True), good, tls)
    assert (outcome.result, outcome.code, outcome.http_status) == (Result.ACCEPTED, "accepted", 200)
    assert outcome.tls_version == f"TLSv{tls}"
    assert outcome.cipher


def refused_clients(folder: Path) -> dict[str, tuple[Identity | None, str]]:
    def leaf(**changes: object) -> Issued:
        return builders.end_entity(CLIENTS, at=NOW, **changes)  # type: ignore[arg-type]

    stranger = builders.root_ca("Stranger", at=NOW)
    return {
        "none": (None, "no-certificate"),
        "revoked": (write(folder, "revoked", leaf(serial=0xBAD), [CLIENTS]), "revoked"),
        "expired": (write(folder, "expired", leaf(not_after=NOW - timedelta(hours=1)), [CLIENTS]), "expired"),
        "serverAuth": (write(folder, "usage", leaf(usage=("serverAuth",)), [CLIENTS]), "wrong-purpose"),
        "stranger": (write(folder, "stranger", builders.end_entity(stranger, at=NOW), [stranger]), "unknown-ca"),
        "leaf only": (write(folder, "lonely", leaf()), "unknown-ca"),
    }


@pytest.mark.parametrize("tls", VERSIONS)
@pytest.mark.parametrize("case", ["none", "revoked", "expired", "serverAuth", "stranger", "leaf only"])
def test_a_refusal_is_explained(tmp_path: Path, case: str, tls: str) -> None:
    identity, code = refused_clients(tmp_path)[case]
    outcome = knocked(tls_server(tmp_path, OK, crls=True), identity, tls)
    assert (outcome.result, outcome.refused_by, outcome.code) == (Result.REFUSED, Side.SERVER, code)
    assert outcome.summary
    assert outcome.advice


def nginx_page(words: str) -> bytes:
    body = f"<html><head><title>400 {words}</title></head><body>{words}</body></html>".encode()
    return b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize(
    ("answer", "result", "code"),
    [
        (nginx_page("No required SSL certificate was sent"), Result.REFUSED, "no-certificate"),
        (nginx_page("The SSL certificate error"), Result.REFUSED, "nginx-refused"),
        (nginx_page("Something else"), Result.ACCEPTED, "accepted"),
        (OK.replace(b"200 OK", b"403 Forbidden"), Result.ACCEPTED, "accepted-not-authorized"),
        (b"220 mail.example.com ESMTP\r\n", Result.ACCEPTED, "accepted"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000, Result.ACCEPTED, "accepted"),
    ],
)
def test_what_is_answered_after_the_handshake(
    tmp_path: Path, good: Identity, answer: bytes, result: Result, code: str
) -> None:
    outcome = knocked(tls_server(tmp_path, answer), good)
    assert (outcome.result, outcome.code) == (result, code)


def test_a_page_of_nginx_in_two_pieces(tmp_path: Path, good: Identity) -> None:
    page = nginx_page("The SSL certificate error")
    assert explain_nginx(page[:70], certificate_sent=True) is None
    assert knocked(tls_server(tmp_path, page[:20], page[20:70], page[70:]), good).code == "nginx-refused"


@pytest.mark.parametrize("tls", VERSIONS)
def test_a_server_that_closes_politely_without_an_answer(tmp_path: Path, good: Identity, tls: str) -> None:
    outcome = knocked(tls_server(tmp_path, b""), good, tls)
    assert outcome.result is Result.ACCEPTED
    assert "closed without an answer" in outcome.summary


def test_a_silent_server_has_accepted(tmp_path: Path, good: Identity) -> None:
    with listening(tls_server(tmp_path)) as address:
        outcome = knock(replace(attempt(address, good), timeout=0.5), CLOCK)
    assert outcome.result is Result.ACCEPTED
    assert "silent" in outcome.summary


def test_a_connection_closed_without_a_word(good: Identity) -> None:
    def hang_up(connection: socket.socket) -> None:
        connection.recv(1)

    outcome = knocked(hang_up, good)
    assert (outcome.result, outcome.refused_by, outcome.code) == (Result.REFUSED, Side.SERVER, "closed")


def test_plain_text_is_no_tls(good: Identity) -> None:
    def speak(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    outcome = knocked(speak, good)
    assert (outcome.result, outcome.code) == (Result.UNREACHABLE, "not-tls")


def test_a_server_that_never_answers(good: Identity) -> None:
    waiting = threading.Event()

    def wait(connection: socket.socket) -> None:
        del connection
        waiting.wait(5)

    with listening(wait) as address:
        outcome = knock(replace(attempt(address, good), timeout=0.3), CLOCK)
        waiting.set()
    assert (outcome.result, outcome.code) == (Result.UNREACHABLE, "timeout")


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address("127.0.0.1", listener.getsockname()[1])
    assert knock(attempt(address), CLOCK).code == "connection-refused"
    for name in ("no-such-host.invalid", "a..example.com", f"{'a' * 64}.example.com", "."):
        assert knock(attempt(Address(name, 443)), CLOCK).code == "dns", name


def test_addresses_that_do_not_answer_share_one_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as full, contextlib.ExitStack() as queued:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # until its queue is full: what comes next is neither accepted nor refused
            waiting = queued.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        silent = (socket.AF_INET, socket.SOCK_STREAM, 0, "", full.getsockname())
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [silent] * 6)
        began = CLOCK.monotonic()
        outcome = knock(replace(attempt(Address("many.example.com", 443)), timeout=0.3), CLOCK)
        assert (outcome.result, outcome.code) == (Result.UNREACHABLE, "timeout")
        assert CLOCK.monotonic() - began < 1


def test_a_version_that_the_server_does_not_have(tmp_path: Path, good: Identity) -> None:
    outcome = knocked(tls_server(tmp_path, OK, version="1.2"), good, "1.3")
    assert (outcome.result, outcome.code) == (Result.REFUSED, "protocol-version")


def test_we_refuse_a_server(tmp_path: Path, good: Identity) -> None:
    with listening(tls_server(tmp_path, OK)) as address:
        unknown = knock(replace(attempt(address, good), server_ca=None), CLOCK)
        misnamed = knock(replace(attempt(address, good), server_name="api.example.com"), CLOCK)
        trusting = knock(replace(attempt(address, good), server_ca=None, verify_server=False), CLOCK)
        named = knock(replace(attempt(address, good), server_name="localhost"), CLOCK)
    assert (unknown.result, unknown.refused_by, unknown.code) == (Result.REFUSED, Side.CLIENT, "server-unknown-ca")
    assert (misnamed.refused_by, misnamed.code) == (Side.CLIENT, "server-wrong-name")
    assert trusting.result is Result.ACCEPTED
    assert named.result is Result.ACCEPTED


def test_keys_that_cannot_be_used(tmp_path: Path, good: Identity) -> None:
    address = Address("127.0.0.1", 1)
    key = builders.key()
    encrypted = tmp_path / "encrypted.key"
    encrypted.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(InputError, match="encrypted") as caught:
        knock(attempt(address, replace(good, key=encrypted)), CLOCK)
    assert caught.value.code == "handshake.key-encrypted"
    with pytest.raises(InputError, match="CA of the server"):
        knock(replace(attempt(address, good), server_ca="no PEM"), CLOCK)
    with pytest.raises(InputError):
        knock(replace(attempt(address, good), server_ca=""), CLOCK)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("api.example.com:443", Address("api.example.com", 443)),
        ("127.0.0.1:1", Address("127.0.0.1", 1)),
        ("[2001:db8::1]:65535", Address("2001:db8::1", 65_535)),
    ],
)
def test_addresses(text: str, expected: Address) -> None:
    assert Address.parse(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host",
        "host:",
        ":443",
        "host:0",
        "host:65536",
        "host:x",
        "2001:db8::1:443",
        "a b:1",
        "a\r\nX:1",
        "https://x:1",
    ],
)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        Address.parse(text)


def test_words_for_what_servers_rarely_say() -> None:
    for alert, code in {
        "SSLV3_ALERT_BAD_CERTIFICATE": "bad-certificate",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "certificate-unknown",
        "TLSV1_ALERT_DECRYPT_ERROR": "bad-signature",
        "TLSV1_ALERT_ACCESS_DENIED": "access-denied",
        "TLSV1_ALERT_INTERNAL_ERROR": "server-error",
        "SSLV3_ALERT_HANDSHAKE_FAILURE": "handshake-failure",
        "SSLV3_ALERT_UNEXPECTED_MESSAGE": "alert",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED": "no-certificate",
    }.items():
        assert explain_alert(alert, certificate_sent=True).code == code
    for alert in ("HANDSHAKE_FAILURE", "BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN"):
        assert explain_alert(f"SSLV3_ALERT_{alert}", certificate_sent=False).code == "no-certificate"
    assert explain_server_certificate(10, "certificate has expired").code == "server-expired"
    assert explain_server_certificate(7, "certificate signature failure").code == "server-certificate"
    assert explain_verification(12, "CRL has expired").startswith("a CRL has expired (OpenSSL 12")
    assert explain_verification(999, "odd") == "OpenSSL 999: odd"


def test_hints_about_a_certificate(tmp_path: Path, good: Identity) -> None:
    assert hints_about(good, NOW) == ()
    leaf = builders.end_entity(CLIENTS, at=NOW, usage=("serverAuth",), not_after=NOW)
    lonely = write(tmp_path, "odd", leaf)
    assert len(hints_about(lonely, NOW)) == 3
    assert "not valid before" in hints_about(write(tmp_path, "early", leaf, [CLIENTS]), NOW - timedelta(days=9))[0]
    assert any("certificate of a CA" in hint for hint in hints_about(write(tmp_path, "ca", ROOT), NOW))
    with pytest.raises(InputError):
        hints_about(Identity(tmp_path / "none", tmp_path / "none"), NOW)
