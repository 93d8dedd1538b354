"""Which AWS operation a request is, and how a refusal of it looks on the wire.

What this module decides: service, operation, account and Region of a request from its method, path, headers and body; nothing is verified, because
the sandbox checks no signatures. S3's operations follow from botocore's model of its paths. Refusals come in the three
formats of AWS: JSON, XML of S3, XML of the query protocol.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, parse_qsl
from xml.sax.saxutils import escape

from botocore.loaders import Loader
from botocore.model import ServiceModel
from moto.iam.models import get_account_id_from

_SCOPE = re.compile(r"Credential=([^/,\s]+)/[0-9]{8}/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_RPC_PATH = re.compile(r"/service/[A-Za-z0-9_.]+/operation/([A-Za-z0-9]+)")
_BUCKET_HOST = re.compile(r"(?P<bucket>.+)\.s3[.-].*amazonaws\.com")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,99}")
_FORM = "application/x-www-form-urlencoded"
_STATUS_NAMES = {
    400: "BadRequest",
    403: "AccessDenied",
    404: "NotFound",
    429: "TooManyRequestsException",
    500: "InternalFailure",
    503: "ServiceUnavailable",
}
_CODE_STATUSES = {
    "AccessDenied": 403,
    "InvalidAccessKeyId": 403,
    "InvalidClientTokenId": 403,
    "MissingAuthenticationToken": 403,
    "InternalError": 500,
    "InternalFailure": 500,
    "InternalServerError": 500,
    "InternalServerException": 500,
    "PreconditionFailed": 412,
    "RequestTimeTooSkewed": 403,
    "ServiceUnavailable": 503,
    "SlowDown": 503,
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request to an AWS API. ``wire``: ``json``, ``query`` or ``s3``."""

    service: str
    operation: str
    account: str
    region: str
    wire: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An error answer: HTTP status, headers, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def identify(method: str, host: str, path: str, query: str, header: Callable[[str], str], body: bytes) -> Call:
    """The call that a request is.

    Args:
        method: in capitals.
        host: as in ``Host``.
        path: decoded or not; without the query.
        query: without the question mark.
        header: the value of a header by its name, or an empty text.
        body: all of it.
    """
    key, region, service = _scope(query, header)
    account = header("x-moto-account-id") or get_account_id_from(key)
    form = header("Content-Type").startswith(_FORM)
    target = header("X-Amz-Target").rpartition(".")[2] or _rpc(path)
    if not service:
        service = "sts" if form and b"Action=" in body else "s3"  # unsigned calls: AssumeRoleWithWebIdentity, objects
    if target:
        return Call(service, _named(target), account, region, "json")
    if service == "s3":
        return Call(service, _s3_operation(method, host, path, query, header), account, region, "s3")
    if form:
        action = dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=1000)).get("Action", "")
        return Call(service, _named(action or method), account, region, "query")
    return Call(service, method, account, region, "json")


def access_key(query: str, header: Callable[[str], str]) -> str:
    """The id of the access key that a request is signed with, or an empty text."""
    return _scope(query, header)[0]


def _scope(query: str, header: Callable[[str], str]) -> tuple[str, str, str]:
    """Key, Region and service of a signature in the header or in the query."""
    credential = _SCOPE.search(header("Authorization"))
    if credential is None and "X-Amz-Credential" in query:
        presigned = dict(parse_qsl(query)).get("X-Amz-Credential", "")
        credential = _SCOPE.search(f"Credential={presigned}")
    return (credential[1], credential[2], credential[3]) if credential else ("", "us-east-1", "")


def _rpc(path: str) -> str:
    match = _RPC_PATH.fullmatch(path)
    return match[1] if match else ""


def _named(text: str) -> str:
    return text if _NAME.fullmatch(text) else "Unknown"


@dataclass(frozen=True, slots=True)
class _Route:
    operation: str
    method: str
    depth: int  # 0: the service, 1: a bucket, 2: an object
    needs: frozenset[str]
    values: Mapping[str, str]
    copies: bool


def s3_place(host: str, path: str) -> tuple[str, str]:
    """Bucket and key that a request to S3 is about, empty where it names none; the bucket is in the host or in the path."""
    parts = path.lstrip("/")
    if match := _BUCKET_HOST.fullmatch(host.partition(":")[0]):
        parts = f"{match['bucket']}/{parts}"
    bucket, _, key = parts.partition("/")
    return bucket, key


def _s3_operation(method: str, host: str, path: str, query: str, header: Callable[[str], str]) -> str:
    bucket, key = s3_place(host, path)
    depth = 2 if key else 1 if bucket else 0
    given = parse_qs(query, keep_blank_values=True)
    copies = bool(header("x-amz-copy-source"))
    fitting = [
        route
        for route in _s3_routes()
        if (route.method, route.depth) == (method, depth)
        and route.needs <= given.keys()
        and all(value in given[name] for name, value in route.values.items())
        and (copies or not route.copies)
    ]
    if not fitting:
        return method
    return max(fitting, key=lambda route: (len(route.needs), route.copies)).operation


@functools.cache
def _s3_routes() -> tuple[_Route, ...]:
    model = ServiceModel(Loader().load_service_model("s3", "service-2"), service_name="s3")
    routes = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        path, _, query = operation.http["requestUri"].partition("?")
        if operation.deprecated or name in {"ListDirectoryBuckets", "WriteGetObjectResponse"}:
            continue
        literal = dict(parse_qsl(query, keep_blank_values=True))
        literal.pop("x-id", None)
        shape: Any = operation.input_shape
        placed = [shape.members[m].serialization for m in shape.required_members] if shape else []
        needs = {s["name"] for s in placed if s.get("location") == "querystring"}
        copies = any(s.get("name") == "x-amz-copy-source" for s in placed)
        depth = ("{Bucket}" in path) + ("{Key+}" in path)
        values = {n: v for n, v in literal.items() if v}
        routes.append(_Route(name, operation.http["method"], depth, frozenset({*literal, *needs}), values, copies))
    return tuple(routes)


def refused(call: Call, code: str, message: str) -> Refused:
    """The answer that refuses a call.

    Args:
        call: whose wire format counts.
        code: an AWS error code, or an HTTP status from 400 to 599.
        message: for people.
    """
    status = int(code) if code.isdigit() else _CODE_STATUSES.get(code, 400)
    if code.isdigit():
        code = _STATUS_NAMES.get(status, _STATUS_NAMES[status // 100 * 100])
    if call.wire == "json":
        body = json.dumps({"__type": code, "message": message})
        return Refused(
            status, {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": code}, body.encode("utf-8")
        )
    inner = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    error = (
        f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>" if call.wire == "query" else f"<Error>{inner}</Error>"
    )
    return Refused(status, {"Content-Type": "text/xml"}, error.encode("utf-8"))
