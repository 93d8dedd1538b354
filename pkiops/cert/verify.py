"""Is this certificate to be believed, for one purpose, at one moment?

What this module decides: where anchors, intermediates and CRLs come from: all from an environment, or all from files, never some of each, so that
nothing handed over can change what an environment says. Building and judging the path is ``pkiops.x509.chain``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from pkiops.backends.auditing import PublishesCrlsInParts
from pkiops.backends.interface import PublishesOwnCrls, ReadsAuthorities
from pkiops.cert.issuer import check_pins
from pkiops.clock import Clock
from pkiops.crl.authorities import Authorities, KnownAuthority, observe_authorities
from pkiops.crl.indexed import as_it_is, indexed_authorities
from pkiops.crl.outside import outside_cas
from pkiops.crl.parts import is_in_parts
from pkiops.environment.models import Environment
from pkiops.errors import InputError, NotSupported, VerificationFailed
from pkiops.progress import NoProgress, Progress
from pkiops.stores.interface import Store
from pkiops.x509.certificate import load_certificates
from pkiops.x509.chain import Purpose, VerifiedChain, verify_chain
from pkiops.x509.crl import load_crls
from pkiops.x509.names import printable

_SILENT = NoProgress()


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """What a certificate is held against; ``crls`` None: revocation is not checked. ``unchecked`` are CAs whose CRLs are kept elsewhere."""

    anchors: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...]
    crls: tuple[x509.CertificateRevocationList, ...] | None
    unchecked: tuple[x509.Certificate, ...] = ()


def material_of_environment(
    environment: Environment,
    backend: object,
    clock: Clock,
    *,
    store: Store | None = None,
    check_caller: Callable[[], None] = lambda: None,
    progress: Progress = _SILENT,
) -> Material:
    """Roots, other CAs and CRLs of an environment as they are now. Whether a CRL is sound and current is checked where it is used.

    Args:
        environment: the file.
        backend: the CAs; asked for them where the index does not count.
        clock: the moment as of which CAs must be valid.
        store: the trust bucket with the index.
        check_caller: refuses a caller of another account; called before the service is asked for its CAs.
        progress: is told why the index was of no use.

    Raises:
        BackendError: they cannot be read.
        VerificationFailed: a CA's chain is broken, not the pinned one, or a CRL is no CRL.
    """
    if not isinstance(backend, ReadsAuthorities) or not isinstance(backend, PublishesOwnCrls):
        raise NotSupported(f"the backend of environment {environment.environment} does not publish CRLs itself")
    found = indexed_authorities(environment, store, clock)
    if isinstance(found, Authorities):
        known = found.known
    else:
        progress.step(f"the index is of no use, the service is asked: {found.reason}")
        check_caller()
        known = observe_authorities(environment, backend, clock.now()).known
    crls: list[x509.CertificateRevocationList] = []
    for authority in known:
        if authority.generation == environment.authorities[authority.label].generation:
            check_pins(environment, authority.label, authority.chain)
        crls.extend(_crls_of(environment, backend, as_it_is(environment, backend, authority)))
    if not known:
        raise VerificationFailed(
            f"environment {environment.environment} has no CA with a valid certificate, so nothing can be trusted",
            hint=f"pkiops ca show {environment.environment} says what there is; pkiops ca plan what it takes",
            code="chain.no-anchor",
        )
    roots = [one.certificate for one in known if environment.authorities[one.label].issuer is None]
    others = [one.certificate for one in known if environment.authorities[one.label].issuer is not None]
    outside = outside_cas(environment, known)
    # a CA that is kept elsewhere and not pinned is whatever was installed above ours: no reason to trust it
    roots += [
        one.certificate
        for one in outside
        if len(one.chain) == 1 and environment.external_authorities[one.label].sha256 is not None
    ]
    others += [one.certificate for one in outside if len(one.chain) > 1]
    return Material(
        anchors=tuple(roots),
        intermediates=tuple(others),
        crls=tuple(crls),
        unchecked=tuple(one.certificate for one in outside),
    )


def material_of_files(
    anchors: tuple[bytes, str], intermediates: Sequence[tuple[bytes, str]], crls: Sequence[tuple[bytes, str]]
) -> Material:
    """The same from files, each as (bytes, name for messages); without CRLs revocation is not checked.

    Raises:
        InputError: a file is not what it should be.
    """
    return Material(
        anchors=load_certificates(*anchors),
        intermediates=tuple(one for file in intermediates for one in load_certificates(*file)),
        crls=tuple(one for file in crls for one in load_crls(*file)) if crls else None,
    )


def verify_certificate(
    certificates: Sequence[x509.Certificate], material: Material, *, purpose: Purpose, at: datetime
) -> VerifiedChain:
    """Build and verify the path of the first certificate; the others may be used on the way.

    Raises:
        VerificationFailed: with the reason.
    """
    return verify_chain(
        certificates[0],
        intermediates=(*certificates[1:], *material.intermediates),
        anchors=material.anchors,
        at=at,
        purpose=purpose,
        crls=material.crls,
        unchecked=material.unchecked,
    )


def _crls_of(
    environment: Environment, backend: PublishesOwnCrls, authority: KnownAuthority
) -> list[x509.CertificateRevocationList]:
    """The CRL of a CA, or all that may be parts of it: whose they are, and for which certificates, is looked at where they are used."""
    name = f"the CRL of {environment.environment}/ca/{authority.name}"
    if is_in_parts(authority) and isinstance(backend, PublishesCrlsInParts):
        parts = backend.fetch_crl_parts(authority.observed)
        return [crl for file, data in parts for crl in _crls_of_ca(data, f"{name}, {printable(file)[:200]}")]
    data = backend.fetch_crl(authority.observed)
    return [] if data is None else list(_crls_of_ca(data, name))


def _crls_of_ca(data: bytes, source: str) -> tuple[x509.CertificateRevocationList, ...]:
    try:
        return load_crls(data, source)
    except InputError as error:
        raise VerificationFailed(error.message, hint=error.hint, code=error.code) from error
