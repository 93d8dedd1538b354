"""The Resource Groups Tagging API for authorities: beside moto's own resources, which moto goes on answering for.

What this module decides: which authorities the API knows (all that are not deleted, after the delay of the settings) and under which resource type.
Filters and pages are moto's; what a tag may be is the engine's decision, and so is the code of a refusal.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import moto.resourcegroupstaggingapi.models
from moto.core.resource_tagging import TaggedResource
from moto.resourcegroupstaggingapi.models import ResourceGroupsTaggingAPIBackend

from pkiops.sandbox.engine.errors import ServiceError
from pkiops.sandbox.engine.service import PrivateCa
from pkiops.sandbox.engine.state import Region

RESOURCE_TYPE = "acm-pca:certificate-authority"
NAMES = {
    "moto.resourcegroupstaggingapi.models": (
        "iter_taggable_backends",
        "ResourceGroupsTaggingAPIBackend.get_resources",
        "ResourceGroupsTaggingAPIBackend.tag_resources",
        "ResourceGroupsTaggingAPIBackend.untag_resources",
    ),
    "moto.core.resource_tagging": ("TaggedResource",),
}
_Failures: TypeAlias = dict[str, dict[str, Any]]
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
        # moto asks for the next page later: what was made or deleted by then must not matter
        for authority in self._service.known_by_tags(self._region):
            yield TaggedResource(authority.arn, dict(authority.tags), RESOURCE_TYPE)

    def changed(self, operation: str, arns: list[str], tags: list[dict[str, str]]) -> _Failures:
        """Tag or untag each CA of ``arns``; an entry for each that could not be, as in ``FailedResourcesMap``."""
        failures = {}
        for arn in arns:
            try:
                self._service.call(self._region, operation, {"CertificateAuthorityArn": arn, "Tags": tags})
            except ServiceError as error:
                failures[arn] = {"StatusCode": 400, "ErrorCode": error.code, "ErrorMessage": error.message}
        return failures


@contextlib.contextmanager
def authorities_tagged(service: PrivateCa, region_of: Callable[[str, str], Region]) -> Iterator[None]:
    """The tagging API of moto in this process knows our authorities while the context lasts.

    Args:
        service: whose authorities.
        region_of: the state of an account and a Region's name.
    """
    models: Any = moto.resourcegroupstaggingapi.models
    backend: Any = ResourceGroupsTaggingAPIBackend
    listed, tagged, untagged = models.iter_taggable_backends, backend.tag_resources, backend.untag_resources

    def with_authorities(account_id: str, region_name: str) -> Iterator[Any]:
        yield TaggedAuthorities(service, region_of(account_id, region_name))
        yield from listed(account_id, region_name)

    def split(self: Any, arns: list[str]) -> tuple[TaggedAuthorities, list[str], list[str]]:
        ours = TaggedAuthorities(service, region_of(self.account_id, self.region_name))
        return ours, [arn for arn in arns if ours.owns_arn(arn)], [arn for arn in arns if not ours.owns_arn(arn)]

    def tag(self: Any, resource_arns: list[str], tags: dict[str, str]) -> _Failures:
        ours, mine, others = split(self, resource_arns)
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        return {**ours.changed("TagCertificateAuthority", mine, pairs), **tagged(self, others, tags)}

    def untag(self: Any, resource_arn_list: list[str], tag_keys: list[str]) -> _Failures:
        ours, mine, others = split(self, resource_arn_list)
        keys = [{"Key": key} for key in tag_keys]
        return {**ours.changed("UntagCertificateAuthority", mine, keys), **untagged(self, others, tag_keys)}

    models.iter_taggable_backends, backend.tag_resources, backend.untag_resources = with_authorities, tag, untag
    try:
        yield
    finally:
        models.iter_taggable_backends, backend.tag_resources, backend.untag_resources = listed, tagged, untagged
