"""A disk that is full: the error names the target and not a temporary file, and nothing is half-written."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pkiops.cert.server_folder import FolderFile
from pkiops.cli.cert_folder import stage_version
from pkiops.cli.files import FileToWrite, write_files
from pkiops.errors import InputError
from pkiops.trust.folder import FolderToWrite, write_folders
from pkiops.trust.targets.interface import RenderedFile

BIG = b"x" * 100_000


@contextlib.contextmanager
def no_room() -> Iterator[None]:
    """No file may be longer than a few bytes; like a full disk, the error of the system names no file."""
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, kept[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)


def files(folder: Path) -> None:
    write_files(
        [FileToWrite(folder / "small", b"1"), FileToWrite(folder / "target", BIG, private=True)], overwrite=True
    )


def version(folder: Path) -> None:
    stage_version(folder / "target", [FolderFile("tls.key", BIG, private=True)])


def bundle(folder: Path) -> None:
    write_folders([FolderToWrite(folder / "target", (RenderedFile("ca.pem", BIG),))], overwrite=True)


@pytest.mark.parametrize("write", [files, version, bundle])
def test_the_target_is_named_and_nothing_is_left(write: Callable[[Path], None], tmp_path: Path) -> None:
    with no_room(), pytest.raises(InputError) as caught:
        write(tmp_path)
    assert caught.value.message.startswith(f"cannot write {tmp_path / 'target'}: ")
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == []
    write(tmp_path)
    assert [one for one in tmp_path.rglob("*") if one.is_file() and one.read_bytes() == BIG]
