"""The JSON Schema of an environment file, for editors that complete and check while somebody types.

It says what ``models.py`` says, key by key; what only several keys together can get wrong is not in it.
"""

from __future__ import annotations

from typing import Any

from pkiops.environment.load import adapter

SCHEMA_ID = "urn:pkiops:environment:schema:1"


def json_schema() -> dict[str, Any]:
    """The schema, draft 2020-12."""
    made = adapter().json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **_plain(made),
        "title": "pkiops environment file",
    }


def _plain(value: Any) -> Any:
    """The schema with the docstrings' markup taken out of its descriptions."""
    if isinstance(value, dict):
        return {
            key: " ".join(item.replace("``", "`").split())
            if key == "description" and isinstance(item, str)
            else _plain(item)
            for key, item in value.items()
        }
    return [_plain(item) for item in value] if isinstance(value, list) else value
