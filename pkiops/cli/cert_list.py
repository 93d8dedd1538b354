"""``pkiops cert list``, and what ``cert show --env`` says of the ledger: certificates and requests by what is known of them."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pkiops.cli.cert import AllowEndpoint, app, duration_of
from pkiops.cli.options import AtOption, EnvironmentArgument, Format, FormatOption, moment_of, option
from pkiops.cli.output import emit, emit_json, note, table
from pkiops.cli.wiring import factory_of
from pkiops.errors import InputError

if TYPE_CHECKING:
    from pkiops.cert.listing import Page
    from pkiops.factory import Factory
    from pkiops.ledger.interface import Entry
    from pkiops.x509.duration import Duration

_MOST = 1000
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class StateChoice(StrEnum):
    """States of entries; open ones may have led to a certificate that is not known."""

    OPEN = "open"
    PENDING = "pending"
    ISSUED = "issued"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"
    REVOKED = "revoked"


@app.command("list")
def list_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    *,
    name: Annotated[
        str | None,
        option("--name", metavar="NAME", help="An alternative name (dns: may be left out) or common name, whole."),
    ] = None,
    serial: Annotated[str | None, option("--serial", metavar="SERIAL", help="In hexadecimal.")] = None,
    authority: Annotated[str | None, option("--authority", metavar="LABEL", help="Of this CA.")] = None,
    profile: Annotated[str | None, option("--profile", metavar="PROFILE", help="Of this profile.")] = None,
    state: Annotated[StateChoice | None, option("--state", metavar="STATE", help=f"{', '.join(StateChoice)}.")] = None,
    requester: Annotated[
        str | None, option("--requester", metavar="TEXT", help="Asked for by a caller with this in its ARN.")
    ] = None,
    expiring_before: Annotated[
        str | None,
        option("--expiring-before", metavar="TIME", help="Certificates that end before, expired ones too."),
    ] = None,
    expiring_within: Annotated[
        str | None, option("--expiring-within", metavar="DURATION", help="Valid certificates that end within 30d, 12h.")
    ] = None,
    at: AtOption = None,
    limit: Annotated[int, option("--limit", min=1, max=_MOST, metavar="N", help="The longest page.")] = 100,
    after: Annotated[
        str | None, option("--after", metavar="ID", help="Go on after this entry, as the page before says.")
    ] = None,
    format_: FormatOption = Format.TEXT,
    allow_endpoint: AllowEndpoint = False,
) -> None:
    """List the ledger's certificates and requests, a page at a time. Asks the ledger only, no CA."""
    from pkiops.cert.entry_report import entry_json
    from pkiops.cert.listing import ListedState, Search, find_entries

    moment = moment_of(at)
    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    search = Search(
        name=name,
        serial=serial,
        authority=_known(authority, factory.environment.authorities, "authority"),
        profile=profile,
        state=None if state is None else ListedState(state.value),
        requester=requester,
        expiring=_expiring(factory, expiring_before, expiring_within, moment),
    )
    if profile is not None and profile not in factory.environment.profiles:
        # entries outlive the profiles that they were issued under
        known = ", ".join(factory.environment.profiles) or "none"
        note(f"the environment file has no profile {profile!r} (any more); it has {known}")
    page = find_entries(factory.ledger, environment, search, limit=limit, after=after)
    for one in page.unreadable:
        note(f"left out: {one.message}")
    if format_ is Format.JSON:
        body = {
            "entries": [entry_json(one, _window(factory, one)) for one in page.entries],
            "next": page.next,
            "looked_at": page.looked_at,
            "unreadable": [{"entry": one.details["entry"], "message": one.message} for one in page.unreadable],
        }
        emit_json("cert-list", environment, factory.clock.now(), body)
        return
    _say(page)


def _window(factory: Factory, entry: Entry) -> Duration | None:
    profile = factory.environment.profiles.get(entry.profile)
    return None if profile is None else profile.renewal_window


def _known(label: str | None, labels: Any, what: str) -> str | None:
    if label is not None and label not in labels:
        raise InputError(
            f"the environment has no {what} {label!r}", hint=f"there are {', '.join(labels)}", code="usage.arguments"
        )
    return label


def _expiring(
    factory: Factory, before: str | None, within: str | None, moment: datetime | None
) -> tuple[datetime, datetime] | None:
    if before is not None and within is not None:
        raise InputError("give either --expiring-before or --expiring-within", code="usage.arguments")
    if before is not None:
        end = moment_of(before, "--expiring-before")
        return None if end is None else (_BEGINNING, end)
    life = duration_of(within, "--expiring-within")
    if life is None:
        return None
    if moment is None and factory.environment.backend.sandbox:
        # its clock may have been moved, and the answer of any call tells how far
        factory.caller()
    now = moment or factory.clock.now()
    return now, life.after(now)


def _say(page: Page) -> None:
    if page.entries:
        headings = ("SERIAL OR ENTRY", "STATE", "NAME", "AUTHORITY", "PROFILE", "ASKED FOR", "VALID UNTIL")
        emit(table(headings, [_row(one) for one in page.entries]))
    else:
        note(
            "nothing of that kind is in the ledger"
            if page.next is None
            else f"nothing in the {page.looked_at} entries looked at"
        )
    if page.next is not None:
        note(f"there may be more: the same command with --after {page.next}")


def _row(one: Entry) -> tuple[str, ...]:
    common_name = dict(one.subject).get("common_name")
    names = [str(san) for san in one.sans]
    if common_name and common_name not in {san.value for san in one.sans}:
        names.insert(0, common_name)
    more = f" (+{len(names) - 1})" if len(names) > 1 else ""
    until = f"{one.not_after:%Y-%m-%d %H:%M}" if one.not_after and one.serial else "-"
    state = "revoked" if one.revocation else one.state.value
    asked = f"{one.created_at:%Y-%m-%d %H:%M}"
    name = f"{names[0]}{more}" if names else "-"
    # either finds it again (cert show); an entry without a certificate has no serial number
    return one.serial or one.id, state, name, one.authority or "-", one.profile, asked, until


def show_entries(ctx: typer.Context, environment: str, target: str, format_: Format, *, allow_endpoint: bool) -> None:
    """What the ledger of an environment holds of a serial number or under the id of an entry.

    Raises:
        InputError: nothing.
    """
    from pkiops.cert.entry_report import entry_text, whole_entry_json
    from pkiops.cert.listing import find_one

    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    found = find_one(factory.ledger, environment, target)
    if format_ is Format.JSON:
        emit_json(
            "cert-show",
            environment,
            factory.clock.now(),
            {"entries": [whole_entry_json(one, _window(factory, one)) for one in found]},
        )
        return
    emit("\n\n".join(entry_text(one, _window(factory, one)) for one in found))
