"""Bringing back what was signed elsewhere: judged offline by every import rule, shown, sent, read back, and published in the index.

What this module decides: that nothing is sent which the service, or a relying party, would refuse; that the same certificate installed already is no
change; and that another one is a renewal, shown as what it changes. Asking is left to the command. What is asked for is ``signing.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.backends.interface import AuthorityStatus, ObservedAuthority
from pkiops.ca.desired import DesiredAuthority
from pkiops.ca.import_rules import import_findings, refuse_findings
from pkiops.ca.index import IndexPublisher
from pkiops.ca.plan import address
from pkiops.ca.signing import (
    SigningBackend,
    expected_certificate,
    outside_authority,
    own_request,
    taking_authority,
)
from pkiops.clock import Clock
from pkiops.environment.models import Environment
from pkiops.errors import GuardRefused, InProgress, InputError, NotFound, VerificationFailed
from pkiops.plan import Action, ActionKind, Change, Plan, run_plan
from pkiops.progress import Progress
from pkiops.x509.certificate import fingerprint, load_certificate, load_certificates, serial_hex
from pkiops.x509.names import rfc4514
from pkiops.x509.refusal import moment

_MOST = 32


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate as it was brought back, with those above it, its issuer first."""

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]

    @property
    def der(self) -> tuple[bytes, ...]:
        """All of it as DER, the CA's own certificate first."""
        return tuple(one.public_bytes(Encoding.DER) for one in (self.certificate, *self.chain))


def read_signed(certificate: tuple[bytes, str], chain: tuple[bytes, str] | None) -> Signed:
    """Read what was brought back: PEM or DER, the chain in a file of its own or behind the certificate.

    Args:
        certificate: bytes, and what to call them in messages.
        chain: the same of a chain file, if there is one.

    Raises:
        InputError: something cannot be read, holds a private key, or too much.
    """
    first = _read(*certificate)
    above = _read(*chain) if chain else ()
    if above and len(first) > 1 and first[1:] != above:
        raise InputError(
            f"{certificate[1]} holds {len(first)} certificates, and a chain is given beside them",
            hint="give one certificate with --chain, or all of them in one file",
            code="ca.two-chains",
        )
    return Signed(first[0], above or first[1:])


@dataclass(frozen=True, slots=True)
class Installation:
    """The use case.

    Args:
        environment: the environment.
        wanted: the authority as the file declares it.
        backend: the certificate authorities.
        index: publishes what exists when it is done.
        clock: the moment at which everything must be valid.
    """

    environment: Environment
    wanted: DesiredAuthority
    backend: SigningBackend
    index: IndexPublisher
    clock: Clock

    def plan(self, signed: Signed) -> Plan:
        """Judge what was brought back; the plan installs it, or has nothing to do where it is installed.

        Raises:
            InputError: the authority is signed here.
            NotFound: it does not exist yet.
            InvalidState: it takes no certificate.
            GuardRefused: it is not the CA that the file declares.
            VerificationFailed: anything is wrong with the certificate or its chain (code ``ca.import``).
            BackendError: something could not be read.
        """
        outside_authority(self.environment, self.wanted)
        found = taking_authority(self.environment, self.wanted, self.backend)
        request = own_request(self.environment, self.wanted, found, self.backend)
        expected = expected_certificate(self.environment, self.wanted, request)
        # read only now: the clock may follow the answers of the server
        judged = import_findings(signed.certificate, signed.chain, expected, at=self.clock.now())
        remarks = tuple(one.message for one in refuse_findings(self.wanted.label, judged))
        return Plan(self.environment.environment, tuple(self._actions(found, signed, remarks)))

    def apply(self, shown: Plan, signed: Signed, *, progress: Progress) -> tuple[Action, ...]:
        """Install it and publish the index; doing so again changes nothing.

        Raises:
            GuardRefused: the CA is no longer what was shown.
            BackendError: the service refused.
            PartialApply: it is installed, and the index could not be published; a re-run continues.
        """
        current = self.plan(signed)
        if current.pending and current.digest() != shown.digest():
            raise GuardRefused(
                f"{self.wanted.label} has changed since it was looked at; nothing was done",
                hint="look at it again",
                code="plan.moved",
            )
        found = taking_authority(self.environment, self.wanted, self.backend)

        def install(action: Action) -> bool:
            del action
            self.backend.install_authority(found.reference, signed.der)
            self._require_installed(found.reference, signed)
            return True

        return run_plan(
            current,
            {"ca": install, "index": self._publish},
            progress=progress,
            resume=f"pkiops ca install {self.environment.environment} {self.wanted.label}",
        )

    def _actions(self, found: ObservedAuthority, signed: Signed, remarks: tuple[str, ...]) -> list[Action]:
        where = address(self.environment.environment, self.wanted.label)
        index = f"{self.environment.environment}/index/authorities"
        before = self._installed(found)
        if before == signed.der:
            same = Action(ActionKind.NO_OP, where, f"{found.reference} has this certificate already", warnings=remarks)
            observed = self.backend.list_authorities()
            if self.index.is_current(self.index.published(), observed):
                return [same]
            return [same, Action(ActionKind.UPDATE, index, "does not name the authorities that exist")]
        changes = _changes(_parsed(before, found.reference), signed)
        if not before:
            action = Action(ActionKind.ACTIVATE, where, f"signed by {self.wanted.issuer}", changes, warnings=remarks)
        else:
            reason = f"{found.reference} is {found.status.value} and has another certificate: its key and name stay"
            warnings = (*remarks, *_renewal(_parsed(before, found.reference), signed))
            action = Action(ActionKind.RENEW, where, reason, changes, warnings=warnings)
        return [action, Action(ActionKind.UPDATE, index, "written anew, because authorities change")]

    def _installed(self, found: ObservedAuthority) -> tuple[bytes, ...]:
        none_yet = {AuthorityStatus.CREATING, AuthorityStatus.PENDING_CERTIFICATE}
        return () if found.status in none_yet else self.backend.authority_chain(found.reference)

    def _require_installed(self, reference: str, signed: Signed) -> None:
        # the service tells of a change under way as of a failure, and another run may be installing another certificate
        if self.backend.authority_chain(reference) != signed.der:
            raise InProgress(
                f"{reference} does not have the certificate that was sent",
                hint="somebody else may be installing one: look at it (pkiops ca show), then run the same command again",
                code="ca.read-back",
            )

    def _publish(self, action: Action) -> bool:
        del action
        try:
            return self.index.publish(anew=True)
        except NotFound as error:
            # adopted before the first apply: the bucket is made by that, and the index with it
            if error.code != "store.no-bucket":
                raise
            return False


def pin_line(wanted: DesiredAuthority, signed: Signed) -> str | None:
    """The line that pins the root in the file; None where it is pinned."""
    if not wanted.outside or wanted.outside[-1].sha256 is not None:
        return None
    label, root = wanted.outside[-1].label, signed.chain[-1]
    return f"pin the root by a reviewed commit, in external_authorities.{label}:  sha256: {fingerprint(root)}"


def _read(data: bytes, source: str) -> tuple[x509.Certificate, ...]:
    if b"PRIVATE KEY-----" in data:
        raise InputError(
            f"{source}: holds a private key, which must never leave the machine that signs",
            hint="give the certificates only; if this file travelled, think of the key as known to others",
            code="certificate.private-key",
        )
    found = load_certificates(data, source)
    if len(found) > _MOST:
        raise InputError(f"{source}: holds {len(found)} certificates, at most {_MOST} are read", code="ca.too-many")
    return found


def _parsed(chain: Sequence[bytes], reference: str) -> tuple[x509.Certificate, ...]:
    """What the service says is installed.

    Raises:
        VerificationFailed: it cannot be read.
    """
    try:
        return tuple(load_certificate(der, f"the certificate of {reference}") for der in chain)
    except InputError as error:
        raise VerificationFailed(error.message, code="ca.unreadable") from error


def _changes(before: Sequence[x509.Certificate], signed: Signed) -> tuple[Change, ...]:
    after = (signed.certificate, *signed.chain)
    rows = [_facts(certificates) for certificates in (before, after)]
    return tuple(
        Change(name, rows[0].get(name), value) for name, value in rows[1].items() if rows[0].get(name) != value
    )


def _facts(certificates: Sequence[x509.Certificate]) -> dict[str, str]:
    if not certificates:
        return {}
    own, root = certificates[0], certificates[-1]
    return {
        "sha256": fingerprint(own),
        "serial": serial_hex(own.serial_number),
        "valid from": moment(own.not_valid_before_utc),
        "valid until": moment(own.not_valid_after_utc),
        "issuer": rfc4514(own.issuer),
        "certificates above it": str(len(certificates) - 1),
        "root sha256": fingerprint(root),
    }


def _renewal(before: Sequence[x509.Certificate], signed: Signed) -> list[str]:
    """What a renewal means for those who rely on the CA."""
    own, root = before[0], before[-1]
    warnings = [
        "certificates issued before stay valid: their issuer keeps its key; whoever pins the CA's own certificate needs the new one first"
    ]
    if signed.certificate.not_valid_after_utc < own.not_valid_after_utc:
        warnings.append("it ends before the one that is installed")
    if fingerprint(root) != fingerprint(signed.chain[-1]):
        warnings.append("its root is another one: relying parties need that as an anchor before it is installed")
    return warnings
