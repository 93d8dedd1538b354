"""The models of an environment file: which keys exist, their types and their limits.

What this module decides is the shape of the file, key by key. What only several keys together can get wrong (parents,
lifetimes, path lengths, profiles) is ``checks.py``; finding, reading and locating is ``load.py``. The classes are plain
frozen dataclasses whose annotations pydantic reads: building one validator from dataclasses costs half of what
pydantic's own model classes cost at start-up (docs/adr/0003).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pkiops.policy.declared import declared
from pkiops.policy.rules import DurationField, Profile
from pkiops.x509.algorithms import KeyAlgorithm, SigningAlgorithm

NAME_PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
EnvironmentName = Annotated[str, Field(pattern=NAME_PATTERN, max_length=40)]
Label = Annotated[str, Field(pattern=NAME_PATTERN, max_length=40)]
BucketName = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]$")]
HostName = Annotated[
    str,
    Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+$", max_length=253),
]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _no_truth_value(value: object) -> object:
    """Python takes True for 1; a file that says ``schema: true`` means something else."""
    if value is True:
        raise ValueError("write 1")
    return value


class UsageMode(StrEnum):
    """UsageMode of CreateCertificateAuthority."""

    GENERAL_PURPOSE = "GENERAL_PURPOSE"
    SHORT_LIVED_CERTIFICATE = "SHORT_LIVED_CERTIFICATE"


@declared
class AwsPrivateCaBackend:
    """AWS Private CA in one account and region, or the sandbox in its place.

    With ``sandbox`` every service goes to PKIOPS_SANDBOX_URL, else to http://127.0.0.1:4599, with dummy credentials.
    """

    type: Literal["aws-private-ca"]
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")]
    account: Annotated[str, Field(pattern=r"^[0-9]{12}$")]
    role_arn: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$", max_length=2048)] | None = None
    endpoint_urls: Mapping[Literal["acm-pca", "s3", "sts"], Annotated[str, Field(pattern=r"^https?://[^\s]+$")]] = (
        field(default_factory=dict)
    )
    sandbox: Annotated[bool, Field(strict=True)] = False


@declared
class SqliteLedger:
    """A ledger in one file, below the working directory."""

    type: Literal["sqlite"]
    path: Annotated[str, Field(min_length=1, max_length=1024)]


@declared
class CrlPublication:
    """Where the service writes CRLs, and the host that goes into certificates for ever."""

    bucket: BucketName
    host: HostName


@declared
class TrustPublication:
    """Where pkiops writes bundles and chain-complete CRL sets."""

    bucket: BucketName


@declared
class Publication:
    """Two writers, two buckets."""

    crl: CrlPublication
    trust: TrustPublication


@declared
class AuthoritySubject:
    """The subject of a CA; lengths as in the service's ASN1Subject."""

    common_name: Annotated[str, Field(min_length=1, max_length=64)]
    organization: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    organizational_unit: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    state: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    locality: Annotated[str, Field(min_length=1, max_length=128)] | None = None


@declared
class CrlSettings:
    """How long a CRL of this CA is valid, in days as the service counts (1-5000)."""

    validity: DurationField


@declared
class Authority:
    """One CA that should exist; ``issuer`` names its parent, none means a root."""

    subject: AuthoritySubject
    issuer: Label | None = None
    generation: Annotated[int, Field(ge=1, le=999, strict=True)] = 1
    sha256: Sha256 | None = None
    key_algorithm: KeyAlgorithm = KeyAlgorithm.EC_prime256v1
    signing_algorithm: SigningAlgorithm | None = None
    usage_mode: UsageMode = UsageMode.GENERAL_PURPOSE
    validity: DurationField
    path_length: Annotated[int, Field(ge=0, le=3, strict=True)] | None = None
    crl: CrlSettings


class Revocation(StrEnum):
    """Whose CRLs a bundle holds: every CA's of every chain, the end entities' issuers' only, or nobody's."""

    CHAIN = "chain"
    LEAF = "leaf"
    NONE = "none"


class TargetKind(StrEnum):
    """Relying parties that a bundle can be rendered for."""

    PEM = "pem"
    NGINX = "nginx"


@declared
class Target:
    """One rendering of a bundle; the kind is its name unless said."""

    kind: TargetKind | None = None


def target_kind(name: str, target: Target) -> TargetKind:
    """What ``target`` is rendered for: its ``kind``, else its name.

    Raises:
        ValueError: no kind is given and the name is none; ``checks.py`` would have refused it.
    """
    return target.kind or TargetKind(name)


@declared
class Bundle:
    """Who validates, and with what."""

    anchors: Annotated[tuple[Label, ...], Field(min_length=1)]
    targets: Annotated[Mapping[Label, Target], Field(min_length=1)]
    include_intermediates: Annotated[bool, Field(strict=True)] = False
    revocation: Revocation = Revocation.CHAIN


@declared
class Trust:
    """The trust bundles of an environment."""

    bundles: Mapping[Label, Bundle] = field(default_factory=dict)


@declared
class Environment:
    """One environment file."""

    schema: Annotated[Literal[1], BeforeValidator(_no_truth_value)]
    environment: EnvironmentName
    backend: AwsPrivateCaBackend
    ledger: SqliteLedger
    publication: Publication
    authorities: Annotated[Mapping[Label, Authority], Field(min_length=1)]
    profiles: Mapping[Label, Profile] = field(default_factory=dict)
    trust: Trust = field(default_factory=Trust)
