"""What the fixture ``client`` of this folder gives: ``client(service, region)``, a plain boto3 client of a fresh sandbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Clients: TypeAlias = Callable[..., Any]
