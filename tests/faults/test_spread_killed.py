"""``ca apply spread``, over two accounts and three regions, is killed at its API calls, before and after the call, and run again.

`make check` kills at the calls that change CAs and at those that assume roles, `make soak` at every call.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.aws.spread import assert_spread, spread_folder
from tests.faults.processes import start
from tests.faults.proxy import Moment, Trigger, faulty_proxy
from tests.sandbox_server import running_sandbox
from tests.seeded import SOAK

SLICES = 4
# "POST /" is STS: who calls, and the role of the other account
TELLING = ("CreateCertificateAuthority", "IssueCertificate", "ImportCertificateAuthorityCertificate", "POST /")


def apply_spread(folder: Path, url: str, name: str = "apply") -> tuple[int, str]:
    process = start(
        ["ca", "apply", "spread", "--yes"], folder=folder, environment={"PKIOPS_SANDBOX_URL": url}, name=name
    )
    return process.wait(), process.said()


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """The numbers of the calls to kill at, out of those of an undisturbed apply."""
    folder = spread_folder(tmp_path_factory.mktemp("count"))
    with running_sandbox() as sandbox, faulty_proxy(sandbox.url) as proxy:
        code, said = apply_spread(folder, proxy.url)
        assert code == 0, said
        assert_spread(sandbox)
        found = [number for number, name in enumerate(proxy.calls, 1) if SOAK or name.endswith(TELLING)]
    assert len(found) > 12
    return found


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("share", range(SLICES))
def test_a_kill_and_a_second_run_give_one_hierarchy_over_all_homes(
    tmp_path: Path, moments: list[int], moment: Moment, share: int
) -> None:
    folder, killed = spread_folder(tmp_path), 0
    # in `make check` each second call before it is carried out, the others after
    chosen = moments if SOAK else moments[moment == "after" :: 2]
    calls = chosen[share::SLICES]
    for call in calls:
        with running_sandbox() as sandbox, faulty_proxy(sandbox.url) as proxy:
            process = start(
                ["ca", "apply", "spread", "--yes"],
                folder=folder,
                environment={"PKIOPS_SANDBOX_URL": proxy.url},
                name="killed",
            )
            proxy.trigger = Trigger(call, moment, process.kill)
            # homes are asked at the same time, so the numbers of calls vary a little: the neighbour of one must be right as well
            killed += process.wait() == -9
            code, said = apply_spread(folder, sandbox.url, "again")
            assert code == 0, f"call {call} ({moment}): {proxy.calls[-1]}\n{said}"
            assert_spread(sandbox)
    assert killed >= len(calls) - 1


def test_a_second_apply_changes_nothing(tmp_path: Path) -> None:
    folder = spread_folder(tmp_path)
    with running_sandbox() as sandbox, faulty_proxy(sandbox.url) as proxy:
        assert apply_spread(folder, sandbox.url)[0] == 0
        code, said = apply_spread(folder, proxy.url, "again")
        assert code == 0, said
        assert "nothing to do" in said
        changing = ("PUT", "DELETE")
        assert not [one for one in proxy.calls if one.startswith(changing) or "Create" in one or "Issue" in one]
