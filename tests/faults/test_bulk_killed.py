"""A bulk run that is killed at random moments and run again: every row has exactly one certificate, at the CA and in the ledger.

Half of the times ten minutes go by before the next run, more than a token lives: what was asked for and not heard of is found by ``cert resolve``.
``make check`` kills 3 times over 200 rows, ``make soak`` 20 times over 2,000.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pkiops.clock import ManualClock
from pkiops.sandbox.engine.state import Pace
from tests import builders
from tests.faults.hierarchy import dev_folder
from tests.faults.processes import Pkiops, start
from tests.sandbox_server import RunningSandbox, running_sandbox
from tests.seeded import SOAK

ROWS, KILLS = (2000, 20) if SOAK else (200, 3)
_PARTIAL = 7


class Yard:
    """A folder with a manifest, and the sandbox that its rows are asked of."""

    def __init__(self, folder: Path, sandbox: RunningSandbox) -> None:
        self.folder = dev_folder(folder)
        self.sandbox = sandbox
        (folder / "out").mkdir()
        (folder / "csr").mkdir()
        lines = []
        for number in range(ROWS):
            name = f"h{number}.svc.dev.example.com"
            request = builders.csr(
                {"common_name": name}, sans=(f"dns:{name}",), private_key=ec.generate_private_key(ec.SECP256R1())
            )
            (folder / "csr" / f"h{number}.csr").write_bytes(request)
            lines.append(json.dumps({"csr": f"csr/h{number}.csr", "profile": "service"}))
        (folder / "rows.jsonl").write_text("\n".join(lines))

    def start(self, *arguments: str) -> Pkiops:
        return start(list(arguments), folder=self.folder, environment={"PKIOPS_SANDBOX_URL": self.sandbox.url})

    def done(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        process = self.start(*arguments)
        code = process.wait()
        assert code in codes, (arguments, code, process.said()[-3000:])
        return process.said()

    def bulk(self) -> tuple[str, ...]:
        where = ("--output-dir", "out", "--report", "report.jsonl", "--issue-rate", "1000")
        return ("cert", "bulk", "dev", "--manifest", "rows.jsonl", *where)

    def report(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "report.jsonl").read_text().splitlines()]

    def asked(self) -> int:
        assert self.sandbox.server is not None
        return self.sandbox.server.sandbox.traffic.served.get(("acm-pca", "IssueCertificate"), 0)

    def made(self) -> Counter[bytes]:
        """The public keys that the issuing CA made certificates for, and how many."""
        assert self.sandbox.server is not None
        found: Counter[bytes] = Counter()
        for region in self.sandbox.server.sandbox.regions():
            for authority in region.authorities.values():
                if authority.kind == "SUBORDINATE":
                    found.update(spki(one.certificate) for one in authority.issued.values())
        return found


def spki(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with running_sandbox(pace=Pace(certificate_polls=0)) as sandbox:
        made = Yard(tmp_path, sandbox)
        made.done("ca", "apply", "dev", "--yes")
        yield made


def test_killed_at_random_moments_every_row_has_one_certificate(yard: Yard) -> None:
    chosen = random.Random(None if SOAK else 20261125)  # noqa: S311 - when to kill, nothing to guess
    for number in range(KILLS):
        done = yard.asked()
        moment = done + chosen.randrange(1, max(2, (ROWS - done) // 2))
        process = yard.start(*yard.bulk())
        while yard.asked() < moment and process.process.is_alive():
            time.sleep(0.002)
        time.sleep(chosen.random() * 0.1)
        process.kill()
        assert process.wait() == -9
        if number % 2:
            assert isinstance(yard.sandbox.clock, ManualClock)
            yard.sandbox.clock.advance(timedelta(minutes=10))
    said = yard.done(*yard.bulk(), codes=(0, _PARTIAL))
    unknown = [row["row"] for row in yard.report() if row["status"] == "unknown"]
    others = {row["status"] for row in yard.report()} - {"issued", "kept", "unknown"}
    assert (len(yard.report()), others) == (ROWS, set()), said[-3000:]
    if unknown:
        yard.done("cert", "resolve", "dev")
        said = yard.done(*yard.bulk())
    assert {row["status"] for row in yard.report()} <= {"issued", "kept"}, said[-3000:]
    made = yard.made()
    assert (len(made), set(made.values())) == (ROWS, {1})
    assert len({row["serial"] for row in yard.report()}) == ROWS
    ledger = json.loads(yard.done("inventory", "export", "dev", "--format", "json"))
    assert Counter(one["state"] for one in ledger["certificates"]) == {"issued": ROWS}
    for row in yard.report():
        (path,) = row["written"]
        written = x509.load_pem_x509_certificates((yard.folder / path).read_bytes())[0]
        assert f"{written.serial_number:x}" == row["serial"]
