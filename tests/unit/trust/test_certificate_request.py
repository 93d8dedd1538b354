"""What a server asks for, read from its message; and what a hostile one may write there."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from pkiops.trust.certificate_request import (
    CertificateRequest,
    advertised_name,
    read_certificate_request,
)
from pkiops.trust.tls_reader import MalformedMessage
from pkiops.trust.wire import ContentType, HandshakeType, Message
from pkiops.x509.der import encode, object_identifier, sequence, set_of
from pkiops.x509.names import has_unprintable

TLS_1_2, TLS_1_3 = 0x0303, 0x0304


def name(text: str) -> bytes:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]).public_bytes()


def relative(oid: str, tag: int, value: bytes) -> bytes:
    return sequence(set_of(sequence(object_identifier(oid), encode(tag, value))))


def vector(size: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return len(body).to_bytes(size, "big") + body


def request_1_2(*names: bytes) -> bytes:
    return vector(1, b"\x01\x40") + vector(2, b"\x04\x03\x08\x04") + vector(2, *(vector(2, one) for one in names))


def extension(number: int, body: bytes) -> bytes:
    return number.to_bytes(2, "big") + vector(2, body)


def request_1_3(*extensions: bytes) -> bytes:
    return vector(1) + vector(2, *extensions)


def names_extension(*names: bytes) -> bytes:
    return extension(47, vector(2, *(vector(2, one) for one in names)))


SCHEMES = extension(13, vector(2, b"\x04\x03\x08\x04"))


def read(body: bytes, version: int) -> CertificateRequest:
    message = Message(True, ContentType.HANDSHAKE, HandshakeType.CERTIFICATE_REQUEST, version, body)
    return read_certificate_request(message)


@pytest.mark.parametrize(
    ("body", "version"),
    [
        (request_1_2(name("One"), name("Two")), TLS_1_2),
        (request_1_3(extension(4660, b"x"), SCHEMES, names_extension(name("One"), name("Two"))), TLS_1_3),
    ],
)
def test_names_and_schemes(body: bytes, version: int) -> None:
    found = read(body, version)
    assert [one.text for one in found.names] == ["CN=One", "CN=Two"]
    assert found.signature_schemes == (0x0403, 0x0804)


def test_no_names() -> None:
    assert read(request_1_2(), TLS_1_2).names == ()
    assert read(request_1_3(SCHEMES), TLS_1_3).names == ()


@pytest.mark.parametrize(
    ("body", "version"),
    [
        (b"", TLS_1_2),
        (b"", TLS_1_3),
        (request_1_2(name("One")) + b"\0", TLS_1_2),
        (request_1_3(SCHEMES) + b"\0", TLS_1_3),
        (vector(1) + vector(2, b"\x04") + vector(2), TLS_1_2),
        (vector(1) + vector(2) + b"\x00\x05\x00\x09abc", TLS_1_2),
        (vector(1) + b"\xff\xff", TLS_1_3),
        (request_1_3(extension(47, vector(2) + b"\0")), TLS_1_3),
        (request_1_3(extension(13, vector(2) + b"\0")), TLS_1_3),
        (request_1_3(b"\x00\x2f\x00\x01"), TLS_1_3),
    ],
)
def test_lengths_that_are_wrong(body: bytes, version: int) -> None:
    with pytest.raises(MalformedMessage):
        read(body, version)


@given(st.binary(max_size=200), st.sampled_from([TLS_1_2, TLS_1_3]))
@example(request_1_2(b""), TLS_1_2)
def test_whatever_is_written_there_is_read_or_refused(body: bytes, version: int) -> None:
    try:
        found = read(body, version)
    except MalformedMessage:
        return
    assert not any(has_unprintable(one.text) for one in found.names)


@given(st.binary(max_size=60), st.integers(0, 80))
def test_a_damaged_name_is_a_name_or_octets(damage: bytes, at: int) -> None:
    der = name("Example Root CA")
    found = advertised_name(der[:at] + damage + der[at + len(damage) :])
    assert found.text
    assert not has_unprintable(found.text)


@pytest.mark.parametrize(
    ("der", "text"),
    [
        (b"\x30\x00", "(empty name)"),
        (relative("2.5.4.6", 0x13, b"DEU"), "C=DEU"),
        (relative("2.5.4.3", 0x0C, "a\u202eb\n,".encode()), r"CN=a\e2\80\aeb\0a\,"),
        (relative("2.5.4.45", 0x03, b"\x00\x01"), "2.5.4.45=#0001"),
        (relative("2.5.4.3", 0x0C, b"x" * 70_000), "CN=" + "x" * 497 + "..."),
    ],
)
def test_odd_names(der: bytes, text: str) -> None:
    found = advertised_name(der)
    assert (found.text, found.readable) == (text, True)


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x30",
        b"\x30\x80",
        b"\x30\x82\x00\x01\x00",
        b"\x31\x00",
        b"\x30\x84\xff\xff\xff\xff",
        relative("2.5.4.3", 0x0C, b"\xff\xfe"),
        relative("2.5.4.3", 0x1E, b"\xd8\x00"),
        name("One") + b"\0",
        name("One") + name("Two"),
        b"\xff" * 5_000,
    ],
)
def test_what_is_no_name(der: bytes) -> None:
    found = advertised_name(der)
    assert not found.readable
    assert found.text.startswith("#")
    assert len(found.text) <= 100


def test_names_that_openssl_takes_for_the_same() -> None:
    utf8, printable, other = (
        advertised_name(relative("2.5.4.3", tag, value))
        for tag, value in ((0x0C, b"Example  Root "), (0x13, b"example root"), (0x0C, b"Example Root 2"))
    )
    assert utf8.key == printable.key != other.key
