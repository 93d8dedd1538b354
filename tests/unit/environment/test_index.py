"""The published index: what its readers refuse, and that it survives being written and read."""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from pkiops.environment.index import (
    AuthorityIndex,
    IndexedAuthority,
    decode_index,
    encode_index,
    index_digest,
    trusted_entry,
)
from pkiops.environment.models import Environment
from pkiops.errors import VerificationFailed
from pkiops.x509 import pem
from pkiops.x509.armor import PARSE_ERRORS, quiet
from pkiops.x509.chain import verify_ca_chain
from tests import builders
from tests.fakes.authority import ACCOUNT, environment

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
ARN = f"arn:aws:acm-pca:eu-west-1:{ACCOUNT}:certificate-authority/1"
BASE = environment()


def der(issued: builders.Issued) -> bytes:
    return issued.certificate.public_bytes(Encoding.DER)


ROOT_NAME, CLIENTS_NAME = (str(BASE.authorities[label].subject.common_name) for label in ("root", "clients"))
ROOT = builders.root_ca(ROOT_NAME)
CLIENTS = builders.subordinate_ca(ROOT, CLIENTS_NAME)
PIN = hashlib.sha256(der(ROOT)).hexdigest()


def pinned(pin: str | None = PIN) -> Environment:
    authorities = {**BASE.authorities, "root": replace(BASE.authorities["root"], sha256=pin)}
    return replace(BASE, authorities=authorities)


def an_index(**changes: Any) -> AuthorityIndex:
    entry = IndexedAuthority(label="clients", generation=1, reference=ARN, chain=(der(CLIENTS), der(ROOT)))
    index = AuthorityIndex(
        environment="test", account=ACCOUNT, region="eu-west-1", digest=index_digest(BASE), authorities=(entry,)
    )
    return replace(index, **changes)


def refused(index: AuthorityIndex, env: Environment, at: datetime = NOW) -> str:
    with pytest.raises(VerificationFailed) as caught:
        trusted_entry(index, env, "clients", at=at)
    return caught.value.code


def test_what_was_written_is_what_is_read() -> None:
    data = encode_index(an_index())
    assert decode_index(data) == an_index()
    assert encode_index(decode_index(data)) == data
    assert data.count(base64.b64encode(der(ROOT))) == 1


def test_an_entry_below_the_pinned_root_is_relied_on() -> None:
    assert trusted_entry(an_index(), pinned(), "clients", at=NOW).reference == ARN


def test_without_a_pinned_root_it_counts_for_nothing() -> None:
    assert refused(an_index(), BASE) == "index.no-pin"


@pytest.mark.parametrize("changes", [{"environment": "prod"}, {"account": "999988887777"}, {"region": "us-east-1"}])
def test_an_index_of_another_place_is_refused(changes: dict[str, str]) -> None:
    assert refused(an_index(**changes), pinned()) == "index.foreign"


def test_a_reference_to_another_account_is_refused() -> None:
    (entry,) = an_index().authorities
    for reference in (ARN.replace(ACCOUNT, "999988887777"), ARN.replace("eu-west-1", "us-east-1"), "x"):
        assert refused(an_index(authorities=(replace(entry, reference=reference),)), pinned()) == "index.foreign"


def test_an_index_of_another_file_is_stale_but_a_pin_makes_none_so() -> None:
    longer = replace(BASE.authorities["clients"], generation=2)
    moved = replace(pinned(), authorities={**pinned().authorities, "clients": longer})
    assert refused(an_index(), moved) == "index.stale"
    assert refused(an_index(authorities=()), pinned()) == "index.stale"
    (entry,) = an_index().authorities
    assert refused(an_index(authorities=(entry, entry)), pinned()) == "index.stale"


def test_a_forged_chain_is_refused() -> None:
    other = builders.root_ca(ROOT_NAME)
    forged = builders.subordinate_ca(other, CLIENTS_NAME)
    (entry,) = an_index().authorities
    own_root = an_index(authorities=(replace(entry, chain=(der(forged), der(other))),))
    assert refused(own_root, pinned()) == "index.pin"
    spliced = an_index(authorities=(replace(entry, chain=(der(forged), der(ROOT))),))
    assert refused(spliced, pinned()).startswith("chain.")


def test_another_ca_below_the_same_root_is_refused() -> None:
    other = builders.subordinate_ca(ROOT, "Example Test Servers CA G1")
    (entry,) = an_index().authorities
    assert refused(an_index(authorities=(replace(entry, chain=(der(other), der(ROOT))),)), pinned()) == "index.subject"


def test_an_expired_chain_is_refused() -> None:
    assert refused(an_index(), pinned(), NOW + timedelta(days=365 * 60)).startswith("chain.")


VERSION = b"\xa0\x03\x02\x01\x02"
OF_VERSION_80 = der(CLIENTS).replace(VERSION, VERSION[:-1] + b"\x50", 1)


@pytest.mark.parametrize("forged", [OF_VERSION_80, pem.encode(der(CLIENTS), pem.CERTIFICATE)])
def test_a_certificate_that_is_none_of_ours_is_refused(forged: bytes) -> None:
    entry = replace(an_index().authorities[0], chain=(forged, der(ROOT)))
    assert refused(an_index(authorities=(entry,)), pinned()) == "index.unreadable"


@given(st.integers(0, 1), st.integers(0, min(len(der(CLIENTS)), len(der(ROOT))) - 1), st.integers(1, 255))
def test_no_flipped_bytes_are_more_than_a_refusal(place: int, offset: int, flip: int) -> None:
    chain = [der(CLIENTS), der(ROOT)]
    chain[place] = chain[place][:offset] + bytes([chain[place][offset] ^ flip]) + chain[place][offset + 1 :]
    entry = replace(an_index().authorities[0], chain=tuple(chain))
    try:
        trusted_entry(an_index(authorities=(entry,)), pinned(), "clients", at=NOW)
    except VerificationFailed:
        pass
    else:
        # the number of unused bits of the signature is held to nothing by the library, where these bits are zero; all that is signed is as it was
        assert (
            x509.load_der_x509_certificate(chain[0]).tbs_certificate_bytes == CLIENTS.certificate.tbs_certificate_bytes
        )
    try:
        with quiet():
            loaded = [x509.load_der_x509_certificate(one) for one in chain]
    except PARSE_ERRORS:
        return
    # read without a look at what the library reads late; again nothing but VerificationFailed
    with quiet(), suppress(VerificationFailed):
        verify_ca_chain(loaded, at=NOW)


def test_garbage_for_a_certificate_is_refused() -> None:
    (entry,) = an_index().authorities
    assert refused(an_index(authorities=(replace(entry, chain=(b"x", der(ROOT))),)), pinned()) == "index.unreadable"


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(kind="other"),
        lambda body: body.update(format_version=2),
        lambda body: body.update(authorities={}),
        lambda body: body.pop("certificates"),
        lambda body: body.update(certificates=[]),
        lambda body: body["authorities"][0].update(chain=[]),
        lambda body: body["authorities"][0].update(chain=["00"] * 6),
        lambda body: body["authorities"][0].update(generation=True),
        lambda body: body["authorities"][0].update(reference="x" * 1000),
        lambda body: body.update(region=5),
        lambda body: body.update(authorities=body["authorities"] * 3000),
    ],
)
def test_what_is_no_index_is_refused(change: Any) -> None:
    body = json.loads(encode_index(an_index()))
    change(body)
    with pytest.raises(VerificationFailed) as caught:
        decode_index(json.dumps(body).encode())
    assert caught.value.code == "index.unreadable"


@pytest.mark.parametrize("data", [b"", b"[" * 100_000, b"null", b"\xff", b"x" * (9 * 1024 * 1024)])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(VerificationFailed):
        decode_index(data)
