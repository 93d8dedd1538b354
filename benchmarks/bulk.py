"""How well ``pkiops cert bulk`` uses the rate that the service allows, held against what people do otherwise, in one run.

A sandbox in a process of its own holds IssueCertificate and GetCertificate to their quotas and answers after 60 ms; every case gets it with full
buckets. ``pkiops`` is a process, its time is the one from its first to its last row as it reports it, and, beside it, that of the whole process.
What others do: a loop that issues and waits (boto3's waiter); eight threads with boto3 in standard retry mode; ``aws acm-pca`` under ``xargs -P8``.
What they issued and did not get is lost. Two runs at once share one account. Memory: 100,000 rows that are read, parsed, judged and reported, with a
CA and a ledger that answer at once (``benchmarks.bulk_memory``).

Exits with 1 if a bar is missed.

    python -m benchmarks.bulk [--count N] [--few N] [--rows N] [--only CASE ...] [--aws PATH]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from benchmarks.startup import PKIOPS, ROOT, clean_environment

LATENCY = "60ms"
ENVIRONMENT = "dev"
REGION = "eu-west-1"
TEMPLATE = "arn:aws:acm-pca:::template/EndEntityClientAuthCertificate/V1"
BAR_RATE, BAR_CALLS, BAR_SLOW, BAR_FOUND = 0.97, 2.1, 0.75, 0.9
BAR_TOGETHER, BAR_EACH = 0.95, 0.4
BAR_MEMORY_MB = 64.0
_AWS_LINE = (
    "arn=$({aws} acm-pca issue-certificate --certificate-authority-arn {ca} --csr fileb://$0 --signing-algorithm SHA256WITHECDSA"
    " --template-arn {template} --validity Value=30,Type=DAYS --query CertificateArn --output text)"
    " && {aws} acm-pca wait certificate-issued --certificate-authority-arn {ca} --certificate-arn $arn"
    " && {aws} acm-pca get-certificate --certificate-authority-arn {ca} --certificate-arn $arn --output text > $0.pem"
)


@dataclass
class Found:
    """What a case came to: certificates got, seconds, calls that reached the service, and certificates issued."""

    got: int
    seconds: float
    issue_calls: int
    get_calls: int
    process_seconds: float | None = None

    @property
    def calls(self) -> float:
        return (self.issue_calls + self.get_calls) / max(1, self.got)


class Place:
    """A folder with requests, and a sandbox in a process of its own."""

    def __init__(
        self, folder: Path, url: str, hinder: Callable[..., dict[str, Any]], variables: Mapping[str, str]
    ) -> None:
        self.folder = folder
        self.variables = {**variables, "PKIOPS_SANDBOX_URL": url}
        self.url = url
        self._hinder = hinder
        self._manifests = 0

    def hinder(self, **options: Any) -> None:
        self._hinder(**options)

    def served(self) -> dict[str, int]:
        """Calls by operation since the last ``hinder``."""
        return dict(self._hinder()["served"])

    def manifest(self, count: int) -> str:
        """Rows that nobody has asked for yet."""
        self._manifests += 1
        path = self.folder / f"rows{self._manifests}.csv"
        rows = "".join(f"csr/h{number}.csr,run{self._manifests}\n" for number in range(count))
        path.write_text("csr,request_id\n" + rows)
        return str(path)

    def bulk(self, count: int, *more: str) -> subprocess.Popen[str]:
        out = self.folder / f"out{self._manifests}"
        manifest = self.manifest(count)
        out.mkdir()
        where = ("--output-dir", str(out), "--profile", "service", "--format", "json")
        command = (*PKIOPS, "--environments", str(self.folder), "cert", "bulk", ENVIRONMENT, "--manifest", manifest)
        return subprocess.Popen(
            (*command, *where, *more), cwd=self.folder, env=self.variables, stdout=subprocess.PIPE, text=True
        )

    def run_bulk(self, count: int, *more: str) -> Found:
        began = time.perf_counter()
        body = ended(self.bulk(count, *more))
        taken = time.perf_counter() - began
        served = self.served()
        return Found(
            body["counts"]["issued"],
            body["seconds"],
            served.get("IssueCertificate", 0),
            served.get("GetCertificate", 0),
            process_seconds=taken,
        )


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, _ = process.communicate(timeout=900)
    if process.returncode != 0:
        raise SystemExit(f"cert bulk ended with {process.returncode}")
    return dict(json.loads(output))


@contextlib.contextmanager
def place(folder: Path, count: int) -> Iterator[Place]:
    variables = clean_environment(str(folder))
    command = (sys.executable, "-m", "benchmarks.bulk_server", str(folder), str(count))
    process = subprocess.Popen(
        command, cwd=ROOT, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    given, answers = process.stdin, process.stdout
    if given is None or answers is None:
        raise SystemExit("the sandbox has no pipes")

    def hinder(**options: Any) -> dict[str, Any]:
        given.write(json.dumps(options) + "\n")
        given.flush()
        line = answers.readline()
        if not line:
            raise SystemExit("the sandbox ended")
        return dict(json.loads(line))

    try:
        url = answers.readline().strip()
        if not url:
            raise SystemExit("the sandbox did not start")
        yield Place(folder, url, hinder, variables)
    finally:
        given.close()
        process.wait(timeout=60)


class Others:
    """Issuing without pkiops."""

    def __init__(self, where: Place) -> None:
        self._where = where
        session = boto3.Session(aws_access_key_id="bench", aws_secret_access_key="bench", region_name=REGION)  # noqa: S106
        self._session = session
        listed = self._client().list_certificate_authorities()["CertificateAuthorities"]
        (self.arn,) = [one["Arn"] for one in listed if one["Type"] == "SUBORDINATE"]

    def _client(self) -> Any:
        config = Config(retries={"mode": "standard"})
        return self._session.client("acm-pca", endpoint_url=self._where.url, config=config)

    def _one(self, client: Any, number: int) -> bool:
        try:
            issued = client.issue_certificate(
                CertificateAuthorityArn=self.arn,
                Csr=(self._where.folder / "csr" / f"h{number}.csr").read_bytes(),
                SigningAlgorithm="SHA256WITHECDSA",
                TemplateArn=TEMPLATE,
                Validity={"Type": "DAYS", "Value": 30},
            )
            which = {"CertificateAuthorityArn": self.arn, "CertificateArn": issued["CertificateArn"]}
            client.get_waiter("certificate_issued").wait(**which)
            client.get_certificate(**which)
        except (BotoCoreError, ClientError):
            return False
        return True

    def threads(self, count: int, at_once: int) -> Found:
        client = self._client()
        return self._timed(lambda: sum(self._pooled(client, count, at_once)))

    def _pooled(self, client: Any, count: int, at_once: int) -> list[bool]:
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(lambda number: self._one(client, number), range(count)))

    def shell(self, aws: Path, count: int) -> Found:
        files = [self._where.folder / "csr" / f"h{number}.csr" for number in range(count)]
        line = _AWS_LINE.format(aws=f"{aws} --endpoint-url {self._where.url}", ca=self.arn, template=TEMPLATE)
        keys = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": REGION}
        variables = {**self._where.variables, **keys, "PATH": os.environ["PATH"]}

        def run() -> int:
            text = "\n".join(map(str, files))
            command = ("xargs", "-P8", "-n1", "sh", "-c", line)
            subprocess.run(command, input=text, text=True, env=variables, check=False, stderr=subprocess.DEVNULL)
            return sum(Path(f"{file}.pem").exists() and Path(f"{file}.pem").stat().st_size > 0 for file in files)

        return self._timed(run)

    def _timed(self, run: Callable[[], int]) -> Found:
        began = time.perf_counter()
        got = run()
        taken = time.perf_counter() - began
        served = self._where.served()
        return Found(got, taken, served.get("IssueCertificate", 0), served.get("GetCertificate", 0))


@dataclass(frozen=True)
class Verdict:
    what: str
    value: float
    bar: float
    at_least: bool = True

    @property
    def kept(self) -> bool:
        return self.value >= self.bar if self.at_least else self.value <= self.bar

    def __str__(self) -> str:
        word = "at least" if self.at_least else "at most"
        return f"{self.value:9.3f}  {self.what}, {word} {self.bar}: {'ok' if self.kept else 'MISSED'}"


def _line(name: str, found: Found, count: int, quota: float) -> str:
    process = "" if found.process_seconds is None else f", process {found.process_seconds:.1f} s"
    part = found.got / found.seconds / quota
    return (
        f"{part:7.3f} of the quota  {name}: {found.got:,} of {count:,} in {found.seconds:.1f} s{process}, "
        f"{found.calls:.2f} calls a certificate, {count - found.got} not got"
    )


def _ours(where: Place, name: str, count: int, rate: float, least: float, **options: Any) -> list[Verdict]:
    where.hinder(latency=LATENCY, quotas=True, **options)
    found = where.run_bulk(count)
    print(_line(name, found, count, rate), flush=True)
    verdicts = [Verdict(f"{name}: of the quota", found.got / found.seconds / rate, least)]
    if least in {BAR_RATE, BAR_SLOW}:
        verdicts.append(Verdict(f"{name}: calls a certificate", found.calls, BAR_CALLS, at_least=False))
    return [*verdicts, Verdict(f"{name}: not got", count - found.got, 0, at_least=False)]


def bars(where: Place, count: int, few: int) -> list[Verdict]:
    verdicts = _ours(where, "cert bulk", count, 25, BAR_RATE)
    verdicts += _ours(where, "cert bulk, ready after 3 s", 300, 25, BAR_SLOW, issue_delay="3s")
    # ready at once: what is asked here is whether the rate is found, not how long the last certificates take
    lower, higher = ["IssueCertificate=10"], ["IssueCertificate=50", "GetCertificate=150"]
    verdicts += _ours(where, "cert bulk, told 25, quota 10", few, 10, BAR_FOUND, quota=lower, issue_delay="0s")
    return verdicts + _ours(where, "cert bulk, told 25, quota 50", 1000, 50, BAR_FOUND, quota=higher, issue_delay="0s")


def compared(where: Place, few: int, aws: Path) -> None:
    """No bars: what others do is shown beside ours over as many certificates."""
    others = Others(where)
    cases: list[tuple[str, Callable[[], Found]]] = [
        ("cert bulk", lambda: where.run_bulk(few)),
        ("a loop that issues and waits", lambda: others.threads(few, 1)),
        ("8 threads of boto3, standard retries", lambda: others.threads(few, 8)),
    ]
    if aws.exists():
        cases.append(("aws acm-pca under xargs -P8", lambda: others.shell(aws, few)))
    else:
        print(f"not measured: aws acm-pca under xargs -P8, because there is no {aws} (make clients)")
    for name, run in cases:
        where.hinder(latency=LATENCY, quotas=True)
        print(_line(name, run(), few, 25), flush=True)


def together(where: Place, count: int) -> list[Verdict]:
    """Two runs at once on one account. What each gets is measured while both go on."""
    where.hinder(latency=LATENCY, quotas=True)
    running = [where.bulk(count), where.bulk(count)]
    bodies = [ended(one) for one in running]
    longest = max(one["seconds"] for one in bodies)
    total = 2 * count / longest / 25
    print(f"{total:7.3f} of the quota  two runs of {count:,} at once, {longest:.1f} s", flush=True)
    verdicts = [Verdict("two runs: together of the quota", total, BAR_TOGETHER)]
    for number, one in enumerate(bodies, 1):
        verdicts.append(Verdict(f"two runs: number {number} of the quota", count / one["seconds"] / 25, BAR_EACH))
    return verdicts


def memory(folder: Path, rows: int) -> list[Verdict]:
    """Peak resident memory over that of a tenth of the rows, in fresh processes."""
    peaks = []
    for number in (rows // 10, rows):
        command = (sys.executable, "-m", "benchmarks.bulk_memory", str(folder), str(number))
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=1800)
        body = json.loads(run.stdout)
        peaks.append(body["peak_mb"])
        print(
            f"{body['peak_mb']:7.1f} MB  {number:,} rows in {body['seconds']:.0f} s (CA and ledger answer at once)",
            flush=True,
        )
    return [Verdict("memory: MB more for ten times the rows", peaks[1] - peaks[0], 10, at_least=False)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk", description="Measure issuing in bulk.")
    parser.add_argument("--count", type=int, default=2000, help="certificates of the long run")
    parser.add_argument("--few", type=int, default=200, help="certificates of each compared case")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the memory case")
    parser.add_argument("--only", nargs="*", choices=("bars", "compared", "together", "memory"), default=None)
    parser.add_argument("--aws", type=Path, default=ROOT / ".venv-awscli" / "bin" / "aws")
    options = parser.parse_args()
    wanted: Sequence[str] = options.only or ("bars", "compared", "together", "memory")
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="pkiops-bench-") as home:
        with place(Path(home), max(options.count, 1000)) as where:
            if "bars" in wanted:
                verdicts += bars(where, options.count, options.few)
            if "compared" in wanted:
                compared(where, options.few, options.aws)
            if "together" in wanted:
                verdicts += together(where, options.count // 2)
        if "memory" in wanted:
            verdicts += memory(Path(home), options.rows)
    print()
    for one in verdicts:
        print(one)
    sys.exit(0 if all(one.kept for one in verdicts) else 1)


if __name__ == "__main__":
    main()
