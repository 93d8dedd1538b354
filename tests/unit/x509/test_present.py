"""Chains over the certificates that CAs have now."""

from __future__ import annotations

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from pkiops.x509.chain import verify_ca_chain
from pkiops.x509.present import is_same_authority, present_chains
from tests import builders
from tests.seeded import seeded


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


OLD = builders.root_ca(at=builders.AT)
NEW = builders.root_ca(at=builders.AT + timedelta(days=1), private_key=OLD.key)
BELOW = builders.subordinate_ca(OLD, at=builders.AT)
OTHER = builders.root_ca(at=builders.AT)


def test_a_renewed_root_takes_the_place_of_the_one_before() -> None:
    kept = [(der(BELOW.certificate), der(OLD.certificate)), (der(NEW.certificate),), (der(OTHER.certificate),)]
    below, root, other = present_chains(kept)
    assert below == (der(BELOW.certificate), der(NEW.certificate))
    assert (root, other) == (kept[1], kept[2])
    chain = [x509.load_der_x509_certificate(one) for one in below]
    verify_ca_chain(chain, at=builders.AT + timedelta(days=2))


def test_the_same_name_with_another_key_is_another_ca() -> None:
    assert is_same_authority(der(OLD.certificate), der(NEW.certificate))
    assert not is_same_authority(der(OLD.certificate), der(OTHER.certificate))
    kept = [(der(BELOW.certificate), der(OLD.certificate)), (der(OTHER.certificate),)]
    assert present_chains(kept) == kept


@seeded(50)
@given(st.lists(st.lists(st.binary(max_size=20), max_size=3), max_size=4))
def test_what_cannot_be_read_stays(chains: list[list[bytes]]) -> None:
    assert present_chains(chains) == [tuple(chain) for chain in chains]
