"""What is learned of running servers: what they ask for, and whom they let in. Those that advertise names are those of the openssl program."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.trust.advertised import Asks, Survey, survey
from pkiops.trust.handshake import Address, Attempt, Identity, Result, Side
from pkiops.trust.probe import Probe
from tests import builders
from tests.live_programs import require_program
from tests.unit.trust.test_certificate_request import name, request_1_2, vector
from tests.unit.trust.test_handshake import (
    CLOCK,
    NOW,
    OK,
    ROOT,
    SERVER,
    attempt,
    good,
    listening,
    tls_server,
    write,
)

__all__ = ["good"]
STRANGER = builders.root_ca("Stranger", at=NOW)
RECORD = 5


@contextlib.contextmanager
def openssl_server(folder: Path, *options: str) -> Iterator[Address]:
    """``openssl s_server`` that answers as a web server does."""
    server = write(folder, "server", SERVER)
    names = ROOT.certificate.public_bytes(Encoding.PEM) + STRANGER.certificate.public_bytes(Encoding.PEM)
    (folder / "names.pem").write_bytes(names)
    command = [require_program("openssl"), "s_server", "-accept", "127.0.0.1:0", "-www"]
    command += ["-cert", str(server.certificate), "-key", str(server.key), *options]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=folder
    ) as running:
        try:
            assert running.stdout is not None
            # "ACCEPT 127.0.0.1:37425"
            port = next(line for line in running.stdout if line.startswith("ACCEPT")).rpartition(":")[2]
            yield Address("127.0.0.1", int(port))
        finally:
            running.terminate()


def asks(found: Survey) -> list[tuple[str, Asks]]:
    return [(one.tls, one.asks) for one in found.versions]


def names(found: Survey) -> list[list[str]]:
    return [[name.text for name in one.request.names] for one in found.versions if one.request is not None]


def results(found: Survey) -> dict[tuple[str, str], tuple[Result, str | None]]:
    return {(one.client, one.tls): (one.outcome.result, one.alert) for one in found.clients}


def test_names_and_clients_over_both_versions(tmp_path: Path, good: Identity) -> None:
    stranger = write(tmp_path, "stranger", builders.end_entity(STRANGER, at=NOW, usage=("serverAuth",)), [STRANGER])
    probes = [Probe("good", good, True), Probe("odd", stranger, False)]
    with openssl_server(tmp_path, "-Verify", "3", "-verify_return_error", "-CAfile", "names.pem") as address:
        found = survey(attempt(address), probes, CLOCK)
    assert asks(found) == [("1.2", Asks.YES), ("1.3", Asks.YES)]
    expected = [one.certificate.subject.rfc4514_string() for one in (ROOT, STRANGER)]
    assert names(found) == [expected, expected]
    assert results(found) == {
        ("no certificate", "1.2"): (Result.REFUSED, "handshake_failure"),
        ("good", "1.2"): (Result.ACCEPTED, None),
        ("odd", "1.2"): (Result.REFUSED, "unsupported_certificate"),
        ("no certificate", "1.3"): (Result.REFUSED, "certificate_required"),
        ("good", "1.3"): (Result.ACCEPTED, None),
        ("odd", "1.3"): (Result.REFUSED, "unsupported_certificate"),
    }
    assert all(one.as_expected for one in found.clients)
    assert found.unreachable is None


def test_one_version_and_no_names(tmp_path: Path) -> None:
    with openssl_server(tmp_path, "-verify", "3", "-tls1_3") as address:
        found = survey(attempt(address), [], CLOCK, without_certificate=True)
        only = survey(attempt(address, tls="1.2"), [], CLOCK)
    assert asks(found) == [("1.2", Asks.NOT_OFFERED), ("1.3", Asks.YES)]
    assert names(found) == [[]]
    assert [(one.tls, one.as_expected) for one in found.clients] == [("1.3", True)]
    assert asks(only) == [("1.2", Asks.NOT_OFFERED)]


def test_a_server_that_does_not_ask(tmp_path: Path) -> None:
    with openssl_server(tmp_path) as address:
        found = survey(attempt(address), [], CLOCK)
    assert asks(found) == [("1.2", Asks.NO), ("1.3", Asks.NO)]
    assert not any(one.as_expected for one in found.clients)


def test_a_server_that_needs_a_name(tmp_path: Path) -> None:
    """It has a certificate for ``localhost`` only, and no other answer."""
    other = write(tmp_path, "other", builders.root_ca("other", at=NOW))
    options = ("-servername", "localhost", "-servername_fatal", "-cert2", other.certificate, "-key2", other.key)
    with openssl_server(tmp_path, *map(str, options), "-Verify", "3", "-CAfile", "names.pem") as address:
        lenient = replace(attempt(address), verify_server=False)
        wrong = survey(replace(lenient, server_name="elsewhere"), [], CLOCK)
        right = survey(replace(lenient, server_name="localhost"), [], CLOCK)
    assert asks(wrong) == [("1.2", Asks.UNKNOWN), ("1.3", Asks.UNKNOWN)]
    assert {one.alert for one in wrong.clients} == {"unrecognized_name"}
    assert asks(right) == [("1.2", Asks.YES), ("1.3", Asks.YES)]


def test_a_server_that_we_do_not_trust(tmp_path: Path) -> None:
    with openssl_server(tmp_path, "-Verify", "3", "-CAfile", "names.pem") as address:
        found = survey(Attempt(address=address, timeout=5), [], CLOCK)
    # in TLS 1.3 the request comes before the certificate of the server
    assert asks(found) == [("1.2", Asks.UNKNOWN), ("1.3", Asks.YES)]
    assert all(one.outcome.refused_by is Side.CLIENT and not one.as_expected for one in found.clients)


def test_nothing_in_common(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server = write(tmp_path, "server", SERVER)
    context.load_cert_chain(server.certificate, server.key)
    context.set_ciphers("PSK")
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def handle(connection: socket.socket) -> None:
        context.wrap_socket(connection, server_side=True)

    with listening(handle) as address:
        found = survey(attempt(address, tls="1.2"), [], CLOCK)
    (only,) = found.clients
    assert (only.alert, only.outcome.code) == ("handshake_failure", "handshake-failure"), (
        "nobody asked for a certificate"
    )


def test_who_is_no_server_of_tls() -> None:
    def speak(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with listening(speak) as address:
        found = survey(attempt(address), [Probe("x", None, True)], CLOCK)
    assert found.unreachable is not None
    assert found.unreachable.code == "not-tls"
    assert (len(found.versions), len(found.clients)) == (0, 1), "one try is enough"


@pytest.mark.parametrize(
    "garbage", [b"\x00" * 4096, b"\x16\x03\x03\xff\xff" + b"\x02" * 70_000, b"220 mail ESMTP\r\n" * 99]
)
def test_garbage(garbage: bytes) -> None:
    def speak(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(garbage)

    with listening(speak) as address:
        found = survey(attempt(address), [], CLOCK)
    assert not any(one.as_expected for one in found.clients)
    assert not any(one.asks in {Asks.YES, Asks.NO} for one in found.versions)


def test_a_server_that_hangs() -> None:
    waiting = threading.Event()

    def wait(connection: socket.socket) -> None:
        del connection
        waiting.wait(5)

    with listening(wait) as address:
        found = survey(replace(attempt(address), timeout=0.2), [], CLOCK)
        waiting.set()
    assert found.unreachable is not None
    assert found.unreachable.code == "timeout"


def exactly(connection: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size and (piece := connection.recv(size - len(read))):
        read += piece
    return read


def in_between(folder: Path, body: bytes) -> Callable[[socket.socket], None]:
    """A server of TLS 1.2 whose request for a certificate has another body."""
    demands = tls_server(folder, OK, version="1.2")

    def handle(client: socket.socket) -> None:
        ours, theirs = socket.socketpair()

        def serve() -> None:
            with theirs, contextlib.suppress(OSError):
                demands(theirs)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        ours.settimeout(5)
        with ours:
            header = exactly(client, RECORD)
            ours.sendall(header + exactly(client, int.from_bytes(header[3:])))
            while header := exactly(ours, RECORD):
                record = exactly(ours, int.from_bytes(header[3:]))
                if header[0] == 22 and record[0] == 13:
                    record = b"\x0d" + vector(3, body)
                    header = header[:3] + len(record).to_bytes(2, "big")
                client.sendall(header + record)
                if header[0] == 22 and record[0] == 14:
                    break
            exactly(client, 4096)
        thread.join(timeout=5)

    return handle


@pytest.mark.parametrize("count", [1, 300])
def test_names_of_a_hostile_server(tmp_path: Path, count: int) -> None:
    hostile = [name(f"\x1b[2J{i}\u202e\n") for i in range(count)]
    with listening(in_between(tmp_path, request_1_2(*hostile))) as address:
        found = survey(replace(attempt(address, tls="1.2"), timeout=0.5), [], CLOCK)
    (seen,) = names(found)
    assert seen == [rf"CN=\1b[2J{i}\e2\80\ae\0a" for i in range(count)]
    assert found.unreachable is not None, "it hangs after it has asked"


@pytest.mark.parametrize("body", [b"", b"\x01", request_1_2() + b"\0", request_1_2(b"")[:-1]])
def test_a_request_that_cannot_be_read(tmp_path: Path, body: bytes) -> None:
    with listening(in_between(tmp_path, body)) as address:
        found = survey(replace(attempt(address, tls="1.2"), timeout=2), [], CLOCK)
    (version,), (client,) = found.versions, found.clients
    assert (version.asks, version.request) == (Asks.YES, None)
    assert version.problem
    assert client.outcome.refused_by is Side.CLIENT
    assert not client.as_expected
