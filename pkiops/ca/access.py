"""The least that each persona needs, as a policy of IAM for exactly one environment. Pure.

What this module decides: which rights a persona's commands need, out of what the environment file says. Which permissions these rights are is
known to the modules that make the calls. Tests run each command with its persona's policy, take each statement away and see a command fail.
Who may write where in the buckets, whatever their own policies say, is ``holdings.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from pkiops.backends.permissions import AuthorityRights, IssuingRight, SigningRight, StatesPermissions
from pkiops.ca.desired import Desired
from pkiops.ca.holdings import own_acknowledgements, provisioner_keys, publisher_keys
from pkiops.ca.places import Places
from pkiops.crl.indexed import index_counts, index_suffices
from pkiops.crl.reached import reached_key
from pkiops.environment.index import index_key
from pkiops.environment.models import DynamoDbLedger, Environment, Persona
from pkiops.errors import InputError, NotSupported
from pkiops.ledger.tables import TableRights, Tables
from pkiops.stores.interface import BucketRights, Buckets

# what a managed policy may be long, white space apart (IAM quotas)
MAX_MANAGED = 6144
_CRLS = "*.crl"
# what deleting a CA puts into the archive before, and where lost certificates are looked for
_AUDIT_REPORTS = "audit-report/*"


@dataclass(frozen=True, slots=True)
class PersonaPolicy:
    """The policy of one persona, and what has to be known to use it."""

    persona: Persona
    document: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def size(self) -> int:
        """Its length as IAM counts it."""
        return len(json.dumps(self.document, separators=(",", ":")))


def persona_policy(
    environment: Environment,
    desired: Desired,
    persona: Persona,
    backend: object,
    buckets: Buckets,
    tables: Tables | None = None,
    *,
    may_delete: bool = False,
    may_resolve: bool = False,
    account: str | None = None,
) -> PersonaPolicy:
    """The policy that lets a persona run its commands on one environment, as far as one account is concerned.

    Args:
        environment: the file.
        desired: what it asks for.
        persona: whose policy.
        backend: knows the permissions of its calls.
        buckets: knows those of the publication buckets.
        tables: knows those of the ledger's table; None where the file asks for none.
        may_delete: whether the provisioner may delete and restore CAs, too.
        may_resolve: whether the issuer may look for lost certificates in audit reports, too.
        account: the account whose policy it is: that of ``backend``, or one in which authorities live; None is the former.

    Raises:
        NotSupported: the backend knows no permissions.
        InputError: somebody else was to delete, or the environment has nothing in that account.
    """
    places = Places(environment, account or environment.backend.account)
    if may_delete and persona is not Persona.PROVISIONER:
        raise InputError(
            f"the persona {persona.value} deletes no CA",
            hint="--allow-delete goes with --persona provisioner",
            code="usage.arguments",
        )
    if may_resolve and persona is not Persona.ISSUER:
        raise InputError(
            f"the persona {persona.value} resolves no request",
            hint="--allow-resolve goes with --persona issuer",
            code="usage.arguments",
        )
    if not isinstance(backend, StatesPermissions):
        raise NotSupported(
            f"the backend of environment {environment.environment} ({environment.backend.type}) knows no permissions of IAM",
            code="backend.no-permissions",
        )
    rights = replace(
        _authority_rights(environment, desired, persona, places, may_delete=may_delete),
        homes=places.homes_for(persona),
        assumes=places.assumed_by(persona),
        audits=may_resolve,
    )
    in_buckets = _bucket_rights(environment, persona, may_delete=may_delete) if places.is_default else ()
    in_table = _table_rights(environment, persona) if places.is_default else None
    if may_resolve and places.is_default:
        in_buckets += (BucketRights(bucket=environment.publication.crl.bucket, find=True, read=(_AUDIT_REPORTS,)),)
        in_table = replace(in_table, resolves=True) if in_table else None
    document = {
        "Version": "2012-10-17",
        "Statement": [
            *backend.authority_permissions(rights),
            *buckets.bucket_permissions(in_buckets),
            *(tables.table_permissions(in_table) if tables and in_table else ()),
        ],
    }
    made = PersonaPolicy(persona, document, ())
    return PersonaPolicy(persona, document, (*_notes(environment, made, places), *places.notes(persona)))


def _authority_rights(
    environment: Environment, desired: Desired, persona: Persona, places: Places, *, may_delete: bool
) -> AuthorityRights:
    name, bucket = environment.environment, environment.publication.crl.bucket
    declared = [one for label, one in environment.authorities.items() if places.has(label)]
    if persona is Persona.PROVISIONER:
        return AuthorityRights(
            environment=name,
            read_untagged=True,
            keep=bool(declared),
            retag=bool(environment.tags) or any(one.tags for one in declared),
            share=any(one.policy is not None for one in declared),
            serve_acm=any(one.acm_permission is not None for one in declared),
            signs=tuple(
                SigningRight(
                    is_root=one.issuer is None, path_length=one.path_length, constrained=bool(one.name_constraints)
                )
                for one in desired.authorities
                if not one.outside and places.has(one.issuer or one.label)
            ),
            crl_bucket=bucket,
            retires=may_delete,
        )
    if persona is Persona.ISSUER:
        issues = tuple(
            IssuingRight(
                authority=one.authority,
                usages=tuple(usage.value for usage in one.usage),
                reference=environment.authorities[one.authority].arn,
            )
            for one in environment.profiles.values()
            if places.has(one.authority)
        )
        pinned, looked_for = _asked_for(environment, [one for one in _issuing(environment) if places.has(one)])
        return AuthorityRights(
            environment=name, find=looked_for, read=looked_for, looks_at=tuple(sorted(pinned)), issues=issues
        )
    if persona is Persona.REVOKER:
        looks = not index_suffices(environment)
        return AuthorityRights(environment=name, find=looks, read=looks, revokes=True, crl_bucket=bucket)
    if persona is Persona.RELYING_PARTY:
        return AuthorityRights(environment=name, find=False, read=False)
    is_auditor = persona is Persona.AUDITOR
    return AuthorityRights(
        environment=name,
        see_acm=is_auditor and any(one.acm_permission for one in declared),
        knows_caller=is_auditor,
    )


def _bucket_rights(environment: Environment, persona: Persona, *, may_delete: bool) -> tuple[BucketRights, ...]:
    name, crl, trust = environment.environment, environment.publication.crl, environment.publication.trust
    if persona is Persona.PROVISIONER:
        keys = provisioner_keys(name)
        kept = (_CRLS, _AUDIT_REPORTS) if may_delete else ()
        return (
            BucketRights(bucket=crl.bucket, keep=crl.manage, look=True, find=True, read=kept),
            BucketRights(bucket=trust.bucket, keep=trust.manage, look=True, find=True, read=keys, write=keys),
        )
    if persona is Persona.PUBLISHER:
        keys = publisher_keys(name)
        return (
            BucketRights(bucket=crl.bucket, find=True, read=(_CRLS,)),
            BucketRights(bucket=trust.bucket, find=True, read=keys, write=keys),
        )
    if persona is Persona.ISSUER:
        indexed = any(index_counts(environment, label) for label in _issuing(environment))
        keys = ((index_key(name),) if indexed else ()) + ((reached_key(name),) if crl.require_reachable else ())
        return (BucketRights(bucket=trust.bucket, read=keys),) if keys else ()
    if persona is Persona.REVOKER and index_suffices(environment):
        return (BucketRights(bucket=trust.bucket, read=(index_key(name),)),)
    if persona is Persona.RELYING_PARTY:
        read = (provisioner_keys(name)[0], *publisher_keys(name))
        return (BucketRights(bucket=trust.bucket, read=read, write=(own_acknowledgements(name),)),)
    if persona is Persona.AUDITOR:
        published = publisher_keys(name)[:1]
        return (
            BucketRights(bucket=crl.bucket, look=True, find=True, read=(_CRLS,)),
            BucketRights(bucket=trust.bucket, look=True, find=True, read=(*provisioner_keys(name)[:1], *published)),
        )
    return ()


def _issuing(environment: Environment) -> list[str]:
    """The authorities that profiles issue from."""
    return sorted({one.authority for one in environment.profiles.values()})


def _asked_for(environment: Environment, labels: Iterable[str]) -> tuple[set[str], bool]:
    """Of CAs that issue, those that the service is asked for by their pinned ARN, and whether others are looked for by their tags."""
    unindexed = [environment.authorities[label].arn for label in labels if not index_counts(environment, label)]
    return {arn for arn in unindexed if arn is not None}, None in unindexed


def _table_rights(environment: Environment, persona: Persona) -> TableRights | None:
    ledger = environment.ledger
    if not isinstance(ledger, DynamoDbLedger) or persona is Persona.RELYING_PARTY:
        return None
    return TableRights(
        table=ledger.table,
        keep=persona is Persona.PROVISIONER and ledger.manage,
        look=persona in {Persona.PROVISIONER, Persona.AUDITOR},
        lists=persona in {Persona.PROVISIONER, Persona.PUBLISHER, Persona.AUDITOR},
        counts=persona is Persona.PUBLISHER,
        searches=persona is Persona.AUDITOR,
        issues=persona is Persona.ISSUER,
        revokes=persona is Persona.REVOKER,
    )


def _notes(environment: Environment, made: PersonaPolicy, places: Places) -> Iterable[str]:
    persona, role = made.persona, environment.access.get(made.persona) if places.is_default else None
    if role is not None:
        yield f"for the role {role} (access.{persona.value})"
    assumed = environment.backend.role_arn if places.is_default else None
    if assumed is not None and assumed != role:
        yield (
            f"the file has pkiops assume {assumed} (backend.role_arn): the calls are made by that role, so leave role_arn out, or give "
            "the policy to it; whoever runs pkiops needs sts:AssumeRole on it"
        )
    if made.size > MAX_MANAGED:
        yield (
            f"{made.size:,} characters: more than a managed policy takes ({MAX_MANAGED:,}); make it an inline policy of the role (10,240)"
        )
