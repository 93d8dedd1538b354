"""The Resource Groups Tagging API for authorities: beside moto's own resources, which moto goes on answering for.

What this module decides: which authorities the API knows (all that are not deleted) and under which resource type. Filters and pages are moto's;
what a tag may be is the engine's decision.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import moto.resourcegroupstaggingapi.models
from moto.core.resource_tagging import TaggedResource

from pkiops.sandbox.engine.errors import ServiceError
from pkiops.sandbox.engine.service import PrivateCa
from pkiops.sandbox.engine.state import Region, Status

RESOURCE_TYPE = "acm-pca:certificate-authority"
NAMES = {
    "moto.resourcegroupstaggingapi.models": (
        "iter_taggable_backends",
        "ResourceGroupsTaggingAPIBackend.get_resources",
        "ResourceGroupsTaggingAPIBackend._get_backend_for_resource",
    ),
    "moto.core.resource_tagging": ("TaggedResource",),
}
_ARN = re.compile(r"arn:[a-z-]+:acm-pca:([a-z0-9-]+):(\d{12}):certificate-authority/.*", re.DOTALL)


class TaggedAuthorities:
    """The authorities of one account and Region, as moto asks for tagged resources."""

    def __init__(self, service: PrivateCa, region: Region) -> None:
        self._service = service
        self._region = region

    def owns_arn(self, arn: str) -> bool:
        """Whether an ARN is one of a CA of this account and Region."""
        match = _ARN.fullmatch(arn)
        return match is not None and match.groups() == (self._region.name, self._region.account)

    def iter_tagged_resources(self) -> Iterator[TaggedResource]:
        """The CAs with their tags; moto leaves out those without any."""
        self._service.maintain(self._region)
        for authority in self._region.authorities.values():
            if authority.status is not Status.DELETED:
                yield TaggedResource(authority.arn, dict(authority.tags), RESOURCE_TYPE)

    def tag_resource(self, arn: str, tags: dict[str, str]) -> None:
        """TagResources for one CA."""
        self._call("TagCertificateAuthority", arn, [{"Key": key, "Value": value} for key, value in tags.items()])

    def untag_resource(self, arn: str, tag_keys: list[str]) -> None:
        """UntagResources for one CA."""
        self._call("UntagCertificateAuthority", arn, [{"Key": key} for key in tag_keys])

    def _call(self, operation: str, arn: str, tags: list[dict[str, str]]) -> None:
        try:
            self._service.call(self._region, operation, {"CertificateAuthorityArn": arn, "Tags": tags})
        except ServiceError as error:
            # the one exception that moto turns into an entry of FailedResourcesMap
            raise NotImplementedError(error.message) from error


@contextlib.contextmanager
def authorities_tagged(service: PrivateCa, region_of: Callable[[str, str], Region]) -> Iterator[None]:
    """The tagging API of moto in this process knows our authorities while the context lasts.

    Args:
        service: whose authorities.
        region_of: the state of an account and a Region's name.
    """
    models: Any = moto.resourcegroupstaggingapi.models
    original = models.iter_taggable_backends

    def with_authorities(account_id: str, region_name: str) -> Iterator[Any]:
        yield TaggedAuthorities(service, region_of(account_id, region_name))
        yield from original(account_id, region_name)

    models.iter_taggable_backends = with_authorities
    try:
        yield
    finally:
        models.iter_taggable_backends = original
