"""A run that is killed at any step leaves the old folder or the new one, and the next run leaves nothing else; two runs keep apart."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pkiops.errors import GuardRefused, InProgress, InputError
from pkiops.trust.exclusive import exclusive
from pkiops.trust.folder import FolderToWrite, list_files, write_folders
from pkiops.trust.targets.interface import RenderedFile
from tests.unit.trust.test_folder import EXPECTED, content, folder

# forks a writer, kills it at one step after another, and sees to what is left; a process of its own, because it forks
KILLER = '''
import os, sys
from pathlib import Path
from pkiops.trust.exclusive import exclusive
from pkiops.trust.exchange import exchange
from pkiops.trust.folder import list_files, write_folders
from tests.unit.trust.test_folder import content, folder

top, mode = Path(sys.argv[1]), sys.argv[2]
swap = exchange if mode == "exchange" else lambda one, other: False
places = [top / "first", top / "second"]


def write(data):
    with exclusive(places):
        write_folders([folder(place, data) for place in places], overwrite=False, swap=swap)


def killed_at(step):
    """Whether the writer was killed before it was done."""
    child = os.fork()
    if child == 0:
        left = step
        def hook(event, arguments):
            nonlocal left
            if event.startswith(("os.", "shutil.", "open", "ctypes.", "tempfile.", "fcntl.")):
                left -= 1
                if left < 0:
                    os._exit(9)
        sys.addaudithook(hook)
        write(b"new")
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


missing = step = 0
write(b"old")
while killed_at(step):
    for place in places:
        if place.exists():
            assert content(place)["a"] in (b"old", b"new"), (step, content(place))
            assert len(list_files(place)) == 3, (step, list_files(place))
        else:
            missing += 1
    with exclusive(places):
        for place in places:  # whoever compares finds what stood there
            assert content(place)["a"] in (b"old", b"new"), step
        assert sorted(os.listdir(top)) == ["first", "second"], (step, os.listdir(top))
    write(b"old")
    assert [content(place)["a"] for place in places] == [b"old", b"old"]
    step += 1
assert [content(place)["a"] for place in places] == [b"new", b"new"]
print(step, missing)
'''


@pytest.mark.parametrize("mode", ["exchange", "two renames"])
def test_a_writer_that_is_killed_at_any_step(tmp_path: Path, mode: str) -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(tmp_path), mode],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, done.stderr
    steps, missing = map(int, done.stdout.split())
    assert steps > 20, "every open, rename and removal was a step"
    if mode == "exchange" and sys.platform.startswith("linux"):
        assert missing == 0, "there is no moment without a folder"
    if mode == "two renames":
        assert missing > 0, "the moment between them was met"


def test_two_writers_keep_apart(tmp_path: Path) -> None:
    place = tmp_path / "services" / "nginx"
    with exclusive([place]):
        write_folders([folder(place)], overwrite=False)
    with exclusive([place]):
        with pytest.raises(InProgress) as caught, exclusive([place, tmp_path / "services" / "pem"]):
            raise AssertionError("both write")
        assert caught.value.exit_code == 6
        with exclusive([tmp_path / "others" / "nginx"]):
            pass
    with exclusive([place]):
        pass


def test_only_what_a_writer_may_have_left_is_removed(tmp_path: Path) -> None:
    kept = (".nginx.new-notes", ".nginx.new-UPPERCAS", ".pem.new-abcdefgh", ".nginx", "nginx.new-abcdefgh")
    for name in kept:
        (tmp_path / name).mkdir()
    (tmp_path / ".nginx.old-abcdefgh").write_bytes(b"a file")
    (tmp_path / ".nginx.old-00000000").symlink_to(tmp_path / ".nginx")
    (tmp_path / ".nginx.new-a_cdefg1").mkdir()
    (tmp_path / ".nginx.old-empty000").mkdir()
    with exclusive([tmp_path / "nginx"]):
        left = set(os.listdir(tmp_path))
    assert left == {*kept, ".nginx.old-abcdefgh", ".nginx.old-00000000"}


def test_what_stood_there_is_put_back(tmp_path: Path) -> None:
    place = tmp_path / "nginx"
    write_folders([folder(place)], overwrite=False)
    place.rename(tmp_path / ".nginx.old-abcdefgh")
    with exclusive([place]):
        assert content(place) == EXPECTED
    assert os.listdir(tmp_path) == ["nginx"]


def test_a_link_above_a_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "services").symlink_to(tmp_path / "real")
    with pytest.raises(GuardRefused, match="is a link"), exclusive([tmp_path / "services" / "nginx"]):
        raise AssertionError("followed")


def test_two_targets_never_share_a_folder(tmp_path: Path) -> None:
    (tmp_path / "again").symlink_to(tmp_path)
    for one, other in (("nginx", "nginx"), ("nginx", "again/nginx")):
        with pytest.raises(InputError, match="into one folder"):
            write_folders([folder(tmp_path / one), folder(tmp_path / other)], overwrite=False)
    assert os.listdir(tmp_path) == ["again"]


@pytest.mark.parametrize("mask", [0o077, 0o022, 0o000])
def test_servers_of_other_users_can_read_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    place = tmp_path / "nginx"
    before = os.umask(mask)
    try:
        files = (RenderedFile("a", b"1"), RenderedFile("deep/er/b", b"2"))
        write_folders([FolderToWrite(place, files)], overwrite=False)
    finally:
        os.umask(before)
    modes = {path.relative_to(place).as_posix(): path.stat().st_mode & 0o777 for path in place.rglob("*")}
    assert modes == {"a": 0o644, "deep": 0o755, "deep/er": 0o755, "deep/er/b": 0o644}
    assert place.stat().st_mode & 0o777 == 0o755
    assert list_files(place) == ("a", "deep/er/b")
