"""A sandbox behind a proxy, and the canary's command in front of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import botocore.loaders
import botocore.session
import pytest

from pkiops.clock import ManualClock, SeededRandomness, ServerClock
from pkiops.sandbox.engine.settings import Settings
from tests.canary.bill import Bill
from tests.canary.buckets import Place
from tests.canary.command import main
from tests.canary.connection import Clients, charge, connect
from tests.canary.journal import Journal
from tests.canary.workspace import Workspace
from tests.faults.proxy import FaultyProxy, faulty_proxy
from tests.sandbox_server import ACCOUNT, REGION, START, RunningSandbox, running_sandbox, subprocess_environment

_LOADER = botocore.loaders.create_loader()


@dataclass
class Scene:
    """``questions`` are what the command asked; ``answer`` is what it is told."""

    sandbox: RunningSandbox
    proxy: FaultyProxy
    folder: Path
    clock: ManualClock
    questions: list[str] = field(default_factory=list)
    answer: bool = False

    @property
    def output(self) -> Path:
        return self.folder / "canary.json"

    @property
    def journals(self) -> list[Path]:
        return sorted((self.folder / "journals").glob("*"))

    def canary(self, *words: str, url: str | None = None, credentials: dict[str, Any] | None = None) -> int:
        """The exit code of ``python -m tests.canary``, here, through the proxy."""
        given = credentials or {"AccessKeyId": "testing", "SecretAccessKey": "testing"}
        environment = {
            **subprocess_environment(url or self.proxy.url),
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given.get("SessionToken", ""),
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            journals = ["--journals", str(self.folder / "journals")]
            return main([*words, *journals], self.clock, SeededRandomness(7), self._agree, session)

    def run(self, *words: str, cases: tuple[str, ...] = (), **more: Any) -> int:
        """The same with what every run needs; all cases by default."""
        chosen = ["--cases", ",".join(cases)] if cases else []
        return self.canary(
            "--account", ACCOUNT, "--limit", "10", "--yes", "--output", str(self.output), *chosen, *words, **more
        )

    def clean(self, **more: Any) -> int:
        """``CLEAN=1``, past the proxy."""
        return self.canary("--account", ACCOUNT, "--clean", "--yes", url=self.sandbox.url, **more)

    def cases(self) -> dict[str, dict[str, Any]]:
        """What is written, by the case's name."""
        found: dict[str, dict[str, Any]] = json.loads(self.output.read_text())["cases"]
        return found

    def differing(self) -> dict[str, Any]:
        """What was observed where it differs."""
        return {name: case["observed"] for name, case in self.cases().items() if case["outcome"] == "differs"}

    def left(self) -> list[str]:
        """What the sandbox still has."""
        return left(self.sandbox)

    def _agree(self, question: str) -> bool:
        self.questions.append(question)
        return self.answer


def session() -> boto3.Session:
    """A new session that does not read the models of the services again: that is most of a test's time."""
    found = botocore.session.Session()
    found.register_component("data_loader", _LOADER)
    return boto3.Session(botocore_session=found)


def clients(sandbox: RunningSandbox) -> Clients:
    """The administrator's, past the proxy."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.environment.items():
            patch.setenv(name, value)
        return connect(session(), REGION)


def left(sandbox: RunningSandbox) -> list[str]:
    """CAs that are not deleted, and buckets."""
    asked = clients(sandbox)
    authorities = asked.pca.list_certificate_authorities()["CertificateAuthorities"]
    return [
        *(f"{each['Arn']} {each['Status']}" for each in authorities if each["Status"] != "DELETED"),
        *(each["Name"] for each in asked.s3.list_buckets()["Buckets"]),
    ]


@contextlib.contextmanager
def scene(folder: Path, settings: Settings | None = None) -> Iterator[Scene]:
    """One sandbox whose clock stands still but for those who sleep on it."""
    clock = ManualClock(START)
    with running_sandbox(clock=clock, settings=settings) as sandbox, faulty_proxy(sandbox.url) as proxy:
        yield Scene(sandbox, proxy, folder, clock)


def workbench(here: Scene, limit: float = 10.0) -> tuple[Workspace, Bill, Journal]:
    """What a run works with, without the command and past the proxy."""
    asked, bill, clock, run = clients(here.sandbox), Bill(limit), ServerClock(here.clock), "20261125120000-00000000"
    charge(asked, bill, clock)
    journal = Journal(here.folder / "journals", run)
    journal.begin(run, ACCOUNT, REGION)
    place = Place(ACCOUNT, REGION, "aws")
    workspace = Workspace(asked, place, run, clock=clock, randomness=SeededRandomness(1), journal=journal)
    return workspace, bill, journal
