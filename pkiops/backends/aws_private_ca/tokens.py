"""Idempotency tokens: the same inputs give the same token, any other input another.

The service remembers a token for five minutes and does not say what it does with a token whose other parameters changed, so a token here is derived
from the complete request. It holds no wall-clock value: none of the inputs does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

TOKEN_LIFE_SECONDS = 300
_TOKEN_LENGTH = 36


def idempotency_token(operation: str, parameters: Mapping[str, Any], *, salt: str = "") -> str:
    """The token (36 hex characters) of one request; ``salt`` tells apart requests that are meant to be two."""
    canonical = json.dumps(
        ["pkiops", 1, operation, parameters, salt], sort_keys=True, separators=(",", ":"), default=_bytes_as_hex
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:_TOKEN_LENGTH]


def _bytes_as_hex(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"not part of a request: {type(value).__name__}")
