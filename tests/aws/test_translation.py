"""What an AWS error means in our words, and that nothing else leaves an AWS call."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ProfileNotFound,
    ReadTimeoutError,
    UnauthorizedSSOTokenError,
)
from botocore.parsers import ResponseParserError

from pkiops import errors
from pkiops.aws import AwsAccess, AwsClients
from pkiops.aws_errors import translated
from pkiops.homes import partition_of
from tests.sandbox_server import ACCOUNT, REGION, RunningSandbox, sandbox

__all__ = ["sandbox"]


def client_error(code: str, status: int = 400) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "text"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "Operation")


@pytest.mark.parametrize(
    ("code", "status", "kind", "own", "retryable"),
    [
        ("ResourceNotFoundException", 400, errors.NotFound, "backend.not-found", False),
        ("NoSuchKey", 404, errors.NotFound, "backend.not-found", False),
        ("AccessDeniedException", 403, errors.AccessDenied, "backend.access-denied", False),
        ("ExpiredToken", 400, errors.AccessDenied, "backend.access-denied", False),
        ("InvalidStateException", 400, errors.InvalidState, "backend.invalid-state", False),
        ("RequestInProgressException", 400, errors.InProgress, "backend.in-progress", True),
        ("ConcurrentModificationException", 400, errors.InProgress, "backend.in-progress", True),
        ("ThrottlingException", 400, errors.Throttled, "backend.throttled", True),
        ("SlowDown", 503, errors.Throttled, "backend.throttled", True),
        ("PreconditionFailed", 412, errors.AlreadyExists, "backend.already-exists", False),
        ("LimitExceededException", 400, errors.BackendError, "backend.quota", False),
        ("RequestFailedException", 400, errors.BackendError, "backend.request-failed", False),
        ("ValidationException", 400, errors.BackendError, "backend.invalid-request", False),
        ("SomethingNew", 400, errors.BackendError, "backend.error", False),
        ("SomethingNew", 502, errors.Unreachable, "backend.unreachable", True),
    ],
)
def test_error_codes(code: str, status: int, kind: type[errors.BackendError], own: str, retryable: bool) -> None:
    with pytest.raises(errors.BackendError) as caught, translated("IssueCertificate", "arn:x"):
        raise client_error(code, status)
    error = caught.value
    assert type(error) is kind
    assert error.exit_code == 6
    assert error.code == own
    assert error.details == {
        "aws_error": code,
        "aws_operation": "IssueCertificate",
        "http_status": status,
        "retryable": retryable,
    }
    assert error.message == f"IssueCertificate for arn:x: {code}: text"
    assert not retryable or "run the same command again" in str(error.hint)


def test_a_denial_names_the_permission() -> None:
    with pytest.raises(errors.AccessDenied) as caught, translated("RevokeCertificate", "arn:x"):
        raise client_error("AccessDeniedException")
    assert caught.value.hint == "the caller needs permission for RevokeCertificate on arn:x"


@pytest.mark.parametrize(
    ("operation", "permission"),
    [("HeadBucket", "s3:ListBucket"), ("GetBucketEncryption", "s3:GetEncryptionConfiguration")],
)
def test_a_denial_names_the_permission_as_iam_does(operation: str, permission: str) -> None:
    with pytest.raises(errors.AccessDenied) as caught, translated(operation, "s3://x"):
        raise client_error("AccessDenied", 403)
    assert caught.value.hint == f"the caller needs permission for {permission} on s3://x"


@pytest.mark.parametrize(
    "code", ["ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "InvalidAccessKeyId"]
)
def test_old_credentials_are_not_called_a_missing_permission(code: str) -> None:
    with pytest.raises(errors.AccessDenied) as caught, translated("GetCallerIdentity", "account 1"):
        raise client_error(code, 403)
    assert "log in again" in str(caught.value.hint)


def test_an_answer_to_a_repeated_call_says_so() -> None:
    error = client_error("AccessDeniedException")
    error.response["ResponseMetadata"]["RetryAttempts"] = 1
    with pytest.raises(errors.AccessDenied) as caught, translated("IssueCertificate", "arn:x"):
        raise error
    assert caught.value.details["retries"] == 1


@pytest.mark.parametrize(
    "raised",
    [ProfileNotFound(profile="x"), UnauthorizedSSOTokenError(), CredentialRetrievalError(provider="p", error_msg="e")],
)
def test_credentials_that_cannot_be_had_say_what_to_do(raised: Exception) -> None:
    with pytest.raises(errors.AccessDenied) as caught, translated("ListTags", "arn:x"):
        raise raised
    assert caught.value.code == "backend.no-credentials"
    assert "aws sso login" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (NoCredentialsError(), errors.AccessDenied),
        (EndpointConnectionError(endpoint_url="http://x"), errors.Unreachable),
        (ConnectTimeoutError(endpoint_url="http://x"), errors.Unreachable),
        (ReadTimeoutError(endpoint_url="http://x"), errors.Unreachable),
        (ParamValidationError(report="x"), errors.BackendError),
        (ResponseParserError("<html>"), errors.BackendError),
    ],
)
def test_what_botocore_raises_itself(raised: Exception, kind: type[errors.BackendError]) -> None:
    with pytest.raises(kind), translated("ListTags", "arn:x"):
        raise raised


@pytest.mark.parametrize(
    ("url", "command"),
    [
        ("http://127.0.0.1:4599/", "pkiops sandbox up"),
        ("http://127.0.0.1:4600/", "pkiops sandbox up --port 4600"),
        ("https://sts.eu-west-1.amazonaws.com/", "pkiops sandbox up"),
    ],
)
def test_where_nobody_listens_the_command_that_would_help_is_complete(url: str, command: str) -> None:
    with pytest.raises(errors.Unreachable) as caught, translated("ListTags", "arn:x"):
        raise EndpointConnectionError(endpoint_url=url)
    assert str(caught.value.hint).endswith(f"on the sandbox: {command}")


def test_clients_are_made_once_and_explicit_about_retries_and_timeouts() -> None:
    access = AwsAccess(
        region="eu-west-1",
        account="123456789012",
        role_arn=None,
        endpoint_urls={"s3": "http://127.0.0.1:9"},
        sandbox=True,
    )
    clients = AwsClients(access)
    private_ca = clients.private_ca()
    assert clients.private_ca() is private_ca
    config = private_ca.meta.config
    assert config.retries == {"mode": "standard", "total_max_attempts": 1}  # type: ignore[attr-defined]
    assert (config.connect_timeout, config.read_timeout) == (5, 30)  # type: ignore[attr-defined]
    assert private_ca.meta.endpoint_url == "https://acm-pca.eu-west-1.amazonaws.com"
    assert clients.s3().meta.endpoint_url == "http://127.0.0.1:9"


def test_the_shell_changes_nothing_about_the_sandbox(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.client("sts").get_caller_identity()  # the sandbox of this process reads the profile too, the first time
    monkeypatch.setenv("AWS_PROFILE", "one-that-does-not-exist")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    access = AwsAccess(region=REGION, account=ACCOUNT, role_arn=None, endpoint_urls={"sts": sandbox.url}, sandbox=True)
    assert AwsClients(access).caller_identity().account == ACCOUNT


def test_botocore_finds_no_endpoint_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_ACM_PCA", "http://pca.example.com")
    access = AwsAccess(region=REGION, account=ACCOUNT, role_arn=None, endpoint_urls={}, sandbox=True)
    assert AwsClients(access).private_ca().meta.endpoint_url == "https://acm-pca.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_partitions(region: str, partition: str) -> None:
    assert partition_of(region) == partition


def test_a_role_is_assumed_in_the_name_of_the_caller(sandbox: RunningSandbox) -> None:
    role = "arn:aws:iam::111122223333:role/pki-provisioner"
    urls = dict.fromkeys(("acm-pca", "s3", "sts"), sandbox.url)
    access = AwsAccess(region=REGION, account="111122223333", role_arn=role, endpoint_urls=urls, sandbox=True)
    identity = AwsClients(access).caller_identity()
    assert identity.account == "111122223333"
    assert identity.arn.startswith("arn:aws:sts::111122223333:assumed-role/pki-provisioner/pkiops-")
