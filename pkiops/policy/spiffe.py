"""SPIFFE IDs: the syntax that every verifier of them insists on (SPIFFE ID standard, sections 2.1 to 2.4)."""

from __future__ import annotations

import string

_SCHEME = "spiffe://"
_LONGEST = 2048
_LONGEST_DOMAIN = 255
_DOMAIN = frozenset(string.ascii_lowercase + string.digits + "-._")
_SEGMENT = frozenset(string.ascii_letters + string.digits + "-._")


def is_spiffe(uri: str) -> bool:
    """Whether a URI claims to be a SPIFFE ID, however its scheme is spelled."""
    return uri.lower().startswith("spiffe:")


def spiffe_problem(uri: str) -> str | None:
    """What is wrong with a SPIFFE ID of a workload, or None."""
    if not uri.startswith(_SCHEME):
        return "a SPIFFE ID starts with spiffe:// in lower case"
    if len(uri) > _LONGEST:
        return f"a SPIFFE ID has at most {_LONGEST} characters, this one {len(uri)}"
    if "?" in uri or "#" in uri:
        return "a SPIFFE ID has no query and no fragment"
    domain, slash, path = uri.removeprefix(_SCHEME).partition("/")
    if "@" in domain or ":" in domain:
        return "a SPIFFE ID has no user and no port"
    if not domain or len(domain) > _LONGEST_DOMAIN or not _DOMAIN.issuperset(domain):
        return "a trust domain has 1 to 255 lower-case letters, digits, dots, hyphens and underscores"
    if not slash:
        return "a workload's SPIFFE ID has a path; without one it is the trust domain itself"
    for segment in path.split("/"):
        if segment in {"", ".", ".."}:
            return "the path has an empty, . or .. segment, or ends in /"
        if not _SEGMENT.issuperset(segment):
            return "a path segment has letters, digits, dots, hyphens and underscores only"
    return None
