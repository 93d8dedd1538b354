"""``ca apply dev`` is killed (SIGKILL) at every one of its API calls, before and after the call, and run again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.hierarchy import assert_one_hierarchy, dev_folder
from tests.faults.processes import start
from tests.faults.proxy import FaultyProxy, Moment, Trigger, faulty_proxy
from tests.sandbox_server import running_sandbox

SLICES = 8


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return dev_folder(tmp_path)


@pytest.fixture(scope="module")
def total(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many API calls an undisturbed apply makes."""
    return count_calls(dev_folder(tmp_path_factory.mktemp("count")))


def apply_dev(folder: Path, url: str, name: str = "apply") -> tuple[int, str]:
    process = start(["ca", "apply", "dev", "--yes"], folder=folder, environment={"PKIOPS_SANDBOX_URL": url}, name=name)
    return process.wait(), process.said()


def count_calls(folder: Path) -> int:
    with running_sandbox() as sandbox, faulty_proxy(sandbox.url) as proxy:
        code, said = apply_dev(folder, proxy.url)
        assert code == 0, said
        assert_one_hierarchy(sandbox)
        return len(proxy.calls)


def kill_at(folder: Path, proxy: FaultyProxy, call: int, moment: Moment) -> int:
    process = start(
        ["ca", "apply", "dev", "--yes"], folder=folder, environment={"PKIOPS_SANDBOX_URL": proxy.url}, name="killed"
    )
    proxy.trigger = Trigger(call, moment, process.kill)
    return process.wait()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("share", range(SLICES))
def test_a_kill_at_any_call_and_a_second_run_give_one_hierarchy(
    folder: Path, total: int, moment: Moment, share: int
) -> None:
    killed = 0
    for call in range(1 + share, total + 1, SLICES):
        with running_sandbox() as sandbox, faulty_proxy(sandbox.url) as proxy:
            code = kill_at(folder, proxy, call, moment)
            # waiting makes the number of calls vary a little: a run that was over before is no kill, but must still be right
            killed += code == -9
            code, said = apply_dev(folder, sandbox.url, "again")
            assert code == 0, f"call {call} ({moment}): {proxy.calls[-1]}\n{said}"
            assert_one_hierarchy(sandbox)
    assert killed >= (total // SLICES) - 1


def test_a_second_apply_changes_nothing_and_says_so(folder: Path) -> None:
    with running_sandbox() as sandbox, faulty_proxy(sandbox.url) as proxy:
        assert apply_dev(folder, sandbox.url)[0] == 0
        code, said = apply_dev(folder, proxy.url, "again")
        assert code == 0, said
        assert "nothing to do" in said
        assert not [
            call for call in proxy.calls if call.startswith(("PUT", "DELETE")) or "Create" in call or "Issue" in call
        ]
