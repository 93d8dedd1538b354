"""Does a name match a pattern of a profile?

What this module decides: that wildcards stand for whole labels or path segments, that they never match a character which separates or hides
anything, and that a pattern it does not understand matches nothing. No regular expression is built from what a user wrote, and the
work is bounded by the length of name times pattern.

====== ==========================================================================================
kind   wildcards
====== ==========================================================================================
dns    ``*`` one label, ``**`` one or more labels
uri    scheme and host literally; ``*`` one segment of the path, ``**`` one or more segments
ip     a CIDR block or an address
email  ``*`` as the whole local part; in the domain as in dns
text   (common names) ``*`` one or more letters, digits, ``-`` or ``_``; ``**`` the same and dots
====== ==========================================================================================
"""

from __future__ import annotations

import ipaddress
import string
from collections.abc import Sequence

from pkiops.x509.san import SanKind, SubjectAltName

_ANY = "**"
_ONE = "*"
_LABEL_CHARACTERS = frozenset(string.ascii_lowercase + string.digits + "-")
_SEGMENT_CHARACTERS = frozenset(string.ascii_letters + string.digits + "-._~")
_WORD_CHARACTERS = frozenset(string.ascii_letters + string.digits + "-_")
_LONGEST_TEXT = 256


def san_matches(pattern: str, san: SubjectAltName) -> bool:
    """Whether a normalised name matches a pattern of its kind."""
    return {
        SanKind.DNS: dns_matches,
        SanKind.URI: uri_matches,
        SanKind.IP: ip_matches,
        SanKind.EMAIL: email_matches,
    }[san.kind](pattern, san.value)


def dns_matches(pattern: str, name: str) -> bool:
    """``*.svc.example.com`` against ``orders.svc.example.com``; a name with a wildcard of its own matches nothing."""
    labels = name.split(".")
    return "*" not in name and _parts_match(pattern.split("."), labels, _LABEL_CHARACTERS)


def uri_matches(pattern: str, name: str) -> bool:
    """``spiffe://example.com/ns/*/sa/*`` against a URI; a pattern without wildcards must be equal to it."""
    if "*" not in pattern:
        return pattern == name
    head, path = _split_uri(pattern)
    name_head, name_path = _split_uri(name)
    if head is None or head != name_head or "*" in head:
        return False
    return _parts_match(path, name_path, _SEGMENT_CHARACTERS)


def ip_matches(pattern: str, name: str) -> bool:
    """An address inside a CIDR block; IPv4 and IPv6 never match each other."""
    try:
        return ipaddress.ip_address(name) in ipaddress.ip_network(pattern)
    except ValueError:
        return False


def email_matches(pattern: str, name: str) -> bool:
    """``*@*.example.com`` against an address; a literal local part is compared with its case."""
    local, at, domain = pattern.rpartition("@")
    name_local, name_at, name_domain = name.rpartition("@")
    if not at or not name_at or not name_local or "@" in name_local:
        return False
    return local in {_ONE, name_local} and dns_matches(domain, name_domain)


def text_matches(pattern: str, name: str) -> bool:
    """A common name against a pattern such as ``app-*`` or ``*.example.com``."""
    if not name or max(len(name), len(pattern)) > _LONGEST_TEXT:
        return False
    # Positions of the pattern reached so far, as a set of offsets into its tokens.
    tokens = _text_tokens(pattern)
    reached = {0}
    for character in name:
        following: set[int] = set()
        for offset in reached:
            if offset == len(tokens):
                continue
            if _token_takes(tokens[offset], character):
                following.add(offset + 1)
                if tokens[offset] in {_ONE, _ANY}:
                    following.add(offset)
        reached = following
        if not reached:
            return False
    return len(tokens) in reached


def _text_tokens(pattern: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    while position < len(pattern):
        width = 2 if pattern.startswith(_ANY, position) else 1
        tokens.append(pattern[position : position + width])
        position += width
    return tokens


def _token_takes(token: str, character: str) -> bool:
    if token == _ANY:
        return character in _WORD_CHARACTERS or character == "."
    if token == _ONE:
        return character in _WORD_CHARACTERS
    return token == character


def _split_uri(uri: str) -> tuple[str | None, list[str]]:
    """Scheme and authority as one text, and the segments of the path; None if it has no authority."""
    scheme, separator, rest = uri.partition("://")
    if not scheme or not separator:
        return None, []
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority}", path.split("/") if slash else []


def _parts_match(pattern: Sequence[str], parts: Sequence[str], characters: frozenset[str]) -> bool:
    """Match parts against literals, ``*`` and ``**``, going back to the last ``**`` only."""
    tokens: list[str] = []
    for token in pattern:
        # One or more is one, then any number.
        tokens += [_ONE, _ANY] if token == _ANY else [token]
    position = offset = 0
    last_any = retry = -1
    while position < len(parts):
        if offset < len(tokens) and tokens[offset] == _ANY:
            last_any, retry = offset, position
            offset += 1
        elif offset < len(tokens) and _part_matches(tokens[offset], parts[position], characters):
            offset += 1
            position += 1
        elif last_any >= 0 and _is_plain(parts[retry], characters):
            retry += 1
            position, offset = retry, last_any + 1
        else:
            return False
    return all(token == _ANY for token in tokens[offset:])


def _part_matches(token: str, part: str, characters: frozenset[str]) -> bool:
    return _is_plain(part, characters) if token == _ONE else token == part


def _is_plain(part: str, characters: frozenset[str]) -> bool:
    """A label or segment that a wildcard may stand for: not empty, not a step up or in place, nothing but plain characters."""
    return bool(part) and part not in {".", ".."} and characters.issuperset(part)
