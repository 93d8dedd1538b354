"""What ``ca doctor`` found, on stdout and by exit code."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pkiops.ca.doctor.catalogue import CHECKS, Check, Finding, Severity, finding
from pkiops.ca.doctor.diagnose import diagnose
from pkiops.ca.doctor.examine import Examination
from pkiops.cli.output import emit, emit_json, table
from pkiops.clock import SystemClock
from pkiops.environment.finding import one_line
from pkiops.errors import AccessDenied, BackendError, ChangesPending, GuardRefused

if TYPE_CHECKING:
    from pkiops.factory import Factory
    from pkiops.trust.handshake import Address


def examine(factory: Factory, *, probe: bool, connect_to: str | None, deep: bool = False) -> tuple[Finding, ...]:
    """Look at an environment; that nobody may look at all is a finding too, and that nobody answers.

    Raises:
        InputError: ``connect_to`` is no address.
    """
    from pkiops.crl.download import ConnectTo
    from pkiops.trust.handshake import Address

    # the sandbox answers for every host that its CAs name
    where = Address.parse(connect_to) if connect_to else _sandbox_address(factory)
    unreached = _unreached(factory)
    if any(one.where == factory.homes[0].account for one in unreached):
        return unreached
    examination = Examination(
        factory.environment,
        factory.backend,
        factory.buckets,
        factory.trust_store,
        factory.clock,
        tables=factory.tables,
        probe=probe,
        connect_to=ConnectTo(where.host, where.port) if where else None,
        entries=factory.known_entries(),
        deep=deep,
        progress=factory.progress,
    )
    return (*unreached, *diagnose(examination.read(), factory.clock.now()))


def _unreached(factory: Factory) -> tuple[Finding, ...]:
    """The homes in which nothing can be looked at: the caller is not let in, or another account's, or nobody answers.

    The default home is named by its account alone.
    """
    found = []
    for home in factory.homes:
        where = home.account if home == factory.homes[0] else str(home)
        try:
            factory.check_home(home)
        except GuardRefused as error:
            found.append(finding("account.mismatch", where, error.message, error.hint or ""))
        except BackendError as error:
            code = "account.credentials" if isinstance(error, AccessDenied) else "account.unreachable"
            found.append(finding(code, where, error.message, error.hint or ""))
    return tuple(found)


def _sandbox_address(factory: Factory) -> Address | None:
    from urllib.parse import urlsplit

    from pkiops.trust.handshake import Address

    if not factory.environment.backend.sandbox:
        return None
    url = urlsplit(factory.clients.access.endpoint_urls["acm-pca"])
    return Address(url.hostname or "", url.port or (443 if url.scheme == "https" else 80))


def show(environment: str, found: Sequence[Finding], at: datetime, *, as_json: bool) -> None:
    """Write findings, the worst first."""
    if as_json:
        emit_json("ca-doctor", environment, at, {"findings": [_finding_json(one) for one in found]})
        return
    lines = []
    for one in found:
        lines.append(one_line(f"{one.check.severity.name.lower()} {one.check.code} {one.where}: {one.message}"))
        lines.append(f"    prevents: {one.check.prevents}")
        lines.append(one_line(f"    hint: {one.hint}"))
    counts = [(severity, sum(one.check.severity is severity for one in found)) for severity in reversed(Severity)]
    total = ", ".join(_counted(count, severity) for severity, count in counts if count) or "nothing found"
    emit("\n".join([*lines, f"{environment}: {total} ({len(CHECKS)} checks)"]))


def _counted(count: int, severity: Severity) -> str:
    word = severity.name.lower()
    return f"{count} {word}" if count == 1 or severity is Severity.INFO else f"{count} {word}s"


def show_catalogue(*, as_json: bool) -> None:
    """Write every check there is."""
    if as_json:
        emit_json("ca-doctor-checks", None, SystemClock().now(), {"checks": [_check_json(one) for one in CHECKS]})
        return
    rows = [(one.code, one.severity.name.lower(), one.title, one.prevents, one.source) for one in CHECKS]
    emit(table(("CODE", "SEVERITY", "WHAT", "PREVENTS", "SOURCE"), rows))


def raise_found(environment: str, found: Sequence[Finding], fail_on: str) -> None:
    """Say by exit code that something of that severity, or worse, was found.

    Raises:
        ChangesPending: it was.
    """
    worst = [one for one in found if one.check.severity >= Severity[fail_on.upper()]]
    if worst:
        raise ChangesPending(
            f"{environment}: {len(worst)} finding{'s' if len(worst) > 1 else ''} of severity {fail_on} or worse",
            hint="each has a hint above",
            code="doctor.findings",
        )


def _finding_json(one: Finding) -> dict[str, Any]:
    return {**_check_json(one.check), "where": one.where, "message": one.message, "hint": one.hint}


def _check_json(check: Check) -> dict[str, Any]:
    return {
        "code": check.code,
        "severity": check.severity.name.lower(),
        "title": check.title,
        "prevents": check.prevents,
        "source": check.source,
    }
