"""Who answers the distribution points in certificates: a CDN before the CRL bucket, rendered for CloudFormation or Terraform. Pure.

What this module decides: which hosts have to answer, what the CDN may read of the bucket, and how long it may keep it. Nothing here calls AWS: the
environment file says all that is needed. The policy of the bucket is kept by ``ca apply``, which gets the statement from here once the file names
the distribution; a template that wrote it, too, would fight with it (docs/adr/0007). Whether the hosts do answer is ``reach.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pkiops.crl.declared import crl_settings
from pkiops.environment.models import Environment
from pkiops.errors import NotSupported
from pkiops.homes import partition_of
from pkiops.templating import load_template

# seconds; the templates say why
MIN_TTL, DEFAULT_TTL, MAX_TTL = 0, 300, 3600
_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn", ".cloudfront.net")
_HOLE = "arn:aws:cloudfront::000000000000:distribution/HOLE"


class HostFormat(StrEnum):
    """What is rendered."""

    CLOUDFORMATION = "cloudformation"
    TERRAFORM = "terraform"


@dataclass(frozen=True, slots=True)
class CdpHost:
    """What has to be served and from where.

    ``hosts`` are those that certificates name and that are ours to serve, sorted; ``foreign`` those that AWS answers for itself.
    """

    environment: str
    bucket: str
    region: str
    hosts: tuple[str, ...]
    foreign: tuple[str, ...]
    tags: tuple[tuple[str, str], ...]


def cdp_host(environment: Environment) -> CdpHost:
    """What has to be served for an environment.

    Raises:
        NotSupported: there is nothing to serve, or no CloudFront where the bucket is.
    """
    region, name = environment.backend.region, environment.environment
    if partition_of(region) != "aws":
        raise NotSupported(
            f"{name}: the CRL bucket is in {region}, and the CloudFront of that partition is another service or none",
            hint="serve the bucket at the host yourself, over plain HTTP; pkiops crl status --probe tells whether it works",
            code="crl.host-partition",
        )
    named = {crl_settings(environment, one).host for one in environment.authorities.values()} - {None}
    hosts = sorted(str(host) for host in named)
    foreign = tuple(host for host in hosts if host.endswith(_AWS_HOSTS))
    ours = tuple(host for host in hosts if host not in foreign)
    if not ours:
        why = f"AWS itself answers at {', '.join(foreign)}" if foreign else "no certificate names a distribution point"
        raise NotSupported(f"{name}: there is nothing to serve: {why}", code="crl.host-nothing")
    tags = {**environment.tags, "pkiops:environment": name}
    return CdpHost(name, environment.publication.crl.bucket, region, ours, foreign, tuple(sorted(tags.items())))


def serving_statement(bucket: str, distribution: str) -> dict[str, Any]:
    """The statement of the CRL bucket's policy that lets one distribution (its ARN) read CRLs, and nothing but CRLs.

    Wherever they are: an older generation may have another path than the file says now. Audit reports end in .json or .csv.
    Source: CloudFront Developer Guide, restricting access to an S3 origin.
    """
    partition = distribution.split(":", 2)[1]
    return {
        "Sid": "PkiopsCdnReadsCrls",
        "Effect": "Allow",
        "Principal": {"Service": "cloudfront.amazonaws.com"},
        "Action": "s3:GetObject",
        "Resource": f"arn:{partition}:s3:::{bucket}/*.crl",
        "Condition": {"StringEquals": {"AWS:SourceArn": distribution}},
    }


def render_host(host: CdpHost, format_: HostFormat) -> str:
    """The template for one environment: the same input gives the same bytes."""
    if format_ is HostFormat.CLOUDFORMATION:
        return load_template("crl-host/cloudformation.yaml.j2").render(_values(host, yaml_text))
    return load_template("crl-host/terraform.tf.j2").render(_values(host, hcl_text))


def yaml_text(value: str) -> str:
    """A double-quoted YAML scalar: JSON in ASCII is one (YAML 1.2 section 1.3), but for DEL, which JSON leaves as it is and YAML does not print."""
    return json.dumps(value, ensure_ascii=True).replace("\x7f", "\\u007f")


def hcl_text(value: str) -> str:
    """A quoted template of HCL that is nothing but text: no ``${`` and no ``%{`` begins in it (HCL syntax specification, templates)."""
    text = "".join(_hcl_character(character) for character in value)
    return f'"{text.replace("${", "$${").replace("%{", "%%{")}"'


def _hcl_character(character: str) -> str:
    code = ord(character)
    if character in '"\\':
        return f"\\{character}"
    if 0x20 <= code < 0x7F:
        return character
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _values(host: CdpHost, quoted: Callable[[str], str]) -> Mapping[str, Any]:
    statement = json.dumps(serving_statement(host.bucket, _HOLE), separators=(",", ":"))
    before, after = statement.split(_HOLE)
    zone = "Route 53 hosted zone for {}; empty: no record is made, lead it to DistributionDomainName (CNAME)"
    tags = [(quoted(key), quoted(value)) for key, value in host.tags]
    return {
        "description": quoted(f"CRL distribution points of {host.environment}"),
        "name": quoted(f"pkiops-{host.environment}-crl"),
        "origin": quoted(f"{host.bucket}.s3.{host.region}.amazonaws.com"),
        "hosts": [{"name": quoted(one), "zone_description": quoted(zone.format(one))} for one in host.hosts],
        "tags": tags,
        "key_width": max((len(key) for key, _ in tags), default=0) + 2,
        "statement": (quoted(before), quoted(after)),
        "min_ttl": MIN_TTL,
        "default_ttl": DEFAULT_TTL,
        "max_ttl": MAX_TTL,
    }
