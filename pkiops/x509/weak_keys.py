"""Keys that are well-formed and of an accepted size, and still can be broken.

What this module decides: which weaknesses are looked for in an RSA modulus and exponent (EC points are checked by the library when they are read).
The tests are those that a public CA must make (CA/Browser Forum Baseline Requirements, sections 6.1.1.3 and 6.1.6), each in milliseconds.
"""

from __future__ import annotations

from functools import cache
from math import gcd, isqrt, prod

from cryptography.hazmat.primitives.asymmetric import rsa

from pkiops.x509.keys import PUBLIC_EXPONENT

_SMALL_PRIME_LIMIT = 752
_FERMAT_ROUNDS = 100
_ROCA_PRIME_LIMIT = 167


def weakness_of(public_key: object) -> str | None:
    """What makes a public key unfit, in words; None if nothing was found."""
    if not isinstance(public_key, rsa.RSAPublicKey):
        return None
    numbers = public_key.public_numbers()
    if numbers.e % 2 == 0 or numbers.e < PUBLIC_EXPONENT:
        return f"its public exponent {numbers.e} is even or smaller than {PUBLIC_EXPONENT}"
    if gcd(numbers.n, _small_primes_product()) != 1:
        return "its modulus has a small factor"
    if _has_close_factors(numbers.n):
        return "its modulus is the product of two primes that lie close together (Fermat)"
    if _is_roca(numbers.n):
        return "it was made by a chip whose keys can be computed (ROCA, CVE-2017-15361)"
    return None


def _has_close_factors(modulus: int) -> bool:
    """Fermat's factoring for a bounded number of rounds."""
    middle = isqrt(modulus)
    if middle * middle < modulus:
        middle += 1
    for _ in range(_FERMAT_ROUNDS):
        rest = middle * middle - modulus
        root = isqrt(rest)
        if root * root == rest:
            return True
        middle += 1
    return False


def _is_roca(modulus: int) -> bool:
    """Whether the modulus is a power of 65537 modulo every small prime, which is how the flawed library made its primes."""
    return all(modulus % prime in powers for prime, powers in _roca_residues())


@cache
def _roca_residues() -> tuple[tuple[int, frozenset[int]], ...]:
    residues: list[tuple[int, frozenset[int]]] = []
    for prime in _primes_up_to(_ROCA_PRIME_LIMIT)[1:]:
        powers: set[int] = set()
        power = 1
        while power not in powers:
            powers.add(power)
            power = power * PUBLIC_EXPONENT % prime
        residues.append((prime, frozenset(powers)))
    return tuple(residues)


@cache
def _small_primes_product() -> int:
    return prod(_primes_up_to(_SMALL_PRIME_LIMIT))


def _primes_up_to(limit: int) -> list[int]:
    primes: list[int] = []
    for candidate in range(2, limit + 1):
        if all(candidate % prime for prime in primes):
            primes.append(candidate)
    return primes
