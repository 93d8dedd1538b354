"""What should exist, as data: the buckets and authorities an environment file asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pkiops.backends.identity import TAG_ENVIRONMENT, identity_tags
from pkiops.backends.interface import AuthorityRequest, AuthorityType, CrlSettings, KeepsCrlsInBucket
from pkiops.environment.hierarchy import effective_path_length, issuers_first
from pkiops.environment.models import Authority, Environment
from pkiops.stores.interface import Buckets, BucketSettings
from pkiops.x509.algorithms import default_signing_algorithm
from pkiops.x509.duration import Duration

_SUBJECT_FIELDS = ("country", "organization", "organizational_unit", "state", "locality", "common_name")


@dataclass(frozen=True, kw_only=True, slots=True)
class DesiredAuthority:
    """One authority as the file asks for it; ``issuer`` is a label, None for a root."""

    label: str
    issuer: str | None
    generation: int
    request: AuthorityRequest
    validity: Duration
    path_length: int | None
    sha256: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Desired:
    """Everything ``ca apply`` keeps: buckets first, then authorities with each issuer before those it signs."""

    environment: str
    buckets: tuple[BucketSettings, ...]
    authorities: tuple[DesiredAuthority, ...]


def desired_state(environment: Environment, keeper: KeepsCrlsInBucket, buckets: Buckets) -> Desired:
    """What an environment file asks for.

    Args:
        environment: the file.
        keeper: knows what the CRL bucket's policy must say.
        buckets: knows what the trust bucket's policy must say.
    """
    crl, trust = environment.publication.crl.bucket, environment.publication.trust.bucket
    tags = {TAG_ENVIRONMENT: environment.environment}

    def settings(name: str, purpose: str, statements: tuple[Mapping[str, object], ...]) -> BucketSettings:
        return BucketSettings(
            name=name,
            region=environment.backend.region,
            owner=environment.backend.account,
            statements=statements,
            tags={**tags, "pkiops:purpose": purpose},
        )

    return Desired(
        environment=environment.environment,
        buckets=(
            settings(crl, "crl", keeper.crl_bucket_policy(crl)),
            settings(trust, "trust", buckets.trust_bucket_policy(trust)),
        ),
        authorities=tuple(_desired_authority(environment, label) for label in issuers_first(environment)),
    )


def subject_of(subject: object) -> dict[str, str]:
    """The given attributes of a subject model, by field."""
    found = ((name, getattr(subject, name)) for name in _SUBJECT_FIELDS)
    return {name: value for name, value in found if value}


def crl_settings(environment: Environment, authority: Authority) -> CrlSettings:
    """Where and how an authority publishes its CRL."""
    publication = environment.publication.crl
    days = authority.crl.validity.approximate_seconds() // 86_400
    return CrlSettings(bucket=publication.bucket, host=publication.host, validity_days=days)


def _desired_authority(environment: Environment, label: str) -> DesiredAuthority:
    authority = environment.authorities[label]
    request = AuthorityRequest(
        type=AuthorityType.SUBORDINATE if authority.issuer else AuthorityType.ROOT,
        subject=subject_of(authority.subject),
        key_algorithm=authority.key_algorithm,
        signing_algorithm=authority.signing_algorithm or default_signing_algorithm(authority.key_algorithm),
        usage_mode=authority.usage_mode.value,
        crl=crl_settings(environment, authority),
        tags=identity_tags(environment.environment, label, authority.generation),
    )
    return DesiredAuthority(
        label=label,
        issuer=authority.issuer,
        generation=authority.generation,
        request=request,
        validity=authority.validity,
        path_length=effective_path_length(environment, label),
        sha256=authority.sha256,
    )
