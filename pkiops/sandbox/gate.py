"""What never reaches a service: requests whose signature header, account, operation, encoding or JSON no service would read.

What this module decides: the answers to them, as the front end of AWS gives them. A signature itself is not checked: the sandbox takes any
key. What is let in names an account and a Region that can be, because both become part of the state.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from pkiops.sandbox.engine.errors import ServiceError
from pkiops.sandbox.engine.request_model import operation_names, require_types

TARGET = "ACMPrivateCA."
_SERVICE = "acm-pca"
_TAGGING_TARGET = "ResourceGroupsTaggingAPI_20170126."
Answer = tuple[str, list[tuple[str, str]], bytes]

# Signature Version 4: key/date/region/service/aws4_request; the key is whatever the caller likes
_CREDENTIAL = re.compile(
    r"AWS4-HMAC-SHA256\s+.*?Credential=([^/,\s]+)/([0-9]{8})/([a-z0-9-]{1,32})/([a-z0-9-]{1,60})/aws4_request\b.*"
)
_VERSION_2 = re.compile(r"AWS [^:\s]+:\S+")
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_ROLE = re.compile(r"arn:aws[a-z-]{0,20}:iam::[0-9]{12}:role/[!-~]{1,576}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Regions:
    """``private_ca``: those in which Private CA exists; ``all``: those of any service."""

    private_ca: Collection[str]
    all: Collection[str]


def refusal(method: str, path: str, header: Callable[[str], str], body: bytes, regions: Regions) -> Answer | None:
    """The answer to a request that no service would read; None for all others.

    Args:
        method: in capitals.
        path: without the query.
        header: the value of a header by its name, empty without one.
        body: the whole body.
        regions: which there are.
    """
    authorization, target = header("Authorization"), header("X-Amz-Target")
    account = header("x-moto-account-id")
    credential = _CREDENTIAL.fullmatch(authorization)
    if authorization and credential is None and not _VERSION_2.fullmatch(authorization):
        message = "The Authorization header is not one of Signature Version 4: it names no credential scope"
        return (
            _json("IncompleteSignatureException", message) if target else _xml("AuthorizationHeaderMalformed", message)
        )
    region, service = (credential[3], credential[4]) if credential else ("", "")
    if account and not _ACCOUNT.fullmatch(account):
        message = "x-moto-account-id is not an account of twelve digits"
        return _json("UnrecognizedClientException", message) if target else _xml("InvalidAccessKeyId", message)
    if target.startswith(TARGET) or (service == _SERVICE and not target):
        return _private_ca(method, path, target, body, _Scope(bool(authorization), region, service), regions)
    if target:
        return _other_json(target, body, region, regions)
    return _role(header("Content-Type"), body)


@dataclass(frozen=True, slots=True)
class _Scope:
    """What is signed for; Region and service are empty if that is not said."""

    signed: bool
    region: str
    service: str


def _private_ca(method: str, path: str, target: str, body: bytes, scope: _Scope, regions: Regions) -> Answer | None:
    if not scope.signed:
        return _json("MissingAuthenticationTokenException", "Missing Authentication Token")
    if scope.service and scope.service != _SERVICE:
        message = f"Credential should be scoped to correct service: '{_SERVICE}'."
        return _json("InvalidSignatureException", message)
    if scope.region and scope.region not in regions.private_ca:
        return _json("InvalidSignatureException", "Credential should be scoped to a valid region.")
    if method != "POST" or path != "/" or target.removeprefix(TARGET) not in operation_names():
        return _json("UnknownOperationException", None)
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return _json("SerializationException", "the request is not UTF-8")
    return None


def _other_json(target: str, body: bytes, region: str, regions: Regions) -> Answer | None:
    """The other services of this protocol: what moto would stumble over."""
    if region and region not in regions.all:
        return _json("InvalidSignatureException", "Credential should be scoped to a valid region.")
    try:
        request: Any = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        return _json("SerializationException", "the request is not JSON")
    if not isinstance(request, dict):
        return _json("SerializationException", "the request is not a JSON object")
    if target.startswith(_TAGGING_TARGET):
        try:
            require_types("resourcegroupstaggingapi", target.removeprefix(_TAGGING_TARGET), request)
        except ServiceError as error:
            return _json(error.code, error.message)
    return None


def _role(content_type: str, body: bytes) -> Answer | None:
    """A role that STS is asked for: its ARN says in which account the session will be."""
    if not content_type.startswith("application/x-www-form-urlencoded") or b"RoleArn=" not in body:
        return None
    form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=1000))
    if not form.get("Action", "").startswith("AssumeRole") or _ROLE.fullmatch(form.get("RoleArn", "")):
        return None
    return _xml("ValidationError", "RoleArn is not the ARN of a role", query=True)


def _json(code: str, message: str | None) -> Answer:
    body = {"__type": code} if message is None else {"__type": code, "message": message}
    headers = [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-ErrorType", code)]
    return "400 Bad Request", headers, json.dumps(body).encode()


def _xml(code: str, message: str, *, query: bool = False) -> Answer:
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    text = f"<ErrorResponse>{error}</ErrorResponse>" if query else error
    data = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
    return "400 Bad Request", [("Content-Type", "application/xml")], data
