"""A key and a certificate signing request for a profile.

What this module decides: that a request which ``issue`` would refuse is refused before a key is made for it, and that the request carries exactly the
subject and names that the profile will grant. Where key and request are written is left to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pkiops.cert.prepare import profile_of
from pkiops.environment.models import Environment
from pkiops.policy.engine import Facts, Intent, Request, decide, refusal
from pkiops.policy.rules import Profile
from pkiops.x509.algorithms import KeyAlgorithm
from pkiops.x509.csr import CertificationRequest, build_csr, load_csr
from pkiops.x509.keys import PrivateKey, generate_private_key, private_key_pem
from pkiops.x509.names import build_name
from pkiops.x509.san import SubjectAltName

_SOURCE = "the request"


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeRequest:
    """A private key (PKCS#8, PEM) and its request, in PEM and as it reads."""

    key_pem: bytes = field(repr=False)
    csr_pem: bytes = field(repr=False)
    csr: CertificationRequest


def make_request(
    environment: Environment,
    profile_name: str,
    *,
    sans: Sequence[SubjectAltName],
    common_name: str | None,
    key_algorithm: KeyAlgorithm | None,
    now: datetime,
    passphrase: bytes | None = None,
) -> MadeRequest:
    """Make a key and a request that the profile grants.

    Args:
        environment: whose profile.
        profile_name: the profile.
        sans: the names to ask for.
        common_name: the common name to ask for, None for what the profile makes of the names.
        key_algorithm: None for the first that the profile lists.
        now: aware.
        passphrase: encrypts the key; None leaves it as it is.

    Raises:
        PolicyDenied: the profile does not grant this.
        InputError: there is no such profile, a name cannot be encoded, or such a key cannot be made here.
    """
    profile = profile_of(environment, profile_name)
    algorithm = key_algorithm or profile.keys[0]
    claimed = {"common_name": common_name} if common_name else {}
    # judged on a stand-in key of the wanted kind: an RSA key takes seconds, and must not be made in vain
    stand_in = generate_private_key(KeyAlgorithm.EC_prime256v1)
    draft = load_csr(build_csr(stand_in, build_name(claimed), sans), _SOURCE)
    draft = replace(draft, key_algorithm=algorithm, key_description=algorithm.value)
    granted = _granted(profile_name, profile, draft, now)
    key = generate_private_key(algorithm)
    csr_pem = build_csr(key, build_name(dict(granted.subject)), granted.sans)
    csr = load_csr(csr_pem, _SOURCE)
    _granted(profile_name, profile, csr, now)
    return MadeRequest(key_pem=private_key_pem(key, passphrase), csr_pem=csr_pem, csr=csr)


def request_for_key(
    environment: Environment,
    profile_name: str,
    key: PrivateKey,
    *,
    sans: Sequence[SubjectAltName],
    common_name: str | None,
    attributes: Mapping[str, str] | None = None,
    now: datetime,
) -> bytes:
    """A request that the profile grants, for a key that there is, in PEM; the same arguments give the same bytes (but for ML-DSA).

    So whoever asks with the same key for the same names asks for the same certificate. ``attributes`` are further fields of the subject to ask for.

    Raises:
        PolicyDenied: the profile does not grant this.
        InputError: there is no such profile, or a name cannot be encoded.
    """
    profile = profile_of(environment, profile_name)
    claimed = {**(attributes or {}), **({"common_name": common_name} if common_name else {})}
    draft = load_csr(build_csr(key, build_name(claimed), sans), _SOURCE)
    granted = _granted(profile_name, profile, draft, now)
    return build_csr(key, build_name(dict(granted.subject)), granted.sans, repeatable=True)


def _granted(profile_name: str, profile: Profile, csr: CertificationRequest, now: datetime) -> Intent:
    decision = decide(profile_name, profile, Request(csr=csr, usage=(), validity=None, sans=csr.sans), Facts(), now)
    if decision.intent is None:
        raise refusal(decision, _SOURCE)
    return decision.intent
