"""What ``pkiops cert issue`` of one certificate costs as a process, held against a bare boto3 that has made its client and nothing else.

A sandbox in a process of its own answers without delay and has every certificate ready at once. The environment pins its root, so the CA is found by
the published index. Each round issues a certificate that the ledger does not know; the cases take turns, and the median counts. All run from
bytecode. The calls that certificates took are counted by the sandbox and must be the fewest there can be.

Exits with 1 if a bar is missed.

    python -m benchmarks.issue_one [--rounds N]
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.startup import LEAST_ROUNDS, PKIOPS, ROOT, SCRIPT, clean_environment

BAR = 2.5
# what one certificate takes at least; GetCertificate is asked until it is there, which here is at once
FEWEST = {"s3:GetObject": 1, "acm-pca:IssueCertificate": 1, "acm-pca:GetCertificate": 1}
CLIENT = (sys.executable, "-c", "import boto3; boto3.client('acm-pca')")
NAME = "dns:orders.svc.dev.example.com"


@contextlib.contextmanager
def sandbox(folder: Path, variables: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """A sandbox with ``dev`` applied, its root pinned and a request made; the variables that point commands at it."""
    up = (*PKIOPS, "sandbox", "up", "--detach", "--port", "0", "--issue-delay", "0s")
    exported = dict(re.findall(r"^export (\w+)=(.*)$", run(up, variables), re.MULTILINE))
    port = exported["PKIOPS_SANDBOX_URL"].rpartition(":")[2]
    try:
        pointed = {**variables, **exported, "PKIOPS_ENVIRONMENTS": str(folder)}
        _write_environment(folder, None)
        run((*PKIOPS, "ca", "apply", "dev", "--yes"), pointed)
        shown = json.loads(run((*PKIOPS, "ca", "show", "dev", "--format", "json"), pointed))
        (pin,) = [one["sha256"] for one in shown["authorities"] if one["authority"] == "root"]
        _write_environment(folder, pin)
        made = ("--key", str(folder / "a.key"), "--csr", str(folder / "a.csr"))
        run((*PKIOPS, "cert", "request", "dev", "--profile", "service", "--san", NAME, *made), pointed)
        yield pointed
    finally:
        run((*PKIOPS, "sandbox", "down", "--port", port), variables)


def _write_environment(folder: Path, pin: str | None) -> None:
    """The sample ``dev`` with a ledger that goes with the working folder, and the root's pin as a reviewed commit would set it."""
    text = (ROOT / "environments" / "dev.yaml").read_text(encoding="utf-8")
    if pin is not None:
        text, count = re.subn(r"^  root:.*\n", f"  root:\n    sha256: {pin}\n", text, count=1, flags=re.MULTILINE)
        if count != 1:
            raise SystemExit("the sample environment has no root to pin")
    (folder / "dev.yaml").write_text(text, encoding="utf-8")


def calls(pointed: Mapping[str, str]) -> Counter[str]:
    """What the sandbox was asked until now, by service and operation."""
    port = pointed["PKIOPS_SANDBOX_URL"].rpartition(":")[2]
    status = json.loads(run((*PKIOPS, "sandbox", "status", "--port", port, "--format", "json"), pointed))
    return Counter({f"{one['service']}:{one['operation']}": one["count"] for one in status["calls"]})


def run(command: Sequence[str], variables: Mapping[str, str]) -> str:
    """The standard output of a command that has to succeed; it works in the home folder, where its ledger goes."""
    home = variables["HOME"]
    result = subprocess.run(command, cwd=home, env=variables, timeout=120, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {result.returncode}\n{result.stderr}")
    return result.stdout


def timed(command: Sequence[str], variables: Mapping[str, str]) -> float:
    """Milliseconds from start to end of a process."""
    started = time.perf_counter()
    run(command, variables)
    return (time.perf_counter() - started) * 1000


def measure(rounds: int, folder: Path, pointed: Mapping[str, str]) -> tuple[list[float], list[float], Counter[str]]:
    """Milliseconds of issuing and of the bare client, and the calls of all issuing; a round before the first is not timed."""
    issuing: list[float] = []
    client: list[float] = []
    before = calls(pointed)
    fixed = (*SCRIPT, "cert", "issue", "dev", "--profile", "service", "--csr", str(folder / "a.csr"))
    for number in range(rounds + 1):
        taken = timed((*fixed, "--request-id", str(number)), pointed), timed(CLIENT, pointed)
        if number:
            issuing.append(taken[0])
            client.append(taken[1])
    return issuing, client, calls(pointed) - before


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.issue_one", description="Measure one issuance.")
    parser.add_argument("--rounds", type=int, default=15, help=f"at least {LEAST_ROUNDS}")
    options = parser.parse_args()
    if options.rounds < LEAST_ROUNDS:
        parser.error(f"--rounds: at least {LEAST_ROUNDS}")
    compileall.compile_dir(ROOT / "pkiops", quiet=2)
    with tempfile.TemporaryDirectory(prefix="pkiops-bench-") as home:
        folder = Path(home) / "environments"
        folder.mkdir()
        with sandbox(folder, clean_environment(home)) as pointed:
            issuing, client, asked = measure(options.rounds, folder, pointed)
    issued = options.rounds + 1
    ratio = median(issuing) / median(client)
    fewest = asked == Counter({name: count * issued for name, count in FEWEST.items()})
    print(f"{options.rounds} rounds, Python {sys.version.split()[0]}\n")
    print(f"median ms\n{median(issuing):9.1f}  pkiops cert issue\n{median(client):9.1f}  boto3.client('acm-pca')\n")
    print(f"ratio   bar\n {ratio:4.2f}  {BAR:4.2f}  {'ok  ' if ratio <= BAR else 'OVER'}  issue / client\n")
    print(f"calls of {issued} certificates ({'the fewest' if fewest else 'MORE THAN NEEDED'})")
    for name, count in sorted(asked.items()):
        print(f"  {name:<28}{count:5d}   {count / issued:.2f} each")
    sys.exit(0 if ratio <= BAR and fewest else 1)


if __name__ == "__main__":
    main()
