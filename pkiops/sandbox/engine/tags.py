"""Tags of an authority.

What this module decides: key rules beyond the model's pattern, their limit, that untagging with a value removes only that pair, and paging.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pkiops.sandbox.engine.errors import ServiceError
from pkiops.sandbox.engine.paging import page
from pkiops.sandbox.engine.state import Context, Region, find_authority, require_state

_RESERVED = ("aws:", "rds:")  # user guide, "Managing tags for your private CA": not to be added, edited or deleted


def checked(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """A list of the API's tags as key to value.

    Raises:
        ServiceError: ``InvalidTagException``, a reserved or repeated key.
    """
    result: dict[str, str] = {}
    for tag in tags:
        key = tag["Key"]
        _require_free(key)
        if key in result:
            raise ServiceError("InvalidTagException", f"Tag key {key} is given twice")
        result[key] = tag.get("Value", "")
    return result


def _require_free(key: str) -> None:
    if key.lower().startswith(_RESERVED):
        raise ServiceError("InvalidTagException", f"Tag key {key} starts with the reserved prefix {key[:4].lower()}")


def tag_authority(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """TagCertificateAuthority."""
    authority = find_authority(region, request["CertificateAuthorityArn"])
    require_state(authority, "TagCertificateAuthority", context.clock.now())
    merged = {**authority.tags, **checked(request["Tags"])}
    limit = context.settings.tags_per_authority
    if len(merged) > limit:
        raise ServiceError("TooManyTagsException", f"A certificate authority has at most {limit} tags")
    authority.tags = merged
    return {}


def untag_authority(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """UntagCertificateAuthority: a tag given with a value goes only if it has that value."""
    authority = find_authority(region, request["CertificateAuthorityArn"])
    require_state(authority, "UntagCertificateAuthority", context.clock.now())
    for tag in request["Tags"]:
        _require_free(tag["Key"])
    for tag in request["Tags"]:
        if "Value" not in tag or authority.tags.get(tag["Key"]) == tag["Value"]:
            authority.tags.pop(tag["Key"], None)
    return {}


def list_tags(context: Context, region: Region, request: dict[str, Any]) -> dict[str, Any]:
    """ListTags."""
    authority = find_authority(region, request["CertificateAuthorityArn"])
    require_state(authority, "ListTags", context.clock.now())
    tags = [{"Key": key, "Value": value} for key, value in authority.tags.items()]
    return page("Tags", tags, request, key=lambda tag: str(tag["Key"]))
