"""What moto lacks, said so that a client sees it once and understands it.

What this module decides: services and operations unknown to moto answer 400 with the code ``SandboxNotImplemented`` in the wire format of the
request, and XML that cannot be read ``MalformedXML``. moto itself would close the connection or answer 500, which AWS clients take for an
outage and repeat.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment
from xml.parsers.expat import ExpatError
from xml.sax.saxutils import escape

from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug.wrappers import Request, Response

CODE = "SandboxNotImplemented"


def moto_application(service: Any) -> Any:
    """Moto's WSGI application of a service; its bugs are logged and answered with 500, what it lacks with our error."""
    if service is None or service == "moto_api":  # any page in a browser could reset everything with it
        return _unknown_service
    application = create_backend_app(service)
    application.debug = False
    application.register_error_handler(NotImplementedError, _unknown_operation)
    application.register_error_handler(ExpatError, _malformed_xml)
    application.register_error_handler(ValueError, _with_entities)
    return application


def _unknown_service(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return _answer(Request(environ), "this service")(environ, start_response)


def _unknown_operation(error: NotImplementedError) -> Response:
    from flask import request

    return _answer(request, str(error) or "this operation")


def _malformed_xml(error: ExpatError) -> Response:
    del error
    message = "The XML you provided was not well-formed or did not validate against our published schema"
    body = f"<Error><Code>MalformedXML</Code><Message>{message}</Message></Error>"
    return Response(body, status=400, content_type="application/xml")


def _with_entities(error: ValueError) -> Response:
    """The reader of XML refuses entities, which may unfold without end, with an error that has no type of its own."""
    if str(error) != "entities are disabled":
        raise error
    return _malformed_xml(ExpatError())


def _answer(request: Request, what: str) -> Response:
    message = f"the pkiops sandbox does not have it: {what}"
    kind = request.headers.get("Content-Type", "")
    query = kind.startswith("application/x-www-form-urlencoded")
    if query or request.authorization is None or "/s3/" in request.headers.get("Authorization", ""):
        inner = f"<Code>{CODE}</Code><Message>{escape(message)}</Message>"
        body = f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>" if query else f"<Error>{inner}</Error>"
        return Response(body, status=400, content_type="text/xml")
    headers = {"x-amzn-ErrorType": CODE}
    return Response(
        json.dumps({"__type": CODE, "message": message}), status=400, headers=headers, content_type="application/json"
    )
