"""The archive's folder: whose it is, what is in it, and that it is never anything else's."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pkiops.ca.archive import MANIFEST, SUMS, Archive
from pkiops.errors import GuardRefused, InputError

WHOSE: dict[str, Any] = {"environment": "dev", "authority": "clients", "generation": 1, "reference": "arn:one"}


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    made = Archive(tmp_path / "kept", WHOSE)
    made.begin()
    return made


def test_it_is_private_and_summed_up(archive: Archive) -> None:
    archive.write("certificates/1.pem", [b"one", b"two"])
    archive.write("crl/a.crl", [b"x"])
    archive.finish({"certificates": 1})
    files = {one.relative_to(archive.folder).as_posix(): one for one in archive.folder.rglob("*") if one.is_file()}
    assert set(files) == {"certificates/1.pem", "crl/a.crl", MANIFEST, SUMS}
    assert {stat.S_IMODE(one.stat().st_mode) for one in files.values()} == {0o600}
    assert {stat.S_IMODE(one.stat().st_mode) for one in archive.folder.rglob("*") if one.is_dir()} == {0o700}
    assert files[SUMS].read_text().splitlines() == [
        f"{hashlib.sha256(b'onetwo').hexdigest()}  certificates/1.pem",
        f"{hashlib.sha256(b'x').hexdigest()}  crl/a.crl",
    ]
    manifest = json.loads(files[MANIFEST].read_text())
    assert {key: manifest[key] for key in WHOSE} == WHOSE
    assert (manifest["complete"], manifest["files"], manifest["certificates"]) == (True, 2, 1)
    assert manifest["sums_sha256"] == hashlib.sha256(files[SUMS].read_bytes()).hexdigest()


def test_what_was_begun_is_continued(archive: Archive) -> None:
    archive.write("certificates/1.pem", [b"one"])
    (archive.folder / "certificates" / ".new-x").write_bytes(b"half")
    again = Archive(archive.folder, WHOSE)
    again.check()
    again.begin()
    assert again.read("certificates/1.pem") == b"one"
    assert again.read("certificates/2.pem") is None
    assert not (archive.folder / "certificates" / ".new-x").exists()
    assert b"".join(again.pieces("certificates/1.pem")) == b"one"


@pytest.mark.parametrize("key", WHOSE)
def test_the_archive_of_another_ca_is_refused(archive: Archive, key: str) -> None:
    other = Archive(archive.folder, {**WHOSE, key: 2 if key == "generation" else "other"})
    before = (archive.folder / MANIFEST).read_bytes()
    for attempt in (other.check, other.begin):
        with pytest.raises(GuardRefused, match="is not the archive of"):
            attempt()
    assert (archive.folder / MANIFEST).read_bytes() == before


@pytest.mark.parametrize("manifest", [None, b"", b"[]", b"{", b'{"kind": "ca-archive"}', b"[" * 100_000, b"\xff"])
def test_a_folder_of_something_else_is_refused(tmp_path: Path, manifest: bytes | None) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "photo").write_bytes(b"1")
    if manifest is not None:
        (tmp_path / "x" / MANIFEST).write_bytes(manifest)
    with pytest.raises(GuardRefused):
        Archive(tmp_path / "x", WHOSE).begin()
    assert not (tmp_path / "x" / "certificates").exists()


def test_an_empty_folder_is_taken_and_a_file_is_not(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    Archive(tmp_path / "empty", WHOSE).begin()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="is no folder"):
        Archive(tmp_path / "file", WHOSE).check()
    with pytest.raises(InputError, match="does not exist"):
        Archive(tmp_path / "missing" / "x", WHOSE).check()


def test_a_write_that_fails_leaves_what_was_there(archive: Archive) -> None:
    archive.write("audit-report.json", [b"old"])

    def broken() -> Iterator[bytes]:
        yield b"new"
        raise InputError("the line was cut")

    with pytest.raises(InputError, match="the line was cut"):
        archive.write("audit-report.json", broken())
    assert archive.read("audit-report.json") == b"old"
    assert sorted(one.name for one in archive.folder.iterdir()) == [
        "audit-report.json",
        "certificates",
        "crl",
        MANIFEST,
    ]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read or write"):
        Archive(tmp_path / ("x" * 300), WHOSE).begin()


@pytest.mark.parametrize("name", ["", "certificates", "crl"])
def test_a_link_is_not_followed(tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    archive = Archive(tmp_path / "kept", WHOSE)
    if name:
        archive.begin()
        (archive.folder / name).rmdir()
    (archive.folder / name).symlink_to(elsewhere)
    for attempt in (archive.check, archive.begin):
        with pytest.raises(GuardRefused, match="is a symbolic link"):
            attempt()
    assert not list(elsewhere.iterdir())


def test_a_file_that_is_a_link_is_written_anew(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    kept = archive.folder / "certificates" / "1.pem"
    kept.symlink_to(tmp_path / "secret")
    assert archive.read("certificates/1.pem") is None
    archive.finish({})
    assert "1.pem" not in (archive.folder / SUMS).read_text()
    archive.write("certificates/1.pem", [b"one"])
    assert (kept.is_symlink(), kept.read_bytes(), (tmp_path / "secret").read_bytes()) == (False, b"one", b"secret")
