"""What never reaches a service: requests whose signature header, operation or encoding no service would read.

What this module decides: the answers to them, as the front end of AWS gives them. A signature itself is not checked: the sandbox takes any key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection

from pkiops.sandbox.engine.request_model import operation_names

TARGET = "ACMPrivateCA."
Answer = tuple[str, list[tuple[str, str]], bytes]

# Signature Version 4: key/date/region/service/aws4_request; the key is whatever the caller likes
_CREDENTIAL = re.compile(
    r"AWS4-HMAC-SHA256\s+.*?Credential=([^/,\s]+)/([0-9]{8})/([a-z0-9-]{1,40})/([a-z0-9-]{1,60})/aws4_request\b.*"
)
_VERSION_2 = re.compile(r"AWS [^:\s]+:\S+")


def refusal(authorization: str, target: str, body: bytes, regions: Collection[str]) -> Answer | None:
    """The answer to a request that no service would read; None for all others.

    Args:
        authorization: the header, empty without one.
        target: the header ``X-Amz-Target``, empty without one.
        body: the whole body.
        regions: those in which Private CA exists.
    """
    json_wanted = bool(target)
    if authorization and not _VERSION_2.fullmatch(authorization):
        credential = _CREDENTIAL.fullmatch(authorization)
        if credential is None:
            message = "The Authorization header is not one of Signature Version 4: it names no credential scope"
            return _json("IncompleteSignatureException", message) if json_wanted else _xml(message)
        if target.startswith(TARGET) and credential[3] not in regions:
            return _json("InvalidSignatureException", "Credential should be scoped to a valid region.")
    if not target.startswith(TARGET):
        return None
    if target.removeprefix(TARGET) not in operation_names():
        return _json("UnknownOperationException", None)
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return _json("SerializationException", "the request is not UTF-8")
    return None


def _json(code: str, message: str | None) -> Answer:
    body = {"__type": code} if message is None else {"__type": code, "message": message}
    headers = [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-ErrorType", code)]
    return "400 Bad Request", headers, json.dumps(body).encode()


def _xml(message: str) -> Answer:
    text = f"<Error><Code>AuthorizationHeaderMalformed</Code><Message>{message}</Message></Error>"
    return (
        "400 Bad Request",
        [("Content-Type", "application/xml")],
        f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode(),
    )
