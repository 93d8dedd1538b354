"""The peak of memory of a bulk run of any length, with what is not ours cut short.

    python -m benchmarks.bulk_memory FOLDER ROWS

A manifest of ROWS rows over a thousand requests is read, every row parsed, judged, asked for, compared with what came back, rendered and put into the
report. The CA (``tests.fakes``: real keys and signatures) and the ledger answer at once and forget what is done; nothing is written but the report.
Prints a line of JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.serialization import Encoding

from benchmarks.bulk_server import write_requests
from pkiops.backends.interface import IssuanceRequest
from pkiops.cert.bulk import BulkIssuance
from pkiops.cert.bulk_manifest import Row
from pkiops.cert.bulk_parts import Interruption, KeptIssuers
from pkiops.cert.issue import Issuance
from pkiops.cert.order import Issued, Prepared
from pkiops.cli.cert_bulk_files import open_manifest
from pkiops.cli.cert_bulk_report import report_file
from pkiops.clock import SystemClock
from pkiops.ledger.interface import Entry, EntryState, Ledger, LedgerIntent
from pkiops.ledger.transitions import issued, with_reference
from tests.fakes.authority import FakeAuthorities, environment, honest_answer

DOMAIN = "svc.test.example.com"
REQUESTS = 1000


class Forgetful(FakeAuthorities):
    """CAs that keep a certificate until it is fetched."""

    def __init__(self, *known: Any) -> None:
        super().__init__(*known)
        self._ready: dict[str, bytes] = {}
        self._number = 0

    def request_certificate(self, request: IssuanceRequest) -> str:
        with self._lock:
            self._number += 1
            serial = 0x5EED_0000_0000_0000 + self._number
        reference = f"{request.authority}/certificate/{serial:x}"
        self._ready[reference] = honest_answer(request, self.cas[self._label(request.authority)], serial)
        return reference

    def fetch_certificate(self, authority: str, certificate: str) -> tuple[bytes, ...]:
        return (self._ready.pop(certificate), *self.authority_chain(authority))

    def authority_chain(self, reference: str) -> tuple[bytes, ...]:
        found = super().authority_chain(reference)
        self.calls.clear()
        return found


class ShortLedger:
    """Keeps entries that are open, and forgets them when they are issued."""

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock
        self._open: dict[str, Entry] = {}

    def begin(self, intent: LedgerIntent, attempt: int) -> tuple[Entry, bool]:
        values = {one.name: getattr(intent, one.name) for one in fields(intent)}
        now, key = self._clock.now(), f"{intent.request_key}-{attempt}"
        entry = Entry(**values, id=key, attempt=attempt, state=EntryState.PENDING, created_at=now, updated_at=now)
        return self._open.setdefault(key, entry), True

    def latest(self, request_key: str) -> Entry | None:
        return self._open.get(f"{request_key}-1")

    def record_reference(self, entry_id: str, reference: str) -> Entry:
        self._open[entry_id] = replace(self._open[entry_id], **with_reference(self._open[entry_id], reference))
        return self._open[entry_id]

    def record_issued(self, entry_id: str, chain: Sequence[bytes]) -> Entry:
        entry = self._open.pop(entry_id)
        return replace(entry, **issued(entry, chain))

    def find_compromised(self, name: str, spki_sha256: str) -> Entry | None:
        del name, spki_sha256
        return None


class Rendered:
    """Makes the bytes of each result, and keeps none."""

    def files(self, row: Row) -> Sequence[str]:
        return (f"{row.output}.pem",)

    def check(self, row: Row, prepared: Prepared) -> None:
        del row, prepared

    def write(self, row: Row, done: Issued) -> tuple[str, ...]:
        for one in (done.certificate, *done.chain):
            one.public_bytes(Encoding.PEM)
        return (f"{row.output}.pem",)


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    write_requests(folder / "rows", REQUESTS, DOMAIN)
    manifest = folder / "rows" / "rows.csv"
    with manifest.open("w") as stream:
        stream.write("csr,request_id,output\n")
        stream.writelines(f"h{number % REQUESTS}.csr,{number},h{number}\n" for number in range(count))
    clock, env = SystemClock(), environment()
    issuance = Issuance(
        environment=env,
        backend=Forgetful(env, clock),
        ledger=cast(Ledger, ShortLedger(clock)),
        clock=clock,
        requester=lambda: "arn:aws:iam::111122223333:user/bench",
        keep_issuer=KeptIssuers(clock),
    )
    began = time.perf_counter()
    with open_manifest(str(manifest), "service", None) as rows, report_file(folder / "report.jsonl") as report:
        bulk = BulkIssuance(
            issuance=issuance,
            delivery=Rendered(),
            clock=clock,
            report=report,
            interruption=Interruption(),
            issue_rate=10_000,
            get_rate=30_000,
        )
        ended = bulk.run(rows.rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found: Mapping[str, Any] = {"peak_mb": peak, "seconds": time.perf_counter() - began, "counts": ended.tally.counts}
    print(json.dumps(found))
    if ended.tally.good != count:
        raise SystemExit(f"{ended.tally}: {ended.gave_up}")


if __name__ == "__main__":
    main()
