"""A request is what its profile grants, or is refused before a key is made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pkiops.cert.request import MadeRequest, make_request, request_for_key
from pkiops.environment.models import Environment
from pkiops.errors import InputError, PolicyDenied
from pkiops.policy.rules import Profile
from pkiops.x509.algorithms import KeyAlgorithm
from pkiops.x509.csr import load_csr
from pkiops.x509.keys import generate_private_key, load_private_key, spki_sha256
from pkiops.x509.san import parse_san
from tests.builders import AT
from tests.fakes.authority import environment, profile
from tests.unit.cert.setting import Setting, order

ENVIRONMENT = environment()


def made(
    *sans: str,
    env: Environment = ENVIRONMENT,
    common_name: str | None = None,
    key_algorithm: KeyAlgorithm | None = None,
) -> MadeRequest:
    names = [parse_san(text) for text in sans]
    return make_request(env, "service", sans=names, common_name=common_name, key_algorithm=key_algorithm, now=AT)


def limited(rules: Profile) -> Environment:
    return environment(profiles={"service": rules})


def test_key_and_request_belong_together() -> None:
    result = made("dns:a.svc.test.example.com")
    key = load_private_key(result.key_pem, "key")
    assert spki_sha256(key.public_key()) == result.csr.spki_sha256
    assert result.csr.subject == (("O", "Example Ltd"), ("CN", "a.svc.test.example.com"))
    assert b"PRIVATE KEY" not in repr(result).encode()


def test_what_is_requested_is_issued(tmp_path: object) -> None:
    setting = Setting(tmp_path)  # type: ignore[arg-type]
    result = made(
        "dns:a.svc.test.example.com", "uri:spiffe://test.example.com/ns/a/sa/b", common_name="a.svc.test.example.com"
    )
    issued = setting.issuance().issue(order(result.csr_pem))
    # nothing had to be put in its place: subject and names of the request are those of the certificate
    request = setting.backend.made[0].request
    assert request.sans == request.csr_sans
    assert [value for _, value in request.csr_subject] == list(request.subject.values())
    assert issued.entry.csr_sha256 == result.csr.sha256


def test_the_key_is_the_first_of_the_profile_unless_said() -> None:
    keys = (KeyAlgorithm.EC_secp384r1, KeyAlgorithm.RSA_2048)
    env = limited(replace(profile(), keys=keys))
    assert made("dns:a.svc.test.example.com", env=env).csr.key_algorithm is KeyAlgorithm.EC_secp384r1
    chosen = made("dns:a.svc.test.example.com", env=env, key_algorithm=KeyAlgorithm.RSA_2048)
    assert chosen.csr.key_algorithm is KeyAlgorithm.RSA_2048


@pytest.mark.parametrize(
    ("sans", "common_name", "key_algorithm"),
    [
        (("dns:evil.example.org",), None, None),
        ((), None, None),
        (("dns:a.svc.test.example.com",), "root", None),
        (("dns:a.svc.test.example.com",), None, KeyAlgorithm.ML_DSA_44),
    ],
)
def test_what_would_be_refused_is_refused_first(
    sans: tuple[str, ...], common_name: str | None, key_algorithm: KeyAlgorithm | None
) -> None:
    with pytest.raises(PolicyDenied):
        made(*sans, common_name=common_name, key_algorithm=key_algorithm)


def test_a_common_name_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(InputError):
        made("dns:a.svc.test.example.com", common_name="a\x1b[31m")


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(InputError):
        make_request(ENVIRONMENT, "x", sans=[], common_name=None, key_algorithm=None, now=AT)


def test_a_request_for_a_key_is_the_same_every_time() -> None:
    names = [parse_san("dns:b.svc.test.example.com"), parse_san("dns:a.svc.test.example.com")]
    for algorithm in (KeyAlgorithm.EC_prime256v1, KeyAlgorithm.RSA_2048):
        key = generate_private_key(algorithm)
        first, second = (
            request_for_key(ENVIRONMENT, "service", key, sans=names, common_name="a.svc.test.example.com", now=AT)
            for _ in range(2)
        )
        assert first == second
        csr = load_csr(first, "it")
        assert csr.spki_sha256 == spki_sha256(key.public_key())
        assert csr.sans == tuple(names)
        assert dict(csr.subject) == {"O": "Example Ltd", "CN": "a.svc.test.example.com"}


def test_a_request_for_a_key_is_what_the_profile_grants() -> None:
    key = generate_private_key(KeyAlgorithm.EC_prime256v1)
    with pytest.raises(PolicyDenied):
        request_for_key(ENVIRONMENT, "service", key, sans=[parse_san("dns:x.org")], common_name=None, now=AT)
    only_rsa = limited(replace(profile(), keys=(KeyAlgorithm.RSA_2048,)))
    name = [parse_san("dns:a.svc.test.example.com")]
    with pytest.raises(PolicyDenied):
        request_for_key(only_rsa, "service", key, sans=name, common_name=None, now=AT)
