"""The CA that issues for a profile, as it is right now.

What this module decides: that it is found by its pinned ARN, else by its identity tags alone, that a CA which is not ACTIVE is refused with what to
do about it, that nothing is issued while its CRL is not the declared one, because the CRL's address stays in a certificate for life, and that its
chain is sound and ends where the environment file pins it. Finding it by the published index is ``find_indexed``'s, asking it for anything the use
cases'.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.backends.identity import confirmed_identity, find_authority, require_authority
from pkiops.backends.interface import (
    AuthorityStatus,
    IssuesCertificates,
    ObservedAuthority,
    ReadsAuthorities,
    reader_at,
)
from pkiops.clock import Clock
from pkiops.environment.hierarchy import chain as labels_upwards
from pkiops.environment.hierarchy import declaration, is_external
from pkiops.environment.homes import home_of
from pkiops.environment.models import CrlType, Environment
from pkiops.errors import BackendError, GuardRefused, InvalidState, NotSupported, VerificationFailed
from pkiops.x509.certificate import fingerprint, load_certificate
from pkiops.x509.chain import verify_ca_chain
from pkiops.x509.present import present_chains

_WHAT_TO_DO = {
    AuthorityStatus.CREATING: "wait until it is created, then run pkiops ca apply {environment}",
    AuthorityStatus.PENDING_CERTIFICATE: "it has no certificate yet: pkiops ca apply {environment}",
    AuthorityStatus.DISABLED: "somebody disabled it; find out why, then: pkiops ca enable {environment} {label}",
    AuthorityStatus.EXPIRED: "write renew_from there, or raise its generation, and run pkiops ca apply {environment}",
    AuthorityStatus.FAILED: "it was never created ({reason}): pkiops ca delete {environment} {label}, then pkiops ca apply {environment}",
}

_WITHOUT_VALID = {AuthorityStatus.PENDING_CERTIFICATE, AuthorityStatus.EXPIRED}


@dataclass(frozen=True, slots=True)
class Issuer:
    """A CA of the environment: its label, what was observed, and its certificate with those above it, root last.

    ``indexed`` says that the CA was not asked: what is "observed" is what the published index and the file say.
    """

    label: str
    generation: int
    observed: ObservedAuthority
    chain: tuple[x509.Certificate, ...]
    indexed: bool = False

    @property
    def certificate(self) -> x509.Certificate:
        """The CA's own certificate."""
        return self.chain[0]

    @property
    def root(self) -> x509.Certificate:
        """The root above it, or itself."""
        return self.chain[-1]

    @property
    def chain_der(self) -> tuple[bytes, ...]:
        """The chain as DER."""
        return tuple(one.public_bytes(Encoding.DER) for one in self.chain)


@runtime_checkable
class IssuingBackend(ReadsAuthorities, IssuesCertificates, Protocol):
    """What issuing needs of a backend."""


def issuing_backend(environment: Environment, backend: object) -> IssuingBackend:
    """The backend, if it can issue.

    Raises:
        NotSupported: it cannot.
    """
    if not isinstance(backend, IssuingBackend):
        raise NotSupported(
            f"the backend of environment {environment.environment} ({environment.backend.type}) cannot issue certificates",
            code="backend.cannot-issue",
        )
    return backend


def active_issuer(environment: Environment, backend: ReadsAuthorities, label: str, clock: Clock) -> Issuer:
    """The CA with that label, able to issue.

    Raises:
        NotFound: it does not exist.
        InvalidState: it exists, but cannot issue.
        GuardRefused: two CAs claim to be it, or its CRL is not where the environment file says.
        VerificationFailed: its chain is broken, or does not end in the certificate pinned in the environment file.
    """
    generation = environment.authorities[label].generation
    name = environment.environment
    # one home is enough, and all that an issuer needs rights in: what carries its tags elsewhere is not this authority
    reader = reader_at(backend, home_of(environment, label))
    pinned = environment.authorities[label].arn
    if pinned is not None:
        # a reviewed commit says which one it is: nothing has to be listed
        observed = reader.describe_authority(pinned)
    else:
        listed = confirmed_identity(reader, reader.list_authorities(), name, label, generation)
        observed = require_authority(listed, name, label, generation)
    if observed.status is not AuthorityStatus.ACTIVE:
        hint = _WHAT_TO_DO.get(observed.status, "look at it: pkiops ca show {environment}")
        if observed.status in _WITHOUT_VALID and is_external(environment, environment.authorities[label].issuer):
            hint = "have its certificate signed: pkiops ca csr {environment} {label}, then pkiops ca install"
        raise InvalidState(
            f"{environment.environment}/ca/{label} ({observed.reference}) is {observed.status.value}, and only an ACTIVE CA issues",
            hint=hint.format(
                environment=environment.environment, label=label, reason=observed.failure_reason or "no reason given"
            ),
            code="ca.not-active",
        )
    _require_declared_crl(environment, label, observed)
    # read only now: the clock may follow the answers of the server
    return with_chain(environment, backend, label, observed, at=clock.now())


def _require_declared_crl(environment: Environment, label: str, observed: ObservedAuthority) -> None:
    publication, crl, found = environment.publication.crl, environment.authorities[label].crl, observed.crl
    host = None if crl.omit_cdp else crl.host or publication.host
    if found is None:
        what = "publishes no CRL"
    elif found.named == crl.omit_cdp:
        what = f"{'names' if found.named else 'leaves'} the address of its CRL {'in' if found.named else 'out of'} certificates"
    elif (found.bucket, found.path) != (publication.bucket, crl.path) or (found.named and found.host != host):
        what = f"writes http://{found.host or found.bucket}/ into certificates, for its CRL in s3://{found.bucket}/{found.path}"
    elif found.complete != (crl.type is CrlType.COMPLETE):
        what = f"publishes its CRL {'whole' if found.complete else 'in parts'}"
    else:
        return
    raise GuardRefused(
        f"{environment.environment}/ca/{label} ({observed.reference}) {what}; the file says "
        f"{f'http://{host}/' if host else 'no address'} and s3://{publication.bucket}/{crl.path}, and a certificate cannot be changed later",
        hint=f"bring the CA to what the file says: pkiops ca apply {environment.environment}",
        code="ca.crl-differs",
    )


def with_chain(
    environment: Environment, backend: ReadsAuthorities, label: str, observed: ObservedAuthority, *, at: datetime
) -> Issuer:
    """The CA with its chain, checked as of ``at``.

    Raises:
        VerificationFailed: the chain is broken, or a CA of it is not the one pinned in the environment file.
        InvalidState: it has no certificate yet.
    """
    source = f"the chain of {environment.environment}/ca/{label}"
    encoded = backend.authority_chain(observed.reference)
    chain = tuple(load_certificate(der, source) for der in encoded)
    if _pins_another(environment, label, chain):
        chain = tuple(load_certificate(der, source) for der in _present_chain(environment, backend, label, encoded))
    verify_ca_chain(chain, at=at)
    check_pins(environment, label, chain)
    return Issuer(label, environment.authorities[label].generation, observed, chain)


def _pins_another(environment: Environment, label: str, chain: tuple[x509.Certificate, ...]) -> bool:
    try:
        check_pins(environment, label, chain)
    except VerificationFailed:
        return True
    return False


def _present_chain(
    environment: Environment, backend: ReadsAuthorities, label: str, encoded: tuple[bytes, ...]
) -> tuple[bytes, ...]:
    """The chain over the certificates that the CAs above have now: the service keeps the one of when this CA's was installed."""
    chains = [encoded]
    for name in labels_upwards(environment, label)[1:]:
        reader = reader_at(backend, home_of(environment, name))
        try:
            observed = reader.list_authorities()
            above = find_authority(observed, environment.environment, name, environment.authorities[name].generation)
            if above is not None and above.not_after is not None:
                chains.append(reader.authority_chain(above.reference))
        except BackendError:
            # who issues may have no rights there: then it stays as it is, and the pin says so
            continue
    return present_chains(chains)[0]


def check_pins(environment: Environment, label: str, chain: tuple[x509.Certificate, ...]) -> None:
    """Check that the chain of an authority (own certificate first, root last) holds the certificates that the file pins.

    Raises:
        VerificationFailed: code ``cert.pin``.
    """
    labels = labels_upwards(environment, label)
    # the root is the last of the chain, however many CAs are between
    by_label = {**dict(zip(labels, chain, strict=False)), labels[-1]: chain[-1]}
    for name, certificate in by_label.items():
        pin = declaration(environment, name).sha256
        if pin is not None and pin != fingerprint(certificate):
            raise VerificationFailed(
                f"{environment.environment}/ca/{name}: the file pins the certificate {pin}, "
                f"but the chain of {label} holds {fingerprint(certificate)}",
                hint=f"look at the CAs (pkiops ca show {environment.environment}) before anything is trusted; "
                "if the CA was replaced on purpose, change sha256 in a reviewed commit",
                code="cert.pin",
                details={"authority": name, "pinned": pin, "found": fingerprint(certificate)},
            )
