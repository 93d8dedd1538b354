"""Renew a certificate: the order for the one that comes after it.

What this module decides: that only a certificate of ours is renewed, which the ledger says, or the CA of a profile that a person names; that the
new one has the names of the old one and is made under its profile as the rules are today; and that the renewal of one certificate with one key is
one request, whoever makes it and however often, so that machines that share certificate, key and ledger get the same new one. When it is due is
``renew_due``'s; files, locks and hooks are the command line's.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509

from pkiops.cert.issue import Issuance
from pkiops.cert.order import Order
from pkiops.cert.prepare import profile_of
from pkiops.cert.renew_foreign import require_issued_by
from pkiops.cert.request import request_for_key
from pkiops.clock import Clock
from pkiops.environment.models import Environment
from pkiops.errors import GuardRefused, InputError
from pkiops.ledger.interface import Entry, EntryState
from pkiops.policy.rules import FromRequest, Profile
from pkiops.x509.certificate import extension_of, fingerprint, serial_hex
from pkiops.x509.duration import Duration
from pkiops.x509.keys import PrivateKey
from pkiops.x509.names import name_attributes
from pkiops.x509.san import SubjectAltName, sans_of

_SHORT_NAMES = {"country": "C", "state": "ST", "locality": "L", "organization": "O", "organizational_unit": "OU"}


@dataclass(frozen=True, slots=True)
class Renewed:
    """A certificate that is to be replaced: where it comes from, its profile, and what the ledger knows of it (None: nothing)."""

    certificate: x509.Certificate
    source: str
    profile: str
    entry: Entry | None

    @property
    def serial(self) -> str:
        """Its serial number (hex)."""
        return serial_hex(self.certificate.serial_number)

    @property
    def names(self) -> tuple[SubjectAltName, ...]:
        """Its alternative names."""
        return sans_of(self.certificate.extensions)

    @property
    def common_name(self) -> str | None:
        """Its common name."""
        return next((value for field, value in name_attributes(self.certificate.subject) if field == "CN"), None)

    @property
    def is_revoked(self) -> bool:
        """Whether pkiops had it revoked: then it is due, whatever its age."""
        return self.entry is not None and self.entry.revocation is not None


def to_renew(issuance: Issuance, certificate: x509.Certificate, source: str, *, profile: str | None = None) -> Renewed:
    """A certificate with its profile: the one that a person gave, else that of the ledger. What lies beside it on disk says nothing here.

    Raises:
        InputError: it is a CA's, of another environment, or neither ledger nor person says its profile.
        GuardRefused: it is of another CA than its profile's, or the ledger knows it as one that is not what was asked for.
        VerificationFailed: code ``cert.not-ours``, the ledger does not know it, and the profile's CA did not issue it, or it does not count any more.
        BackendError: that could not be found out.
    """
    environment = issuance.environment
    constraints = extension_of(certificate, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        raise InputError(
            f"{source} holds the certificate of a CA",
            hint=f"cert renew is for end entities; for a CA: pkiops ca renew {environment.environment}",
            code="cert.is-a-ca",
        )
    entry = issuance.ledger.find_by_fingerprint(fingerprint(certificate))
    if entry is not None:
        return _known(environment, certificate, source, entry, profile or entry.profile)
    if profile is None:
        raise InputError(
            f"the ledger of environment {environment.environment} does not know the certificate in {source}",
            hint="say under which profile it is renewed with --profile; is this the folder of its ledger?",
            code="cert.unknown-serial",
        )
    require_issued_by(environment, issuance.backend, profile, certificate, source, clock=issuance.clock)
    return Renewed(certificate, source, profile, None)


def _known(environment: Environment, certificate: x509.Certificate, source: str, entry: Entry, profile: str) -> Renewed:
    if entry.environment != environment.environment:
        raise InputError(
            f"{source} is a certificate of environment {entry.environment}, not of {environment.environment}",
            code="cert.other-environment",
        )
    if entry.state is not EntryState.ISSUED:
        raise GuardRefused(
            f"{source} holds a certificate that is not what was asked for (ledger entry {entry.id}: {entry.message or entry.state.value})",
            hint="revoke it (pkiops cert revoke), and issue anew with cert issue",
            code="cert.not-as-asked",
        )
    rules = environment.profiles.get(profile)
    if rules is not None and entry.authority != rules.authority:
        raise GuardRefused(
            f"{source} is a certificate of {environment.environment}/ca/{entry.authority}, and profile {profile} is of ca/{rules.authority}",
            hint=f"one of another CA is not its renewal: pkiops cert issue {environment.environment} --profile {profile}",
            code="cert.other-authority",
        )
    return Renewed(certificate, source, profile, entry)


def renewal_order(
    environment: Environment,
    old: Renewed,
    key: PrivateKey,
    clock: Clock,
    *,
    validity: Duration | None = None,
    reissue: bool = False,
) -> Order:
    """The order for the certificate after ``old``, with that key.

    Raises:
        PolicyDenied: the profile does not grant this any more.
        InputError: there is no such profile any more.
    """
    claims_name = isinstance(profile_of(environment, old.profile).subject.common_name, FromRequest)
    csr = request_for_key(
        environment,
        old.profile,
        key,
        sans=old.names,
        common_name=old.common_name if claims_name else None,
        attributes=_claimed(profile_of(environment, old.profile), old),
        now=clock.now(),
    )
    return Order(
        csr=csr,
        csr_source=f"the renewal of {old.serial}",
        profile=old.profile,
        validity=validity,
        request_id=f"renewal of {fingerprint(old.certificate)}",
        reissue=reissue,
    )


def _claimed(profile: Profile, old: Renewed) -> dict[str, str]:
    """What the profile takes from a request, but for the common name, as the old certificate has it."""
    had = dict(name_attributes(old.certificate.subject))
    claimed: dict[str, str] = {}
    for field, short in _SHORT_NAMES.items():
        rule = getattr(profile.subject, field)
        if isinstance(rule, FromRequest) and rule.source == "request" and had.get(short):
            claimed[field] = had[short]
    return claimed
