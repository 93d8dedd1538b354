"""A run that is killed, interrupted or cut off leaves nothing, or what it leaves is found: by its journal, and without it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pkiops.clock import ManualClock, SystemClock
from tests.aws.canary.scene import Scene, scene
from tests.canary.arguments import REPOSITORY
from tests.faults.proxy import Moment, Trigger, faulty_proxy
from tests.sandbox_server import ACCOUNT, running_sandbox, subprocess_environment
from tests.seeded import SOAK

# every creating call there is, and no long wait
CASES = ("create-without-token-twice", "crl-probe-objects", "audit-report-caller-without-bucket-rights")
MOMENTS: tuple[Moment, ...] = ("before", "after")
_RANDOM = random.Random(None if SOAK else 20261125)  # noqa: S311 - which call, not a secret


def calls_of_a_run(folder: Path) -> list[str]:
    with scene(folder) as here:
        assert here.run(cases=CASES) == 0
        return list(here.proxy.calls)


def points(calls: list[str], count: int) -> list[tuple[int, Moment]]:
    """Some points of a run, those right after something was made among them."""
    makes = [
        number
        for number, name in enumerate(calls, 1)
        if name.endswith(".CreateCertificateAuthority") or (name.startswith("PUT /pkiops-canary") and "?" not in name)
    ]
    every = [(number, moment) for number in range(2, len(calls) + 1) for moment in MOMENTS]
    if SOAK:
        return every
    return [(_RANDOM.choice(makes), "after"), (makes[0], "after"), *_RANDOM.sample(every, count - 2)]


def cut_off(here: Scene, number: int, moment: Moment) -> None:
    """From that call on nobody is reached any more, by cleaning neither."""

    def never_again() -> None:
        here.proxy.trigger = None
        here.proxy.target = "http://127.0.0.1:9"

    here.proxy.trigger = Trigger(number, moment, never_again)


def test_what_a_run_that_was_cut_off_left_is_found_and_removed(tmp_path: Path) -> None:
    calls = calls_of_a_run(tmp_path / "whole")
    for count, (number, moment) in enumerate(points(calls, 10)):
        folder = tmp_path / f"{count}"
        folder.mkdir()
        with scene(folder) as here:
            cut_off(here, number, moment)
            assert here.run(cases=CASES) == 6, (number, moment)
            if here.journals and count % 2:
                shutil.rmtree(folder / "journals")  # as on another machine
            assert here.clean() == 0, (number, moment)
            assert here.left() == [], (number, moment)
            assert here.journals == []
            assert here.clean() == 0


def start(url: str, folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.canary", "--account", ACCOUNT, "--yes", "--journals", str(folder / "j")]
    environment = {**os.environ, **subprocess_environment(url), "AWS_MAX_ATTEMPTS": "1"}
    return subprocess.Popen(
        [*command, *words], cwd=REPOSITORY, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.parametrize(
    ("number", "moment", "sent"),
    [
        (3, "after", signal.SIGKILL),
        (12, "before", signal.SIGKILL),
        (20, "after", signal.SIGKILL),
        (8, "after", signal.SIGINT),
        (30, "after", signal.SIGTERM),
    ],
)
def test_a_process_that_gets_a_signal(number: int, moment: Moment, sent: signal.Signals, tmp_path: Path) -> None:
    with running_sandbox(clock=SystemClock()) as sandbox, faulty_proxy(sandbox.url) as proxy:
        ready: list[subprocess.Popen[str]] = []
        proxy.trigger = Trigger(number, moment, lambda: ready[0].send_signal(sent))
        words = ["--limit", "10", "--cases", ",".join(CASES), "--output", str(tmp_path / "canary.json")]
        ready.append(start(proxy.url, tmp_path, *words))
        _, said = ready[0].communicate(timeout=60)
        here = Scene(sandbox, proxy, tmp_path, ManualClock(SystemClock().now()))
        if sent is signal.SIGKILL:
            assert ready[0].returncode == -sent
            assert list((tmp_path / "j").iterdir())
            cleaning = start(sandbox.url, tmp_path, "--clean")
            _, said = cleaning.communicate(timeout=90)
            assert cleaning.returncode == 0, said
        else:
            assert ready[0].returncode == 130, said
            assert "interrupted" in {case.get("reason") for case in here.cases().values()}
        assert here.left() == [], said
        assert list((tmp_path / "j").iterdir()) == []
