"""What a target is: data about a relying party, and a pure function from a bundle to its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pkiops.environment.models import Revocation
from pkiops.trust.bundle import TrustBundle


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """One file; ``path`` is relative to the target's folder, made of names that pkiops chose."""

    path: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A kind of relying party.

    ``render`` takes the bundle and the folder in which its files will be found on the relying party's machine, and
    returns the same bytes for the same input. ``trusted_files`` are those of its files whose certificates the relying
    party uses to build chains (the first one always exists); ``crl_file`` is the one it takes CRLs from, there unless
    the bundle has none; None if it checks none. ``revocations`` are the ways of checking that it has. ``check_command`` is
    argv of a check over its folder, which runs only if that is allowed (``own_check.py``).
    """

    kind: str
    render: Callable[[TrustBundle, str], tuple[RenderedFile, ...]]
    trusted_files: tuple[str, ...]
    crl_file: str | None
    revocations: frozenset[Revocation]
    check_command: tuple[str, ...] = ()
