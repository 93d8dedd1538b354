"""Which module renders which kind of target."""

from __future__ import annotations

from pkiops.environment.models import Bundle, TargetKind
from pkiops.errors import InputError
from pkiops.trust.targets import nginx, pem
from pkiops.trust.targets.interface import Target

_TARGETS = {target.kind: target for target in (pem.TARGET, nginx.TARGET)}


def target_of(bundle: Bundle, bundle_name: str, name: str) -> Target:
    """The target that a bundle declares under ``name``, whose kind is its name unless said.

    Raises:
        InputError: the bundle declares no such target, its kind is unknown, or it cannot check revocation in the way the bundle wants.
    """
    if name not in bundle.targets:
        raise InputError(
            f"bundle {bundle_name} declares no target {name!r}",
            hint=f"its targets: {', '.join(bundle.targets)}",
            code="trust.target",
        )
    kind = bundle.targets[name].kind or name
    if kind not in set(TargetKind):
        raise InputError(
            f"target {bundle_name}/{name}: there is no kind {kind!r}",
            hint=f"add kind: to it; kinds: {', '.join(TargetKind)}",
            code="trust.kind",
        )
    target = _TARGETS[TargetKind(kind)]
    if bundle.revocation not in target.revocations:
        raise InputError(
            f"target {bundle_name}/{name}: {kind} cannot check revocation in the way {bundle.revocation.value!r}",
            hint=f"it can: {', '.join(sorted(r.value for r in target.revocations))}",
            code="trust.revocation",
        )
    return target
