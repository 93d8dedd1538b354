"""When a certificate is due: from then on another for the same names is wanted. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from pkiops.x509.duration import Duration


def due_at(not_before: datetime, not_after: datetime, window: Duration | None = None) -> datetime:
    """When a certificate is due for renewal.

    Args:
        not_before: of the certificate, aware.
        not_after: of the certificate, aware.
        window: how long before its end; None for the last third of its life. A short certificate is never due in the first third of its life.
    """
    life = not_after - not_before
    if window is None:
        return not_before + life * 2 / 3
    return max(not_after - timedelta(seconds=window.approximate_seconds()), not_before + life / 3)
