"""When a certificate is due for renewal. Pure.

What this module decides: that it is due after a part of its life or when so much is left of it, less a jitter that follows from the certificate
itself: many machines whose certificates were made at once spread, and each machine comes to the same answer every time it asks.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from cryptography import x509

from pkiops.errors import InputError
from pkiops.policy.renewal import due_at
from pkiops.x509.certificate import fingerprint
from pkiops.x509.duration import Duration

_PERCENT = re.compile(r"([0-9]{1,2})%")
_MOST_JITTER = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class DueRule:
    """After this part of the life, or with this much of it left; whichever is not None. ``jitter`` is a part of the life.

    ``is_default`` says that nobody chose: then the profile's renewal window counts, if it has one.
    """

    part: Fraction | None = Fraction(2, 3)
    left: Duration | None = None
    jitter: Fraction = Fraction(1, 20)
    is_default: bool = True

    @classmethod
    def parse(cls, when: str | None, jitter: str | None) -> DueRule:
        """Read ``66%`` (of the life) or ``10d`` (left), and ``5%`` (of the life); None is the default.

        Raises:
            InputError: it is neither; a year left means nothing here; more than half of the life is no jitter.
        """
        rule = cls()
        part, left = rule.part, None
        if when is not None:
            part = _percent(when)
            left = None if part is not None else _left(when)
        spread = rule.jitter if jitter is None else _percent(jitter)
        if spread is None or spread > _MOST_JITTER:
            raise InputError(f"--jitter {jitter}: write a part of the life, from 0% to 50%", code="usage.arguments")
        return cls(part, left, spread, is_default=when is None)

    def moment(self, certificate: x509.Certificate, window: Duration | None = None) -> datetime:
        """From when on (aware UTC, whole seconds) the certificate is due.

        Args:
            certificate: which.
            window: its profile's ``renewal_window``. Before it begins nothing is renewed, so that there the jitter is later, not earlier.
        """
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        life = ends - begins
        if self.part is not None:
            latest = begins + life * self.part.numerator / self.part.denominator
        else:
            latest = ends - timedelta(seconds=self.left.approximate_seconds() if self.left else 0)
        most, share = life * self.jitter.numerator / self.jitter.denominator, _share(certificate)
        chosen = latest - most * share
        if window is not None:
            earliest = due_at(begins, ends, window)
            if self.is_default or chosen < earliest:
                # rounded up: it is not to be tried a moment before policy allows it
                chosen = earliest + min(most, (ends - earliest) / 2) * share + timedelta(seconds=1)
        return chosen.replace(microsecond=0)


def _share(certificate: x509.Certificate) -> float:
    """A number in [0, 1) that follows from the certificate."""
    digest = hashlib.sha256(b"pkiops renewal " + fingerprint(certificate).encode("ascii")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _percent(text: str) -> Fraction | None:
    match = _PERCENT.fullmatch(text)
    return Fraction(int(match[1]), 100) if match else None


def _left(text: str) -> Duration:
    try:
        left = Duration.parse(text)
    except ValueError as error:
        raise InputError(
            f"--due-when {text}: write a part of the life (66%), or how much of it is left (10d, 12h)",
            code="usage.arguments",
        ) from error
    if left.unit == "y":
        raise InputError(f"--due-when {text}: write days, hours or less", code="usage.arguments")
    return left
