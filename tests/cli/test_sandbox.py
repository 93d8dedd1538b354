"""``pkiops sandbox`` as a person runs it: a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 60


class Shell:
    """A person with a home of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.runtime = home / "run"
        self.runtime.mkdir(mode=0o700)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "PYTHONPATH": str(ROOT),
        }
        self.port = free_port()

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "pkiops", "sandbox"]

    def run(self, *arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments],
            env=self.environment | (environment or {}),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def up(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.command, "up", "--port", str(self.port), *arguments],
            env=self.environment,
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def status(self) -> dict[str, Any]:
        run = self.run("status", "--port", str(self.port), "--format", "json")
        document: dict[str, Any] = json.loads(run.stdout)
        assert run.returncode == (0 if document["running"] else 6), run.stderr
        return document

    def record(self) -> Path:
        return self.runtime / "pkiops" / f"sandbox-{self.port}.json"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@contextlib.contextmanager
def foreground(shell: Shell) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """A sandbox in the foreground, and what it printed to export."""
    process = shell.up()
    assert process.stdout is not None
    try:
        exports = {}
        for _ in range(6):
            word, _, assignment = process.stdout.readline().strip().partition(" ")
            assert word == "export"
            name, _, value = assignment.partition("=")
            exports[name] = value
        yield process, exports
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=TIMEOUT)


def test_up_prints_what_to_export_and_serves_boto3(shell: Shell) -> None:
    with foreground(shell) as (_, exports):
        url = f"http://127.0.0.1:{shell.port}"
        assert exports == {
            "AWS_ENDPOINT_URL": url,
            "PKIOPS_SANDBOX_URL": url,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
        }
        session = boto3.Session(
            aws_access_key_id=exports["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=exports["AWS_SECRET_ACCESS_KEY"],
            region_name=exports["AWS_DEFAULT_REGION"],
        )
        pca = session.client("acm-pca", endpoint_url=url)
        assert pca.list_certificate_authorities()["CertificateAuthorities"] == []
        status = shell.status()
        assert (status["kind"], status["running"], status["url"]) == ("sandbox-status", True, url)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly(shell: Shell, number: signal.Signals) -> None:
    with foreground(shell) as (process, _):
        assert shell.record().exists()
        assert shell.record().stat().st_mode & 0o777 == 0o600
        assert shell.record().parent.stat().st_mode & 0o777 == 0o700
        process.send_signal(number)
        out, err = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0, err
        assert out == ""
        assert "Traceback" not in err
    assert not shell.record().exists()
    assert shell.status()["running"] is False


def test_detached_up_status_and_down(shell: Shell) -> None:
    port = str(shell.port)
    up = shell.run("up", "--detach", "--port", port)
    assert up.returncode == 0, up.stderr
    try:
        assert len(up.stdout.splitlines()) == 6
        assert all(line.startswith("export ") for line in up.stdout.splitlines())
        text = shell.run("status", "--port", port)
        assert f"http://127.0.0.1:{port}" in text.stdout
        second = shell.run("up", "--port", port)
        assert (second.returncode, second.stdout) == (2, "")
        assert f"port {port} of 127.0.0.1 is taken by a sandbox that runs already" in second.stderr
        assert f"pkiops sandbox down --port {port}" in second.stderr
        again = shell.run("up", "--detach", "--port", port, environment={"PKIOPS_FORMAT": "json"})
        assert again.returncode == 2
        assert json.loads(again.stderr)["error"]["code"] == "sandbox.port-taken"
        assert shell.status()["running"] is True
    finally:
        down = shell.run("down", "--port", port)
    assert down.returncode == 0
    assert "ended" in down.stdout
    assert shell.status()["running"] is False
    assert not shell.record().exists()


def test_port_zero_finds_a_free_one(shell: Shell) -> None:
    up = shell.run("up", "--detach", "--port", "0")
    assert up.returncode == 0, up.stderr
    port = up.stdout.splitlines()[0].rpartition(":")[2]
    assert shell.run("down", "--port", port).returncode == 0


def test_down_without_one_is_no_error(shell: Shell) -> None:
    down = shell.run("down", "--port", str(shell.port))
    assert (down.returncode, down.stdout) == (0, "")
    assert "no sandbox is running" in down.stderr


def test_a_stale_record_ends_nothing(shell: Shell) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        shell.record().parent.mkdir(mode=0o700)
        shell.record().write_text(json.dumps({"pid": bystander.pid, "instance": "0" * 32}))
        assert shell.run("down", "--port", str(shell.port)).returncode == 0
        assert bystander.poll() is None
        assert not shell.record().exists()
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("forged", ["bystander", "own instance missing", "not json", "link"])
def test_a_forged_record_ends_nothing(shell: Shell, forged: str) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with foreground(shell) as (process, _):
            record = json.loads(shell.record().read_text())
            shell.record().unlink()
            if forged == "link":
                target = shell.home / "elsewhere.json"
                target.write_text(json.dumps(record))
                shell.record().symlink_to(target)
            else:
                text = {
                    "bystander": json.dumps({**record, "pid": bystander.pid}),
                    "own instance missing": json.dumps({"pid": process.pid}),
                    "not json": "{",
                }[forged]
                shell.record().write_text(text)
            down = shell.run("down", "--port", str(shell.port))
            assert down.returncode == 9
            assert "not ended" in down.stderr
            assert str(bystander.pid) not in down.stderr
            assert process.poll() is None
            assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_after_kill_nine_the_port_is_free_again(shell: Shell) -> None:
    with foreground(shell) as (process, _):
        process.kill()
        process.wait(timeout=TIMEOUT)
        assert shell.record().exists()
    with foreground(shell) as (_, exports):
        assert exports["AWS_ENDPOINT_URL"].endswith(str(shell.port))


def test_a_state_folder_that_is_a_link_is_refused(shell: Shell) -> None:
    elsewhere = shell.home / "elsewhere"
    elsewhere.mkdir()
    (shell.runtime / "pkiops").symlink_to(elsewhere)
    up = shell.run("up", "--detach", "--port", str(shell.port))
    assert up.returncode == 9
    assert list(elsewhere.iterdir()) == []


@contextlib.contextmanager
def impostor(port: int, answer: bytes) -> Iterator[None]:
    """Something that listens on a port and gives everybody the same answer."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(1000)
                        connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=TIMEOUT)


def claims(**more: Any) -> bytes:
    """The status that a sandbox would give."""
    status = {
        "service": "pkiops sandbox",
        "version": "1",
        "pid": 1,
        "instance": "0" * 32,
        "time": 1_800_000_000,
        "ahead_seconds": 0,
        "state_file": None,
        "authorities": [],
        "calls": [],
        "faults_pending": [],
        **more,
    }
    body = json.dumps(status).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def test_something_else_on_the_port_is_not_a_sandbox(shell: Shell) -> None:
    port = str(shell.port)
    with impostor(shell.port, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"):
        up = shell.run("up", "--detach", "--port", port)
        assert up.returncode == 2
        status = shell.run("status", "--port", port)
        assert (status.returncode, status.stdout) == (6, "")
        assert "no sandbox is running" in status.stderr
        assert "what listens there is none" in status.stderr
        down = shell.run("down", "--port", port)
        assert (down.returncode, down.stdout) == (9, "")
        assert "is not a pkiops sandbox" in down.stderr


def test_a_listener_that_says_it_is_a_bystander_ends_nobody(shell: Shell) -> None:
    """Not even with a record that fits what it says: nobody holds a lock on that."""
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    port = str(shell.port)
    try:
        shell.record().parent.mkdir(mode=0o700)
        shell.record().write_text(json.dumps({"pid": bystander.pid, "instance": "0" * 32}))
        with impostor(shell.port, claims(pid=bystander.pid)):
            for arguments in (("down",), ("up",), ("up", "--detach")):
                run = shell.run(*arguments, "--port", port)
                assert run.returncode == (9 if arguments == ("down",) else 2)
                assert str(bystander.pid) not in run.stderr
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_the_shell_knows_the_port(shell: Shell) -> None:
    """``up`` prints PKIOPS_SANDBOX_URL; status, advance and down follow it, and --port wins."""
    up = shell.run("up", "--detach", "--port", "0")
    exports = dict(line.removeprefix("export ").split("=", 1) for line in up.stdout.splitlines())
    try:
        status = shell.run("status", environment=exports)
        assert exports["PKIOPS_SANDBOX_URL"] in status.stdout
        assert shell.run("advance", "1d", environment=exports).returncode == 0
        assert shell.run("status", "--port", str(shell.port), environment=exports).returncode == 6
        for wrong in ("http://sandbox.example.com:4599", "https://127.0.0.1:4599", "http://127.0.0.1:x", "nonsense"):
            run = shell.run("status", environment={"PKIOPS_SANDBOX_URL": wrong})
            assert (run.returncode, run.stdout) == (2, "")
            assert "PKIOPS_SANDBOX_URL" in run.stderr
    finally:
        down = shell.run("down", environment=exports)
    assert down.returncode == 0, down.stderr


def test_without_a_home_the_folder_for_temporary_files_serves(shell: Shell) -> None:
    """As in a container with a user that the machine does not know, whose home is ``/`` and cannot be written."""
    temporary = shell.home / "temporary"
    temporary.mkdir()
    shell.environment |= {"HOME": "/dev/null", "TMPDIR": str(temporary)}
    del shell.environment["XDG_RUNTIME_DIR"]
    port = str(shell.port)
    up = shell.run("up", "--detach", "--port", port)
    assert up.returncode == 0, up.stderr
    try:
        (folder,) = temporary.iterdir()
        assert (folder.name, folder.stat().st_mode & 0o777) == (f"pkiops-{os.getuid()}", 0o700)
        assert shell.status()["running"] is True
    finally:
        down = shell.run("down", "--port", port)
    assert down.returncode == 0, down.stderr
    assert shell.status()["running"] is False


def test_without_the_extra_it_says_what_to_install(shell: Shell) -> None:
    hidden = shell.home / "hidden"
    hidden.mkdir()
    # a finder in front of all others that knows no moto: as if the extra had not been installed
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util, importlib\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, package=None: None if name == 'moto' else found(name, package)\n"
    )
    environment = {"PYTHONPATH": f"{hidden}{os.pathsep}{ROOT}"}
    for arguments in (("up",), ("up", "--detach")):
        run = shell.run(*arguments, "--port", str(shell.port), environment=environment)
        assert run.returncode == 2
        assert "pip install 'pkiops[sandbox]'" in run.stderr


def test_help_loads_no_moto(shell: Shell) -> None:
    code = "import sys, pkiops.cli.sandbox; print([n for n in ('moto', 'boto3', 'flask', 'cryptography') if n in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", code], env=shell.environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
