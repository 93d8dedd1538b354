"""What resolving came to, for people and programs, and what a command ends with. Pure.

What this module decides: the words, and that everything unknown which stays unknown is an error: nobody shall go on as if it were settled.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pkiops.cert.resolve import Outcome, Resolution, Resolved
from pkiops.errors import InProgress, PartialApply, PkiopsError, VerificationFailed

_SAID = {
    Outcome.ISSUED: "was made, and is recorded",
    Outcome.NEVER_MADE: "was never made",
    Outcome.NOT_AS_ASKED: "was made, and is not what was asked for",
    Outcome.FAILED: "failed",
    Outcome.ASKED_FOR: "can still be asked for: run cert issue again",
    Outcome.WAITING: "not known yet",
    Outcome.UNRESOLVED: "could not be found out",
}
_SETTLED = (Outcome.ISSUED, Outcome.NEVER_MADE, Outcome.FAILED, Outcome.NOT_AS_ASKED)


def counts(resolved: Resolved) -> dict[str, int]:
    """How many entries there were of each outcome."""
    found = Counter(one.outcome for one in resolved.resolutions)
    return {"entries": len(resolved.resolutions), **{one.value.replace("-", "_"): found[one] for one in Outcome}}


def resolved_json(resolved: Resolved) -> dict[str, Any]:
    """All of it, JSON-ready; entries in the order of the ledger."""
    return {
        "counts": counts(resolved),
        "entries": [_entry_json(one) for one in resolved.resolutions],
        "reports": [
            {"authority_reference": one.authority, "where": one.where, "created_at": one.created_at}
            for one in resolved.reports
        ],
    }


def _entry_json(one: Resolution) -> dict[str, Any]:
    entry, error = one.entry, one.error
    return {
        "entry": entry.id,
        "outcome": one.outcome.value,
        "state": entry.state.value,
        "created_at": entry.created_at,
        "authority": entry.authority,
        "authority_reference": entry.authority_reference,
        "profile": entry.profile,
        "spki_sha256": entry.spki_sha256,
        "certificate_reference": entry.certificate_reference,
        "serial": entry.serial,
        "doubts": list(entry.doubts),
        "known_from": one.again,
        "error": None if error is None else {"code": error.code, "message": error.message, "hint": error.hint},
    }


def resolved_text(resolved: Resolved) -> str:
    """One line for each entry, and one for all."""
    lines = [_line(one) for one in resolved.resolutions]
    found = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts(resolved).items() if count)
    return "\n".join(
        [*lines, found if resolved.resolutions else "nothing is open: every request of the ledger is settled"]
    )


def _line(one: Resolution) -> str:
    entry = one.entry
    common_name = dict(entry.subject).get("common_name")
    name = common_name or next((str(san) for san in entry.sans), entry.profile)
    serial = f" as {entry.serial}" if entry.serial else ""
    when = f", from {one.again:%Y-%m-%dT%H:%M:%SZ} on" if one.again else ""
    return f"{entry.id}  {name} of {entry.created_at:%Y-%m-%dT%H:%M:%SZ}: {_SAID[one.outcome]}{serial}{when}"


def failure(resolved: Resolved) -> PkiopsError | None:
    """What the command ends with; None where nothing stays unknown, less what ``cert issue`` still asks for itself."""
    by_outcome: dict[Outcome, list[Resolution]] = {}
    for one in resolved.resolutions:
        by_outcome.setdefault(one.outcome, []).append(one)
    wrong, left = by_outcome.get(Outcome.NOT_AS_ASKED, []), by_outcome.get(Outcome.UNRESOLVED, [])
    waiting = by_outcome.get(Outcome.WAITING, [])
    if wrong:
        serials = ", ".join(str(one.entry.serial) for one in wrong)
        return VerificationFailed(
            f"{len(wrong)} of what was found is not what was asked for: serial {serials}",
            hint="look at each (pkiops cert show SERIAL --env ENV) and revoke it",
            code="cert.not-as-asked",
            details={"entries": [one.entry.id for one in wrong]},
        )
    errors = [one.error for one in left if one.error is not None]
    settled = any(by_outcome.get(one) for one in _SETTLED)
    if not (left or waiting):
        return None
    if settled:
        first = f": {errors[0].message}" if errors else ""
        return PartialApply(
            f"{len(left) + len(waiting)} of {len(resolved.resolutions)} requests stay unknown{first}",
            hint=errors[0].hint if errors else _again(waiting),
            code="cert.resolve-partial",
        )
    if errors:
        return errors[0]
    return InProgress(
        f"{len(waiting)} {'request was' if len(waiting) == 1 else 'requests were'} made too short a time ago: "
        "a report of now would not tell whether a certificate exists",
        hint=_again(waiting),
        code="cert.resolve-too-soon",
    )


def _again(waiting: list[Resolution]) -> str:
    moments = [one.again for one in waiting if one.again is not None]
    return f"run the same command again after {max(moments):%Y-%m-%dT%H:%M:%SZ}" if moments else "run it again later"
