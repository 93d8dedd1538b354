"""Desired x observed -> plan. Pure and total.

Rules:

- identity is the tags; two matches are an error (``pkiops.backends.identity``), never a guess;
- what the service cannot change is never replaced: the action is BLOCKED and says "needs a new generation", or, of a certificate, a new one;
- a CA whose certificate is not the one that the file pins is BLOCKED, and so is making one where a pin can only be of another;
- a CA that is signed elsewhere is made, and then waits for its certificate; so does what it would sign, and the rest goes on;
- a DELETED authority of the same subject and type blocks its place until a person says what is meant, and a DISABLED one until the file does;
- nothing is signed by a CA in the plan that adopts it: its CRL is configured by the next one;
- resource policies and permissions follow the activation, because the service takes them from then on; an authority is disabled after all else;
- the published index is rewritten last, whenever an authority changes or it does not name what exists.

How an action is carried out is ``apply.py``; what differs is found by ``drift.py``, ``bucket_drift.py`` and ``table_drift.py``.
"""

from __future__ import annotations

from datetime import datetime

from pkiops.backends.identity import Identities
from pkiops.backends.interface import AuthorityStatus, CsrExtensions, ObservedAuthority
from pkiops.backends.prices import HasPrices
from pkiops.ca.bucket_drift import bucket_action
from pkiops.ca.desired import Desired, DesiredAuthority
from pkiops.ca.details import NO_DETAILS, Details
from pkiops.ca.drift import (
    certificate_changes,
    crl_text,
    csr_text,
    immutable_changes,
    is_refused_to_disabled,
    lasts_as_declared,
    revocation_changes,
    sharing_changes,
    subject_text,
    tag_changes,
)
from pkiops.ca.gone import gone_hint, gone_text, keeps_place
from pkiops.ca.homes import moved_action, with_home
from pkiops.ca.observe import Observed
from pkiops.ca.pinned import pinned_actions, pinned_authority
from pkiops.ca.renewal import renewal_action, renewal_state
from pkiops.ca.table_drift import table_action
from pkiops.ca.unmanaged import undeclared, unmanaged
from pkiops.ca.waiting import another_certificate, waits_below, waits_for_signature
from pkiops.plan import Action, ActionKind, Change, Plan

_WITHOUT_CERTIFICATE = {AuthorityStatus.CREATING, AuthorityStatus.PENDING_CERTIFICATE}
_WAITS_FOR_PERSON = {
    AuthorityStatus.DISABLED: "is DISABLED: it issues nothing until somebody enables it; write enabled: true or false (or: pkiops ca enable {words})",
    AuthorityStatus.EXPIRED: "is EXPIRED: renew its certificate (renew_from: a day, then pkiops ca renew {words}), or declare a new generation",
    AuthorityStatus.FAILED: "is FAILED and never recovers: delete it (pkiops ca delete {words}), then apply again",
}


def plan(desired: Desired, observed: Observed, prices: HasPrices | None, now: datetime) -> Plan:
    """The actions that bring what exists to what the file asks for.

    Raises:
        GuardRefused: an identity exists twice.
    """
    buckets = {bucket.name: bucket for bucket in observed.buckets}
    actions = [bucket_action(desired.environment, one, buckets[one.name]) for one in desired.buckets]
    tables = {table.name: table for table in observed.tables}
    actions += [table_action(desired.environment, one, tables[one.name]) for one in desired.tables]
    identities = Identities(observed.authorities, desired.environment)
    authorities: list[Action] = []
    disabled: list[Action] = []
    unusable: set[str] = set()
    silent: set[str] = set()
    waiting: set[str | None] = set()
    adopted: set[str | None] = set()
    not_after: dict[str, datetime] = {}
    for authority in desired.authorities:
        found = identities.find(authority.label, authority.generation)
        where = address(desired.environment, authority.label)
        moved = moved_action(where, authority, observed.elsewhere)
        if moved:
            planned = [moved]
        elif authority.issuer in waiting and (found is None or found.status in _WITHOUT_CERTIFICATE):
            planned = [waits_below(where, authority)]
        else:
            planned = _authority_actions(desired, authority, found, observed, prices, unusable, silent, not_after, now)
        if authority.issuer in silent and any(action.kind is ActionKind.RENEW for action in planned):
            planned = [_signer_is_silent(where, authority, "is due to be renewed, and ")]
        if any(action.kind is ActionKind.WAITING for action in planned):
            waiting.add(authority.label)
        if authority.issuer in adopted and any(action.kind is ActionKind.ACTIVATE for action in planned):
            planned = [_after_adoption(address(desired.environment, authority.label), authority)]
            adopted.add(authority.label)
        if any(action.kind is ActionKind.ADOPT for action in planned):
            adopted.add(authority.label)
        planned = with_home(desired, authority, planned)
        if any(action.kind is ActionKind.BLOCKED for action in planned):
            unusable.add(authority.label)
        if found is not None and found.status is AuthorityStatus.DISABLED and authority.enabled is False:
            silent.add(authority.label)
        authorities.extend(action for action in planned if action.kind is not ActionKind.DISABLE)
        disabled.extend(action for action in planned if action.kind is ActionKind.DISABLE)
    authorities.extend(disabled)
    index = _index_actions(desired.environment, observed, Plan(desired.environment, tuple(authorities)))
    return Plan(
        environment=desired.environment,
        actions=(*actions, *authorities, *index),
        unmanaged=(*unmanaged(desired, observed.authorities), *undeclared(desired, observed)),
    )


def address(environment: str, label: str) -> str:
    """The address of an authority in plans and messages."""
    return f"{environment}/ca/{label}"


def _index_actions(environment: str, observed: Observed, authorities: Plan) -> list[Action]:
    where = f"{environment}/index/authorities"
    if any(action.kind is not ActionKind.UPDATE for action in authorities.pending):
        return [Action(ActionKind.UPDATE, where, "written anew, because authorities change")]
    if not observed.index_is_current:
        return [Action(ActionKind.UPDATE, where, "does not fit this file and the authorities that exist")]
    return []


def _authority_actions(
    desired: Desired,
    wanted: DesiredAuthority,
    found: ObservedAuthority | None,
    observed: Observed,
    prices: HasPrices | None,
    unusable: set[str],
    silent: set[str],
    not_after: dict[str, datetime],
    now: datetime,
) -> list[Action]:
    where = address(desired.environment, wanted.label)
    if wanted.issuer in silent and (found is None or found.status in _WITHOUT_CERTIFICATE):
        return [_signer_is_silent(where, wanted)]
    if wanted.issuer in unusable:
        return [Action(ActionKind.BLOCKED, where, f"its issuer {wanted.issuer} waits for a decision")]
    pinned = pinned_actions(where, wanted, found, observed)
    if pinned is not None:
        adopted = pinned_authority(wanted, observed)
        if adopted is not None and adopted.not_after is not None:
            not_after[wanted.label] = adopted.not_after
        return pinned
    ends = wanted.validity.after(found.created_at if found else now)
    limit = not_after.get(wanted.issuer or "")
    if found is None or found.status in _WITHOUT_CERTIFICATE:
        if limit is not None and ends > limit:
            reason = (
                f"would outlive its issuer {wanted.issuer}, whose certificate ends {limit:%Y-%m-%d}: shorten validity"
            )
            return [Action(ActionKind.BLOCKED, where, reason)]
        not_after[wanted.label] = ends
    if found is None:
        return _missing_actions(desired.environment, wanted, observed, prices)
    not_after[wanted.label] = found.not_after or ends
    fixed = immutable_changes(wanted, found)
    if fixed:
        reason = (
            f"the service cannot change this on {found.reference}: needs a new generation "
            f"(generation: {wanted.generation + 1} and a new common name)"
        )
        return [Action(ActionKind.BLOCKED, where, reason, fixed)]
    return _found_actions(where, wanted, found, observed, not_after, now)


def _signer_is_silent(where: str, wanted: DesiredAuthority, why: str = "") -> Action:
    reason = f"{why}its issuer {wanted.issuer} is DISABLED, and the file says enabled: false: write enabled: true until it has signed"
    return Action(ActionKind.BLOCKED, where, reason)


def _found_actions(
    where: str,
    wanted: DesiredAuthority,
    found: ObservedAuthority,
    observed: Observed,
    not_after: dict[str, datetime],
    now: datetime,
) -> list[Action]:
    """What is to be done with a CA that is what the file declares in all that never changes."""
    details = observed.details.get(found.reference, NO_DETAILS)
    signed = certificate_changes(wanted, details)
    renewal = renewal_action(where, wanted, found, signed, not_after.get(wanted.issuer or ""), now)
    decided = {AuthorityStatus.DISABLED: wanted.enabled is not None, AuthorityStatus.EXPIRED: renewal is not None}
    another = another_certificate(where.split("/", maxsplit=1)[0], wanted)
    if found.status in _WAITS_FOR_PERSON and not decided.get(found.status):
        is_over = found.status is AuthorityStatus.EXPIRED and another is not None
        why = f"is EXPIRED: {another}" if is_over else _waits(where, found.status)
        return [Action(ActionKind.BLOCKED, where, f"{found.reference} {why}")]
    if wanted.outside and found.status in _WITHOUT_CERTIFICATE:
        return [waits_for_signature(where.split("/", maxsplit=1)[0], where, wanted)]
    fingerprint = details.certificate.sha256 if details.certificate else None
    if wanted.sha256 is not None and wanted.sha256 != fingerprint:
        return [_blocked_by_pin(where, wanted.sha256, found, fingerprint)]
    if renewal is not None and renewal.kind is ActionKind.BLOCKED:
        return [renewal]
    if renewal is not None and wanted.renew_from is not None:
        not_after[wanted.label] = wanted.validity.after(wanted.renew_from)
    elif signed:
        mend = another or f"renew it (renew_from: a day, then pkiops ca renew {_words(where)})"
        reason = (
            f"the certificate of {found.reference} says otherwise: {mend}, "
            f"or declare a new generation (generation: {wanted.generation + 1} and a new common name)"
        )
        return [Action(ActionKind.BLOCKED, where, reason, signed)]
    return _existing_actions(where, wanted, found, details, renewal, now)


def _after_adoption(where: str, wanted: DesiredAuthority) -> Action:
    # what is signed names the CRL that its issuer has at that moment, for ever
    reason = f"is for the plan after this one, when its issuer {wanted.issuer} is adopted and configured as declared"
    return Action(ActionKind.NO_OP, where, reason)


def _existing_actions(
    where: str,
    wanted: DesiredAuthority,
    found: ObservedAuthority,
    details: Details,
    renewal: Action | None,
    now: datetime,
) -> list[Action]:
    """What brings a sound authority to what the file says."""
    actions = []
    if found.status in _WITHOUT_CERTIFICATE:
        actions.append(_activate(where, wanted))
    if found.status is AuthorityStatus.DISABLED and wanted.enabled:
        actions.append(Action(ActionKind.ENABLE, where, f"{found.reference} is DISABLED, and the file enables it"))
    if renewal is not None:
        actions.append(renewal)
    actions += _update(where, wanted, found, details)
    if found.status is not AuthorityStatus.DISABLED and wanted.enabled is False:
        actions.append(_disable(where, wanted))
    if actions:
        return actions
    return [
        Action(
            ActionKind.NO_OP,
            where,
            f"{found.reference} is {found.status.value}, as declared{_later(wanted, found, now)}{_held_back(wanted, found, details)}",
        )
    ]


def _update(where: str, wanted: DesiredAuthority, found: ObservedAuthority, details: Details) -> list[Action]:
    revocation = revocation_changes(wanted.request, found)
    sharing = sharing_changes(wanted, found.reference, details)
    if _stays_disabled(wanted, found):
        sharing = tuple(change for change in sharing if not is_refused_to_disabled(change))
    others = (*tag_changes(wanted.request, found), *sharing)
    reasons = []
    if revocation:
        reasons.append("CRL or OCSP settings differ; certificates already issued keep their distribution point")
    if others:
        kinds = dict.fromkeys("tags" if change.field.startswith("tag ") else change.field for change in others)
        reasons.append(f"{', '.join(kinds)} not as declared")
    changes = (*revocation, *others)
    warnings = _lets_in(wanted, changes)
    return [Action(ActionKind.UPDATE, where, "; ".join(reasons), changes, warnings=warnings)] if changes else []


def _stays_disabled(wanted: DesiredAuthority, found: ObservedAuthority) -> bool:
    return found.status is AuthorityStatus.DISABLED and not wanted.enabled


def _held_back(wanted: DesiredAuthority, found: ObservedAuthority, details: Details) -> str:
    changes = sharing_changes(wanted, found.reference, details) if _stays_disabled(wanted, found) else ()
    waiting = [change.field for change in changes if is_refused_to_disabled(change)]
    return f"; the service takes {' and '.join(waiting)} only once it is enabled" if waiting else ""


def _lets_in(wanted: DesiredAuthority, changes: tuple[Change, ...]) -> tuple[str, ...]:
    """Whom a new resource policy lets in from other accounts: what a reviewer must not read past."""
    return tuple(f"lets in: {one}" for one in wanted.lets_in) if any(one.field == "policy" for one in changes) else ()


def _disable(where: str, wanted: DesiredAuthority) -> Action:
    warnings = (
        "it issues nothing more, and nothing can be signed by it; revoking, CRL and OCSP go on, and so does the bill",
    )
    return Action(ActionKind.DISABLE, where, f"{wanted.label} is enabled: false in the file", warnings=warnings)


def _later(wanted: DesiredAuthority, found: ObservedAuthority, now: datetime) -> str:
    if wanted.renew_from is not None and found.not_before is not None and found.not_before < wanted.renew_from:
        return f"; {renewal_state(wanted, found, now)}"
    if lasts_as_declared(wanted, found) or found.not_after is None:
        return ""
    return f"; its certificate ends {found.not_after:%Y-%m-%d}, and the next one lasts {wanted.validity}"


def _missing_actions(
    environment: str, wanted: DesiredAuthority, observed: Observed, prices: HasPrices | None
) -> list[Action]:
    where = address(environment, wanted.label)
    deleted = keeps_place(wanted, observed.authorities)
    if deleted is not None:
        return [_blocked_by_deleted(where, deleted)]
    if wanted.sha256 is not None:
        return [_blocked_by_pin(where, wanted.sha256, None, None)]
    if wanted.outside:
        return [_create(where, wanted, prices), waits_for_signature(environment, where, wanted)]
    actions = [_create(where, wanted, prices), _activate(where, wanted)]
    changes = sharing_changes(wanted, None, NO_DETAILS)
    if changes:
        shared = Action(
            ActionKind.UPDATE, where, "shared once it is ACTIVE", changes, warnings=_lets_in(wanted, changes)
        )
        actions.append(shared)
    return [*actions, _disable(where, wanted)] if wanted.enabled is False else actions


def _create(where: str, wanted: DesiredAuthority, prices: HasPrices | None) -> Action:
    request = wanted.request
    usd = prices.monthly_cost_usd(request.usage_mode, request.home.region if request.home else None) if prices else 0.0
    changes = [
        Change("subject", None, subject_text(request)),
        Change("key algorithm", None, request.key_algorithm.value),
        Change("signing algorithm", None, request.signing_algorithm.value),
        Change("usage mode", None, request.usage_mode),
        Change("crl", None, crl_text(request.crl)),
    ]
    if request.csr_extensions != CsrExtensions():
        changes.append(Change("csr extensions", None, csr_text(request.csr_extensions)))
    if request.key_storage_security_standard:
        changes.append(Change("key storage security standard", None, request.key_storage_security_standard))
    if request.ocsp is not None and request.ocsp.enabled:
        changes.append(Change("ocsp", None, f"on, at {request.ocsp.host or 'the host of the service'}"))
    own = {key: value for key, value in request.tags.items() if not key.startswith("pkiops:")}
    changes += [Change(f"tag {key}", None, value) for key, value in sorted(own.items())]
    warnings = ("its key cannot leave the region, and deleting it takes at least 7 days",)
    reason = "does not exist" if wanted.generation == 1 else f"generation {wanted.generation} does not exist"
    return Action(
        ActionKind.CREATE, where, reason, tuple(changes), irreversible=True, monthly_cost_usd=usd, warnings=warnings
    )


def _activate(where: str, wanted: DesiredAuthority) -> Action:
    signer = f"signed by {wanted.issuer}" if wanted.issuer else "self-signed"
    limit = "unlimited" if wanted.path_length is None else str(wanted.path_length)
    changes = [Change("validity", None, str(wanted.validity)), Change("path length", None, limit)]
    if wanted.name_constraints:
        changes.append(Change("name constraints", None, str(wanted.name_constraints)))
    return Action(ActionKind.ACTIVATE, where, f"has no certificate yet; {signer}", tuple(changes))


def _waits(where: str, status: AuthorityStatus) -> str:
    """Why a CA of this status waits for a person, and for what."""
    return _WAITS_FOR_PERSON[status].format(words=_words(where))


def _words(where: str) -> str:
    """What names an authority after a verb on the command line."""
    environment, _, label = where.split("/")
    return f"{environment} {label}"


def _blocked_by_deleted(where: str, deleted: ObservedAuthority) -> Action:
    if deleted.status is AuthorityStatus.FAILED:
        return Action(
            ActionKind.BLOCKED, where, f"{deleted.reference} of the same subject {_waits(where, deleted.status)}"
        )
    environment, _, label = where.split("/")
    hint = gone_hint(deleted, environment, label)
    return Action(ActionKind.BLOCKED, where, f"{gone_text(deleted)}: {hint}")


def _blocked_by_pin(where: str, pin: str, found: ObservedAuthority | None, fingerprint: str | None) -> Action:
    change = Change("sha256", fingerprint, pin)
    if found is not None and fingerprint is not None:
        reason = (
            f"{found.reference} does not have the certificate that the file pins: find out which one is right; "
            "if it was renewed, pin the new one"
        )
    else:
        what = f"{found.reference} has no certificate" if found else "does not exist"
        reason = f"{what}, but the file pins one: is this the right account and region? For a new CA remove sha256"
    return Action(ActionKind.BLOCKED, where, reason, (change,))
