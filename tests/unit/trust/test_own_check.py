"""The check of a target of the user's own: what may be run at all, and that it ends in time and says no more than fits."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pkiops.clock import SystemClock
from pkiops.errors import InputError
from pkiops.trust.own_check import MAX_OUTPUT, CheckOutcome, require_command, run_check

CLOCK = SystemClock()


def run(folder: Path, source: str, *arguments: str, seconds: float = 20) -> CheckOutcome:
    argv = (sys.executable, "-I", "-S", "-c", source, *arguments)
    require_command(argv, "target.yaml")
    return run_check(argv, folder, CLOCK, seconds=seconds)


def test_it_runs_in_the_folder_and_is_told_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "ca.pem").write_text("x")
    done = run(tmp_path / "a b", "import os,sys; print(os.listdir('.'), sys.argv[1:])", "{folder}/ca.pem", "$HOME; id")
    assert (done.problem, done.output) == (None, f"['ca.pem'] ['{tmp_path}/a b/ca.pem', '$HOME; id']")


def test_it_finds_no_credentials_and_nobody_to_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("PKIOPS_SECRET_X", "secret")
    done = run(tmp_path, "import os,sys; print('secret' in str(os.environ), repr(sys.stdin.read()))")
    assert done.output == "False ''"


def test_what_fails_says_so(tmp_path: Path) -> None:
    done = run(tmp_path, "import sys; sys.stderr.write('bad line 3'); sys.exit(4)")
    assert (done.problem, done.output) == ("exit code 4", "bad line 3")
    assert run(tmp_path, "import os; os.kill(os.getpid(), 15)").problem == "ended by signal 15"
    missing = run_check(["no-such-program-anywhere"], tmp_path, CLOCK)
    assert missing.problem == "it cannot be run: No such file or directory"


def test_it_ends_in_time_with_its_children(tmp_path: Path) -> None:
    source = "import os,time; pid=os.fork(); pid and print(pid, flush=True); time.sleep(60)"
    done = run(tmp_path, source, seconds=1)
    assert done.problem == "it was not done in time, and was ended"
    _wait_for_the_end(int(done.output))


def _wait_for_the_end(child: int) -> None:
    for _ in range(100):
        if not _is_alive(child):
            return
        CLOCK.sleep(0.02)
    pytest.fail("its child goes on")


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_children_that_are_left_behind_with_the_output_are_ended_too(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        "import os,time; pid=os.fork(); pid and (print(pid, flush=True), os._exit(0)); time.sleep(60)",
        seconds=1,
    )
    assert done.problem == "it was not done in time, and was ended"
    _wait_for_the_end(int(done.output))


def test_children_that_are_left_behind_in_silence_are_ended_too(tmp_path: Path) -> None:
    start = "import os,time; pid=os.fork(); pid and (print(pid, flush=True), os._exit(0)); "
    done = run(tmp_path, start + "os.close(1); os.close(2); time.sleep(60)")
    assert done.problem is None
    _wait_for_the_end(int(done.output))


@pytest.mark.parametrize("here", [".", "", "bin"])
def test_a_path_that_leads_into_the_folder_finds_no_rendered_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str
) -> None:
    program = tmp_path / here / "rendered-check"
    program.parent.mkdir(exist_ok=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{here}:{os.environ['PATH']}")
    assert run_check(["rendered-check"], tmp_path, CLOCK).problem == "it cannot be run: No such file or directory"


def test_one_that_closes_its_output_is_waited_for_no_longer(tmp_path: Path) -> None:
    done = run(tmp_path, "import os,time; os.close(1); os.close(2); time.sleep(60)", seconds=1)
    assert done.problem == "it was not done in time, and was ended"


def test_it_cannot_fill_the_memory(tmp_path: Path) -> None:
    done = run(tmp_path, "import os; [os.write(1, b'x' * 4096) for _ in iter(int, 1)]")
    assert done.problem == f"it says more than {MAX_OUTPUT} bytes, and was ended"
    assert len(done.output) == MAX_OUTPUT


@pytest.mark.parametrize(
    "argv",
    [
        ["./check.sh"],
        ["bin/check"],
        ["{folder}/check.sh"],
        ["check{folder}"],
        [""],
        ["check", "{location}"],
        ["check", "{folder"],
        ["check", "}"],
        ["check", "a\nb"],
        ["che\x00ck"],
    ],
)
def test_what_is_never_run(argv: list[str]) -> None:
    with pytest.raises(InputError, match=r"target\.yaml: check_command") as caught:
        require_command(argv, "target.yaml")
    assert caught.value.code == "trust.check-command"


def test_names_and_absolute_paths_may_be_run(tmp_path: Path) -> None:
    require_command([], "target.yaml")
    require_command(["gateway", "--check", "--in={folder}/a.conf"], "target.yaml")
    require_command([os.fspath(tmp_path / "gateway")], "target.yaml")
