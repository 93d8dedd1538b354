"""An environment as plain data again: every default filled in, ready for YAML or JSON.

Written as YAML it is an environment file that reads back as the same environment.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from typing import Any

from pkiops.environment.models import Environment, NameConstraints
from pkiops.policy.rules import FromRequest
from pkiops.x509.duration import Duration


def as_data(environment: Environment) -> dict[str, Any]:
    """``environment`` as mappings, lists, text, numbers and None, in the order of the models."""
    data: dict[str, Any] = _plain(environment)
    for bundle in data["trust"]["bundles"].values():
        for name, target in bundle["targets"].items():
            target["kind"] = target["kind"] or name
    return data


def as_yaml(environment: Environment) -> str:
    """``environment`` as the YAML of an environment file; keys without a value are left out."""
    import yaml

    return yaml.safe_dump(_without_nulls(as_data(environment)), sort_keys=False, allow_unicode=True, width=120)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Duration):
        return str(value)
    if isinstance(value, NameConstraints):
        return {"from": value.source, "permitted": _plain(value.permitted), "excluded": _plain(value.excluded)}
    if isinstance(value, FromRequest):
        return {"from": value.source, "patterns": list(value.patterns)}
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
