"""Is a folder ours, so that nobody else leads us elsewhere while we read and write in it by name?

What this module decides: a folder is ours if it and every one above it belong to us or to root, and, for root, who may write everywhere, if nobody
else can rename what is in them (write permission of others without the sticky bit). Links on the way are followed first, and then the real path is
used. Who may rename one component can lead a program of root to any place, whatever it checked before: so there is no weaker rule. It is asked for
before files are replaced without a person who looks on (``cert renew``).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pkiops.errors import GuardRefused


def own_folder(folder: Path) -> Path:
    """The real path of a folder that is ours.

    Raises:
        GuardRefused: code ``guard.folder-owner``, it is not.
        OSError: it cannot be looked at.
    """
    # not Path.resolve: before Python 3.13 a loop of links is no OSError there
    real = Path(os.path.realpath(folder, strict=True))
    for one in (real, *real.parents):
        why = why_not_ours(os.stat(one, follow_symlinks=False), as_root=os.geteuid() == 0)
        if why is not None:
            raise GuardRefused(
                f"{folder} is not renewed by this user: {one} {why[0]}, and who can rename what is in it can have files written elsewhere",
                hint=why[1].format(folder=one),
                code="guard.folder-owner",
            )
    return real


def why_not_ours(found: os.stat_result, *, as_root: bool) -> tuple[str, str] | None:
    """What is wrong with a folder, and what to do about it ({folder} is its path); None if it is ours."""
    if found.st_uid not in {0, os.geteuid()}:
        return f"belongs to another user (uid {found.st_uid})", "run it as that user, or chown {folder} to this one"
    if not as_root or found.st_mode & stat.S_ISVTX:
        return None
    if found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and found.st_gid != 0):
        return "can be written to by others", "chmod go-w {folder}"
    return None
