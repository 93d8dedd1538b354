"""What every store promises, run against each of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from pkiops.aws import AwsAccess, AwsClients
from pkiops.errors import AlreadyExists, InputError, VerificationFailed
from pkiops.stores.interface import IF_ABSENT, Condition, Store
from pkiops.stores.local import LocalStore
from pkiops.stores.s3 import S3Store
from tests.fakes.store import MemoryStore
from tests.sandbox_server import ACCOUNT, REGION, running_sandbox


@contextmanager
def s3_store() -> Iterator[Store]:
    """A store in the sandbox's S3, over HTTP."""
    with running_sandbox() as sandbox:
        urls = dict.fromkeys(("acm-pca", "s3", "sts"), sandbox.url)
        access = AwsAccess(region=REGION, account=ACCOUNT, role_arn=None, endpoint_urls=urls, sandbox=True)
        sandbox.client("s3").create_bucket(
            Bucket="example-trust", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        yield S3Store(AwsClients(access), "example-trust")


# name -> (folder of this test) -> an empty store, for as long as the context lasts
STORES: dict[str, Callable[[Path], AbstractContextManager[Store]]] = {
    "local": lambda folder: nullcontext(LocalStore(folder / "store")),
    "memory": lambda _: nullcontext(MemoryStore()),
    "s3": lambda _: s3_store(),
}


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with STORES[request.param](tmp_path) as made:
        yield made


def test_what_was_put_is_what_is_got(store: Store) -> None:
    version = store.put("dev/crl/current.json", b"{}", content_type="application/json", cache_control="no-cache")
    found = store.get("dev/crl/current.json", max_bytes=10)
    assert found is not None
    assert (found.key, found.data, found.version) == ("dev/crl/current.json", b"{}", version)


def test_a_store_says_how_old_an_object_is(store: Store) -> None:
    store.put("a", b"x")
    found = store.get("a", max_bytes=1)
    assert found is not None
    assert 0 <= found.age_s < 60


def test_an_object_may_be_empty(store: Store) -> None:
    store.put("a", b"")
    found = store.get("a", max_bytes=0)
    assert found is not None
    assert found.data == b""


def test_nothing_there_is_none(store: Store) -> None:
    assert store.get("a/b", max_bytes=10) is None
    store.put("a", b"x")
    assert store.get("a/b", max_bytes=10) is None


def test_the_size_is_bounded(store: Store) -> None:
    store.put("a", b"x" * 11)
    with pytest.raises(VerificationFailed) as caught:
        store.get("a", max_bytes=10)
    assert caught.value.code == "store.too-big"
    exact = store.get("a", max_bytes=11)
    assert exact is not None


def test_without_a_condition_the_last_write_stays(store: Store) -> None:
    first = store.put("a", b"1")
    second = store.put("a", b"2")
    found = store.get("a", max_bytes=10)
    assert found is not None
    assert first != second
    assert (found.data, found.version) == (b"2", second)


def test_if_absent_writes_once(store: Store) -> None:
    store.put("a", b"1", condition=IF_ABSENT)
    with pytest.raises(AlreadyExists):
        store.put("a", b"2", condition=IF_ABSENT)
    found = store.get("a", max_bytes=10)
    assert found is not None
    assert found.data == b"1"


def test_a_version_is_replaced_only_while_it_is_there(store: Store) -> None:
    first = store.put("a", b"1")
    store.put("a", b"2", condition=Condition(version=first))
    with pytest.raises(AlreadyExists):
        store.put("a", b"3", condition=Condition(version=first))
    found = store.get("a", max_bytes=10)
    assert found is not None
    assert found.data == b"2"


def test_a_version_of_nothing_never_holds(store: Store) -> None:
    version = store.put("other", b"1")
    with pytest.raises(AlreadyExists):
        store.put("a", b"1", condition=Condition(version=version))
    assert store.get("a", max_bytes=10) is None


def test_keys_are_listed_by_prefix_and_sorted(store: Store) -> None:
    for key in ("b/2", "a/1", "b/1", "bb/1"):
        store.put(key, b"x")
    assert store.list_keys("b/") == ("b/1", "b/2")
    assert store.list_keys("b") == ("b/1", "b/2", "bb/1")
    assert store.list_keys("") == ("a/1", "b/1", "b/2", "bb/1")
    assert store.list_keys("none") == ()


def test_a_list_can_begin_and_end_within(store: Store) -> None:
    for key in ("b/3", "b/1", "a/1", "b/2", "c/1"):
        store.put(key, b"x")
    assert store.list_keys("b/", after="b/1") == ("b/2", "b/3")
    assert store.list_keys("b/", after="b/1", limit=1) == ("b/2",)
    assert store.list_keys("b/", after="b/15", limit=9) == ("b/2", "b/3")
    assert store.list_keys("b/", limit=2) == ("b/1", "b/2")
    assert store.list_keys("b/", after="b/3") == ()
    assert store.list_keys("", after="b/3") == ("c/1",)


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "..", "../a", "a/../b", "./a", ".lock", "a\\b", "a\0b", "a b", "a\n", "x" * 513]
)
def test_other_keys_are_refused(store: Store, key: str) -> None:
    with pytest.raises(InputError):
        store.put(key, b"x")
    with pytest.raises(InputError):
        store.get(key, max_bytes=1)
    assert store.list_keys("") == ()


def test_it_has_a_name_for_people(store: Store) -> None:
    assert store.describe()


def test_of_many_writers_with_one_condition_one_wins(store: Store) -> None:
    first = store.put("a", b"start")
    won: list[int] = []
    start = threading.Barrier(8)

    def write(number: int) -> None:
        start.wait(timeout=30)
        try:
            store.put("a", b"%d" % number, condition=Condition(version=first))
        except AlreadyExists:
            return
        won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    found = store.get("a", max_bytes=10)
    assert found is not None
    assert len(won) == 1
    assert found.data == b"%d" % won[0]
