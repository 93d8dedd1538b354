"""Desired x observed -> plan. Pure and total.

Rules:

- identity is the tags; two matches are an error (``pkiops.backends.identity``), never a guess;
- what the service cannot change is never replaced: the action is BLOCKED and says "needs a new generation";
- a CA whose certificate is not the one that the file pins is BLOCKED, and so is making one where a pin can only be of another;
- a DELETED authority of the same subject and type blocks its place until a person says what is meant;
- a bucket is changed only if it carries our tag, or is empty and carries none (a run that was killed right after creating it);
- the published index is rewritten last, whenever an authority changes or it does not name what exists.

How an action is carried out is ``apply.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pkiops.backends.identity import TAG_ENVIRONMENT, Identities
from pkiops.backends.interface import AuthorityStatus, CrlSettings, HasPrices, ObservedAuthority
from pkiops.ca.desired import Desired, DesiredAuthority
from pkiops.ca.observe import Observed
from pkiops.ca.unmanaged import unmanaged
from pkiops.plan import Action, ActionKind, Change, Plan
from pkiops.stores.interface import BucketSettings, ObservedBucket, same_statement

_WAITS_FOR_PERSON = {
    AuthorityStatus.DISABLED: "is DISABLED: it issues nothing until somebody enables it",
    AuthorityStatus.EXPIRED: "is EXPIRED: its certificate must be renewed, or a new generation declared",
    AuthorityStatus.FAILED: "is FAILED and never recovers: delete it, then apply again",
}


def plan(desired: Desired, observed: Observed, prices: HasPrices | None, now: datetime) -> Plan:
    """The actions that bring what exists to what the file asks for.

    Raises:
        GuardRefused: an identity exists twice.
    """
    buckets = {bucket.name: bucket for bucket in observed.buckets}
    actions = [_bucket_action(desired.environment, one, buckets[one.name]) for one in desired.buckets]
    identities = Identities(observed.authorities, desired.environment)
    authorities: list[Action] = []
    unusable: set[str] = set()
    not_after: dict[str, datetime] = {}
    for authority in desired.authorities:
        found = identities.find(authority.label, authority.generation)
        planned = _authority_actions(desired, authority, found, observed, prices, unusable, not_after, now)
        if any(action.kind is ActionKind.BLOCKED for action in planned):
            unusable.add(authority.label)
        authorities.extend(planned)
    index = _index_actions(desired.environment, observed, Plan(desired.environment, tuple(authorities)))
    return Plan(
        environment=desired.environment,
        actions=(*actions, *authorities, *index),
        unmanaged=unmanaged(desired, observed.authorities),
    )


def address(environment: str, label: str) -> str:
    """The address of an authority in plans and messages."""
    return f"{environment}/ca/{label}"


def _index_actions(environment: str, observed: Observed, authorities: Plan) -> list[Action]:
    where = f"{environment}/index/authorities"
    if any(action.kind is not ActionKind.UPDATE for action in authorities.pending):
        return [Action(ActionKind.UPDATE, where, "written anew, because authorities change")]
    if not observed.index_is_current:
        return [Action(ActionKind.UPDATE, where, "does not name the authorities that exist")]
    return []


def _bucket_action(environment: str, wanted: BucketSettings, found: ObservedBucket) -> Action:
    where = f"{environment}/bucket/{wanted.name}"
    if not found.exists:
        return Action(ActionKind.CREATE, where, f"does not exist; holds {wanted.tags['pkiops:purpose']}")
    if found.region not in {None, wanted.region}:
        change = Change("region", found.region, wanted.region)
        return Action(ActionKind.BLOCKED, where, "a bucket never moves: use another name", (change,))
    changes = _bucket_changes(wanted, found)
    if not changes:
        return Action(ActionKind.NO_OP, where, "as declared")
    ours = found.tags.get(TAG_ENVIRONMENT) == wanted.tags[TAG_ENVIRONMENT]
    if ours:
        return Action(ActionKind.UPDATE, where, "differs from what pkiops made", changes)
    if found.empty and not found.tags:
        return Action(ActionKind.UPDATE, where, "empty and untagged: taken over", changes)
    reason = (
        "belongs to other tooling (no tag of this environment) and does not fit: change it there, or use another name"
    )
    return Action(ActionKind.BLOCKED, where, reason, changes)


def _bucket_changes(wanted: BucketSettings, found: ObservedBucket) -> tuple[Change, ...]:
    changes = []
    if not wanted.tags.items() <= dict(found.tags).items():
        changes.append(Change("tags", _tags(found.tags), _tags(wanted.tags)))
    for name, is_right in (
        ("block public access", found.public_access_blocked),
        ("bucket owner enforced", found.owner_enforced),
        ("versioning", found.versioning),
    ):
        if not is_right:
            changes.append(Change(name, "off", "on"))
    if found.encryption != "AES256":
        changes.append(Change("encryption", found.encryption, "AES256"))
    have = {statement.get("Sid"): statement for statement in found.statements}
    changes.extend(
        Change(f"policy statement {statement['Sid']}", "differs" if statement["Sid"] in have else None, "as declared")
        for statement in wanted.statements
        if not same_statement(have.get(statement["Sid"]), statement)
    )
    return tuple(changes)


def _tags(tags: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(tags.items())) or "none"


def _authority_actions(
    desired: Desired,
    wanted: DesiredAuthority,
    found: ObservedAuthority | None,
    observed: Observed,
    prices: HasPrices | None,
    unusable: set[str],
    not_after: dict[str, datetime],
    now: datetime,
) -> list[Action]:
    where = address(desired.environment, wanted.label)
    if wanted.issuer in unusable:
        return [Action(ActionKind.BLOCKED, where, f"its issuer {wanted.issuer} waits for a decision")]
    ends = wanted.validity.after(found.created_at if found else now)
    limit = not_after.get(wanted.issuer or "")
    if found is None or found.status in {AuthorityStatus.CREATING, AuthorityStatus.PENDING_CERTIFICATE}:
        if limit is not None and ends > limit:
            reason = (
                f"would outlive its issuer {wanted.issuer}, whose certificate ends {limit:%Y-%m-%d}: shorten validity"
            )
            return [Action(ActionKind.BLOCKED, where, reason)]
        not_after[wanted.label] = ends
    if found is None:
        return _missing_actions(where, wanted, observed, prices)
    not_after[wanted.label] = found.not_after or ends
    fixed = immutable_changes(wanted, found)
    if fixed:
        reason = (
            f"the service cannot change this on {found.reference}: needs a new generation "
            f"(generation: {wanted.generation + 1} and a new common name)"
        )
        return [Action(ActionKind.BLOCKED, where, reason, fixed)]
    if found.status in _WAITS_FOR_PERSON:
        return [Action(ActionKind.BLOCKED, where, f"{found.reference} {_WAITS_FOR_PERSON[found.status]}")]
    fingerprint = observed.fingerprints.get(found.reference)
    if wanted.sha256 is not None and wanted.sha256 != fingerprint:
        return [_blocked_by_pin(where, wanted.sha256, found, fingerprint)]
    if found.status in {AuthorityStatus.CREATING, AuthorityStatus.PENDING_CERTIFICATE}:
        return [_activate(where, wanted)]
    changes = _crl_changes(wanted.request.crl, found.crl)
    if changes:
        reason = "CRL settings differ; certificates already issued keep their distribution point"
        return [Action(ActionKind.UPDATE, where, reason, changes)]
    return [Action(ActionKind.NO_OP, where, f"{found.reference} is ACTIVE, as declared")]


def _missing_actions(
    where: str, wanted: DesiredAuthority, observed: Observed, prices: HasPrices | None
) -> list[Action]:
    deleted = _deleted_twin(wanted, observed)
    if deleted is not None:
        return [_blocked_by_deleted(where, deleted)]
    if wanted.sha256 is not None:
        return [_blocked_by_pin(where, wanted.sha256, None, None)]
    return [_create(where, wanted, prices), _activate(where, wanted)]


def _create(where: str, wanted: DesiredAuthority, prices: HasPrices | None) -> Action:
    request = wanted.request
    usd = prices.monthly_cost_usd(request.usage_mode) if prices else 0.0
    changes = (
        Change("subject", None, ", ".join(f"{name}={value}" for name, value in request.subject.items())),
        Change("key algorithm", None, request.key_algorithm.value),
        Change("usage mode", None, request.usage_mode),
        Change("crl", None, _crl_text(request.crl)),
    )
    warnings = ("its key cannot leave the region, and deleting it takes at least 7 days",)
    reason = "does not exist"
    return Action(ActionKind.CREATE, where, reason, changes, irreversible=True, monthly_cost_usd=usd, warnings=warnings)


def _activate(where: str, wanted: DesiredAuthority) -> Action:
    signer = f"signed by {wanted.issuer}" if wanted.issuer else "self-signed"
    limit = "unlimited" if wanted.path_length is None else str(wanted.path_length)
    changes = (Change("validity", None, str(wanted.validity)), Change("path length", None, limit))
    return Action(ActionKind.ACTIVATE, where, f"has no certificate yet; {signer}", changes)


def immutable_changes(wanted: DesiredAuthority, found: ObservedAuthority) -> tuple[Change, ...]:
    """What the service can never change about a CA and what is not as declared."""
    request = wanted.request
    pairs = (
        ("type", found.type.value, request.type.value),
        ("key algorithm", found.key_algorithm, request.key_algorithm.value),
        ("signing algorithm", found.signing_algorithm, request.signing_algorithm.value),
        ("usage mode", found.usage_mode, request.usage_mode),
    )
    changes = [Change(name, before, after) for name, before, after in pairs if before != after]
    if dict(found.subject) != dict(request.subject):
        changes.append(Change("subject", _tags(found.subject), _tags(request.subject)))
    return tuple(changes)


def _crl_changes(wanted: CrlSettings, found: CrlSettings | None) -> tuple[Change, ...]:
    if found is None:
        return (Change("crl", None, _crl_text(wanted)),)
    pairs = (
        ("crl bucket", found.bucket, wanted.bucket),
        ("crl host", found.host, wanted.host),
        ("crl validity", f"{found.validity_days}d", f"{wanted.validity_days}d"),
        ("crl named in certificates", _yes(found.named), _yes(wanted.named)),
        ("crl complete", _yes(found.complete), _yes(wanted.complete)),
    )
    return tuple(Change(name, before, after) for name, before, after in pairs if before != after)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _crl_text(crl: CrlSettings) -> str:
    return f"{crl.validity_days}d in s3://{crl.bucket}, served at http://{crl.host}/{crl.path}/"


def _deleted_twin(wanted: DesiredAuthority, observed: Observed) -> ObservedAuthority | None:
    """A CA without readable tags that takes the place of the wanted one: DELETED, or FAILED before it could be tagged."""
    untagged = {AuthorityStatus.DELETED, AuthorityStatus.FAILED}
    for one in observed.authorities:
        same = dict(one.subject) == dict(wanted.request.subject) and one.type is wanted.request.type
        if one.status in untagged and not one.tags and same:
            return one
    return None


def _blocked_by_deleted(where: str, deleted: ObservedAuthority) -> Action:
    if deleted.status is AuthorityStatus.FAILED:
        return Action(
            ActionKind.BLOCKED, where, f"{deleted.reference} of the same subject {_WAITS_FOR_PERSON[deleted.status]}"
        )
    until = f" until {deleted.restorable_until:%Y-%m-%d}" if deleted.restorable_until else ""
    reason = (
        f"{deleted.reference} of the same subject is DELETED and can be restored{until}: restore it, "
        "or declare a new generation with a new common name"
    )
    return Action(ActionKind.BLOCKED, where, reason)


def _blocked_by_pin(where: str, pin: str, found: ObservedAuthority | None, fingerprint: str | None) -> Action:
    change = Change("sha256", fingerprint, pin)
    if found is not None and fingerprint is not None:
        reason = f"{found.reference} does not have the certificate that the file pins: find out which one is right"
    else:
        what = f"{found.reference} has no certificate" if found else "does not exist"
        reason = f"{what}, but the file pins one: is this the right account and region? For a new CA remove sha256"
    return Action(ActionKind.BLOCKED, where, reason, (change,))
