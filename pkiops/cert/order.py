"""An order for a certificate, its ways through issuance, and the translations between policy, ledger and backend.

What this module decides: which data goes on from one step to the next; and that whatever is asked of a CA can be rebuilt from the ledger and the CSR
alone. The steps themselves are ``prepare``'s and ``issue``'s.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from cryptography import x509

from pkiops.backends.interface import IssuanceRequest
from pkiops.cert.issuer import Issuer
from pkiops.errors import InternalError, NotSupported
from pkiops.ledger.interface import Entry, LedgerIntent, request_key
from pkiops.ledger.values import read_from
from pkiops.policy.findings import Intent
from pkiops.policy.rules import Profile, Usage
from pkiops.x509.algorithms import SigningAlgorithm
from pkiops.x509.csr import CertificationRequest
from pkiops.x509.duration import Duration
from pkiops.x509.keys import spki_der
from pkiops.x509.san import SubjectAltName


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What somebody asks for. ``sans`` replace the CSR's names; ``validity`` None is the profile's default.

    ``request_id`` tells apart orders that are equal otherwise; ``reissue`` accepts a second certificate where nobody knows whether there is a first.
    """

    csr: bytes = field(repr=False)
    csr_source: str
    profile: str
    sans: tuple[SubjectAltName, ...] = ()
    validity: Duration | None = None
    request_id: str | None = None
    reissue: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """An order that passed steps 1 to 7: nothing has been asked for yet.

    ``judge_new`` raises PolicyDenied where a rule about what was issued before refuses another certificate; None where that was judged already, or
    no such rule is given.
    """

    csr: CertificationRequest
    issuer: Issuer
    record: LedgerIntent
    reissue: bool
    renewal_window: Duration | None = None
    judge_new: Callable[[], None] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Issued:
    """A certificate that passed step 9, with those above it, root last; ``from_ledger`` says that nothing was asked for."""

    entry: Entry
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    from_ledger: bool
    renewal_window: Duration | None = None


def policy_sha256(profile: Profile) -> str:
    """SHA-256 (hex) of a profile's rules: says later under which rules a certificate was granted."""
    canonical = json.dumps(asdict(profile), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def intent_of(entry: Entry, csr: CertificationRequest) -> Intent:
    """The intent as the ledger froze it."""
    if entry.not_before is None or entry.not_after is None:
        raise InternalError(f"ledger entry {entry.id} has no intent")
    with read_from(entry.id):
        usage = tuple(Usage(name) for name in entry.usages)
    return Intent(
        subject=entry.subject,
        sans=entry.sans,
        usage=usage,
        not_before=entry.not_before,
        not_after=entry.not_after,
        public_key_spki=spki_der(csr.public_key),
    )


def issuance_request(intent: Intent, csr: CertificationRequest, issuer: Issuer, *, attempt: str) -> IssuanceRequest:
    """What the backend is asked for; equal for equal arguments, so that its token is too.

    Raises:
        NotSupported: the CA signs with an algorithm that pkiops does not know.
    """
    try:
        signing_algorithm = SigningAlgorithm(issuer.observed.signing_algorithm)
    except ValueError as error:
        raise NotSupported(
            f"{issuer.observed.reference} signs with {issuer.observed.signing_algorithm}, which pkiops does not know"
        ) from error
    return IssuanceRequest(
        authority=issuer.observed.reference,
        authority_signing_algorithm=signing_algorithm,
        csr_der=csr.der,
        csr_subject=csr.subject,
        csr_sans=csr.sans,
        csr_extensions=csr.other_extensions,
        subject=dict(intent.subject),
        sans=intent.sans,
        usages=tuple(usage.value for usage in intent.usage),
        not_before=intent.not_before,
        not_after=intent.not_after,
        attempt=attempt,
    )


def ledger_intent(
    order: Order,
    environment: str,
    requester: str,
    policy: str,
    csr: CertificationRequest,
    issuer: Issuer,
    intent: Intent,
    template: str,
) -> LedgerIntent:
    """The intent as it goes into the ledger, under the key of its request."""
    common_name = dict(intent.subject).get("common_name")
    names = [
        *(f"{san.kind.value}:{san.value}" for san in intent.sans),
        *([f"cn:{common_name}"] if common_name else []),
    ]
    return LedgerIntent(
        request_key=request_key(
            environment=environment,
            authority=issuer.label,
            generation=issuer.generation,
            profile=order.profile,
            csr_sha256=csr.sha256,
            names=names,
            validity=str(order.validity) if order.validity else None,
            request_id=order.request_id,
        ),
        environment=environment,
        authority=issuer.label,
        generation=issuer.generation,
        authority_reference=issuer.observed.reference,
        profile=order.profile,
        policy_sha256=policy,
        requester=requester,
        csr_sha256=csr.sha256,
        spki_sha256=csr.spki_sha256,
        subject=intent.subject,
        sans=intent.sans,
        usages=tuple(usage.value for usage in intent.usage),
        template=template,
        not_before=intent.not_before,
        not_after=intent.not_after,
    )
