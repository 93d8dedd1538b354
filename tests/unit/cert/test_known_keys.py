"""What badkeys says about RSA keys. It is an extra: where it is not installed, that is said, and what it would find is not tested."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pkiops.cert.known_keys import examine_key
from pkiops.x509.csr import CertificationRequest, load_csr
from tests import builders

SOUND = rsa.generate_private_key(65537, 2048)
installed = pytest.mark.skipif(
    importlib.util.find_spec("badkeys") is None, reason="the extra weak-keys is not installed"
)
# in a process of its own, because where the list of leaked keys lies is found out once; prints weakness and leaked_keys
EXAMINE = """
import json, sys
{before}
from pkiops.cert.known_keys import examine_key
from pkiops.x509.csr import load_csr
found = examine_key(load_csr(sys.stdin.buffer.read(), "a.csr"))
loaded = sorted({{"badkeys", "gmpy2"}} & set(sys.modules))
print(json.dumps([found and [found.program, found.weakness, found.leaked_keys], loaded]))
"""


def examined_apart(csr: bytes, cache: Path, before: str = "") -> tuple[list[object] | None, list[str]]:
    command = [sys.executable, "-c", EXAMINE.format(before=before)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(command, input=csr, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    found, loaded = json.loads(done.stdout)
    return found, loaded


def with_numbers(modulus: int, exponent: int) -> CertificationRequest:
    read = load_csr(builders.csr(private_key=SOUND), "a.csr")
    return replace(read, public_key=rsa.RSAPublicNumbers(exponent, modulus).public_key())


def test_without_badkeys_the_key_is_not_examined(tmp_path: Path) -> None:
    before = "sys.modules['badkeys'] = None"
    found, _ = examined_apart(builders.csr(private_key=SOUND), tmp_path, before)
    assert found == [None, None, False]


@installed
def test_it_is_loaded_for_rsa_requests_only(tmp_path: Path) -> None:
    assert examined_apart(builders.csr(), tmp_path) == (None, [])
    found, loaded = examined_apart(builders.csr(private_key=SOUND), tmp_path)
    assert found is not None
    assert (found[1:], loaded) == ([None, False], ["badkeys", "gmpy2"])


@installed
def test_sizes_that_are_never_certified_are_not_examined() -> None:
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505 - refused for its size
    assert examine_key(load_csr(builders.csr(private_key=small), "a.csr")) is None


@installed
def test_a_key_that_has_leaked_is_found_and_a_broken_list_is_none(tmp_path: Path) -> None:
    modulus = SOUND.private_numbers().public_numbers.n
    digest = hashlib.sha256(modulus.to_bytes(256, "big")).digest()[:15]
    folder = tmp_path / "badkeys"
    folder.mkdir()
    (folder / "badkeysdata.json").write_text(json.dumps({"blocklists": [{"id": 1, "name": "test"}]}))
    (folder / "blocklist.dat").write_bytes(digest + b"\x01")
    csr, other = builders.csr(private_key=SOUND), builders.csr(private_key=rsa.generate_private_key(65537, 2048))
    leaked, _ = examined_apart(csr, tmp_path)
    assert leaked is not None
    assert leaked[1:] == ["its private key is public", True]
    fine, _ = examined_apart(other, tmp_path)
    assert fine is not None
    assert fine[1:] == [None, True]
    (folder / "blocklist.dat").write_bytes(b"")
    broken, _ = examined_apart(csr, tmp_path)
    assert broken is not None
    assert broken[1:] == [None, False]


@installed
def test_what_nobody_needs_a_list_for() -> None:
    gmpy2: Any = importlib.import_module("gmpy2")
    invert, next_prime = gmpy2.invert, gmpy2.next_prime
    numbers = SOUND.private_numbers()
    # Wiener: a private exponent shorter than a quarter of the modulus
    phi = (numbers.p - 1) * (numbers.q - 1)
    small = int(next_prime(1 << 400))
    found = examine_key(with_numbers(numbers.p * numbers.q, int(invert(small, phi))))
    assert found is not None
    assert "Wiener" in str(found.weakness)
    prime = int(next_prime((1 << 1024) - (1 << 1000)))
    close = examine_key(with_numbers(prime * int(next_prime(prime)), 65537))
    assert close is not None
    assert "Fermat" in str(close.weakness)
    sound = load_csr(builders.csr(private_key=SOUND), "a.csr")
    assert sound.public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    examined = examine_key(sound)
    assert examined is not None
    assert examined.weakness is None
