"""Two processes with one ledger file and the same request: one intent, so one token, so one certificate."""

from __future__ import annotations

import multiprocessing
import pickle
from datetime import timedelta
from pathlib import Path
from typing import Any

from pkiops.clock import ManualClock, SystemRandomness
from pkiops.ledger.sqlite import SqliteLedger
from tests.unit.cert.setting import AT, CSR, Setting, order

WORKERS = 4


class Stopped(BaseException):
    """The CA has been asked; what it was asked is what counts here."""


def _ask(folder: str, worker: int, start: Any, answers: Any) -> None:
    setting = Setting(Path(folder) / str(worker))  # CAs of its own: keys cannot be shared between processes
    setting.clock.advance(timedelta(seconds=worker))
    shared = SqliteLedger(Path(folder) / "shared.db", setting.clock, SystemRandomness())
    issuance = setting.issuance(ledger=shared)
    prepared = issuance.prepare(order((Path(folder) / "request.csr").read_bytes()))
    start.wait(60)

    def stop(point: str) -> None:
        if point == "after request_certificate":
            raise Stopped

    setting.backend.interrupt = stop
    try:
        issuance.complete(prepared)
    except Stopped:
        answers.put(pickle.dumps(setting.backend.made[0].request))


def test_processes_at_once_ask_for_one_certificate(tmp_path: Path) -> None:
    (tmp_path / "request.csr").write_bytes(CSR)
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(WORKERS), context.Queue()
    processes = [context.Process(target=_ask, args=(str(tmp_path), n, start, answers)) for n in range(WORKERS)]
    for process in processes:
        process.start()
    asked = {answers.get(timeout=60) for _ in processes}
    for process in processes:
        process.join(30)
    assert len(asked) == 1
    entries = list(SqliteLedger(tmp_path / "shared.db", ManualClock(AT), SystemRandomness()).entries("test"))
    assert [entry.attempt for entry in entries] == [1]
