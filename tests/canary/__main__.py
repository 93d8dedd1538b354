"""The command itself, on the machine's clock and in front of a person."""

from __future__ import annotations

import signal
import sys

from pkiops.clock import SystemClock, SystemRandomness
from tests.canary.command import main


def _agree(question: str) -> bool:
    if not sys.stdin.isatty():
        print(f"{question} There is nobody to ask: say --yes", file=sys.stderr)
        return False
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # cleans up, as after Ctrl-C
    sys.exit(main(sys.argv[1:], SystemClock(), SystemRandomness(), _agree))
