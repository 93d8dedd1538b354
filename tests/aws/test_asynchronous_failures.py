"""What the service accepts and then does not carry through, or has forgotten only half of: apply says so, or gets over it."""

from __future__ import annotations

from typing import Any

import pytest

from pkiops.ca.apply import Hierarchy
from pkiops.clock import ManualClock
from pkiops.errors import GuardRefused, InProgress, PartialApply
from pkiops.factory import Factory
from pkiops.progress import NoProgress
from pkiops.sandbox.engine.settings import Settings
from tests.sandbox_server import START, RunningSandbox, running_sandbox, sandbox
from tests.unit.ca.worlds import dev

__all__ = ["sandbox"]


def hierarchy(sandbox: RunningSandbox) -> Hierarchy:
    factory = Factory(dev(), variables={"PKIOPS_SANDBOX_URL": sandbox.url}, clock=ManualClock(START))
    store, caller = factory.trust_store, factory.caller
    return Hierarchy(dev(), factory.backend, factory.buckets, factory.clock, store, caller, "run")


def apply(sandbox: RunningSandbox) -> None:
    one = hierarchy(sandbox)
    one.apply(one.plan(), progress=NoProgress())


def authorities(sandbox: RunningSandbox) -> list[Any]:
    found: list[Any] = sandbox.client("acm-pca").list_certificate_authorities()["CertificateAuthorities"]
    return found


def test_a_certificate_that_was_accepted_and_never_issued_is_asked_for_again() -> None:
    with running_sandbox(settings=Settings(late_failures=frozenset({1, 3, 4}))) as sandbox:
        apply(sandbox)
        assert [one["Status"] for one in authorities(sandbox)] == ["ACTIVE", "ACTIVE"]


def test_a_certificate_that_is_never_issued_is_said() -> None:
    with running_sandbox(settings=Settings(late_failures=frozenset({1, 2, 3}))) as sandbox:
        with pytest.raises(PartialApply) as caught:
            apply(sandbox)
        assert caught.value.details["cause"]["code"] == "backend.request-failed"
        assert "five minutes" in str(caught.value.hint)
        assert isinstance(sandbox.clock, ManualClock)
        sandbox.clock.sleep(301.0)
        apply(sandbox)
        assert [one["Status"] for one in authorities(sandbox)] == ["ACTIVE", "ACTIVE"]


def test_a_ca_that_could_not_be_made_is_named() -> None:
    with running_sandbox(settings=Settings(failed_creations={1: "OTHER"})) as sandbox:
        with pytest.raises(PartialApply) as caught:
            apply(sandbox)
        (failed,) = authorities(sandbox)
        assert caught.value.details["cause"]["code"] == "ca.failed"
        assert failed["Arn"] in caught.value.message
        assert "delete it" in str(caught.value.hint)
        blocked = hierarchy(sandbox).plan().blocked
        assert "delete it (pkiops ca delete dev root), then apply again" in blocked[0].reason


def test_a_ca_deleted_a_moment_ago_is_waited_for() -> None:
    with running_sandbox(settings=Settings(failed_creations={1: "OTHER"})) as sandbox:
        with pytest.raises(PartialApply):
            apply(sandbox)
        (failed,) = authorities(sandbox)
        sandbox.client("acm-pca").delete_certificate_authority(CertificateAuthorityArn=failed["Arn"])
        with pytest.raises(InProgress) as caught:
            apply(sandbox)
        assert caught.value.code == "ca.gone"
        assert "five minutes" in str(caught.value.hint)
        assert isinstance(sandbox.clock, ManualClock)
        sandbox.clock.sleep(301.0)
        apply(sandbox)
        assert [one["Status"] for one in authorities(sandbox)] == ["ACTIVE", "ACTIVE"]


def test_a_ca_whose_tags_were_removed_a_moment_ago_is_not_made_again(sandbox: RunningSandbox) -> None:
    apply(sandbox)
    arn = next(one["Arn"] for one in authorities(sandbox) if one["Type"] == "SUBORDINATE")
    tags = [{"Key": "pkiops:generation"}]
    sandbox.client("acm-pca").untag_certificate_authority(CertificateAuthorityArn=arn, Tags=tags)
    with pytest.raises(GuardRefused) as caught:
        apply(sandbox)
    assert caught.value.code == "ca.untagged"
    assert arn in caught.value.message
    assert len(authorities(sandbox)) == 2
