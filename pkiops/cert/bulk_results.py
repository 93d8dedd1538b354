"""What came of the rows of a bulk run: one result each, and how many there are of each kind.

What this module decides: the words of the report, and which error makes which of them. Keeping the results is left to who gets them: a run has any
number of rows.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pkiops.cert.bulk_manifest import BadRow, Row
from pkiops.cert.order import Issued
from pkiops.errors import BackendError, GuardRefused, InputError, InternalError, PkiopsError, PolicyDenied


class RowStatus(StrEnum):
    """ISSUED: by this run. KEPT: by an earlier one; nothing was asked for. INVALID: the row or its request cannot be read.

    REFUSED: by policy or by a guard. UNKNOWN: an earlier run may have led to a certificate (``cert resolve``). FAILED: by the CA, the ledger, or
    because the result cannot be written. NOT_TRIED: the run ended, or gave up its CA, before its turn.
    """

    ISSUED = "issued"
    KEPT = "kept"
    INVALID = "invalid"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    FAILED = "failed"
    NOT_TRIED = "not-tried"

    @property
    def is_good(self) -> bool:
        """Whether the row has its certificate."""
        return self in {RowStatus.ISSUED, RowStatus.KEPT}


@dataclass(frozen=True, kw_only=True, slots=True)
class RowResult:
    """What came of one row. ``row`` is the number of its line, or of its file in a folder; ``issued`` is there whenever a certificate is."""

    row: int
    source: str
    status: RowStatus
    issued: Issued | None = None
    written: Sequence[str] = ()
    error: PkiopsError | None = None


def status_of(error: PkiopsError) -> RowStatus:
    """What a row is that ended with an error."""
    if error.code == "cert.unknown-intent":
        return RowStatus.UNKNOWN
    if isinstance(error, (PolicyDenied, GuardRefused)):
        return RowStatus.REFUSED
    return RowStatus.INVALID if isinstance(error, InputError) else RowStatus.FAILED


def failed_row(row: Row | BadRow, error: PkiopsError, status: RowStatus | None = None) -> RowResult:
    """The result of a row that ended with an error."""
    return RowResult(row=row.number, source=row.source, status=status or status_of(error), error=error)


def bug_in(error: Exception) -> InternalError:
    """What nobody foresaw in the work on one row, as the error of that row; ``details`` say where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    at = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames[-3:]]
    bug = InternalError(
        f"bug in pkiops: {type(error).__name__}: {error}",
        hint="report it; the other rows are not concerned",
        details={"at": at},
    )
    bug.__cause__ = error
    return bug


def row_json(result: RowResult) -> dict[str, Any]:
    """A result as a line of the report."""
    body: dict[str, Any] = {"row": result.row, "source": result.source, "status": result.status.value}
    if result.issued is not None:
        entry = result.issued.entry
        body |= {
            "serial": entry.serial,
            "sha256": entry.certificate_sha256,
            "not_after": entry.not_after,
            "certificate_reference": entry.certificate_reference,
            "request_key": entry.request_key,
            "attempt": entry.attempt,
            "written": list(result.written),
        }
    if result.error is not None:
        error = result.error
        body |= {"code": error.code, "message": error.message, "hint": error.hint, "details": error.details}
    return body


class Tally:
    """How many rows came to what, and which CAs go on refusing whatever is asked.

    Args:
        give_up_after: so many failures of one CA in a row, without a success between them.
    """

    def __init__(self, give_up_after: int) -> None:
        self.counts: Counter[RowStatus] = Counter()
        self.given_up: dict[str, BackendError] = {}
        self._give_up_after = give_up_after
        self._failures: Counter[str] = Counter()

    def add(self, result: RowResult, authority: str | None = None) -> None:
        """One more result; ``authority`` is the label of the CA that was, or would have been, asked."""
        self.counts[result.status] += 1
        if authority is None:
            return
        if result.status.is_good:
            self._failures[authority] = 0
        elif isinstance(result.error, BackendError):
            self._failures[authority] += 1
            if self._failures[authority] >= self._give_up_after:
                self.given_up.setdefault(authority, result.error)

    @property
    def rows(self) -> int:
        """All rows that came to something."""
        return sum(self.counts.values())

    @property
    def good(self) -> int:
        """Those that have their certificate."""
        return sum(count for status, count in self.counts.items() if status.is_good)

    def __str__(self) -> str:
        return ", ".join(f"{self.counts[one]:,} {one}" for one in RowStatus if self.counts[one]) or "no rows"
