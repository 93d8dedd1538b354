"""The spelling of name patterns in a profile's ``san``: what can be written, not what it matches (``pkiops.policy``).

A wildcard stands for whole labels or path segments only, and never for the end that says whose names they are: the last DNS label, a URI's host, an
SPIFFE trust domain. A pattern that would allow everything is refused.
"""

from __future__ import annotations

import re

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_URI = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[^/]*)(?P<path>/.*)?")
_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$&'()+,;=:@-]|%[0-9A-F]{2})+")
_SPIFFE_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SPIFFE_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'+/=?^_`{|}~-]+)*")
_WILD = {"*", "**"}


def pattern_problem(kind: str, text: str) -> str | None:
    """What is wrong with a pattern of a kind (``dns``, ``uri``, ``ip``, ``email``), and what to write; None if it is sound."""
    return {"dns": _dns, "uri": _uri, "ip": _ip, "email": _email}[kind](text)


def _dns(text: str) -> str | None:
    if text != text.lower():
        return "write a DNS pattern in lower case"
    labels = text.split(".")
    if labels[-1] in _WILD:
        return "the last label must be a word, else names of any domain are allowed; write *.svc.example.com"
    for label in labels:
        if label in _WILD:
            continue
        if "*" in label:
            return "a wildcard stands for a whole label; write *.example.com, not web-*.example.com"
        if not _LABEL.fullmatch(label):
            return "write DNS labels of letters, digits and inner hyphens, 1 to 63 each: *.svc.example.com"
    return None


def _uri(text: str) -> str | None:
    match = _URI.fullmatch(text)
    if match is None:
        return "write a URI with its scheme in lower case: spiffe://example.com/ns/*/sa/*"
    host, path = match["host"], match["path"] or ""
    if "?" in text or "#" in text:
        return "a URI pattern has no query and no fragment; remove what follows ? or #"
    if "*" in host:
        return "the host of a URI must be a word, else names of any domain are allowed; use wildcards in the path only"
    segments = path.split("/")[1:]
    spiffe = match["scheme"] == "spiffe"
    if any("*" in segment and segment not in _WILD for segment in segments):
        return "a wildcard stands for a whole path segment; write /ns/*, not /ns/team-*"
    if spiffe and (not _SPIFFE_DOMAIN.fullmatch(host) or host.startswith(".")):
        return (
            "a SPIFFE trust domain has lower-case letters, digits, dots, hyphens and underscores, and no port or user"
        )
    if not spiffe and not all(_LABEL.fullmatch(label) for label in host.split(".")):
        return "write the host of a URI in lower case, without port or user"
    segment_spelling = _SPIFFE_SEGMENT if spiffe else _SEGMENT
    for segment in segments:
        if segment in _WILD:
            continue
        if segment in {"", ".", ".."} or not segment_spelling.fullmatch(segment):
            return "a path has no empty, . or .. segment, no / at its end and no other characters than letters, digits, . _ -"
    return None


def _ip(text: str) -> str | None:
    import ipaddress  # only files with IP patterns pay for it

    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return "write a CIDR block without host bits, 10.1.0.0/16 or 2001:db8::/32, or one address"
    if "%" in text:
        return "an address in a certificate has no zone; remove what follows %"
    if network.prefixlen == 0:
        return "this allows every address; write a narrower block"
    return None


def _email(text: str) -> str | None:
    local, at, domain = text.rpartition("@")
    if not at or (local != "*" and not _LOCAL.fullmatch(local)):
        return "write name@example.com, *@example.com or *@*.example.com"
    if "**" in domain.split("."):
        return "in an address * stands for one label of the domain; ** is not allowed"
    return _dns(domain)
