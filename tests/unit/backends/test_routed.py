"""Every call goes to where its authority lives, and none is forgotten."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from pkiops.aws import AwsAccess, AwsClients
from pkiops.backends.auditing import AuditReport
from pkiops.backends.aws_private_ca import AwsPrivateCa
from pkiops.backends.interface import (
    AuthorityCertificateRequest,
    AuthorityRequest,
    AuthorityStatus,
    AuthorityType,
    CrlSettings,
    HasHomes,
    ObservedAuthority,
    reader_at,
)
from pkiops.backends.routed import HomeBackend, RoutedAuthorities
from pkiops.clock import ManualClock
from pkiops.errors import BackendError, NotFound, Throttled
from pkiops.homes import Home
from pkiops.x509.algorithms import KeyAlgorithm, SigningAlgorithm

A = Home("111122223333", "eu-west-1")
B = Home("444455556666", "eu-central-1")
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def arn(home: Home, name: str = "ca") -> str:
    return f"arn:aws:acm-pca:{home.region}:{home.account}:certificate-authority/{name}"


def observed(home: Home, minutes: int) -> ObservedAuthority:
    return ObservedAuthority(
        reference=arn(home, str(minutes)),
        type=AuthorityType.ROOT,
        status=AuthorityStatus.ACTIVE,
        subject={},
        key_algorithm="EC_prime256v1",
        signing_algorithm="SHA256WITHECDSA",
        usage_mode="GENERAL_PURPOSE",
        created_at=NOW + timedelta(minutes=minutes),
    )


class Recorder:
    """A home's backend that writes down what it is asked, and answers with nothing unless told."""

    def __init__(self, home: Home, heard: list[tuple[Home, str]], answers: dict[str, Any] | None = None) -> None:
        self.home, self.heard, self.answers = home, heard, answers or {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: object, **named: object) -> Any:
            del arguments, named
            self.heard.append((self.home, name))
            answer = self.answers.get(name)
            if isinstance(answer, BackendError):
                raise answer
            return answer

        return call


def routed(**answers: dict[str, Any]) -> tuple[RoutedAuthorities, list[tuple[Home, str]]]:
    heard: list[tuple[Home, str]] = []
    backends = {
        home: (lambda home=home, name=name: cast(HomeBackend, Recorder(home, heard, answers.get(name))))
        for name, home in (("a", A), ("b", B))
    }
    return RoutedAuthorities(backends), heard


def public(kind: type) -> dict[str, inspect.Signature | None]:
    members = inspect.getmembers(kind, lambda one: inspect.isfunction(one) or isinstance(one, property))
    return {
        name: inspect.signature(one) if inspect.isfunction(one) else None
        for name, one in members
        if not name.startswith("_")
    }


def test_whatever_one_home_can_do_can_be_done_in_several() -> None:
    several = public(RoutedAuthorities)
    for name, signature in public(AwsPrivateCa).items():
        assert name in several, f"RoutedAuthorities lacks {name}"
        ours = several[name]
        if signature is not None and ours is not None:
            assert list(ours.parameters) == list(signature.parameters), name


REQUEST = AuthorityRequest(
    type=AuthorityType.SUBORDINATE,
    subject={},
    key_algorithm=KeyAlgorithm.EC_prime256v1,
    signing_algorithm=SigningAlgorithm.SHA256WITHECDSA,
    usage_mode="GENERAL_PURPOSE",
    crl=CrlSettings(bucket="b", host=None, validity_days=7),
    tags={},
)
SIGNING = AuthorityCertificateRequest(
    authority=arn(B),
    issuer=arn(A),
    issuer_signing_algorithm=SigningAlgorithm.SHA256WITHECDSA,
    csr_der=b"",
    path_length=0,
    not_before=NOW,
    not_after=NOW,
)
REPORT = AuditReport(authority=arn(B), bucket="b", key="k", created_at=NOW)
# what of a call names a home, by the name of its parameter
GIVEN: dict[str, Any] = {"reference": arn(B), "authority": arn(B), "certificate": arn(B), "tags": {}, "chain": ()}
GIVEN |= {"authorities": (observed(B, 1),), "pieces": (), "report": REPORT}


def arguments(signature: inspect.Signature) -> dict[str, Any]:
    annotations = {
        "AuthorityRequest": AuthorityRequest(**{**_fields(REQUEST), "home": B}),
        "AuthorityCertificateRequest": AuthorityCertificateRequest(**{**_fields(SIGNING), "issuer": arn(B)}),
        "IssuanceRequest": type("Request", (), {"authority": arn(B)})(),
        "ObservedAuthority": observed(B, 1),
        "AuditReport": AuditReport(authority=arn(B), bucket="b", key="k", created_at=NOW),
    }
    return {
        name: annotations.get(str(one.annotation), GIVEN.get(name))
        for name, one in signature.parameters.items()
        if name != "self"
    }


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


IN_DEFAULT = {"crl_bucket_policy", "authority_permissions", "monthly_cost_usd", "caller_policies"}
OWN = {"at_home", "list_authorities", "single_calls"}


@pytest.mark.parametrize(
    "name", [name for name, signature in public(RoutedAuthorities).items() if signature and name not in OWN]
)
def test_a_call_goes_to_the_home_of_its_authority(name: str) -> None:
    backend, heard = routed()
    if name == "confirm_tags":  # the one call that reads what it is given back
        backend, heard = routed(b={name: (observed(B, 1),)})
    method = getattr(backend, name)
    method(**arguments(inspect.signature(getattr(RoutedAuthorities, name))))
    assert heard == [(A if name in IN_DEFAULT else B, name)]


def test_single_calls_go_where_calls_go() -> None:
    single, heard = routed()
    backend, _ = routed(a={"single_calls": single.at_home(A)}, b={"single_calls": single.at_home(B)})
    backend.single_calls().fetch_certificate(arn(B), "certificate")
    assert heard == [(B, "fetch_certificate")]


def test_a_subordinate_is_signed_where_its_issuer_lives_and_installed_where_it_does() -> None:
    backend, heard = routed(a={"sign_authority": (b"leaf", b"root")})
    backend.authority_csr(arn(B))
    chain = backend.sign_authority(SIGNING)
    backend.install_authority(arn(B), chain)
    assert heard == [(B, "authority_csr"), (A, "sign_authority"), (B, "install_authority")]


def test_a_request_that_names_no_home_is_made_in_the_default() -> None:
    backend, heard = routed()
    backend.create_authority(REQUEST)
    assert heard == [(A, "create_authority")]


def test_lists_are_merged_oldest_first() -> None:
    here, there = (observed(A, 1), observed(A, 5)), (observed(B, 3),)
    backend, _ = routed(a={"list_authorities": here}, b={"list_authorities": there})
    assert backend.list_authorities() == (here[0], there[0], here[1])


def test_tags_are_confirmed_by_each_home_in_the_order_asked() -> None:
    here, there, later = observed(A, 1), observed(B, 2), observed(A, 3)
    backend, heard = routed(a={"confirm_tags": (here, later)}, b={"confirm_tags": (there,)})
    assert backend.confirm_tags((later, there, here)) == (later, there, here)
    assert sorted(heard) == sorted([(A, "confirm_tags"), (B, "confirm_tags")])
    assert backend.confirm_tags(()) == ()


def test_homes_are_listed_at_the_same_time() -> None:
    barrier = threading.Barrier(2, timeout=20)

    class Waiting(Recorder):
        def list_authorities(self) -> tuple[ObservedAuthority, ...]:
            barrier.wait()
            return ()

    heard: list[tuple[Home, str]] = []
    made = {home: (lambda home=home: cast(HomeBackend, Waiting(home, heard))) for home in (A, B)}
    assert RoutedAuthorities(made).list_authorities() == ()


def test_errors_keep_their_kind_and_name_the_home() -> None:
    backend, _ = routed(a={"list_authorities": ()}, b={"list_authorities": Throttled("too fast", hint="wait")})
    with pytest.raises(Throttled) as caught:
        backend.list_authorities()
    assert caught.value.message == f"{B}: too fast"
    assert caught.value.hint == "wait"
    assert caught.value.details["home"] == {"account": B.account, "region": B.region}


@pytest.mark.parametrize("reference", [arn(Home("999988887777", "eu-west-1")), arn(Home(A.account, B.region)), "x"])
def test_what_lives_nowhere_here_is_not_asked_for(reference: str) -> None:
    backend, heard = routed()
    with pytest.raises(NotFound) as caught:
        backend.describe_authority(reference)
    assert caught.value.code == "ca.elsewhere"
    assert heard == []
    with pytest.raises(NotFound):
        backend.at_home(Home("999988887777", "eu-west-1"))


def test_a_home_is_opened_when_it_is_needed_and_once() -> None:
    opened: list[Home] = []

    def opener(home: Home) -> Callable[[], HomeBackend]:
        def make() -> HomeBackend:
            opened.append(home)
            return cast(HomeBackend, Recorder(home, []))

        return make

    backend = RoutedAuthorities({home: opener(home) for home in (A, B)})
    assert opened == []
    backend.describe_authority(arn(B))
    backend.describe_authority(arn(B, "other"))
    assert opened == [B]


def test_one_home_alone_can_be_read() -> None:
    backend, heard = routed(b={"list_authorities": (observed(B, 1),)})
    assert isinstance(backend, HasHomes)
    assert backend.homes == (A, B)
    assert reader_at(backend, B).list_authorities() == (observed(B, 1),)
    assert heard == [(B, "list_authorities")]
    broken, _ = routed(b={"list_authorities": Throttled("too fast")})
    with pytest.raises(Throttled) as caught:
        reader_at(broken, B).list_authorities()
    assert caught.value.message == f"{B}: too fast"
    access = AwsAccess(region=A.region, account=A.account, role_arn=None, endpoint_urls={}, sandbox=True)
    single = AwsPrivateCa(AwsClients(access), ManualClock(NOW))
    assert reader_at(single, A) is single
