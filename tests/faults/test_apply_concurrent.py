"""Ten ``ca apply dev`` processes at once on an empty account lead to one hierarchy, and every one of them succeeds or says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.hierarchy import assert_one_hierarchy, dev_folder
from tests.faults.processes import start
from tests.sandbox_server import running_sandbox

PROCESSES = 10


@pytest.mark.parametrize("round_", range(3))
def test_ten_at_once_make_one_hierarchy(tmp_path: Path, round_: int) -> None:
    folder = dev_folder(tmp_path)
    with running_sandbox() as sandbox:
        environment = {"PKIOPS_SANDBOX_URL": sandbox.url}
        processes = [
            start(
                ["ca", "apply", "dev", "--yes"], folder=folder, environment=environment, name=f"apply-{round_}-{number}"
            )
            for number in range(PROCESSES)
        ]
        codes = [process.wait() for process in processes]
        assert codes == [0] * PROCESSES, "\n".join(process.said() for process in processes)
        assert_one_hierarchy(sandbox.client("acm-pca"), sandbox.client("s3"))
