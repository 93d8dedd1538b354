"""Takes away what runs have made.

What this module decides: what belongs to a canary (a CA with its tag, a bucket with one of its names; what a journal says is checked
against the tag), that CAs go before the buckets they write into, and that one thing which cannot be removed does not keep the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.canary.buckets import TAG, run_of_bucket
from tests.canary.connection import Clients
from tests.canary.journal import Made
from tests.canary.patience import Patience, Unsettled, code_of

RESTORE_DAYS = 7
_UNTIL_LISTED = 30.0
_UNKNOWN = "not known"
_GONE = frozenset({"DELETED", _UNKNOWN})
_NO_BUCKET = frozenset({"NoSuchBucket", "404"})
_FAILURES = (ClientError, BotoCoreError, Unsettled)


@dataclass(slots=True)
class Found:
    """What is there of runs: ARNs and names, each with its run. ``doubts``: what could not be looked at."""

    authorities: dict[str, str] = field(default_factory=dict)
    buckets: dict[str, str] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Cleaner:
    """Finds and removes, in one account and Region.

    Args:
        clients: of it.
        patience: waiting.
        tell: takes a line for a person.
    """

    clients: Clients
    patience: Patience
    tell: Callable[[str], None]

    def find(self, made: Iterable[Made] = (), run: str | None = None) -> Found:
        """What there is: by tag and by name, and by these journals; of one run only if it is given."""
        found, known = Found(), list(made)
        if any(each.unanswered for each in known):
            self.tell(f"waiting {_UNTIL_LISTED:.0f} seconds for CAs of which no answer told whether they were made")
            self.patience.clock.sleep(_UNTIL_LISTED)  # nobody knows whether it exists, and a list may be late
        journaled = {arn: each.run for each in known for arn in each.authorities}
        listed = self._looked(self._listed, "CAs cannot be listed", found.doubts.append)
        tagged = self._looked(self._tagged, "resources cannot be listed by tag", self.tell)
        for arn in dict.fromkeys([*listed, *tagged, *journaled]):
            self._look_at_authority(arn, found, journaled.get(arn))
        names = self._looked(self._bucket_names, "buckets cannot be listed", found.doubts.append)
        for name in dict.fromkeys([*names, *(name for each in known for name in each.buckets)]):
            owner = run_of_bucket(name)
            found.buckets |= {name: owner} if owner else {}
        if run is not None:
            found.authorities = {arn: owner for arn, owner in found.authorities.items() if owner == run}
            found.buckets = {name: owner for name, owner in found.buckets.items() if owner == run}
        return found

    def remove(self, found: Found) -> list[str]:
        """Remove it; a sentence for each thing that is left."""
        left = []
        for arn in found.authorities:
            try:
                self._remove_authority(arn)
                self.tell(f"deleted {arn}; AWS keeps it restorable for {RESTORE_DAYS} days, free of charge")
            except _FAILURES as error:
                left.append(f"{arn} is left: {error}")
        for name in found.buckets:
            try:
                if self.patience.patiently(lambda: self._remove_bucket(name), frozenset({"BucketNotEmpty"})):  # noqa: B023 - called at once
                    self.tell(f"deleted the bucket {name}")
            except _FAILURES as error:
                left.append(f"the bucket {name} is left: {error}")
        return left

    def _pages(self, client: Any, operation: str, key: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        for page in client.get_paginator(operation).paginate(**parameters):
            yield from page.get(key) or ()

    def _listed(self) -> Iterator[str]:
        for each in self._pages(self.clients.pca, "list_certificate_authorities", "CertificateAuthorities"):
            if each.get("Status") != "DELETED":
                yield str(each["Arn"])

    def _tagged(self) -> Iterator[str]:
        filters = {"TagFilters": [{"Key": TAG}]}
        for each in self._pages(self.clients.tagging, "get_resources", "ResourceTagMappingList", **filters):
            if str(each["ResourceARN"]).split(":")[2] == "acm-pca":
                yield str(each["ResourceARN"])

    def _bucket_names(self) -> Iterator[str]:
        for each in self._pages(self.clients.s3, "list_buckets", "Buckets"):
            yield str(each["Name"])

    def _looked(self, look: Callable[[], Iterator[str]], failed: str, tell: Callable[[str], None]) -> list[str]:
        """What one way of looking finds; that it fails keeps nobody from the others."""
        try:
            found: list[str] = self.patience.patiently(lambda: list(look()))
        except _FAILURES as error:
            tell(f"{failed}: {error}")
            return []
        return found

    def _look_at_authority(self, arn: str, found: Found, journaled_by: str | None) -> None:
        try:
            if journaled_by is not None:  # one that is new may be unknown for some seconds
                self.patience.came(lambda: self._status(arn) != _UNKNOWN, _UNTIL_LISTED)
            self.patience.came(lambda: self._status(arn) != "CREATING")  # until then nobody is told its tags
            status = self._status(arn)
            if status in _GONE:
                return
            if status == "FAILED":  # nor ever; it costs nothing
                found.authorities |= {arn: journaled_by} if journaled_by else {}
                return
            tags = self.patience.patiently(
                lambda: list(self._pages(self.clients.pca, "list_tags", "Tags", CertificateAuthorityArn=arn))
            )
        except _FAILURES as error:
            found.doubts.append(f"whether {arn} is a canary's cannot be told: {error}")
            return
        owner = next((tag.get("Value") for tag in tags if tag["Key"] == TAG), None)
        if owner is not None:
            found.authorities[arn] = owner
        elif journaled_by is not None:
            found.doubts.append(f"{arn} is in a journal, but has no tag {TAG}: it is left alone")

    def _status(self, arn: str) -> str:
        try:
            answer = self.patience.patiently(
                lambda: self.clients.pca.describe_certificate_authority(CertificateAuthorityArn=arn)
            )
        except ClientError as error:
            if code_of(error) == "ResourceNotFoundException":
                return _UNKNOWN
            raise
        return str(answer["CertificateAuthority"]["Status"])

    def _remove_authority(self, arn: str) -> None:
        pca, patiently = self.clients.pca, self.patience.patiently
        self.patience.until(lambda: self._status(arn) != "CREATING", "it is CREATING")
        if self._status(arn) == "ACTIVE":
            patiently(lambda: pca.update_certificate_authority(CertificateAuthorityArn=arn, Status="DISABLED"))
            self.patience.until(lambda: self._status(arn) != "ACTIVE", "it is ACTIVE")
        if self._status(arn) not in _GONE:
            days = {"PermanentDeletionTimeInDays": RESTORE_DAYS}
            patiently(lambda: pca.delete_certificate_authority(CertificateAuthorityArn=arn, **days))
            self.patience.until(lambda: self._status(arn) in _GONE, "it is not DELETED")

    def _remove_bucket(self, name: str) -> bool:
        """Whether it was there."""
        s3 = self.clients.s3
        try:
            keys = [{"Key": each["Key"]} for each in self._pages(s3, "list_objects_v2", "Contents", Bucket=name)]
            for start in range(0, len(keys), 1000):
                s3.delete_objects(Bucket=name, Delete={"Objects": keys[start : start + 1000], "Quiet": True})
            s3.delete_bucket(Bucket=name)
        except ClientError as error:
            if code_of(error) in _NO_BUCKET:
                return False
            raise
        return True
