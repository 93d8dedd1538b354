"""The names of CAs that a server advertises, held against those of a bundle.

What this module decides: whose each name is, and which the server ought to advertise but does not. Pure. Names are all that there is to compare: a
CA of the same name with another key looks the same. A server without a list lets clients choose freely, so that nothing is missing in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pkiops.crl.authorities import KnownAuthority
from pkiops.environment.models import Environment
from pkiops.errors import InputError
from pkiops.trust.bundle import Role, declared_bundle, select_authorities
from pkiops.trust.certificate_request import AdvertisedName, advertised_name


@dataclass(frozen=True, slots=True)
class OurName:
    """The name of a CA of ours. ``authority`` is ``root-g1``."""

    authority: str
    role: Role
    name: AdvertisedName


@dataclass(frozen=True, slots=True)
class JudgedName:
    """An advertised name, and the CAs of ours that have it: none if it is foreign."""

    name: AdvertisedName
    ours: tuple[OurName, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is advertised, in the server's order, and the anchors that are not."""

    names: tuple[JudgedName, ...]
    missing: tuple[OurName, ...]

    @property
    def foreign(self) -> tuple[AdvertisedName, ...]:
        """What is advertised and not ours."""
        return tuple(one.name for one in self.names if not one.ours)


def bundle_to_compare(environment: Environment, name: str | None) -> str:
    """The name of the bundle that is meant: the only one, unless named.

    Raises:
        InputError: there is no such bundle, or several and none was named.
    """
    names = list(environment.trust.bundles)
    if name is None and len(names) == 1:
        return names[0]
    if name is None and names:
        raise InputError(
            f"environment {environment.environment} declares several bundles",
            hint=f"say which with --bundle: {', '.join(names)}",
            code="trust.bundle",
        )
    declared_bundle(environment, name or "")
    return name or ""


def our_names(environment: Environment, bundle: str, authorities: Sequence[KnownAuthority]) -> tuple[OurName, ...]:
    """The anchors of a bundle, every living generation, and the CAs below them.

    Raises:
        InputError: there is no such bundle.
    """
    anchors, below = select_authorities(environment, declared_bundle(environment, bundle), authorities)
    return tuple(
        OurName(one.name, role, advertised_name(one.certificate.subject.public_bytes()))
        for role, some in ((Role.ANCHOR, anchors), (Role.INTERMEDIATE, below))
        for one in some
    )


def compare(advertised: Sequence[AdvertisedName], ours: Sequence[OurName]) -> Comparison:
    """Whose names are advertised, and which anchors are not."""
    seen = {one.key for one in advertised}
    return Comparison(
        tuple(JudgedName(one, tuple(own for own in ours if own.name.key == one.key)) for one in advertised),
        tuple(own for own in ours if own.role is Role.ANCHOR and own.name.key not in seen) if advertised else (),
    )
