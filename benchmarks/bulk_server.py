"""The sandbox that ``benchmarks.bulk`` asks: the environment ``dev`` applied without delay, hindered from then on as each line of its input says.

    python -m benchmarks.bulk_server FOLDER COUNT

Makes COUNT requests in FOLDER/csr and FOLDER/dev.yaml, prints its URL once the CAs exist, and after each line of input (options of ``pkiops sandbox
up`` as JSON; an empty object changes nothing) a line of JSON: the calls served since it was last changed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from benchmarks.startup import PKIOPS, ROOT, clean_environment
from pkiops.clock import SystemClock
from pkiops.sandbox.engine.state import Pace, Readiness
from pkiops.sandbox.options import Options
from pkiops.sandbox.server import SandboxServer, bound_server
from pkiops.sandbox.traffic import Traffic


def write_requests(folder: Path, count: int, domain: str = "svc.dev.example.com") -> None:
    """Requests of one key each, ``h0.csr`` and so on."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        name = f"h{number}.{domain}"
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        request = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
        (folder / f"h{number}.csr").write_bytes(request.public_bytes(Encoding.PEM))


class ChosenPace(Pace):
    """The pace that was chosen last; certificates follow it."""

    chosen: ClassVar[Pace] = Pace()

    def issuing(self, now: datetime) -> Readiness:
        return ChosenPace.chosen.issuing(now)


def change(server: SandboxServer, given: dict[str, Any]) -> None:
    lists = {name: tuple(given.pop(name, ())) for name in ("quota", "fault")}
    options = Options(**{**given, **lists})
    sandbox = server.sandbox
    sandbox.traffic = Traffic(sandbox.clock, options.hindrances())
    ChosenPace.chosen = options.pace()


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    write_requests(folder / "csr", count)
    shutil.copy(ROOT / "environments" / "dev.yaml", folder / "dev.yaml")
    with bound_server(0, clock=SystemClock(), pace=ChosenPace()) as server:
        threading.Thread(target=server.serve, daemon=True).start()
        variables = {**clean_environment(str(folder)), "PKIOPS_SANDBOX_URL": server.url}
        apply = (*PKIOPS, "--environments", str(folder), "ca", "apply", "dev", "--yes")
        subprocess.run(apply, cwd=folder, env=variables, check=True, timeout=120, capture_output=True)
        print(server.url, flush=True)
        for line in sys.stdin:
            given = json.loads(line)
            if given:
                change(server, given)
            served = {operation: calls for (_, operation), calls in server.sandbox.traffic.served.items()}
            print(json.dumps({"served": served}), flush=True)
        server.shutdown()


if __name__ == "__main__":
    main()
