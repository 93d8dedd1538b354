"""Which operation a request of a REST service is: those have no name of it on the wire.

What this module decides: operation and wire format of services that botocore's model knows under their signing name, S3 apart, which ``calls`` knows.
"""

from __future__ import annotations

import functools
import re
from dataclasses import replace

from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader
from botocore.model import ServiceModel

from pkiops.sandbox.calls import Call

_PLACE = re.compile(r"\\\{[^{}]*?(\\\+)?\\\}")


def named(call: Call, method: str, path: str) -> Call:
    """A call with its operation's name, if it is one of a REST service; else as it is."""
    if call.operation != method:
        return call
    wire, routes = _routes(call.service)
    fitting = [
        (len(pattern.pattern), name) for verb, pattern, name in routes if verb == method and pattern.fullmatch(path)
    ]
    return replace(call, wire=wire or call.wire, operation=max(fitting)[1] if fitting else call.operation)


@functools.lru_cache(maxsize=64)
def _routes(service: str) -> tuple[str, tuple[tuple[str, re.Pattern[str], str], ...]]:
    try:
        model = ServiceModel(Loader().load_service_model(service, "service-2"), service_name=service)
    except UnknownServiceError:
        return "", ()
    found = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        path = re.escape(operation.http["requestUri"].partition("?")[0])
        pattern = _PLACE.sub(lambda place: ".+" if place[1] else "[^/]+", path)
        found.append((str(operation.http["method"]), re.compile(pattern), name))
    # errors of REST services in XML look as those of the query protocol
    return "query" if model.protocol == "rest-xml" else "", tuple(found)
