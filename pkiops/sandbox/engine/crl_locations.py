"""Where CRLs are: the key of the object in the bucket, the URL in certificates, and the hosts they are asked from.

What this module decides: names only. A URL is ``http://HOST/FOLDER/NAME.crl``; HOST is the ``CustomCname`` or the bucket's S3 host, FOLDER is
``CustomPath`` or ``crl``, NAME is the CA's identifier for a complete CRL and a random one for a partition. The path is the object's key.
"""

from __future__ import annotations

from pkiops.sandbox.engine.state import Authority, Region


def domain(region: Region) -> str:
    """The DNS suffix of the partition's services."""
    return "amazonaws.com.cn" if region.partition == "aws-cn" else "amazonaws.com"


def object_key(authority: Authority, name: str | None = None) -> str:
    """The key of a CRL object, by default the complete CRL's."""
    folder = str(authority.crl_configuration.get("CustomPath") or "crl").strip("/")
    return f"{folder}/{name or authority.identifier}.crl".lstrip("/")


def url(authority: Authority, region: Region, name: str | None = None) -> str:
    """The URL of a CRL, by default the complete one's."""
    return f"http://{_host(authority, region)}/{object_key(authority, name)}"


def key_of_url(address: str) -> str:
    """The object's key out of a CRL's URL."""
    return address.split("/", 3)[3]


def remember_hosts(authority: Authority, region: Region) -> None:
    """Note the hosts under which this CA's CRLs are asked for: the custom one, if any, and the bucket's; the newest bucket of a host first."""
    if not authority.crl_configuration["Enabled"]:
        return
    bucket = str(authority.crl_configuration["S3BucketName"])
    for name in {_host(authority, region), _bucket_host(authority, region)}:
        host = name.partition(":")[0].lower()
        others = [each for each in region.crl_hosts.get(host, ()) if each != bucket]
        region.crl_hosts[host] = [bucket, *others]


def regional_host(region: Region) -> str:
    """The host of S3 in a Region, under which the path begins with the bucket."""
    return f"s3.{region.name}.{domain(region)}"


def _host(authority: Authority, region: Region) -> str:
    return str(authority.crl_configuration.get("CustomCname") or _bucket_host(authority, region))


def _bucket_host(authority: Authority, region: Region) -> str:
    return f"{authority.crl_configuration['S3BucketName']}.{regional_host(region)}"
