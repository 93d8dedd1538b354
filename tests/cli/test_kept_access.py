"""What is replaced hands on owner, group and mode, a key never to more than before; and two ways to one file are one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pkiops.cert.server_folder import FolderFile
from pkiops.cli.cert_folder import stage_version, switch
from pkiops.cli.files import FileToWrite, write_files
from pkiops.cli.kept_access import keep_access
from pkiops.errors import InputError

DAEMON = 1
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def facts(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


@pytest.mark.parametrize(
    ("before", "private", "after"),
    [
        (0o600, True, 0o600),
        (0o640, True, 0o640),
        (0o440, True, 0o440),
        # anybody could read it: that was no key, or should not have been
        (0o644, True, 0o600),
        (0o604, True, 0o600),
        (0o644, False, 0o644),
        (0o600, False, 0o600),
        (0o4755, False, 0o755),
    ],
)
def test_a_mode_stays_and_no_key_is_for_everybody(tmp_path: Path, before: int, private: bool, after: int) -> None:
    path = tmp_path / "a.pem"
    path.write_bytes(b"old")
    path.chmod(before)
    write_files([FileToWrite(path, b"new", private=private)], overwrite=True)
    assert (path.read_bytes(), facts(path)[2]) == (b"new", after)


@AS_ROOT
def test_owner_and_group_stay(tmp_path: Path) -> None:
    for owner in (0, DAEMON):
        path = tmp_path / "a.pem"
        path.write_bytes(b"old")
        os.chown(path, owner, DAEMON)
        path.chmod(0o640)
        write_files([FileToWrite(path, b"new", private=True)], overwrite=True)
        assert facts(path) == (owner, DAEMON, 0o640)


@AS_ROOT
@pytest.mark.parametrize("folder_mode", [0o1777, 0o777, 0o775])
def test_a_file_that_anybody_could_put_there_gets_no_key_of_ours(tmp_path: Path, folder_mode: int) -> None:
    path = tmp_path / "open" / "a.pem"
    path.parent.mkdir()
    path.parent.chmod(folder_mode)
    path.write_bytes(b"old")
    os.chown(path, DAEMON, DAEMON)
    path.chmod(0o640)
    write_files([FileToWrite(path, b"key", private=True)], overwrite=True)
    assert facts(path) == (0, 0, 0o600)


@AS_ROOT
def test_a_group_that_cannot_be_kept_is_not_swapped_for_another(tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    os.chown(tmp_path / "old", DAEMON, 2)
    (tmp_path / "old").chmod(0o640)
    kept = (tmp_path / "old").stat()
    child = os.fork()
    if child == 0:
        mode = 1
        try:
            os.setgroups([])
            os.setgid(DAEMON)
            os.setuid(DAEMON)
            descriptor = os.memfd_create("new")
            keep_access(descriptor, kept, private=True)
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        finally:
            os._exit(0 if mode == 0o600 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@AS_ROOT
def test_the_next_version_of_a_folder_is_for_the_same(tmp_path: Path) -> None:
    def write(key: bytes) -> Path:
        version = stage_version(
            tmp_path / "tls", [FolderFile("tls.crt", b"chain"), FolderFile("tls.key", key, private=True)]
        )
        switch(version)
        return version

    first = write(b"one")
    assert (facts(first)[2], facts(first / "tls.key")) == (0o755, (0, 0, 0o600))
    os.chown(first / "tls.key", 0, DAEMON)
    (first / "tls.key").chmod(0o640)
    os.chown(first / "tls.crt", DAEMON, DAEMON)
    os.chown(first, 0, DAEMON)
    first.chmod(0o750)
    second = write(b"two")
    assert second != first
    assert facts(second) == (0, DAEMON, 0o750)
    assert facts(second / "tls.key") == (0, DAEMON, 0o640)
    assert facts(second / "tls.crt") == (DAEMON, DAEMON, 0o644)


def test_two_ways_to_one_file_are_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "way").symlink_to("real")
    files = [FileToWrite(tmp_path / folder / "a.pem", b"x") for folder in ("real", "way")]
    with pytest.raises(InputError, match="named twice"):
        write_files(files, overwrite=True)
    assert list((tmp_path / "real").iterdir()) == []
