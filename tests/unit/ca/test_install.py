"""Asking for a signature and bringing it back, over a service that lies, forgets, or is changed by somebody else meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.backends.interface import (
    AuthorityCertificateRequest,
    AuthorityRequest,
    AuthorityStatus,
    CrlSettings,
    ObservedAuthority,
    OcspSettings,
)
from pkiops.ca.desired import Desired, DesiredAuthority
from pkiops.ca.index import IndexPublisher
from pkiops.ca.install import Installation, Signed, read_signed
from pkiops.ca.signing import SigningRequest, signing_request
from pkiops.ca.signing_sheet import openssl_configuration, sheet_files, sheet_text
from pkiops.clock import ManualClock
from pkiops.environment.load import load_file
from pkiops.environment.models import Environment
from pkiops.errors import (
    AccessDenied,
    GuardRefused,
    InProgress,
    InvalidState,
    PartialApply,
    PkiopsError,
    VerificationFailed,
)
from pkiops.plan import ActionKind
from pkiops.progress import NoProgress
from pkiops.stores.interface import ALWAYS, Condition, StoredObject
from pkiops.stores.local import LocalStore
from pkiops.x509.attribute_types import FIELD_OIDS
from pkiops.x509.csr import build_csr
from tests import builders
from tests.offline_root import SAMPLE, OfflineRoot
from tests.unit.ca.worlds import NOW, authority_as, desired

NAME = x509.Name(
    [
        x509.NameAttribute(x509.ObjectIdentifier(FIELD_OIDS[name]), value)
        for name, value in (
            ("country", "GB"),
            ("organization", "Example Ltd"),
            ("common_name", "Example Offline Clients CA G1"),
        )
    ]
)


@dataclass
class OneAuthority:
    """A service with one CA in it, whose certificate is what was installed last; ``meanwhile`` may interfere with an installation."""

    observed: ObservedAuthority
    key: Any = field(default_factory=builders.key)
    csr: bytes = b""
    chain: tuple[bytes, ...] = ()
    meanwhile: Callable[[], None] = lambda: None
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.csr = self.csr or self.request(NAME)

    def request(self, name: x509.Name) -> bytes:
        return x509.load_pem_x509_csr(build_csr(self.key, name, ())).public_bytes(Encoding.DER)

    def list_authorities(self) -> tuple[ObservedAuthority, ...]:
        return (self.observed,)

    def describe_authority(self, reference: str) -> ObservedAuthority:
        raise AssertionError(reference)

    def authority_chain(self, reference: str) -> tuple[bytes, ...]:
        assert reference == self.observed.reference
        return self.chain

    def authority_csr(self, reference: str) -> bytes:
        assert reference == self.observed.reference
        return self.csr

    def install_authority(self, reference: str, chain: Sequence[bytes]) -> None:
        self.calls.append(reference)
        self.chain = tuple(chain)
        own = x509.load_der_x509_certificate(chain[0])
        self.observed = replace(
            self.observed,
            status=AuthorityStatus.ACTIVE,
            not_before=own.not_valid_before_utc,
            not_after=own.not_valid_after_utc,
        )
        self.meanwhile()

    def create_authority(self, request: AuthorityRequest) -> str:
        raise AssertionError(request)

    def sign_authority(self, request: AuthorityCertificateRequest) -> tuple[bytes, ...]:
        raise AssertionError(request)

    def configure_revocation(self, reference: str, crl: CrlSettings, ocsp: OcspSettings | None = None) -> None:
        raise AssertionError((reference, crl, ocsp))


class Bucket(LocalStore):
    """A trust bucket into which nothing can be written while ``closed`` is an error."""

    closed: PkiopsError | None = None

    def put(
        self,
        key: str,
        data: bytes,
        *,
        condition: Condition = ALWAYS,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> str:
        if self.closed is not None:
            raise self.closed
        return super().put(key, data, condition=condition, content_type=content_type, cache_control=cache_control)

    def index(self) -> StoredObject | None:
        return self.get("offline/index.json", max_bytes=1_000_000)


class Desk:
    """The sample environment, its CA waiting for a certificate, and the root that signs it."""

    def __init__(self, folder: Path) -> None:
        self.environment: Environment = load_file(SAMPLE)
        self.want: Desired = desired(self.environment)
        self.wanted: DesiredAuthority = self.want.authorities[0]
        pending = {"status": AuthorityStatus.PENDING_CERTIFICATE, "not_before": None, "not_after": None}
        self.backend = OneAuthority(authority_as(self.wanted, "offline", **pending))
        self.bucket = Bucket(folder)
        self.clock = ManualClock(NOW)
        self.root = OfflineRoot(NOW)

    @property
    def installation(self) -> Installation:
        index = IndexPublisher(self.environment, self.backend, self.bucket)
        return Installation(self.environment, self.wanted, self.backend, index, self.clock)

    def signing(self) -> SigningRequest:
        return signing_request(self.environment, self.wanted, self.backend, self.clock)

    def signed(self, **changes: Any) -> Signed:
        settings = {"limits": self.wanted.name_constraints, **changes}
        certificate = self.root.sign(self.signing().request.pem, **settings)
        return read_signed((certificate, "clients.pem"), (self.root.chain, "chain.pem"))

    def observe(self, **changes: Any) -> None:
        self.backend.observed = replace(self.backend.observed, **changes)

    def install(self, signed: Signed) -> list[str]:
        use_case = self.installation
        return [one.kind.value for one in use_case.apply(use_case.plan(signed), signed, progress=NoProgress())]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_what_is_installed_is_read_back_and_published(desk: Desk) -> None:
    signed = desk.signed()
    assert desk.install(signed) == ["activate", "update"]
    assert desk.backend.chain == signed.der
    assert desk.bucket.index() is not None
    assert desk.install(signed) == []
    assert len(desk.backend.calls) == 1


def test_a_chain_that_changes_alone_is_published_anew(desk: Desk) -> None:
    signed = desk.signed()
    desk.install(signed)
    before = desk.bucket.index()
    # the root was signed again with its key: the same name, other bytes
    renewed = builders.root_ca(desk.root.issued.name, private_key=desk.root.issued.key, at=NOW, path_length=2)
    again = Signed(signed.certificate, (renewed.certificate,))
    assert desk.install(again) == ["renew", "update"]
    after = desk.bucket.index()
    assert before is not None
    assert after is not None
    assert before.data != after.data


def test_an_installation_that_somebody_else_replaced_is_no_success(desk: Desk) -> None:
    signed = desk.signed()
    other = desk.signed().der

    def replaced() -> None:
        desk.backend.chain = other

    desk.backend.meanwhile = replaced
    with pytest.raises(InProgress) as caught:
        desk.install(signed)
    assert caught.value.code == "ca.read-back"


def test_an_index_that_cannot_be_written_is_a_part_left_over(desk: Desk) -> None:
    signed = desk.signed()
    desk.bucket.closed = AccessDenied("no right to write")
    with pytest.raises(PartialApply) as caught:
        desk.install(signed)
    assert caught.value.exit_code == 7
    assert "pkiops ca install offline clients" in str(caught.value.hint)
    desk.bucket.closed = None
    assert desk.install(signed) == ["update"]
    assert desk.bucket.index() is not None


def test_what_changed_after_it_was_shown_is_not_done(desk: Desk) -> None:
    first, second = desk.signed(), desk.signed()
    use_case = desk.installation
    shown = use_case.plan(first)
    desk.install(second)
    with pytest.raises(GuardRefused) as caught:
        use_case.apply(shown, first, progress=NoProgress())
    assert caught.value.code == "plan.moved"
    assert desk.backend.chain == second.der


@pytest.mark.parametrize("status", [AuthorityStatus.DISABLED, AuthorityStatus.FAILED])
def test_states_in_which_nothing_is_taken(desk: Desk, status: AuthorityStatus) -> None:
    signed = desk.signed()
    desk.observe(status=status)
    for ask in (desk.signing, lambda: desk.installation.plan(signed)):
        with pytest.raises(InvalidState):
            ask()


def test_a_ca_that_is_still_being_made_is_asked_for_its_request(desk: Desk) -> None:
    desk.observe(status=AuthorityStatus.CREATING)
    assert desk.signing().subject.startswith("CN=Example Offline Clients CA G1")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"key_algorithm": "RSA_2048"}, "key algorithm: it has RSA_2048"),
        ({"subject": {"common_name": "Another"}}, "subject: it has common_name=Another"),
        ({"usage_mode": "SHORT_LIVED_CERTIFICATE"}, "usage mode"),
    ],
)
def test_a_ca_that_is_not_the_declared_one_hands_out_nothing(
    desk: Desk, changes: Mapping[str, Any], words: str
) -> None:
    desk.observe(**changes)
    with pytest.raises(GuardRefused) as caught:
        desk.signing()
    assert words in caught.value.message


def lying(desk: Desk) -> list[tuple[bytes, str]]:
    stranger = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Somebody")])
    large = x509.load_pem_x509_csr(build_csr(ec.generate_private_key(ec.SECP384R1()), NAME, ())).public_bytes(
        Encoding.DER
    )
    spoiled = bytearray(desk.backend.csr)
    spoiled[-1] ^= 1
    return [
        (bytes(spoiled), "own signature does not verify"),
        (desk.backend.request(stranger), "is for CN=Somebody"),
        (large, "has a key of EC secp384r1"),
        (b"\x30\x03\x02\x01\x01", "not a well-formed"),
    ]


@pytest.mark.parametrize("case", range(4))
def test_a_request_that_is_not_its_own_is_never_handed_out(desk: Desk, case: int) -> None:
    desk.backend.csr, words = lying(desk)[case]
    with pytest.raises(VerificationFailed) as caught:
        desk.signing()
    assert (caught.value.code, words in caught.value.message) == ("ca.request", True)


def test_the_order_of_a_subject_counts_where_the_file_gives_one(desk: Desk) -> None:
    pairs = [(one.oid.dotted_string, str(one.value)) for one in NAME]
    request = replace(desk.wanted.request, subject_attributes=tuple(pairs))
    desk.wanted = replace(desk.wanted, request=request)
    assert desk.signing().label == "clients"
    desk.wanted = replace(desk.wanted, request=replace(request, subject_attributes=tuple(reversed(pairs))))
    with pytest.raises(VerificationFailed):
        desk.signing()


def test_an_expired_one_is_renewed(desk: Desk) -> None:
    desk.install(desk.signed())
    desk.observe(status=AuthorityStatus.EXPIRED)
    plan = desk.installation.plan(desk.signed())
    assert [one.kind for one in plan.actions] == [ActionKind.RENEW, ActionKind.UPDATE]
    assert "is EXPIRED and has another certificate" in plan.actions[0].reason


def test_an_installed_certificate_that_cannot_be_read_is_the_service_s_fault(desk: Desk) -> None:
    signed = desk.signed()
    desk.install(signed)
    desk.backend.chain = (b"\x30\x00",)
    with pytest.raises(VerificationFailed) as caught:
        desk.installation.plan(desk.signed())
    assert caught.value.code == "ca.unreadable"


def test_remarks_are_shown_as_warnings(desk: Desk) -> None:
    plan = desk.installation.plan(desk.signed(days=700))
    assert any("and the file says 5y" in warning for warning in plan.actions[0].warnings)


def test_a_sheet_quotes_what_a_shell_would_take_apart(desk: Desk) -> None:
    signing = desk.signing()
    text = sheet_text(signing, sheet_files(Path("/x/my $(request).csr")))
    assert "-in 'my $(request).csr' -CA issuer.pem" in text
    assert "-out 'my $(request).pem'" in text
    unlimited = replace(signing, wanted=replace(desk.wanted, path_length=None))
    assert "basicConstraints = critical, CA:TRUE\n" in openssl_configuration(unlimited)
