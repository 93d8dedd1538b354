"""Two processes of ``crl publish`` over one bucket, throttled and killed at random, one of them with a CRL that is out of date, while a reader reads.

Over HTTP, against the sandbox, whose bucket keeps every version of the pointer: what it ever said is looked at in the end. ``make check`` does this
a few times, ``make soak`` many times with a new seed. All orders of the calls are tried in ``test_publishers.py``.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests import builders
from tests.faults.hierarchy import CRL_BUCKET, TRUST_BUCKET, dev_folder
from tests.faults.processes import Pkiops, prepared, start
from tests.faults.proxy import FaultyProxy, faulty_proxy
from tests.faults.publishers import numbers_in
from tests.faults.trouble import Arrived, Fault
from tests.sandbox_server import RunningSandbox, running_sandbox
from tests.seeded import SOAK

ROUNDS = 40 if SOAK else 3
_POINTER = "dev/crl/current.json"
_PUBLISH = ["crl", "publish", "dev"]
# what it takes when nothing goes wrong, about
_CALLS = 30
_STALE_REFUSED = 8


@dataclass
class _Random:
    """A process is killed at its ``last`` call, and one call in twenty before is throttled."""

    chosen: random.Random
    last: int | None
    process: Pkiops
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def strikes(self, arrived: Arrived) -> Fault | None:
        with self._lock:
            if arrived.number == self.last:
                return Fault.KILLED
            return Fault.THROTTLED if self.chosen.random() < 0.05 else None

    def after(self, fault: Fault) -> None:
        self.process.kill()


class _Objects(dict[str, bytes]):
    """The trust bucket as somebody reads it who fetches each object when it is needed."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        super().__init__()
        self._s3 = sandbox.client("s3")

    def __missing__(self, key: str) -> bytes:
        data: bytes = self._s3.get_object(Bucket=TRUST_BUCKET, Key=key)["Body"].read()
        return data


class Yard:
    """The environment ``dev``, whose subordinate has a handful of certificates that can be revoked one by one."""

    def __init__(self, folder: Path, sandbox: RunningSandbox) -> None:
        self.folder, self.sandbox = dev_folder(folder), sandbox
        self.pca, self.s3 = sandbox.client("acm-pca"), sandbox.client("s3")
        self.done("ca", "apply", "dev", "--yes")
        found = self.pca.list_certificate_authorities()["CertificateAuthorities"]
        (self.arn,) = [one["Arn"] for one in found if one["Type"] == "SUBORDINATE"]
        self.crl_key = f"crl/{self.arn.rpartition('/')[2]}.crl"
        self.serials = [self._issue() for _ in range(ROUNDS)]

    def done(self, *arguments: str) -> str:
        process = start([*arguments], folder=self.folder, environment={"PKIOPS_SANDBOX_URL": self.sandbox.url})
        code = process.wait()
        assert code == 0, (arguments, process.said())
        return process.said()

    def crl(self) -> bytes:
        """The subordinate's newest CRL."""
        data: bytes = self.s3.get_object(Bucket=CRL_BUCKET, Key=self.crl_key)["Body"].read()
        return data

    def revoke(self, serial: str) -> None:
        """Revoke a certificate, upon which the subordinate writes a new CRL."""
        self.pca.revoke_certificate(
            CertificateAuthorityArn=self.arn, CertificateSerial=serial, RevocationReason="SUPERSEDED"
        )

    def _issue(self) -> str:
        """The serial of a new certificate."""
        issued = self.pca.issue_certificate(
            CertificateAuthorityArn=self.arn,
            Csr=builders.csr(),
            SigningAlgorithm="SHA256WITHECDSA",
            TemplateArn="arn:aws:acm-pca:::template/EndEntityClientAuthCertificate/V1",
            Validity={"Type": "DAYS", "Value": 7},
        )["CertificateArn"]
        return str(issued.rpartition("/")[2])

    def pointed(self) -> list[str]:
        """The digest in every version of the pointer there ever was, the oldest first."""
        listed = self.s3.list_object_versions(Bucket=TRUST_BUCKET, Prefix=_POINTER)["Versions"]
        found = []
        for one in reversed(listed):
            answer = self.s3.get_object(Bucket=TRUST_BUCKET, Key=_POINTER, VersionId=one["VersionId"])
            found.append(json.loads(answer["Body"].read())["manifest_sha256"])
        return found


class _Reader(threading.Thread):
    """Reads the published set over and over."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        super().__init__(daemon=True)
        self.seen: list[dict[str, int]] = []
        self.failed: BaseException | None = None
        self.ended = threading.Event()
        self._objects = _Objects(sandbox)

    def run(self) -> None:
        try:
            while not self.ended.wait(0.02):
                digest = json.loads(self._objects[_POINTER])["manifest_sha256"]
                self.seen.append(numbers_in(self._objects, digest, "dev"))
        except Exception as error:
            self.failed = error

    def stop(self) -> None:
        self.ended.set()
        self.join(timeout=30)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with running_sandbox() as sandbox:
        yield Yard(tmp_path, sandbox)


def _old(old: bytes, key: str) -> Any:
    def answer(name: str, status: int, body: bytes) -> tuple[int, bytes]:
        return status, old if name.startswith("GET ") and name.split("?", maxsplit=1)[0].endswith(
            key
        ) and status == 200 else body

    return answer


def test_the_published_number_never_goes_down_and_every_set_is_whole(yard: Yard) -> None:
    chosen = random.Random(None if SOAK else 20261125)  # noqa: S311 - when to kill, nothing to guess
    yard.done(*_PUBLISH)
    reader = _Reader(yard.sandbox)
    reader.start()
    codes, older = [], []
    with faulty_proxy(yard.sandbox.url) as fresh, faulty_proxy(yard.sandbox.url) as stale:
        for number in range(ROUNDS):
            older.append(yard.crl())
            stale.answer = _old(chosen.choice(older), yard.crl_key)
            yard.revoke(yard.serials[number])
            # now and then the fresh one may live, or nothing new would ever come; the stale one is killed half of the times
            ends = chosen.randrange(5, _CALLS) if number % 4 else None
            one = _publisher(yard, fresh, chosen, ends, "fresh")
            other = _publisher(yard, stale, chosen, chosen.choice([None, chosen.randrange(5, _CALLS)]), "stale")
            codes.append((one.wait(), other.wait()))
            assert codes[-1][0] in {0, -9}, one.said()
            assert codes[-1][1] in {0, -9, _STALE_REFUSED}, other.said()
            assert codes[-1][1] != _STALE_REFUSED or "lower than the published" in other.said()
    yard.done(*_PUBLISH)
    reader.stop()
    assert reader.failed is None, reader.failed
    seen = {code for pair in codes for code in pair}
    assert seen == {0, -9, _STALE_REFUSED} if SOAK else -9 in seen
    history = [numbers_in(_Objects(yard.sandbox), digest, "dev") for digest in yard.pointed()]
    for numbers in (history, reader.seen):
        clients = [one["clients-g1"] for one in numbers]
        assert clients == sorted(clients)
        assert {tuple(one) for one in numbers} == {("root-g1", "clients-g1")}
    assert len(reader.seen) > ROUNDS
    assert numbers_in(_Objects(yard.sandbox), yard.pointed()[-1], "dev")["clients-g1"] == max(
        one["clients-g1"] for one in history
    )
    assert "nothing new" in yard.done(*_PUBLISH)


def _publisher(yard: Yard, proxy: FaultyProxy, chosen: random.Random, last: int | None, name: str) -> Pkiops:
    process = prepared(_PUBLISH, folder=yard.folder, environment={"PKIOPS_SANDBOX_URL": proxy.url}, name=name)
    proxy.begin(_Random(random.Random(chosen.random()), last, process))  # noqa: S311 - when to throttle
    process.begin()
    return process
