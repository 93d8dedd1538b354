"""OCSP over HTTP (RFC 6960 appendix A, RFC 5019 section 6), for the hosts under which CAs name their responder.

What this module decides: that a request is for a responder (its ``Host`` is one), how a GET carries its bytes, and the headers of the answer. What is
answered is the engine's. Unlike other calls these are unsigned: anybody may ask.
"""

from __future__ import annotations

import base64
import binascii
import email.utils
import hashlib
from datetime import datetime
from urllib.parse import unquote
from wsgiref.types import WSGIEnvironment

from pkiops.sandbox.engine import ocsp
from pkiops.sandbox.engine.state import Authority, Region
from pkiops.sandbox.moto_adapter import Sandbox

_MAX_PATH = 8192
Answer = tuple[str, list[tuple[str, str]], bytes]


def ocsp_answer(sandbox: Sandbox, environ: WSGIEnvironment, body: bytes) -> Answer | None:
    """Status, headers and body, or None where the request is not for a responder."""
    host = environ.get("HTTP_HOST", "").partition(":")[0].lower()
    candidates = _candidates(sandbox, host)
    if not candidates:
        return None
    method = environ.get("REQUEST_METHOD")
    if method not in {"GET", "HEAD", "POST"}:
        return "405 Method Not Allowed", [("Allow", "GET, HEAD, POST"), ("Content-Type", "text/plain")], b""
    request = body if method == "POST" else _from_path(environ)
    answer = ocsp.respond(sandbox.service.context, candidates, request)
    headers = [("Content-Type", ocsp.CONTENT_TYPE), ("Content-Length", str(len(answer.data)))]
    if method != "POST" and answer.this_update is not None and answer.next_update is not None:
        seconds = int((answer.next_update - answer.this_update).total_seconds())
        headers += [
            ("Last-Modified", _date(answer.this_update)),
            ("Expires", _date(answer.next_update)),
            ("ETag", f'"{hashlib.sha256(answer.data).hexdigest()}"'),
            ("Cache-Control", f"max-age={seconds}, public, no-transform, must-revalidate"),
        ]
    return "200 OK", headers, answer.data


def _candidates(sandbox: Sandbox, host: str) -> list[tuple[Region, Authority]]:
    return [
        (region, authority)
        for region in sandbox.regions()
        for authority in region.authorities.values()
        if host in ocsp.hosts(authority, region)
    ]


def _from_path(environ: WSGIEnvironment) -> bytes:
    """The request out of the path, empty (and so malformed) if it is not base64. The raw path, because base64 has slashes in it."""
    raw = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ.get("PATH_INFO", ""))
    if raw.lower().startswith("http://"):  # as a proxy is asked
        raw = "/" + raw.split("/", 3)[-1]
    text = unquote(raw.partition("?")[0])[1:]
    if len(text) > _MAX_PATH:
        return b""
    for candidate in (text, text.lstrip("/")):
        try:
            return base64.b64decode(candidate, validate=True)
        except (binascii.Error, ValueError):
            continue
    return b""


def _date(moment: datetime) -> str:
    return email.utils.format_datetime(moment, usegmt=True)
