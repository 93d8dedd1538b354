"""How long a certificate lives: the five kinds of ``Validity``, the default start, and the caps.

Source: IssueCertificate and Validity of the API reference. Moments are aware UTC datetimes of whole seconds.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pkiops.sandbox.engine.errors import validation

BACKDATE = timedelta(minutes=60)
SHORT_LIVED = timedelta(days=7)
_LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """First and last second of a certificate."""

    not_before: datetime
    not_after: datetime


def lifetime(
    validity: Mapping[str, Any],
    not_before: Mapping[str, Any] | None,
    now: datetime,
    *,
    issuer_not_after: datetime | None,
    short_lived: bool,
) -> Lifetime:
    """The lifetime of a certificate issued ``now``.

    ``issuer_not_after`` is None for a root that signs itself, which is exempt from both caps.

    Raises:
        ServiceError: ``ValidationException``, an impossible date, an empty life, or one beyond a cap.
    """
    end = _end(validity["Type"], validity["Value"], now)
    if not_before is None:
        start = now - BACKDATE
    elif not_before["Type"] != "ABSOLUTE":
        raise validation("ValidityNotBefore must be of type ABSOLUTE")
    else:
        start = _epoch(not_before["Value"])
    if end <= now or end <= start:
        raise validation("The validity period ends before it starts, or in the past")
    if issuer_not_after is not None:
        if end > issuer_not_after:
            raise validation(
                f"The certificate validity specified exceeds the certificate authority validity ({_text(end)} is after "
                f"{_text(issuer_not_after)})"
            )
        # whether the seven days count from now or from notBefore is not documented
        if short_lived and end - now > SHORT_LIVED:
            raise validation("A certificate authority in SHORT_LIVED_CERTIFICATE mode issues for at most 7 days")
    return Lifetime(start, end)


def _end(kind: str, value: int, now: datetime) -> datetime:
    if kind == "ABSOLUTE":
        return _epoch(value)
    if kind == "END_DATE":
        return _end_date(value)
    try:
        if kind == "DAYS":
            return now + timedelta(days=value)
        return _months_later(now, value * (12 if kind == "YEARS" else 1))
    except (OverflowError, ValueError) as error:
        raise validation(f"A validity of {value} {kind} ends after the year 9999") from error


def _epoch(seconds: int) -> datetime:
    if seconds > _LAST.timestamp():
        raise validation(f"{seconds} is after the year 9999")
    return datetime.fromtimestamp(seconds, UTC)


def _end_date(value: int) -> datetime:
    """YYMMDDHHMMSS (years 50 and up are of the last century) or YYYYMMDDHHMMSS, UTC."""
    digits = str(value)
    if len(digits) <= 12:
        digits = digits.rjust(12, "0")
        digits = ("19" if digits[:2] >= "50" else "20") + digits
    try:
        if len(digits) != 14:
            raise ValueError(digits)
        return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise validation(f"{value} is not an END_DATE: use YYMMDDHHMMSS or YYYYMMDDHHMMSS") from error


def _months_later(moment: datetime, months: int) -> datetime:
    index = moment.month - 1 + months
    year, month = moment.year + index // 12, index % 12 + 1
    return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
