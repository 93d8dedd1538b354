"""CRLs over plain HTTP, for the hosts under which CAs name them: the bucket's, the Region's with the bucket in the path, custom ones.

What this module decides: an unsigned GET for one of them is answered out of the bucket, as the CDN or the web server in front of it
would. A host that was ever configured stays one: certificates carry its URLs for as long as they live. Of several buckets under one
host the one configured last is asked first, and any that has the object answers. Only CRLs are handed out.
"""

from __future__ import annotations

from collections.abc import Iterator
from wsgiref.types import WSGIEnvironment

from pkiops.sandbox.engine import crl, crl_locations
from pkiops.sandbox.moto_adapter import Sandbox

Answer = tuple[str, list[tuple[str, str]], bytes]


def crl_answer(sandbox: Sandbox, environ: WSGIEnvironment) -> Answer | None:
    """Status, headers and body, or None where the request is not for such a host."""
    signed = "HTTP_AUTHORIZATION" in environ or "X-Amz-Signature" in environ.get("QUERY_STRING", "")
    if signed or environ.get("REQUEST_METHOD") not in {"GET", "HEAD"}:
        return None
    places = list(_places(sandbox, environ.get("HTTP_HOST", ""), environ.get("PATH_INFO", "")))
    for bucket, key in places:
        data = sandbox.buckets.read(bucket, key) if key.endswith(".crl") else None
        if data is not None:
            return "200 OK", [("Content-Type", crl.CONTENT_TYPE), ("Content-Length", str(len(data)))], data
    return ("404 Not Found", [("Content-Type", "text/plain")], b"no such CRL\n") if places else None


def _places(sandbox: Sandbox, host: str, path: str) -> Iterator[tuple[str, str]]:
    """Where the object may be: bucket and key, the likeliest first."""
    host = host.partition(":")[0].lower()
    path = path.lstrip("/")
    for region in sandbox.regions():
        if host == crl_locations.regional_host(region):
            bucket, _, key = path.partition("/")
            known = key.endswith(".crl") and any(bucket in buckets for buckets in region.crl_hosts.values())
            found = [(bucket, key)] if known else []
        else:
            found = [(bucket, path) for bucket in region.crl_hosts.get(host, ())]
        yield from found
