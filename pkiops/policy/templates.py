"""Templates of subject attributes: ``{dns.0}`` and its like, filled with parts of the approved names. Pure.

What this module decides: which placeholders there are, and that nothing but an approved name gets into a subject through them. Braces have no other
use and cannot be escaped. The parts are those of the first approved name of the kind:

=============== =====================================================================
``{profile}``   the name of the profile
``{dns}``       the name; ``{dns.0}`` its first label, ``{dns.1}`` the second
``{uri}``       the URI; ``{uri.0}`` its host or trust domain, ``{uri.1}`` the first segment of its path
``{email}``     the address; ``{email.0}`` its local part, ``{email.1}`` its domain
``{ip}``        the address
=============== =====================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # environment files are checked without loading cryptography
    from pkiops.x509.san import SubjectAltName

_KINDS = frozenset({"dns", "uri", "ip", "email"})
_HIGHEST = 20


def template_problem(template: str) -> str | None:
    """What is wrong with a template, or None."""
    try:
        words = [word for is_placeholder, word in _pieces(template) if is_placeholder]
    except ValueError:
        return "a { without its }, or the other way round; write placeholders such as {dns.0}"
    if not words:
        return "holds no placeholder such as {dns.0}; write the text itself if it is always the same"
    for word in words:
        kind, dot, index = word.partition(".")
        sound = word == "profile" or (
            kind in _KINDS and (not dot or (kind != "ip" and _is_index(index) and int(index) < _HIGHEST))
        )
        if not sound:
            known = "{profile}, {dns}, {dns.0}, {uri}, {uri.0}, {email}, {email.0}, {ip}"
            return f"there is no placeholder {{{word}}}; there are {known}"
    return None


def filled(template: str, profile_name: str, approved: Sequence[SubjectAltName]) -> tuple[str, str | None]:
    """The text of a template, and the first of its placeholders for which there is nothing (None if all were filled)."""
    made: list[str] = []
    for is_placeholder, word in _pieces(template):
        if not is_placeholder:
            made.append(word)
            continue
        value = profile_name if word == "profile" else _value(word, approved)
        if not value:
            return "", word
        made.append(value)
    return "".join(made), None


def _pieces(template: str) -> Iterator[tuple[bool, str]]:
    """Text and placeholders (True) in their order.

    Raises:
        ValueError: braces that do not pair.
    """
    rest = template
    while rest:
        text, brace, rest = rest.partition("{")
        if "}" in text:
            raise ValueError(template)
        if text:
            yield False, text
        if brace:
            word, closed, rest = rest.partition("}")
            if not closed or "{" in word:
                raise ValueError(template)
            yield True, word


def _value(word: str, approved: Sequence[SubjectAltName]) -> str | None:
    kind, dot, index = word.partition(".")
    value = next((san.value for san in approved if san.kind.value == kind), None)
    if value is None or not dot:
        return value
    parts = _parts(kind, value)
    return parts[int(index)] if int(index) < len(parts) else None


def _parts(kind: str, value: str) -> list[str]:
    if kind == "email":
        return list(value.rpartition("@")[::2])
    if kind == "uri":
        return value.partition("://")[2].split("/")
    return value.split(".")


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdigit() and str(int(text)) == text
