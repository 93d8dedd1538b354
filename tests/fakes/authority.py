"""An honest certificate authority in memory: real keys and signatures, tokens that live five minutes, a CRL, and places to interrupt it.

Implements ReadsAuthorities, IssuesCertificates, RevokesCertificates and PublishesOwnCrls over the authorities of an environment, every one ACTIVE.
It is honest until a test changes ``answer``, ``status`` or ``interrupt``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.backends.identity import identity_tags
from pkiops.backends.interface import (
    AuthorityStatus,
    AuthorityType,
    ExpectedCertificate,
    IssuanceRequest,
    ObservedAuthority,
    RevocationOutcome,
    RevocationReason,
)
from pkiops.backends.interface import CrlSettings as ObservedCrl
from pkiops.clock import Clock
from pkiops.environment.hierarchy import chain, issuers_first
from pkiops.environment.models import (
    Authority,
    AuthoritySubject,
    AwsPrivateCaBackend,
    CrlPublication,
    CrlSettings,
    Environment,
    Publication,
    SqliteLedger,
    TrustPublication,
)
from pkiops.errors import InvalidState, NotFound
from pkiops.policy.rules import FromRequest, Profile, SanRule, SubjectRule, Usage, ValidityRule
from pkiops.x509.duration import Duration
from pkiops.x509.keys import PrivateKey
from tests import builders

TOKEN_LIFE = timedelta(minutes=5)
ACCOUNT = "111122223333"
KEY_USAGE = ("digitalSignature",)


def environment(name: str = "test", profiles: Mapping[str, Profile] | None = None) -> Environment:
    """A root, a subordinate ``clients``, and two profiles: ``service`` (clientAuth) and ``dual`` (both usages)."""
    subject = AuthoritySubject(common_name="Example Test Root CA G1", organization="Example Ltd")
    return Environment(
        schema=1,
        environment=name,
        backend=AwsPrivateCaBackend(type="aws-private-ca", region="eu-west-1", account=ACCOUNT, sandbox=True),
        ledger=SqliteLedger(type="sqlite", path=".pkiops/test.db"),
        publication=Publication(
            crl=CrlPublication(bucket="example-test-crl", host="pki.test.example.com"),
            trust=TrustPublication(bucket="example-test-trust"),
        ),
        authorities={
            "root": Authority(subject=subject, validity=Duration(10, "y"), crl=CrlSettings(validity=Duration(90, "d"))),
            "clients": Authority(
                subject=AuthoritySubject(common_name="Example Test Clients CA G1", organization="Example Ltd"),
                issuer="root",
                validity=Duration(5, "y"),
                crl=CrlSettings(validity=Duration(7, "d")),
            ),
        },
        profiles=profiles or {"service": profile(), "dual": profile((Usage.CLIENT_AUTH, Usage.SERVER_AUTH))},
    )


def profile(usage: tuple[Usage, ...] = (Usage.CLIENT_AUTH,)) -> Profile:
    """30 days by default, 90 at most; ``*.svc.test.example.com`` and SPIFFE names of ``test.example.com``."""
    return Profile(
        authority="clients",
        usage=usage,
        validity=ValidityRule(default=Duration(30, "d"), max=Duration(90, "d")),
        subject=SubjectRule(organization="Example Ltd", common_name=FromRequest(source="request")),
        san=SanRule(dns=("*.svc.test.example.com",), uri=("spiffe://test.example.com/ns/*/sa/*",)),
    )


@dataclass(frozen=True)
class Made:
    """A certificate the fake made, and when it was asked for."""

    reference: str
    request: IssuanceRequest
    asked_at: datetime
    certificate: bytes


class FakeAuthorities:
    """The CAs of an environment.

    ``interrupt`` is called with ``before NAME`` and ``after NAME`` of every call and may raise; ``answer`` makes the certificate of a request.
    """

    def __init__(self, env: Environment, clock: Clock) -> None:
        self._environment = env
        self._clock = clock
        self._lock = threading.Lock()
        self.outside = _outside(env, clock.now())
        self.cas = _authorities(env, clock.now(), self.outside)
        self.status = dict.fromkeys(self.cas, AuthorityStatus.ACTIVE)
        self.calls: list[str] = []
        self.made: list[Made] = []
        self.revoked: dict[str, dict[int, x509.ReasonFlags | None]] = {label: {} for label in self.cas}
        self.interrupt: Callable[[str], None] = lambda point: None
        self.answer: Callable[[IssuanceRequest, builders.Issued, int], bytes] = honest_answer

    def list_authorities(self) -> tuple[ObservedAuthority, ...]:
        with self._call("list_authorities"):
            return tuple(self._observed(label, tagged=True) for label in self.cas)

    def describe_authority(self, reference: str) -> ObservedAuthority:
        with self._call("describe_authority"):
            return self._observed(self._label(reference), tagged=False)

    def authority_chain(self, reference: str) -> tuple[bytes, ...]:
        with self._call("authority_chain"):
            labels = chain(self._environment, self._label(reference))
            return tuple(_der((self.cas | self.outside)[label].certificate) for label in labels)

    def expect_certificate(self, request: IssuanceRequest, authority: ObservedAuthority) -> ExpectedCertificate:
        return ExpectedCertificate(
            template=f"fake:{'+'.join(request.usages)}",
            subject=dict(request.subject),
            sans=tuple(request.sans),
            key_usage=KEY_USAGE,
            extended_key_usage=tuple(request.usages),
            is_ca=False,
            path_length=None,
            crl_url=self.crl_url(authority),
            not_before=request.not_before,
            not_after=request.not_after,
        )

    def request_certificate(self, request: IssuanceRequest) -> str:
        with self._call("request_certificate"), self._lock:
            label = self._label(request.authority)
            if self.status[label] is not AuthorityStatus.ACTIVE:
                raise InvalidState(f"{label} is {self.status[label]}")
            for made in self.made:
                if made.request == request and self._clock.now() - made.asked_at < TOKEN_LIFE:
                    return made.reference
            serial = 0x5EED_0000_0000_0001 + len(self.made)
            reference = f"{request.authority}/certificate/{serial:x}"
            certificate = self.answer(request, self.cas[label], serial)
            self.made.append(Made(reference, request, self._clock.now(), certificate))
            return reference

    def fetch_certificate(self, authority: str, certificate: str) -> tuple[bytes, ...]:
        with self._call("fetch_certificate"):
            for made in self.made:
                if made.reference == certificate:
                    above = chain(self._environment, self._label(authority))
                    return (made.certificate, *(_der((self.cas | self.outside)[label].certificate) for label in above))
            raise NotFound(f"no certificate {certificate}")

    def revoke_certificate(self, authority: str, serial: str, reason: RevocationReason) -> RevocationOutcome:
        with self._call("revoke_certificate"):
            label = self._label(authority)
            number = int(serial, 16)
            known = {x509.load_der_x509_certificate(m.certificate).serial_number for m in self.made}
            if number not in known:
                raise NotFound(f"{label} never issued {serial}")
            already = number in self.revoked[label]
            flag = None if reason is RevocationReason.UNSPECIFIED else x509.ReasonFlags(reason.value)
            self.revoked[label].setdefault(number, flag)
            return RevocationOutcome(already_revoked=already, visible_after_seconds=1800)

    def crl_url(self, authority: ObservedAuthority) -> str | None:
        return f"http://{self._environment.publication.crl.host}/crl/{self._label(authority.reference)}.crl"

    def fetch_crl(self, authority: ObservedAuthority) -> bytes | None:
        with self._call("fetch_crl"):
            label = self._label(authority.reference)
            crl = builders.crl(self.cas[label], at=self._clock.now(), revoked=self.revoked[label])
            return crl.public_bytes(Encoding.DER)

    def _observed(self, label: str, *, tagged: bool) -> ObservedAuthority:
        certificate = self.cas[label].certificate
        declared = self._environment.authorities[label]
        tags = identity_tags(self._environment.environment, label, declared.generation)
        return ObservedAuthority(
            reference=reference_of(label),
            type=AuthorityType.SUBORDINATE if declared.issuer else AuthorityType.ROOT,
            status=self.status[label],
            subject={"common_name": declared.subject.common_name or ""},
            key_algorithm="EC_prime256v1",
            signing_algorithm="SHA256WITHECDSA",
            usage_mode="GENERAL_PURPOSE",
            created_at=certificate.not_valid_before_utc,
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            crl=ObservedCrl(bucket="example-test-crl", host=self._environment.publication.crl.host, validity_days=7),
            tags=tags if tagged else None,
        )

    def _label(self, reference: str) -> str:
        for label in self.cas:
            if reference_of(label) == reference:
                return label
        raise NotFound(f"no CA {reference}")

    def _call(self, name: str) -> _Call:
        return _Call(self, name)


class _Call:
    def __init__(self, owner: FakeAuthorities, name: str) -> None:
        self._owner = owner
        self._name = name

    def __enter__(self) -> None:
        self._owner.interrupt(f"before {self._name}")
        self._owner.calls.append(self._name)

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._owner.interrupt(f"after {self._name}")


class _PublicOnly:
    """Stands where a builder wants a key pair but uses its public half only."""

    def __init__(self, csr_der: bytes) -> None:
        self._csr = x509.load_der_x509_csr(csr_der)

    def public_key(self) -> object:
        return self._csr.public_key()


def honest_answer(request: IssuanceRequest, issuer: builders.Issued, serial: int) -> bytes:
    """Exactly the certificate that was asked for."""
    label = request.authority.rsplit("/", 1)[-1]
    issued = builders.end_entity(
        issuer,
        request.subject,
        private_key=cast(PrivateKey, _PublicOnly(request.csr_der)),
        sans=[f"{san.kind.value}:{san.value}" for san in request.sans],
        usage=tuple(request.usages),
        not_before=request.not_before,
        not_after=request.not_after,
        serial=serial,
        crl_urls=[f"http://pki.test.example.com/crl/{label}.crl"],
    )
    return _der(issued.certificate)


def answering(**changes: object) -> Callable[[IssuanceRequest, builders.Issued, int], bytes]:
    """A CA that changes fields of every request before it makes the certificate."""
    return lambda request, issuer, serial: honest_answer(replace(request, **changes), issuer, serial)  # type: ignore[arg-type]


def reference_of(label: str) -> str:
    """The fake's reference of a CA."""
    return f"arn:aws:acm-pca:eu-west-1:{ACCOUNT}:certificate-authority/{label}"


def _outside(env: Environment, at: datetime) -> dict[str, builders.Issued]:
    """The CAs that are kept elsewhere, which the file lists from the root down."""
    made: dict[str, builders.Issued] = {}
    for label, declared in env.external_authorities.items():
        if declared.issuer is None:
            made[label] = builders.root_ca(f"Outside {label}", at=at)
        else:
            ends = at + timedelta(days=3000)
            made[label] = builders.subordinate_ca(
                made[declared.issuer], f"Outside {label}", at=at, path_length=2, not_after=ends
            )
    return made


def _authorities(env: Environment, at: datetime, outside: Mapping[str, builders.Issued]) -> dict[str, builders.Issued]:
    made: dict[str, builders.Issued] = {}
    for label in issuers_first(env):
        declared = env.authorities[label]
        name = {"organization": declared.subject.organization or "", "common_name": declared.subject.common_name or ""}
        ends = declared.validity.after(at)
        if declared.issuer is None:
            made[label] = builders.root_ca(name, at=at, not_after=ends)
        else:
            made[label] = builders.subordinate_ca(
                (made | dict(outside))[declared.issuer],
                name,
                at=at,
                path_length=declared.path_length or 0,
                not_after=ends,
            )
    return made


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)
