"""Reading the published set out of a bucket that somebody else may have written to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from pkiops.crl.manifest import decode_manifest, encode_manifest
from pkiops.crl.read import file_key, pointer_key, read_current, read_pointer, read_records
from pkiops.errors import VerificationFailed
from tests import builders
from tests.seeded import seeded
from tests.unit.crl.world import World


def read(world: World) -> object:
    return read_current(world.store, "test", world.known(), at=world.clock.now())


def point_to(world: World, manifest: bytes) -> str:
    digest = hashlib.sha256(manifest).hexdigest()
    world.store.put(file_key("test", digest, "manifest.json"), manifest)
    world.store.put(pointer_key("test"), json.dumps({"manifest_sha256": digest}).encode())
    return digest


def manifest_of(world: World) -> tuple[str, bytes]:
    pointer = read_pointer(world.store, "test")
    assert pointer is not None
    found = world.store.get(file_key("test", pointer.manifest_sha256, "manifest.json"), max_bytes=100_000)
    assert found is not None
    return pointer.manifest_sha256, found.data


def test_nothing_published_is_none(tmp_path: Path) -> None:
    assert read(World(tmp_path)) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"manifest_sha256": 1}',
        b'{"manifest_sha256": "../../secret"}',
        b'{"manifest_sha256": "' + b"A" * 64 + b'"}',
        b"\xff\xfe",
        b"[" * 4000,
        b"x" * 5000,
    ],
)
def test_a_pointer_that_is_none_is_refused(tmp_path: Path, data: bytes) -> None:
    world = World(tmp_path)
    world.store.put(pointer_key("test"), data)
    with pytest.raises(VerificationFailed):
        read(world)
    with pytest.raises(VerificationFailed):
        world.publish()


def test_a_pointer_to_nothing_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.store.put(pointer_key("test"), json.dumps({"manifest_sha256": "0" * 64}).encode())
    with pytest.raises(VerificationFailed, match="is missing"):
        read(world)


def test_a_manifest_under_another_name_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.publish()
    digest, data = manifest_of(world)
    world.store.put(file_key("test", digest, "manifest.json"), data.replace(b'"number":1', b'"number":2'))
    with pytest.raises(VerificationFailed, match="not what its name says"):
        read(world)


Change = Callable[[dict[str, Any]], None]


def _set(key: str, value: object) -> Change:
    return lambda document: document["crls"][0].__setitem__(key, value)


@pytest.mark.parametrize(
    "change",
    [
        _set("der", "../../../etc/passwd"),
        _set("authority", "../root"),
        _set("authority", "Root"),
        _set("generation", -1),
        _set("generation", True),
        _set("generation", "1"),
        _set("number", 2**161),
        _set("number", -1),
        _set("number", 1.5),
        _set("sha256", "x"),
        _set("aki", "abc"),
        _set("issuer", None),
        _set("issuer", "x" * 5000),
        _set("next_update", "tomorrow"),
        _set("surprise", 1),
        lambda document: document["crls"].append(document["crls"][0]),
        lambda document: document["crls"].append(7),
        lambda document: document["crls"][0].pop("number"),
        lambda document: document.update(environment="prod"),
        lambda document: document.update(format_version="9"),
        lambda document: document.update(crls={}),
        lambda document: document.update(extra=1),
    ],
)
def test_a_manifest_that_pkiops_did_not_write_is_refused(tmp_path: Path, change: Change) -> None:
    world = World(tmp_path)
    world.publish()
    document = json.loads(manifest_of(world)[1])
    change(document)
    point_to(world, json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    with pytest.raises(VerificationFailed):
        read(world)


@seeded(60)
@given(st.binary(max_size=200))
def test_any_bytes_are_either_refused_or_written_by_us(data: bytes) -> None:
    with pytest.raises(VerificationFailed):
        decode_manifest(data, "test", "the manifest")


def test_a_manifest_reads_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.publish()
    digest, data = manifest_of(world)
    records = read_records(world.store, "test", digest)
    assert encode_manifest("test", records) == data


def test_a_crl_that_is_missing_or_damaged_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.publish()
    digest, _ = manifest_of(world)
    key = file_key("test", digest, "clients-g1.crl")
    world.store.put(key, b"damaged")
    with pytest.raises(VerificationFailed, match="not what its manifest says"):
        read(world)
    (tmp_path / "trust-bucket" / key).unlink()
    with pytest.raises(VerificationFailed, match="is missing"):
        read(world)


def test_a_forged_crl_with_a_manifest_to_match_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.publish()
    forged = builders.crl(world.backend.cas["clients"], number=99, signer=builders.key()).public_bytes(Encoding.DER)
    document = json.loads(manifest_of(world)[1])
    entry = next(one for one in document["crls"] if one["authority"] == "clients")
    entry["sha256"] = hashlib.sha256(forged).hexdigest()
    manifest = json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    old, _ = manifest_of(world)
    digest = point_to(world, manifest)
    root = world.store.get(file_key("test", old, "root-g1.crl"), max_bytes=100_000)
    assert root is not None
    world.store.put(file_key("test", digest, "root-g1.crl"), root.data)
    world.store.put(file_key("test", digest, "clients-g1.crl"), forged)
    with pytest.raises(VerificationFailed) as caught:
        read(world)
    assert caught.value.code == "crl.signature"


def test_a_set_that_has_grown_old_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.publish()
    world.later(days=7, minutes=-30)
    with pytest.raises(VerificationFailed) as caught:
        read(world)
    assert caught.value.code == "crl.expires-soon"
