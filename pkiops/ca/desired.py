"""What should exist, as data: the buckets and authorities an environment file asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pkiops.backends.identity import TAG_ENVIRONMENT, identity_tags
from pkiops.backends.interface import (
    AuthorityRequest,
    AuthorityType,
    CsrExtensions,
    InformationAccess,
    KeepsCrlsInBucket,
    OcspSettings,
)
from pkiops.ca.holdings import crl_holdings, trust_holdings
from pkiops.crl.declared import crl_settings
from pkiops.crl.host import serving_statement
from pkiops.environment import models
from pkiops.environment.hierarchy import (
    effective_path_length,
    effective_path_lengths,
    externals_above,
    is_external,
    issuers_first,
)
from pkiops.environment.homes import default_home, home_of
from pkiops.environment.models import Authority, AuthoritySubject, Environment
from pkiops.environment.name_constraints import name_constraints
from pkiops.environment.settings_checks import ACCESS_FORMS, ACCESS_METHODS
from pkiops.environment.sharing_checks import outsiders
from pkiops.environment.subjects import ordered_attributes, subject_fields, subject_oids
from pkiops.homes import Home
from pkiops.ledger.tables import TableSettings
from pkiops.stores.interface import Buckets, BucketSettings
from pkiops.x509.algorithms import default_signing_algorithm
from pkiops.x509.duration import Duration
from pkiops.x509.name_constraints import NO_CONSTRAINTS, NameConstraints


@dataclass(frozen=True, kw_only=True, slots=True)
class OutsideAuthority:
    """A CA above ours that is kept elsewhere, as far as the file says who it is: ``subject`` as (OID, value), and the pin of its certificate."""

    label: str
    subject: tuple[tuple[str, str], ...] = ()
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DesiredAuthority:
    """One authority as the file asks for it; ``issuer`` is a label, None for a root, ``arn`` the CA that the file says it is,
    ``renew_from`` the moment (UTC) from which its renewed certificate is valid.

    ``outside`` are the CAs that sign it, where these are kept elsewhere: the issuer first, the root last.
    Of ``enabled``, ``policy`` and ``acm_permission``, None means that it is left as it is; an empty policy that there is none. Empty name constraints
    mean that the certificate has none. ``lets_in`` says whom the policy lets in from outside of the CA's account.
    """

    label: str
    issuer: str | None
    generation: int
    request: AuthorityRequest
    validity: Duration
    path_length: int | None
    sha256: str | None
    arn: str | None = None
    enabled: bool | None = None
    renew_from: datetime | None = None
    name_constraints: NameConstraints = NO_CONSTRAINTS
    policy: Mapping[str, Any] | None = None
    acm_permission: bool | None = None
    outside: tuple[OutsideAuthority, ...] = ()
    lets_in: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Desired:
    """Everything ``ca apply`` keeps: buckets first, then authorities with each issuer before those it signs.

    ``tables`` hold the ledger, where that is not a file. ``home`` is that of buckets and tables, and of authorities unless they say otherwise.
    """

    environment: str
    buckets: tuple[BucketSettings, ...]
    authorities: tuple[DesiredAuthority, ...]
    home: Home | None = None
    tables: tuple[TableSettings, ...] = ()


def desired_state(environment: Environment, keeper: KeepsCrlsInBucket, buckets: Buckets) -> Desired:
    """What an environment file asks for.

    Args:
        environment: the file.
        keeper: knows what the CRL bucket's policy must say.
        buckets: knows what the trust bucket's policy must say, and how writers are held to their keys in both.
    """
    crl, trust = environment.publication.crl, environment.publication.trust
    tags = {**environment.tags, TAG_ENVIRONMENT: environment.environment}

    def settings(
        bucket: models.CrlPublication | models.TrustPublication,
        purpose: str,
        statements: tuple[Mapping[str, object], ...],
    ) -> BucketSettings:
        return BucketSettings(
            name=bucket.bucket,
            manage=bucket.manage,
            region=environment.backend.region,
            owner=environment.backend.account,
            statements=statements,
            tags={**tags, "pkiops:purpose": purpose},
        )

    return Desired(
        environment=environment.environment,
        buckets=(
            settings(
                crl,
                "crl",
                (
                    *keeper.crl_bucket_policy(crl.bucket),
                    *((serving_statement(crl.bucket, crl.distribution),) if crl.distribution else ()),
                    *buckets.holding_policy(crl.bucket, crl_holdings(environment)),
                ),
            ),
            settings(
                trust,
                "trust",
                (
                    *buckets.trust_bucket_policy(trust.bucket),
                    *buckets.holding_policy(trust.bucket, trust_holdings(environment)),
                ),
            ),
        ),
        authorities=desired_authorities(environment),
        home=default_home(environment),
        tables=_tables(environment, tags),
    )


def _tables(environment: Environment, tags: Mapping[str, str]) -> tuple[TableSettings, ...]:
    ledger = environment.ledger
    if not isinstance(ledger, models.DynamoDbLedger):
        return ()
    return (TableSettings(name=ledger.table, manage=ledger.manage, tags={**tags, "pkiops:purpose": "ledger"}),)


def subject_of(subject: AuthoritySubject) -> dict[str, str]:
    """The given attributes of a subject model, by name."""
    return subject_fields(subject)


def csr_extensions(authority: Authority) -> CsrExtensions:
    """What the authority's request asks for, in the one order that compares."""
    if authority.csr is None:
        return CsrExtensions()
    return CsrExtensions(
        tuple(sorted(usage.value for usage in authority.csr.key_usage)),
        tuple(_access(one) for one in authority.csr.subject_information_access),
    )


def _access(given: models.InformationAccess) -> InformationAccess:
    method, form = given["method"], next(form for form in ACCESS_FORMS if form in given)
    return InformationAccess(ACCESS_METHODS.get(method, method), form, given[form])


def desired_authorities(environment: Environment) -> tuple[DesiredAuthority, ...]:
    """What an environment file asks for as authorities, issuers first."""
    lengths = effective_path_lengths(environment)
    return tuple(_desired_authority(environment, label, lengths[label]) for label in issuers_first(environment))


def desired_authority(environment: Environment, label: str) -> DesiredAuthority:
    """What an environment file asks for as one of its authorities."""
    return _desired_authority(environment, label, effective_path_length(environment, label))


def _desired_authority(environment: Environment, label: str, path_length: int | None) -> DesiredAuthority:
    authority = environment.authorities[label]
    standard = authority.key_storage_security_standard
    request = AuthorityRequest(
        type=AuthorityType.SUBORDINATE if authority.issuer else AuthorityType.ROOT,
        subject=subject_of(authority.subject),
        subject_attributes=ordered_attributes(authority.subject),
        key_algorithm=authority.key_algorithm,
        signing_algorithm=authority.signing_algorithm or default_signing_algorithm(authority.key_algorithm),
        usage_mode=authority.usage_mode.value,
        crl=crl_settings(environment, authority),
        tags={
            **environment.tags,
            **authority.tags,
            **identity_tags(environment.environment, label, authority.generation),
        },
        csr_extensions=csr_extensions(authority),
        key_storage_security_standard=standard.value if standard else None,
        ocsp=OcspSettings(authority.ocsp.enabled, authority.ocsp.host) if authority.ocsp else None,
        home=home_of(environment, label),
    )
    return DesiredAuthority(
        label=label,
        issuer=authority.issuer,
        generation=authority.generation,
        request=request,
        validity=authority.validity,
        path_length=path_length,
        sha256=authority.sha256,
        arn=authority.arn,
        enabled=authority.enabled,
        renew_from=datetime.fromisoformat(authority.renew_from).replace(tzinfo=UTC) if authority.renew_from else None,
        name_constraints=name_constraints(environment, label),
        policy=authority.policy,
        acm_permission=authority.acm_permission,
        outside=_outside(environment, label) if is_external(environment, authority.issuer) else (),
        lets_in=outsiders(authority.policy or {}, home_of(environment, label).account),
    )


def _outside(environment: Environment, label: str) -> tuple[OutsideAuthority, ...]:
    made = []
    for above in externals_above(environment, label):
        one = environment.external_authorities[above]
        made.append(
            OutsideAuthority(
                label=above,
                subject=subject_oids(one.subject) if one.subject else (),
                sha256=one.sha256,
            )
        )
    return tuple(made)
