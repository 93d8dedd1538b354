"""Secrets in AWS Systems Manager Parameter Store: parameters of type SecureString.

What this module decides: a tag holds the number of the version that pkiops wrote, and another its digest. Tags are written before the version, so
that a run which was killed in between is known as one, and anybody else's version is not taken for ours.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from pkiops.aws import AwsClients
from pkiops.aws_errors import translated
from pkiops.errors import BackendError, InputError, NotFound
from pkiops.stores.secret_places import KeptSecret, checked_name

_VERSION_TAG = "pkiops:version"
_DIGEST_TAG = "pkiops:sha256"
# PutParameter, Name: a path begins with / and has at most 15 levels; "Managing parameter tiers": an advanced parameter
_NAME = re.compile(r"(?:/[A-Za-z0-9_.-]+){1,15}|[A-Za-z0-9_.-]+")
_MAX_BYTES = 8192


class ParameterStore:
    """The parameters of one account and region as a ``SecretPlace``."""

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients

    def describe(self, name: str) -> str:
        """``parameter NAME``."""
        return f"parameter {name}"

    def look(self, name: str) -> KeptSecret | None:
        """See ``SecretPlace.look`` (ssm:GetParameter without decryption, ListTagsForResource)."""
        checked_name(name, _NAME, self.describe(name))
        version = self._version(name)
        if version is None:
            return None
        tags = self._tags(name)
        return KeptSecret(tags=tags, ours=_written(tags) in {version, version + 1})

    def put(self, name: str, value: str, tags: Mapping[str, str]) -> bool:
        """See ``SecretPlace.put`` (ssm:PutParameter, AddTagsToResource)."""
        where = self.describe(name)
        if len(value.encode()) > _MAX_BYTES:
            raise InputError(
                f"{where} would be longer than {_MAX_BYTES} bytes",
                hint="use --output secrets-manager=NAME, or an EC key",
                code="output.too-long",
            )
        digest = hashlib.sha256(value.encode()).hexdigest()
        before = self._version(name)
        wanted = {**tags, _VERSION_TAG: str((before or 0) + 1), _DIGEST_TAG: digest}
        settings: dict[str, Any] = {"Name": name, "Value": value, "Type": "SecureString", "Tier": "Intelligent-Tiering"}
        if before is None:
            with translated("PutParameter", where):
                self._client().put_parameter(**settings, Tags=_listed(wanted))
            return True
        known = self._tags(name)
        if (_written(known), known.get(_DIGEST_TAG)) == (before, digest) and not tags.items() - known.items():
            return False
        self._tag(name, wanted)
        with translated("PutParameter", where):
            made = int(self._client().put_parameter(**settings, Overwrite=True)["Version"])
        if made != before + 1:  # a lost answer and a second try, or another run in between
            self._tag(name, {_VERSION_TAG: str(made), _DIGEST_TAG: digest})
        return True

    def _version(self, name: str) -> int | None:
        try:
            with translated("GetParameter", self.describe(name)):
                return int(self._client().get_parameter(Name=name, WithDecryption=False)["Parameter"]["Version"])
        except NotFound:
            return None
        except BackendError as error:
            if error.details.get("aws_error") == "ParameterNotFound":
                return None
            raise

    def _tags(self, name: str) -> dict[str, str]:
        with translated("ListTagsForResource", self.describe(name)):
            answer = self._client().list_tags_for_resource(ResourceType="Parameter", ResourceId=name)
        return {one["Key"]: one["Value"] for one in answer.get("TagList", ())}

    def _tag(self, name: str, tags: Mapping[str, str]) -> None:
        with translated("AddTagsToResource", self.describe(name)):
            self._client().add_tags_to_resource(ResourceType="Parameter", ResourceId=name, Tags=_listed(tags))

    def _client(self) -> Any:
        return self._clients.parameter_store()


def _listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _written(tags: Mapping[str, str]) -> int:
    text = tags.get(_VERSION_TAG, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
