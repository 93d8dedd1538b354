"""Brings the shared CA into the state that a case needs.

What this module decides: the way there from any other state, and that a CA which cannot come back (nothing becomes PENDING_CERTIFICATE
again) is replaced, so that an answer nobody expected spoils one case and not those after it; but not without end.
"""

from __future__ import annotations

from datetime import timedelta

from tests.canary.case import Phase
from tests.canary.certificates import csr
from tests.canary.patience import Unsettled
from tests.canary.workspace import Workspace

MOST_AUTHORITIES = 3
# for each of them: its first certificate and the proof that it issues, the one that expires, the next one and its proof
CERTIFICATES_EACH = 5
_SHORT_LIFE = timedelta(seconds=60)
SECONDS_EACH = 180


def enter(workspace: Workspace, phase: Phase) -> None:
    """Have the shared CA be in a state.

    Raises:
        Unsettled: it does not get there.
        ClientError: the service refuses a step.
    """
    status = str(workspace.describe()["Status"]) if workspace.has_authority else None
    if status == phase:
        return
    match phase:
        case Phase.PENDING:
            _replace(workspace)
        case Phase.ACTIVE:
            _activate(workspace, status)
        case Phase.EXPIRED:
            enter(workspace, Phase.ACTIVE)
            end = workspace.now() + _SHORT_LIFE
            workspace.import_certificate(workspace.own_certificate(not_after=end))
            workspace.wait_until(end)
            workspace.await_status(phase)
        case Phase.DISABLED:
            enter(workspace, Phase.ACTIVE)
            workspace.set_status(phase)
        case Phase.DELETED:
            enter(workspace, Phase.DISABLED)
            workspace.delete()


def _replace(workspace: Workspace) -> None:
    if workspace.shared_so_far == MOST_AUTHORITIES:
        raise Unsettled(f"{MOST_AUTHORITIES} certificate authorities were made already")
    workspace.create_shared()
    workspace.await_status(Phase.PENDING)


def _activate(workspace: Workspace, status: str | None) -> None:
    if status == Phase.DISABLED:
        workspace.set_status(Phase.ACTIVE)
        return
    if status not in {Phase.PENDING, Phase.EXPIRED}:
        _replace(workspace)
    workspace.import_certificate(workspace.own_certificate())
    workspace.await_status(Phase.ACTIVE)
    workspace.issue(csr())  # a CA that says ACTIVE may still refuse for some seconds
