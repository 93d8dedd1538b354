"""A renewal that is killed at any change of the file system: never a certificate with another key, one renewal, and the hook is not lost."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.cert.renew_due import DueRule
from pkiops.cert.resolve import Resolving
from pkiops.cli.cert_hook import Hook
from pkiops.cli.cert_outputs import CertificateOutputs, parse_targets
from pkiops.cli.cert_renew_run import HookOutcome, RenewalOptions, RenewalOutcome, RenewalResult, RenewalRun
from pkiops.errors import Unreachable
from pkiops.ledger.interface import EntryState
from pkiops.x509.algorithms import KeyAlgorithm
from pkiops.x509.keys import generate_private_key, load_private_key, spki_sha256
from tests import builders
from tests.fakes.auditing import AuditingAuthorities
from tests.unit.cert.setting import Setting, order

CHANGES = {"os.rename", "os.symlink", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "subprocess.Popen"}


class Place:
    """A folder or a combined file with a certificate that is due, in a place of its own."""

    def __init__(self, base: Path, format_: str) -> None:
        self.base = base
        self.setting = Setting(base)
        self.target = base / "tls"
        self.log = base / "hook.log"
        key = generate_private_key(KeyAlgorithm.EC_prime256v1)
        issued = self.setting.issuance().issue(order(builders.csr(private_key=key)))
        outputs = CertificateOutputs(parse_targets([f"{format_}={self.target}"], None, None), key=key)
        outputs.write(issued, self.setting.ledger, overwrite=False)
        self.old = issued.certificate
        self.setting.clock.advance(timedelta(days=25))

    def run(self) -> tuple[RenewalOutcome, HookOutcome]:
        result = self.tried()
        assert result.error is None, result.error
        return result.outcome, result.hook

    def tried(self) -> RenewalResult:
        hook = Hook(("/bin/sh", "-c", 'echo "$PKIOPS_RENEWED_SERIAL" >> "$0"', str(self.log)))
        options = RenewalOptions(
            due=DueRule(), profile=None, validity=None, new_key=True, overwrite=False, reissue=False, hook=hook
        )
        run = RenewalRun(issuance=self.setting.issuance(), options=options, given_key=lambda: None)
        return run.on_disk(str(self.target))

    def certificate(self) -> x509.Certificate:
        """What a server would load at this moment; its key is that of its certificate."""
        folder = self.target / "current"
        data = (folder / "tls.crt").read_bytes() if self.target.is_dir() else self.target.read_bytes()
        key = (folder / "tls.key").read_bytes() if self.target.is_dir() else data
        found = x509.load_pem_x509_certificate(data)
        assert spki_sha256(load_private_key(key, "key").public_key()) == spki_sha256(found.public_key())
        return found

    def hooks(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []


@pytest.mark.parametrize("minutes", [3, 10])
def test_a_lost_answer_is_the_same_certificate_with_the_same_new_key(tmp_path: Path, minutes: int) -> None:
    place = Place(tmp_path, "folder")
    setting = place.setting
    cas = AuditingAuthorities(setting.environment, setting.clock)
    cas.cas, cas.made = setting.backend.cas, setting.backend.made
    setting.backend = cas
    cas.interrupt = raising("after request_certificate", Unreachable("no answer"))
    lost = place.tried()
    assert (lost.outcome, type(lost.error)) == (RenewalOutcome.FAILED, Unreachable)
    assert place.certificate() == place.old
    assert place.hooks() == []
    kept = (place.target / ".renewal" / "next.key").read_bytes()
    cas.interrupt = lambda point: None
    setting.clock.advance(timedelta(minutes=minutes))
    if minutes == 10:
        unknown = place.tried().error
        assert unknown is not None
        assert (unknown.code, unknown.exit_code) == ("cert.unknown-intent", 9)
        Resolving(issuance=setting.issuance()).resolve()
    assert place.run() == (RenewalOutcome.RENEWED, HookOutcome.DONE)
    assert len(cas.made) == 2
    assert kept.endswith((place.target / "current" / "tls.key").read_bytes())
    assert place.certificate() != place.old


def raising(point: str, error: BaseException) -> Callable[[str], None]:
    def interrupt(reached: str) -> None:
        if reached == point:
            raise error

    return interrupt


def killed_at(place: Place, number: int) -> bool:
    """Run in a process that dies before its ``number``-th change of the file system; False if there are fewer."""
    child = os.fork()
    if child == 0:
        seen = 0

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal seen
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if event in CHANGES or writes:
                seen += 1
                if seen == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        code = 1
        try:
            place.run()
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def restored(place: Place, kept: Path) -> Iterator[int]:
    for number in range(1, 100):
        shutil.rmtree(place.base)
        shutil.copytree(kept, place.base, symlinks=True)
        yield number


@pytest.mark.parametrize("format_", ["folder", "combined"])
def test_killed_at_any_change_and_run_again(tmp_path: Path, format_: str) -> None:
    base = tmp_path / "base"
    base.mkdir()
    place = Place(base, format_)
    shutil.copytree(base, tmp_path / "kept", symlinks=True)
    before_renewal, with_new = 0, 0
    for number in restored(place, tmp_path / "kept"):
        if not killed_at(place, number):
            break
        left = place.certificate()
        if left == place.old:
            before_renewal += 1
        else:
            with_new += 1
        outcome, _ = place.run()
        assert outcome is (RenewalOutcome.RENEWED if left == place.old else RenewalOutcome.NOT_DUE), number
        new = place.certificate()
        assert new != place.old
        # one renewal, whatever was killed when
        entries = place.setting.entries()
        assert [one.state for one in entries] == [EntryState.ISSUED] * 2, number
        assert new.public_bytes(Encoding.DER) in {one.chain[0] for one in entries}
        # a hook that ran and whose end was not noted runs again, and none is lost
        assert set(place.hooks()) == {f"{new.serial_number:x}"}, number
        assert len(place.hooks()) <= 2
        # and then all is quiet
        assert place.run() == (RenewalOutcome.NOT_DUE, HookOutcome.NONE)
        state = place.target / ".renewal" if place.target.is_dir() else base / ".tls.renewal"
        assert {one.name for one in state.iterdir()} == {"lock"}
    assert number > 10
    assert before_renewal > 5
    assert with_new > 1
