"""Requests held to botocore's model of the service.

What this module decides: that a request has the required members, types, lengths, ranges, patterns and enumerated values of the
operation's input shape, and the words of the ``ValidationException`` when not. botocore itself checks types and minimum values only, so a
client learns of the rest from the service. Rules that join several members are left to the operations.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape

from pkiops.sandbox.engine.errors import ServiceError, not_implemented, validation

# \p{L}, \p{N} and \p{Z} of Java's patterns, inside a character class; \w also holds the underscore, which every class
# that uses them allows anyway.
_SEPARATORS = "\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_JAVA_CLASSES = {r"\p{L}": r"\w", r"\p{N}": "", r"\p{Z}": _SEPARATORS}
_PYTHON_TYPES: dict[str, type] = {
    "structure": dict,
    "list": list,
    "map": dict,
    "string": str,
    "blob": str,
    "integer": int,
    "long": int,
    "boolean": bool,
}


@functools.cache
def service_model() -> ServiceModel:
    """Botocore's model of ``acm-pca``; its loader alone, because a session fails for a profile that does not exist."""
    return _model("acm-pca")


@functools.cache
def _model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service_name=service)


def operation_names() -> tuple[str, ...]:
    """Every operation of the service, by its API name."""
    return tuple(service_model().operation_names)


def checked_request(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """``request`` as the operation's model has it, blobs decoded, members the model does not know left out.

    Raises:
        ServiceError: ``ValidationException`` naming every violation, or ``SerializationException`` for a wrong type.
    """
    shape = service_model().operation_model(operation).input_shape
    if shape is None:
        raise not_implemented(operation)
    problems: list[str] = []
    value = _checked(shape, dict(request), "", problems)
    if problems:
        count = "1 validation error" if len(problems) == 1 else f"{len(problems)} validation errors"
        raise validation(f"{count} detected: {'; '.join(problems)}")
    return dict(value)


def require_types(service: str, operation: str, request: Mapping[str, Any]) -> None:
    """Hold a request of another service to the types of its model, and to nothing else; operations that it does not have are let through.

    Raises:
        ServiceError: ``SerializationException``, a member has another type.
    """
    model = _model(service)
    if operation in model.operation_names and (shape := model.operation_model(operation).input_shape) is not None:
        _checked(shape, dict(request), "", [])


def _checked(shape: Shape, value: Any, path: str, problems: list[str]) -> Any:
    if shape.type_name not in _PYTHON_TYPES:
        raise not_implemented(f"the type {shape.type_name} of {path}")
    right_type: bool = isinstance(value, _PYTHON_TYPES[shape.type_name])
    if not right_type or (isinstance(value, bool) and shape.type_name != "boolean"):
        raise ServiceError("SerializationException", f"{path or 'the request'} is not of type {shape.type_name}")
    if shape.type_name == "structure":
        return _checked_structure(shape, value, path, problems)
    if shape.type_name == "list":
        problems.extend(_violations(shape, value, path))
        member = shape.member  # type: ignore[attr-defined]
        return [_checked(member, v, f"{path}.{i}.member", problems) for i, v in enumerate(value, 1)]
    if shape.type_name == "map":
        problems.extend(_violations(shape, value, path))
        inner = shape.value  # type: ignore[attr-defined]
        return {key: _checked(inner, v, f"{path}.{key}.value", problems) for key, v in value.items()}
    if shape.type_name == "blob":
        value = _decoded(value, path)
    if isinstance(value, str):
        _require_characters(value, path)
    problems.extend(_violations(shape, value, path))
    return value


def _checked_structure(shape: Any, value: dict[str, Any], path: str, problems: list[str]) -> dict[str, Any]:
    result = {}
    for name, member in shape.members.items():
        member_path = f"{path}.{name[0].lower()}{name[1:]}".lstrip(".")
        given = value.get(name)
        if given is not None:
            result[name] = _checked(member, given, member_path, problems)
        elif name in shape.required_members:
            problems.append(
                f"Value null at '{member_path}' failed to satisfy constraint: Member must not be null",
            )
    return result


def _decoded(value: str, path: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ServiceError("SerializationException", f"{path} is not base64") from error


def _require_characters(value: str, path: str) -> None:
    """JSON can escape half of a character, which nothing can hold or write."""
    if value.isascii():
        return
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ServiceError("SerializationException", f"{path} holds half of a character") from error


def _violations(shape: Any, value: Any, path: str) -> Iterator[str]:
    shown = value if isinstance(value, (str, int)) else f"{type(value).__name__} of {len(value)}"
    prefix = f"Value '{_shortened(str(shown))}' at '{path}' failed to satisfy constraint: Member must"
    measure, verb = (value, "be") if isinstance(value, int) else (len(value), "have length")
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and measure < low:
        yield f"{prefix} {verb} greater than or equal to {low}"
    if high is not None and measure > high:
        yield f"{prefix} {verb} less than or equal to {high}"
    if isinstance(value, str):
        allowed = shape.metadata.get("enum")
        if allowed and value not in allowed:
            yield f"{prefix} satisfy enum value set: [{', '.join(allowed)}]"
        pattern = shape.metadata.get("pattern")
        if pattern and not _compiled(pattern).fullmatch(value):
            yield f"{prefix} satisfy regular expression pattern: {pattern}"


def _shortened(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]}..."


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    flags = re.ASCII
    for java, python in _JAVA_CLASSES.items():
        if java in pattern:
            flags = re.UNICODE
            pattern = pattern.replace(java, python)
    return re.compile(pattern, flags)
