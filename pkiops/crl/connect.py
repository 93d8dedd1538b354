"""Where to connect in place of the host of a URL, as ``curl --connect-to`` has it. Pure.

What this module decides: ``HOST1:PORT1:HOST2:PORT2`` sends what is for HOST1:PORT1 to HOST2:PORT2; an empty HOST1 or PORT1 stands for any, an empty
HOST2 or PORT2 for the one of the URL; an IPv6 address is in brackets. ``HOST:PORT`` alone is for every URL. The first rule that fits counts. The host
that is asked for stays the URL's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pkiops.crl.download import ConnectTo
from pkiops.errors import InputError

_HOST = r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{0,253})"
_RULE = re.compile(rf"({_HOST}):([0-9]{{0,5}}):({_HOST}):([0-9]{{0,5}})")
_ADDRESS = re.compile(rf"({_HOST}):([0-9]{{1,5}})")


@dataclass(frozen=True, slots=True)
class ConnectRule:
    """One rule; None is any host or port, or the URL's own."""

    host: str | None
    port: int | None
    to_host: str | None
    to_port: int | None


def parse_rule(text: str) -> ConnectRule:
    """The rule that ``--connect-to`` gives.

    Raises:
        InputError: it is none.
    """
    whole, address = _RULE.fullmatch(text), _ADDRESS.fullmatch(text)
    parts = whole.groups() if whole else ("", "", *address.groups()) if address else ()
    ports = [one for one in parts[1::2] if one]
    if not parts or not all(1 <= int(one) <= 65_535 for one in ports) or (address and not parts[2]):
        raise InputError(
            f"--connect-to {text!r}: not HOST1:PORT1:HOST2:PORT2",
            hint="write pki.example.com:80:127.0.0.1:8080, ::127.0.0.1:8080 for every host, or HOST:PORT for the same",
            code="usage.arguments",
        )
    host, port, to_host, to_port = parts
    return ConnectRule(_bare(host), int(port) if port else None, _bare(to_host), int(to_port) if to_port else None)


def stand_in(rules: Sequence[ConnectRule], url: str) -> ConnectTo | None:
    """Where to connect for a URL; None: where it says itself.

    Raises:
        InputError: the URL is none.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise InputError(f"not a URL: {url!r}", code="crl.url") from error
    for rule in rules:
        if rule.host in {None, host} and rule.port in {None, port}:
            return ConnectTo(rule.to_host or host, rule.to_port or port)
    return None


def _bare(host: str) -> str | None:
    return host.strip("[]").lower() or None
