"""What happens between looking, asking and doing: another person, a service that answers oddly, a pace that is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pkiops.backends.aws_private_ca import AwsPrivateCa
from pkiops.backends.interface import ObservedAuthority
from pkiops.ca.deletion import Deletion
from pkiops.ca.desired import desired_state
from pkiops.ca.index import IndexPublisher
from pkiops.ca.retirement import Estate, Restoration, Switch
from pkiops.ca.target import Wish
from pkiops.clock import ManualClock
from pkiops.environment.load import load_file
from pkiops.errors import GuardRefused, PartialApply, VerificationFailed
from pkiops.factory import Factory
from pkiops.plan import ActionKind
from pkiops.progress import NoProgress
from tests.cli.estate import ENVIRONMENTS
from tests.cli.estate import Estate as Shell
from tests.sandbox_server import running_sandbox

WISH = Wish("clients")
QUIET = NoProgress()


class Interfering(AwsPrivateCa):
    """The backend of one run, with somebody else at work when the CRL is read, or a wrong answer to a certificate asked for."""

    def __init__(self, factory: Factory) -> None:
        super().__init__(factory.clients, factory.clock)
        self.when_crl_is_read: Any = lambda: None
        self.instead: tuple[bytes, ...] | None = None
        self.fetched = 0

    def fetch_crl(self, authority: ObservedAuthority) -> bytes | None:
        self.when_crl_is_read()
        return super().fetch_crl(authority)

    def fetch_certificate(self, authority: str, certificate: str) -> tuple[bytes, ...]:
        self.fetched += 1
        return self.instead or super().fetch_certificate(authority, certificate)


class Scene:
    """The hierarchy of dev with three certificates, and the use cases over it."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.environment = load_file(ENVIRONMENTS / "dev.yaml")
        self.clock = ManualClock(shell.sandbox.clock.now())
        self.factory = Factory(self.environment, variables={"PKIOPS_SANDBOX_URL": shell.sandbox.url}, clock=self.clock)
        self.backend = Interfering(self.factory)
        self.estate = Estate(
            self.environment,
            desired_state(self.environment, self.backend, self.factory.buckets),
            self.backend,
            IndexPublisher(self.environment, self.backend, self.factory.trust_store),
            self.factory.clock,
        )

    def deletion(self, **settings: Any) -> Deletion:
        given = {"folder": self.shell.folder / "kept", "allow_live": True, **settings}
        return Deletion(self.estate, self.backend, WISH, **given)

    def reference(self) -> str:
        return next(one.reference for one in self.backend.list_authorities() if one.type.value == "SUBORDINATE")

    def status(self) -> str:
        return self.backend.describe_authority(self.reference()).status.value


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with running_sandbox() as sandbox, contextlib.chdir(tmp_path):
        shell = Shell(tmp_path, sandbox)
        shell.done("ca", "apply", "dev", "--yes")
        for name in ("a", "b", "c"):
            shell.issue(name)
        yield Scene(shell)


def test_what_was_done_meanwhile_is_not_done_again(scene: Scene) -> None:
    switch = Switch(scene.estate, WISH, enabled=False)
    shown = switch.plan()
    scene.shell.done("ca", "disable", "dev", "clients", "--yes")
    assert switch.apply(shown, progress=QUIET) == ()
    deletion = scene.deletion()
    look = deletion.look()
    scene.shell.done("ca", "delete", "dev", "clients", "--yes", "--allow-live-certificates")
    assert deletion.apply(look, progress=QUIET) == ()
    restoration = Restoration(scene.estate, WISH)
    plan = restoration.plan()
    scene.shell.done("ca", "restore", "dev", "clients", "--yes")
    assert restoration.apply(plan, progress=QUIET) == ()


def test_a_file_that_says_otherwise_meanwhile_is_shown_again(scene: Scene) -> None:
    shown = Switch(scene.estate, WISH, enabled=False).plan()
    other = Switch(scene.estate, Wish("root"), enabled=False)
    with pytest.raises(GuardRefused) as caught:
        other.apply(shown, progress=QUIET)
    assert caught.value.code == "plan.moved"
    assert scene.status() == "ACTIVE"


def test_a_ca_that_was_enabled_after_the_question_is_kept(scene: Scene) -> None:
    scene.shell.done("ca", "disable", "dev", "clients", "--yes")
    deletion = scene.deletion()
    look = deletion.look()
    scene.shell.done("ca", "enable", "dev", "clients", "--yes")
    with pytest.raises(GuardRefused, match="nothing was deleted") as caught:
        deletion.apply(look, progress=QUIET)
    assert caught.value.code == "plan.moved"
    assert not (scene.shell.folder / "kept").exists()


def test_a_ca_that_is_enabled_while_it_is_archived_is_kept(scene: Scene) -> None:
    scene.shell.done("ca", "disable", "dev", "clients", "--yes")
    deletion = scene.deletion()
    look = deletion.look()
    scene.backend.when_crl_is_read = lambda: scene.shell.done("ca", "enable", "dev", "clients", "--yes")
    with pytest.raises(GuardRefused, match="nothing was deleted"):
        deletion.apply(look, progress=QUIET)
    assert scene.status() == "ACTIVE"


def test_one_that_was_used_again_in_between_needs_another_report(scene: Scene) -> None:
    # the report is of before: what was issued in between is not in it
    scene.shell.done("ca", "disable", "dev", "clients", "--yes")
    deletion = scene.deletion()
    look = deletion.look()
    assert look.issued.certificates == 3
    scene.shell.done("ca", "enable", "dev", "clients", "--yes")
    scene.shell.issue("d")
    assert isinstance(scene.shell.sandbox.clock, ManualClock)
    scene.shell.sandbox.clock.advance(timedelta(seconds=5))
    scene.shell.done("ca", "disable", "dev", "clients", "--yes")
    with pytest.raises(GuardRefused, match="nothing was deleted") as caught:
        deletion.apply(look, progress=QUIET)
    assert caught.value.code == "plan.moved"
    assert scene.status() == "DISABLED"


def test_a_certificate_that_the_ca_did_not_sign_stops_the_deletion(scene: Scene) -> None:
    scene.shell.done("ca", "disable", "dev", "clients", "--yes")
    deletion = scene.deletion()
    look = deletion.look()
    scene.backend.instead = scene.backend.authority_chain(scene.reference())
    with pytest.raises(VerificationFailed) as caught:
        deletion.apply(look, progress=QUIET)
    assert caught.value.code == "ca.foreign-certificate"
    assert scene.status() == "DISABLED"
    scene.backend.instead = None
    done = deletion.apply(look, progress=QUIET)
    assert done[0].kind is ActionKind.DELETE


def test_certificates_are_fetched_at_a_pace_and_once(scene: Scene) -> None:
    scene.shell.done("ca", "disable", "dev", "clients", "--yes")
    deletion = scene.deletion()
    look = deletion.look()
    scene.backend.when_crl_is_read = lambda: None
    started = scene.clock.monotonic()
    deletion.apply(look, progress=QUIET)
    assert scene.backend.fetched == 3
    assert scene.clock.monotonic() - started >= 2 / 50
    scene.shell.done("ca", "restore", "dev", "clients", "--yes")
    again = scene.deletion()
    assert again.apply(again.look(), progress=QUIET)[0].kind is ActionKind.DELETE
    assert scene.backend.fetched == 3  # they are in the archive


def test_an_index_that_cannot_be_written_is_a_part_done(scene: Scene) -> None:
    scene.shell.done("ca", "disable", "dev", "clients", "--yes")
    deletion = scene.deletion()
    look = deletion.look()
    s3 = scene.shell.sandbox.client("s3")
    bucket = "example-pki-dev-trust"

    def lock() -> None:
        s3.put_object(Bucket=bucket, Key="dev/index.json", Body=b"x" * (16 * 1024 * 1024 + 1))

    scene.backend.when_crl_is_read = lock
    with pytest.raises(PartialApply) as caught:
        deletion.apply(look, progress=QUIET)
    assert "run pkiops ca delete dev clients again" in str(caught.value.hint)
    assert scene.status() == "DELETED"
