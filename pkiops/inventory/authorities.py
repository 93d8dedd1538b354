"""The authorities of an environment as records: declared ones, tagged ones, older generations, missing and DELETED ones.

What this module decides: what a record says, and what is remarked on. Nothing is verified here: an inventory shows also what is broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pkiops.backends.identity import TAG_AUTHORITY, TAG_GENERATION
from pkiops.backends.interface import AuthorityType, CrlSettings, ObservedAuthority, PublishesOwnCrls
from pkiops.ca.desired import desired_authority, subject_of
from pkiops.ca.gone import gone_hint, keeps_place
from pkiops.crl.declared import crl_settings
from pkiops.environment.hierarchy import effective_path_length
from pkiops.environment.homes import home_of, is_at_home
from pkiops.environment.models import Environment
from pkiops.inventory.family import Family
from pkiops.inventory.members import Member, may_have_certificate
from pkiops.inventory.outside import outside_records
from pkiops.inventory.records import AuthorityRecord, CrlRecord, Identity, Skipped, days_left
from pkiops.x509.algorithms import default_signing_algorithm

_NOWHERE = 99


def authority_records(
    environment: Environment, members: Sequence[Member], backend: object, now: datetime
) -> tuple[tuple[AuthorityRecord, ...], tuple[Skipped, ...]]:
    """One record per existing and per missing authority, and what could not be read.

    Args:
        environment: what is declared.
        members: what exists.
        backend: asked for the CRL URL of its CAs, if it publishes any.
        now: the moment (aware) from which days are counted.
    """
    publisher = backend if isinstance(backend, PublishesOwnCrls) else None
    family = Family(environment, members)
    records = [_existing(family, one, publisher, now) for one in members]
    current = {(one.label, one.generation) for one in members if one.identified_by is Identity.TAGS}
    records += [
        _missing(family, label, [one.observed for one in members])
        for label, declared in environment.authorities.items()
        if (label, declared.generation) not in current
    ]
    records += outside_records(environment, members, now)
    skipped = [
        Skipped(table="authorities", item=one.observed.reference, what="certificate", reason=one.unread)
        for one in members
        if one.unread is not None
    ]
    return tuple(sorted(records, key=_order)), tuple(sorted(skipped, key=lambda one: one.item))


def _existing(family: Family, member: Member, publisher: PublishesOwnCrls | None, now: datetime) -> AuthorityRecord:
    observed = member.observed
    own = member.chain[0] if member.chain else None
    issuer, issuer_reference, issuer_subject = family.issuer(member)
    not_after = own.not_after if own else observed.not_after
    serial = own.serial if own else None
    declared = family.environment.authorities.get(member.label or "")
    is_declared = declared is not None and declared.generation == member.generation
    return AuthorityRecord(
        authority=member.label,
        generation=member.generation,
        position=family.position(member),
        depth=family.depth(member),
        issuer=issuer,
        issuer_reference=issuer_reference,
        issuer_subject=issuer_subject,
        declared=is_declared,
        exists=True,
        identified_by=member.identified_by,
        reference=observed.reference,
        type=observed.type.value,
        status=observed.status.value,
        subject=dict(observed.subject),
        key_algorithm=observed.key_algorithm,
        signing_algorithm=observed.signing_algorithm,
        usage_mode=observed.usage_mode,
        serial=serial,
        sha256=own.sha256 if own else None,
        spki_sha256=(own.spki_sha256 or None) if own else None,
        subject_key_identifier=own.subject_key_identifier if own else None,
        signature_algorithm=own.signature_algorithm if own else None,
        path_length=own.path_length if own else None,
        created_at=observed.created_at,
        not_before=own.not_before if own else observed.not_before,
        not_after=not_after,
        days_left=days_left(not_after, now),
        crl=_crl(observed.crl, publisher.crl_url(observed) if publisher else None),
        ocsp=observed.ocsp,
        tags=None if observed.tags is None else dict(observed.tags),
        owner_account=observed.owner_account,
        restorable_until=observed.restorable_until,
        failure_reason=observed.failure_reason,
        remark=_remark(family, member, pin=declared.sha256 if declared and is_declared else None),
    )


def _missing(family: Family, label: str, existing: Sequence[ObservedAuthority]) -> AuthorityRecord:
    environment = family.environment
    declared = environment.authorities[label]
    gone = keeps_place(desired_authority(environment, label), existing)
    way = gone_hint(gone, environment.environment, label) if gone else f"pkiops ca apply {environment.environment}"
    issuer, issuer_reference, issuer_subject = family.declared_issuer(label)
    return AuthorityRecord(
        authority=label,
        generation=declared.generation,
        position=family.declared_position(label),
        depth=family.declared_depth(label),
        issuer=issuer,
        issuer_reference=issuer_reference,
        issuer_subject=issuer_subject,
        declared=True,
        exists=False,
        identified_by=None,
        reference=None,
        type=(AuthorityType.SUBORDINATE if declared.issuer else AuthorityType.ROOT).value,
        status=None,
        subject=subject_of(declared.subject),
        key_algorithm=declared.key_algorithm.value,
        signing_algorithm=(declared.signing_algorithm or default_signing_algorithm(declared.key_algorithm)).value,
        usage_mode=declared.usage_mode.value,
        serial=None,
        sha256=None,
        spki_sha256=None,
        subject_key_identifier=None,
        signature_algorithm=None,
        path_length=effective_path_length(environment, label),
        created_at=None,
        not_before=None,
        not_after=None,
        days_left=None,
        crl=_crl(crl_settings(environment, declared), None),
        ocsp=None,
        tags=None,
        owner_account=None,
        restorable_until=None,
        failure_reason=None,
        remark=f"declared, but does not exist: {way}",
    )


def _crl(settings: CrlSettings | None, url: str | None) -> CrlRecord | None:
    if settings is None:
        return None
    return CrlRecord(
        bucket=settings.bucket,
        host=settings.host,
        path=settings.path,
        url=url,
        validity_days=settings.validity_days,
    )


def _remark(family: Family, member: Member, *, pin: str | None) -> str | None:
    declared = family.environment.authorities.get(member.label or "")
    remarks = []
    if member.label is None or member.generation is None:
        if member.identified_by is Identity.TAGS:
            remarks.append(f"its tags {TAG_AUTHORITY} and {TAG_GENERATION} do not name a generation of an authority")
    elif declared is None:
        remarks.append("not declared in the environment file")
    elif member.generation != declared.generation:
        remarks.append(f"the file declares generation {declared.generation}")
    if declared is not None and _is_elsewhere(family, member):
        remarks.append(f"the file has it in {home_of(family.environment, str(member.label))}")
    if family.is_twin(member):
        remarks.append("another CA carries the same identity tags")
    if pin is not None and member.chain and member.chain[0].sha256 != pin:
        remarks.append(f"the file pins another certificate: sha256 {pin}")
    if member.identified_by is Identity.SUBJECT:
        remarks.append("DELETED, its tags cannot be read; it has the subject of this authority")
    if member.unread is not None and may_have_certificate(member.observed):
        remarks.append(f"certificate not read: {member.unread}")
    return "; ".join(remarks) or None


def _is_elsewhere(family: Family, member: Member) -> bool:
    if member.label is None or member.generation is None:
        return False
    return not is_at_home(family.environment, member.label, member.generation, member.observed.reference)


def _order(record: AuthorityRecord) -> tuple[int, str, int, str]:
    depth = _NOWHERE if record.depth is None else record.depth
    return depth, record.authority or "", record.generation or 0, record.reference or ""
