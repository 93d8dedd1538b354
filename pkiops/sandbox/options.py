"""How a sandbox is set up: what ``pkiops sandbox up`` takes, checked.

What this module decides: how options become the engine's pace and settings, and how they are handed on to a process that runs in the background.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pkiops.sandbox.faults import fault
from pkiops.sandbox.time_travel import delay

if TYPE_CHECKING:
    from pkiops.sandbox.engine.settings import Settings
    from pkiops.sandbox.engine.state import Pace
    from pkiops.sandbox.traffic import Hindrances

_NEVER = 10**9  # polls


@dataclass(frozen=True, slots=True)
class Options:
    """As people write them.

    Args:
        latency: before every answer: ``40ms``.
        quotas: whether Private CA's default request quotas hold.
        quota: quotas that differ from them: ``IssueCertificate=25``; alone, the only ones.
        crl_delay: from a revocation to its CRL: ``30m``.
        issue_delay: from IssueCertificate to the certificate, or None for the first poll.
        seed: identifiers and serials repeat themselves; keys never.
        fault: see ``faults``.
        state: the file that keeps everything, or None.
        enforce_iam: whether callers are held to their IAM policies.
    """

    latency: str = "0s"
    quotas: bool = False
    quota: tuple[str, ...] = ()
    crl_delay: str = "0s"
    issue_delay: str | None = None
    seed: int | None = None
    fault: tuple[str, ...] = ()
    state: Path | None = None
    enforce_iam: bool = False

    def check(self) -> None:
        """Read everything once.

        Raises:
            InputError: one of them is not written as it should be.
        """
        self.hindrances()
        self.settings()
        self.pace()

    def hindrances(self) -> Hindrances:
        """What calls run into."""
        from pkiops.sandbox.quotas import rates
        from pkiops.sandbox.traffic import Hindrances

        quotas = rates(self.quota, defaults=self.quotas)
        return Hindrances(delay(self.latency), quotas, tuple(fault(each) for each in self.fault))

    def settings(self) -> Settings:
        """The engine's delays, and whether callers need permissions."""
        from pkiops.sandbox.engine.settings import Settings

        return Settings(crl_delay=delay(self.crl_delay), enforce_iam=self.enforce_iam)

    def pace(self) -> Pace:
        """How long asynchronous answers take."""
        from pkiops.sandbox.engine.state import Pace

        if self.issue_delay is None:
            return Pace()
        seconds = math.ceil(delay(self.issue_delay).total_seconds())  # the clock knows whole ones
        return Pace(certificate_polls=_NEVER, seconds=seconds) if seconds else Pace(certificate_polls=0)

    def arguments(self) -> list[str]:
        """The same as arguments of ``pkiops sandbox up``."""
        given = ["--latency", self.latency, "--crl-delay", self.crl_delay]
        given += ["--quotas"] if self.quotas else []
        given += ["--enforce-iam"] if self.enforce_iam else []
        given += [word for each in self.quota for word in ("--quota", each)]
        given += ["--issue-delay", self.issue_delay] if self.issue_delay is not None else []
        given += ["--seed", str(self.seed)] if self.seed is not None else []
        given += [word for each in self.fault for word in ("--fault", each)]
        return given + (["--state", str(self.state.absolute())] if self.state else [])
