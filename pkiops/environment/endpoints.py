"""Endpoint URLs of an environment file: which are spelled safely, and which are neither AWS nor this machine.

What this module decides: an endpoint counts as AWS only if its host is the service's own public or VPC endpoint. Being below amazonaws.com is not
enough: anybody can rent a host name there. Whether a foreign endpoint may be used is the caller's question (``--allow-endpoint``).
"""

from __future__ import annotations

import re

from pkiops.environment.models import Environment

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# Scheme, host, port and path only: user names, backslashes, queries and fragments are read differently by different URL parsers.
_URL = re.compile(
    rf"(?P<scheme>https?)://(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?(?:/[A-Za-z0-9._~/-]*)?"
)
_ADDRESS = re.compile(r"\[(?P<six>.*)\]|(?P<four>[0-9.]*\.[0-9]+)")
_REGION = r"[a-z]{2}(?:-[a-z]+)+-[0-9]"
# the host names of services that differ from their names
_HOSTS = {"resourcegroupstaggingapi": "tagging"}
_DOMAIN = r"(?:amazonaws\.com|amazonaws\.com\.cn|api\.aws)"


def endpoint_problem(service: str, url: str) -> str | None:
    """What is wrong with the spelling of an endpoint, or None."""
    match = _URL.fullmatch(url)
    if match is None or not 1 <= int(match["port"] or 1) <= 65_535 or _address(match["host"]) == "":
        return "write https://host, with a port or a path if need be; no user name, query, fragment or capitals"
    if match["scheme"] == "http" and _is_aws(service, match["host"]):
        return "AWS is reached by https; write https://"
    return None


def foreign_endpoints(environment: Environment) -> tuple[str, ...]:
    """Endpoints that are neither AWS nor loopback, as ``service=url``, sorted; the sandbox is loopback or the user's own word."""
    urls = environment.backend.endpoint_urls
    return tuple(sorted(f"{service}={url}" for service, url in urls.items() if is_foreign(service, url)))


def is_foreign(service: str, url: str) -> bool:
    """Whether an endpoint is neither AWS nor this machine: credentials would go to somebody else."""
    match = _URL.fullmatch(url)
    return match is None or not (_is_loopback(match["host"]) or _is_aws(service, match["host"]))


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or address == "::1" or (address or "").startswith("127.")


def _address(host: str) -> str | None:
    """The address that a host is, in the one way to write it; empty for a broken one, None for a name."""
    match = _ADDRESS.fullmatch(host)
    if match is None:
        return None
    import ipaddress  # only files with addresses pay for it

    try:
        return str(ipaddress.ip_address(match["six"] or match["four"]))
    except ValueError:
        return ""


def is_of_one_region(service: str, url: str) -> bool:
    """Whether an endpoint is AWS's own, which answers for one region only."""
    match = _URL.fullmatch(url)
    return match is not None and _is_aws(service, match["host"])


def _is_aws(service: str, host: str) -> bool:
    name = re.escape(_HOSTS.get(service, service))
    public = rf"{name}(?:-fips)?(?:\.dualstack)?(?:\.{_REGION})?\.{_DOMAIN}"
    private = rf"(?:bucket\.)?vpce-[a-z0-9-]+\.{name}\.{_REGION}\.vpce\.{_DOMAIN}"
    return re.fullmatch(f"{public}|{private}", host) is not None
