"""Ten ``ca apply dev`` processes at once on an empty account lead to one hierarchy, also when each of them is killed somewhere on its way."""

from __future__ import annotations

import random
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.hierarchy import assert_harmless, assert_whole_dev, dev_folder
from tests.faults.processes import prepared, start
from tests.faults.proxy import faulty_proxy
from tests.faults.trouble import Fault, StrikesOne
from tests.sandbox_server import RunningSandbox, running_sandbox
from tests.seeded import SOAK

PROCESSES = 10
ARGUMENTS = ["ca", "apply", "dev", "--yes"]
# an undisturbed apply makes about 70 calls; of ten at once some have less to do, so a few get away
LAST_CALL = 80


@pytest.mark.parametrize("round_", range(3))
def test_ten_at_once_make_one_hierarchy(tmp_path: Path, round_: int) -> None:
    folder = dev_folder(tmp_path)
    with running_sandbox() as sandbox:
        environment = {"PKIOPS_SANDBOX_URL": sandbox.url}
        processes = [
            start(ARGUMENTS, folder=folder, environment=environment, name=f"apply-{round_}-{number}")
            for number in range(PROCESSES)
        ]
        codes = [process.wait() for process in processes]
        assert codes == [0] * PROCESSES, "\n".join(process.said() for process in processes)
        assert_whole_dev(sandbox.client("acm-pca"), sandbox.client("s3"))


@pytest.mark.parametrize("round_", range(50 if SOAK else 5))
def test_ten_at_once_that_are_killed_at_random_leave_what_one_more_run_completes(tmp_path: Path, round_: int) -> None:
    folder = dev_folder(tmp_path)
    chosen = random.Random(None if SOAK else round_)  # noqa: S311 - where to kill, nothing to guess
    at = [chosen.randint(1, LAST_CALL) for _ in range(PROCESSES)]
    with running_sandbox() as sandbox:
        codes = killed_together(folder, sandbox, at)
        pca, s3 = sandbox.client("acm-pca"), sandbox.client("s3")
        assert set(codes) <= {-9, 0}, f"killed at {at}: {codes}"
        assert codes.count(-9) >= PROCESSES // 2
        assert_harmless(pca, s3)
        last = start(ARGUMENTS, folder=folder, environment={"PKIOPS_SANDBOX_URL": sandbox.url}, name="last")
        assert last.wait() == 0, f"killed at {at}: {codes}\n{last.said()}"
        assert_whole_dev(pca, s3)


def killed_together(folder: Path, sandbox: RunningSandbox, at: list[int]) -> list[int]:
    """Run as many applies at once as there are numbers; each is killed when its so many-th call has been carried out. Their exit codes."""
    with ExitStack() as stack:
        processes = []
        for number, call in enumerate(at):
            proxy = stack.enter_context(faulty_proxy(sandbox.url))
            environment = {"PKIOPS_SANDBOX_URL": proxy.url}
            process = prepared(ARGUMENTS, folder=folder, environment=environment, name=f"apply-{number}")
            proxy.begin(StrikesOne(call, Fault.KILLED, process.kill))
            processes.append(process)
        for process in processes:
            process.begin()
        return [process.wait() for process in processes]
