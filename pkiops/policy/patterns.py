"""Does a name match a pattern of a profile?

What this module decides: that wildcards stand for whole labels or path segments, that they never match a character which separates or hides
anything, and that a pattern it does not understand matches nothing. No regular expression is built from what a user wrote, and the work is bounded
(``automata.py``).

====== ==========================================================================================
kind   wildcards
====== ==========================================================================================
dns    ``*`` one label, ``**`` one or more labels
uri    scheme and host literally; ``*`` one segment of the path, ``**`` one or more segments
ip     a CIDR block or an address
email  ``*`` as the whole local part; in the domain as in dns
text   (common names) ``*`` one or more letters, digits, ``-`` or ``_``; ``**`` the same and dots
====== ==========================================================================================

A DNS name that is itself a wildcard (``*.a.example``) matches where the pattern has a wildcard in its place, so where it grants every name that the
wildcard stands for. Whether such names are wanted at all is asked before.

Patterns of denied names are read the other way round: in any letter case, a wildcard stands for whatever a part may hold, a wildcard name is denied
if any name that it stands for is, and an IPv4 address is the same inside of an IPv6 one.
"""

from __future__ import annotations

import ipaddress
import string
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol

from pkiops.policy.automata import ANY, ONE, PartPatterns, TextPatterns
from pkiops.x509.san import SanKind, SubjectAltName

_LABEL_CHARACTERS = frozenset(string.ascii_lowercase + string.digits + "-")
_SEGMENT_CHARACTERS = frozenset(string.ascii_letters + string.digits + "-._~")
_WORD_CHARACTERS = frozenset(string.ascii_letters + string.digits + "-_")
_VISIBLE_CHARACTERS = frozenset(map(chr, range(0x21, 0x7F)))
_LONGEST_TEXT = 256
# patterns are an environment's; more than this many lists of them are not in use at once
_COMPILED = 256


class NamePatterns(Protocol):
    """The patterns of one kind, put together."""

    def first(self, value: str) -> int | None:
        """The number of the first pattern in the order of the list that matches; None if none does."""


def san_patterns(kind: SanKind, patterns: tuple[str, ...]) -> NamePatterns:
    """The patterns of a kind, put together once for each list."""
    return _compiled(kind, patterns)


@lru_cache(maxsize=_COMPILED)
def denied_patterns(kind: SanKind, patterns: tuple[str, ...]) -> NamePatterns:
    """The patterns of denied names of a kind, put together once for each list."""
    lowered = tuple(pattern.lower() for pattern in patterns)
    made: dict[SanKind, Callable[[Sequence[str]], NamePatterns]] = {
        SanKind.DNS: _DeniedDns,
        SanKind.URI: lambda some: _Uri(some, _VISIBLE_CHARACTERS),
        SanKind.IP: _DeniedIp,
        SanKind.EMAIL: lambda some: _Email(some, _VISIBLE_CHARACTERS),
    }
    return _AnyCase(made[kind](lowered))


def san_matches(pattern: str, san: SubjectAltName) -> bool:
    """Whether a normalised name matches a pattern of its kind."""
    return _compiled(san.kind, (pattern,)).first(san.value) is not None


def dns_matches(pattern: str, name: str) -> bool:
    """``*.svc.example.com`` against ``orders.svc.example.com``."""
    return _compiled(SanKind.DNS, (pattern,)).first(name) is not None


def uri_matches(pattern: str, name: str) -> bool:
    """``spiffe://example.com/ns/*/sa/*`` against a URI; a pattern without wildcards must be equal to it."""
    return _compiled(SanKind.URI, (pattern,)).first(name) is not None


def ip_matches(pattern: str, name: str) -> bool:
    """An address inside a CIDR block; IPv4 and IPv6 never match each other."""
    return _compiled(SanKind.IP, (pattern,)).first(name) is not None


def email_matches(pattern: str, name: str) -> bool:
    """``*@*.example.com`` against an address; a literal local part is compared with its case."""
    return _compiled(SanKind.EMAIL, (pattern,)).first(name) is not None


def text_matches(pattern: str, name: str) -> bool:
    """A common name against a pattern such as ``app-*`` or ``*.example.com``."""
    return first_text((pattern,), name) is not None


def first_text(patterns: tuple[str, ...], name: str) -> int | None:
    """The number of the first pattern that a text matches; None if none does. Neither may be longer than 256 characters."""
    if not name or len(name) > _LONGEST_TEXT or not patterns:
        return None
    return _text(patterns).first(name)


@lru_cache(maxsize=_COMPILED)
def _compiled(kind: SanKind, patterns: tuple[str, ...]) -> NamePatterns:
    made: dict[SanKind, Callable[[Sequence[str]], NamePatterns]] = {
        SanKind.DNS: _Dns,
        SanKind.URI: _Uri,
        SanKind.IP: _Ip,
        SanKind.EMAIL: _Email,
    }
    return made[kind](patterns)


@lru_cache(maxsize=_COMPILED)
def _text(patterns: tuple[str, ...]) -> TextPatterns:
    # one that is too long stands for nothing, and keeps the numbers of those after it
    bounded = ["" if len(pattern) > _LONGEST_TEXT else pattern for pattern in patterns]
    return TextPatterns(bounded, one=_WORD_CHARACTERS, many=_WORD_CHARACTERS | {"."})


class _Dns:
    """Read from the right, where names of one owner are alike; the usual pattern (``*`` and words) is one look into a table."""

    def __init__(self, patterns: Sequence[str], plain: frozenset[str] = _LABEL_CHARACTERS) -> None:
        self._plain = plain
        self._whole: dict[str, int] = {}
        self._below: dict[str, int] = {}
        rest: list[tuple[int, list[str]]] = []
        for number, pattern in enumerate(patterns):
            head, dot, tail = pattern.partition(".")
            if "*" not in pattern:
                self._whole.setdefault(pattern, number)
            elif head == ONE and dot and "*" not in tail:
                self._below.setdefault(tail, number)
            else:
                rest.append((number, pattern.split(".")[::-1]))
        self._rest = PartPatterns(rest, plain) if rest else None

    def first(self, value: str) -> int | None:
        found = self._whole.get(value, -1)
        head, dot, tail = value.partition(".")
        below = self._below.get(tail, -1) if dot else -1
        if below >= 0 and (below < found or found < 0) and head and (self._plain.issuperset(head) or head == ONE):
            found = below
        if self._rest is not None:
            labels = value.split(".")[::-1]
            other = self._rest.first(labels, wildcard=len(labels) - 1)
            if other is not None and (other < found or found < 0):
                return other
        return found if found >= 0 else None


class _Uri:
    def __init__(self, patterns: Sequence[str], plain: frozenset[str] = _SEGMENT_CHARACTERS) -> None:
        self._whole: dict[str, int] = {}
        paths: dict[str, list[tuple[int, list[str]]]] = {}
        for number, pattern in enumerate(patterns):
            if "*" not in pattern:
                self._whole.setdefault(pattern, number)
                continue
            head, path = _split_uri(pattern)
            if head is not None and "*" not in head:
                paths.setdefault(head, []).append((number, path))
        self._paths = {head: PartPatterns(some, plain) for head, some in paths.items()}

    def first(self, value: str) -> int | None:
        whole = self._whole.get(value)
        head, path = _split_uri(value)
        some = None if head is None else self._paths.get(head)
        found = None if some is None else some.first(path)
        return min((one for one in (whole, found) if one is not None), default=None)


class _Ip:
    def __init__(self, patterns: Sequence[str]) -> None:
        # (version, bits after the prefix) -> prefix -> number of the first pattern
        self._blocks: dict[tuple[int, int], dict[int, int]] = {}
        for number, pattern in enumerate(patterns):
            try:
                network = ipaddress.ip_network(pattern)
            except ValueError:
                continue
            rest = network.max_prefixlen - network.prefixlen
            prefixes = self._blocks.setdefault((network.version, rest), {})
            prefixes.setdefault(int(network.network_address) >> rest, number)

    def first(self, value: str) -> int | None:
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            return None
        found = (
            prefixes.get(int(address) >> rest)
            for (version, rest), prefixes in self._blocks.items()
            if version == address.version
        )
        return min((one for one in found if one is not None), default=None)


class _Email:
    def __init__(self, patterns: Sequence[str], plain: frozenset[str] = _LABEL_CHARACTERS) -> None:
        domains: dict[str, list[tuple[int, list[str]]]] = {}
        for number, pattern in enumerate(patterns):
            local, at, domain = pattern.rpartition("@")
            if at:
                domains.setdefault(local, []).append((number, domain.split(".")))
        self._domains = {local: PartPatterns(some, plain) for local, some in domains.items()}

    def first(self, value: str) -> int | None:
        local, at, domain = value.rpartition("@")
        if not at or not local or "@" in local:
            return None
        labels = domain.split(".")
        # an address that is spelled with a * is no wildcard: it matches like any other
        matching = [self._domains[one] for one in {ONE, local} if one in self._domains]
        found = (one.first(labels) for one in matching)
        return min((one for one in found if one is not None), default=None)


class _AnyCase:
    def __init__(self, patterns: NamePatterns) -> None:
        self._patterns = patterns

    def first(self, value: str) -> int | None:
        return self._patterns.first(value.lower())


class _DeniedDns:
    """A wildcard name stands for one label before its parent, so that it meets a pattern whose own parent matches that."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._names = _Dns(patterns, _VISIBLE_CHARACTERS)
        parents: list[tuple[int, list[str]]] = []
        for number, pattern in enumerate(patterns):
            head, dot, parent = pattern.partition(".")
            if dot:
                parents.append((number, parent.split(".")[::-1]))
            if head == ANY:
                parents.append((number, pattern.split(".")[::-1]))
        self._parents = PartPatterns(parents, _VISIBLE_CHARACTERS)

    def first(self, value: str) -> int | None:
        head, dot, parent = value.partition(".")
        if head == ONE and dot:
            return self._parents.first(parent.split(".")[::-1])
        return self._names.first(value)


class _DeniedIp(_Ip):
    def first(self, value: str) -> int | None:
        found = super().first(value)
        if found is not None or ":" not in value:
            return found
        try:
            mapped = ipaddress.IPv6Address(value).ipv4_mapped
        except ValueError:
            return None
        return None if mapped is None else super().first(str(mapped))


def _split_uri(uri: str) -> tuple[str | None, list[str]]:
    """Scheme and authority as one text, and the segments of the path; None if it has no authority."""
    scheme, separator, rest = uri.partition("://")
    if not scheme or not separator:
        return None, []
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority}", path.split("/") if slash else []


__all__ = [
    "ANY",
    "ONE",
    "NamePatterns",
    "denied_patterns",
    "dns_matches",
    "email_matches",
    "first_text",
    "ip_matches",
    "san_matches",
    "san_patterns",
    "text_matches",
    "uri_matches",
]
