"""What every command keeps: environment variables, help, error form, exit codes, file writing, harmless text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command
from typer.testing import CliRunner

from pkiops.cli.app import NOUNS, app
from pkiops.cli.files import FileToWrite, write_files
from pkiops.cli.output import iso, json_text, printable, table
from pkiops.errors import GuardRefused, InputError
from tests.seeded import seeded

# options that give consent or wave a guard away: never inherited from a shell
GUARDS = {
    "--yes",
    "--allow-live-certificates",
    "--overwrite",
    "--reissue",
    "--allow-delete",
    "--allow-resolve",
    "--allow-check",
    "--allow-endpoint",
    "--allow-removal",
    "--insecure-server",
    "--version",
    "--help",
}
COMPLETION = {"--install-completion", "--show-completion"}


def commands() -> Iterator[tuple[str, Any]]:
    root: Any = get_command(app)
    context = root.make_context("pkiops", ["env", "list"])
    yield "pkiops", root
    for noun in NOUNS:
        group = root.get_command(context, noun)
        for verb, command in group.commands.items():
            yield f"pkiops {noun} {verb}", command


@pytest.mark.parametrize(
    ("name", "command"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_option_has_its_environment_variable_and_help(name: str, command: Any) -> None:
    assert command.help, f"{name} has no help"
    for parameter in command.params:
        flags = [flag for flag in getattr(parameter, "opts", []) if flag.startswith("--")]
        if not flags or flags[0] in COMPLETION:
            continue
        assert parameter.help, f"{name} {flags[0]} has no help"
        if flags[0] in GUARDS:
            assert not parameter.envvar, f"{name} {flags[0]} is a guard"
        else:
            variable = "PKIOPS_" + flags[0].lstrip("-").replace("-", "_").upper()
            if flags[0] == "--probe" and parameter.multiple:
                variable = "PKIOPS_PROBE_WITH"  # elsewhere --probe is a switch
            assert parameter.envvar == variable, f"{name} {flags[0]}"


def test_the_environment_variable_of_an_option_works(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["env", "list"], env={"PKIOPS_ENVIRONMENTS": str(tmp_path), "PKIOPS_FORMAT": "json"}
    )
    assert json.loads(result.stdout)["kind"] == "environment-list"


def test_a_guard_is_not_inherited_from_the_shell(tmp_path: Path) -> None:
    for _ in range(2):
        result = CliRunner().invoke(
            app, ["--environments", str(tmp_path), "env", "init", "trial", "--sandbox"], env={"PKIOPS_OVERWRITE": "1"}
        )
    assert result.exit_code == 9


def test_wrong_usage_is_exit_2_as_text_and_as_json() -> None:
    text = CliRunner().invoke(app, ["ca", "plan"])
    assert text.exit_code == 2
    assert "Missing argument" in text.stderr
    as_json = CliRunner().invoke(app, ["ca", "plan", "--format", "json"])
    assert as_json.exit_code == 2
    assert json.loads(as_json.stderr)["error"]["code"] == "usage.arguments"


@pytest.mark.parametrize("given", ["-v", "-vv", "--debug", "--environments"])
def test_a_global_option_after_the_command_is_told_its_place(given: str) -> None:
    result = CliRunner().invoke(app, ["env", "show", "dev", given, "x"])
    assert result.exit_code == 2
    name = "-v" if given == "-vv" else given
    assert f"{name} goes before the command: pkiops {name} ..." in result.stderr


def test_an_unknown_noun_or_verb_is_exit_2() -> None:
    assert CliRunner().invoke(app, ["nonsense"]).exit_code == 2
    assert CliRunner().invoke(app, ["ca", "nonsense"]).exit_code == 2


def test_debug_shows_a_traceback_and_its_absence_does_not(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "pkiops", "--environments", str(tmp_path)]
    quiet = subprocess.run([*arguments, "ca", "plan", "x"], capture_output=True, text=True, timeout=30, check=False)
    loud = subprocess.run(
        [*arguments, "--debug", "ca", "plan", "x"], capture_output=True, text=True, timeout=30, check=False
    )
    assert quiet.returncode == loud.returncode != 0
    assert "Traceback" not in quiet.stderr
    assert "Traceback" in loud.stderr


def test_version_without_and_with_typer() -> None:
    fast = subprocess.run(
        [sys.executable, "-m", "pkiops", "--version"], capture_output=True, text=True, timeout=30, check=True
    )
    assert CliRunner().invoke(app, ["--version"]).stdout == fast.stdout


def test_control_characters_never_reach_a_terminal() -> None:
    hostile = "\x1b[31mred\x07 \u202eabc \r\x00 \ud800 ok\n"
    assert printable(hostile) == "\\x1b[31mred\\x07 \\u202eabc \\x0d\\x00 \\ud800 ok\n"


@seeded(200)
@given(st.text())
def test_printable_text_is_printable_and_stable(text: str) -> None:
    shown = printable(text)
    assert all(c == "\n" or c.isprintable() for c in shown)
    assert printable(shown) == shown


def test_a_table_has_one_line_per_row() -> None:
    assert table(["A", "LONG"], [["x\ny", "1"], ["zz", ""]]) == "A    LONG\nx y  1\nzz"


def test_json_has_the_envelope_and_utc_times() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    document = json.loads(json_text("kind", "dev", moment, {"at": moment, "tags": {"b", "a"}}))
    assert document == {
        "format_version": "1.0",
        "kind": "kind",
        "environment": "dev",
        "generated_at": "2026-01-02T03:04:05Z",
        "at": iso(moment),
        "tags": ["a", "b"],
    }


def test_files_are_all_checked_before_the_first_is_written(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("old")
    files = [FileToWrite(tmp_path / "a", b"1"), FileToWrite(tmp_path / "b", b"2")]
    with pytest.raises(GuardRefused):
        write_files(files, overwrite=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b"]
    write_files(files, overwrite=True)
    assert (tmp_path / "b").read_bytes() == b"2"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("make", ["missing/a", ".", "twice"])
def test_a_target_that_cannot_be_written_is_wrong_input(tmp_path: Path, make: str) -> None:
    path = tmp_path / make
    files = [FileToWrite(path, b"1")] * (2 if make == "twice" else 1)
    with pytest.raises(InputError):
        write_files(files, overwrite=True)
    assert list(tmp_path.iterdir()) == []


def test_a_private_file_is_private_and_never_shown(tmp_path: Path) -> None:
    secret = FileToWrite(tmp_path / "key", b"secret", private=True)
    write_files([secret], overwrite=False)
    assert os.stat(tmp_path / "key").st_mode & 0o777 == 0o600
    assert "secret" not in repr(secret)


def test_a_dangling_link_counts_as_existing(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(GuardRefused):
        write_files([FileToWrite(tmp_path / "link", b"1")], overwrite=False)


def test_only_a_plain_file_is_ever_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for target in (tmp_path / "pipe", Path("/dev/null"), Path("/dev/stdout")):
        with pytest.raises(InputError, match="is a device or a pipe"):
            write_files([FileToWrite(target, b"1")], overwrite=True)


def run_pkiops(*arguments: str, stdout: Any = subprocess.PIPE, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pkiops", *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment, timeout=60, check=False
    )


def test_without_arguments_it_shows_its_help() -> None:
    result = run_pkiops()
    assert (result.returncode, result.stdout) == (2, "")
    assert "Commands:" in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_no_bug_of_pkiops() -> None:
    with open("/dev/full", "wb") as full:
        result = run_pkiops("env", "schema", stdout=full)
    assert (result.returncode, result.stderr.splitlines()) == (
        2,
        ["error: cannot write the result to stdout: No space left on device"],
    )


def test_a_closed_stdout_is_no_bug_of_pkiops() -> None:
    script = 'exec "$0" -m pkiops env schema >&-'
    result = subprocess.run(["sh", "-c", script, sys.executable], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (2, "error: cannot write the result: stdout is closed\n")


def test_a_stream_without_box_characters_gets_plain_ones() -> None:
    script = "from pkiops.cli.output import emit, prepare_streams; prepare_streams(); emit('└── root │ ü €')"
    for encoding, expected in (("ascii", b"`-- root | \\xfc \\u20ac\n"), ("latin-1", b"`-- root | \xfc \\u20ac\n")):
        result = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": encoding},
            timeout=60,
            check=True,
        )
        assert result.stdout == expected
