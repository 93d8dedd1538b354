"""Where a certificate authority lives: an account and a region of AWS, and the facts about regions that decide who can reach whom.

What this module decides: which home an ARN names, the partition of a region, and under which name the service of a region writes into a bucket of
another. Pure, and knows nothing else of pkiops: environment files, backends and use cases speak of homes alike.
"""

from __future__ import annotations

from dataclasses import dataclass

# Regions that every account has (AWS Account Management guide: launched before 20 March 2019); an account turns all others on itself
_ON_BY_DEFAULT = frozenset({
    "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1", "eu-central-1",
    "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
})  # fmt: skip
_PARTITIONS = (
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-isob-", "aws-iso-b"),
    ("us-isof-", "aws-iso-f"),
    ("us-iso-", "aws-iso"),
    ("eu-isoe-", "aws-iso-e"),
)
_SERVICE = "acm-pca"


@dataclass(frozen=True, order=True, slots=True)
class Home:
    """An account (12 digits) and a region of it."""

    account: str
    region: str

    @property
    def partition(self) -> str:
        """The partition of the region."""
        return partition_of(self.region)

    def __str__(self) -> str:
        return f"account {self.account}, {self.region}"


def partition_of(region: str) -> str:
    """The partition of a region: ``aws``, ``aws-cn``, ``aws-us-gov`` or an isolated one."""
    return next((partition for prefix, partition in _PARTITIONS if region.startswith(prefix)), "aws")


def home_of_reference(reference: str) -> Home | None:
    """The home that the ARN of a CA names; None for what is no such ARN."""
    parts = reference.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or parts[2] != _SERVICE:
        return None
    return Home(account=parts[4], region=parts[3])


def is_opt_in(region: str) -> bool:
    """Whether an account has to turn a region on before it can be used."""
    return partition_of(region) == "aws" and region not in _ON_BY_DEFAULT


def writing_service(authority_region: str, bucket_region: str) -> str | None:
    """The service principal by which CAs of one region write CRLs into a bucket of another; None where they cannot.

    Source: "Planning a CRL" of the AWS Private CA user guide, on Regions that are off by default.
    """
    if authority_region == bucket_region:
        return f"{_SERVICE}.amazonaws.com"
    if is_opt_in(bucket_region):
        return None
    return (
        f"{_SERVICE}.{authority_region}.amazonaws.com" if is_opt_in(authority_region) else f"{_SERVICE}.amazonaws.com"
    )
