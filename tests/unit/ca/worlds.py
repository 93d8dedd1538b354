"""Desired and observed worlds for plan tests, built from the dev sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from pkiops.backends.aws_private_ca.prices import LISTED
from pkiops.backends.identity import identity_tags
from pkiops.backends.interface import AuthorityStatus, ObservedAuthority
from pkiops.ca.desired import Desired, DesiredAuthority, desired_state
from pkiops.ca.observe import Observed
from pkiops.environment.load import load_file
from pkiops.environment.models import Environment
from pkiops.stores.interface import BucketRights, BucketSettings, Holding, ObservedBucket
from pkiops.stores.s3_permissions import bucket_permissions, holding_policy

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
STATEMENT = {"Sid": "Ours", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["a", "b"]}


class Statements:
    """Knows the policies of both buckets, as a backend and a bucket store would."""

    def crl_bucket_policy(self, bucket: str) -> tuple[dict[str, Any], ...]:
        return ({**STATEMENT, "Resource": [bucket, f"{bucket}/*"]},)

    def trust_bucket_policy(self, bucket: str) -> tuple[dict[str, Any], ...]:
        return ({**STATEMENT, "Resource": [bucket, f"{bucket}/*"]},)

    def holding_policy(self, bucket: str, holdings: Sequence[Holding]) -> tuple[dict[str, Any], ...]:
        return holding_policy(bucket, holdings, "aws", "123456789012")

    def bucket_permissions(self, rights: Sequence[BucketRights]) -> tuple[dict[str, Any], ...]:
        return bucket_permissions(rights, "aws")

    def observe_bucket(self, name: str) -> ObservedBucket:
        raise AssertionError(name)

    def ensure_bucket(self, settings: BucketSettings) -> bool:
        raise AssertionError(settings)


@dataclass(frozen=True)
class Prices:
    prices = LISTED

    def monthly_cost_usd(self, usage_mode: str, region: str | None = None) -> float:
        del region
        return {"GENERAL_PURPOSE": 400.0, "SHORT_LIVED_CERTIFICATE": 50.0}[usage_mode]


@cache
def dev() -> Environment:
    return load_file(Path(__file__).parents[3] / "environments" / "dev.yaml")


def desired(environment: Environment | None = None) -> Desired:
    statements = Statements()
    return desired_state(environment or dev(), statements, statements)


def bucket_as(settings: BucketSettings, **changes: Any) -> ObservedBucket:
    right = ObservedBucket(
        name=settings.name,
        exists=True,
        empty=False,
        region=settings.region,
        public_access_blocked=True,
        versioning=True,
        owner_enforced=True,
        encryption="AES256",
        statements=settings.statements,
        tags=settings.tags,
    )
    return replace(right, **changes)


def authority_as(wanted: DesiredAuthority, environment: str = "dev", **changes: Any) -> ObservedAuthority:
    request = wanted.request
    right = ObservedAuthority(
        reference=f"arn:aws:acm-pca:eu-west-1:123456789012:certificate-authority/{wanted.label}-{wanted.generation}",
        type=request.type,
        status=AuthorityStatus.ACTIVE,
        subject=request.subject,
        key_algorithm=request.key_algorithm.value,
        signing_algorithm=request.signing_algorithm.value,
        usage_mode=request.usage_mode,
        created_at=NOW,
        not_before=NOW,
        not_after=wanted.validity.after(NOW),
        crl=request.crl,
        tags=identity_tags(environment, wanted.label, wanted.generation),
    )
    return replace(right, **changes)


def observed(
    want: Desired,
    *,
    buckets: Mapping[str, ObservedBucket] | None = None,
    authorities: Mapping[str, ObservedAuthority | None] | None = None,
    others: tuple[ObservedAuthority, ...] = (),
) -> Observed:
    """Everything as declared, but for what is given; an authority given as None does not exist."""
    given = authorities or {}
    found = [given.get(one.label, authority_as(one)) for one in want.authorities]
    return Observed(
        buckets=tuple((buckets or {}).get(one.name, bucket_as(one)) for one in want.buckets),
        authorities=(*[one for one in found if one is not None], *others),
    )


def nothing(want: Desired) -> Observed:
    return Observed(buckets=tuple(ObservedBucket(name=one.name, exists=False) for one in want.buckets), authorities=())
