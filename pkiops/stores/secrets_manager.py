"""Secrets in AWS Secrets Manager.

What this module decides: the id of a version is a digest of what it holds (``ClientRequestToken``), so the same value twice is one version, and a
version of any other form was not written by pkiops.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from pkiops.aws import AwsClients
from pkiops.aws_errors import translated
from pkiops.errors import InputError, InvalidState, NotFound, VerificationFailed
from pkiops.stores.secret_places import KeptSecret, checked_name

_OURS = "pkiops-"
_CURRENT = "AWSCURRENT"
# CreateSecret, Name; "AWS Secrets Manager quotas", size of a secret value
_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]+")
_MAX_BYTES = 65_536


class SecretsManager:
    """The secrets of one account and region as a ``SecretPlace``."""

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients

    def describe(self, name: str) -> str:
        """``secret NAME``."""
        return f"secret {name}"

    def look(self, name: str) -> KeptSecret | None:
        """See ``SecretPlace.look`` (secretsmanager:DescribeSecret)."""
        checked_name(name, _NAME, self.describe(name))
        found = self._describe(name)
        if found is None:
            return None
        if "DeletedDate" in found:
            raise InvalidState(f"{self.describe(name)} waits for its deletion", hint="restore it, or take another name")
        current = _current(found)
        return KeptSecret(tags=_tags(found), ours=current is not None and current.startswith(_OURS))

    def put(self, name: str, value: str, tags: Mapping[str, str]) -> bool:
        """See ``SecretPlace.put`` (secretsmanager:CreateSecret, PutSecretValue, TagResource)."""
        if len(value.encode()) > _MAX_BYTES:
            raise InputError(f"{self.describe(name)} would be longer than {_MAX_BYTES} bytes", code="output.too-long")
        version = _OURS + hashlib.sha256(value.encode()).hexdigest()[:48]
        client, where = self._client(), self.describe(name)
        listed = [{"Key": key, "Value": text} for key, text in tags.items()]
        found = self._describe(name)
        if found is None:
            with translated("CreateSecret", where):
                client.create_secret(Name=name, ClientRequestToken=version, SecretString=value, Tags=listed)
            return True
        changed = _current(found) != version
        if changed:
            with translated("PutSecretValue", where):
                answer = client.put_secret_value(SecretId=name, ClientRequestToken=version, SecretString=value)
            if _CURRENT not in answer.get("VersionStages", ()):
                raise VerificationFailed(f"{where}: version {version} is there, but not current", code="output.version")
        if dict(tags).items() - _tags(found).items():
            with translated("TagResource", where):
                client.tag_resource(SecretId=name, Tags=listed)
            changed = True
        return changed

    def _describe(self, name: str) -> dict[str, Any] | None:
        try:
            with translated("DescribeSecret", self.describe(name)):
                return dict(self._client().describe_secret(SecretId=name))
        except NotFound:
            return None

    def _client(self) -> Any:
        return self._clients.secrets_manager()


def _current(found: Mapping[str, Any]) -> str | None:
    stages: Mapping[str, list[str]] = found.get("VersionIdsToStages") or {}
    return next((version for version, names in stages.items() if _CURRENT in names), None)


def _tags(found: Mapping[str, Any]) -> dict[str, str]:
    return {one["Key"]: one["Value"] for one in found.get("Tags") or ()}
