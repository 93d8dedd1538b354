"""Pages of a list: a token names the last item given, so that a page stays right when items come or go between calls."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pkiops.sandbox.engine.errors import ServiceError

LIMIT = 100
_PREFIX = b"after:"
_Item = TypeVar("_Item")


def page(
    member: str, items: Sequence[_Item], request: Mapping[str, Any], *, key: Callable[[_Item], str]
) -> dict[str, Any]:
    """One page of ``items`` as an answer: ``member`` and, where there is more, ``NextToken``.

    Raises:
        ServiceError: ``InvalidNextTokenException``, not a token of ours, or of an item that is gone.
    """
    start = _start(items, request.get("NextToken"), key)
    size = min(request.get("MaxResults", LIMIT), LIMIT)
    chosen = items[start : start + size]
    answer: dict[str, Any] = {member: list(chosen)}
    if start + size < len(items):
        answer["NextToken"] = base64.urlsafe_b64encode(_PREFIX + key(chosen[-1]).encode()).decode()
    return answer


def _start(items: Sequence[_Item], token: str | None, key: Callable[[_Item], str]) -> int:
    if token is None:
        return 0
    try:
        decoded = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        last = decoded.removeprefix(_PREFIX).decode() if decoded.startswith(_PREFIX) else None
    except (binascii.Error, ValueError):
        last = None
    for position, item in enumerate(items):
        if key(item) == last:
            return position + 1
    raise ServiceError("InvalidNextTokenException", "The token is not valid")
