"""Who calls, where nobody was asked: a caller of another account is told so as soon as the CA refuses, and what was refused is in the ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.backends.interface import ObservedAuthority
from pkiops.cert.issue import Issuance
from pkiops.environment.index import AuthorityIndex, IndexedAuthority, encode_index, index_digest, index_key
from pkiops.errors import AccessDenied, BackendError, GuardRefused, NotFound, PkiopsError, Unreachable
from pkiops.ledger.interface import EntryState
from pkiops.stores.local import LocalStore
from tests.fakes.authority import ACCOUNT, FakeAuthorities
from tests.unit.cert.setting import Setting, order

ARN = f"arn:aws:acm-pca:eu-west-1:{ACCOUNT}:certificate-authority/12345678-1234-1234-1234-123456789012"


class Named(FakeAuthorities):
    """The fake CAs; the one that issues also answers to an ARN."""

    def _label(self, reference: str) -> str:
        return "clients" if reference == ARN else super()._label(reference)

    def crl_url(self, authority: ObservedAuthority) -> str | None:
        host = self._environment.publication.crl.host
        return f"http://{host}/crl/{authority.reference.rpartition('/')[2]}.crl"


def indexed(setting: Setting, requester: Callable[[], str]) -> Issuance:
    setting.backend = Named(setting.environment, setting.clock)
    ders = [setting.backend.cas[label].certificate.public_bytes(Encoding.DER) for label in ("clients", "root")]
    declared = setting.environment.authorities
    root = replace(declared["root"], sha256=hashlib.sha256(ders[1]).hexdigest())
    pinned = replace(setting.environment, authorities={**declared, "root": root})
    index = AuthorityIndex(
        environment="test",
        account=ACCOUNT,
        region="eu-west-1",
        digest=index_digest(pinned),
        authorities=(IndexedAuthority(label="clients", generation=1, reference=ARN, chain=tuple(ders)),),
    )
    store = LocalStore(setting.folder / "bucket")
    store.put(index_key("test"), encode_index(index))
    return Issuance(
        environment=pinned,
        backend=setting.backend,
        ledger=setting.ledger,
        clock=setting.clock,
        requester=requester,
        store=store,
        credential=lambda: "aws-access-key:AKIAEXAMPLE",
    )


def refusing(error: BackendError) -> Callable[[str], None]:
    def interrupt(point: str) -> None:
        if point == "before request_certificate":
            raise error

    return interrupt


def nobody() -> str:
    raise AssertionError("nobody is asked who calls")


def test_what_is_in_the_index_is_not_asked_for(tmp_path: Path) -> None:
    setting = Setting(tmp_path)
    issued = indexed(setting, nobody).issue(order())
    assert issued.entry.requester == "aws-access-key:AKIAEXAMPLE"
    assert issued.entry.authority_reference == ARN
    assert not {"list_authorities", "describe_authority", "authority_chain"} & set(setting.backend.calls)


@pytest.mark.parametrize("error", [AccessDenied("no"), NotFound("none")])
def test_a_refused_stranger_is_told_which_account_is_wrong(tmp_path: Path, error: BackendError) -> None:
    def stranger() -> str:
        raise GuardRefused("another account", code="guard.account")

    setting = Setting(tmp_path)
    issuance = indexed(setting, stranger)
    setting.backend.interrupt = refusing(error)
    with pytest.raises(GuardRefused, match="another account"):
        issuance.issue(order())
    assert [one.state for one in setting.entries()] == [EntryState.FAILED]


def _known() -> str:
    return "arn:aws:sts::111122223333:assumed-role/issuer/ci"


def _unheard() -> str:
    raise Unreachable("no STS here")


@pytest.mark.parametrize("requester", [_known, _unheard])
def test_a_refusal_stays_what_it_is_for_callers_of_the_account(tmp_path: Path, requester: Callable[[], str]) -> None:
    setting = Setting(tmp_path)
    issuance = indexed(setting, requester)
    setting.backend.interrupt = refusing(AccessDenied("no permission"))
    with pytest.raises(PkiopsError, match="no permission") as caught:
        issuance.issue(order())
    assert isinstance(caught.value, AccessDenied)
