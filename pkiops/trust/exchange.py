"""Putting one folder in the place of another in a single step, where the system can: whoever opens it meanwhile finds the old one or the new one.

Linux has renameat2 with RENAME_EXCHANGE (man 2 renameat2); Python does not wrap it. Elsewhere there are two renames, and a moment between them.
"""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}


def exchange(one: Path, other: Path) -> bool:
    """Swap two folders of one file system; False, with nothing done, where the system or the file system cannot.

    Raises:
        OSError: one of them is not there, or may not be moved.
    """
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(other))
