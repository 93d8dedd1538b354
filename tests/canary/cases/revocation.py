"""Revocation: who can be revoked, and how a serial number may be written."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.canary.case import ACCEPTED, Case, Observation, Phase, refused
from tests.canary.certificates import csr, load
from tests.canary.patience import Unsettled
from tests.canary.workspace import Workspace


def _serial_of_new(workspace: Workspace, **more: Any) -> int:
    return load(workspace.issue(csr(), **more)).serial_number


def _revoke(workspace: Workspace, serial: str) -> Observation:
    return workspace.ask("revoke_certificate", CertificateSerial=serial, RevocationReason="SUPERSEDED")


def _revoke_twice(workspace: Workspace) -> Observation:
    serial = f"{_serial_of_new(workspace):x}"
    if _revoke(workspace, serial) != ACCEPTED:
        raise Unsettled(f"the first revocation was refused: {workspace.message}")
    return _revoke(workspace, serial)


def _revoke_pairs(workspace: Workspace) -> Observation:
    return _revoke(workspace, _serial_of_new(workspace).to_bytes(16, "big").hex(":"))


def _revoke_own(workspace: Workspace) -> Observation:
    return _revoke(workspace, f"{load(workspace.own_certificate()).serial_number:x}")


def _revoke_expired(workspace: Workspace) -> Observation:
    end = workspace.now() + timedelta(seconds=60)
    serial = _serial_of_new(workspace, not_after=end)
    workspace.wait_until(end)
    return _revoke(workspace, f"{serial:x}")


CASES: tuple[Case, ...] = (
    Case(
        name="revoke-twice",
        operation="RevokeCertificate",
        phase=Phase.ACTIVE,
        settles="That a second revocation is told from the first.",
        source="service model: RequestAlreadyProcessedException",
        section="2.4",
        expected=refused("RequestAlreadyProcessedException"),
        observe=_revoke_twice,
        certificates=1,
    ),
    Case(
        name="revoke-serial-with-colons",
        operation="RevokeCertificate",
        phase=Phase.ACTIVE,
        settles="Whether a serial number may be written as audit reports write it.",
        source="user guide shows pairs with colons",
        section="2.4",
        expected=ACCEPTED,
        observe=_revoke_pairs,
        certificates=1,
    ),
    Case(
        name="revoke-serial-that-is-no-number",
        operation="RevokeCertificate",
        phase=Phase.ACTIVE,
        settles="How a serial number is refused that is not hexadecimal.",
        source="silent on the code",
        section="2.4",
        expected=refused("ValidationException"),
        observe=lambda workspace: _revoke(workspace, "no-serial-number"),
    ),
    Case(
        name="revoke-unknown-serial",
        operation="RevokeCertificate",
        phase=Phase.ACTIVE,
        settles="That a serial number the CA never gave is not found.",
        source="service model: ResourceNotFoundException",
        section="2.4",
        expected=refused("ResourceNotFoundException"),
        observe=lambda workspace: _revoke(workspace, "0123456789abcdef0123456789abcdef"),
    ),
    Case(
        name="revoke-own-certificate-of-root",
        operation="RevokeCertificate",
        phase=Phase.ACTIVE,
        settles="That a root cannot revoke what it signed for itself.",
        source="seen in the Terraform provider",
        section="1.5",
        expected=refused("InvalidRequestException"),
        observe=_revoke_own,
        certificates=1,
    ),
    Case(
        name="revoke-expired-certificate",
        operation="RevokeCertificate",
        phase=Phase.ACTIVE,
        settles="How the revocation of an expired certificate is refused.",
        source="user guide: not possible; silent on the code",
        section="2.4",
        expected=refused("InvalidRequestException"),
        observe=_revoke_expired,
        certificates=1,
        wait_seconds=60,
    ),
)
