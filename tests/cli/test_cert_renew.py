"""``pkiops cert renew``: key and chain replaced together, one renewal for many runs, hooks that are not lost."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from pkiops.cli.cert_hook import Hook
from pkiops.cli.cert_renew_state import RenewalState
from pkiops.clock import ManualClock, SystemClock
from pkiops.errors import InputError, Unreachable
from pkiops.x509.keys import load_private_key, private_key_der, spki_sha256
from tests.builders import AT
from tests.cli.estate import ENVIRONMENTS, Estate
from tests.forged import forged_folder
from tests.jks import read_jks
from tests.sandbox_server import RunningSandbox, running_sandbox


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """The CAs of dev. Time only goes on, and each test issues anew in a folder of its own."""
    folder = tmp_path_factory.mktemp("applied")
    with pytest.MonkeyPatch.context() as patch, running_sandbox() as sandbox:
        patch.chdir(folder)
        Estate(folder, sandbox).done("ca", "apply", "dev", "--yes")
        yield sandbox


@pytest.fixture
def estate(applied: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Estate:
    """A certificate of 30 days: ``a.key``, ``a.csr``, ``a.pem``, the folder ``tls`` and ``both.pem`` with its key."""
    monkeypatch.chdir(tmp_path)
    made = Estate(tmp_path, applied)
    made.issue("a")
    made.done(*ISSUE, "--output", "folder=@tls", "--output", "combined=@both.pem")
    return made


ISSUE = ("cert", "issue", "dev", "--profile", "service", "--csr", "@a.csr", "--key", "@a.key")


def advance(estate: Estate, **by: float) -> None:
    assert isinstance(estate.sandbox.clock, ManualClock)
    estate.sandbox.clock.advance(timedelta(**by))


def renewed(estate: Estate, *words: str, code: int = 0) -> dict[str, Any]:
    result = estate.run("cert", "renew", "dev", *words, "--format", "json")
    assert result.exit_code == code, result.output
    body: dict[str, Any] = json.loads(result.stdout)
    assert body["kind"] == "cert-renew"
    return body


def pair(folder: Path) -> tuple[x509.Certificate, str]:
    """The certificate of a folder, and the digest of its key, which is the certificate's."""
    certificate = x509.load_pem_x509_certificate((folder / "current" / "tls.crt").read_bytes())
    key = load_private_key((folder / "current" / "tls.key").read_bytes(), "tls.key")
    digest = spki_sha256(key.public_key())
    assert digest == spki_sha256(certificate.public_key())
    return certificate, digest


def test_a_folder_is_renewed_when_it_is_due_and_not_before(estate: Estate) -> None:
    old, key = pair(estate.folder / "tls")
    body = renewed(estate, "@tls", "--due", "--detailed-exitcode")
    assert (body["changed"], body["targets"][0]["outcome"]) == (False, "not-due")
    assert pair(estate.folder / "tls")[0] == old
    advance(estate, days=20)
    body = renewed(estate, "@tls", "--due", "--detailed-exitcode", code=5)
    (told,) = body["targets"]
    assert (told["outcome"], told["replaced"], told["new_key"]) == ("renewed", f"{old.serial_number:x}", False)
    new, same = pair(estate.folder / "tls")
    assert (f"{new.serial_number:x}", same) == (told["serial"], key)
    assert new.not_valid_after_utc - old.not_valid_after_utc == timedelta(days=20)
    body = renewed(estate, "@tls", "--due", "--detailed-exitcode")
    assert body["counts"] == {"renewed": 0, "not_due": 1, "renewed_by_another_run": 0, "failed": 0}


def test_with_a_new_key(estate: Estate) -> None:
    _, key = pair(estate.folder / "tls")
    assert renewed(estate, "@tls", "--new-key")["targets"][0]["new_key"]
    assert pair(estate.folder / "tls")[1] != key
    assert stat.S_IMODE((estate.folder / "tls" / "current" / "tls.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((estate.folder / "tls" / ".renewal").stat().st_mode) == 0o700
    assert [one.name for one in (estate.folder / "tls" / ".renewal").iterdir()] == ["lock"]
    both = estate.folder / "both.pem"
    renewed(estate, "@both.pem", "--new-key")
    assert spki_sha256(load_private_key(both.read_bytes(), "both").public_key()) != key
    assert stat.S_IMODE(both.stat().st_mode) == 0o600
    refused = estate.run("cert", "renew", "dev", "@a.pem", "--key", "@a.key", "--new-key")
    assert refused.exit_code == 2
    assert "two files, and one would be replaced before the other" in refused.stderr


def test_files_keep_their_key(estate: Estate) -> None:
    before = (estate.folder / "a.pem").read_bytes()
    missing = estate.run("cert", "renew", "dev", "@a.pem")
    assert missing.exit_code == 2
    assert "--key FILE" in missing.stderr
    estate.done("cert", "renew", "dev", "@a.pem", "--key", "@a.key")
    after = (estate.folder / "a.pem").read_bytes()
    assert after != before
    assert len(x509.load_pem_x509_certificates(after)) == 2
    # the same certificate, renewed with the same key elsewhere: one request
    estate.done("cert", "renew", "dev", "@both.pem")
    estate.done("cert", "renew", "dev", "@tls")
    assert (estate.folder / "both.pem").read_bytes().startswith(after)
    assert (estate.folder / "tls" / "current" / "tls.crt").read_bytes() == after


def test_a_key_that_is_not_its_own_is_refused(estate: Estate) -> None:
    estate.issue("b")
    refused = estate.run("cert", "renew", "dev", "@a.pem", "--key", "@b.key")
    assert refused.exit_code == 2
    assert "is not that of its certificate" in refused.stderr


def test_a_serial_goes_to_outputs(estate: Estate) -> None:
    serial = f"{pair(estate.folder / 'tls')[0].serial_number:x}"
    assert estate.run("cert", "renew", "dev", serial).exit_code == 2
    words = (serial, "--key", "@a.key", "--output", "@a.pem", "--output", "certificate=@new.pem")
    first = renewed(estate, *words)["targets"][0]
    assert (first["outcome"], first["replaced"]) == ("renewed", serial)
    assert (estate.folder / "a.pem").read_bytes().startswith((estate.folder / "new.pem").read_bytes())
    again = renewed(estate, *words)["targets"][0]
    assert (again["outcome"], again["serial"]) == ("renewed-by-another-run", first["serial"])
    # what somebody else wrote stays
    (estate.folder / "theirs.pem").write_bytes(b"theirs")
    assert estate.run("cert", "renew", "dev", serial, "--key", "@a.key", "--output", "@theirs.pem").exit_code == 9
    for wrong in ("--due", "--new-key"):
        assert estate.run("cert", "renew", "dev", *words, wrong).exit_code == 2
    assert estate.run("cert", "renew", "dev", "abc", "--key", "@a.key", "--output", "@x.pem").exit_code == 2


def test_a_renewed_keystore(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    passphrase = estate.folder / "pkiops" / "secrets" / "keystore"
    passphrase.parent.mkdir(parents=True)
    passphrase.write_text("pass word")
    passphrase.chmod(0o600)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(estate.folder))
    words = ("--key", "@a.key", "--output", "jks=@a.jks", "--passphrase-name", "keystore")
    serial = renewed(estate, "@a.pem", *words)["targets"][0]["serial"]
    (entry,) = read_jks((estate.folder / "a.jks").read_bytes(), "pass word")
    leaf = x509.load_der_x509_certificate(entry.chain[0])
    assert (f"{leaf.serial_number:x}", len(entry.chain)) == (serial, 2)
    assert entry.key == private_key_der(load_private_key((estate.folder / "a.key").read_bytes(), "a.key"))
    # again: its own file, the same certificate
    renewed(estate, "@a.pem", *words)
    assert read_jks((estate.folder / "a.jks").read_bytes(), "pass word")[0].chain == entry.chain


def test_a_revoked_certificate_is_due(estate: Estate) -> None:
    estate.done("cert", "revoke", "dev", "@a.pem", "--reason", "superseded", "--yes")
    assert renewed(estate, "@tls", "--due")["targets"][0]["outcome"] == "renewed"


def test_many_targets_and_folders_of_folders(estate: Estate) -> None:
    (estate.folder / "all").mkdir()
    for name in ("b", "c"):
        estate.issue(name)
        words = ("--csr", f"@{name}.csr", "--key", f"@{name}.key", "--output", f"folder=@all/{name}")
        estate.done("cert", "issue", "dev", "--profile", "service", *words)
    (estate.folder / "all" / "c" / "current" / "tls.crt").write_bytes(b"changed")
    result = estate.run("cert", "renew", "dev", "@all", "@tls")
    assert result.exit_code == 7
    assert "1 of 3 targets failed" in result.stderr
    lines = result.stdout.splitlines()
    assert [line.split(": ")[1].split()[0].rstrip(",") for line in lines] == ["renewed", "failed", "renewed"]
    assert "was changed since" in lines[1]


HOOK = 'echo "$PKIOPS_RENEWED_TARGET $PKIOPS_RENEWED_SERIAL $PKIOPS_RENEWED_CERTIFICATE ${PKIOPS_SECRET_X-none}" >> hook.log; test -e ok'


def test_a_hook_that_fails_is_told_and_run_again(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PKIOPS_SECRET_X", "hidden")
    words = ("cert", "renew", "dev", "@tls", "--due", "--exec-after", HOOK, "--exec-shell")
    advance(estate, days=25)
    failed = estate.run(*words)
    assert failed.exit_code == 7
    assert "the hook failed" in failed.stderr
    assert "exit code 1" in failed.stderr
    new, _ = pair(estate.folder / "tls")
    line = f"{estate.folder}/tls {new.serial_number:x} {estate.folder}/tls/current/tls.crt none"
    assert (estate.folder / "hook.log").read_text().splitlines() == [line]
    # a run without it says that one is owed
    assert renewed(estate, "@tls", "--due")["targets"][0]["hook"] == "pending"
    (estate.folder / "ok").touch()
    done = renewed(estate, *words[3:], "--detailed-exitcode", code=5)["targets"][0]
    assert (done["outcome"], done["hook"]) == ("not-due", "done")
    assert (estate.folder / "hook.log").read_text().splitlines() == [line, line]
    assert renewed(estate, *words[3:])["targets"][0]["hook"] == "none"
    assert pair(estate.folder / "tls")[0] == new


def test_without_a_shell_nothing_is_expanded(estate: Estate) -> None:
    advance(estate, days=25)
    estate.done("cert", "renew", "dev", "@tls", "--due", "--exec-after", "touch 'a b' $HOME ;")
    assert {"a b", "$HOME", ";"} <= {one.name for one in estate.folder.iterdir()}


def test_many_runs_at_once_renew_once(estate: Estate) -> None:
    advance(estate, days=25)
    old, _ = pair(estate.folder / "tls")
    hook = "echo run >> hook.log"
    words = (
        "cert",
        "renew",
        "dev",
        "tls",
        "--due",
        "--new-key",
        "--exec-after",
        hook,
        "--exec-shell",
        "--format",
        "json",
    )
    command = [sys.executable, "-m", "pkiops", "--environments", str(ENVIRONMENTS), *words]
    settings = {**estate.sandbox.environment, "PYTHONPATH": str(ENVIRONMENTS.parent), "PATH": "/usr/bin:/bin"}
    runs = [
        subprocess.Popen(command, cwd=estate.folder, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    answers = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, answers
    told = [json.loads(out)["targets"][0] for out, _ in answers]
    assert sorted(one["outcome"] for one in told).count("renewed") == 1
    new, _ = pair(estate.folder / "tls")
    assert new != old
    assert {one["serial"] for one in told} == {f"{new.serial_number:x}"}
    assert (estate.folder / "hook.log").read_text() == "run\n"


def test_a_folder_that_somebody_made_gets_no_certificate(estate: Estate) -> None:
    forged_folder(estate.folder / "theirs", "admin.svc.dev.example.com", "service", environment="dev")
    before = pair(estate.folder / "theirs")
    unknown = estate.run("cert", "renew", "dev", "@theirs", "--due")
    assert (unknown.exit_code, "does not know the certificate" in unknown.stderr) == (2, True), unknown.output
    vouched = estate.run("cert", "renew", "dev", "@theirs", "--profile", "service")
    assert (vouched.exit_code, "is no valid one of dev/ca/" in vouched.stderr) == (8, True), vouched.output
    assert pair(estate.folder / "theirs") == before


def test_the_profile_in_a_manifest_counts_for_nothing(estate: Estate) -> None:
    """The ledger's does; and the folder is then not that of this certificate."""
    manifest = estate.folder / "tls" / "current" / "MANIFEST.json"
    manifest.write_text(manifest.read_text().replace('"profile": "service"', '"profile": "server"'))
    refused = estate.run("cert", "renew", "dev", "@tls")
    assert (refused.exit_code, "profile server" in refused.stderr) == (9, True), refused.output


def disturb_link(folder: Path) -> None:
    (folder / ".renewal").symlink_to(folder.parent / "home")


def disturb_file(folder: Path) -> None:
    (folder / ".renewal").write_bytes(b"")


def disturb_open(folder: Path) -> None:
    (folder / ".renewal").mkdir()
    (folder / ".renewal").chmod(0o755)


def disturb_owner(folder: Path) -> None:
    (folder / ".renewal").mkdir(mode=0o700)
    os.chown(folder / ".renewal", DAEMON, DAEMON)


def disturb_tenant(folder: Path) -> None:
    os.chown(folder, DAEMON, DAEMON)


def disturb_above(folder: Path) -> None:
    os.chown(folder.parent, DAEMON, DAEMON)


def disturb_group(folder: Path) -> None:
    os.chown(folder, 0, DAEMON)
    folder.chmod(0o775)


def disturb_version(folder: Path) -> None:
    version = (folder / "current").resolve()
    version.rename(folder.parent / "moved")
    version.symlink_to(folder.parent / "moved")


def disturb_gone(folder: Path) -> None:
    (folder / "current").unlink()


DAEMON = 1
DISTURBED = (disturb_link, disturb_file, disturb_open, disturb_version, disturb_gone)
DISTURBED_BY_ROOT = (disturb_owner, disturb_tenant, disturb_above, disturb_group)


def test_what_somebody_does_to_his_folder_hurts_only_him(estate: Estate) -> None:
    folders = []
    for disturb in (*DISTURBED, *(DISTURBED_BY_ROOT if os.geteuid() == 0 else ())):
        base = estate.folder / disturb.__name__
        (base / "home").mkdir(parents=True)
        (base / "home" / ".profile").write_text("mine")
        folders.append(base / "tls")
        shutil.copytree(estate.folder / "tls", base / "tls", symlinks=True)
        disturb(base / "tls")
    advance(estate, days=25)
    result = estate.run("cert", "renew", "dev", *map(str, folders), "@tls", "--due")
    assert (result.exit_code, "Traceback" in result.output) == (7, False), result.output
    outcomes = [line.split(": ")[1].split()[0].rstrip(",") for line in result.stdout.splitlines()]
    assert outcomes == ["failed"] * len(folders) + ["renewed"]
    assert {one.name for folder in folders for one in (folder.parent / "home").iterdir()} == {".profile"}


def test_a_folder_that_is_gone_keeps_no_other_from_being_renewed(estate: Estate) -> None:
    (estate.folder / "empty").mkdir()
    os.mkfifo(estate.folder / "pipe")
    (estate.folder / "loop").symlink_to("loop")
    advance(estate, days=25)
    body = renewed(estate, "@gone", "@empty", "@pipe", "@loop", "@loop/tls", "@tls", "--due", code=7)
    assert [one["outcome"] for one in body["targets"]] == ["failed"] * 5 + ["renewed"]


REFUSED: list[tuple[tuple[str, ...], int]] = [
    (("@none",), 2),
    (("@a.csr",), 2),
    (("@tls", "--due-when", "50%"), 2),
    (("@tls", "--jitter", "5%"), 2),
    (("@tls", "--due", "--due-when", "soon"), 2),
    (("@tls", "--exec-after", "'"), 2),
    (("@tls", "--exec-after", " "), 2),
    (("@tls", "--profile", "other"), 2),
    (("@tls", "@both.pem", "--key", "@a.key"), 2),
    (("@tls", "@none"), 2),
    (("@none", "--due"), 2),
    (("@empty",), 2),
    (("@link.pem", "--key", "@a.key"), 9),
    (("@mine.pem", "--key", "@a.key"), 9),
    (("@tls", "--validity", "1y"), 4),
]


def test_what_is_refused_changes_nothing(estate: Estate) -> None:
    (estate.folder / "empty").mkdir()
    (estate.folder / "link.pem").symlink_to("a.pem")
    (estate.folder / "mine.pem").write_bytes(b"# mine\n" + (estate.folder / "a.pem").read_bytes())
    old = pair(estate.folder / "tls")
    for words, code in REFUSED:
        result = estate.run("cert", "renew", "dev", *words)
        assert result.exit_code == code, (words, result.output)
        assert "Traceback" not in result.output
    assert pair(estate.folder / "tls") == old
    assert estate.run("cert", "renew", "dev", "@mine.pem", "--key", "@a.key", "--overwrite").exit_code == 0


class TestState:
    def test_a_target_that_is_held_is_waited_for(self, tmp_path: Path) -> None:
        clock = ManualClock(AT)
        state = RenewalState(tmp_path / "s", clock)
        with state.lock(), pytest.raises(Unreachable) as caught, RenewalState(tmp_path / "s", clock).lock():
            pass
        assert (caught.value.code, caught.value.exit_code) == ("cert.renewal-busy", 6)
        with state.lock():
            pass

    def test_a_set_group_id_bit_from_above_is_nobodys_fault(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o2755)
        for _ in range(2):
            with RenewalState(tmp_path / "s", ManualClock(AT)).lock():
                assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700

    def test_only_what_a_run_left_is_removed(self, tmp_path: Path) -> None:
        folder = tmp_path / "s"
        folder.mkdir(mode=0o700)
        (folder / ".git").mkdir()
        (folder / ".next.key.aaaaaaab").mkdir()
        (folder / ".profile").touch()
        (folder / ".next.key.aaaaaaaa").touch()
        (folder / ".hook.json.aaaa_aa0").touch()
        with RenewalState(folder, ManualClock(AT)).lock():
            left = {one.name for one in folder.iterdir()}
        assert left == {"lock", ".git", ".profile", ".next.key.aaaaaaab"}

    def test_a_note_that_cannot_be_read_runs_the_hook(self, tmp_path: Path) -> None:
        state = RenewalState(tmp_path, ManualClock(AT))
        assert not state.is_hook_due("new")
        state.expect_hook("old")
        assert (state.is_hook_due("old"), state.is_hook_due("new")) == (False, True)
        for damaged in (b"", b"[]", b"{", b"\xff"):
            (tmp_path / "hook.json").write_bytes(damaged)
            assert state.is_hook_due("old")
        state.hook_done()
        state.hook_done()
        assert not state.is_hook_due("old")


class TestHook:
    def test_it_is_ended_with_its_children(self, tmp_path: Path) -> None:
        started = SystemClock().monotonic()
        hook = Hook.parse(f"sleep 60 & echo $! > {tmp_path}/pid; sleep 60", in_shell=True)
        problem = hook.run({}, seconds=0.5)
        assert problem is not None
        assert "not done after 0 seconds" in problem
        child = int((tmp_path / "pid").read_text())
        wait_for = SystemClock()
        while is_alive(child):
            assert wait_for.monotonic() < started + 20
            wait_for.sleep(0.05)

    def test_what_cannot_be_run_is_said(self) -> None:
        assert "cannot be run" in str(Hook.parse("/nonexistent/program", in_shell=False).run({}))
        assert "ended by signal 15" in str(Hook.parse("kill $$", in_shell=True).run({}))

    def test_an_empty_one_is_none(self) -> None:
        for text in ("", "  "):
            for in_shell in (True, False):
                with pytest.raises(InputError):
                    Hook.parse(text, in_shell=in_shell)


def is_alive(process: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def test_the_renewal_window_of_the_profile_is_kept(estate: Estate, tmp_path: Path) -> None:
    folder = tmp_path / "environments"
    folder.mkdir()
    text = (ENVIRONMENTS / "dev.yaml").read_text()
    (folder / "dev.yaml").write_text(
        text.replace("    usage: [clientAuth]\n", "    usage: [clientAuth]\n    renewal_window: 3d\n")
    )

    def run(*words: str) -> Any:
        return estate.run("--environments", str(folder), "cert", "renew", "dev", "@tls", *words)

    advance(estate, days=26)
    early = run("--due")
    assert (early.exit_code, "not due" in early.stdout) == (0, True), early.output
    refused = run()
    assert refused.exit_code == 4
    assert "renewal" in refused.stderr
    advance(estate, days=3)
    assert run("--due", "--detailed-exitcode").exit_code == 5
