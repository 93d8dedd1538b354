"""Two people at one environment, over HTTP: who comes second is told who was first, and nothing is made twice."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pkiops.ca.apply import Hierarchy
from pkiops.clock import ManualClock
from pkiops.environment.index import decode_index, trusted_entry
from pkiops.environment.models import Environment
from pkiops.errors import GuardRefused, PkiopsError
from pkiops.factory import Factory
from pkiops.progress import NoProgress
from pkiops.x509.algorithms import KeyAlgorithm
from pkiops.x509.duration import Duration
from tests.sandbox_server import RunningSandbox, sandbox
from tests.unit.ca.worlds import dev

__all__ = ["sandbox"]
KEY = "dev/claims/clients/1.json"
BUCKET = "example-pki-dev-trust"


def hierarchy(sandbox: RunningSandbox, environment: Environment, caller: str) -> Hierarchy:
    factory = Factory(environment, variables={"PKIOPS_SANDBOX_URL": sandbox.url})
    return Hierarchy(
        environment,
        factory.backend,
        factory.buckets,
        factory.clock,
        factory.trust_store,
        lambda: caller,
        f"run-{caller}",
    )


def with_clients(**changes: Any) -> Environment:
    authorities = {**dev().authorities, "clients": replace(dev().authorities["clients"], **changes)}
    return replace(dev(), authorities=authorities)


def authorities(sandbox: RunningSandbox) -> list[Any]:
    found: list[Any] = sandbox.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"]
    return found


def apply(one: Hierarchy) -> None:
    one.apply(one.plan(), progress=NoProgress())


OTHER_FILES: dict[str, Callable[[], Environment]] = {
    "another key": lambda: with_clients(key_algorithm=KeyAlgorithm.EC_secp384r1),
    "another validity": lambda: with_clients(validity=Duration(3, "y")),
}


@pytest.mark.parametrize("other", OTHER_FILES)
def test_who_waited_at_the_prompt_while_another_file_was_applied_is_told_who_was_first(
    sandbox: RunningSandbox, other: str
) -> None:
    waiting = hierarchy(sandbox, OTHER_FILES[other](), "bob")
    shown = waiting.plan()
    apply(hierarchy(sandbox, dev(), "alice"))
    assert isinstance(sandbox.clock, ManualClock)
    sandbox.clock.advance(timedelta(minutes=10))
    with pytest.raises(GuardRefused) as caught:
        waiting.apply(shown, progress=NoProgress())
    assert caught.value.exit_code == 9
    assert "alice" in caught.value.message
    assert sorted(one["Type"] for one in authorities(sandbox)) == ["ROOT", "SUBORDINATE"]


def test_who_waited_while_the_same_file_was_applied_has_nothing_left_to_do(sandbox: RunningSandbox) -> None:
    waiting = hierarchy(sandbox, dev(), "bob")
    shown = waiting.plan()
    apply(hierarchy(sandbox, dev(), "alice"))
    assert isinstance(sandbox.clock, ManualClock)
    sandbox.clock.advance(timedelta(minutes=10))
    assert waiting.apply(shown, progress=NoProgress()) == ()
    assert len(authorities(sandbox)) == 2


def test_two_files_at_once_make_one_ca_each(sandbox: RunningSandbox) -> None:
    hierarchies = [
        hierarchy(sandbox, dev(), "alice"),
        hierarchy(sandbox, with_clients(key_algorithm=KeyAlgorithm.EC_secp384r1), "bob"),
    ]
    refusals: list[str] = []

    def run(one: Hierarchy) -> None:
        try:
            apply(one)
        except GuardRefused as error:
            refusals.append(error.code)
        except PkiopsError as error:
            refusals.append(str(error.details.get("cause", {}).get("code", error)))

    threads = [threading.Thread(target=run, args=(one,)) for one in hierarchies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(one["Type"] for one in authorities(sandbox)) == ["ROOT", "SUBORDINATE"]
    assert set(refusals) <= {"ca.claimed", "plan.moved", "plan.blocked"}
    assert len(refusals) <= 1


def test_a_claim_of_a_dead_run_is_replaced_after_ten_minutes(sandbox: RunningSandbox) -> None:
    apply(hierarchy(sandbox, with_clients(), "alice"))
    second = hierarchy(sandbox, with_clients(generation=2, key_algorithm=KeyAlgorithm.RSA_2048), "bob")
    claim = {"digest": "0" * 64, "caller": "alice", "run": "killed"}
    s3 = sandbox.client("s3")
    s3.put_object(Bucket=BUCKET, Key="dev/claims/clients/2.json", Body=json.dumps(claim).encode())
    with pytest.raises(GuardRefused, match="alice"):
        apply(second)
    assert isinstance(sandbox.clock, ManualClock)
    sandbox.clock.advance(timedelta(minutes=11))
    apply(second)
    assert len(authorities(sandbox)) == 3
    kept = json.loads(s3.get_object(Bucket=BUCKET, Key="dev/claims/clients/2.json")["Body"].read())
    assert kept["caller"] == "bob"
    assert kept["reference"] in {one["Arn"] for one in authorities(sandbox)}


@pytest.mark.parametrize("reference", ["x", "arn:aws:s3:::bucket", "\x1b[31m", "x" * 500])
def test_what_a_hostile_claim_names_is_not_asked_for(sandbox: RunningSandbox, reference: str) -> None:
    apply(hierarchy(sandbox, with_clients(), "alice"))
    claim = {"digest": "0" * 64, "caller": "mallory", "run": "x", "reference": reference}
    s3 = sandbox.client("s3")
    s3.put_object(Bucket=BUCKET, Key="dev/claims/clients/2.json", Body=json.dumps(claim).encode())
    second = hierarchy(sandbox, with_clients(generation=2, key_algorithm=KeyAlgorithm.RSA_2048), "bob")
    with pytest.raises(GuardRefused, match="mallory"):
        apply(second)
    assert isinstance(sandbox.clock, ManualClock)
    sandbox.clock.advance(timedelta(minutes=11))
    apply(second)
    assert len(authorities(sandbox)) == 3


def test_a_ca_whose_tags_were_removed_is_not_made_again(sandbox: RunningSandbox) -> None:
    apply(hierarchy(sandbox, dev(), "alice"))
    client = sandbox.client("acm-pca")
    subordinate = next(one["Arn"] for one in authorities(sandbox) if one["Type"] == "SUBORDINATE")
    tags = client.list_tags(CertificateAuthorityArn=subordinate)["Tags"]
    client.untag_certificate_authority(CertificateAuthorityArn=subordinate, Tags=tags)
    assert isinstance(sandbox.clock, ManualClock)
    sandbox.clock.advance(timedelta(hours=1))
    with pytest.raises(GuardRefused) as caught:
        apply(hierarchy(sandbox, dev(), "bob"))
    assert caught.value.code == "ca.untagged"
    assert len(authorities(sandbox)) == 2


def test_the_index_names_what_exists_and_a_reader_with_a_pin_relies_on_it(sandbox: RunningSandbox) -> None:
    apply(hierarchy(sandbox, dev(), "alice"))
    s3 = sandbox.client("s3")
    index = decode_index(s3.get_object(Bucket=BUCKET, Key="dev/index.json")["Body"].read())
    assert [one.label for one in index.authorities] == ["clients", "root"]
    pin = hashlib.sha256(index.authorities[1].chain[0]).hexdigest()
    pinned = replace(dev(), authorities={**dev().authorities, "root": replace(dev().authorities["root"], sha256=pin)})
    assert trusted_entry(index, pinned, "clients", at=sandbox.clock.now()) == index.authorities[0]
    one = hierarchy(sandbox, pinned, "bob")
    assert not one.plan().pending

    s3.delete_object(Bucket=BUCKET, Key="dev/index.json")
    plan = one.plan()
    assert [action.address for action in plan.pending] == ["dev/index/authorities"]
    assert len(one.apply(plan, progress=NoProgress())) == 1
    assert decode_index(s3.get_object(Bucket=BUCKET, Key="dev/index.json")["Body"].read()) == index
