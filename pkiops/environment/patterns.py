"""The spelling of name patterns in a profile's ``san``: what can be written, not what it matches (``pkiops.policy``).

A wildcard stands for whole labels or path segments only, and never for the end that says whose names they are: the last DNS label, a URI's host, an
SPIFFE trust domain. A pattern that would allow everything is refused.
"""

from __future__ import annotations

import re

from pkiops.policy.spiffe import spiffe_problem
from pkiops.x509.idna import PREFIX, a_label_problem, to_ascii

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_URI = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[^/]*)(?P<path>/.*)?")
_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$&'()+,;=:@-]|%[0-9A-F]{2})+")
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'+/=?^_`{|}~-]+)*")
_WILD = {"*", "**"}


def pattern_problem(kind: str, text: str) -> str | None:
    """What is wrong with a pattern of a kind (``dns``, ``uri``, ``ip``, ``email``), and what to write; None if it is sound."""
    return {"dns": _dns, "uri": _uri, "ip": _ip, "email": _email}[kind](text)


def _dns(text: str) -> str | None:
    if not text.isascii():
        try:
            return f"write international labels in their ASCII form: {to_ascii(text)}"
        except ValueError as error:
            return f"write international labels in their ASCII form, xn--...; this one has none: {error}"
    if text != text.lower():
        return "write a DNS pattern in lower case"
    labels = text.split(".")
    if labels[-1] in _WILD:
        return "the last label must be a word, so that the pattern stays within a domain; write *.svc.example.com"
    for label in labels:
        if label in _WILD:
            continue
        if "*" in label:
            return "a wildcard stands for a whole label; write *.example.com, not web-*.example.com"
        if not _LABEL.fullmatch(label):
            return "write DNS labels of letters, digits and inner hyphens, 1 to 63 each: *.svc.example.com"
        if label.startswith(PREFIX) and (problem := a_label_problem(label)):
            return f"{label} {problem}"
    return None


def _uri(text: str) -> str | None:
    match = _URI.fullmatch(text)
    if match is None:
        return "write a URI with its scheme in lower case: spiffe://example.com/ns/*/sa/*"
    host, segments = match["host"], (match["path"] or "").split("/")[1:]
    if "*" in host:
        return "the host of a URI must be a word, so that the pattern stays within a domain; use wildcards in the path only"
    if any("*" in segment and segment not in _WILD for segment in segments):
        return "a wildcard stands for a whole path segment; write /ns/*, not /ns/team-*"
    if match["scheme"] == "spiffe":
        # a wildcard stands for plain segments only, so any word in its place shows whether the rest is sound
        return spiffe_problem("/".join("x" if part in _WILD else part for part in text.split("/")))
    if "?" in text or "#" in text:
        return "a URI pattern has no query and no fragment; remove what follows ? or #"
    if not all(_LABEL.fullmatch(label) for label in host.split(".")):
        return "write the host of a URI in lower case, without port or user"
    for segment in segments:
        if segment not in _WILD and (segment in {".", ".."} or not _SEGMENT.fullmatch(segment)):
            return "the path has an empty, . or .. segment, ends in /, or holds a character that a URI has to escape"
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
    return _dns(domain)
