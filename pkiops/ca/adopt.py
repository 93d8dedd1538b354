"""Adopting a CA that exists: checked against the file, then tagged as the authority that the file declares.

What this module decides: that nothing is tagged unless subject, key, certificate and issuer are those of the file, that nobody else's tags are taken
away, and that no second CA gets an identity. What the service can change (CRL settings, tags) is left to the next ``ca apply``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.backends.identity import IDENTITY_TAGS, Identities
from pkiops.backends.interface import ObservedAuthority, ReadsAuthorities
from pkiops.ca.desired import DesiredAuthority
from pkiops.ca.details import Details, certificate_facts
from pkiops.ca.drift import certificate_changes, immutable_changes
from pkiops.ca.index import IndexPublisher
from pkiops.ca.pinned import NOT_ADOPTABLE, others_tags
from pkiops.ca.settle import settled
from pkiops.environment.homes import home_of
from pkiops.environment.models import Environment
from pkiops.errors import GuardRefused, InvalidState, NotFound
from pkiops.plan import Action, ActionKind, Change, Plan, run_plan
from pkiops.progress import Progress
from pkiops.x509.certificate import fingerprint, load_certificate
from pkiops.x509.chain import verify_ca_chain
from pkiops.x509.present import is_same_authority


class AdoptingBackend(ReadsAuthorities, Protocol):
    """What adopting needs of a backend."""

    def tag_authority(self, reference: str, tags: Mapping[str, str]) -> None:
        """Set tags; others stay."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """The use case.

    Args:
        environment: the environment.
        wanted: the authority as the file declares it.
        backend: the certificate authorities.
        index: publishes what exists when it is done.
    """

    environment: Environment
    wanted: DesiredAuthority
    backend: AdoptingBackend
    index: IndexPublisher

    def plan(self, reference: str) -> Plan:
        """Check a CA against the file; the plan has one action, or none if it carries the tags already.

        Raises:
            NotFound: there is no such CA in the account and region.
            InvalidState: it is in no state to be adopted.
            GuardRefused: it is not what the file declares, or somebody else's; or the authority exists already.
        """
        listed = self.backend.list_authorities()
        observed = settled([replace(self.wanted, arn=reference)], self.backend, listed, exact=True)
        found = next((one for one in observed if one.reference == reference), None)
        where = f"{self.environment.environment}/ca/{self.wanted.label}"
        if found is None:
            raise NotFound(
                f"there is no CA {reference} in {home_of(self.environment, self.wanted.label)}",
                hint="aws acm-pca list-certificate-authorities shows those that exist",
                code="ca.not-found",
            )
        if found.status in NOT_ADOPTABLE:
            raise InvalidState(f"{reference} is {found.status.value}: it cannot be adopted", code="ca.not-adoptable")
        existing = Identities(observed, self.environment.environment).find(self.wanted.label, self.wanted.generation)
        if existing is not None and existing.reference == reference:
            return Plan(
                self.environment.environment, (Action(ActionKind.NO_OP, where, f"{reference} is adopted already"),)
            )
        if existing is not None:
            raise GuardRefused(
                f"{where} generation {self.wanted.generation} exists already: {existing.reference}",
                hint="adopt as another generation, or remove the pkiops: tags from the other one first",
                code="ca.duplicate-identity",
            )
        self._refuse_others_tags(found)
        changes = (*immutable_changes(self.wanted, found), *self._certificate_changes(found, observed))
        if changes:
            lines = "\n".join(f"  {one.field}: it has {one.before}, the file says {one.after}" for one in changes)
            raise GuardRefused(
                f"{reference} is not what the file declares as {self.wanted.label}:\n{lines}",
                hint="correct the file, or adopt another CA; nothing was tagged",
                code="ca.not-as-declared",
                details={"changes": [{"field": c.field, "before": c.before, "after": c.after} for c in changes]},
            )
        tags = tuple(Change(f"tag {key}", None, self.wanted.request.tags[key]) for key in IDENTITY_TAGS)
        reason = f"{reference} is as declared: subject, key, certificate and issuer"
        return Plan(self.environment.environment, (Action(ActionKind.ADOPT, where, reason, tags),))

    def apply(self, shown: Plan, reference: str, *, progress: Progress) -> tuple[Action, ...]:
        """Tag the CA and publish the index; doing so again changes nothing.

        Raises:
            GuardRefused: it is no longer what was shown.
            BackendError: the service refused.
        """
        current = self.plan(reference)
        if current.pending and current.digest() != shown.digest():
            raise GuardRefused(f"{reference} has changed since it was looked at; nothing was done", code="plan.moved")

        def adopt(action: Action) -> bool:
            del action
            self.backend.tag_authority(reference, {key: self.wanted.request.tags[key] for key in IDENTITY_TAGS})
            return True

        name = self.environment.environment
        done = run_plan(
            current, {"ca": adopt}, progress=progress, resume=f"pkiops ca adopt {name} {self.wanted.label} {reference}"
        )
        try:
            self.index.publish()
        except NotFound as error:
            # nothing was applied yet: the bucket is made by the first apply, and the index with it
            if error.code != "store.no-bucket":
                raise
        return done

    def _refuse_others_tags(self, found: ObservedAuthority) -> None:
        others = others_tags(self.wanted, found)
        if others:
            said = ", ".join(f"{key}={value}" for key, value in sorted(others.items()))
            raise GuardRefused(
                f"{found.reference} carries {said}: it is somebody else's",
                hint="remove those tags first, if it really is to change hands",
                code="ca.foreign",
            )

    def _certificate_changes(self, found: ObservedAuthority, observed: tuple[ObservedAuthority, ...]) -> list[Change]:
        """What of the installed certificate is not as declared; a CA without one yet has none."""
        if found.not_after is None or found.not_before is None:
            return []
        source = f"the chain of {found.reference}"
        chain = [load_certificate(der, source) for der in self.backend.authority_chain(found.reference)]
        verify_ca_chain(chain, at=found.not_before)
        own = certificate_facts(*(one.public_bytes(Encoding.DER) for one in chain))
        changes = [*certificate_changes(self.wanted, Details(own))]
        if self.wanted.sha256 is not None and own.sha256 != self.wanted.sha256:
            changes.append(Change("sha256", own.sha256, self.wanted.sha256))
        if self.wanted.outside:
            return changes if len(chain) > 1 else [*changes, Change("issuer", "itself", self.wanted.issuer)]
        issuer = self._issuer_certificate(observed)
        above = chain[1] if len(chain) > 1 else None
        # an issuer that was renewed since has another certificate, for the same name and key
        if (above is None) != (issuer is None) or not is_same_authority(_der(above), _der(issuer)):
            changes.append(Change("issuer", _named(above), _named(issuer)))
        return changes

    def _issuer_certificate(self, observed: tuple[ObservedAuthority, ...]) -> x509.Certificate | None:
        if self.wanted.issuer is None:
            return None
        generation = self.environment.authorities[self.wanted.issuer].generation
        issuer = Identities(observed, self.environment.environment).find(self.wanted.issuer, generation)
        if issuer is None or issuer.not_after is None:
            raise GuardRefused(
                f"the issuer {self.wanted.issuer} of {self.wanted.label} does not exist yet, so nothing can be compared with it",
                hint=f"adopt or apply {self.wanted.issuer} first",
                code="ca.no-issuer",
            )
        return load_certificate(self.backend.authority_chain(issuer.reference)[0], issuer.reference)


def _der(certificate: x509.Certificate | None) -> bytes:
    return b"" if certificate is None else certificate.public_bytes(Encoding.DER)


def _named(certificate: x509.Certificate | None) -> str:
    return "itself" if certificate is None else fingerprint(certificate)
