"""Decisions: every rule, both ways; every finding at once; and the intended certificate."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from pkiops.policy.engine import Decision, Facts, Finding, Request, decide, refusal
from pkiops.policy.rules import FromRequest, Profile, SanRule, SubjectRule, Usage, ValidityRule
from pkiops.x509.algorithms import KeyAlgorithm
from pkiops.x509.csr import load_csr
from pkiops.x509.duration import Duration
from pkiops.x509.keys import PrivateKey, spki_der
from pkiops.x509.san import parse_san
from tests.builders import AT, csr, key
from tests.seeded import seeded

NAME = "orders.svc.prod.example.com"
SPIFFE = "spiffe://prod.example.com/ns/shop/sa/orders"


def _profile(
    *,
    common_name: FromRequest | str | None = FromRequest(source="request"),  # noqa: B008 - frozen
    san: SanRule | None = None,
    keys: tuple[KeyAlgorithm, ...] = (KeyAlgorithm.EC_prime256v1, KeyAlgorithm.RSA_2048),
    usage: tuple[Usage, ...] = (Usage.CLIENT_AUTH,),
    organization: str | None = "Example Ltd",
) -> Profile:
    return Profile(
        authority="clients",
        usage=usage,
        validity=ValidityRule(default=Duration(30, "d"), max=Duration(90, "d")),
        subject=SubjectRule(common_name=common_name, organization=organization, country="GB" if organization else None),
        san=san
        or SanRule(
            dns=("*.svc.prod.example.com",),
            uri=("spiffe://prod.example.com/ns/*/sa/*",),
            ip=("10.1.0.0/16",),
            email=("*@ops.example.com",),
        ),
        keys=keys,
    )


def _request(
    subject: str | dict[str, str] | x509.Name = NAME,
    sans: tuple[str, ...] = (f"dns:{NAME}",),
    *,
    given: tuple[str, ...] | None = None,
    usage: tuple[Usage, ...] = (),
    validity: Duration | None = None,
    private_key: PrivateKey | None = None,
) -> Request:
    parsed = load_csr(csr(subject, sans=sans, private_key=private_key), "a.csr")
    asked = parsed.sans if given is None else tuple(parse_san(text) for text in given)
    return Request(csr=parsed, usage=usage, validity=validity, sans=asked)


def _decide(request: Request, profile: Profile | None = None, *, issuer_not_after: datetime | None = None) -> Decision:
    return decide("service", profile or _profile(), request, Facts(issuer_not_after=issuer_not_after), AT)


def _refusing(decision: Decision) -> list[str]:
    return [finding.code.removeprefix("policy.") for finding in decision.refusals()]


def _finding(decision: Decision, code: str) -> Finding:
    return next(finding for finding in decision.findings if finding.code == f"policy.{code}")


def test_a_sound_request_becomes_an_intent() -> None:
    private_key = key()
    request = _request(
        sans=(f"dns:{NAME}", f"uri:{SPIFFE}", "ip:10.1.2.3", "email:a@ops.example.com"), private_key=private_key
    )
    decision = _decide(request, issuer_not_after=AT + timedelta(days=400))
    assert decision.allowed
    assert decision.intent is not None
    intent = decision.intent
    assert intent.subject == (("country", "GB"), ("organization", "Example Ltd"), ("common_name", NAME))
    assert intent.sans == request.sans
    assert intent.usage == (Usage.CLIENT_AUTH,)
    assert intent.not_before == AT - timedelta(minutes=5)
    assert intent.not_after == AT + timedelta(days=30)
    assert intent.public_key_spki == spki_der(private_key.public_key())


@pytest.mark.parametrize(
    ("sans", "code", "suggestion"),
    [
        (("dns:orders.svc.staging.example.com",), "san-dns-not-allowed", f"dns:{NAME}"),
        (("dns:a.b.svc.prod.example.com",), "san-dns-not-allowed", "*.svc.prod.example.com"),
        (("dns:*.svc.prod.example.com",), "san-wildcard", "full name"),
        (("uri:spiffe://dev.example.com/ns/shop/sa/orders",), "san-uri-not-allowed", SPIFFE),
        (("uri:spiffe://prod.example.com/ns/shop/sa/..",), "san-malformed", "spell it"),
        (("uri:https://prod.example.com/",), "san-uri-not-allowed", "spiffe://"),
        (("ip:10.2.0.1",), "san-ip-not-allowed", "10.1.0.0/16"),
        (("email:a@example.com",), "san-email-not-allowed", "a@ops.example.com"),
        ((), "san-required", "dns:*.svc.prod.example.com"),
    ],
)
def test_names_without_a_pattern_are_refused(sans: tuple[str, ...], code: str, suggestion: str) -> None:
    decision = _decide(_request({}, sans))
    assert _refusing(decision) == [code]
    assert decision.intent is None
    told = _finding(decision, code).suggestion
    assert suggestion in str(told)


def test_a_kind_without_patterns_allows_nothing() -> None:
    profile = _profile(san=SanRule(dns=("*.svc.prod.example.com",)))
    assert _refusing(_decide(_request(sans=(f"dns:{NAME}", f"uri:{SPIFFE}")), profile)) == ["san-uri-not-allowed"]
    assert _refusing(_decide(_request(), _profile(san=SanRule()))) == ["san-dns-not-allowed", "common-name-not-allowed"]


def test_names_given_replace_those_of_the_request_and_are_judged_alike() -> None:
    decision = _decide(_request({}, ("dns:evil.example.com",), given=(f"dns:{NAME}",)))
    assert decision.allowed
    assert decision.intent is not None
    assert [str(san) for san in decision.intent.sans] == [f"dns:{NAME}"]
    assert _finding(decision, "san-ignored").value == "dns:evil.example.com"
    assert _refusing(_decide(_request(given=("dns:evil.example.com",)))) == [
        "san-dns-not-allowed",
        "common-name-not-allowed",
    ]


def test_a_name_asked_for_twice_is_issued_once() -> None:
    decision = _decide(_request(given=(f"dns:{NAME}", f"dns:{NAME.upper()}")))
    assert decision.intent is not None
    assert len(decision.intent.sans) == 1


def _raw(*names: x509.GeneralName, subject: tuple[str, ...] = (), extra: bool = False) -> Request:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, value) for value in subject])
    )
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if extra:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    parsed = load_csr(builder.sign(key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM), "a.csr")
    return Request(csr=parsed, usage=(), validity=None, sans=parsed.sans)


def test_other_kinds_of_names_are_refused_and_other_extensions_ignored() -> None:
    decision = _decide(_raw(x509.DNSName(NAME), x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))))
    assert _refusing(decision) == ["san-unsupported"]
    decision = _decide(_raw(x509.DNSName(NAME), extra=True))
    assert decision.allowed
    assert _finding(decision, "extension-ignored").value == "2.5.29.19"


@pytest.mark.parametrize(
    ("private_key", "named"),
    [
        (rsa.generate_private_key(65537, 1024), "RSA 1024"),  # noqa: S505 - weak on purpose
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
        (ec.generate_private_key(ec.SECP256K1()), "EC secp256k1"),
        (ec.generate_private_key(ec.SECP384R1()), "EC_secp384r1"),
    ],
    ids=["RSA 1024", "Ed25519", "secp256k1", "not listed"],
)
def test_keys_that_are_not_listed_are_refused_with_the_list(private_key: PrivateKey, named: str) -> None:
    decision = _decide(_request(private_key=private_key))
    assert _refusing(decision) == ["key-not-allowed"]
    message = _finding(decision, "key-not-allowed").message
    assert named in message
    assert "EC_prime256v1, RSA_2048" in message


def test_a_listed_key_with_a_small_exponent_is_refused() -> None:
    decision = _decide(_request(private_key=rsa.generate_private_key(3, 2048)))
    assert _refusing(decision) == ["key-weak"]


def test_usage_is_a_choice_among_the_profile_s() -> None:
    both = _profile(usage=(Usage.CLIENT_AUTH, Usage.SERVER_AUTH))
    assert _refusing(_decide(_request(usage=(Usage.SERVER_AUTH,)))) == ["usage-not-allowed"]
    for asked, granted in (
        ((), both.usage),
        ((Usage.SERVER_AUTH,), (Usage.SERVER_AUTH,)),
        ((Usage.SERVER_AUTH, Usage.CLIENT_AUTH), both.usage),
    ):
        decision = _decide(_request(usage=asked), both)
        assert decision.intent is not None
        assert decision.intent.usage == granted


@pytest.mark.parametrize(
    ("validity", "issuer_days", "codes", "suggestion"),
    [
        (Duration(90, "d"), None, [], None),
        (Duration(91, "d"), None, ["validity-too-long"], "at most 90d"),
        (Duration(2161, "h"), None, ["validity-too-long"], "at most 90d"),
        (Duration(60, "d"), 60, [], None),
        (Duration(60, "d"), 59.5, ["validity-beyond-issuer"], "at most 59d"),
        (None, 0.5, ["validity-beyond-issuer"], "at most 12h"),
        (None, -1, ["validity-beyond-issuer"], "renew the CA"),
        (Duration(1, "y"), 100, ["validity-too-long", "validity-beyond-issuer"], "at most 90d"),
        (Duration(999_999, "y"), 10, ["validity-too-long", "validity-beyond-issuer"], "at most 10d"),
    ],
)
def test_validity_stays_within_profile_and_issuer(
    validity: Duration | None, issuer_days: float | None, codes: list[str], suggestion: str | None
) -> None:
    end = None if issuer_days is None else AT + timedelta(days=issuer_days)
    decision = _decide(_request(validity=validity), issuer_not_after=end)
    assert _refusing(decision) == codes
    told = [finding.suggestion for finding in decision.refusals()]
    assert all(suggestion is not None and suggestion in str(item) for item in told)


def _patterns(*patterns: str) -> FromRequest:
    return FromRequest(source="request", patterns=patterns)


@pytest.mark.parametrize(
    ("wanted", "sans", "rule", "expected"),
    [
        (NAME, (f"dns:{NAME}",), _patterns(), NAME),
        (NAME.upper(), (f"dns:{NAME}",), _patterns(), NAME),
        (SPIFFE, (f"uri:{SPIFFE}",), _patterns(), SPIFFE),
        ("10.1.2.3", ("ip:10.1.2.3",), _patterns(), "10.1.2.3"),
        ("app-orders", (f"dns:{NAME}",), _patterns("app-*"), "app-orders"),
        ("evil", (f"dns:{NAME}",), "fixed", "fixed"),
        ("evil", (f"dns:{NAME}",), None, None),
        (None, (f"dns:{NAME}",), _patterns(), NAME),
        (None, (f"uri:{SPIFFE}",), _patterns(), None),
        (None, (f"uri:{SPIFFE}", f"dns:{NAME}"), _patterns(), NAME),
        (None, ("dns:" + "x" * 50 + ".svc.prod.example.com",), _patterns(), None),
    ],
)
def test_the_common_name(
    wanted: str | None, sans: tuple[str, ...], rule: FromRequest | str | None, expected: str | None
) -> None:
    decision = _decide(_request({"common_name": wanted} if wanted else {}, sans), _profile(common_name=rule))
    assert decision.intent is not None
    assert dict(decision.intent.subject).get("common_name") == expected


@pytest.mark.parametrize(
    ("wanted", "sans", "rule", "codes"),
    [
        ("postgres", (f"dns:{NAME}",), _patterns(), ["common-name-not-allowed"]),
        ("system:masters", (f"dns:{NAME}",), _patterns("*"), ["common-name-not-allowed"]),
        (
            "evil.example.com",
            ("dns:evil.example.com",),
            _patterns(),
            ["san-dns-not-allowed", "common-name-not-allowed"],
        ),
        ("other.svc.prod.example.com", (f"dns:{NAME}",), _patterns(), ["common-name-not-allowed"]),
    ],
)
def test_a_common_name_needs_its_own_grant(
    wanted: str, sans: tuple[str, ...], rule: FromRequest, codes: list[str]
) -> None:
    decision = _decide(_request(wanted, sans), _profile(common_name=rule))
    assert _refusing(decision) == codes


def test_several_common_names_are_refused() -> None:
    assert _refusing(_decide(_raw(x509.DNSName(NAME), subject=(NAME, "admin")))) == ["common-name-several"]


def test_the_rest_of_the_subject_is_the_profile_s() -> None:
    decision = _decide(_request({"organization": "Evil Corp", "common_name": NAME}))
    assert decision.intent is not None
    assert dict(decision.intent.subject)["organization"] == "Example Ltd"
    assert _finding(decision, "subject-ignored").value == "O=Evil Corp"


def test_a_certificate_that_names_nobody_is_refused() -> None:
    profile = _profile(common_name=None, organization=None, san=SanRule(required=False))
    assert _refusing(_decide(_request({}, ()), profile)) == ["no-name"]


def test_a_common_name_that_would_do_as_a_name_is_suggested_as_one() -> None:
    told = _finding(_decide(_request(NAME.upper(), ())), "common-name-not-allowed").suggestion
    assert told == f"ask for dns:{NAME} too: the profile allows it"


def test_a_refusal_tells_everything_at_once() -> None:
    request = _request(
        "postgres",
        ("dns:evil.example.com",),
        usage=(Usage.SERVER_AUTH,),
        validity=Duration(5, "y"),
        private_key=ed25519.Ed25519PrivateKey.generate(),
    )
    decision = _decide(request)
    codes = [
        "key-not-allowed",
        "san-dns-not-allowed",
        "common-name-not-allowed",
        "usage-not-allowed",
        "validity-too-long",
    ]
    assert _refusing(decision) == codes
    error = refusal(decision, "a.csr")
    assert (error.exit_code, error.code) == (4, "policy.denied")
    assert error.message.startswith("a.csr: refused under profile service, 5 rules broken\n")
    assert all(finding.message in error.message for finding in decision.refusals())
    assert len(error.details["findings"]) == len(decision.findings)
    assert error.hint
    single = refusal(_decide(_request(validity=Duration(5, "y"))), "a.csr")
    assert single.code == "policy.validity-too-long"


LABELS = st.sampled_from(["orders", "svc", "prod", "example", "com", "evil"])


@seeded(100)
@given(st.lists(st.lists(LABELS, min_size=1, max_size=6).map(".".join), max_size=4), st.integers(1, 200))
def test_whatever_is_allowed_is_within_the_rules(names: list[str], days: int) -> None:
    request = Request(
        csr=_SAMPLE, usage=(), validity=Duration(days, "d"), sans=tuple(parse_san(f"dns:{name}") for name in names)
    )
    decision = _decide(request)
    sound = bool(names) and all(n.endswith(".svc.prod.example.com") and n.count(".") == 4 for n in names) and days <= 90
    assert decision.allowed == sound
    assert (decision.intent is not None) == sound
    if decision.intent:
        assert {san.value for san in decision.intent.sans} == set(names)
        assert decision.intent.not_after <= AT + timedelta(days=90)


_SAMPLE = load_csr(csr({}, sans=()), "a.csr")
