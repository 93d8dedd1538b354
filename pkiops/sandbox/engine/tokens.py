"""Idempotency tokens: the same request twice within five minutes is one request.

What this module decides: the window, and what identifies a request. Within the window the same token gives the first answer
even when the other inputs differ: the service's documentation does not say, and ACM was seen to do so. A
CreateCertificateAuthority without a token is identified by its inputs, as was observed of the service.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

WINDOW = timedelta(minutes=5)


@dataclass(slots=True)
class TokenWindow:
    """Answers by request key, forgotten after the window."""

    _answers: dict[tuple[str, ...], tuple[datetime, str]] = field(default_factory=dict)

    def answer(self, key: tuple[str, ...], now: datetime) -> str | None:
        """The ARN given for this key within the window, or None."""
        remembered = self._answers.get(key)
        return remembered[1] if remembered and now - remembered[0] < WINDOW else None

    def remember(self, key: tuple[str, ...], arn: str, now: datetime) -> None:
        """Keep an answer, and drop those that are too old."""
        self._answers = {k: v for k, v in self._answers.items() if now - v[0] < WINDOW}
        self._answers[key] = (now, arn)


def request_digest(request: Mapping[str, Any]) -> str:
    """A digest of a request's inputs, its token left out."""
    inputs = {name: value for name, value in request.items() if name != "IdempotencyToken"}
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=repr).encode()).hexdigest()
