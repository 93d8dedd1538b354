"""What the canary does not do: run in another account, for more than was allowed, without being asked, or as AWS where it is not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws.canary.scene import Scene, clients, left, scene, workbench
from tests.canary.arguments import RESULTS
from tests.canary.cases import CASES
from tests.canary.cleaning import Cleaner
from tests.canary.command import tell
from tests.canary.patience import Patience
from tests.canary.runner import estimate, run
from tests.sandbox_server import ACCOUNT

CHEAP = "authority-csr-extensions,default-not-before"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as found:
        yield found


@pytest.mark.parametrize(
    "words",
    [
        ["--limit", "10"],
        ["--account", ACCOUNT],
        ["--account", "", "--limit", "10"],
        ["--account", "12345", "--limit", "10"],
        ["--account", ACCOUNT, "--limit", "0"],
        ["--account", ACCOUNT, "--limit", "nan"],
        ["--account", ACCOUNT, "--limit", "much"],
        ["--account", ACCOUNT, "--limit", "10", "--cases", "no-such-case"],
        ["--account", ACCOUNT, "--limit", "10", "--cases", ","],
        ["--limit", "10", "--clean"],
    ],
)
def test_account_and_limit_must_be_said(here: Scene, words: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        here.canary(*words, "--yes")
    assert stopped.value.code == 2
    assert here.proxy.calls == []


@pytest.mark.parametrize("more", [["--limit", "10"], ["--clean"]])
def test_another_account_is_refused_before_anything_else(
    here: Scene, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert here.canary("--account", "111122223333", "--yes", "--output", str(here.output), *more) == 9
    assert "another account than 111122223333" in capsys.readouterr().err
    assert len(here.proxy.calls) == 1
    assert here.journals == []


def test_a_limit_below_the_worst_case_is_refused(here: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    usd = estimate(CASES).usd()
    words = ["--account", ACCOUNT, "--yes", "--output", str(here.output), "--limit"]
    assert here.canary(*words, f"{usd - 0.01:.2f}") == 9
    assert f"it could cost {usd:.2f} USD" in capsys.readouterr().err
    assert len(here.proxy.calls) == 1
    assert left(here.sandbox) == []
    assert usd < 10


def test_the_plan_is_shown_and_agreed_to(here: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--account", ACCOUNT, "--limit", "5", "--cases", CHEAP, "--output", str(here.output)]
    assert here.canary(*words) == 9
    assert here.questions == ["Go on?"]
    assert not here.output.exists()
    assert len(here.proxy.calls) == 1
    said = capsys.readouterr().err
    for word in (ACCOUNT, "eu-west-1", here.proxy.url, "at most 3 CAs", "of 5.00 allowed", "50 USD a month"):
        assert word in said
    here.answer = True
    assert here.canary(*words) == 0
    assert here.cases()["default-not-before"]["outcome"] == "same"


def test_what_is_not_aws_never_writes_the_results_of_aws(here: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    before = RESULTS.read_bytes() if RESULTS.exists() else None
    assert here.canary("--account", ACCOUNT, "--limit", "10", "--yes") == 9
    for path in (str(RESULTS), os.path.relpath(RESULTS)):
        assert here.canary("--account", ACCOUNT, "--limit", "10", "--yes", "--output", path) == 9
    assert "the endpoints are not AWS's" in capsys.readouterr().err
    assert (RESULTS.read_bytes() if RESULTS.exists() else None) == before
    assert left(here.sandbox) == []


def test_some_cases_are_printed_and_not_written(here: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert here.canary("--account", ACCOUNT, "--limit", "5", "--yes", "--cases", CHEAP) == 0
    captured = capsys.readouterr()
    assert "2 same, 0 differs, 0 not-run" in captured.out
    assert "nothing is written" in captured.err


def test_the_running_bill_ends_a_run_before_its_limit(here: Scene) -> None:
    workspace, bill, _ = workbench(here, limit=1.0)
    results = list(run(CASES, workspace, print))
    outcomes = [result.outcome for result in results]
    stopped = outcomes.index("not-run")
    assert len(results) == len(CASES)
    assert set(outcomes[:stopped]) == {"same"}
    assert set(outcomes[stopped:]) == {"not-run"}
    assert results[stopped].reason == "the limit of 1.00 USD is reached"
    assert 0.5 < bill.usd(workspace.now()) <= 1.0
    bill.lift()  # cleaning goes on
    cleaner = Cleaner(clients(here.sandbox), Patience(workspace.clock), tell)
    assert cleaner.remove(cleaner.find(run=workspace.run)) == []
    assert left(here.sandbox) == []
