"""What is known of the published CRLs of an environment, and what was made of it, as data: no decisions here.

``status_read.py`` makes the facts, ``status.py`` judges them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from pkiops.crl.manifest import CrlRecord


class Severity(IntEnum):
    """INFO: good to know. WARNING: look at it in working hours. CRITICAL: relying parties refuse clients or take revoked ones, or soon will."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3

    @property
    def word(self) -> str:
        """``info``, ``warning``, ``critical``."""
        return self.name.lower()


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Something that is wrong; ``authority`` is ``clients-g1``, None where it is about the set. ``unusable``: a CRL is expired or invalid."""

    code: str
    severity: Severity
    authority: str | None
    message: str
    hint: str
    unusable: bool = False


@dataclass(frozen=True, slots=True)
class SkippedCheck:
    """A check that was not made, and why; ``authority`` is None where it was made for none."""

    check: str
    authority: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class CrlProblem:
    """Why a published CRL cannot be used; not ``proven`` where it could not be read at all."""

    code: str
    message: str
    proven: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedFacts:
    """A CRL of the set: what the manifest says, what was read, and what is wrong with it.

    ``size`` is that of the DER in bytes, None where it was not read; ``verified`` is whether its signature was checked under its CA.
    """

    record: CrlRecord
    size: int | None = None
    verified: bool = False
    problem: CrlProblem | None = None

    @property
    def is_judged(self) -> bool:
        """Whether it was verified, or is known to be of no use."""
        return self.verified or self.problem is not None


@dataclass(frozen=True, slots=True)
class OwnCrl:
    """The CRL that the CA itself wrote last; ``problem`` is why it is none of this CA's, and then the rest is None."""

    number: int | None
    this_update: datetime | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class SerialSample:
    """How many certificates, and the serial numbers (hex) of the first of them."""

    count: int
    first: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerFacts:
    """A published CRL beside the ledger.

    ``unlisted``: revoked in the ledger for a while, and not on the CRL. ``unrecorded``: on the CRL, and not revoked in the ledger. ``unknown``: on
    the CRL, of certificates that the ledger does not know.
    """

    unlisted: SerialSample
    unrecorded: SerialSample
    unknown: SerialSample


@dataclass(frozen=True, slots=True)
class LaterCrl:
    """A CRL in the history with a higher number than the published one, and how many seconds ago it was written there, or why it is none."""

    number: int
    age_s: float
    problem: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryFacts:
    """What the history says about a published CRL.

    ``other_sha256`` is that of another CRL which has its number there; ``numbers`` are its own and those before it, the newest first; ``lost`` is one
    that is named and not there; ``problem`` is why an entry is none; ``later`` should be None.
    """

    recorded: bool
    other_sha256: str | None = None
    numbers: tuple[int, ...] = ()
    lost: int | None = None
    problem: str | None = None
    later: LaterCrl | None = None

    @property
    def gap(self) -> tuple[int, int] | None:
        """The first and last number that are missing below the published one, of a CA that is seen to count by one; others may jump as they like."""
        steps = [newer - older for newer, older in zip(self.numbers, self.numbers[1:], strict=False)]
        if 1 not in steps or not steps or steps[0] == 1:
            return None
        return self.numbers[1] + 1, self.numbers[0] - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthorityFacts:
    """What is known of one CA's CRL.

    ``own`` is None where nobody may look or there is none, ``ledger`` and ``history`` where nothing was compared; ``silent``: it has issued
    nothing yet.
    """

    name: str
    label: str
    generation: int
    published: PublishedFacts | None
    own: OwnCrl | None = None
    ledger: LedgerFacts | None = None
    history: HistoryFacts | None = None
    silent: bool = False
    kept_elsewhere: bool = False

    @property
    def part(self) -> str | None:
        """The name of the part within its CA's, None of a complete CRL."""
        return self.name.partition(".")[2] or None


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusFacts:
    """Everything that was read of an environment; ``set_problem`` is why the published set as a whole cannot be read."""

    environment: str
    manifest_sha256: str | None
    authorities: tuple[AuthorityFacts, ...]
    set_problem: CrlProblem | None = None
    index_problem: CrlProblem | None = None
    skipped: tuple[SkippedCheck, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthorityStatus:
    """One CA's CRL as of ``at``: ``state`` is ``ok``, ``warning`` or ``critical``; times are None where nothing is published."""

    facts: AuthorityFacts
    state: str
    age: timedelta | None = None
    remaining: timedelta | None = None
    remaining_ratio: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CrlStatus:
    """The CRLs of an environment as of ``at`` (aware), and every finding, the worst first."""

    environment: str
    at: datetime
    manifest_sha256: str | None
    authorities: tuple[AuthorityStatus, ...]
    findings: tuple[Finding, ...]
    skipped: tuple[SkippedCheck, ...] = ()

    @property
    def unusable(self) -> tuple[Finding, ...]:
        """What makes a CRL one that must not be used."""
        return tuple(one for one in self.findings if one.unusable)

    def count(self, severity: Severity) -> int:
        """How many findings are of that severity."""
        return sum(one.severity is severity for one in self.findings)
