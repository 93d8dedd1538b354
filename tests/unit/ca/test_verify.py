"""A signed CA certificate is installed only if it is the one that was asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.ca.details import certificate_facts
from pkiops.ca.verify import verify_authority_chain
from pkiops.errors import VerificationFailed
from pkiops.x509.name_constraints import NO_CONSTRAINTS, constraints, encode_name_constraints, name_constraints_of
from tests import builders
from tests.builders import AT, Extra, Issued
from tests.unit.ca.worlds import desired

NAME = "Example Dev Clients CA G1"
LIMITS = constraints(
    [("dns", "example.com"), ("ip", "10.0.0.0/8"), ("uri", ".example.com"), ("email", "me@example.com")],
    [("dns", "x.example.com")],
)
WANTED = replace(desired().authorities[1], name_constraints=LIMITS)
ROOT = builders.root_ca()
KEY = builders.key()


def extension(*, critical: bool = True, limits: bytes | None = None) -> Extra:
    value = limits if limits is not None else encode_name_constraints(LIMITS)
    oid = x509.ObjectIdentifier("2.5.29.30")
    return Extra(x509.UnrecognizedExtension(oid, value), critical=critical)


def signed(*extra: Extra, name: str = NAME) -> Issued:
    return builders.subordinate_ca(ROOT, name, private_key=KEY, extra=extra)


def verify(issued: Issued) -> None:
    request = x509.load_pem_x509_csr(builders.csr(NAME, sans=(), private_key=KEY)).public_bytes(Encoding.DER)
    chain = [one.certificate.public_bytes(Encoding.DER) for one in (issued, ROOT)]
    verify_authority_chain(WANTED, request, chain, at=AT)


def test_what_was_asked_for_passes() -> None:
    verify(signed(extension()))


@pytest.mark.parametrize(
    ("issued", "code"),
    [
        (signed(), "ca.name-constraints"),
        (signed(extension(critical=False)), "ca.name-constraints"),
        (signed(extension(limits=encode_name_constraints(constraints([("dns", "example.org")])))), "ca.name-constraints"),
        (signed(extension(limits=b"\x30\x05")), "ca.unreadable"),
        (signed(extension(), name="Another CA"), "ca.subject"),
        (builders.subordinate_ca(ROOT, NAME, extra=(extension(),)), "ca.public-key"),
        (builders.subordinate_ca(ROOT, NAME, private_key=KEY, path_length=1, extra=(extension(),)), "ca.path-length"),
    ],
)  # fmt: skip
def test_anything_else_does_not(issued: Issued, code: str) -> None:
    with pytest.raises(VerificationFailed) as caught:
        verify(issued)
    assert caught.value.code == code


def test_name_constraints_read_back_as_they_were_written() -> None:
    certificate = signed(extension()).certificate
    assert name_constraints_of(certificate) == LIMITS
    assert certificate_facts(certificate.public_bytes(Encoding.DER)).name_constraints == LIMITS
    assert name_constraints_of(ROOT.certificate) == NO_CONSTRAINTS
    other = x509.NameConstraints([x509.DirectoryName(ROOT.certificate.subject), x509.DNSName("EXAMPLE.com")], None)
    found = name_constraints_of(signed(Extra(other, critical=True)).certificate)
    assert (found.permitted, found.other) == ((("dns", "example.com"),), 1)
    assert str(found) == "permitted dns example.com, 1 of other forms"
