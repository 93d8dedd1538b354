"""A mirror of an environment's CAs: the same names, structure and generations over throw-away keys, so that anything can be issued and revoked.

What this module decides: what is mirrored of a CA (subject, place, generation, path length, extended key usage; keys are always P-256, and name
constraints are left out, because they bind who issues and not what a bundle holds), and how a mirror grows: by a chain of three tiers, and by a next
generation of its roots with all that is below. Real bundles and targets are built from it by the code that builds the real ones. Over real CAs
nobody can have an expired or a revoked certificate at will (DESIGN section 8).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from pkiops.crl.authorities import KnownAuthority
from pkiops.crl.check import CheckedCrl, check_crl
from pkiops.crl.outside import CertifiedCa, outside_cas
from pkiops.environment.models import Authority, AuthoritySubject, Environment
from pkiops.errors import InternalError
from pkiops.trust.bundle import TrustBundle, build_bundle
from pkiops.trust.probe import RelyingParty
from pkiops.trust.render import render_target
from pkiops.trust.targets.interface import Target
from pkiops.trust.throw_away import CaShape, ThrowAway, make_ca, make_crl
from pkiops.x509.certificate import extension_of
from pkiops.x509.keys import spki_sha256

Identity = tuple[x509.Name, str]
NEXT = "next generation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """An environment without pins, its CAs, and the keys of them all; ``at`` (aware) is when they are valid."""

    environment: Environment
    authorities: tuple[KnownAuthority, ...]
    made: Mapping[Identity, ThrowAway]
    at: datetime

    def signer(self, certificate: x509.Certificate) -> ThrowAway:
        """A CA of the mirror with its key."""
        return self.made[_identity(certificate)]

    def bundle(self, name: str, revoked: Iterable[x509.Certificate] = ()) -> TrustBundle:
        """The bundle of that name, with CRLs in which ``revoked`` are.

        Raises:
            VerificationFailed: as ``build_bundle``.
        """
        return build_bundle(self.environment, name, self.authorities, self._crls(tuple(revoked)), at=self.at)

    def _crls(self, revoked: Sequence[x509.Certificate]) -> dict[str, CheckedCrl]:
        everyone: list[CertifiedCa] = [*self.authorities, *outside_cas(self.environment, self.authorities)]
        crls: dict[str, CheckedCrl] = {}
        for one in everyone:
            signer = self.signer(one.certificate)
            own = [r for r in revoked if _issued_by(r, signer)]
            crl = make_crl(signer, own, self.at)
            crls[one.name] = check_crl(crl, one.certificate, f"the CRL of {one.name}", at=self.at)
        return crls


def mirror_of(environment: Environment, authorities: Sequence[KnownAuthority], at: datetime) -> Mirror:
    """The mirror of the CAs as they are.

    Args:
        environment: the environment file.
        authorities: its CAs with their chains.
        at: the moment (aware) at which everything in the mirror is valid.
    """
    twins: dict[Identity, ThrowAway] = {}
    mirrored = tuple(replace(one, chain=_chain(one.chain, twins, at)) for one in authorities)
    ours = {label: replace(one, sha256=None) for label, one in environment.authorities.items()}
    outside = {label: replace(one, sha256=None) for label, one in environment.external_authorities.items()}
    unpinned = replace(environment, authorities=ours, external_authorities=outside)
    return Mirror(environment=unpinned, authorities=mirrored, made=_by_identity(twins.values()), at=at)


def with_three_tiers(mirror: Mirror, anchor: CertifiedCa) -> tuple[Mirror, KnownAuthority]:
    """The mirror with a policy CA below a root and an issuing CA below that; and the issuing CA."""
    model = mirror.authorities[0]
    policy, issuing = _free_label(mirror, "mirror-policy"), _free_label(mirror, "mirror-issuing")
    above = mirror.signer(anchor.certificate)
    upper = make_ca(CaShape(subject=_named(policy), path_length=1), above, mirror.at)
    lower = make_ca(CaShape(subject=_named(issuing), path_length=0), upper, mirror.at)
    declared = mirror.environment.authorities[model.label]

    def below(issuer: str, length: int) -> Authority:
        subject = AuthoritySubject(common_name="pkiops mirror")
        return replace(declared, subject=subject, issuer=issuer, generation=1, path_length=length, arn=None)

    labels = {policy: below(anchor.label, 1), issuing: below(policy, 0)}
    environment = replace(mirror.environment, authorities={**mirror.environment.authorities, **labels})
    chain = (upper.certificate, *anchor.chain)
    new = (
        replace(model, label=policy, generation=1, chain=chain),
        replace(model, label=issuing, generation=1, chain=(lower.certificate, *chain)),
    )
    made = {**mirror.made, **_by_identity((upper, lower))}
    grown = replace(mirror, environment=environment, authorities=(*mirror.authorities, *new), made=made)
    return grown, new[1]


@dataclass(frozen=True, slots=True)
class Rollover:
    """A mirror in which the roots of a bundle have a next generation, with all that is below: while both are trusted, and after the old one left."""

    during: Mirror
    after: Mirror
    old: KnownAuthority
    new: KnownAuthority


def rollover(mirror: Mirror, anchors: Sequence[str], issuer: KnownAuthority) -> Rollover:
    """Renew the present generation of the roots named ``anchors``, which are ours, and everything that is below it.

    Args:
        mirror: as it is.
        anchors: labels of the roots.
        issuer: a CA below one of them; of it and of its successor clients may be had.
    """
    declared = dict(mirror.environment.authorities)
    now = [one for one in mirror.authorities if one.generation == declared[one.label].generation]
    roots = {_identity(one.certificate) for one in now if one.label in anchors}
    below = [one for one in mirror.authorities if _identity(one.root) in roots]
    twins: dict[Identity, ThrowAway] = {}
    # several generations may be below one root: each gets a number that none has
    renewed = tuple(
        replace(
            one,
            generation=declared[one.label].generation + one.generation,
            chain=_chain(one.chain, twins, mirror.at, suffix=NEXT),
        )
        for one in below
    )
    for label in {one.label for one in below}:
        declared[label] = replace(declared[label], generation=2 * declared[label].generation)
    environment = replace(mirror.environment, authorities=declared)
    everything = {**mirror.made, **_by_identity(twins.values())}
    others = tuple(one for one in mirror.authorities if _identity(one.root) not in roots)
    during = replace(mirror, environment=environment, authorities=(*mirror.authorities, *renewed), made=everything)
    after = replace(during, authorities=(*others, *renewed))
    for old, new in zip(below, renewed, strict=True):
        if old == issuer:
            return Rollover(during, after, old, new)
    raise InternalError(f"{issuer.name} is not below the roots that are renewed")


def relying_party(bundle: TrustBundle, target_name: str, target: Target, location: str) -> RelyingParty:
    """What a server would load of a bundle, rendered for it.

    Raises:
        VerificationFailed: the target cannot hold the bundle.
        InputError: it cannot be configured with this location.
    """
    files = {file.path: file.data for file in render_target(bundle, target_name, target, location)}
    trusted = tuple(files[name] for name in target.trusted_files if name in files)
    return RelyingParty(trusted, files.get(target.crl_file or ""), bundle.revocation)


def _chain(
    chain: Sequence[x509.Certificate], twins: dict[Identity, ThrowAway], at: datetime, *, suffix: str | None = None
) -> tuple[x509.Certificate, ...]:
    """The mirror of a chain; what is above several CAs is made once: ``twins`` are the mirrored CAs by what they mirror."""
    above: ThrowAway | None = None
    found: list[x509.Certificate] = []
    for certificate in reversed(chain):
        key = _identity(certificate)
        twin = twins.get(key)
        if twin is None:
            twin = make_ca(_shape(certificate, suffix), above, at)
            twins[key] = twin
        found.insert(0, twin.certificate)
        above = twin
    return tuple(found)


def _by_identity(made: Iterable[ThrowAway]) -> dict[Identity, ThrowAway]:
    return {_identity(one.certificate): one for one in made}


def _shape(certificate: x509.Certificate, suffix: str | None) -> CaShape:
    constraints = extension_of(certificate, x509.BasicConstraints)
    subject = certificate.subject
    if suffix is not None:
        unit = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, suffix)
        subject = x509.Name([*subject.rdns, x509.RelativeDistinguishedName([unit])])
    return CaShape(
        subject=subject,
        path_length=constraints.path_length if constraints is not None else None,
        usages=extension_of(certificate, x509.ExtendedKeyUsage),
    )


def _identity(certificate: x509.Certificate) -> Identity:
    return certificate.subject, spki_sha256(certificate.public_key())


def _issued_by(certificate: x509.Certificate, issuer: ThrowAway) -> bool:
    key = extension_of(certificate, x509.AuthorityKeyIdentifier)
    own = x509.SubjectKeyIdentifier.from_public_key(issuer.key.public_key()).digest
    return key is not None and key.key_identifier == own


def _free_label(mirror: Mirror, wanted: str) -> str:
    taken = {*mirror.environment.authorities, *mirror.environment.external_authorities}
    label = wanted
    while label in taken:
        label += "-x"
    return label


def _named(label: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"pkiops {label}")])
