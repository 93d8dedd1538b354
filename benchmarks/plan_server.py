"""The sandbox that ``benchmarks.plan`` asks: filled without delay, hindered from then on as each line of its input says.

    python -m benchmarks.plan_server COUNT FOLDER

Prints its URL once the environment of COUNT authorities exists, and ``ok`` after each line of input: the options of ``pkiops sandbox up`` as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

from pkiops.clock import SystemClock
from pkiops.sandbox.engine.settings import Settings
from pkiops.sandbox.options import Options
from pkiops.sandbox.server import bound_server
from pkiops.sandbox.traffic import Traffic
from tests.many import Estate, write_environment


def main() -> None:
    count, folder = int(sys.argv[1]), Path(sys.argv[2])
    environment = write_environment(folder, count)
    with bound_server(0, clock=SystemClock(), settings=Settings(authorities_per_region=2 * count + 10)) as server:
        threading.Thread(target=server.serve, daemon=True).start()
        Estate(server.url).grow(environment)
        print(server.url, flush=True)
        for line in sys.stdin:
            given = json.loads(line)
            options = Options(**{**given, "fault": tuple(given.get("fault", ()))})
            server.sandbox.traffic = Traffic(server.sandbox.clock, options.hindrances())
            print("ok", flush=True)
        server.shutdown()


if __name__ == "__main__":
    main()
