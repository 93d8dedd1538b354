"""Renewing a CA: the same key and name, a new certificate, valid from the day that the file names.

What this module decides: that a renewal is due from that day on and never before, and done once the certificate in place begins then or later; that
it must neither outlive the issuer nor end before the certificate it replaces; and that what came back is checked before it is installed. The token of
the issuing call holds the serial that is replaced, so that a second run makes the same call. CAs and certificates below stay valid: RFC 5280 section
6.1.3 looks at name and key of the issuer, not at its certificate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from pkiops.backends.identity import require_authority
from pkiops.backends.interface import (
    AuthorityCertificateRequest,
    AuthorityStatus,
    CreatesAuthorities,
    ObservedAuthority,
    ReadsAuthorities,
)
from pkiops.ca.desired import DesiredAuthority
from pkiops.errors import InProgress, InputError, InvalidState, VerificationFailed
from pkiops.plan import Action, ActionKind, Change, Plan
from pkiops.x509.algorithms import SigningAlgorithm

if TYPE_CHECKING:
    from pkiops.ca.apply import Hierarchy
    from pkiops.progress import Progress


class RenewingBackend(ReadsAuthorities, CreatesAuthorities, Protocol):
    """What renewing needs of a backend."""


def renewal_action(
    where: str,
    wanted: DesiredAuthority,
    found: ObservedAuthority,
    changes: Sequence[Change],
    limit: datetime | None,
    now: datetime,
) -> Action | None:
    """RENEW if it is due, BLOCKED if it is due and cannot be, None if it is not. Pure.

    Args:
        where: the authority's address.
        wanted: the authority as the file declares it.
        found: the CA.
        changes: what its certificate says otherwise than the file, which the new one puts right.
        limit: when the issuer's certificate ends; None for a root.
        now: the moment.
    """
    begins = wanted.renew_from
    if begins is None or not _is_due(wanted, found, now):
        return None
    ends = wanted.validity.after(begins)
    problem = None
    if ends <= now:
        problem = f"would have ended {ends:%Y-%m-%d} already: write a later renew_from"
    elif limit is not None and ends > limit:
        problem = f"would outlive its issuer {wanted.issuer}, whose certificate ends {limit:%Y-%m-%d}: renew that one first, or shorten validity"
    elif found.not_after is not None and ends < found.not_after:
        problem = f"would end {ends:%Y-%m-%d}, before the one in place ({found.not_after:%Y-%m-%d}), and leave certificates below without an issuer"
    if problem is not None:
        reason = f"the certificate of {found.reference} from {begins:%Y-%m-%d} on, for {wanted.validity}, {problem}"
        return Action(ActionKind.BLOCKED, where, reason)
    return Action(
        ActionKind.RENEW,
        where,
        f"{found.reference} gets a new certificate for the same key, as the file says: renew_from {begins:%Y-%m-%d}",
        (
            Change("not before", _day(found.not_before), _day(begins)),
            Change("not after", _day(found.not_after), _day(ends)),
            *changes,
        ),
        warnings=_consequences(wanted),
    )


def _is_due(wanted: DesiredAuthority, found: ObservedAuthority, now: datetime) -> bool:
    if wanted.renew_from is None or found.not_before is None or not found.not_before < wanted.renew_from <= now:
        return False
    # a certificate cannot be installed in a DISABLED CA
    return found.status is not AuthorityStatus.DISABLED or wanted.enabled is True


def _consequences(wanted: DesiredAuthority) -> tuple[str, ...]:
    said = ["same key, same name: CAs and certificates below it stay valid, and none is issued anew"]
    if wanted.issuer is None:
        said.append("relying parties need the new root before the one in place ends: publish trust bundles soon")
    if wanted.issuer is None or wanted.sha256 is not None:
        said.append("its sha256 changes: pin the new one by a reviewed commit right after")
    return tuple(said)


def renewal_state(wanted: DesiredAuthority, found: ObservedAuthority, now: datetime) -> str:
    """Why there is nothing to renew, for people."""
    begins = wanted.renew_from
    if begins is None or found.not_before is None:
        return "no renewal is declared"
    if found.not_before >= begins:
        return f"its certificate begins {found.not_before:%Y-%m-%d}: renew_from {begins:%Y-%m-%d} is done"
    if begins > now:
        return f"renew_from {begins:%Y-%m-%d} is ahead: it is renewed from that day on"
    return f"it is {found.status.value}: it can be renewed once it is enabled"


def renew_authority(
    backend: RenewingBackend,
    wanted: DesiredAuthority,
    authority: ObservedAuthority,
    issuer: ObservedAuthority,
    *,
    at: datetime,
) -> bool:
    """Have a CA's certificate renewed and install it; False if another run has done so.

    Args:
        backend: the certificate authorities.
        wanted: the authority as the file declares it, with ``renew_from``.
        authority: the CA as it is now.
        issuer: the CA that signs, itself for a root.
        at: the moment as of which the new chain must be valid.

    Raises:
        VerificationFailed: what was signed is not what was asked for; nothing was installed.
        InvalidState: it would outlive its issuer.
        InProgress: another certificate was installed at the same time.
        BackendError: the service refused.
    """
    from pkiops.ca.verify import verify_authority_chain
    from pkiops.x509.certificate import load_certificate, serial_hex

    begins = wanted.renew_from
    if begins is None or authority.not_before is None or authority.not_before >= begins:
        return False
    present = load_certificate(backend.authority_chain(authority.reference)[0], authority.reference)
    request = AuthorityCertificateRequest(
        authority=authority.reference,
        issuer=issuer.reference,
        issuer_signing_algorithm=SigningAlgorithm(issuer.signing_algorithm),
        csr_der=backend.authority_csr(authority.reference),
        path_length=wanted.path_length,
        not_before=begins,
        not_after=wanted.validity.after(begins),
        name_constraints=wanted.name_constraints or None,
        replaces=serial_hex(present.serial_number),
    )
    if (
        issuer.reference != authority.reference
        and issuer.not_after is not None
        and request.not_after > issuer.not_after
    ):
        raise InvalidState(
            f"the renewed {wanted.label} would outlive its issuer {wanted.issuer} (until {issuer.not_after:%Y-%m-%d})",
            hint="renew the issuer first, or shorten validity",
            code="ca.outlives-issuer",
        )
    chain = backend.sign_authority(request)
    verify_authority_chain(wanted, request.csr_der, chain, at=at)
    renewed = load_certificate(chain[0], authority.reference)
    if (renewed.not_valid_before_utc, renewed.not_valid_after_utc) != (request.not_before, request.not_after):
        raise VerificationFailed(
            f"the certificate signed for {wanted.label} is valid from {_day(renewed.not_valid_before_utc)} to "
            f"{_day(renewed.not_valid_after_utc)}, asked for {_day(request.not_before)} to {_day(request.not_after)}",
            code="ca.validity",
        )
    backend.install_authority(authority.reference, chain)
    if backend.describe_authority(authority.reference).not_before != request.not_before:
        raise InProgress(
            f"{authority.reference} does not show its new certificate: another one was installed at the same time",
            hint="run the same command again and see",
            code="ca.not-installed",
        )
    return True


@dataclass(frozen=True, slots=True)
class Renewal:
    """The use case behind ``ca renew``: of everything that ``ca apply`` would do, this one renewal."""

    hierarchy: Hierarchy
    label: str

    def plan(self) -> Plan:
        """What would be done.

        Raises:
            InputError: the file does not declare the authority, or no ``renew_from`` for it.
            NotFound: it does not exist.
        """
        wanted = self._wanted()
        narrowed = self._narrow(self.hierarchy.plan())
        if narrowed.actions:
            return narrowed
        found = self._found(wanted)
        reason = f"{found.reference}: {renewal_state(wanted, found, self.hierarchy.clock.now())}"
        return replace(narrowed, actions=(Action(ActionKind.NO_OP, self._address, reason),))

    def apply(self, shown: Plan, *, progress: Progress) -> tuple[Action, ...]:
        """Renew, and publish the index; doing so again changes nothing.

        Raises:
            GuardRefused: it waits for a decision, or what exists has changed since.
            BackendError: the service refused.
        """
        if not shown.pending and not shown.blocked:
            self.hierarchy.index().publish()
            return ()
        resume = f"pkiops ca renew {self.hierarchy.environment.environment} {self.label}"
        return self.hierarchy.apply(shown, progress=progress, narrow=self._narrow, resume=resume)

    def sha256(self) -> str:
        """The fingerprint of the certificate in place."""
        from pkiops.ca.fingerprints import fingerprint

        return fingerprint(self.hierarchy.backend, self._found(self._wanted()).reference)

    @property
    def _address(self) -> str:
        return f"{self.hierarchy.environment.environment}/ca/{self.label}"

    def _wanted(self) -> DesiredAuthority:
        declared = self.hierarchy.desired().authorities
        wanted = next((one for one in declared if one.label == self.label), None)
        if wanted is None:
            raise InputError(
                f"the file declares no authority {self.label!r}",
                hint=f"it declares {', '.join(one.label for one in declared)}",
                code="usage.authority",
            )
        if wanted.outside:
            name = self.hierarchy.environment.environment
            raise InputError(
                f"{name}/ca/{self.label} is signed by {wanted.issuer}, which is kept elsewhere",
                hint=f"have another certificate signed: pkiops ca csr {name} {self.label}, then pkiops ca install",
                code="ca.signed-elsewhere",
            )
        if wanted.renew_from is None:
            raise InputError(
                f"the file does not say from when on {self.label} is to be renewed",
                hint=f'write at authorities.{self.label}:  renew_from: "{self.hierarchy.clock.now():%Y-%m-%d}"',
                code="usage.renew-from",
            )
        return wanted

    def _found(self, wanted: DesiredAuthority) -> ObservedAuthority:
        observed = self.hierarchy.backend.list_authorities()
        environment = self.hierarchy.environment.environment
        return require_authority(observed, environment, wanted.label, wanted.generation)

    def _narrow(self, plan: Plan) -> Plan:
        """Of a plan, the renewal of this authority and what follows from it; what blocks it."""
        kinds = {ActionKind.RENEW, ActionKind.BLOCKED}
        own = [one for one in plan.actions if one.address == self._address and one.kind in kinds]
        if any(one.kind is ActionKind.RENEW for one in own):
            where = f"{plan.environment}/index/authorities"
            own.append(Action(ActionKind.UPDATE, where, "written anew, because authorities change"))
        return replace(plan, actions=tuple(own), unmanaged=())


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "none"
