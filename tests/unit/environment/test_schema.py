"""The JSON Schema that editors use, and the file to start from."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from pkiops.environment.load import load_bytes
from pkiops.environment.schema import json_schema
from pkiops.environment.skeleton import skeleton
from pkiops.errors import InputError
from tests.unit.environment.samples import ROOT

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None),
}  # fmt: skip


def misfits(value: Any, schema: dict[str, Any], definitions: dict[str, Any], path: str = "") -> list[str]:
    """What in ``value`` a validator that knows the keywords used here would refuse."""
    if "$ref" in schema:
        return misfits(value, definitions[schema["$ref"].rpartition("/")[2]], definitions, path)
    if "anyOf" in schema:
        branches = [misfits(value, branch, definitions, path) for branch in schema["anyOf"]]
        return min(branches, key=len)
    if "type" in schema and not isinstance(value, TYPES[schema["type"]]):
        return [f"{path}: type"]
    found = [] if value == schema.get("const", value) and value in schema.get("enum", [value]) else [f"{path}: choice"]
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        found.append(f"{path}: pattern")
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += misfits(item, schema.get("items", {}), definitions, f"{path}[{index}]")
    if isinstance(value, dict):
        found += [f"{path}.{key}: missing" for key in schema.get("required", []) if key not in value]
        for key, item in value.items():
            below = schema.get("properties", {}).get(key) or next(
                (s for pattern, s in schema.get("patternProperties", {}).items() if re.search(pattern, key)),
                schema.get("additionalProperties", {}),
            )
            found += (
                [f"{path}.{key}: unknown"] if below is False else misfits(item, below, definitions, f"{path}.{key}")
            )
    return found


@pytest.mark.parametrize("name", ["dev", "staging", "prod", "spread", "offline"])
def test_the_samples_fit(name: str) -> None:
    schema = json_schema()
    assert misfits(yaml.safe_load((ROOT / "environments" / f"{name}.yaml").read_text()), schema, schema["$defs"]) == []


def test_what_is_wrong_does_not_fit() -> None:
    schema = json_schema()
    value = yaml.safe_load((ROOT / "environments" / "dev.yaml").read_text())
    value["authorities"]["root"]["validty"] = "5y"
    value["authorities"]["root"]["validity"] = "5 years"
    value["authorities"]["Clients"] = value["authorities"].pop("clients")
    del value["ledger"]
    assert sorted(misfits(value, schema, schema["$defs"])) == [
        ".authorities.Clients: unknown",
        ".authorities.root.validity: pattern",
        ".authorities.root.validty: unknown",
        ".ledger: missing",
    ]


def test_every_mapping_is_closed_and_the_schema_names_itself() -> None:
    schema = json_schema()
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["$id"].startswith("urn:pkiops:")
    for place in [schema, *schema["$defs"].values()]:
        if place.get("type") == "object":
            assert place["additionalProperties"] is False
    assert schema["properties"]["authorities"]["additionalProperties"] is False


@pytest.mark.parametrize("sandbox", [True, False])
@pytest.mark.parametrize("name", ["dev", "a" * 40, "eu-west-2b", "no", "on", "null", "y"])
def test_the_skeleton_is_sound_for_any_name(name: str, sandbox: bool) -> None:
    text = skeleton(name, sandbox=sandbox, account=None if sandbox else "111122223333", region="us-gov-west-1")
    environment = load_bytes(text.encode(), f"{name}.yaml", name)
    assert environment.backend.sandbox is sandbox
    assert environment.backend.account == ("123456789012" if sandbox else "111122223333")


@pytest.mark.parametrize(
    ("account", "region", "code"),
    [(None, "eu-west-1", "env.account"), ("1\n", "eu-west-1", "env.account"), ("111122223333", "x: y", "env.region")],
)
def test_what_the_skeleton_has_to_know(account: str | None, region: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        skeleton("dev", sandbox=False, account=account, region=region)
    assert caught.value.code == code
