"""CAs that are kept elsewhere, as they are known: by the chains of our CAs below them.

What this module decides: that such a CA is whatever stands in its place in an installed chain, and that one which the file pins is only the pinned
one. It is never asked for anything; its CRL is brought by a person (``outside_crls.py``). Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509

from pkiops.crl.authorities import KnownAuthority, authority_name
from pkiops.environment.hierarchy import external_places
from pkiops.environment.models import Environment
from pkiops.x509.certificate import fingerprint


@dataclass(frozen=True, slots=True)
class OutsideCa:
    """A CA that is kept elsewhere, with its certificate and those above it (own first, root last); it has one generation."""

    label: str
    chain: tuple[x509.Certificate, ...]
    generation: int = 1

    @property
    def name(self) -> str:
        """``offline-root-g1``: unique in the environment, and safe as a file name."""
        return authority_name(self.label, self.generation)

    @property
    def certificate(self) -> x509.Certificate:
        """Its own certificate."""
        return self.chain[0]

    @property
    def root(self) -> x509.Certificate:
        """The certificate its chain ends in."""
        return self.chain[-1]


# a CA with a certificate that somebody may have to verify, ours or not
CertifiedCa = KnownAuthority | OutsideCa


def outside_cas(environment: Environment, known: Sequence[KnownAuthority]) -> tuple[OutsideCa, ...]:
    """The CAs kept elsewhere above the known ones, roots first; where chains disagree, all they say, but of a pinned CA the pinned one alone."""
    found: dict[tuple[str, str], OutsideCa] = {}
    for one in known:
        for label, place in external_places(environment, one.label, len(one.chain)).items():
            digest = fingerprint(one.chain[place])
            if environment.external_authorities[label].sha256 in {None, digest}:
                found.setdefault((label, digest), OutsideCa(label, one.chain[place:]))
    order = list(environment.external_authorities)
    return tuple(sorted(found.values(), key=lambda one: (len(one.chain), order.index(one.label))))
