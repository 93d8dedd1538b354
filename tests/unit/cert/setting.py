"""A place to issue in: the fake CAs, a SQLite ledger, a clock that stands still."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pkiops.cert.issue import Issuance
from pkiops.cert.order import Order
from pkiops.clock import ManualClock, SeededRandomness
from pkiops.environment.models import Environment
from pkiops.ledger.interface import Entry, Ledger
from pkiops.ledger.sqlite import SqliteLedger
from tests import builders
from tests.fakes.authority import FakeAuthorities, environment

AT = builders.AT
CSR = builders.csr()


@dataclass
class Setting:
    folder: Path
    environment: Environment = field(default_factory=environment)
    clock: ManualClock = field(default_factory=lambda: ManualClock(AT))
    asked_who: int = 0

    def __post_init__(self) -> None:
        self.backend = FakeAuthorities(self.environment, self.clock)
        self.ledger: Ledger = SqliteLedger(self.folder / "ledger.db", self.clock, SeededRandomness(7))

    def issuance(self, ledger: Ledger | None = None, environment: Environment | None = None) -> Issuance:
        return Issuance(
            environment=environment or self.environment,
            backend=self.backend,
            ledger=ledger or self.ledger,
            clock=self.clock,
            requester=self._requester,
        )

    def entries(self) -> list[Entry]:
        return list(self.ledger.entries(self.environment.environment))

    def _requester(self) -> str:
        self.asked_who += 1
        return "arn:aws:sts::111122223333:assumed-role/issuer/ci"


def order(csr: bytes = CSR, **changes: Any) -> Order:
    return Order(**{"csr": csr, "csr_source": "request.csr", "profile": "service", **changes})
