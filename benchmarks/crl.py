"""What a CRL with a million entries costs, held against ``openssl crl``, which parses it and prints three of its fields, in the same run.

Every case is a fresh process; the cases take turns, so that whatever slows the machine down slows all of them; medians count. The CRL is signed with
P-256, its serial numbers are random and have 20 octets, each entry has a reason. Shown are the time on the clock, the processor time of the process
and its peak memory. ``crl publish`` asks a sandbox in a process of its own (``benchmarks.crl_server``): each round has a new CRL, so it fetches
53 MB, writes three files with 200 MB and reads them back; the sandbox takes the other processor for as long as pkiops waits for it, so the bar of
publishing is on processor time, and the time on the clock is shown beside it. So is that of ``crl status``, which fetches what was published and what
the CA wrote, and compares the serial numbers with the ledger. Exits with 1 if a bar is missed.

    python -m benchmarks.crl [--rounds N] [--entries N]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.startup import ROOT, SCRIPT, clean_environment

BAR = 1.5
PARSE = "openssl crl (issuer, number, next update)"
FULL = "openssl crl -text"
SHOW, VERIFY, PUBLISH, STATUS = "pkiops crl show", "pkiops crl verify", "pkiops crl publish", "pkiops crl status"
# which of the two ratios the bar is on: 0 the clock, 1 the processor
BARRED = {SHOW: 0, VERIFY: 0, PUBLISH: 1, STATUS: 1}


@dataclass(frozen=True)
class Taken:
    """What one process took: seconds on the clock, seconds of a processor, peak memory in MB."""

    clock: float
    processor: float
    memory: float


def measured(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> Taken:
    """Run a command that has to succeed; what it prints is thrown away."""
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    taken = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return Taken(taken, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def cases(openssl: str, folder: Path) -> dict[str, Sequence[str]]:
    der = (openssl, "crl", "-inform", "DER", "-in", "big.crl", "-noout")
    ours = (*SCRIPT, "--environments", str(folder), "crl")
    return {
        PARSE: (*der, "-issuer", "-crlnumber", "-nextupdate"),
        SHOW: (*ours, "show", "big.crl"),
        VERIFY: (*ours, "verify", "big.crl", "--issuer", "ca.pem"),
        PUBLISH: (*ours, "publish", "dev"),
        STATUS: (*ours, "status", "dev", "--fail-on", "never"),
        FULL: (*der, "-text"),
        "pkiops crl show --entries": (*ours, "show", "big.crl", "--entries"),
    }


@contextlib.contextmanager
def bucket(folder: Path, count: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """The URL of a sandbox, and what puts the next CRL into its bucket and into the folder."""
    command = (sys.executable, "-m", "benchmarks.crl_server", str(folder), str(count))
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=clean_environment(str(folder)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    given, answers = process.stdin, process.stdout
    if given is None or answers is None:
        raise SystemExit("the sandbox has no pipes")

    def following() -> None:
        given.write("\n")
        given.flush()
        if not answers.readline():
            raise SystemExit("the sandbox ended")

    try:
        url = answers.readline().strip()
        if not url:
            raise SystemExit("the sandbox did not start")
        yield url, following
    finally:
        given.close()
        process.wait(timeout=60)


def report(taken: Mapping[str, Sequence[Taken]]) -> bool:
    """Print the table; whether every bar is kept."""
    parse = taken[PARSE]
    against = median(one.clock for one in parse), median(one.processor for one in parse)
    print("   clock, s  (ratio)   processor, s  (ratio)   memory, MB")
    kept = True
    for name, runs in taken.items():
        clock, processor = median(one.clock for one in runs), median(one.processor for one in runs)
        ratios = clock / against[0], processor / against[1]
        verdict = ""
        if name in BARRED:
            good = ratios[BARRED[name]] <= BAR
            kept = kept and good
            verdict = f"bar {BAR} {'ok' if good else 'MISSED'}"
        memory = max(one.memory for one in runs)
        print(
            f"  {clock:9.2f}  ({ratios[0]:5.2f})  {processor:13.2f}  ({ratios[1]:5.2f})  {memory:11.0f}  {name:42} {verdict}".rstrip()
        )
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crl", description="Measure large CRLs.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--entries", type=int, default=1_000_000)
    options = parser.parse_args()
    openssl = shutil.which("openssl")
    if openssl is None:
        raise SystemExit("openssl is not installed: there is nothing to compare with")
    with tempfile.TemporaryDirectory(prefix="pkiops-bench-") as name:
        folder = Path(name)
        timed = cases(openssl, folder)
        taken: dict[str, list[Taken]] = {case: [] for case in timed}
        with bucket(folder, options.entries) as (url, following):
            variables = {**clean_environment(name), "PKIOPS_SANDBOX_URL": url}
            for number in range(options.rounds + 1):  # one before the first, which is not counted
                following()
                for case, command in timed.items():
                    one = measured(command, folder, variables)
                    if number:
                        taken[case].append(one)
        size = (folder / "big.crl").stat().st_size
    version = subprocess.run((openssl, "version"), check=True, capture_output=True, text=True, timeout=60).stdout
    print(f"{options.entries:,} entries, {size / 1e6:.0f} MB, {options.rounds} rounds, {version.strip()}\n")
    sys.exit(0 if report(taken) else 1)


if __name__ == "__main__":
    main()
