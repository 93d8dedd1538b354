"""The sandbox's objects as JSON and back, led by the types of their fields.

What this module decides: which types can be kept, and how. Dataclasses are walked by their declared fields, so that a new field of a known type needs
nothing here; a field of an unknown type is ``Unkeepable`` before anything is written. Reading trusts nothing: each value must have the type that its
field declares, and no class but those declared is ever made. Certificates are kept once each, in a table beside the document.
"""

from __future__ import annotations

import base64
import binascii
import functools
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

_PLAIN = (str, bool, int, float)
_BYTES, _KEY, _DICT = "$bytes", "$key", "$pairs"
_UNREADABLE = (ValueError, TypeError, LookupError, OverflowError, UnsupportedAlgorithm, RecursionError)


class Unkeepable(TypeError):
    """Something that has no form in a document."""


class Unreadable(ValueError):
    """A document that does not hold what it should."""


@functools.cache
def field_types(kind: type) -> dict[str, Any]:
    """The declared type of each field of a dataclass that its constructor takes."""
    hints = typing.get_type_hints(kind)
    return {each.name: hints[each.name] for each in fields(kind) if each.init}


def unknown_types(kind: Any, seen: set[Any] | None = None) -> list[str]:
    """Types reachable from ``kind`` that this module cannot keep; ``Any`` counts as known."""
    seen = set() if seen is None else seen
    if kind in seen:
        return []
    seen.add(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        return [
            f"{kind.__name__}.{name}: {problem}"
            for name, declared in field_types(kind).items()
            for problem in unknown_types(declared, seen)
        ]
    if _is_leaf(kind):
        return []
    if typing.get_origin(kind) in {dict, list, tuple, set, frozenset, types.UnionType, typing.Union}:
        return [problem for part in typing.get_args(kind) if part is not ... for problem in unknown_types(part, seen)]
    return [f"no way to keep {kind}"]


def _is_leaf(kind: Any) -> bool:
    if kind in {Any, None, types.NoneType, bytes, datetime, timedelta, x509.Certificate, x509.Name, *_PLAIN}:
        return True
    return isinstance(kind, type) and issubclass(kind, Enum)


class Writer:
    """Objects to JSON-ready values; ``certificates`` is the table they refer to."""

    def __init__(self) -> None:
        self.certificates: list[str] = []
        self._numbers: dict[int, int] = {}
        self._kept: list[x509.Certificate] = []  # an id is only unique as long as its object lives

    def value(self, kind: Any, value: Any) -> Any:
        """``value``, declared as ``kind``.

        Raises:
            Unkeepable: a type that cannot be kept.
        """
        return _encoder(kind)(self, value)

    def certificate(self, value: x509.Certificate) -> int:
        """The number of a certificate in the table."""
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self.certificates)
            self._kept.append(value)
            self.certificates.append(_text(value.public_bytes(Encoding.DER)))
        return number


_Encode = Callable[[Writer, Any], Any]


@functools.cache
def _encoder(kind: Any) -> _Encode:
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass_encoder(kind)
    if origin in {types.UnionType, typing.Union}:
        inner = [part for part in parts if part is not types.NoneType]
        if len(inner) != 1:
            raise Unkeepable(f"no way to keep {kind}")
        return lambda writer, value: None if value is None else writer.value(inner[0], value)
    if origin is dict:
        return _dict_encoder(*parts)
    if origin is tuple and parts[-1] is not ...:
        return lambda writer, value: [writer.value(p, v) for p, v in zip(parts, value, strict=True)]
    if origin in {list, tuple}:
        return lambda writer, value: [writer.value(parts[0], v) for v in value]
    if origin in {set, frozenset}:
        return lambda writer, value: sorted(writer.value(parts[0], v) for v in value)
    if kind is Any:
        return _any
    if not _is_leaf(kind):
        raise Unkeepable(f"no way to keep {kind}")
    return _leaf_encoder(kind)


def _dataclass_encoder(kind: type) -> _Encode:
    names = field_types(kind)

    def encode(writer: Writer, value: Any) -> Any:
        if type(value) is not kind:
            raise Unkeepable(f"a {type(value).__name__} where a {kind.__name__} is declared")
        return {name: _encoder(declared)(writer, getattr(value, name)) for name, declared in names.items()}

    return encode


def _dict_encoder(key: Any, item: Any) -> _Encode:
    def encode(writer: Writer, value: Any) -> Any:
        if key is str:
            return {k: writer.value(item, v) for k, v in value.items()}
        return [[writer.value(key, k), writer.value(item, v)] for k, v in value.items()]

    return encode


def _leaf_encoder(kind: Any) -> _Encode:
    encoders: dict[Any, _Encode] = {
        bytes: lambda _, value: _text(value),
        datetime: lambda _, value: value.astimezone(UTC).isoformat(),
        timedelta: lambda _, value: value.total_seconds(),
        x509.Certificate: lambda writer, value: writer.certificate(value),
        x509.Name: lambda _, value: _text(_name_der(value)),
    }
    if kind in encoders:
        return encoders[kind]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return lambda _, value: value.value
    return lambda _, value: value


def _any(writer: Writer, value: Any) -> Any:
    """A value whose field declares nothing: data out of a request, or a private key."""
    if value is None or type(value) in _PLAIN:
        return value
    if type(value) is bytes:
        return {_BYTES: _text(value)}
    if type(value) in {list, tuple}:
        return [_any(writer, each) for each in value]
    if type(value) is dict:
        pairs = [[_any(writer, k), _any(writer, v)] for k, v in value.items()]
        plain = all(type(k) is str and not k.startswith("$") for k in value)
        return dict(pairs) if plain else {_DICT: pairs}
    if hasattr(value, "private_bytes"):
        return {_KEY: _text(value.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))}
    raise Unkeepable(f"no way to keep a {type(value).__name__}")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@functools.lru_cache(maxsize=4096)
def _name_der(name: x509.Name) -> bytes:
    """A name inside a request, because cryptography reads names in such company only."""
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    return x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, None).public_bytes(Encoding.DER)


class Reader:
    """JSON values to objects.

    Args:
        certificates: the table of the document.
    """

    def __init__(self, certificates: Iterable[Any]) -> None:
        try:
            self._certificates = [x509.load_der_x509_certificate(_bytes(each)) for each in certificates]
        except _UNREADABLE as error:
            raise Unreadable(f"its certificates cannot be read: {error}") from error

    def value(self, kind: Any, value: Any, where: str) -> Any:
        """``value`` as ``kind`` declares it; ``where`` names it in errors.

        Raises:
            Unreadable: it is something else.
        """
        try:
            return self._value(kind, value, where)
        except Unreadable:
            raise
        except _UNREADABLE as error:
            raise Unreadable(f"{where} cannot be read: {error}") from error

    def _value(self, kind: Any, value: Any, where: str) -> Any:
        origin, parts = typing.get_origin(kind), typing.get_args(kind)
        if isinstance(kind, type) and is_dataclass(kind):
            return self._dataclass(kind, value, where)
        if origin in {types.UnionType, typing.Union}:
            inner = next(part for part in parts if part is not types.NoneType)
            return None if value is None else self._value(inner, value, where)
        if origin is dict:
            return self._dict(parts, value, where)
        if origin in {list, tuple, set, frozenset}:
            items = _typed(list, value, where)
            kinds = parts if origin is tuple and parts[-1] is not ... else [parts[0]] * len(items)
            return origin([self._value(k, v, where) for k, v in zip(kinds, items, strict=True)])
        return self._any(value, where) if kind is Any else self._leaf(kind, value, where)

    def _dataclass(self, kind: type, value: Any, where: str) -> Any:
        given, declared = _typed(dict, value, where), field_types(kind)
        if unknown := sorted(set(given) - set(declared)):
            raise Unreadable(f"{where} has fields that this version does not know: {', '.join(unknown)}")
        try:
            return kind(**{name: self._value(declared[name], v, f"{where}.{name}") for name, v in given.items()})
        except TypeError as error:
            raise Unreadable(f"{where} lacks fields: {error}") from error

    def _dict(self, parts: tuple[Any, ...], value: Any, where: str) -> dict[Any, Any]:
        key, item = parts
        pairs = _typed(dict, value, where).items() if key is str else [(k, v) for k, v in _typed(list, value, where)]
        return {self._value(key, k, where): self._value(item, v, f"{where}.{k}"[:200]) for k, v in pairs}

    def _leaf(self, kind: Any, value: Any, where: str) -> Any:
        if kind is bytes:
            return _bytes(value)
        if kind is datetime:
            moment = datetime.fromisoformat(_typed(str, value, where))
            if moment.tzinfo is None:
                raise Unreadable(f"{where} has no time zone")
            return moment
        if kind is timedelta:
            return timedelta(seconds=value)
        if kind is x509.Certificate:
            return self._certificates[_index(value, where)]
        if kind is x509.Name:
            return x509.load_der_x509_csr(_bytes(value)).subject
        if isinstance(kind, type) and issubclass(kind, Enum):
            return kind(value)
        return _typed(float if kind is float else kind, float(value) if kind is float else value, where)

    def _any(self, value: Any, where: str) -> Any:
        if isinstance(value, list):
            return [self._any(each, where) for each in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {_BYTES}:
            return _bytes(value[_BYTES])
        if set(value) == {_KEY}:
            return load_der_private_key(_bytes(value[_KEY]), None)
        if set(value) == {_DICT}:
            return {self._any(k, where): self._any(v, where) for k, v in value[_DICT]}
        return {k: self._any(v, where) for k, v in value.items()}


def _typed(kind: type, value: Any, where: str) -> Any:
    if type(value) is not kind:
        raise Unreadable(f"{where} is a {type(value).__name__}, not a {kind.__name__}")
    return value


def _index(value: Any, where: str) -> int:
    number: int = _typed(int, value, where)
    if number < 0:
        raise Unreadable(f"{where} is negative")
    return number


def _bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(_typed(str, value, "a blob"), validate=True)
    except binascii.Error as error:
        raise Unreadable("a blob is not base64") from error
