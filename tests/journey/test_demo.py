"""``make demo`` as a newcomer runs it: the whole story comes true, nothing stays running, and the README tells what really happens."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def copy_of_the_repository(folder: Path) -> Path:
    """The demo writes beside its own source, so it runs in a copy of what it needs."""
    target = folder / "clone"
    target.mkdir()
    for name in ("demo", "environments"):
        (target / name).mkdir()
        for path in (REPOSITORY / name).iterdir():
            if path.is_file():
                (target / name / path.name).write_bytes(path.read_bytes())
    return target


def start_demo(clone: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONSAFEPATH": "", "HOME": str(clone)}
    return subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=clone,
        env={**environment, "PYTHONPATH": os.pathsep.join([str(clone), str(REPOSITORY)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def pid_of_sandbox(text: str) -> int:
    found = re.search(r"sandbox listens on \S+ \(process (\d+)\)", text)
    assert found, text
    return int(found[1])


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def assert_ends(pid: int) -> None:
    for _ in range(100):
        if not is_alive(pid):
            return
        time.sleep(0.1)
    raise AssertionError(f"process {pid} is still there")


def shape(line: str) -> str:
    """A line without what differs from run to run: digests, serials, identifiers, dates, ports, counts of days, spacing."""
    line = re.sub(r"\b\d{4}-\d\d-\d\d(T[\d:]+Z)?", "DATE", line)
    line = re.sub(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "ID", line)
    line = re.sub(r"\b[0-9a-f]{16,64}\b", "HEX", line)
    line = re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", line)
    line = re.sub(r"\d+ days left", "N days left", line)
    return re.sub(r"\s+", " ", line).strip()


def readme_lines() -> list[str]:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    block = text.split("<!-- demo:begin")[1].split("<!-- demo:end")[0]
    inside = block.split("```console\n")[1].split("```")[0]
    return [shape(line) for line in inside.splitlines() if line.strip()]


def test_the_story_comes_true_and_the_readme_tells_it(tmp_path: Path) -> None:
    clone = copy_of_the_repository(tmp_path)
    demo = start_demo(clone)
    said, _ = demo.communicate(timeout=120)
    assert demo.returncode == 0, said
    assert_ends(pid_of_sandbox(said))
    output = clone / "demo-output"
    inventory = json.loads((output / "inventory.json").read_text())
    assert {one["label"] if "label" in one else one["authority"] for one in inventory["authorities"]} == {
        "root",
        "clients",
    }
    assert (output / "payments.key").stat().st_mode & 0o077 == 0
    lines = iter([shape(line) for line in said.splitlines()])
    for wanted in readme_lines():
        assert any(line == wanted for line in lines), (
            f"the README shows what the demo does not say (in this order): {wanted}"
        )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    demo = start_demo(copy_of_the_repository(tmp_path))
    assert demo.stdout is not None
    said = ""
    for line in demo.stdout:
        said += line
        if "Mutual TLS" in line:
            break
    demo.send_signal(number)
    rest, _ = demo.communicate(timeout=30)
    assert demo.returncode != 0, said + rest
    assert_ends(pid_of_sandbox(said))
