"""How long pkiops takes to start, held against a bare interpreter and the AWS command line.

Every case is a fresh process; the cases take turns, so that whatever slows the machine down slows all of them; the median counts.
All run from bytecode, which is checked for both sides. Exits with 1 if a bar is missed.

    python -m benchmarks.startup [--rounds N] [--aws PATH]

pkiops is started as its console script starts it. ``python -m pkiops --version`` is shown too, without a bar: there the interpreter's own
``runpy`` costs a third of a bare start before anything of ours is read.

The AWS command line comes from ``--aws``, else from a virtual environment of its own in ``.venv-awscli``, made by the first run.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
# one pin: what the live tests run against
AWSCLI = (Path(__file__).parents[1] / "tests" / "live" / "awscli.txt").read_text(encoding="utf-8").split()[0]
LEAST_ROUNDS = 9
PKIOPS = (sys.executable, "-m", "pkiops")
SCRIPT = (sys.executable, "-c", "import sys; from pkiops.__main__ import main; sys.exit(main())")

# Prints the modules that were loaded from source for want of bytecode.
_UNCOMPILED = """
import importlib, importlib.machinery, os, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
specs = [module.__spec__ for module in list(sys.modules.values()) if getattr(module, "__spec__", None)]
source = [spec for spec in specs if isinstance(spec.loader, importlib.machinery.SourceFileLoader)]
print(" ".join(sorted(spec.name for spec in source if not os.path.exists(spec.cached or ""))))
"""


@dataclass(frozen=True)
class Case:
    """A command that is timed."""

    name: str
    command: Sequence[str]


@dataclass(frozen=True)
class Bar:
    """The median of ``case`` may be ``most`` times that of ``against``."""

    case: str
    against: str
    most: float


BARS = (
    Bar("pkiops --version", "python -c pass", 1.3),
    Bar("pkiops --help", "aws --version", 0.55),
    Bar("pkiops env validate dev", "aws --version", 0.6),
    Bar("pkiops ca show dev", "aws acm-pca list-certificate-authorities", 1.0),
)


def cases(aws: Path) -> tuple[Case, ...]:
    return (
        Case("python -c pass", (sys.executable, "-c", "pass")),
        Case("pkiops --version", (*SCRIPT, "--version")),
        Case("python -m pkiops --version", (*PKIOPS, "--version")),
        Case("pkiops --help", (*SCRIPT, "--help")),
        Case("pkiops env validate dev", (*SCRIPT, "env", "validate", "dev")),
        Case("pkiops ca show dev", (*SCRIPT, "ca", "show", "dev")),
        Case("aws --version", (str(aws), "--version")),
        Case("aws acm-pca list-certificate-authorities", (str(aws), "acm-pca", "list-certificate-authorities")),
    )


def measure(timed: Sequence[Case], rounds: int, variables: Mapping[str, str]) -> dict[str, list[float]]:
    """Milliseconds of every case in every round; a round before the first is not counted."""
    taken: dict[str, list[float]] = {case.name: [] for case in timed}
    for number in range(rounds + 1):
        for case in timed:
            started = time.perf_counter()
            run(case.command, variables)
            if number:
                taken[case.name].append((time.perf_counter() - started) * 1000)
    return taken


def run(command: Sequence[str], variables: Mapping[str, str], timeout: float = 120) -> str:
    """The standard output of a command that has to succeed."""
    result = subprocess.run(
        command, cwd=ROOT, env=variables, timeout=timeout, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {result.returncode}\n{result.stderr}")
    return result.stdout


def report(taken: Mapping[str, Sequence[float]]) -> tuple[str, bool]:
    """The table, and whether every bar is kept."""
    medians = {name: median(values) for name, values in taken.items()}
    lines = ["median ms", *(f"{value:9.1f}  {name}" for name, value in medians.items()), "", "ratio   bar"]
    kept = True
    for bar in BARS:
        ratio = medians[bar.case] / medians[bar.against]
        kept = kept and ratio <= bar.most
        verdict = "ok  " if ratio <= bar.most else "OVER"
        lines.append(f" {ratio:4.2f}  {bar.most:4.2f}  {verdict}  {bar.case} / {bar.against}")
    return "\n".join(lines), kept


def clean_environment(home: str) -> dict[str, str]:
    """This process's variables without what would change a measurement: other settings, accounts, and the ban on bytecode."""
    ours = re.compile(r"PKIOPS_|AWS_|PYTHON")
    kept = {name: value for name, value in os.environ.items() if not ours.match(name)}
    return {
        **kept,
        "HOME": home,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
    }


@contextlib.contextmanager
def sandbox(variables: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """A sandbox on a free port with ``dev`` applied; the variables that point commands at it."""
    printed = run((*PKIOPS, "sandbox", "up", "--detach", "--port", "0"), variables)
    exported = dict(re.findall(r"^export (\w+)=(.*)$", printed, re.MULTILINE))
    port = exported["PKIOPS_SANDBOX_URL"].rpartition(":")[2]
    try:
        pointed = {**variables, **exported}
        run((*PKIOPS, "ca", "apply", "dev", "--yes"), pointed)
        yield pointed
    finally:
        run((*PKIOPS, "sandbox", "down", "--port", port), variables)


def aws_command_line(variables: Mapping[str, str]) -> Path:
    """The ``aws`` of ``.venv-awscli``, which is made when missing."""
    folder = ROOT / ".venv-awscli"
    aws = folder / "bin" / "aws"
    if not aws.exists():
        print(f"making {folder} with {AWSCLI} (once)", file=sys.stderr)
        run((sys.executable, "-m", "venv", "--clear", str(folder)), variables)
        # pip's own settings (an index, certificates) may be in variables or in the home folder
        with_pip = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        run((str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", AWSCLI), with_pip, timeout=900)
    return aws


def require_bytecode(aws: Path, variables: Mapping[str, str]) -> None:
    """Compile pkiops, and check that neither side compiles anything while it is timed."""
    compileall.compile_dir(ROOT / "pkiops", quiet=2)
    shebang = aws.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    python = shebang.removeprefix("#!").strip()
    if not Path(python).exists():
        raise SystemExit(f"{aws} is not a script of a Python environment: {shebang[:80]}")
    ours = (
        "pkiops.__main__",
        "pkiops.cli.app",
        "pkiops.cli.env",
        "pkiops.cli.ca",
        "pkiops.environment.load",
        "pkiops.aws",
    )
    for interpreter, modules in ((sys.executable, ours), (python, ("awscli.clidriver",))):
        check = (interpreter, "-c", _UNCOMPILED, *modules)
        run(check, variables)  # the first run may write what is missing
        missing = run(check, variables).split()
        if missing:
            raise SystemExit(f"{interpreter}: no bytecode for {', '.join(missing[:5])}: times would mean nothing")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description="Measure start-up time.")
    parser.add_argument("--rounds", type=int, default=15, help=f"at least {LEAST_ROUNDS}")
    parser.add_argument("--aws", type=Path, help="the aws command to compare with")
    options = parser.parse_args()
    if options.rounds < LEAST_ROUNDS:
        parser.error(f"--rounds: at least {LEAST_ROUNDS}")
    with tempfile.TemporaryDirectory(prefix="pkiops-bench-") as home:
        variables = clean_environment(home)
        aws = options.aws or aws_command_line(variables)
        require_bytecode(aws, variables)
        with sandbox(variables) as pointed:
            taken = measure(cases(aws), options.rounds, pointed)
    text, kept = report(taken)
    print(f"{options.rounds} rounds, Python {sys.version.split()[0]}\n\n{text}")
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
