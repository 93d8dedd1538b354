"""What judging a request costs, held against reading it and verifying its signature: the same request, in the same run, in this process.

A request for 100 names is judged under 50 patterns, in several mixes: the usual ones, all kinds of wildcards, names of every kind, and those where
every name is refused (each refusal says what would pass). Exits with 1 if a median is above the bar. The key is EC P-256, the cheapest to verify, so
that no other key makes the bar easier.

    python -m benchmarks.policy [--rounds N]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from pkiops.policy.engine import Facts, Request, decide
from pkiops.policy.rules import DenyRule, FromRequest, Profile, SanRule, SubjectRule, ValidityRule
from pkiops.x509.csr import build_csr, load_csr
from pkiops.x509.duration import Duration
from pkiops.x509.san import parse_san

BAR = 1.0
NOW = datetime(2026, 6, 1, tzinfo=UTC)
NAMES, PATTERNS = 100, 50
TEAMS = range(PATTERNS)
DNS = tuple(f"dns:app{n}.team{n % PATTERNS}.svc.prod.example.com" for n in range(NAMES))
MIXED = tuple(
    (
        f"dns:app{n}.team{n % 20}.svc.example.com",
        f"dns:a.b{n}.deep{n % 10}.example.com",
        f"uri:https://example.com/team{n % 10}/app/{n}",
        f"ip:10.{n % 5}.0.{n}",
        f"email:n{n}@team{n % 5}.example.com",
    )[n % 5]
    for n in range(NAMES)
)


def profile(san: SanRule) -> Profile:
    return Profile(
        authority="clients",
        validity=ValidityRule(default=Duration(30, "d"), max=Duration(90, "d")),
        subject=SubjectRule(organization="Example Ltd", common_name=FromRequest(source="request")),
        san=san,
    )


# what it is -> (patterns, names, whether they are granted)
CASES: dict[str, tuple[SanRule, tuple[str, ...], bool]] = {
    "one label": (SanRule(dns=tuple(f"*.team{n}.svc.prod.example.com" for n in TEAMS)), DNS, True),
    "any number of labels": (SanRule(dns=tuple(f"**.team{n}.svc.prod.example.com" for n in TEAMS)), DNS, True),
    "wildcards in the middle": (SanRule(dns=tuple(f"**.team{n}.*.**.example.com" for n in TEAMS)), DNS, True),
    "every kind of name": (
        SanRule(
            dns=(*(f"*.team{n}.svc.example.com" for n in range(20)), *(f"**.deep{n}.example.com" for n in range(10))),
            uri=tuple(f"https://example.com/team{n}/*/**" for n in range(10)),
            ip=tuple(f"10.{n}.0.0/16" for n in range(5)),
            email=tuple(f"*@team{n}.example.com" for n in range(5)),
        ),
        MIXED,
        True,
    ),
    "one label, with names denied": (
        SanRule(
            dns=tuple(f"*.team{n}.svc.prod.example.com" for n in TEAMS),
            deny=DenyRule(dns=tuple(f"**.admin{n}.*.example.com" for n in TEAMS)),
        ),
        DNS,
        True,
    ),
    "refused: denied": (
        SanRule(
            dns=("**.example.com",), deny=DenyRule(dns=tuple(f"*.team{n}.svc.prod.example.com" for n in TEAMS))
        ),
        DNS,
        False,
    ),
    "refused: another domain": (SanRule(dns=tuple(f"*.team{n}.svc.prod.example.org" for n in TEAMS)), DNS, False),
    "refused: wildcards in the middle": (SanRule(dns=tuple(f"**.other{n}.*.**.example.com" for n in TEAMS)), DNS, False),
}  # fmt: skip


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def measured(san: SanRule, names: tuple[str, ...], is_granted: bool, rounds: int) -> tuple[float, float]:
    """The medians of reading and judging, in turns, in seconds."""
    rules = profile(san)
    key = ec.generate_private_key(ec.SECP256R1())
    data = build_csr(key, x509.Name([]), [parse_san(name) for name in names])
    reading, judging = [], []
    for _ in range(rounds):
        reading.append(timed(lambda: load_csr(data, "a.csr")))
        parsed = load_csr(data, "a.csr")
        request = Request(csr=parsed, usage=(), validity=None, sans=parsed.sans)
        judging.append(timed(lambda: decide("bench", rules, request, Facts(), NOW)))  # noqa: B023 - called at once
        decision = decide("bench", rules, request, Facts(), NOW)
        refused = sum(one.rule.startswith("san.") and one.verdict == "refuse" for one in decision.findings)
        if refused != (0 if is_granted else NAMES):
            raise SystemExit(f"{refused} of {NAMES} names were refused")
    return median(reading), median(judging)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.policy", description="Measure judging a request.")
    parser.add_argument("--rounds", type=int, default=300)
    options = parser.parse_args()
    print(f"{NAMES} names under {PATTERNS} patterns, {options.rounds} rounds, Python {sys.version.split()[0]}\n")
    print(" read, ms  judge, ms   ratio")
    kept = True
    for name, (san, names, is_granted) in CASES.items():
        reading, judging = measured(san, names, is_granted, options.rounds)
        ratio = judging / reading
        kept = kept and ratio <= BAR
        print(
            f"{reading * 1e3:9.3f}  {judging * 1e3:9.3f}  {ratio:6.2f}  bar {BAR:.2f}  {'ok' if ratio <= BAR else 'MISSED'}  {name}"
        )
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
