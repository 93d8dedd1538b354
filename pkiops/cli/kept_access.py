"""Owner, group and mode of a file that takes the place of another.

What this module decides: they stay as they were, so that a server which may read its key by its group can still read the next one. Not kept is what
says nothing about whom a person trusts: a file that is another user's, unless we are root and nobody else could have put it there; and of a file
with a private key what all others may do: a mode that lets everybody read was never meant for a key.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from pkiops.cli.own_folders import own_folder
from pkiops.errors import GuardRefused

_BY_OTHERS, _BY_GROUP = 0o007, 0o070


def access_of(path: Path, *, within: Path) -> os.stat_result | None:
    """What is kept of the plain file or folder at ``path``; None for nothing. ``within`` is the folder that decides who could have put it there."""
    with contextlib.suppress(OSError, GuardRefused):
        found = os.lstat(path)
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            return None
        if found.st_uid == os.geteuid():
            return found
        # the sticky bit lets everybody put a file there before we do
        writable = os.stat(within).st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if os.geteuid() == 0 and not writable:
            own_folder(within)
            return found
    return None


def keep_access(descriptor: int, kept: os.stat_result, *, private: bool) -> None:
    """Give an open file or folder of ours, which nobody else may read yet, owner, group and mode of ``kept``; ``private``: it holds a key."""
    mode = stat.S_IMODE(kept.st_mode) & 0o777
    if private and mode & _BY_OTHERS:
        mode = 0o600
    own = os.fstat(descriptor)
    if (own.st_uid, own.st_gid) != (kept.st_uid, kept.st_gid):
        try:
            os.fchown(descriptor, kept.st_uid, kept.st_gid)
        except PermissionError:
            # a group that this user is not in (any more): what that group might do, ours might not
            mode &= ~_BY_GROUP if private else 0o777
    os.fchmod(descriptor, mode)
