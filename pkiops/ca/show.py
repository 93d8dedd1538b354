"""The hierarchy as it is: one record per declared or tagged authority, drawn as a tree or given as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pkiops.backends.identity import TAG_AUTHORITY, TAG_GENERATION, Identities, find_authority, of_environment
from pkiops.backends.interface import ObservedAuthority, ReadsAuthorities
from pkiops.ca.desired import Desired, DesiredAuthority, OutsideAuthority
from pkiops.ca.fingerprints import chain_fingerprints
from pkiops.errors import BackendError
from pkiops.x509.attribute_types import by_name


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownAuthority:
    """One authority: declared, existing, or both; ``sha256`` is its certificate's fingerprint when it has one.

    ``outside`` is one that is kept elsewhere: its certificate is the one above a CA of ours, and ``others`` are those where such chains disagree.
    """

    label: str
    generation: int
    issuer: str | None
    declared: DesiredAuthority | None
    observed: ObservedAuthority | None
    sha256: str | None
    outside: OutsideAuthority | None = None
    others: tuple[str, ...] = ()


def shown_authorities(
    desired: Desired, observed: Iterable[ObservedAuthority], fingerprints: Mapping[str, tuple[str, ...]]
) -> tuple[ShownAuthority, ...]:
    """Declared authorities, issuers first, then tagged ones that the file does not declare (older generations).

    Args:
        desired: what is declared.
        observed: what exists.
        fingerprints: of each reference's certificate and those above it.

    Raises:
        GuardRefused: an identity exists twice.
    """
    found = of_environment(observed, desired.environment)
    shown = list(_outside(desired, found, fingerprints))
    seen: set[str] = set()
    for wanted in desired.authorities:
        match = find_authority(found, desired.environment, wanted.label, wanted.generation)
        if match:
            seen.add(match.reference)
        shown.append(
            ShownAuthority(
                label=wanted.label,
                generation=wanted.generation,
                issuer=wanted.issuer,
                declared=wanted,
                observed=match,
                sha256=_own(fingerprints, match.reference) if match else None,
            )
        )
    for other in found:
        if other.reference not in seen:
            tags = other.tags or {}
            generation = tags.get(TAG_GENERATION, "")
            shown.append(
                ShownAuthority(
                    label=tags.get(TAG_AUTHORITY, "?"),
                    generation=int(generation) if generation.isdecimal() else 0,
                    issuer=None,
                    declared=None,
                    observed=other,
                    sha256=_own(fingerprints, other.reference),
                )
            )
    return tuple(shown)


def _outside(
    desired: Desired, found: Iterable[ObservedAuthority], fingerprints: Mapping[str, tuple[str, ...]]
) -> Iterable[ShownAuthority]:
    """The CAs that are kept elsewhere, roots first, with the certificates that stand above ours."""
    declared: dict[str, tuple[OutsideAuthority, str | None]] = {}
    seen: dict[str, dict[str, None]] = {}
    identities = Identities(found, desired.environment)
    for wanted in desired.authorities:
        above = dict(zip((one.label for one in wanted.outside), wanted.outside[1:], strict=False))
        for one in reversed(wanted.outside):
            declared.setdefault(one.label, (one, above[one.label].label if one.label in above else None))
        match = identities.find(wanted.label, wanted.generation)
        chain = fingerprints.get(match.reference, ())[1:] if match else ()
        if len(chain) == len(wanted.outside):
            for one, sha256 in zip(wanted.outside, chain, strict=True):
                seen.setdefault(one.label, {})[sha256] = None
    for label, (outside, issuer) in declared.items():
        # the pinned one first
        certificates = sorted(seen.get(label, {}), key=outside.sha256.__ne__ if outside.sha256 else None)
        yield ShownAuthority(
            label=label,
            generation=1,
            issuer=issuer,
            declared=None,
            observed=None,
            sha256=certificates[0] if certificates else None,
            outside=outside,
            others=tuple(certificates[1:]),
        )


def _own(fingerprints: Mapping[str, tuple[str, ...]], reference: str) -> str | None:
    return fingerprints[reference][0] if reference in fingerprints else None


def read_fingerprints(
    reader: ReadsAuthorities, observed: Iterable[ObservedAuthority], environment: str
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """SHA-256 of each CA's certificate and those above it by reference, and a line for each that could not be read: one does not stop the rest."""
    fingerprints: dict[str, tuple[str, ...]] = {}
    unreadable = []
    for one in of_environment(observed, environment):
        if one.not_after is None:
            continue
        try:
            fingerprints[one.reference] = chain_fingerprints(reader, one.reference)
        except BackendError as error:
            unreadable.append(f"no fingerprint: {error.message}")
    return fingerprints, tuple(unreadable)


def render_tree(environment: str, shown: Sequence[ShownAuthority], now: datetime) -> str:
    """The hierarchy as a tree of text."""
    lines = [environment]
    known = [one for one in shown if one.declared is not None or one.outside is not None]
    tops = [one for one in known if one.issuer is None]
    others = [one for one in shown if one not in known]
    branches = [*tops, *others]
    for position, one in enumerate(branches):
        lines.extend(_branch(environment, one, shown, now, prefix="", is_last=position == len(branches) - 1))
    return "\n".join(lines)


def _branch(
    environment: str, one: ShownAuthority, shown: Sequence[ShownAuthority], now: datetime, *, prefix: str, is_last: bool
) -> list[str]:
    is_declared = one.declared is not None or one.outside is not None
    children = [c for c in shown if (c.declared or c.outside) and c.issuer == one.label and is_declared]
    stem = prefix + ("└── " if is_last else "├── ")
    below = prefix + ("    " if is_last else "│   ")
    inner = below + ("│   " if children else "    ")
    head, *rest = _facts(environment, one, now)
    lines = [stem + head, *(inner + line for line in rest)]
    for position, child in enumerate(children):
        lines.extend(_branch(environment, child, shown, now, prefix=below, is_last=position == len(children) - 1))
    return lines


def _facts(environment: str, one: ShownAuthority, now: datetime) -> list[str]:
    observed = one.observed
    if one.outside is not None:
        return _outside_facts(one, one.outside)
    title = f"{one.label} (generation {one.generation})"
    if observed is None:
        return [f"{title}  does not exist", f"create it with: pkiops ca apply {environment}"]
    undeclared = "" if one.declared else "  not declared in the file"
    lines = [f"{title}  {observed.status.value}{undeclared}"]
    lines.append(", ".join(f"{name}={value}" for name, value in observed.subject.items()))
    lines.append(
        f"{observed.type.value}, {observed.key_algorithm}, {observed.signing_algorithm}, {observed.usage_mode}"
    )
    if observed.not_before and observed.not_after:
        left = (observed.not_after - now).days
        validity = f"valid {observed.not_before:%Y-%m-%d} to {observed.not_after:%Y-%m-%d}"
        lines.append(f"{validity}, {left} days left" if left >= 0 else f"{validity}, expired {-left} days ago")
    crl = observed.crl
    lines.append(
        f"crl {crl.validity_days}d, http://{crl.host or crl.bucket}/, bucket {crl.bucket}" if crl else "crl none"
    )
    if one.sha256:
        lines.append(f"sha256 {one.sha256}{_pin_remark(one, one.sha256)}")
    lines.append(observed.reference)
    return lines


def _outside_facts(one: ShownAuthority, outside: OutsideAuthority) -> list[str]:
    lines = [f"{one.label}  kept elsewhere"]
    if outside.subject:
        lines.append(", ".join(f"{name}={value}" for name, value in by_name(outside.subject).items()))
    if one.sha256 is None:
        lines.append("its certificate comes with the first one that it signs for a CA of ours")
    lines += [f"sha256 {sha256}{_pin_remark(one, sha256)}" for sha256 in (one.sha256, *one.others) if sha256]
    return lines


def _pin_of(one: ShownAuthority) -> str | None:
    pinned = one.declared or one.outside
    return pinned.sha256 if pinned else None


def _pin_remark(one: ShownAuthority, sha256: str | None) -> str:
    pin = _pin_of(one)
    if pin is None:
        return ""
    return "  as pinned" if pin == sha256 else f"  NOT AS PINNED: the file says {pin}"


def as_json(shown: Sequence[ShownAuthority]) -> list[dict[str, Any]]:
    """The authorities as JSON-ready data, in the order shown: issuers first."""
    return [_authority_json(one) for one in shown]


def _authority_json(one: ShownAuthority) -> dict[str, Any]:
    observed = one.observed
    body: dict[str, Any] = {
        "authority": one.label,
        "generation": one.generation,
        "issuer": one.issuer,
        "declared": one.declared is not None or one.outside is not None,
        "exists": observed is not None or (one.outside is not None and one.sha256 is not None),
        "external": one.outside is not None,
    }
    if one.outside is not None:
        subject = by_name(one.outside.subject)
        return {**body, "subject": subject, "sha256": one.sha256, "pinned_sha256": one.outside.sha256}
    if observed is None:
        return body
    crl = observed.crl
    return {
        **body,
        "reference": observed.reference,
        "type": observed.type.value,
        "status": observed.status.value,
        "subject": dict(observed.subject),
        "key_algorithm": observed.key_algorithm,
        "signing_algorithm": observed.signing_algorithm,
        "usage_mode": observed.usage_mode,
        "created_at": observed.created_at,
        "not_before": observed.not_before,
        "not_after": observed.not_after,
        "sha256": one.sha256,
        "pinned_sha256": _pin_of(one),
        "crl": None
        if crl is None
        else {"bucket": crl.bucket, "host": crl.host, "path": crl.path, "validity_days": crl.validity_days},
        "tags": dict(observed.tags or {}),
    }
