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
    """The schema without the docstrings' markup in its descriptions, and with mappings closed to keys that are no label."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: _plain(item) for key, item in value.items()}
    if isinstance(value.get("description"), str):
        made["description"] = " ".join(value["description"].replace("``", "`").split())
    if "patternProperties" in made:
        made["additionalProperties"] = False
    return made
