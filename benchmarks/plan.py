"""How long ``pkiops ca plan`` takes for many unchanged authorities, held against asking for each in turn, and against what the service's rates allow.

One sandbox in a process of its own answers every call after 40 ms. Three things are timed, from start to end of a process or a loop:

- ``pkiops ca plan``, as a person starts it;
- a plain boto3 client that lists the authorities and then asks each for its description, its tags and its certificate (shown beside it: without the
  certificate, and with its policy and its permissions too), one after the other; measured over a part of them if told to, and multiplied;
- ``pkiops ca plan`` where the Resource Groups Tagging API refuses and the service holds to its request quotas. No client can be faster than the
  floor: all ListTags but one second's worth, at the rate of ListTags.

Exits with 1 if a bar is missed.

    python -m benchmarks.plan [--authorities N] [--rounds N] [--sequential N]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import Any

import boto3

from benchmarks.startup import PKIOPS, ROOT, clean_environment, run
from pkiops.sandbox.quotas import DEFAULT_RATES

LATENCY = "40ms"
BAR_SEQUENTIAL = 1 / 50
BAR_FLOOR = 1.3
REFUSED = tuple(f"GetResources:{k}:before:AccessDeniedException" for k in range(1, 9))


@contextlib.contextmanager
def sandbox(count: int, folder: str, variables: Mapping[str, str]) -> Iterator[tuple[str, Callable[..., None]]]:
    """A sandbox with ``count`` authorities; its URL, and what hinders its calls from then on."""
    command = (sys.executable, "-m", "benchmarks.plan_server", str(count), folder)
    process = subprocess.Popen(
        command, cwd=ROOT, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    given, answers = process.stdin, process.stdout
    if given is None or answers is None:
        raise SystemExit("the sandbox has no pipes")

    def hinder(**options: Any) -> None:
        given.write(json.dumps(options) + "\n")
        given.flush()
        if answers.readline().strip() != "ok":
            raise SystemExit("the sandbox ended")

    try:
        url = answers.readline().strip()
        if not url:
            raise SystemExit("the sandbox did not start")
        yield url, hinder
    finally:
        given.close()
        process.wait(timeout=60)


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def sequential(url: str, region: str, most: int) -> tuple[int, dict[str, float]]:
    """How many were asked, and the seconds for all by what each was asked for: each line includes those before it."""
    session = boto3.Session(aws_access_key_id="bench", aws_secret_access_key="bench", region_name=region)  # noqa: S106
    pca: Any = session.client("acm-pca", endpoint_url=url)
    arns: list[str] = []

    def listed() -> None:
        for page in pca.get_paginator("list_certificate_authorities").paginate():
            arns.extend(one["Arn"] for one in page["CertificateAuthorities"])

    def policy(arn: str) -> None:
        with contextlib.suppress(pca.exceptions.ResourceNotFoundException):
            pca.get_policy(ResourceArn=arn)
        pca.list_permissions(CertificateAuthorityArn=arn)

    def described(arn: str) -> None:
        pca.describe_certificate_authority(CertificateAuthorityArn=arn)
        pca.list_tags(CertificateAuthorityArn=arn)

    steps: dict[str, Callable[[str], object]] = {
        "description and tags": described,
        "certificate": lambda arn: pca.get_certificate_authority_certificate(CertificateAuthorityArn=arn),
        "policy and permissions": policy,
    }
    total = timed(listed)
    asked = arns[:most]
    taken = {}
    for name, step in steps.items():
        total += len(arns) / len(asked) * timed(lambda: [step(arn) for arn in asked])  # noqa: B023 - called at once
        taken[name] = total
    return len(asked), taken


def measure(options: argparse.Namespace, home: str) -> tuple[float, tuple[int, dict[str, float]], float]:
    """The median of our plan, the sequential loop, and our plan without the tagging API and within quotas."""
    variables = clean_environment(home)
    plan = (*PKIOPS, "--environments", home, "ca", "plan", "many", "--detailed-exitcode")  # 5 if it were not unchanged
    print(f"making {options.authorities} authorities", file=sys.stderr)
    with sandbox(options.authorities, home, variables) as (url, hinder):
        pointed = {**variables, "PKIOPS_SANDBOX_URL": url}
        hinder(latency=LATENCY)
        run(plan, pointed)
        ours = [timed(lambda: run(plan, pointed)) for _ in range(options.rounds)]
        loop = sequential(url, "eu-west-1", options.sequential)
        hinder(latency=LATENCY, quotas=True, fault=REFUSED)
        fallback = timed(lambda: run(plan, pointed, timeout=600))
    return median(ours), loop, fallback


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan", description="Measure planning many authorities.")
    parser.add_argument("--authorities", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sequential", type=int, default=1000, help="how many of them are asked in turn")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pkiops-bench-") as home:
        ours, (asked, loop), fallback = measure(options, home)
    rate = DEFAULT_RATES["ListTags"]
    floor = max(1.0, options.authorities - rate) / rate
    print(f"{options.authorities} authorities, {LATENCY}, {options.rounds} rounds, Python {sys.version.split()[0]}\n")
    print(f"{ours:9.2f} s  pkiops ca plan")
    for name, seconds in loop.items():
        print(f"{seconds:9.2f} s  {ours / seconds:.4f}  boto3 in turn ({asked} asked): ... {name}")
    print(f"{fallback:9.2f} s  pkiops ca plan without the tagging API, within quotas")
    print(f"{floor:9.2f} s  floor of the rate of ListTags\n")
    kept = True
    for name, ratio, bar in (
        ("plan / in turn: description, tags, certificate", ours / loop["certificate"], BAR_SEQUENTIAL),
        ("without tagging API / floor", fallback / floor, BAR_FLOOR),
    ):
        kept = kept and ratio <= bar
        print(f"{ratio:9.4f}  bar {bar:.4f}  {'ok' if ratio <= bar else 'MISSED'}  {name}")
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
