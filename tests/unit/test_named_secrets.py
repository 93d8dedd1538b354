from __future__ import annotations

import os
from pathlib import Path

import pytest

from pkiops.errors import GuardRefused, InputError
from pkiops.named_secrets import NamedSecrets


def secret_file(folder: Path, data: bytes, *, mode: int = 0o600, name: str = "keystore") -> NamedSecrets:
    file = folder / name
    file.write_bytes(data)
    file.chmod(mode)
    return NamedSecrets({}, folder)


def test_a_variable_comes_before_a_file(tmp_path: Path) -> None:
    secret_file(tmp_path, b"of the file", name="key-store")
    assert NamedSecrets({"PKIOPS_SECRET_KEY_STORE": "dös"}, tmp_path).get("key-store") == "dös".encode()
    assert NamedSecrets({}, tmp_path).get("key-store") == b"of the file"


@pytest.mark.parametrize("data", [b"pass word\n", b"pass word\r\n", b"pass word"])
def test_one_line_end_is_no_part_of_it(tmp_path: Path, data: bytes) -> None:
    assert secret_file(tmp_path, data).get("keystore") == b"pass word"


@pytest.mark.parametrize("name", ["hunter2!", "", "../../etc/passwd", "a/b", "1a", "-x", "x" * 64])
def test_what_is_no_name_is_not_repeated(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        NamedSecrets({}, tmp_path).get(name)
    assert caught.value.code == "secret.name"
    assert not name or name not in str(caught.value.message) + str(caught.value.hint)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o602])
def test_a_file_of_others_holds_no_secret(tmp_path: Path, mode: int) -> None:
    with pytest.raises(GuardRefused, match="others than its owner"):
        secret_file(tmp_path, b"x", mode=mode).get("keystore")


@pytest.mark.parametrize("data", [b"", b"\n", b"a\x00b", b"x" * 4097])
def test_what_is_unusable(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        secret_file(tmp_path, data).get("keystore")
    assert caught.value.code == "secret.unusable"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "keystore", 0o600)
    with pytest.raises(InputError, match="not a plain file"):
        NamedSecrets({}, tmp_path).get("keystore")


def test_one_that_is_missing_says_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        NamedSecrets({}, tmp_path).get("keystore")
    assert caught.value.hint == f"set PKIOPS_SECRET_KEYSTORE, or write it to {tmp_path}/keystore"


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"HOME": "/home/a"}, "/home/a/.config/pkiops/secrets"),
        ({"HOME": "/home/a", "XDG_CONFIG_HOME": "/etc/a"}, "/etc/a/pkiops/secrets"),
        ({"HOME": "/home/a", "XDG_CONFIG_HOME": "relative"}, "/home/a/.config/pkiops/secrets"),
    ],
)
def test_the_folder_of_the_user(variables: dict[str, str], folder: str) -> None:
    assert NamedSecrets.of_user(variables).folder == Path(folder)
