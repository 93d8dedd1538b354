"""Ask badkeys about an RSA key: does somebody else know it, or could anybody compute it?

What this module decides: which of its tests are run, and that it is loaded for RSA requests only, late, and may be absent. The list of keys that have
leaked is looked into where its own program has put it; it is never fetched here. What is made of the answer is ``policy``'s; the tests that need no
data are ``x509.weak_keys``'s and are made in any case.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from pkiops.policy.findings import KeyExamination
from pkiops.x509.csr import CertificationRequest

_WORDS = {
    "rsainvalid": "its public exponent makes no sense",
    "smallfactors": "its modulus has a small factor",
    "fermat": "its modulus is the product of two primes that lie close together (Fermat)",
    "roca": "it was made by a chip whose keys can be computed (ROCA, CVE-2017-15361)",
    "rsapoly": "its modulus is made of a pattern and can be factored",
    "sharedprimes": "it shares a prime with keys that are known, so that anybody can compute it",
    "smalld": "its private exponent is small (Wiener)",
}
_LEAKED = "blocklist"
_LEAKED_WORDS = "its private key is public"


def examine_key(csr: CertificationRequest) -> KeyExamination | None:
    """What badkeys finds about the key of a request; None for a key that is not RSA of a usual size."""
    if csr.key_algorithm is None or not isinstance(csr.public_key, rsa.RSAPublicKey):
        return None
    try:
        import badkeys
        from badkeys import checks
    except ImportError:
        return KeyExamination(program=None)
    numbers = csr.public_key.public_numbers()
    program = f"badkeys {badkeys.__version__}"
    tests: Any = checks
    found = tests.checkrsa(numbers.n, e=numbers.e, checks=list(_WORDS))
    weakness = next((words for name, words in _WORDS.items() if name in found), None)
    leaked = None if weakness else _leaked(tests, numbers.n)
    return KeyExamination(
        program=program, weakness=weakness or (_LEAKED_WORDS if leaked else None), leaked_keys=leaked is not None
    )


def _leaked(tests: Any, modulus: int) -> bool | None:
    """Whether a key is on the list of those that have leaked; None where there is no such list, or none that can be read."""
    # where its own program keeps it
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "badkeys"
    if not all((folder / name).is_file() for name in ("badkeysdata.json", "blocklist.dat")):
        return None
    try:
        return bool(tests.checkrsa(modulus, checks=[_LEAKED]))
    except (OSError, ValueError, KeyError, TypeError, SystemExit):
        # a library that ends the process where its list is missing
        return None
