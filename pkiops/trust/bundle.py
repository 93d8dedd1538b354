"""Which anchors, intermediates and CRLs a relying party gets: decided once, for every kind of software.

What this module decides: the contents of a bundle, and that one which would let the wrong clients in, or lock all of
them out, is refused. Pure: the environment, the CAs as they are and the published CRLs come in, frozen data goes out.
How it is written down is the business of ``targets/``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from cryptography import x509

from pkiops.crl.authorities import KnownAuthority
from pkiops.crl.check import MIN_REMAINING, CheckedCrl, check_crl
from pkiops.crl.outside import CertifiedCa, OutsideCa, outside_cas
from pkiops.crl.parts import is_in_parts
from pkiops.environment.hierarchy import declaration, is_external, issuers
from pkiops.environment.models import Bundle, Environment, Revocation
from pkiops.errors import InputError, VerificationFailed
from pkiops.trust.rules import (
    Identity,
    identity_of,
    is_for_clients,
    require_anchor,
    require_ca,
    require_distinct,
    require_key_identifiers,
    require_usable,
    require_whole_chains,
)
from pkiops.x509.certificate import fingerprint
from pkiops.x509.names import rfc4514
from pkiops.x509.revoked import revoked_entry


class Role(StrEnum):
    """What a certificate is in a bundle for."""

    ANCHOR = "anchor"
    INTERMEDIATE = "intermediate"


@dataclass(frozen=True, slots=True)
class BundleCertificate:
    """A CA certificate of a bundle; ``name`` is ``root-g1``, ``pinned`` whether the environment file holds its fingerprint."""

    name: str
    role: Role
    certificate: x509.Certificate
    pinned: bool


@dataclass(frozen=True, slots=True)
class BundleCrl:
    """The CRL of one CA of a bundle."""

    name: str
    checked: CheckedCrl = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustBundle:
    """What a relying party gets.

    ``intermediates`` is empty unless the environment file wants them included. ``intermediate_depth`` is the number of CAs between an anchor and an
    end entity in the longest chain, as declared or as it exists; each target counts in its own way from there. ``shared_root``: an anchor is kept
    elsewhere, and others may have CAs below it too; ``issuers`` are those whose clients are meant. ``members`` are the anchors and all CAs
    below them, ``left_out`` those that are no intermediates of it because they are revoked or are not for clients.
    """

    environment: str
    name: str
    revocation: Revocation
    anchors: tuple[BundleCertificate, ...]
    intermediates: tuple[BundleCertificate, ...]
    crls: tuple[BundleCrl, ...]
    intermediate_depth: int
    issuers: tuple[BundleCertificate, ...] = ()
    shared_root: bool = False
    members: tuple[BundleCertificate, ...] = ()
    left_out: tuple[BundleCertificate, ...] = ()

    @property
    def certificates(self) -> tuple[BundleCertificate, ...]:
        """Anchors, then intermediates."""
        return (*self.anchors, *self.intermediates)


def declared_bundle(environment: Environment, name: str) -> Bundle:
    """The bundle of that name.

    Raises:
        InputError: the environment declares no such bundle.
    """
    found = environment.trust.bundles.get(name)
    if found is None:
        known = ", ".join(environment.trust.bundles) or "none"
        raise InputError(
            f"environment {environment.environment} declares no bundle {name!r}",
            hint=f"bundles of its file: {known}",
            code="trust.bundle",
        )
    return found


def build_bundle(
    environment: Environment,
    name: str,
    authorities: Sequence[KnownAuthority],
    crls: Mapping[str, CheckedCrl],
    *,
    at: datetime,
    margin: timedelta = MIN_REMAINING,
) -> TrustBundle:
    """Put a bundle together.

    Args:
        environment: the environment; its pins (``sha256``) bind.
        name: which of its bundles.
        authorities: the CAs that exist.
        crls: their CRLs by name (``clients-g1``); those of other CAs do not matter.
        at: the moment (aware) at which everything must be valid.
        margin: how long the CRLs must stay so.

    Raises:
        VerificationFailed: an anchor is missing, expired, no root or not the pinned one; a certificate is no CA, expired or
            there twice (``rules.py``); a CRL that the bundle needs is missing, expired, or not of its CA.
    """
    declared = declared_bundle(environment, name)
    where = f"bundle {environment.environment}/{name}"
    anchors, below = select_authorities(environment, declared, authorities)
    _require_anchors(environment, declared, anchors, where)
    everyone = [*anchors, *below]
    for one in everyone:
        require_ca(one, where, at)
        _require_pin(environment, one)
        require_usable(one, where)
    for anchor in anchors:
        require_anchor(anchor, where)
    require_distinct(everyone, where)
    require_key_identifiers(everyone, where)
    if declared.revocation is Revocation.CHAIN or declared.include_intermediates:
        require_whole_chains(everyone, where)
    included = _included(below, everyone, crls) if declared.include_intermediates else []
    return TrustBundle(
        environment=environment.environment,
        name=name,
        revocation=declared.revocation,
        anchors=_certificates(environment, anchors, Role.ANCHOR),
        intermediates=_certificates(environment, included, Role.INTERMEDIATE),
        crls=_crls(revocation_authorities(environment, declared.revocation, anchors, below), crls, where, at, margin),
        intermediate_depth=_depth(environment, declared, below),
        issuers=_certificates(
            environment, revocation_authorities(environment, Revocation.LEAF, anchors, below), Role.INTERMEDIATE
        ),
        shared_root=any(is_external(environment, anchor.label) for anchor in anchors),
        members=(
            *_certificates(environment, anchors, Role.ANCHOR),
            *_certificates(environment, below, Role.INTERMEDIATE),
        ),
        left_out=_certificates(environment, [one for one in below if one not in included], Role.INTERMEDIATE)
        if declared.include_intermediates
        else (),
    )


def select_authorities(
    environment: Environment, declared: Bundle, authorities: Sequence[KnownAuthority]
) -> tuple[list[CertifiedCa], list[CertifiedCa]]:
    """The anchors of a bundle (older generations that still live too), and every CA whose chain ends in one of them.

    Those that are kept elsewhere are found in the chains of ours; of one that was renewed with its key, the newest certificate stands for all.
    """
    everyone: list[CertifiedCa] = [*authorities, *_newest(outside_cas(environment, authorities))]
    anchors = [a for a in everyone if a.label in declared.anchors]
    roots = {identity_of(anchor.certificate) for anchor in anchors}
    return anchors, [a for a in everyone if a not in anchors and identity_of(a.root) in roots]


def _newest(outside: Sequence[OutsideCa]) -> list[OutsideCa]:
    newest: dict[tuple[str, Identity], OutsideCa] = {}
    for one in sorted(outside, key=_order, reverse=True):
        newest[one.label, identity_of(one.certificate)] = one
    return [one for one in outside if one in newest.values()]


def _require_anchors(environment: Environment, declared: Bundle, anchors: Sequence[CertifiedCa], where: str) -> None:
    found = {(anchor.label, anchor.generation) for anchor in anchors}
    for label in declared.anchors:
        generation = _generation(environment, label)
        if (label, generation) not in found:
            raise VerificationFailed(
                f"{where}: anchor {label} generation {generation} does not exist, has no certificate, or has expired",
                hint=f"pkiops ca show {environment.environment}",
                code="trust.anchor-missing",
            )


def _require_pin(environment: Environment, authority: CertifiedCa) -> None:
    if not is_pinned(environment, authority):
        return
    pin = declaration(environment, authority.label).sha256
    found = fingerprint(authority.certificate)
    if found != pin:
        raise VerificationFailed(
            f"{environment.environment}/ca/{authority.name} has the fingerprint {found}, but the environment file pins {pin}",
            hint="somebody has replaced the CA, or the pin is wrong: find out before anybody trusts it",
            code="trust.pin",
            details={"pinned": pin, "found": found},
        )


def is_pinned(environment: Environment, authority: CertifiedCa) -> bool:
    """Whether the environment file holds the fingerprint of this generation."""
    pin = declaration(environment, authority.label).sha256
    return pin is not None and authority.generation == _generation(environment, authority.label)


def _generation(environment: Environment, label: str) -> int:
    """The generation that the file declares; a CA that is kept elsewhere has one."""
    return 1 if is_external(environment, label) else environment.authorities[label].generation


def _order(authority: CertifiedCa) -> tuple[int, str, float, str]:
    """Upper CAs first, the same subject newest first (BoringSSL takes the first that fits), then by fingerprint."""
    certificate = authority.certificate
    newest_first = -certificate.not_valid_before_utc.timestamp()
    return len(authority.chain), rfc4514(certificate.subject), newest_first, fingerprint(certificate)


def _certificates(
    environment: Environment, authorities: Sequence[CertifiedCa], role: Role
) -> tuple[BundleCertificate, ...]:
    ordered = sorted(authorities, key=_order)
    return tuple(BundleCertificate(a.name, role, a.certificate, is_pinned(environment, a)) for a in ordered)


def _included(
    below: Sequence[CertifiedCa], authorities: Sequence[CertifiedCa], crls: Mapping[str, CheckedCrl]
) -> list[CertifiedCa]:
    """Those CAs that may issue to clients and of which nothing up to the root is revoked: some software trusts every listed CA by itself and looks
    neither further up nor at its usage.
    """
    names = {identity_of(a.certificate): a.name for a in authorities}

    def is_revoked(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        crl = crls.get(names.get(identity_of(issuer), ""))
        return crl is not None and revoked_entry(crl.crl, certificate.serial_number) is not None

    return [
        one
        for one in below
        if is_for_clients(one.certificate) and not any(is_revoked(own, above) for own, above in pairwise(one.chain))
    ]


def revocation_authorities(
    environment: Environment, revocation: Revocation, anchors: Sequence[CertifiedCa], below: Sequence[CertifiedCa]
) -> list[CertifiedCa]:
    """The CAs whose CRLs belong into the bundle.

    Relying parties that look at the chain need every one of them. For those that look at the end entity only: every CA
    that a profile names, and every CA without another below it.
    """
    everyone = [*anchors, *below]
    if revocation is Revocation.NONE:
        return []
    if revocation is Revocation.CHAIN:
        return everyone
    named = {profile.authority for profile in environment.profiles.values()}
    issuers = {identity_of(a.chain[1]) for a in everyone if len(a.chain) > 1}
    return [a for a in everyone if a.label in named or identity_of(a.certificate) not in issuers]


def _crls(
    authorities: Sequence[CertifiedCa], crls: Mapping[str, CheckedCrl], where: str, at: datetime, margin: timedelta
) -> tuple[BundleCrl, ...]:
    found: list[BundleCrl] = []
    for authority in sorted(authorities, key=_order):
        crl = crls.get(authority.name)
        if crl is None and isinstance(authority, KnownAuthority) and is_in_parts(authority):
            raise VerificationFailed(
                f"{where}: the CRL of {authority.name} is in parts, which servers that load CRLs from files cannot be relied on to find",
                hint="write type: COMPLETE at crl of that authority, apply, and publish again; or revocation: none at the bundle",
                code="trust.crl-in-parts",
            )
        if crl is None:
            raise VerificationFailed(
                f"{where}: there is no CRL of {authority.name}; relying parties would refuse every client below it",
                hint=_publish_hint(authority),
                code="trust.crl-missing",
            )
        name = f"{where}: the CRL of {authority.name}"
        checked = check_crl(crl.crl, authority.certificate, name, at=at, margin=margin, der=crl.der)
        found.append(BundleCrl(authority.name, checked))
    return tuple(found)


def _publish_hint(authority: CertifiedCa) -> str:
    if isinstance(authority, OutsideCa):
        return f"{authority.label} is kept elsewhere: publish its CRL with the others (pkiops crl publish --external-crl FILE), then render again"
    return "publish a complete set (pkiops crl publish), then render again"


def _depth(environment: Environment, declared: Bundle, below: Sequence[CertifiedCa]) -> int:
    """CAs between anchor and end entity; what is declared but not there yet counts, so that it needs no new configuration."""
    depth = max((len(a.chain) - 1 for a in below), default=0)
    parents = issuers(environment)
    for label in environment.authorities:
        steps, issuer = 0, label
        while issuer not in declared.anchors and (above := parents[issuer]) is not None:
            steps, issuer = steps + 1, above
        if issuer in declared.anchors:
            depth = max(depth, steps)
    return depth
