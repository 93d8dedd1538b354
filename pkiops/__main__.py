"""The entry point: ``python -m pkiops`` and the ``pkiops`` script.

Exactly ``--version`` and ``-V`` are answered before anything is imported, because a version check is what scripts do most.
"""

from __future__ import annotations

import sys

from pkiops import __version__


def main() -> None:
    """Run the command line and exit the process with its code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"pkiops {__version__}\n")
        return
    import gc

    # a command lives for a moment and keeps what it imports: looking for garbage meanwhile costs 3-5 % of its start
    gc.set_threshold(50_000, 20, 50)
    from pkiops.cli.app import run

    run()


if __name__ == "__main__":
    main()
