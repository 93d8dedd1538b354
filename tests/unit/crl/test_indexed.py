"""All CAs out of the published index: older generations too, and what the file's pins do not reach is left to the service."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.clock import ManualClock
from pkiops.crl.authorities import Authorities
from pkiops.crl.indexed import PassedBy, as_it_is, index_suffices, indexed_authorities
from pkiops.environment.index import AuthorityIndex, IndexedAuthority, encode_index, index_digest, index_key
from pkiops.environment.models import Environment
from pkiops.errors import VerificationFailed
from pkiops.stores.local import LocalStore
from tests import builders
from tests.fakes.authority import ACCOUNT, FakeAuthorities, environment

BASE = environment()
NAMES = {label: str(BASE.authorities[label].subject.common_name) for label in ("root", "clients")}
ROOT = builders.root_ca(NAMES["root"])
CLIENTS = builders.subordinate_ca(ROOT, NAMES["clients"])
OLDER = builders.subordinate_ca(ROOT, "Older Clients")


def der(issued: builders.Issued) -> bytes:
    return issued.certificate.public_bytes(Encoding.DER)


def arn(number: int) -> str:
    return f"arn:aws:acm-pca:eu-west-1:{ACCOUNT}:certificate-authority/{number}"


def rolled_over(label: str = "clients", pin: builders.Issued | None = ROOT) -> Environment:
    """The environment with a pinned root, and a second generation of one authority."""
    authorities = dict(BASE.authorities)
    authorities[label] = replace(authorities[label], generation=2)
    sha256 = hashlib.sha256(der(pin)).hexdigest() if pin else None
    authorities["root"] = replace(authorities["root"], sha256=sha256)
    return replace(BASE, authorities=authorities)


def found(
    folder: Path, env: Environment, *entries: tuple[str, int, tuple[builders.Issued, ...]]
) -> Authorities | PassedBy:
    index = AuthorityIndex(
        environment="test",
        account=ACCOUNT,
        region="eu-west-1",
        digest=index_digest(env),
        authorities=tuple(
            IndexedAuthority(label=label, generation=generation, reference=arn(n), chain=tuple(map(der, chain)))
            for n, (label, generation, chain) in enumerate(entries)
        ),
    )
    store = LocalStore(folder)
    store.put(index_key("test"), encode_index(index))
    return indexed_authorities(env, store, ManualClock(builders.AT))


CURRENT = (("root", 1, (ROOT,)), ("clients", 2, (CLIENTS, ROOT)))


def test_older_generations_below_the_pinned_root_count_and_are_asked_where_their_crl_is(tmp_path: Path) -> None:
    env = rolled_over()
    authorities = found(tmp_path, env, *CURRENT, ("clients", 1, (OLDER, ROOT)))
    assert isinstance(authorities, Authorities)
    assert [one.name for one in authorities.known] == ["root-g1", "clients-g2", "clients-g1"]
    assert all(one.indexed for one in authorities.known)

    class Asked(FakeAuthorities):
        def _label(self, reference: str) -> str:
            return "clients" if reference == arn(2) else super()._label(reference)

    backend = Asked(env, ManualClock(builders.AT))
    asked = [as_it_is(env, backend, one).indexed for one in authorities.known]
    assert asked == [True, True, False]
    assert backend.calls.count("describe_authority") == 1


def test_an_older_generation_of_somebody_else_stops_everything(tmp_path: Path) -> None:
    forger = builders.root_ca(NAMES["root"])
    forged = builders.subordinate_ca(forger, "Older Clients")
    with pytest.raises(VerificationFailed) as caught:
        found(tmp_path, rolled_over(), *CURRENT, ("clients", 1, (forged, ROOT)))
    assert caught.value.code.startswith("chain.")
    assert "ca apply" in str(caught.value.hint)


def test_what_is_below_an_older_root_is_left_to_the_service(tmp_path: Path) -> None:
    older = builders.root_ca("Older Root")
    env = rolled_over("root")
    entries = (("root", 2, (ROOT,)), ("root", 1, (older,)), ("clients", 1, (CLIENTS, ROOT)))
    answer = found(tmp_path, env, *entries)
    assert isinstance(answer, PassedBy)
    assert "root-g1" in answer.reason
    assert not index_suffices(env)


def test_an_expired_ca_is_left_out_and_named(tmp_path: Path) -> None:
    old = builders.subordinate_ca(ROOT, "Older Clients", not_after=builders.AT - timedelta(days=1))
    answer = found(tmp_path, rolled_over(), *CURRENT, ("clients", 1, (old, ROOT)))
    assert isinstance(answer, Authorities)
    assert answer.expired == {"clients-g1"}
    assert [one.name for one in answer.known] == ["root-g1", "clients-g2"]


def test_without_a_pin_or_without_a_ca_of_the_file_the_service_is_asked(tmp_path: Path) -> None:
    assert isinstance(found(tmp_path, rolled_over(pin=None), *CURRENT), PassedBy)
    assert not index_suffices(rolled_over(pin=None))
    assert index_suffices(rolled_over())
    assert isinstance(found(tmp_path, rolled_over(), CURRENT[0]), PassedBy)
    assert isinstance(indexed_authorities(rolled_over(), None, ManualClock(builders.AT)), PassedBy)
