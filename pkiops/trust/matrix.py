"""The matrix of clients that ought to get in or not, knocked through in memory over a bundle that is rendered from a mirror of the environment.

What this module decides: the cases, and what is right for each under the bundle's way of checking revocation. As it is: a good client of every
issuing CA, nobody, strangers, and whatever can be wrong with a certificate. Grown: a revoked issuing CA, three tiers, a rollover of the roots. A
relying party that cannot hold a grown bundle within its limits is not tried with it, and that is said; one that cannot hold the mirror as it is
fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509

from pkiops.crl.authorities import KnownAuthority
from pkiops.crl.outside import CertifiedCa
from pkiops.environment.hierarchy import is_external, root_of
from pkiops.environment.models import Environment, Revocation
from pkiops.errors import InputError, VerificationFailed
from pkiops.trust.bundle import TrustBundle, revocation_authorities, select_authorities
from pkiops.trust.mirror import Mirror, mirror_of, relying_party, rollover, with_three_tiers
from pkiops.trust.probe import Probe, ProbeResult, RelyingParty, knock
from pkiops.trust.targets.interface import Target
from pkiops.trust.throw_away import (
    CLIENT,
    LIFE,
    SERVER,
    CaShape,
    ThrowAway,
    make_ca,
    make_end_entity,
    write_identity,
)
from pkiops.x509.certificate import extended_key_usage_of, extension_of
from pkiops.x509.names import build_name

TOO_LARGE = "trust.limit"
# of one that needs every issuing CA listed: the only one is revoked, and so in no bundle
NOBODY_LEFT = "trust.intermediates"


@dataclass(frozen=True, slots=True)
class Untried:
    """A case that could not be tried; ``excused`` if that is in the nature of the relying party or of the hierarchy."""

    name: str
    reason: str
    excused: bool


@dataclass(frozen=True, slots=True)
class Matrix:
    """What came of every case, over each version of TLS."""

    results: tuple[ProbeResult, ...]
    untried: tuple[Untried, ...]

    @property
    def wrong(self) -> int:
        """How many of them are not as they should be."""
        return sum(not one.as_expected for one in self.results) + sum(not one.excused for one in self.untried)


@dataclass(frozen=True, slots=True)
class _Client:
    """Somebody who knocks: certificates to send (none: no certificate), and whether they ought to get in."""

    name: str
    chain: tuple[ThrowAway, ...]
    accepted: bool


@dataclass(frozen=True, slots=True)
class _Scenario:
    """A mirror in one state, and who knocks at the bundle made from it."""

    mirror: Mirror
    clients: tuple[_Client, ...]
    revoked: tuple[x509.Certificate, ...] = ()
    grown: bool = True


@dataclass(slots=True)
class MatrixOfBundle:
    """The cases of one bundle; made once, and tried over each of its targets.

    Args:
        environment: the environment file.
        bundle: which of its bundles.
        authorities: its CAs that count for that bundle.
        at: now, by the clock of this machine (aware), because OpenSSL judges by no other.
        folder: where the keys go, until the caller removes it; nobody else may read it.
    """

    environment: Environment
    bundle: str
    authorities: Sequence[KnownAuthority]
    at: datetime
    folder: Path
    _scenarios: list[_Scenario] = field(default_factory=list, init=False)
    _excused: list[Untried] = field(default_factory=list, init=False)
    _bundles: dict[int, TrustBundle] = field(default_factory=dict, init=False)
    _tried: dict[tuple[int, RelyingParty], tuple[ProbeResult, ...]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for one in self._made():
            if isinstance(one, Untried):
                self._excused.append(one)
            else:
                self._scenarios.append(one)

    def try_target(self, name: str, target: Target, location: str) -> Matrix:
        """Knock with every client at a relying party that loads what is rendered for this target.

        Args:
            name: of the target in the environment file.
            target: its kind.
            location: the folder that is written into its configuration.

        Raises:
            VerificationFailed: OpenSSL cannot load the files.
        """
        results: list[ProbeResult] = []
        untried = list(self._excused)
        for number, scenario in enumerate(self._scenarios):
            try:
                if number not in self._bundles:  # once: the next CRLs would have other signatures
                    self._bundles[number] = scenario.mirror.bundle(self.bundle, scenario.revoked)
                party = relying_party(self._bundles[number], name, target, location)
            except (VerificationFailed, InputError) as error:
                excused = scenario.grown and error.code in {TOO_LARGE, *((NOBODY_LEFT,) if scenario.revoked else ())}
                untried.extend(Untried(client.name, error.message, excused) for client in scenario.clients)
                continue
            key = (number, party)
            if key not in self._tried:  # many targets load the same bytes
                self._tried[key] = knock(party, [self._probe(client) for client in scenario.clients], self.folder)
            results.extend(self._tried[key])
        return Matrix(tuple(results), tuple(untried))

    def _probe(self, client: _Client) -> Probe:
        if not client.chain:
            return Probe(client.name, None, client.accepted)
        file = client.name.replace(" ", "-").replace(",", "")
        return Probe(client.name, write_identity(self.folder, file, client.chain), client.accepted)

    def _made(self) -> Iterator[_Scenario | Untried]:
        mirror = mirror_of(self.environment, self.authorities, self.at)
        declared = mirror.environment.trust.bundles[self.bundle]
        anchors, below = select_authorities(mirror.environment, declared, mirror.authorities)
        everyone = revocation_authorities(mirror.environment, Revocation.LEAF, anchors, below)
        known = [one for one in everyone if isinstance(one, KnownAuthority)]
        # a new root without a CA below it issues to nobody, unless nobody else does
        issuers = [one for one in known if len(one.chain) > 1] or known
        if not issuers:
            yield Untried("every case", "no CA of the bundle issues to clients yet", excused=True)
            return
        issuers.sort(key=lambda one: not _for_clients(one))
        yield _as_it_is(self, mirror, issuers, declared.revocation)
        yield from _revoked_issuer(mirror, issuers, declared.revocation)
        yield _three_tiers(mirror, anchors, issuers)
        yield from _rollover(mirror, declared.anchors, issuers)


def _as_it_is(
    matrix: MatrixOfBundle, mirror: Mirror, issuers: Sequence[KnownAuthority], revocation: Revocation
) -> _Scenario:
    first, at = issuers[0], mirror.at
    fine = _for_clients(first)
    elsewhere = mirror_of(matrix.environment, matrix.authorities, at)
    stranger = make_ca(CaShape(subject=build_name({"common_name": "pkiops throw-away stranger CA"})), None, at)
    twin = next(a for a in elsewhere.authorities if a.name == first.name)
    revoked = _client(mirror, first, "revoked", fine and revocation is Revocation.NONE)
    clients = (
        _Client("no certificate", (), accepted=False),
        *(_client(mirror, one, f"good, of {one.name}", _for_clients(one)) for one in issuers),
        _client(mirror, first, "expired", False, not_before=at - 2 * LIFE),
        _client(mirror, first, "not yet valid", False, not_before=at + LIFE),
        revoked,
        _client(mirror, first, "serverAuth only", False, usages=SERVER),
        _client(mirror, first, "no EKU", fine, usages=()),
        _client(elsewhere, twin, "other environment", False),
        _Client("unknown CA", (make_end_entity("unknown CA", stranger, _since(at)), stranger), accepted=False),
        _Client("self-signed", (make_end_entity("self-signed", None, _since(at)),), accepted=False),
        *_neighbours(mirror, first, revocation),
    )
    return _Scenario(mirror, clients, (revoked.chain[0].certificate,), grown=False)


def _neighbours(mirror: Mirror, first: KnownAuthority, revocation: Revocation) -> Iterator[_Client]:
    """Where a root is kept elsewhere: a client of somebody else's CA below it. TLS keeps it out only by the CRL that its CA does not have here."""
    if is_external(mirror.environment, root_of(mirror.environment, first.label)):
        above = mirror.signer(first.root)
        shape = CaShape(subject=build_name({"common_name": "pkiops throw-away neighbour CA"}), path_length=0)
        neighbour = make_ca(shape, above, mirror.at)
        client = make_end_entity("neighbour", neighbour, _since(mirror.at))
        name = "neighbour below the shared root"
        yield _Client(name, (client, neighbour), accepted=revocation is Revocation.NONE)


def _revoked_issuer(
    mirror: Mirror, issuers: Sequence[KnownAuthority], revocation: Revocation
) -> Iterator[_Scenario | Untried]:
    name = "revoked issuer"
    first = issuers[0]
    if len(first.chain) < 2:
        yield Untried(name, f"{first.name} is a root and issues itself", excused=True)
        return
    client = _client(mirror, first, name, _for_clients(first) and revocation is not Revocation.CHAIN)
    yield _Scenario(mirror, (client,), (first.certificate,))


def _three_tiers(mirror: Mirror, anchors: Sequence[CertifiedCa], issuers: Sequence[KnownAuthority]) -> _Scenario:
    name = "three tiers"
    for one in issuers:
        if len(one.chain) > 2 and _for_clients(one):
            return _Scenario(mirror, (_client(mirror, one, name, True),))
    root = next((one for one in anchors if _depth(one) is None or (_depth(one) or 0) > 1), anchors[0])
    grown, deep = with_three_tiers(mirror, root)
    length = _depth(root)
    return _Scenario(grown, (_client(grown, deep, name, (length is None or length > 1) and _for_clients(deep)),))


def _rollover(
    mirror: Mirror, labels: Sequence[str], issuers: Sequence[KnownAuthority]
) -> Iterator[_Scenario | Untried]:
    ours = mirror.environment.authorities
    now = [one for one in mirror.authorities if one.generation == ours[one.label].generation]
    roots = [one.certificate for one in now if one.label in labels]
    below = [one for one in issuers if one.root in roots]
    if not below:
        under_way = "a rollover is under way: its cases are the good clients of both generations"
        kept = "its roots are kept elsewhere: who keeps them renews them"
        yield Untried("old and new root", under_way if roots else kept, excused=True)
        return
    turned = rollover(mirror, labels, below[0])
    fine = _for_clients(below[0])
    before, after = turned.during, turned.after

    def client(issuer: KnownAuthority, name: str, accepted: bool) -> _Client:
        return _client(before, issuer, name, accepted)

    both = "both in the bundle"
    yield _Scenario(
        before, (client(turned.old, f"old root, {both}", fine), client(turned.new, f"new root, {both}", fine))
    )
    alone = (client(turned.old, "old root, no longer in it", False), client(turned.new, "new root, alone in it", fine))
    yield _Scenario(after, alone)


def _client(
    mirror: Mirror,
    issuer: CertifiedCa,
    name: str,
    accepted: bool,
    *,
    not_before: datetime | None = None,
    usages: Sequence[x509.ObjectIdentifier] = CLIENT,
) -> _Client:
    signer = mirror.signer(issuer.certificate)
    own = make_end_entity(name, signer, not_before or _since(mirror.at), usages)
    above = issuer.chain[:-1] if len(issuer.chain) > 1 else ()
    return _Client(name, (own, *(mirror.signer(one) for one in above)), accepted)


def _since(at: datetime) -> datetime:
    return at - LIFE / 2


def _for_clients(authority: CertifiedCa) -> bool:
    """Whether OpenSSL accepts clients of a CA, as far as the extended key usage of its chain goes."""
    usages = [extended_key_usage_of(one) for one in authority.chain]
    return all(one is None or "clientAuth" in one for one in usages)


def _depth(authority: CertifiedCa) -> int | None:
    constraints = extension_of(authority.certificate, x509.BasicConstraints)
    return constraints.path_length if constraints is not None else None
