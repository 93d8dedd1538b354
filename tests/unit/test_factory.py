"""Where calls go: what the environment file leaves open is filled from the shell, and no foreign endpoint gets past the guard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from pkiops.clock import ManualClock
from pkiops.environment.load import load_file
from pkiops.environment.models import DynamoDbLedger, Environment, SqliteLedger
from pkiops.errors import GuardRefused, InputError
from pkiops.factory import Factory
from pkiops.ledger.dynamodb import DynamoDbLedger as SharedLedger

FOREIGN = "https://pca.example.com"


@pytest.fixture(scope="module")
def staging() -> Environment:
    return load_file(Path(__file__).parents[2] / "environments" / "staging.yaml")


def test_the_caller_is_named_by_its_credential_without_a_call(
    staging: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    # nobody listens there: a call would fail
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    own = replace(staging, backend=replace(staging.backend, role_arn=None))
    assert Factory(own, variables=nowhere).credential() == "aws-access-key:AKIAEXAMPLE"


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ACM_PCA", "AWS_ENDPOINT_URL_S3"])
def test_a_foreign_endpoint_out_of_the_shell_is_refused(staging: Environment, variable: str) -> None:
    with pytest.raises(GuardRefused, match=r"pca\.example\.com") as caught:
        Factory(staging, variables={variable: FOREIGN})
    assert caught.value.code == "guard.endpoint"
    assert any(
        variable in line for line in Factory(staging, allow_endpoint=True, variables={variable: FOREIGN}).notices()
    )


def test_the_variable_of_a_service_wins_over_the_one_for_all(staging: Environment) -> None:
    local = "http://127.0.0.1:9"
    factory = Factory(
        staging,
        variables={
            "AWS_ENDPOINT_URL": local,
            "AWS_ENDPOINT_URL_S3": f"{local}9",
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"{local}8",
        },
    )
    urls = factory.clients.access.endpoint_urls
    assert urls == {
        "acm-pca": local,
        "s3": f"{local}9",
        "sts": local,
        "iam": local,
        "resourcegroupstaggingapi": local,
        "secretsmanager": f"{local}8",
        "ssm": local,
    }


def test_the_variable_of_the_tagging_api_is_the_one_that_aws_names(staging: Environment) -> None:
    variables = {"AWS_ENDPOINT_URL_RESOURCE_GROUPS_TAGGING_API": "http://127.0.0.1:9"}
    urls = Factory(staging, variables=variables).clients.access.endpoint_urls
    assert urls == {"resourcegroupstaggingapi": "http://127.0.0.1:9"}


@pytest.mark.parametrize("url", ["127.0.0.1:4599", "foo", "http://u:p@127.0.0.1", "http://127.0.0.1:4599?x"])
def test_an_endpoint_that_is_no_url_is_wrong_input(staging: Environment, url: str) -> None:
    sandbox = replace(staging, backend=replace(staging.backend, sandbox=True, role_arn=None))
    for environment, variable in ((staging, "AWS_ENDPOINT_URL"), (sandbox, "PKIOPS_SANDBOX_URL")):
        with pytest.raises(InputError, match=variable):
            Factory(environment, allow_endpoint=True, variables={variable: url})


def test_the_ledger_in_a_table_is_asked_where_the_rest_is(staging: Environment) -> None:
    local = "http://127.0.0.1:9"
    shared = replace(staging, ledger=DynamoDbLedger(type="dynamodb", table="ledger"))
    factory = Factory(shared, variables={"AWS_ENDPOINT_URL": local})
    assert factory.clients.access.endpoint_urls["dynamodb"] == local
    assert isinstance(factory.ledger, SharedLedger)
    with pytest.raises(GuardRefused):
        Factory(shared, variables={"AWS_ENDPOINT_URL_DYNAMODB": FOREIGN})


@pytest.mark.parametrize(("ledger", "follows"), [(DynamoDbLedger(type="dynamodb", table="t"), True), (None, False)])
def test_runners_that_share_a_ledger_share_its_clock(
    staging: Environment, monkeypatch: pytest.MonkeyPatch, ledger: DynamoDbLedger | None, follows: bool
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    behind = ManualClock(datetime(2026, 11, 25, 11, 59, tzinfo=UTC))
    own = replace(staging, backend=replace(staging.backend, role_arn=None), ledger=ledger or staging.ledger)
    factory = Factory(own, variables={}, clock=behind)

    def call(service: str, date: str, takes: float = 0.0) -> datetime:
        def answer(request: Any, **_: object) -> AWSResponse:
            behind.sleep(takes)
            return AWSResponse(request.url, 200, HTTPHeaders.from_dict({"date": date}), _Empty(b"{}"))

        client: Any = factory.clients.dynamodb() if service == "dynamodb" else factory.clients.tagging()
        client.meta.events.register("before-send", answer)
        client.list_tables() if service == "dynamodb" else client.get_resources()
        client.meta.events.unregister("before-send", answer)
        return factory.clock.now()

    here, there = behind.now(), datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
    assert call("dynamodb", "Wed, 25 Nov 2026 12:00:00 GMT") == (there if follows else here)
    # an answer that took long says what time it was, and other services' are not the ledger's
    assert call("dynamodb", "Wed, 25 Nov 2026 12:00:00 GMT", 20.0) - timedelta(seconds=20) == (
        there if follows else here
    )
    assert call("tagging", "Wed, 25 Nov 2026 15:00:00 GMT") - timedelta(seconds=20) == (there if follows else here)


class _Empty(BytesIO):
    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


def test_a_ledger_in_a_file_is_warned_about_where_the_disk_vanishes(staging: Environment) -> None:
    for variable, says in (
        ("GITHUB_ACTIONS", "GitHub Actions"),
        ("GITLAB_CI", "GitLab"),
        ("JENKINS_URL", "Jenkins"),
        ("KUBERNETES_SERVICE_HOST", "a pod"),
    ):
        warning = Factory(staging, variables={variable: "true"}).ledger_warning()
        assert warning is not None
        assert says in warning
        assert "dynamodb" in warning
    assert Factory(staging, variables={"GITHUB_ACTIONS": "", "HOME": "/"}).ledger_warning() is None
    job = {"GITHUB_ACTIONS": "true"}
    sandbox = replace(staging, backend=replace(staging.backend, sandbox=True, role_arn=None))
    shared = replace(staging, ledger=DynamoDbLedger(type="dynamodb", table="ledger"))
    assert Factory(sandbox, variables=job).ledger_warning() is None
    assert Factory(shared, variables=job).ledger_warning() is None


def test_a_link_does_not_lead_the_ledger_out_of_the_working_directory(
    staging: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    elsewhere.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    assert isinstance(staging.ledger, SqliteLedger)
    folder = Path(staging.ledger.path).parts[0]
    (here / folder).symlink_to(elsewhere)
    with pytest.raises(GuardRefused) as caught:
        _ = Factory(staging, variables={}).ledger
    assert caught.value.code == "guard.ledger-path"
    assert list(elsewhere.iterdir()) == []
    (here / folder).unlink()
    assert list(Factory(staging, variables={}).ledger.entries("staging")) == []
