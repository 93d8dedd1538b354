"""Which CA issues: the index below a pinned root, with no other call; tags where it is of no use; nothing at all where it was tampered with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.backends.interface import AuthorityStatus
from pkiops.cert.find_authority import AuthorityFinder
from pkiops.environment.index import MAX_BYTES, AuthorityIndex, IndexedAuthority, encode_index, index_digest, index_key
from pkiops.environment.models import Environment
from pkiops.errors import AccessDenied, InvalidState, NotFound, PkiopsError, VerificationFailed
from pkiops.stores.interface import StoredObject
from pkiops.stores.local import LocalStore
from pkiops.x509.certificate import fingerprint
from tests import builders
from tests.fakes.authority import ACCOUNT, environment
from tests.unit.cert.setting import Setting, order

KEY = index_key("test")
OTHER_ROOT = builders.root_ca("Example Test Root CA G1")
OTHER = builders.subordinate_ca(OTHER_ROOT, "Example Test Clients CA G1")


def der(issued: builders.Issued) -> bytes:
    return issued.certificate.public_bytes(Encoding.DER)


class Indexed(Setting):
    """A setting whose file pins the root, and whose trust bucket is a folder."""

    def __post_init__(self) -> None:
        super().__post_init__()
        root, clients = (self.backend.cas[label] for label in ("root", "clients"))
        self.reference = self.backend._observed("clients", tagged=False).reference
        declared = self.environment.authorities
        pin = fingerprint(root.certificate)
        self.environment = replace(
            self.environment, authorities={**declared, "root": replace(declared["root"], sha256=pin)}
        )
        self.store = LocalStore(self.folder / "bucket")
        entry = IndexedAuthority(
            label="clients", generation=1, reference=self.reference, chain=(der(clients), der(root))
        )
        self.index = AuthorityIndex(
            environment="test",
            account=ACCOUNT,
            region="eu-west-1",
            digest=index_digest(self.environment),
            authorities=(entry,),
        )
        self.publish(self.index)

    def publish(self, index: AuthorityIndex | bytes) -> None:
        self.store.put(KEY, index if isinstance(index, bytes) else encode_index(index))

    def finder(self, store: Any = None, env: Environment | None = None) -> AuthorityFinder:
        return AuthorityFinder(env or self.environment, self.backend, store or self.store, self.clock, self)

    def step(self, message: str) -> None:
        self.told = [*getattr(self, "told", []), message]

    def entry(self, **changes: Any) -> AuthorityIndex:
        return replace(self.index, authorities=(replace(self.index.authorities[0], **changes),))


@pytest.fixture
def setting(tmp_path: Path) -> Indexed:
    return Indexed(tmp_path, environment())


def test_below_a_pinned_root_nothing_is_asked_but_the_certificate(setting: Indexed) -> None:
    issued = replace(setting.issuance(), store=setting.store).issue(order())
    assert setting.backend.calls == ["request_certificate", "fetch_certificate"]
    assert [fingerprint(one) for one in issued.chain] == [
        hashlib.sha256(one).hexdigest() for one in setting.index.authorities[0].chain
    ]
    assert issued.entry.authority_reference == setting.reference


def test_it_gives_what_the_service_would(setting: Indexed) -> None:
    found = setting.finder().find("clients")
    asked = replace(setting.finder(), store=None).find("clients")
    assert (found.label, found.generation, found.chain) == (asked.label, asked.generation, asked.chain)
    for name in ("reference", "type", "status", "key_algorithm", "signing_algorithm", "usage_mode", "not_after"):
        assert getattr(found.observed, name) == getattr(asked.observed, name), name


def test_without_a_pinned_root_the_index_is_not_read(setting: Indexed) -> None:
    setting.publish(b"{")
    assert setting.finder(env=environment()).find("clients").observed.tags
    assert "list_authorities" in setting.backend.calls


def test_an_index_of_another_version_of_the_file_is_gone_past(setting: Indexed) -> None:
    for index in (
        replace(setting.index, digest="0" * 64),
        replace(setting.index, authorities=()),
        setting.entry(generation=2),
        setting.entry(label="root"),
    ):
        setting.publish(index)
        assert setting.finder().find("clients").observed.tags
    assert all(one.startswith("looking for test/ca/clients in the service: ") for one in setting.told)
    assert len(setting.told) == 4


def test_a_pinned_arn_is_the_one_that_counts(setting: Indexed) -> None:
    clients = replace(setting.environment.authorities["clients"], arn=f"{setting.reference[:-1]}9")
    env = replace(setting.environment, authorities={**setting.environment.authorities, "clients": clients})
    setting.publish(replace(setting.index, digest=index_digest(env)))
    assert setting.finder(env=env).find("clients").observed.tags
    assert "the file pins" in setting.told[0]


class Refusing:
    """A bucket that cannot be read."""

    def __init__(self, error: PkiopsError) -> None:
        self.error = error

    def get(self, key: str, *, max_bytes: int) -> StoredObject | None:
        raise self.error

    def describe(self) -> str:
        return "s3://example-test-trust"


@pytest.mark.parametrize("error", [AccessDenied("GetObject: no"), NotFound("no bucket"), None])
def test_where_the_index_cannot_be_read_the_service_is_asked(setting: Indexed, error: PkiopsError | None) -> None:
    if error is None:
        (setting.folder / "bucket" / KEY).unlink()
    assert setting.finder(Refusing(error) if error else None).find("clients").observed.tags


def test_who_may_do_neither_is_told_both(setting: Indexed) -> None:
    def denied(point: str) -> None:
        raise AccessDenied("ListCertificateAuthorities: no")

    setting.backend.interrupt = denied
    with pytest.raises(AccessDenied, match="ListCertificateAuthorities") as caught:
        setting.finder(Refusing(AccessDenied("GetObject: no"))).find("clients")
    assert "GetObject: no" in str(caught.value.hint)
    assert "pkiops ca apply test" in str(caught.value.hint)


def _truncated(setting: Indexed) -> bytes:
    return encode_index(setting.index)[:-40]


def _huge(setting: Indexed) -> bytes:
    return b" " * (MAX_BYTES + 1)


def _of_another_version(setting: Indexed) -> bytes:
    return json.dumps({**json.loads(encode_index(setting.index)), "format_version": 2}).encode()


def _broken_signature(setting: Indexed) -> AuthorityIndex:
    clients, root = setting.index.authorities[0].chain
    return setting.entry(chain=(clients[:-1] + bytes([clients[-1] ^ 1]), root))


FORGED: dict[str, tuple[Callable[[Indexed], AuthorityIndex | bytes], str]] = {
    "another account": (lambda setting: replace(setting.index, account="999988887777"), "index.foreign"),
    "another region": (lambda setting: replace(setting.index, region="us-east-1"), "index.foreign"),
    "another environment": (lambda setting: replace(setting.index, environment="prod"), "index.foreign"),
    "a CA of another account": (
        lambda setting: setting.entry(reference=setting.reference.replace(ACCOUNT, "999988887777")),
        "index.foreign",
    ),
    "the root in its place": (
        lambda setting: setting.entry(chain=setting.index.authorities[0].chain[1:]),
        "index.subject",
    ),
    "another root of the same name": (lambda setting: setting.entry(chain=(der(OTHER), der(OTHER_ROOT))), "index.pin"),
    "below another root": (
        lambda setting: setting.entry(chain=(der(OTHER), setting.index.authorities[0].chain[1])),
        "chain.signature",
    ),
    "a broken signature": (_broken_signature, "chain.signature"),
    "no certificate": (lambda setting: setting.entry(chain=(b"x",)), "index.unreadable"),
    "cut off": (_truncated, "index.unreadable"),
    "another format": (_of_another_version, "index.unreadable"),
    "too large": (_huge, "store.too-big"),
    "nested": (lambda setting: b"[" * 100_000, "index.unreadable"),
}


@pytest.mark.parametrize("what", FORGED)
def test_what_only_a_forger_writes_stops_everything(setting: Indexed, what: str) -> None:
    forge, code = FORGED[what]
    setting.publish(forge(setting))
    with pytest.raises(VerificationFailed) as caught:
        setting.finder().find("clients")
    assert caught.value.code == code
    assert "find out who wrote" in str(caught.value.hint)
    assert setting.backend.calls == []


def test_an_index_whose_chain_has_expired_is_not_relied_on(setting: Indexed) -> None:
    setting.clock.advance(timedelta(days=365 * 30))
    with pytest.raises(VerificationFailed):
        setting.finder().find("clients")


def test_a_ca_that_is_not_active_refuses_by_itself(setting: Indexed) -> None:

    setting.backend.status["clients"] = AuthorityStatus.DISABLED
    with pytest.raises(InvalidState):
        replace(setting.issuance(), store=setting.store).issue(order())
