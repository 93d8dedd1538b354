"""The buckets of a run.

What this module decides: their names, by which they are found again, and whom they let in. All of them block public access, have no ACLs
and carry the run's tag.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from tests.canary.journal import Journal

TAG = "pkiops:canary"
RUN = re.compile(r"\d{14}-[0-9a-f]{8}")
_NAME = re.compile(rf"pkiops-canary-({RUN.pattern})-(open|closed|service)")
_WRITE_ACTIONS = ["s3:PutObject", "s3:PutObjectAcl", "s3:GetBucketAcl", "s3:GetBucketLocation"]
_BLOCKED = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def run_of_bucket(name: str) -> str | None:
    """The run that has made a bucket, or None: it is no bucket of a canary."""
    found = _NAME.fullmatch(name)
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run takes place."""

    account: str
    region: str
    partition: str


class Buckets:
    """Buckets that are made when first asked for.

    ``open`` lets the service write, ``closed`` does not, and into ``service`` the service may write and nobody of this account, the caller included.
    """

    def __init__(self, s3: Any, place: Place, run: str, journal: Journal) -> None:
        self._s3, self._place, self._run, self._journal = s3, place, run, journal
        self._made: dict[str, str] = {}

    def name(self, kind: str) -> str:
        """The name of the bucket of a kind.

        Raises:
            ClientError: it cannot be made.
        """
        if kind not in self._made:
            name = f"pkiops-canary-{self._run}-{kind}"
            self._journal.write("create", kind="bucket", name=name)
            place = {"CreateBucketConfiguration": {"LocationConstraint": self._place.region}}
            self._s3.create_bucket(Bucket=name, **({} if self._place.region == "us-east-1" else place))
            self._journal.write("created", kind="bucket", name=name)
            self._s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": TAG, "Value": self._run}]})
            self._s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(_BLOCKED, True))
            if kind != "closed":
                self._s3.put_bucket_policy(Bucket=name, Policy=json.dumps(self._policy(name, kind)))
            self._made[kind] = name
        return self._made[kind]

    def _policy(self, name: str, kind: str) -> dict[str, Any]:
        resources = [f"arn:{self._place.partition}:s3:::{name}{suffix}" for suffix in ("", "/*")]
        service = {
            "Effect": "Allow",
            "Principal": {"Service": "acm-pca.amazonaws.com"},
            "Action": _WRITE_ACTIONS,
            "Resource": resources,
            "Condition": {"StringEquals": {"aws:SourceAccount": self._place.account}},
        }
        # requests that the service makes by itself carry no aws:PrincipalAccount
        nobody_else = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": resources[1],
            "Condition": {"StringEquals": {"aws:PrincipalAccount": self._place.account}},
        }
        return {"Version": "2012-10-17", "Statement": [service, nobody_else] if kind == "service" else [service]}

    def keys(self, kind: str) -> list[str]:
        """The keys of the objects in it; there are never a thousand."""
        return [str(each["Key"]) for each in self._s3.list_objects_v2(Bucket=self.name(kind)).get("Contents", [])]

    def read(self, kind: str, key: str) -> dict[str, Any]:
        """An object: ``Body`` (octets) and ``LastModified``."""
        answer = self._s3.get_object(Bucket=self.name(kind), Key=key)
        return {**answer, "Body": answer["Body"].read(1 << 24)}
