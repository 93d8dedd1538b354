from __future__ import annotations

import json
from typing import Any

import pytest

from pkiops.cert.formats import Material
from pkiops.cert.server_folder import (
    MANIFEST,
    Owner,
    check_location,
    folder_files,
    read_folder_manifest,
    version_name,
)
from pkiops.errors import InputError
from tests import builders

ROOT = builders.root_ca()
OWNER = Owner("test", "service", ("cn:a", "dns:a"))


def material(*usage: str) -> Material:
    leaf = builders.end_entity(ROOT, usage=usage or ("clientAuth",))
    return Material(certificate=leaf.certificate, chain=(ROOT.certificate,), key=leaf.key)


def test_the_same_contents_are_the_same_version() -> None:
    one = material()
    assert version_name(folder_files(one, OWNER, "/a")) == version_name(folder_files(one, OWNER, "/a"))
    others = [
        folder_files(material(), OWNER, "/a"),
        folder_files(one, OWNER, "/b"),
        folder_files(one, Owner("test", "x", ()), "/a"),
    ]
    assert len({version_name(files) for files in (folder_files(one, OWNER, "/a"), *others)}) == 4


def test_only_what_holds_the_key_is_private() -> None:
    files = folder_files(material(), OWNER, "/a")
    assert {file.name for file in files if file.private} == {file.name for file in files if b"PRIVATE" in file.data}


@pytest.mark.parametrize(
    ("usage", "directives"),
    [
        (("clientAuth",), {"proxy_ssl_certificate", "proxy_ssl_certificate_key"}),
        (("serverAuth",), {"ssl_certificate", "ssl_certificate_key"}),
        (("clientAuth", "serverAuth"), {"ssl_certificate", "ssl_certificate_key", "proxy_ssl_certificate", "proxy_ssl_certificate_key"}),
    ],
)  # fmt: skip
def test_nginx_gets_the_directives_of_the_usage(usage: tuple[str, ...], directives: set[str]) -> None:
    (snippet,) = [
        file.data.decode() for file in folder_files(material(*usage), OWNER, "/a b") if file.name == "nginx.conf"
    ]
    lines = [line for line in snippet.splitlines() if not line.startswith("#")]
    assert {line.split(" ")[0] for line in lines} == directives
    assert all('"/a b/current/tls.' in line for line in lines)


@pytest.mark.parametrize("location", ['/a"b', "/a\\b", "/$a", "/a\nb"])
def test_a_path_that_nginx_would_misread(location: str) -> None:
    with pytest.raises(InputError, match="cannot be written into a configuration of nginx"):
        check_location(location)


def test_a_manifest_is_read_back() -> None:
    files = folder_files(material(), OWNER, "/a")
    known = read_folder_manifest(files[-1].data)
    assert files[-1].name == MANIFEST
    assert known is not None
    assert known.owner == OWNER
    assert set(known.files) == {file.name for file in files[:-1]}


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "else"},
        {"files": None},
        {"files": {"../a": "00"}},
        {"files": {"": "00"}},
        {"files": {"..": "00"}},
        {"files": {MANIFEST: "00"}},
        {"files": {"a\x1b": "00"}},
        {"files": {"a": 1}},
        {"files": {str(n): "00" for n in range(21)}},
        {"names": "a"},
        {"names": [1]},
        {"environment": None},
    ],
)
def test_a_manifest_of_others_is_none(change: dict[str, Any]) -> None:
    document = json.loads(folder_files(material(), OWNER, "/a")[-1].data)
    assert read_folder_manifest(json.dumps(document).encode()) is not None
    assert read_folder_manifest(json.dumps({**document, **change}).encode()) is None


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"1", b"[" * 100_000])
def test_what_is_no_manifest_at_all(data: bytes) -> None:
    assert read_folder_manifest(data) is None
