"""A sandbox as a process of this machine: started, found, ended.

What this module decides: that a process is ended only if its own record, which it holds locked while it lives (``records``), says that it is the
sandbox of that port, and whatever answers there does not say otherwise. What a listener says of itself is never enough: neither is its process
number used, nor even shown.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pkiops
from pkiops.clock import Clock, SeededRandomness
from pkiops.errors import GuardRefused, InputError, InternalError, Unreachable
from pkiops.sandbox.options import Options
from pkiops.sandbox.records import Record, living, record_path, recorded, state_folder
from pkiops.sandbox.status import LOOPBACK, SandboxStatus, ask, something_listens

DEFAULT_PORT = 4599
_START_SECONDS = 60
_STOP_SECONDS = 20
_NEEDED = ("moto", "flask", "flask_cors", "werkzeug")


def require_extra() -> None:
    """Check that the libraries of the ``sandbox`` extra are there.

    Raises:
        InputError: naming the extra.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(
            f"the sandbox needs {', '.join(missing)}, which is not installed",
            hint="pip install 'pkiops[sandbox]'",
            code="sandbox.extra-missing",
        )


def environment_variables(url: str) -> dict[str, str]:
    """What to export so that any AWS client talks to the sandbox; the credentials are dummies."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "eu-west-1"
    region = region if re.fullmatch(r"[a-z0-9-]{1,32}", region) else "eu-west-1"
    return {
        "AWS_ENDPOINT_URL": url,
        "PKIOPS_SANDBOX_URL": url,
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        # boto3 and the command line read the second of them only, the SDKs for JavaScript, Java and Rust the first
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }


def run(port: int, clock: Clock, ready: Callable[[str], None], options: Options | None = None) -> None:
    """Serve in the foreground until SIGINT or SIGTERM.

    Args:
        port: 0 for a free one.
        clock: the machine's time.
        ready: called with the URL once the server listens.
        options: what is not as usual.

    Raises:
        InputError: the port is taken, the extra is missing, or an option is not written as it should be.
    """
    require_extra()
    options = options or Options()
    from moto.moto_api._internal import mock_random

    from pkiops.sandbox.server import bound_server

    # Blocked before any thread exists and taken by sigwait: a handler needs the main thread to wake up, and one that
    # sleeps on a lock now and then does not.
    ending = {signal.SIGINT, signal.SIGTERM}
    bound = bound_server(
        port,
        clock=clock,
        randomness=None if options.seed is None else SeededRandomness(options.seed),
        pace=options.pace(),
        settings=options.settings(),
        hindrances=options.hindrances(),
        state_file=options.state,
    )
    with bound as server, recorded(server.port, server.instance):
        if options.seed is not None:
            mock_random.seed(options.seed)  # S3's versions, role sessions
        server.sandbox.traffic.on_stop = _end_at_once
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, ending)
        thread = threading.Thread(target=server.serve, name="sandbox", daemon=True)
        thread.start()
        try:
            ready(server.url)
            with contextlib.redirect_stdout(sys.stderr):  # moto prints what it cannot route
                signal.sigwait(ending)
        finally:
            server.shutdown()
            thread.join()
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _end_at_once() -> None:
    """What the fault ``stop`` does to a process of its own: nothing is put in order, as if it had been killed."""
    os._exit(128 + signal.SIGKILL)


def start_detached(port: int, clock: Clock, options: Options | None = None) -> SandboxStatus:
    """Start a sandbox in the background and wait until it answers.

    Raises:
        InputError: the port is taken, the extra is missing, or an option is not written as it should be.
        InternalError: it ended, or did not answer in time; the message holds its last words.
    """
    require_extra()
    options = options or Options()
    options.check()
    port = _free_port(port)
    log_path = state_folder() / f"sandbox-{port}.log"
    package_home = str(Path(pkiops.__file__).resolve().parent.parent)
    # -P: a folder named pkiops where the user happens to stand is not ours
    command = [sys.executable, "-P", "-m", "pkiops", "sandbox", "up", "--port", str(port), *options.arguments()]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [package_home, os.environ.get("PYTHONPATH")])),
    }
    with open(os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment
        )
    deadline = clock.monotonic() + _START_SECONDS
    while clock.monotonic() < deadline and process.poll() is None:
        status = ask(port)
        if status is not None and status.pid == process.pid:
            process.returncode = 0  # it outlives us; nobody waits for it
            return status
        clock.sleep(0.05)
    if process.poll() is None:
        process.terminate()
        process.wait(timeout=_STOP_SECONDS)
    last_words = log_path.read_text(encoding="utf-8", errors="replace")[-2000:].strip()
    raise InternalError(f"the sandbox did not start on port {port}: {last_words}", code="sandbox.start")


def _free_port(port: int) -> int:
    """The port itself if it can be bound, or a free one for 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise port_taken(port) from error
        return int(probe.getsockname()[1])


def port_taken(port: int) -> InputError:
    """The error for a port somebody else listens on."""
    if ask(port, timeout=1.0) is None:
        message, hint = f"port {port} of {LOOPBACK} is taken", "choose another with --port"
    else:
        message = f"port {port} of {LOOPBACK} is taken by a sandbox that runs already"
        hint = f"use it, end it with pkiops sandbox down --port {port}, or choose another with --port"
    return InputError(message, hint=hint, code="sandbox.port-taken")


def stop(port: int, clock: Clock) -> Record | None:
    """End the sandbox on a port, and say which it was; None if nobody listens there.

    Raises:
        GuardRefused: somebody else listens there.
        Unreachable: it did not end in time.
    """
    path = record_path(port)
    record, status = living(path), ask(port)
    if record is None and status is None:
        path.unlink(missing_ok=True)  # left behind by one that was killed
        if something_listens(port):
            raise GuardRefused(
                f"what listens on port {port} is not a pkiops sandbox: not ended",
                hint="a sandbox on another port is ended with --port",
                code="guard.sandbox",
            )
        return None
    if record is None or (status is not None and status.instance != record.instance):
        raise GuardRefused(
            f"what listens on port {port} says that it is a sandbox, but you did not start it with this state folder: not ended",
            hint="end it as the user, and with the HOME and XDG variables, it was started with",
            code="guard.sandbox",
        )
    with contextlib.suppress(ProcessLookupError):
        os.kill(record.pid, signal.SIGTERM)
    deadline = clock.monotonic() + _STOP_SECONDS
    while clock.monotonic() < deadline:
        status = ask(port, timeout=1.0)
        if living(path) != record and (status is None or status.instance != record.instance):
            return record
        clock.sleep(0.05)
    raise Unreachable(f"the sandbox on port {port} (process {record.pid}) did not end within {_STOP_SECONDS} seconds")
