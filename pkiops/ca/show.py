"""The hierarchy as it is: one record per declared or tagged authority, drawn as a tree or given as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pkiops.backends.identity import TAG_AUTHORITY, TAG_GENERATION, Identities, of_environment
from pkiops.backends.interface import ObservedAuthority, ReadsAuthorities
from pkiops.ca.desired import Desired, DesiredAuthority
from pkiops.ca.drift import crl_text, subject_text
from pkiops.ca.fingerprints import chain_fingerprints
from pkiops.ca.show_outside import ShownOutside, shown_outside
from pkiops.environment.finding import one_line
from pkiops.errors import BackendError
from pkiops.homes import Home, home_of_reference
from pkiops.x509.attribute_types import attribute_name, by_name

if TYPE_CHECKING:
    from pkiops.ca.details import Count, Details

_READERS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownAuthority:
    """One authority: declared, existing, or both; ``sha256`` is its certificate's fingerprint when it has one.

    ``is_older`` is an earlier generation of a declared one: its issuer is that of the declared one, as far as the file tells. ``details`` are None
    unless somebody looked deep. ``away`` is where it lives, or will, if that is not where the buckets are. ``outside`` is one that is kept elsewhere
    and not ours: its certificate is the one that stands above a CA of ours.
    """

    label: str
    generation: int
    issuer: str | None
    declared: DesiredAuthority | None
    observed: ObservedAuthority | None
    sha256: str | None
    is_older: bool = False
    details: Details | None = None
    away: Home | None = None
    outside: ShownOutside | None = None

    @property
    def is_named(self) -> bool:
        """Whether the file names it: as one of ours, or as one that is kept elsewhere."""
        return self.declared is not None or self.outside is not None

    @property
    def pin(self) -> str | None:
        """The sha256 that the file gives."""
        if self.outside is not None:
            return self.outside.declared.sha256
        return self.declared.sha256 if self.declared else None


def shown_authorities(
    desired: Desired,
    observed: Iterable[ObservedAuthority],
    fingerprints: Mapping[str, tuple[str, ...]],
    details: Mapping[str, Details] = MappingProxyType({}),
) -> tuple[ShownAuthority, ...]:
    """Declared authorities, issuers first, then tagged ones that the file does not declare (older generations).

    Raises:
        GuardRefused: an identity exists twice.
    """
    found = of_environment(observed, desired.environment)
    shown = [_kept_elsewhere(one) for one in shown_outside(desired, found, fingerprints)]
    seen: set[str] = set()
    identities = Identities(found, desired.environment)
    for wanted in desired.authorities:
        match = identities.find(wanted.label, wanted.generation)
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
                details=details.get(match.reference) if match else None,
                away=_away(desired, (home_of_reference(match.reference) if match else None) or wanted.request.home),
            )
        )
    known = {one.label: one for one in desired.authorities}
    for other in found:
        if other.reference not in seen:
            tags = other.tags or {}
            text, label = tags.get(TAG_GENERATION, ""), tags.get(TAG_AUTHORITY, "?")
            generation = int(text) if text.isascii() and text.isdecimal() else 0
            newest = known.get(label)
            is_older = newest is not None and 0 < generation < newest.generation
            shown.append(
                ShownAuthority(
                    label=label,
                    generation=generation,
                    issuer=newest.issuer if newest is not None and is_older else None,
                    declared=None,
                    observed=other,
                    sha256=_own(fingerprints, other.reference),
                    is_older=is_older,
                    away=_away(desired, home_of_reference(other.reference)),
                )
            )
    return tuple(shown)


def _kept_elsewhere(one: ShownOutside) -> ShownAuthority:
    return ShownAuthority(
        label=one.declared.label,
        generation=1,
        issuer=one.issuer,
        declared=None,
        observed=None,
        sha256=next(iter(one.certificates), None),
        outside=one,
    )


def _own(fingerprints: Mapping[str, tuple[str, ...]], reference: str) -> str | None:
    return fingerprints[reference][0] if reference in fingerprints else None


def _away(desired: Desired, home: Home | None) -> Home | None:
    return None if home == desired.home else home


def read_fingerprints(
    reader: ReadsAuthorities,
    observed: Iterable[ObservedAuthority],
    environment: str,
    count: Count = lambda total: None,
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """SHA-256 of each CA's certificate and those above it by reference, and a line for each that could not be read: one does not stop the rest.

    ``count`` is given how many will be read, and returns what is told of each.
    """
    asked = [one.reference for one in of_environment(observed, environment) if one.not_after is not None]
    counted = count(len(asked))

    def read(reference: str) -> tuple[tuple[str, ...] | None, str]:
        try:
            return chain_fingerprints(reader, reference), ""
        except BackendError as error:
            return None, f"no fingerprint: {error.message}"
        finally:
            if counted is not None:
                counted.one_done()

    with ThreadPoolExecutor(max_workers=_READERS) as pool:
        answers = dict(zip(asked, pool.map(read, asked), strict=True))
    found = {reference: digest for reference, (digest, _) in answers.items() if digest is not None}
    return found, tuple(problem for _, problem in answers.values() if problem)


def render_tree(environment: str, shown: Sequence[ShownAuthority], now: datetime) -> str:
    """The hierarchy as a tree of text."""
    lines = [environment]
    tops = [one for one in shown if one.is_named and one.issuer is None]
    others = [one for one in shown if not one.is_named and one.issuer is None]
    branches = [*tops, *others]
    for position, one in enumerate(branches):
        lines.extend(_branch(environment, one, shown, now, prefix="", is_last=position == len(branches) - 1))
    return "\n".join(lines)


def _branch(
    environment: str, one: ShownAuthority, shown: Sequence[ShownAuthority], now: datetime, *, prefix: str, is_last: bool
) -> list[str]:
    children = [c for c in shown if c.issuer == one.label and one.is_named]
    stem = prefix + ("└── " if is_last else "├── ")
    below = prefix + ("    " if is_last else "│   ")
    inner = below + ("│   " if children else "    ")
    head, *rest = _facts(environment, one, now)
    lines = [stem + head, *(inner + line for line in rest)]
    for position, child in enumerate(children):
        lines.extend(_branch(environment, child, shown, now, prefix=below, is_last=position == len(children) - 1))
    return lines


def _facts(environment: str, one: ShownAuthority, now: datetime) -> list[str]:
    if one.outside is not None:
        return _outside_facts(one, one.outside)
    observed = one.observed
    title = f"{one.label} (generation {one.generation})"
    if observed is None:
        where = f" (in {one.away})" if one.away else ""
        return [f"{title}  does not exist", f"create it with: pkiops ca apply {environment}{where}"]
    undeclared = "" if one.declared else "  an older generation" if one.is_older else "  not declared in the file"
    why = f": {observed.failure_reason}" if observed.failure_reason else ""
    lines = [one_line(f"{title}  {observed.status.value}{why}{undeclared}")]
    lines.append(one_line(subject_text(observed)))
    lines.append(
        f"{observed.type.value}, {observed.key_algorithm}, {observed.signing_algorithm}, {observed.usage_mode}"
    )
    if observed.not_before and observed.not_after:
        left = (observed.not_after - now).days
        validity = f"valid {observed.not_before:%Y-%m-%d} to {observed.not_after:%Y-%m-%d}"
        lines.append(f"{validity}, {left} days left" if left >= 0 else f"{validity}, expired {-left} days ago")
    lines.append(f"crl {crl_text(observed.crl)}" if observed.crl else "crl none")
    if observed.ocsp:
        lines.append(f"ocsp at {observed.ocsp_host or 'the host of the service'}")
    if one.sha256:
        lines.append(f"sha256 {one.sha256}{_pin_remark(one, one.sha256)}")
    if one.details is not None:
        lines.append(_shared_text(one.details))
    lines.append(observed.reference)
    if one.away is not None or _home_remark(one):
        lines.append(f"in {home_of_reference(observed.reference)}{_home_remark(one)}")
    return lines


def _shared_text(details: Details) -> str:
    statements = (details.policy or {}).get("Statement")
    count = len(statements) if isinstance(statements, list) else 1
    policy = f"of {count} statements" if details.policy is not None else "none"
    return f"policy {policy}, acm permission {', '.join(details.acm_permission) or 'none'}"


def _home_remark(one: ShownAuthority) -> str:
    declared = one.declared.request.home if one.declared else None
    home = home_of_reference(one.observed.reference) if one.observed else None
    return f"  NOT WHERE THE FILE SAYS: {declared}" if home and declared and home != declared else ""


def _pin_remark(one: ShownAuthority, sha256: str) -> str:
    if one.pin is None:
        return ""
    return "  as pinned" if one.pin == sha256 else f"  NOT AS PINNED: the file says {one.pin}"


def _outside_facts(one: ShownAuthority, outside: ShownOutside) -> list[str]:
    lines = [f"{one.label}  kept elsewhere"]
    if outside.declared.subject:
        lines.append(", ".join(f"{attribute_name(oid)}={one_line(value)}" for oid, value in outside.declared.subject))
    if not outside.certificates:
        lines.append("its certificate comes with the first one that it signs for a CA of ours")
    return lines + [f"sha256 {sha256}{_pin_remark(one, sha256)}" for sha256 in outside.certificates]


def as_json(shown: Sequence[ShownAuthority]) -> list[dict[str, Any]]:
    """The authorities as JSON-ready data, in the order shown: issuers first."""
    return [_authority_json(one) for one in shown]


def _home_json(one: ShownAuthority) -> dict[str, Any]:
    """Where the authority is, else where it will be."""
    home = home_of_reference(one.observed.reference) if one.observed else None
    home = home or (one.declared.request.home if one.declared else None)
    return {"account": home.account if home else None, "region": home.region if home else None}


def _authority_json(one: ShownAuthority) -> dict[str, Any]:
    observed = one.observed
    body: dict[str, Any] = {
        "authority": one.label,
        "generation": one.generation,
        "issuer": one.issuer,
        "declared": one.is_named,
        "older_generation": one.is_older,
        "exists": observed is not None or (one.outside is not None and one.sha256 is not None),
        "external": one.outside is not None,
        **_home_json(one),
    }
    if one.outside is not None:
        subject = by_name(one.outside.declared.subject)
        return {**body, "subject": subject, "sha256": one.sha256, "pinned_sha256": one.pin}
    if observed is None:
        return body
    crl = observed.crl
    if one.details is not None:
        body |= {"policy": one.details.policy, "acm_permission": list(one.details.acm_permission)}
    return {
        **body,
        "reference": observed.reference,
        "type": observed.type.value,
        "status": observed.status.value,
        "subject": dict(observed.subject),
        "subject_attributes": [{"oid": oid, "value": value} for oid, value in observed.subject_attributes] or None,
        "key_algorithm": observed.key_algorithm,
        "signing_algorithm": observed.signing_algorithm,
        "usage_mode": observed.usage_mode,
        "created_at": observed.created_at,
        "not_before": observed.not_before,
        "not_after": observed.not_after,
        "sha256": one.sha256,
        "pinned_sha256": one.pin,
        "crl": None
        if crl is None
        else {
            "bucket": crl.bucket,
            "host": crl.host,
            "path": crl.path,
            "validity_days": crl.validity_days,
            "named_in_certificates": crl.named,
            "complete": crl.complete,
        },
        "ocsp": {"enabled": observed.ocsp, "host": observed.ocsp_host},
        "key_storage_security_standard": observed.key_storage_security_standard,
        "failure_reason": observed.failure_reason,
        "tags": dict(observed.tags or {}),
    }
