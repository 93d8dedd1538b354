"""What an error of AWS means in our words: which code becomes which of our errors, and what can be done about it. No caller sees a ClientError."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError

from pkiops.errors import (
    AccessDenied,
    AlreadyExists,
    BackendError,
    InProgress,
    InvalidState,
    NotFound,
    Throttled,
    Unreachable,
)
from pkiops.pacing import THROTTLES

_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
# who asked is unknown or no longer believed: no permission would help
_UNKNOWN_CALLER = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
}
# operations of S3 that IAM knows by another name (Service Authorization Reference, Amazon S3)
_S3_PERMISSIONS = {
    "HeadBucket": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
}

_ERRORS: dict[str, type[BackendError]] = {
    "ResourceNotFoundException": NotFound,
    "NoSuchBucket": NotFound,
    "NoSuchKey": NotFound,
    "NoSuchEntity": NotFound,
    "404": NotFound,
    "AccessDenied": AccessDenied,
    "AccessDeniedException": AccessDenied,
    "AllAccessDisabled": AccessDenied,
    "403": AccessDenied,
    "ExpiredToken": AccessDenied,
    "ExpiredTokenException": AccessDenied,
    "InvalidClientTokenId": AccessDenied,
    "UnrecognizedClientException": AccessDenied,
    "SignatureDoesNotMatch": AccessDenied,
    "InvalidAccessKeyId": AccessDenied,
    "InvalidStateException": InvalidState,
    "RequestInProgressException": InProgress,
    "ConcurrentModificationException": InProgress,
    "OperationAborted": InProgress,
    "PreconditionFailed": AlreadyExists,
    "ConditionalRequestConflict": AlreadyExists,
    "BucketAlreadyExists": AlreadyExists,
    "BucketAlreadyOwnedByYou": AlreadyExists,
    "RequestAlreadyProcessedException": AlreadyExists,
    "ConditionalCheckFailedException": AlreadyExists,
    "ResourceInUseException": InProgress,
    "PermissionAlreadyExistsException": AlreadyExists,
    **dict.fromkeys(THROTTLES, Throttled),
    "InternalFailure": Unreachable,
    "InternalError": Unreachable,
    "ServiceUnavailable": Unreachable,
}


@contextlib.contextmanager
def translated(operation: str, subject: str) -> Iterator[None]:
    """Turn whatever an AWS call raises into our errors.

    Args:
        operation: the AWS operation, for the message.
        subject: the object it was about, for the message.

    Raises:
        BackendError: one of its subclasses, by the error's code.
    """
    try:
        yield
    except ClientError as error:
        raise _from_client_error(error, operation, subject) from error
    except _NO_CREDENTIALS as error:
        raise AccessDenied(
            f"{operation} for {subject}: no usable AWS credentials: {error}",
            hint="export AWS_PROFILE or AWS_ACCESS_KEY_ID, or log in (aws sso login)",
            code="backend.no-credentials",
        ) from error
    except (BotoConnectionError, HTTPClientError) as error:
        raise Unreachable(
            f"{operation} for {subject}: {error}",
            hint=f"check the network and the endpoint; for an environment on the sandbox: pkiops sandbox up{_port_option(error)}",
        ) from error
    except ResponseParserError as error:
        raise BackendError(
            f"{operation} for {subject}: the answer is not one of AWS",
            hint="is something else listening at the endpoint? Look at AWS_ENDPOINT_URL, PKIOPS_SANDBOX_URL and the environment file",
            code="backend.answer",
        ) from error
    except BotoCoreError as error:
        raise BackendError(f"{operation} for {subject}: {error}", code="backend.client") from error


def _port_option(error: BotoCoreError) -> str:
    """The option that has a sandbox listen where nobody did; nothing where that is no port of this machine, or the default."""
    url = urlsplit(str(getattr(error, "kwargs", {}).get("endpoint_url", "")))
    return f" --port {url.port}" if url.port and url.port != 4599 and is_loopback(url.geturl()) else ""


def _from_client_error(error: ClientError, operation: str, subject: str) -> BackendError:
    answer: Mapping[str, Any] = error.response
    code = str(answer.get("Error", {}).get("Code", "unknown"))
    text = str(answer.get("Error", {}).get("Message", "")) or "no message"
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)
    kind = _ERRORS.get(code) or (Unreachable if status >= 500 else BackendError)
    hint = None
    own_code = None
    if code in _UNKNOWN_CALLER:
        hint = "AWS does not take these credentials: log in again (aws sso login), or export others; aws sts get-caller-identity tests them"
    elif kind is AccessDenied:
        hint = f"the caller needs permission for {_S3_PERMISSIONS.get(operation, operation)} on {subject}"
    elif kind is Throttled:
        hint = "AWS is busy with other calls of the account; run the same command again: it continues"
    elif code == "LimitExceededException":
        hint = "a quota of the account is used up; see Service Quotas for AWS Private CA"
        own_code = "backend.quota"
    elif code == "RequestFailedException":
        hint = "the service gives no reason: wait five minutes, until it forgets the request, then run the same command again"
        own_code = "backend.request-failed"
    elif code in {"ValidationException", "InvalidArgsException", "InvalidRequestException"}:
        own_code = "backend.invalid-request"
    elif kind is Unreachable:
        hint = "the fault is on the service's side, and lasts: run the same command again later; it continues"
    elif kind is InProgress:
        hint = "another change is under way: run the same command again; it continues"
    details: dict[str, Any] = {"aws_error": code, "aws_operation": operation, "http_status": status}
    if retries := int(answer.get("ResponseMetadata", {}).get("RetryAttempts", 0) or 0):
        details["retries"] = retries
    return kind(f"{operation} for {subject}: {code}: {text}", hint=hint, code=own_code, details=details)


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
