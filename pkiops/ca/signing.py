"""What somebody elsewhere is asked to sign for one of our CAs: its request, checked, and what the certificate has to say.

What this module decides: that only the request of the declared CA is handed out (its own signature verified; subject and key as in the file), and
that what is asked for is what ``import_rules.py`` will look for. How the sheet reads is ``signing_sheet.py``; bringing the certificate back is
``install.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from cryptography import x509

from pkiops.backends.identity import require_authority
from pkiops.backends.interface import AuthorityStatus, CreatesAuthorities, ObservedAuthority, ReadsAuthorities
from pkiops.ca.desired import DesiredAuthority, OutsideAuthority
from pkiops.ca.drift import immutable_changes, subject_attributes
from pkiops.ca.import_finding import Expected
from pkiops.ca.settle import settled
from pkiops.clock import Clock
from pkiops.environment.hierarchy import is_below
from pkiops.environment.models import Environment
from pkiops.environment.name_constraints import profile_subtrees
from pkiops.errors import GuardRefused, InputError, InvalidState, PolicyDenied, VerificationFailed
from pkiops.x509.chain import Purpose
from pkiops.x509.csr import CertificationRequest, load_csr
from pkiops.x509.names import rfc4514

# in these a CA gives out its request, and takes a certificate (DISABLED: the service contradicts itself, and enabling is one line in the file)
TAKES_CERTIFICATE = frozenset(
    {AuthorityStatus.CREATING, AuthorityStatus.PENDING_CERTIFICATE, AuthorityStatus.ACTIVE, AuthorityStatus.EXPIRED}
)
KEY_USAGE = ("digitalSignature", "keyCertSign", "cRLSign")


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningRequest:
    """What is to be signed, and by whom; ``replaces_until`` is when the certificate ends that the CA has now, None where it has none."""

    environment: str
    label: str
    generation: int
    reference: str
    issuer: OutsideAuthority
    request: CertificationRequest = field(repr=False)
    subject: str
    wanted: DesiredAuthority = field(repr=False)
    not_after: datetime
    days: int
    replaces_until: datetime | None


class SigningBackend(ReadsAuthorities, CreatesAuthorities, Protocol):
    """What asking for a signature, and bringing it back, needs of a backend."""


def outside_authority(environment: Environment, wanted: DesiredAuthority) -> OutsideAuthority:
    """Who signs an authority elsewhere.

    Raises:
        InputError: nobody does: its issuer is a CA of ours, or it is a root (code ``ca.signed-here``).
    """
    if wanted.outside:
        return wanted.outside[0]
    signer = f"is signed by {wanted.issuer}, a CA of ours" if wanted.issuer else "is a root and signs itself"
    raise InputError(
        f"{environment.environment}/ca/{wanted.label} {signer}",
        hint=f"pkiops ca apply {environment.environment} does that; for a signer elsewhere declare it under external_authorities",
        code="ca.signed-here",
    )


def signing_request(
    environment: Environment, wanted: DesiredAuthority, backend: SigningBackend, clock: Clock
) -> SigningRequest:
    """The request of an authority that is signed elsewhere.

    Raises:
        InputError: it is signed here.
        NotFound: it does not exist yet.
        InvalidState: it is in a state in which it takes no certificate.
        GuardRefused: it is not the CA that the file declares.
        VerificationFailed: what the service gave out is not its request.
        BackendError: it could not be asked.
    """
    issuer = outside_authority(environment, wanted)
    found = taking_authority(environment, wanted, backend)
    request = own_request(environment, wanted, found, backend)
    # read only now: the clock may follow the answers of the server
    now = clock.now()
    ends = wanted.validity.after(now)
    return SigningRequest(
        environment=environment.environment,
        label=wanted.label,
        generation=wanted.generation,
        reference=found.reference,
        issuer=issuer,
        request=request,
        subject=rfc4514(x509.load_der_x509_csr(request.der).subject),
        wanted=wanted,
        not_after=ends,
        days=max(1, (ends - now).days),
        replaces_until=found.not_after,
    )


def taking_authority(
    environment: Environment, wanted: DesiredAuthority, backend: ReadsAuthorities
) -> ObservedAuthority:
    """The CA as it exists, able to take a certificate.

    Raises:
        NotFound: it does not exist yet.
        InvalidState: it takes none.
        GuardRefused: it is not the CA that the file declares, or there are two.
    """
    name = environment.environment
    observed = settled([wanted], backend, backend.list_authorities(), exact=True)
    found = require_authority(observed, name, wanted.label, wanted.generation)
    if found.status not in TAKES_CERTIFICATE:
        hint = "write enabled: true and apply first" if found.status is AuthorityStatus.DISABLED else None
        raise InvalidState(
            f"{name}/ca/{wanted.label} ({found.reference}) is {found.status.value} and takes no certificate",
            hint=hint or f"look at it: pkiops ca plan {name}",
            code="ca.takes-no-certificate",
        )
    fixed = immutable_changes(wanted, found)
    if fixed:
        lines = "; ".join(f"{one.field}: it has {one.before}, the file says {one.after}" for one in fixed)
        raise GuardRefused(
            f"{found.reference} is not what the file declares as {wanted.label}: {lines}",
            hint=f"correct the file, or declare a new generation: pkiops ca plan {name}",
            code="ca.not-as-declared",
            details={"changes": [{"field": c.field, "before": c.before, "after": c.after} for c in fixed]},
        )
    return found


def own_request(
    environment: Environment, wanted: DesiredAuthority, found: ObservedAuthority, backend: CreatesAuthorities
) -> CertificationRequest:
    """The CA's own request: signed with its key, of the declared key algorithm, for the declared subject.

    Raises:
        VerificationFailed: it is not (code ``ca.request``).
        BackendError: it could not be asked for.
    """
    source = f"the request of {environment.environment}/ca/{wanted.label}"
    try:
        request = load_csr(backend.authority_csr(found.reference), source)
    except (InputError, PolicyDenied) as error:
        raise VerificationFailed(error.message, hint="nothing may be signed; ask again", code="ca.request") from error
    if request.key_algorithm is not wanted.request.key_algorithm:
        raise VerificationFailed(
            f"{source} has a key of {request.key_description}, and the file says {wanted.request.key_algorithm.value}",
            code="ca.request",
        )
    parsed = x509.load_der_x509_csr(request.der)
    attributes = [(one.oid.dotted_string, str(one.value)) for one in parsed.subject]
    declared = subject_attributes(wanted.request)
    same = attributes == declared if wanted.request.subject_attributes else sorted(attributes) == sorted(declared)
    if not same:
        raise VerificationFailed(
            f"{source} is for {rfc4514(parsed.subject)}, which is not the subject in the file", code="ca.request"
        )
    return request


def expected_certificate(environment: Environment, wanted: DesiredAuthority, request: CertificationRequest) -> Expected:
    """What the certificate of an authority has to be, for ``import_rules``."""
    label = wanted.label
    usages = {
        usage.value
        for profile in environment.profiles.values()
        if is_below(environment, profile.authority, (label,))
        for usage in profile.usage
    }
    return Expected(
        request=x509.load_der_x509_csr(request.der),
        is_root=wanted.issuer is None,
        path_length=wanted.path_length,
        name_constraints=wanted.name_constraints,
        validity=wanted.validity,
        usages=tuple(sorted(usages)) or (Purpose.CLIENT.value,),
        names=profile_subtrees(environment, label),
        sha256=wanted.sha256,
        outside=wanted.outside,
    )
