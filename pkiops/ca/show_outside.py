"""CAs that are kept elsewhere, where the hierarchy is shown: declared above ours, with the certificates that stand in their places. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pkiops.backends.identity import Identities
from pkiops.backends.interface import ObservedAuthority
from pkiops.ca.desired import Desired, OutsideAuthority


@dataclass(frozen=True, slots=True)
class ShownOutside:
    """One of them: who the file says it is, its issuer's label, and the SHA-256 of each certificate that stands in its place, a pinned one first."""

    declared: OutsideAuthority
    issuer: str | None
    certificates: tuple[str, ...]


def shown_outside(
    desired: Desired, observed: Iterable[ObservedAuthority], fingerprints: Mapping[str, tuple[str, ...]]
) -> Iterator[ShownOutside]:
    """Those above the declared authorities, roots first.

    Args:
        desired: what is declared.
        observed: what exists.
        fingerprints: by reference those of each CA's certificate and of those above it.
    """
    declared: dict[str, tuple[OutsideAuthority, str | None]] = {}
    seen: dict[str, dict[str, None]] = {}
    identities = Identities(observed, desired.environment)
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
        certificates = sorted(seen.get(label, {}), key=outside.sha256.__ne__ if outside.sha256 else None)
        yield ShownOutside(outside, issuer, tuple(certificates))
