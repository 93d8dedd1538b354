"""Authorities whose certificates are signed elsewhere: what a plan says of them until somebody has brought one. Pure."""

from __future__ import annotations

from pkiops.ca.desired import DesiredAuthority
from pkiops.plan import Action, ActionKind, Change


def waits_for_signature(environment: str, where: str, wanted: DesiredAuthority) -> Action:
    """The action of an authority that has no certificate yet, and whose issuer is kept elsewhere."""
    limit = "unlimited" if wanted.path_length is None else str(wanted.path_length)
    changes = [Change("validity", None, str(wanted.validity)), Change("path length", None, limit)]
    if wanted.name_constraints:
        changes.append(Change("name constraints", None, str(wanted.name_constraints)))
    reason = f"waits for a certificate signed by {wanted.issuer}: pkiops ca csr {environment} {wanted.label}"
    return Action(ActionKind.WAITING, where, reason, tuple(changes))


def waits_below(where: str, wanted: DesiredAuthority) -> Action:
    """The action of an authority that would be signed by one which waits: it would cost money and be of no use before."""
    return Action(ActionKind.WAITING, where, f"is made once its issuer {wanted.issuer} has a certificate")


def another_certificate(environment: str, wanted: DesiredAuthority) -> str | None:
    """How to get another certificate for an authority with the key it has; None where no signer elsewhere is asked for one."""
    if not wanted.outside:
        return None
    return (
        f"have another one signed by {wanted.issuer} (pkiops ca csr {environment} {wanted.label}), "
        f"then pkiops ca install {environment} {wanted.label}"
    )
