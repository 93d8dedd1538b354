"""JKS keystores, read back by a reader of the tests' own; Java itself reads them in tests/live."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pkiops.clock import SeededRandomness
from pkiops.x509.java_store import SALT_BYTES, jks, key_entry, trusted_entry
from tests.jks import Entry, read_jks

DATED = datetime(2026, 11, 25, 17, 50, 28, tzinfo=UTC)
SALT = bytes(range(SALT_BYTES))


# as many octets as blocks of the stream have, and around that, and where DER's lengths take more octets
@pytest.mark.parametrize("size", [0, 1, 19, 20, 21, 40, 67, 68, 138, 200, 1_217, 70_000])
def test_a_key_comes_back_whatever_its_size(size: int) -> None:
    key = SeededRandomness(size).token_bytes(size)
    chain = (b"leaf", b"issuer" * 100)
    made = jks([key_entry("orders", key, chain, "changeit", salt=SALT, dated=DATED)], "changeit")
    assert read_jks(made, "changeit") == [Entry("orders", DATED, chain, key, SALT)]
    assert size < 19 or key not in made


def test_entries_of_both_kinds() -> None:
    entries = [
        trusted_entry("root", b"a root", DATED),
        key_entry("orders", b"a key", (b"leaf",), "pass word", salt=SALT, dated=DATED),
        trusted_entry("other", b"another", DATED),
    ]
    assert read_jks(jks(entries, "pass word"), "pass word") == [
        Entry("root", DATED, (b"a root",)),
        Entry("orders", DATED, (b"leaf",), b"a key", SALT),
        Entry("other", DATED, (b"another",)),
    ]
    assert read_jks(jks([], ""), "") == []


def test_a_wrong_passphrase_and_any_change_are_found() -> None:
    made = jks([key_entry("a", b"a key" * 9, (b"leaf",), "right", salt=SALT, dated=DATED)], "right")
    with pytest.raises(ValueError, match="password was incorrect"):
        read_jks(made, "wrong")
    for place in range(len(made)):
        changed = made[:place] + bytes([made[place] ^ 1]) + made[place + 1 :]
        with pytest.raises(ValueError, match="tampered"):
            read_jks(changed, "right")
    # the store's passphrase is not enough: the key has a check of its own
    mixed = jks([key_entry("a", b"a key" * 9, (b"leaf",), "right", salt=SALT, dated=DATED)], "other")
    with pytest.raises(ValueError, match="cannot recover key"):
        read_jks(mixed, "other")


def test_another_salt_hides_otherwise() -> None:
    first, second = (
        jks([key_entry("a", b"a key" * 9, (b"leaf",), "x", salt=salt, dated=DATED)], "x")
        for salt in (SALT, bytes(reversed(SALT)))
    )
    (one,), (two,) = read_jks(first, "x"), read_jks(second, "x")
    assert (one, one.salt) == (replace(two, salt=SALT), SALT)
    same = sum(a == b for a, b in zip(first, second, strict=True))
    assert len(first) - same > 20 + 40


def test_a_salt_of_another_size_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="19 octets"):
        key_entry("a", b"k", (), "x", salt=SALT[1:], dated=DATED)


@pytest.mark.parametrize("alias", ["", "a", "\0", "käse", "日本", "🔑 key", "a\0b🔑"])
def test_aliases_in_javas_utf_8(alias: str) -> None:
    made = jks([trusted_entry(alias, b"c", DATED)], "x")
    assert read_jks(made, "x")[0].alias == alias
    assert b"\0\x02\xc0\x80" in made or alias != "\0"
