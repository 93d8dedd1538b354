"""The root command, its global options, and the only catch of our errors.

What this module decides:

- which nouns exist, and that a noun's module is imported only when it is named (start-up time);
- how an error becomes text or JSON on stderr and an exit code (table in docs/exit-codes.md);
- that a traceback is shown under ``--debug`` only, and that anything uncaught is a bug with exit code 1.

What a command does is left to the module of its noun.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from pkiops import __version__
from pkiops.cli.invocation import Invocation
from pkiops.cli.options import option
from pkiops.cli.output import emit_error, prepare_streams
from pkiops.errors import InputError, InternalError, Interrupted, PkiopsError

if TYPE_CHECKING:
    from typer._click.core import Context

# Noun -> modules below pkiops.cli: the first holds the noun's ``app``, the others add verbs to it. The order is the order of --help.
NOUNS: dict[str, tuple[str, ...]] = {
    "env": ("env", "env_access"),
    "ca": ("ca", "ca_external", "ca_retire", "ca_health"),
    "cert": ("cert", "cert_bulk", "cert_revoke", "cert_resolve", "cert_list", "cert_renew"),
    "crl": ("crl", "crl_status", "crl_host"),
    "trust": ("trust", "trust_render", "trust_verify", "trust_handshake"),
    "inventory": ("inventory",),
    "policy": ("policy",),
    "sandbox": ("sandbox",),
}

_GLOBAL_OPTIONS = ("-v", "--verbose", "--debug", "--environments", "-V", "--version")
# The usage error of the click that typer carries inside; typer exports only this subclass of it.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class RootGroup(TyperGroup):
    """The root: finds nouns lazily and turns errors into messages and exit codes."""

    def list_commands(self, ctx: Context) -> list[str]:
        del ctx
        return list(NOUNS)

    def get_command(self, ctx: Context, cmd_name: str) -> Any:
        del ctx
        if cmd_name not in NOUNS:
            return None
        modules = [f"pkiops.cli.{name}" for name in NOUNS[cmd_name]]
        module, *_ = [importlib.import_module(name) for name in modules]
        # whichever of them was imported first
        module.app.registered_commands.sort(key=lambda one: modules.index(one.callback.__module__))
        # plain help: drawing boxes would load rich, which costs more than everything else together
        module.app.rich_markup_mode = None
        return get_group(module.app)

    def main(self, args: Sequence[str] | None = None, *positional: Any, **extra: Any) -> Any:
        arguments = list(sys.argv[1:] if args is None else args)
        with _errors_reported(arguments):
            return super().main(arguments, *positional, **extra)

    def invoke(self, ctx: Context) -> Any:
        with _errors_reported(ctx.meta.get("pkiops.arguments", ())):
            return super().invoke(ctx)

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        ctx.meta["pkiops.arguments"] = tuple(args)
        with _errors_reported(args):
            return super().parse_args(ctx, args)


@contextlib.contextmanager
def _errors_reported(arguments: Sequence[str]) -> Iterator[None]:
    as_json = _json_wanted(arguments)
    debug = "--debug" in arguments or os.environ.get("PKIOPS_DEBUG", "") not in {"", "0", "false"}
    try:
        yield
    except PkiopsError as error:
        _report(error, as_json=as_json, debug=debug)
    except KeyboardInterrupt:
        _report(
            Interrupted("interrupted", hint="run the same command again: it continues where it was"),
            as_json=as_json,
            debug=debug,
        )
    except (typer.Exit, typer.Abort, SystemExit, BrokenPipeError, EOFError):
        raise
    except _UsageError as error:
        _say_its_place(error)
        if not as_json:
            raise
        text = error.format_message() if hasattr(error, "format_message") else str(error)
        _report(InputError(text, code="usage.arguments"), as_json=True, debug=debug)
    except Exception as error:
        bug = InternalError(
            f"bug in pkiops: {type(error).__name__}: {error}",
            hint="run again with --debug for the traceback, and report it",
        )
        bug.__cause__ = error
        _report(bug, as_json=as_json, debug=debug)


def _say_its_place(error: Exception) -> None:
    """Of a global option after the command, which is then an unknown one, say where it goes."""
    name = getattr(error, "option_name", None)
    if name in _GLOBAL_OPTIONS:
        error.message = f"{name} goes before the command: pkiops {name} ..."  # type: ignore[attr-defined]


def _report(error: PkiopsError, *, as_json: bool, debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exception(error.__cause__ if isinstance(error, InternalError) and error.__cause__ else error)
    emit_error(error, as_json=as_json)
    raise typer.Exit(error.exit_code) from error


def _json_wanted(arguments: Sequence[str]) -> bool:
    for position, argument in enumerate(arguments):
        if argument == "--format":
            return list(arguments[position + 1 : position + 2]) == ["json"]
        if argument.startswith("--format="):
            return argument == "--format=json"
    return os.environ.get("PKIOPS_FORMAT") == "json"


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"pkiops {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="pkiops",
    cls=RootGroup,
    help="Private PKI for mutual TLS, run as code.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=True,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    ctx: typer.Context,
    environments: Annotated[
        Path, option("--environments", help="Folder of the environment files.", metavar="DIR")
    ] = Path("environments"),
    verbose: Annotated[
        int, option("--verbose", "-v", count=True, help="More on stderr; -vv and -vvv for still more.")
    ] = 0,
    debug: Annotated[bool, option("--debug", help="Show a traceback with an error.")] = False,
    version: Annotated[
        bool, option("--version", "-V", guard=True, is_eager=True, callback=_show_version, help="Show the version.")
    ] = False,
) -> None:
    """Private PKI for mutual TLS, run as code."""
    del version
    arguments = ctx.meta.get("pkiops.arguments", ())
    ctx.obj = Invocation(environments=environments, verbosity=verbose, debug=debug, arguments=arguments)
    if verbose:
        import logging

        logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
        logging.getLogger("pkiops").setLevel(logging.INFO if verbose == 1 else logging.DEBUG)
        if verbose > 2:
            logging.getLogger("botocore").setLevel(logging.INFO)


def run() -> None:
    """Run the command line of this process."""
    prepare_streams()
    app(prog_name="pkiops")
