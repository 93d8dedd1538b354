"""``pkiops inventory``: export what exists and what was issued."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pkiops.cli.options import EnvironmentArgument, OverwriteOption, option
from pkiops.cli.output import emit_bytes, iso, json_text, note, table
from pkiops.cli.wiring import factory_of
from pkiops.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pkiops.environment.models import Environment
    from pkiops.factory import Factory
    from pkiops.inventory.records import AuthorityRecord, CertificateRecord, Inventory
    from pkiops.ledger.interface import Entry

app = typer.Typer(name="inventory", help="What exists and what was issued, for auditors.", no_args_is_help=True)


@app.callback()
def inventory() -> None:
    """What exists and what was issued, for auditors."""


class ExportFormat(StrEnum):
    """How an inventory is written."""

    JSON = "json"
    CSV = "csv"
    TEXT = "text"


class TableChoice(StrEnum):
    """A part of an inventory."""

    AUTHORITIES = "authorities"
    CERTIFICATES = "certificates"


@app.command("export")
def export_command(
    ctx: typer.Context,
    environment: EnvironmentArgument,
    format_: Annotated[
        ExportFormat, option("--format", help="json is complete, csv one table, text an overview.")
    ] = ExportFormat.JSON,
    table_: Annotated[
        TableChoice | None, option("--table", help="Only this table; csv on stdout or into one file: authorities.")
    ] = None,
    output: Annotated[
        str | None,
        option(
            "--output", help="A file, or - for stdout; for csv also a folder, a file per table.", metavar="FILE|DIR/|-"
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    allow_endpoint: Annotated[
        bool, option("--allow-endpoint", guard=True, help="Accept an endpoint that is neither AWS nor this machine.")
    ] = False,
) -> None:
    """Export every CA of the environment and every certificate of its ledger. Reads only."""
    from pkiops.cli.files import FileToWrite, check_targets, write_files
    from pkiops.inventory.collect import collect

    targets = _targets(format_, table_, None if output == "-" else output)
    check_targets([FileToWrite(path, b"") for path in targets.values() if path], overwrite=overwrite)
    factory = factory_of(ctx, environment, allow_endpoint=allow_endpoint)
    factory.check_account()
    found = collect(factory.environment, factory.backend, lambda: _entries(factory), factory.clock, _tables(targets))
    _say_what_is_missing(factory.environment, found)
    texts = {name: _render(name, format_, factory.environment, found) for name in targets}
    files = [FileToWrite(path, texts[name]) for name, path in targets.items() if path]
    if not files:
        emit_bytes(b"".join(texts.values()))
        return
    write_files(files, overwrite=overwrite)
    for file in files:
        note(f"written: {file.path}")


def _targets(format_: ExportFormat, table_: TableChoice | None, output: str | None) -> dict[str, Path | None]:
    """What is rendered (a table, or ``all``), and into which file; None is stdout."""
    is_folder = output is not None and (output.endswith("/") or Path(output).is_dir())
    if format_ is not ExportFormat.CSV:
        if is_folder:
            raise InputError(
                f"{output} is a folder, not a file", hint="only --format csv is a file per table", code="usage.output"
            )
        return {table_ or "all": Path(output) if output else None}
    if output is not None and is_folder:
        chosen = [table_] if table_ else list(TableChoice)
        return {name: Path(output) / f"{name}.csv" for name in chosen}
    if table_ is None:
        note("note: this is the table authorities; --table certificates is the other, --output DIR/ writes both")
    return {table_ or TableChoice.AUTHORITIES: Path(output) if output else None}


def _tables(targets: Mapping[str, object]) -> Sequence[Any]:
    from pkiops.inventory.collect import Table

    return list(Table) if "all" in targets else [Table(name) for name in targets]


def _entries(factory: Factory) -> Iterable[Entry]:
    return factory.ledger.entries(factory.environment.environment)


def _ledger_exists(environment: Environment) -> bool:
    from pkiops.environment.models import SqliteLedger
    from pkiops.ledger.sqlite_file import exists

    # a table that does not exist is an error to read, and a file is none
    return not isinstance(environment.ledger, SqliteLedger) or exists(Path(environment.ledger.path))


def _say_what_is_missing(environment: Environment, found: Inventory) -> None:
    if found.certificates is not None and not _ledger_exists(environment):
        place = _sources(environment)["certificates"]["path"]
        note(f"note: there is no ledger at {place}, so no certificate is listed; is this its folder?")
    for one in found.skipped:
        note(f"note: {one.table}: {one.what} of {one.item} left out: {one.reason}")


def _render(name: str, format_: ExportFormat, environment: Environment, found: Inventory) -> bytes:
    from pkiops.inventory.export.csv_export import authorities_csv, certificates_csv
    from pkiops.inventory.export.json_export import inventory_body

    if format_ is ExportFormat.TEXT:
        return (_overview(found) + "\n").encode()
    if format_ is ExportFormat.JSON:
        body = inventory_body(found, _sources(environment))
        return (json_text("inventory", found.environment, found.generated_at, body) + "\n").encode()
    if name == TableChoice.AUTHORITIES:
        return authorities_csv(found.authorities or ())
    return certificates_csv(found.certificates or ())


def _sources(environment: Environment) -> dict[str, dict[str, Any]]:
    from pkiops.environment.homes import homes_of

    backend, ledger = environment.backend, environment.ledger
    place = "path" if ledger.type == "sqlite" else "table"
    service = {
        "type": backend.type,
        "account": backend.account,
        "region": backend.region,
        "sandbox": backend.sandbox,
        "homes": [{"account": home.account, "region": home.region} for home in homes_of(environment)],
    }
    return {
        "authorities": service,
        "certificates": {"type": ledger.type, place: getattr(ledger, place), "exists": _ledger_exists(environment)},
    }


def _ends(record: AuthorityRecord | CertificateRecord) -> tuple[str, str]:
    return iso(record.not_after)[:10] if record.not_after else "", "" if record.days_left is None else str(
        record.days_left
    )


def _overview(found: Inventory) -> str:
    parts = []
    if found.authorities is not None:
        rows = [
            (
                a.authority or "?",
                str(a.generation or "?"),
                a.position,
                a.status or "missing",
                *_ends(a),
                a.sha256 or "",
            )
            for a in found.authorities
        ]
        parts.append(table(("AUTHORITY", "GENERATION", "POSITION", "STATUS", "ENDS", "DAYS LEFT", "SHA256"), rows))
    if found.certificates is not None:
        lines = [
            (c.serial or "?", c.authority or "?", c.profile, c.validity or c.state, *_ends(c), " ".join(c.sans))
            for c in found.certificates
        ]
        parts.append(table(("SERIAL", "AUTHORITY", "PROFILE", "VALIDITY", "ENDS", "DAYS LEFT", "NAMES"), lines))
    return "\n\n".join(parts)
