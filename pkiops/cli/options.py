"""Options that several commands share, and the one rule for environment variables.

Every option reads ``PKIOPS_<NAME>`` where NAME is its long flag in capitals (``PKIOPS_PROBE_WITH`` for the certificates of ``trust``: elsewhere
``--probe`` is a switch), except those that wave a guard away
(``guard=True``): consent must be given in the call that needs it, never inherited from a shell.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from pkiops.errors import InputError


def option(*flags: str, guard: bool = False, variable: str | None = None, **settings: Any) -> Any:
    """A typer option whose environment variable follows from its first flag, or from ``variable`` where the flag means two things."""
    name = variable or flags[0].split("/")[0].lstrip("-").replace("-", "_").upper()
    return typer.Option(*flags, envvar=None if guard else f"PKIOPS_{name}", show_envvar=False, **settings)


class Format(StrEnum):
    """How a result is written to stdout."""

    TEXT = "text"
    JSON = "json"


EnvironmentArgument = Annotated[
    str, typer.Argument(metavar="ENV", help="Environment: the stem of a file in the environments folder.")
]
EnvironmentsArgument = Annotated[
    list[str], typer.Argument(metavar="ENV...", help="Environments: stems of files in the environments folder.")
]
FormatOption = Annotated[Format, option("--format", help="text for people, json for programs.")]
YesOption = Annotated[bool, option("--yes", "-y", guard=True, help="Do not ask.")]
OverwriteOption = Annotated[
    bool, option("--overwrite", guard=True, help="Replace files that exist and were not written by pkiops.")
]
KeyPassphraseNameOption = Annotated[
    str | None, option("--key-passphrase-name", help="Secret that decrypts --key.", metavar="NAME")
]
PassphraseNameOption = Annotated[
    str | None, option("--passphrase-name", help="Secret that encrypts PKCS#12 and JKS outputs.", metavar="NAME")
]
SecretNameOption = Annotated[
    str | None, option("--secret-name", help="Of a Kubernetes Secret; else its file's.", metavar="[NAMESPACE/]NAME")
]
ReissueOption = Annotated[
    bool, option("--reissue", guard=True, help="Accept a second certificate where a lost answer may hide a first.")
]
AtOption = Annotated[
    str | None, option("--at", metavar="TIME", help="The moment, as 2026-12-31T00:00:00Z; now unless given.")
]


def moment_of(text: str | None, flag: str = "--at") -> datetime | None:
    """The moment that ``--at``, or another option, names.

    Raises:
        InputError: it is none, or has no zone.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is not None and len(text) == len("2026-12-31"):
        return moment.replace(tzinfo=UTC)  # the day begins
    if moment is None or moment.tzinfo is None:
        raise InputError(
            f"{flag} {text}: not a moment with its zone, nor a day",
            hint="write 2026-12-31T00:00:00Z, or 2026-12-31 for the moment it begins (UTC)",
            code="usage.arguments",
        )
    return moment
