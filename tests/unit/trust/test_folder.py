"""Folders are replaced as a whole, only when they are ours, and never half written."""

from __future__ import annotations

import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from pkiops.errors import GuardRefused, InputError, VerificationFailed
from pkiops.trust.exchange import exchange
from pkiops.trust.folder import FolderToWrite, list_files, read_file, write_folders
from pkiops.trust.targets.interface import RenderedFile

MANIFEST = (
    b'{"kind":"pkiops-trust-target","environment":"e","bundle":"b","target":"t","location":"/x",'
    b'"content_sha256":"0","files":{"a":"0","d/b":"0"}}'
)


def folder(path: Path, a: bytes = b"1") -> FolderToWrite:
    return FolderToWrite(
        path, (RenderedFile("a", a), RenderedFile("d/b", b"2"), RenderedFile("MANIFEST.json", MANIFEST))
    )


def content(path: Path) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in list_files(path)}


EXPECTED = {"a": b"1", "d/b": b"2", "MANIFEST.json": MANIFEST}


def test_a_folder_is_created_then_unchanged_then_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out" / "services" / "nginx"
    assert write_folders([folder(path)], overwrite=False)[0].change == "created"
    assert content(path) == EXPECTED
    assert write_folders([folder(path)], overwrite=False)[0].change == "unchanged"
    assert write_folders([folder(path, b"new")], overwrite=False)[0].change == "replaced"
    assert content(path)["a"] == b"new"
    assert os.listdir(path.parent) == ["nginx"], "no temporary folder is left"
    assert stat.S_IMODE(path.stat().st_mode) & 0o700 == 0o700
    assert stat.S_IMODE((path / "a").stat().st_mode) & 0o600 == 0o600


def test_files_changed_by_hand_are_replaced_because_the_folder_is_ours(tmp_path: Path) -> None:
    path = tmp_path / "nginx"
    write_folders([folder(path)], overwrite=False)
    (path / "a").write_bytes(b"by hand")
    assert write_folders([folder(path)], overwrite=False)[0].change == "replaced"
    assert content(path) == EXPECTED


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_stands_in_for_a_file_is_replaced_without_a_look_inside(tmp_path: Path, kind: str) -> None:
    path, elsewhere = tmp_path / "nginx", tmp_path / "elsewhere"
    write_folders([folder(path)], overwrite=False)
    elsewhere.write_bytes(b"1")
    (path / "a").unlink()
    if kind == "link":
        (path / "a").symlink_to(elsewhere)
    else:
        os.mkfifo(path / "a")  # whoever opens it waits for ever
    assert write_folders([folder(path)], overwrite=False)[0].change == "replaced"
    assert content(path) == EXPECTED
    assert not (path / "a").is_symlink()
    assert elsewhere.read_bytes() == b"1"


def test_a_folder_of_somebody_else_needs_consent(tmp_path: Path) -> None:
    path = tmp_path / "nginx"
    path.mkdir()
    (path / "precious").write_bytes(b"x")
    with pytest.raises(GuardRefused, match="did not write"):
        write_folders([folder(path)], overwrite=False)
    assert content(path) == {"precious": b"x"}
    write_folders([folder(path)], overwrite=True)
    assert content(path) == EXPECTED


@pytest.mark.parametrize(
    "manifest", [b"", b"{}", b'{"kind":"pkiops-trust-target"}', b"[" * 100_000, b'{"files":{"../x":"0"}}']
)
def test_a_manifest_that_is_none_gives_no_right_to_replace(tmp_path: Path, manifest: bytes) -> None:
    path = tmp_path / "nginx"
    path.mkdir()
    (path / "MANIFEST.json").write_bytes(manifest)
    with pytest.raises(GuardRefused):
        write_folders([folder(path)], overwrite=False)


def test_a_file_of_somebody_else_in_our_folder_is_not_thrown_away(tmp_path: Path) -> None:
    path = tmp_path / "nginx"
    write_folders([folder(path)], overwrite=False)
    (path / "server.key").write_bytes(b"precious")
    with pytest.raises(GuardRefused):
        write_folders([folder(path, b"new")], overwrite=False)
    assert (path / "server.key").read_bytes() == b"precious"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "nginx"
    path.mkdir()
    write_folders([folder(path)], overwrite=False)
    assert content(path) == EXPECTED


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_is_never_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "nginx"
    if kind == "file":
        path.write_bytes(b"x")
    else:
        (tmp_path / "elsewhere").mkdir()
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(GuardRefused):
        write_folders([folder(path)], overwrite=True)


def test_one_refused_folder_stops_all(tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "precious").write_bytes(b"x")
    with pytest.raises(GuardRefused):
        write_folders([folder(tmp_path / "first"), folder(tmp_path / "second")], overwrite=False)
    assert sorted(os.listdir(tmp_path)) == ["second"]


def test_a_folder_that_cannot_be_written_leaves_everything_as_it_was(tmp_path: Path) -> None:
    write_folders([folder(tmp_path / "first")], overwrite=False)
    (tmp_path / "blocked").write_bytes(b"a file where a folder is wanted")
    with pytest.raises(InputError):
        write_folders([folder(tmp_path / "first", b"new"), folder(tmp_path / "blocked" / "second")], overwrite=False)
    assert content(tmp_path / "first") == EXPECTED
    assert sorted(os.listdir(tmp_path)) == ["blocked", "first"]


def test_a_swap_that_fails_half_way_is_taken_back(tmp_path: Path) -> None:
    write_folders([folder(tmp_path / "first")], overwrite=False)
    # the second is prepared inside the first, and gone with it when the first has been moved away
    with pytest.raises(InputError):
        write_folders([folder(tmp_path / "first", b"new"), folder(tmp_path / "first" / "inner")], overwrite=False)
    assert content(tmp_path / "first") == EXPECTED
    assert os.listdir(tmp_path) == ["first"]


def test_reading_follows_no_link_and_waits_for_no_pipe(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"12345")
    with pytest.raises(InputError):
        read_file(tmp_path, "link", max_bytes=10)
    with pytest.raises(VerificationFailed):
        read_file(tmp_path, "pipe", max_bytes=10)
    with pytest.raises(VerificationFailed):
        read_file(tmp_path, "large", max_bytes=4)
    assert read_file(tmp_path, "none", max_bytes=4) is None
    assert read_file(tmp_path, "large", max_bytes=5) == b"12345"
    with pytest.raises(InputError):
        list_files(tmp_path / "none")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux exchanges folders in one step")
def test_whoever_reads_while_a_folder_is_replaced_finds_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "nginx"
    write_folders([folder(path)], overwrite=False)
    done, missed = threading.Event(), 0

    def read() -> None:
        nonlocal missed
        while not done.is_set():
            missed += not (path / "a").exists()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(200):
            write_folders([folder(path, str(number).encode())], overwrite=False)
    finally:
        done.set()
        reader.join()
    assert missed == 0
    assert os.listdir(tmp_path) == ["nginx"]


def test_an_exchange_swaps_and_needs_both(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    (one / "a").write_bytes(b"1")
    other.mkdir()
    if exchange(one, other):
        assert (list_files(one), list_files(other)) == ((), ("a",))
        with pytest.raises(FileNotFoundError):
            exchange(one, tmp_path / "nowhere")
