"""What every place for secrets promises, run against each of them over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pkiops.aws import AwsAccess, AwsClients
from pkiops.errors import InputError, InvalidState
from pkiops.stores.parameter_store import ParameterStore
from pkiops.stores.secret_places import OWNER_TAG, SecretPlace
from pkiops.stores.secrets_manager import SecretsManager
from tests.sandbox_server import ACCOUNT, REGION, RunningSandbox, running_sandbox

TAGS = {OWNER_TAG: "ab" * 32, "pkiops:environment": "dev"}


class Place:
    """A place, and a client of somebody else's."""

    def __init__(self, sandbox: RunningSandbox, service: str) -> None:
        urls = dict.fromkeys(("secretsmanager", "ssm", "sts"), sandbox.url)
        access = AwsAccess(region=REGION, account=ACCOUNT, role_arn=None, endpoint_urls=urls, sandbox=True)
        clients = AwsClients(access)
        self.service = service
        self.other: Any = sandbox.client(service)
        self.client: Any = clients.secrets_manager() if service == "secretsmanager" else clients.parameter_store()
        self.ours: SecretPlace = SecretsManager(clients) if service == "secretsmanager" else ParameterStore(clients)

    def value(self, name: str) -> str:
        if self.service == "secretsmanager":
            return str(self.client.get_secret_value(SecretId=name)["SecretString"])
        return str(self.client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])

    def versions(self, name: str) -> int:
        if self.service == "secretsmanager":
            return len(self.client.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"])
        return len(self.client.get_parameter_history(Name=name)["Parameters"])

    def change(self, name: str, value: str) -> None:
        if self.service == "secretsmanager":
            self.client.put_secret_value(SecretId=name, SecretString=value)
        else:
            self.client.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)

    def make(self, name: str) -> None:
        if self.service == "secretsmanager":
            self.client.create_secret(Name=name, SecretString="theirs")
        else:
            self.client.put_parameter(Name=name, Value="theirs", Type="String")


@pytest.fixture(params=["secretsmanager", "ssm"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with running_sandbox() as sandbox:
        yield Place(sandbox, request.param)


def test_a_secret_is_made_found_and_replaced(place: Place) -> None:
    assert place.ours.look("/dev/orders") is None
    assert place.ours.put("/dev/orders", "one", TAGS)
    found = place.ours.look("/dev/orders")
    assert found is not None
    assert found.ours
    assert TAGS.items() <= found.tags.items()
    assert place.ours.put("/dev/orders", "two", TAGS)
    assert place.value("/dev/orders") == "two"
    assert place.versions("/dev/orders") == 2
    kept = place.ours.look("/dev/orders")
    assert kept is not None
    assert kept.ours


def test_the_same_value_makes_no_version(place: Place) -> None:
    place.ours.put("/dev/orders", "one", TAGS)
    assert not place.ours.put("/dev/orders", "one", TAGS)
    assert place.versions("/dev/orders") == 1


def test_what_somebody_else_changed_or_made_is_not_ours(place: Place) -> None:
    place.ours.put("/dev/orders", "one", TAGS)
    place.change("/dev/orders", "theirs")
    place.make("/dev/theirs")
    for name in ("/dev/orders", "/dev/theirs"):
        found = place.ours.look(name)
        assert found is not None
        assert not found.ours
        # with consent it is
        assert place.ours.put(name, "ours", TAGS)
        again = place.ours.look(name)
        assert again is not None
        assert again.ours
        assert TAGS.items() <= again.tags.items()


def test_the_place_after_a_kill_between_tags_and_version(place: Place) -> None:
    place.ours.put("/dev/orders", "one", TAGS)
    if place.service == "ssm":
        tags = [{"Key": "pkiops:version", "Value": "2"}, {"Key": "pkiops:sha256", "Value": "cd" * 32}]
        place.client.add_tags_to_resource(ResourceType="Parameter", ResourceId="/dev/orders", Tags=tags)
    else:
        place.client.untag_resource(SecretId="/dev/orders", TagKeys=[OWNER_TAG])
    found = place.ours.look("/dev/orders")
    assert found is not None
    assert found.ours
    assert place.ours.put("/dev/orders", "two", TAGS)
    assert not place.ours.put("/dev/orders", "two", TAGS)


@pytest.mark.parametrize("name", ["", "a b", "/a\n", "arn:aws:x", "a" * 513, "é"])
def test_a_name_that_no_service_takes(place: Place, name: str) -> None:
    with pytest.raises(InputError, match="no name that the service takes"):
        place.ours.look(name)


def test_a_version_of_another_run_in_between(place: Place) -> None:
    place.ours.put("/dev/orders", "one", TAGS)
    hooked: list[str] = []

    def meanwhile(**_: object) -> None:
        if not hooked:
            hooked.append("once")
            if place.service == "ssm":
                place.other.put_parameter(Name="/dev/orders", Value="theirs", Type="SecureString", Overwrite=True)
            else:
                place.other.put_secret_value(SecretId="/dev/orders", SecretString="theirs")

    call = "ssm.PutParameter" if place.service == "ssm" else "secrets-manager.PutSecretValue"
    place.client.meta.events.register_first(f"before-call.{call}", meanwhile)
    assert place.ours.put("/dev/orders", "two", TAGS)
    assert hooked
    assert (place.value("/dev/orders"), place.versions("/dev/orders")) == ("two", 3)
    found = place.ours.look("/dev/orders")
    assert found is not None
    assert found.ours
    assert not place.ours.put("/dev/orders", "two", TAGS)


def test_what_is_too_long_is_refused_before_anything_is_sent(place: Place) -> None:
    with pytest.raises(InputError, match="longer than"):
        place.ours.put("/dev/orders", "x" * 65_537, TAGS)
    assert place.ours.look("/dev/orders") is None


def test_a_secret_that_was_deleted(place: Place) -> None:
    place.ours.put("/dev/orders", "one", TAGS)
    if place.service == "ssm":  # gone at once
        place.client.delete_parameter(Name="/dev/orders")
        assert place.ours.look("/dev/orders") is None
        return
    place.client.delete_secret(SecretId="/dev/orders")
    with pytest.raises(InvalidState, match="waits for its deletion"):
        place.ours.look("/dev/orders")
