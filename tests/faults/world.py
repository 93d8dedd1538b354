"""A world in which a verb of pkiops is run undisturbed, or with one call failing, and then again.

``Verb`` is all that a new verb needs: how its world is prepared, what is run, how one sees that it has been done. ``Stage`` prepares that once,
keeps the sandbox's state and the working directory, and brings both back before every run, so that each run starts from the same world.
Runs are made in this process through the command line, with waiting that takes no time; only one that is to be killed is a process of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from moto.core.base_backend import BackendDict
from typer.testing import CliRunner

from pkiops.cli.app import app
from pkiops.clock import ManualClock
from pkiops.sandbox.server import SandboxServer
from pkiops.sandbox.state_file import StateKeeper
from tests.faults.hierarchy import dev_folder
from tests.faults.processes import prepared
from tests.faults.proxy import FaultyProxy, faulty_proxy
from tests.faults.trouble import Arrived, Fault, StrikesOne, Trouble
from tests.faults.virtual_time import virtual_time
from tests.sandbox_server import START, RunningSandbox, running_sandbox

EVERYTHING = frozenset({"*"})


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run left: its exit code (negative: the signal that ended it) and output, the calls it made, and those that changed something."""

    code: int
    stdout: str
    stderr: str
    calls: tuple[Arrived, ...] = ()
    effects: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        return self.stdout + self.stderr


@dataclass
class World:
    """The environment ``dev`` in a folder of its own, and the account it lives in."""

    folder: Path
    sandbox: RunningSandbox
    proxy: FaultyProxy
    clock: ManualClock
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """A plain client that no trouble reaches."""
        if service not in self._clients:
            self._clients[service] = self.sandbox.client(service)
        return self._clients[service]

    def run(self, *arguments: str, trouble: Trouble | None = None) -> Ran:
        """Run pkiops in this process."""
        self.proxy.begin(trouble)
        settings: dict[str, str | None] = {name: None for name in os.environ if name.startswith("PKIOPS_")}
        settings |= {"PKIOPS_SANDBOX_URL": self.proxy.url}
        with contextlib.chdir(self.folder), virtual_time(self.clock):
            result = CliRunner().invoke(app, list(arguments), env=settings, prog_name="pkiops")
        return Ran(result.exit_code, result.stdout, result.stderr, tuple(self.proxy.arrived), tuple(self.proxy.effects))

    def done(self, *arguments: str) -> Ran:
        """Run pkiops; it must succeed."""
        ran = self.run(*arguments)
        assert ran.code == 0, (arguments, ran.said)
        return ran

    def kill(self, *arguments: str, number: int) -> Ran:
        """Run pkiops as a process that is killed when its ``number``-th call has been carried out."""
        process = prepared(list(arguments), folder=self.folder, environment={"PKIOPS_SANDBOX_URL": self.proxy.url})
        self.proxy.begin(StrikesOne(number, Fault.KILLED, process.kill))
        process.begin()
        code = process.wait()
        return Ran(code, "", process.said(), tuple(self.proxy.arrived), tuple(self.proxy.effects))

    def edit(self, old: str, new: str) -> None:
        """Change the environment file, once."""
        path = self.folder / "environments" / "dev.yaml"
        text = path.read_text()
        assert text.count(old) == 1, (old, text.count(old))
        path.write_text(text.replace(old, new))

    def authorities(self) -> list[dict[str, Any]]:
        """Every CA of the account, as the service lists it."""
        found: list[dict[str, Any]] = self.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"]
        return found

    def authority(self, label: str) -> dict[str, Any]:
        """The only CA of ``root`` or ``clients`` that is not deleted."""
        kind = "ROOT" if label == "root" else "SUBORDINATE"
        (found,) = [one for one in self.authorities() if one["Type"] == kind and one["Status"] != "DELETED"]
        return found

    def arn(self, label: str) -> str:
        return str(self.authority(label)["Arn"])

    def tags(self, arn: str) -> dict[str, str]:
        found = self.client("acm-pca").list_tags(CertificateAuthorityArn=arn)["Tags"]
        return {tag["Key"]: tag["Value"] for tag in found}


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb of pkiops in one situation.

    Args:
        name: for people.
        arguments: what is run, given the world as it was prepared.
        converged: asserts that what the verb is for has come true.
        prepare: makes the world in which it is run; without it, nothing exists.
        reads: it changes nothing, so there is nothing to run again.
        looks_elsewhere: what it reads is what another verb of the list reads, so that its reads are failed there.
        foreign: how many CAs of the prepared world carry no tags of ours.
        recovers: operations of which it finds out by itself what came of them when their answer is lost.
        tolerates: operations that it can do without, if it says so; ``EVERYTHING`` of one that reports what failed.
    """

    name: str
    arguments: Callable[[World], Sequence[str]]
    converged: Callable[[World], None]
    prepare: Callable[[World], None] = lambda world: None
    reads: bool = False
    looks_elsewhere: bool = False
    foreign: int = 0
    tolerates: frozenset[str] = frozenset()
    recovers: frozenset[str] = frozenset()


@dataclass
class Stage:
    """A verb's world, as often as it is needed."""

    verb: Verb
    kept: Path
    world: World
    arguments: tuple[str, ...] = ()

    @cached_property
    def _server(self) -> SandboxServer:
        assert self.world.sandbox.server is not None
        return self.world.sandbox.server

    def prepare(self) -> None:
        """Make the world and keep it."""
        self.verb.prepare(self.world)
        self.arguments = tuple(self.verb.arguments(self.world))
        shutil.copytree(self.world.folder, self.kept / "folder", symlinks=True)
        self._keeper().settle()

    def reset(self) -> World:
        """Bring the kept world back."""
        shutil.rmtree(self.world.folder)
        shutil.copytree(self.kept / "folder", self.world.folder, symlinks=True)
        with self._server.sandbox.lock:
            BackendDict.reset()
            self._keeper().load()
        return self.world

    def _keeper(self) -> StateKeeper:
        return StateKeeper(self.kept / "state", self._server.sandbox, self._server.clock)


@contextlib.contextmanager
def staged(verb: Verb, folder: Path) -> Iterator[Stage]:
    """A verb's world on a sandbox of its own.

    Args:
        verb: the verb.
        folder: an empty one.
    """
    clock = ManualClock(START)
    (folder / "work").mkdir()
    (folder / "kept").mkdir(mode=0o700)
    with running_sandbox(clock=clock) as sandbox, faulty_proxy(sandbox.url) as proxy:
        stage = Stage(verb, folder / "kept", World(dev_folder(folder / "work"), sandbox, proxy, clock))
        stage.prepare()
        yield stage
