"""Secrets by name: a passphrase is never in an environment file or on a command line, only its name is.

What this module decides: what a name looks like, that ``PKIOPS_SECRET_<NAME>`` comes before the file of that name in the user's configuration folder,
and that a file others can read holds no secret. What a secret is for is left to whoever asks.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pkiops.errors import GuardRefused, InputError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_VARIABLE = "PKIOPS_SECRET_"
_MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class NamedSecrets:
    """Where secrets are looked up: environment variables, then the files of a folder."""

    variables: Mapping[str, str]
    folder: Path

    @classmethod
    def of_user(cls, variables: Mapping[str, str]) -> NamedSecrets:
        """Those of whoever runs this process; the folder follows the XDG Base Directory Specification (``XDG_CONFIG_HOME``, absolute or ignored)."""
        configured = Path(variables.get("XDG_CONFIG_HOME", ""))
        base = configured if configured.is_absolute() else Path(variables.get("HOME", "/")) / ".config"
        return cls(variables, base / "pkiops" / "secrets")

    def get(self, name: str) -> bytes:
        """The secret of that name, in UTF-8; one line end at its end is no part of it.

        Raises:
            InputError: the name is none (it may be the secret itself, and is not repeated), there is no such secret, or it is empty or too long.
            GuardRefused: others can read its file.
        """
        if not _NAME.fullmatch(name):
            raise InputError(
                "what was given is not the name of a secret (letters, digits, - and _)",
                hint="give a name, and the secret itself in PKIOPS_SECRET_<NAME>; never on the command line",
                code="secret.name",
            )
        variable = _VARIABLE + name.replace("-", "_").upper()
        file = self.folder / name
        data = self.variables[variable].encode() if variable in self.variables else _read(file)
        if data is None:
            raise InputError(
                f"there is no secret named {name}", hint=f"set {variable}, or write it to {file}", code="secret.missing"
            )
        secret = data.removesuffix(b"\n").removesuffix(b"\r")
        if not secret or len(data) > _MAX_BYTES or b"\x00" in secret:
            raise InputError(
                f"the secret {name} is empty, longer than {_MAX_BYTES} bytes, or no text", code="secret.unusable"
            )
        return secret


def _read(file: Path) -> bytes | None:
    try:
        # a pipe put in place of the file must not make us wait
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}", code="secret.unreadable") from error
    with os.fdopen(descriptor, "rb") as stream:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise InputError(f"{file} is not a plain file", code="secret.unreadable")
        if mode & 0o077:
            raise GuardRefused(
                f"others than its owner can use {file}", hint=f"chmod 600 {file}", code="guard.secret-mode"
            )
        return stream.read(_MAX_BYTES + 1)
