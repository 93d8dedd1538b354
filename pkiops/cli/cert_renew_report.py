"""What ``pkiops cert renew`` says of its targets, and what it ends with. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pkiops.cli.cert_renew_run import HookOutcome, RenewalOutcome, RenewalResult
from pkiops.errors import ChangesPending, PartialApply, PkiopsError


def results_json(results: Sequence[RenewalResult]) -> dict[str, Any]:
    """All targets in the order in which they were named, JSON-ready."""
    found = Counter(one.outcome for one in results)
    return {
        "changed": any(one.changed for one in results),
        "counts": {outcome.value.replace("-", "_"): found[outcome] for outcome in RenewalOutcome},
        "targets": [
            {
                "target": one.target,
                "outcome": one.outcome.value,
                "replaced": one.replaced,
                "serial": one.serial,
                "not_after": one.not_after,
                "due": one.due,
                "new_key": one.new_key,
                "written": list(one.written),
                "hook": one.hook.value,
                "error": None
                if one.error is None
                else {"code": one.error.code, "message": one.error.message, "hint": one.error.hint},
            }
            for one in results
        ],
    }


def results_text(results: Sequence[RenewalResult]) -> str:
    """One line for each target."""
    return "\n".join(_line(one) for one in results)


def _line(one: RenewalResult) -> str:
    until = f", valid until {one.not_after:%Y-%m-%dT%H:%M:%SZ}" if one.not_after else ""
    hook = "" if one.hook is HookOutcome.NONE else f"; hook: {one.hook.value}"
    if one.hook is HookOutcome.FAILED and one.error is not None:
        hook = f"{hook} ({one.error.message})"
    if one.outcome is RenewalOutcome.FAILED:
        what = f"failed: {one.error.message if one.error else 'unknown'}"
        return f"{one.target}: {what}"
    if one.outcome is RenewalOutcome.NOT_DUE:
        due = f" before {one.due:%Y-%m-%dT%H:%M:%SZ}" if one.due else ""
        return f"{one.target}: not due{due}{until}{hook}"
    key = " with a new key" if one.new_key else ""
    if one.outcome is RenewalOutcome.BY_ANOTHER:
        return f"{one.target}: renewed by another run, serial {one.serial}{until}{hook}"
    return f"{one.target}: renewed{key}, {one.replaced} by {one.serial}{until}{hook}"


def failure(results: Sequence[RenewalResult], *, detailed_exitcode: bool) -> PkiopsError | None:
    """What the command ends with: an error alone if there is one target, 7 if only some failed, else 5 for a change where that is asked for."""
    errors = [one.error for one in results if one.error is not None]
    if errors and len(results) == 1:
        return errors[0]
    if errors:
        failed = [one.target for one in results if one.error is not None]
        if len(errors) == len(results) and len({one.code for one in errors}) == 1:
            return errors[0]
        return PartialApply(
            f"{len(errors)} of {len(results)} targets failed: {failed[0]}: {errors[0].message}",
            hint=errors[0].hint,
            code="cert.renew-partial",
            details={"failed": failed},
        )
    if detailed_exitcode and any(one.changed for one in results):
        count = sum(one.changed for one in results)
        return ChangesPending(f"{count} of {len(results)} changed (--detailed-exitcode)", code="cert.renewed")
    return None
