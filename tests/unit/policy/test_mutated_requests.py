"""Thousands of changed requests: no traceback, no broken signature accepted, no name granted that the profile does not have.

5,000 of them, always the same, in ``make check``; 100,000 new ones in ``make soak``.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from random import Random, SystemRandom

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pkiops.errors import InputError, PolicyDenied
from pkiops.policy.engine import Decision, Facts, Request, decide, refusal
from pkiops.x509.csr import load_csr
from tests.builders import AT
from tests.mutated_csr import Mutant, mutant, read_tlv
from tests.naive_profile import name_is_allowed
from tests.raw_csr import spki_of
from tests.seeded import SOAK
from tests.unit.policy.request_cases import SERVICE

COUNT = 100_000 if SOAK else 5_000
KEYS = [ec.derive_private_key(number + 10**60, ec.SECP256R1()) for number in range(4)]


def judged(made: Mutant) -> Decision | str:
    """The decision, or the code of the error before step 5."""
    try:
        parsed = load_csr(made.data, "a.csr")
    except (InputError, PolicyDenied) as error:
        assert_printable(error.message)
        return error.code
    return decide("service", SERVICE, Request(csr=parsed, usage=(), validity=None, sans=parsed.sans), Facts(), AT)


def assert_printable(text: str) -> None:
    assert not any(unicodedata.category(one) in {"Cc", "Cf", "Cs"} for one in text.replace("\n", "")), repr(text)


def signature_holds(der: bytes) -> bool:
    """Whether a request is signed by one of the keys that it can be of, read with nothing but lengths."""
    _, content, _ = read_tlv(der)
    _, _, rest = read_tlv(content)
    information = content[: len(content) - len(rest)]
    _, algorithm, rest = read_tlv(rest)
    digest = hashes.SHA384() if algorithm.endswith(b"\x03") else hashes.SHA256()
    _, bits, _ = read_tlv(rest)
    signer = next((key for key in KEYS if spki_of(key) in information), None)
    if signer is None:
        return False
    try:
        signer.public_key().verify(bits[1:], information, ec.ECDSA(digest))
    except InvalidSignature:
        return False
    return True


def test_changed_requests() -> None:
    seed = SystemRandom().randrange(2**32) if SOAK else 12
    rng = Random(seed)  # noqa: S311 - not for secrets
    ends: Counter[str] = Counter()
    reached = allowed = 0
    for number in range(COUNT):
        made = mutant(rng, KEYS)
        told = f"seed {seed}, number {number}, {made.kind}: {made.der.hex()}"
        found = judged(made)
        if isinstance(found, str):
            ends[found] += 1
            assert not (found == "csr.proof-of-possession" and made.genuine), told
            continue
        reached += 1
        assert made.genuine is not False, told
        assert signature_holds(made.der), told
        for finding in found.findings:
            assert_printable(finding.message)
            ends[finding.code] += 1
        if found.intent is not None:
            allowed += 1
            assert all(name_is_allowed(san.kind.value, san.value) for san in found.intent.sans), told
            assert dict(found.intent.subject).get("common_name") in {None, *(san.value for san in found.intent.sans)}, (
                told
            )
        else:
            assert refusal(found, "a.csr").message
    share = reached / COUNT
    print(
        f"{COUNT} changed requests, seed {seed}: {share:.1%} reached step 5, {allowed} allowed; {ends.most_common(60)}"
    )
    assert share >= 0.6, share
    assert allowed >= COUNT / 50
    assert ends["csr.malformed"] > COUNT / 50
    assert ends["csr.proof-of-possession"] > COUNT / 100
    assert len(ends) >= 25, ends
