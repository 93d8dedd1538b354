"""What disabling, enabling, deleting and restoring a CA would do. Pure.

What this module decides: which states each verb accepts, what it says of its consequences and of a file that says otherwise, and that nothing is
deleted that is ACTIVE, or that has live certificates below it unless that was said. How it is carried out is ``retirement.py`` and ``deletion.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pkiops.backends.auditing import AuditReport
from pkiops.backends.interface import AuthorityStatus, ObservedAuthority
from pkiops.backends.prices import HasPrices
from pkiops.ca.target import Target
from pkiops.environment.hierarchy import children
from pkiops.environment.models import Environment
from pkiops.errors import GuardRefused, InvalidState
from pkiops.homes import home_of_reference
from pkiops.plan import Action, ActionKind, Change, Plan

# in these a CA is gone at once when it is deleted (RestoreCertificateAuthority, User Guide "Deleting your private CA")
NEVER_WAS = {AuthorityStatus.CREATING, AuthorityStatus.FAILED}
# in these it was in use: what it issued is kept before it goes
WAS_IN_USE = {AuthorityStatus.DISABLED, AuthorityStatus.EXPIRED}
_FREE = {AuthorityStatus.FAILED, AuthorityStatus.DELETED}
_SHOWN = 5
_NO_SWITCH = {
    AuthorityStatus.CREATING: ("it is being made", "wait a minute"),
    AuthorityStatus.PENDING_CERTIFICATE: (
        "it has no certificate and issues nothing",
        "pkiops ca apply {environment} activates it, pkiops ca delete {words} takes it away",
    ),
    AuthorityStatus.EXPIRED: (
        "its certificate ran out, it issues nothing, and the service sets no status until it has another",
        "pkiops ca renew {words} gives it another, pkiops ca delete {words} takes it away",
    ),
    AuthorityStatus.FAILED: ("it never came to be", "pkiops ca delete {words} takes it away"),
    AuthorityStatus.DELETED: ("it is deleted", "pkiops ca restore {words} brings it back, DISABLED"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Issued:
    """What an audit report says of the certificates below a CA; its own certificates for itself are not below it.

    ``live`` are those that are neither expired nor revoked, ``live_authorities`` those of them that are CAs; ``last`` is when the last of them ends.
    """

    report: AuditReport | None
    certificates: int = 0
    live: int = 0
    live_authorities: int = 0
    last: datetime | None = None
    examples: tuple[str, ...] = ()


def switch_plan(environment: Environment, target: Target, *, enabled: bool) -> Plan:
    """Enable or disable a CA; no action if it is that already.

    Raises:
        InvalidState: it is in a state that nobody can set (code ``ca.not-switchable``).
    """
    one, goal = target.authority, AuthorityStatus.ACTIVE if enabled else AuthorityStatus.DISABLED
    remarks = _remarks(target, enabled=enabled)
    if one.status is goal:
        action = Action(ActionKind.NO_OP, target.address, f"{one.reference} is {goal.value} already", warnings=remarks)
        return Plan(target.environment, (action,))
    if one.status in _NO_SWITCH:
        why, hint = _NO_SWITCH[one.status]
        raise InvalidState(
            f"{one.reference} is {one.status.value} and cannot be {'enabled' if enabled else 'disabled'}: {why}",
            hint=hint.format(environment=target.environment, words=target.words),
            code="ca.not-switchable",
        )
    kind = ActionKind.ENABLE if enabled else ActionKind.DISABLE
    warnings = remarks if enabled else (*_what_stops(environment, target), *remarks)
    action = Action(kind, target.address, f"{one.reference} is {one.status.value}", warnings=warnings)
    return Plan(target.environment, (action, _index(target)))


def _what_stops(environment: Environment, target: Target) -> tuple[str, ...]:
    said = ["it issues nothing more; revoking, CRL and OCSP go on, and so does the bill"]
    if target.declared is None:
        return tuple(said)
    profiles = [name for name, profile in environment.profiles.items() if profile.authority == target.label]
    if profiles:
        said.append(f"nothing is issued by profile {', '.join(profiles)} from then on")
    below = children(environment, target.label)
    if below:
        said.append(f"{', '.join(below)} below it go on issuing, but can be neither renewed nor made anew")
    return tuple(said)


def _remarks(target: Target, *, enabled: bool) -> tuple[str, ...]:
    """Where the file says otherwise: the next apply would undo it, or wait for a decision."""
    if target.declared is None:
        return ()
    said, right = target.declared.enabled, str(enabled).lower()
    if said is not None and said != enabled:
        undo = "disables" if enabled else "enables"
        return (
            f"the file says enabled: {str(said).lower()}, so the next ca apply {undo} it again: write enabled: {right}",
        )
    if said is None and not enabled:
        return ("the file does not say so, and ca plan will wait for a decision: write enabled: false",)
    return ()


def refuse_in_use(target: Target) -> None:
    """Refuse to delete a CA that is in use.

    Raises:
        GuardRefused: it is ACTIVE (code ``ca.not-disabled``).
    """
    if target.authority.status is AuthorityStatus.ACTIVE:
        raise GuardRefused(
            f"{target.address} ({target.authority.reference}) is ACTIVE: what is in use is not deleted",
            hint=f"disable it first, and see that nobody misses it: pkiops ca disable {target.words}",
            code="ca.not-disabled",
        )


def delete_plan(
    target: Target,
    issued: Issued,
    prices: HasPrices,
    *,
    days: int,
    archive: str | None,
    allow_live: bool,
    now: datetime,
) -> Plan:
    """Delete a CA; no action if it is DELETED already.

    Args:
        target: the CA.
        issued: what hangs below it.
        prices: what it costs while it exists.
        days: how long it can be restored.
        archive: where what it issued is kept; None where it issued nothing.
        allow_live: whether live certificates below it are accepted.
        now: from when the days count.

    Raises:
        GuardRefused: it is ACTIVE, or has live certificates below it (codes ``ca.not-disabled``, ``ca.live-certificates``).
    """
    one = target.authority
    if one.status is AuthorityStatus.DELETED:
        reason = f"{one.reference} is DELETED already{_until(one.restorable_until)}"
        return Plan(target.environment, (Action(ActionKind.NO_OP, target.address, reason),))
    refuse_in_use(target)
    if issued.live and not allow_live:
        raise _still_live(target, issued)
    changes, warnings = [], []
    if one.status in NEVER_WAS:
        warnings.append(
            f"a CA that is {one.status.value} is gone at once and cannot be restored; it has issued nothing"
        )
        # CreateCertificateAuthority: the token of an equal call is remembered for five minutes
        warnings.append("wait five minutes before the next ca apply: until then the service answers it with this CA")
    else:
        last = now + timedelta(days=days)
        changes.append(Change("restorable", None, f"for {days} days"))
        warnings.append(f"restorable until {last:%Y-%m-%d} (pkiops ca restore), then its key is gone for ever")
    if archive is not None:
        changes.append(Change("archive", None, archive))
        warnings.append("its CRL is not renewed any more, and nothing of it can be revoked")
    if issued.live:
        warnings.append(
            f"nobody can revoke {_live_text(issued)} below it any more, the last valid until {issued.last:%Y-%m-%d}"
        )
    if one.status is AuthorityStatus.EXPIRED:
        warnings.append(
            "the service makes no audit report of an EXPIRED CA: the newest one in the bucket is taken, if there is one"
        )
    if target.declared is not None:
        warnings.append("the file still declares it: take it out, or declare a new generation")
    action = Action(
        ActionKind.DELETE,
        target.address,
        f"{one.reference} is {one.status.value}",
        tuple(changes),
        irreversible=True,
        monthly_cost_usd=0.0 if one.status in _FREE else -_usd(prices, one),
        warnings=tuple(warnings),
        live_certificates=issued.live if one.status in WAS_IN_USE else None,
    )
    return Plan(target.environment, (action, _index(target)))


def restore_plan(target: Target, prices: HasPrices, now: datetime) -> Plan:
    """Restore a CA; no action if it is not DELETED (any more).

    Raises:
        InvalidState: the days in which it could be restored are over (code ``ca.not-restorable``).
    """
    one = target.authority
    if one.status is not AuthorityStatus.DELETED:
        reason = f"{one.reference} is {one.status.value}: there is nothing to restore"
        return Plan(target.environment, (Action(ActionKind.NO_OP, target.address, reason),))
    if one.restorable_until is not None and one.restorable_until < now:
        raise InvalidState(
            f"{one.reference} could be restored until {one.restorable_until:%Y-%m-%d %H:%M}Z",
            hint="declare a new generation with a new common name",
            code="ca.not-restorable",
        )
    if one.not_after is None:
        comes_back = "PENDING_CERTIFICATE: pkiops ca apply activates it"
    elif one.not_after < now:
        comes_back = "EXPIRED"
    else:
        comes_back = f"DISABLED: pkiops ca enable {target.words} lets it issue again"
    warnings = (
        f"it comes back {comes_back}",
        "it is billed for the days in which it was deleted, too",
        "its tags can be read only then; a CA that carries others is reported",
    )
    action = Action(
        ActionKind.RESTORE,
        target.address,
        f"{one.reference} is DELETED{_until(one.restorable_until)}",
        monthly_cost_usd=_usd(prices, one),
        warnings=warnings,
    )
    return Plan(target.environment, (action, _index(target)))


def _usd(prices: HasPrices, one: ObservedAuthority) -> float:
    """What a CA costs a month, where it is."""
    home = home_of_reference(one.reference)
    return prices.monthly_cost_usd(one.usage_mode, home.region if home else None)


def _index(target: Target) -> Action:
    where = f"{target.environment}/index/authorities"
    return Action(ActionKind.UPDATE, where, "brought to what exists then")


def _until(moment: datetime | None) -> str:
    return f" and can be restored until {moment:%Y-%m-%d %H:%M}Z" if moment else ""


def _still_live(target: Target, issued: Issued) -> GuardRefused:
    shown = _listed(issued.examples, issued.live)
    last = f"{issued.last:%Y-%m-%d}" if issued.last else "never"
    taken = f", by the report of {issued.report.created_at:%Y-%m-%d %H:%M}Z" if issued.report else ""
    revoking = f"pkiops cert revoke {target.environment} SERIAL --authority {target.label}"
    if issued.live_authorities:
        revoking += "; of a CA: aws acm-pca revoke-certificate"
    return GuardRefused(
        f"{target.address} ({target.authority.reference}) has {_live_text(issued)} below it, the last until {last}{taken}: {shown}",
        hint=f"wait for their end, or revoke them ({revoking}); without their CA nobody can. To delete it all the same: --allow-live-certificates",
        code="ca.live-certificates",
        details={"live": issued.live, "live_authorities": issued.live_authorities, "last_not_after": last},
    )


def _live_text(issued: Issued) -> str:
    authorities = f" ({issued.live_authorities} of them of CAs)" if issued.live_authorities else ""
    return f"{issued.live} live certificate{'s' if issued.live != 1 else ''}{authorities}"


def _listed(examples: Sequence[str], count: int) -> str:
    shown = list(examples[:_SHOWN])
    return "; ".join([*shown, *([f"{count - len(shown)} more"] if count > len(shown) else [])])
