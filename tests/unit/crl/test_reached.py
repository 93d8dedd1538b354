"""Which hosts have answered: the record that anybody may have spoilt, and the guard before a CA issues."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.backends.interface import ObservedAuthority
from pkiops.clock import ManualClock
from pkiops.crl.authorities import KnownAuthority
from pkiops.crl.connect import parse_rule
from pkiops.crl.reach import Point, ProbedPoint
from pkiops.crl.reached import Reached, ReachGuard, asked_in_place, reached_key, read_reached, record_reached
from pkiops.errors import AccessDenied, AlreadyExists, GuardRefused, VerificationFailed
from pkiops.stores.interface import ALWAYS, Condition, Store, StoredObject
from tests import builders
from tests.unit.crl.world import World

HOST = "pki.test.example.com"
ROOT = builders.root_ca("Root")
CLIENTS = builders.subordinate_ca(ROOT, crl_urls=[f"http://{HOST}/crl/root.crl", "http://old.example.com/root.crl"])


class TroubledStore:
    """A store that counts, and in which something may happen before a write or instead of a read."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reads = 0
        self.denied = False
        self.before_puts: list[tuple[str, bytes]] = []

    def get(self, key: str, *, max_bytes: int) -> StoredObject | None:
        self.reads += 1
        if self.denied:
            raise AccessDenied("no s3:GetObject", code="backend.denied")
        return self.store.get(key, max_bytes=max_bytes)

    def put(
        self,
        key: str,
        data: bytes,
        *,
        condition: Condition = ALWAYS,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> str:
        if self.before_puts:
            self.store.put(*self.before_puts.pop(0))
        return self.store.put(key, data, condition=condition, content_type=content_type, cache_control=cache_control)

    def list_keys(self, prefix: str, *, after: str = "", limit: int | None = None) -> tuple[str, ...]:
        return self.store.list_keys(prefix, after=after, limit=limit)

    def describe(self) -> str:
        return self.store.describe()


class Server:
    """Answers for every host with what is there, 404 else; ``asked`` are the URLs."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(f"http://{self.headers['Host']}{self.path}")
                body = outer.bodies.get(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, format: str, *args: object) -> None:
                del format, args

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.httpd.shutdown()
        self.httpd.server_close()
        self.thread.join(timeout=10)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def crl(ca: builders.Issued = ROOT) -> bytes:
    return builders.crl(ca).public_bytes(Encoding.DER)


def guard(world: World, store: Store, server: Server) -> ReachGuard:
    return ReachGuard(
        world.environment,
        store,
        world.backend.crl_url,
        world.clock,
        rules=lambda: [parse_rule(f"::127.0.0.1:{server.httpd.server_port}")],
    )


def clients(world: World) -> KnownAuthority:
    _, one = world.known()
    return replace(one, chain=(CLIENTS.certificate, ROOT.certificate))


def answered(host: str = HOST, *, answers: bool = True) -> ProbedPoint:
    return ProbedPoint(point=Point(f"http://{host}/crl/a.crl", "root-g1", ROOT.certificate), answers=answers)


def test_a_host_that_answered_is_recorded_once(world: World) -> None:
    store = TroubledStore(world.store)
    assert read_reached(store, "test") == {}
    assert record_reached(store, "test", [answered(answers=False)], world.clock.now()) == ()
    assert store.list_keys("test/") == ()
    assert record_reached(store, "test", [answered()], builders.AT) == (HOST,)
    first = store.get(reached_key("test"), max_bytes=9999)
    assert record_reached(store, "test", [answered()], builders.AT + timedelta(days=9)) == ()
    assert store.get(reached_key("test"), max_bytes=9999) == first
    assert record_reached(store, "test", [answered("b.example.com")], builders.AT) == ("b.example.com",)
    assert set(read_reached(store, "test")) == {HOST, "b.example.com"}
    assert read_reached(store, "test")[HOST] == Reached(f"{builders.AT:%Y-%m-%dT%H:%M:%SZ}", f"http://{HOST}/crl/a.crl")


def test_two_who_record_at_once_lose_nothing(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "other")
    record_reached(other.store, "test", [answered("b.example.com")], builders.AT)
    theirs = other.store.get(reached_key("test"), max_bytes=9999)
    assert theirs is not None
    store = TroubledStore(world.store)
    store.before_puts = [(reached_key("test"), theirs.data)]
    assert record_reached(store, "test", [answered()], builders.AT) == (HOST,)
    assert set(read_reached(store, "test")) == {HOST, "b.example.com"}
    store.before_puts = [(reached_key("test"), theirs.data + b" " * turn) for turn in range(20)]
    with pytest.raises(AlreadyExists):
        record_reached(store, "test", [answered("c.example.com")], builders.AT)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b"[" * 60_000,
        b"x" * 70_000,
        b'{"format_version": "1.0", "environment": "prod", "hosts": {}}',
        b'{"format_version": "2.0", "environment": "test", "hosts": {}}',
        b'{"format_version": "1.0", "environment": "test", "hosts": []}',
        b'{"format_version": "1.0", "environment": "test", "hosts": {"pki.test.example.com": true}}',
        b'{"format_version": "1.0", "environment": "test", "hosts": {"pki.test.example.com": {"at": 1, "url": ""}}}',
    ],
)
def test_a_record_that_is_none_lets_nobody_pass_and_is_not_overwritten(
    world: World, server: Server, data: bytes
) -> None:
    world.store.put(reached_key("test"), data)
    for call in (
        lambda: record_reached(world.store, "test", [answered()], builders.AT),
        lambda: guard(world, world.store, server).require(clients(world)),
    ):
        with pytest.raises(VerificationFailed):
            call()
    assert server.asked == []


def test_a_recorded_host_is_believed_with_one_read_and_nobody_is_asked(world: World, server: Server) -> None:
    record_reached(world.store, "test", [answered()], builders.AT)
    store = TroubledStore(world.store)
    checking = guard(world, store, server)
    for _ in range(3):
        checking.require(clients(world))
    assert (store.reads, server.asked) == (1, [])


def test_without_a_record_the_crl_of_the_ca_above_shows_that_the_host_answers(world: World, server: Server) -> None:
    # of the CA itself there is none before it issues
    server.bodies["/crl/root.crl"] = crl()
    store = TroubledStore(world.store)
    checking = guard(world, store, server)
    for _ in range(3):
        checking.require(clients(world))
    assert store.reads == 1
    assert sorted(server.asked) == [f"http://{HOST}/crl/clients.crl", f"http://{HOST}/crl/root.crl"]
    assert store.list_keys("test/crl/") == ()  # an issuer writes nothing


@pytest.mark.parametrize("body", [None, b"<html>", crl(builders.root_ca("Root"))])
def test_a_host_that_never_answered_is_refused(world: World, server: Server, body: bytes | None) -> None:
    if body is not None:
        server.bodies |= {"/crl/root.crl": body, "/crl/clients.crl": body}
    checking = guard(world, world.store, server)
    with pytest.raises(GuardRefused, match=HOST) as caught:
        checking.require(clients(world))
    assert caught.value.code == "crl.unreachable"
    assert "crl host test" in (caught.value.hint or "")
    assert caught.value.details["host"] == HOST


def test_a_refusal_is_not_waited_for_again_and_does_not_last(world: World, server: Server) -> None:
    checking = guard(world, world.store, server)
    for _ in range(3):
        with pytest.raises(GuardRefused):
            checking.require(clients(world))
    assert len(server.asked) == 2
    server.bodies["/crl/root.crl"] = crl()
    world.clock.advance(timedelta(seconds=61))
    checking.require(clients(world))


def test_who_may_not_read_the_record_asks_the_host(world: World, server: Server) -> None:
    store = TroubledStore(world.store)
    store.denied = True
    with pytest.raises(GuardRefused, match="cannot be read: no s3:GetObject"):
        guard(world, store, server).require(clients(world))
    server.bodies["/crl/root.crl"] = crl()
    guard(world, store, server).require(clients(world))


def test_a_ca_without_a_distribution_point_has_nothing_to_answer_for(world: World, server: Server) -> None:
    one = clients(world)
    assert one.observed.crl is not None
    unnamed = replace(one, observed=replace(one.observed, crl=replace(one.observed.crl, named=False)))
    store = TroubledStore(world.store)

    def no_url(observed: ObservedAuthority) -> None:
        del observed

    silent = ReachGuard(world.environment, store, no_url, ManualClock(builders.AT))
    silent.require(unnamed)
    assert store.reads == 0
    in_parts = replace(one, observed=replace(one.observed, crl=replace(one.observed.crl, host=HOST, complete=False)))
    world.store.put(reached_key("test"), json.dumps(_record()).encode())
    silent.require(in_parts)
    assert store.reads == 1


def _record() -> dict[str, object]:
    return {"format_version": "1.0", "environment": "test", "hosts": {HOST: {"at": "x", "url": "y"}}}


def test_an_answer_at_another_place_is_none_of_the_host() -> None:
    ours = ProbedPoint(point=Point(f"http://{HOST}/crl/a.crl", "root-g1", ROOT.certificate), answers=True)
    other = replace(ours, point=replace(ours.point, url="http://other.example.com/a.crl"))
    silent = replace(ours, answers=False)
    assert asked_in_place([ours, other], []) == ((ours, other), ())
    rules = [parse_rule(f"{HOST}:80:d111.cloudfront.net:80")]
    assert asked_in_place([ours, other], rules) == ((other,), (HOST,))
    assert asked_in_place([silent], rules) == ((silent,), ())
