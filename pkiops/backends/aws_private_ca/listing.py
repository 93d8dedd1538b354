"""Listing certificate authorities with their tags, by the page and not by the CA.

ListCertificateAuthorities returns all that DescribeCertificateAuthority does, a hundred at a time, but no tags. ListTags gives those of one CA,
twenty times a second: fifty seconds for a thousand. The Resource Groups Tagging API gives them a hundred CAs at a time. What this module decides is
how far that answer is believed, because it comes from an index of its own, which follows the service with a delay that nobody promises a bound for:

- it leaves out CAs that never had a tag, and those whose tags have not reached it yet; the two look alike. Identity tags are set in the creating
  call, so a CA that is younger than an hour and missing there is asked itself;
- it may show tags that were changed, or taken away, a moment ago. So every tag out of it is marked (``tags_confirmed`` is False), and who is about to
  act on tags, or on their absence, asks for confirmation of just those CAs (``confirm_tags``; ``pkiops.ca.settle`` knows which). What is believed
  without is what leads to nothing being done;
- it may still know what is deleted, which the list of the service tells;
- an answer that knows not one of the CAs that exist is no answer: in some partition or some copy of the service it may not cover CAs at all.

Each CA is asked, eight at once, as fast as the rate of ListTags allows, where there are no more than that: nothing is in doubt then. So it is where
the index may not be asked (no permission for tag:GetResources), cannot be reached, or has no endpoint while acm-pca has one of its own. DELETED and
FAILED ones give nobody their tags.

Source: GetResources of the Resource Groups Tagging API reference (untagged resources are left out, ResourcesPerPage at most 100, TagsPerPage at most
500), and aws/aws-sdk issues 302 and 676 on how far it is behind; never measured against AWS by us.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from pkiops.aws import AwsClients
from pkiops.aws_errors import translated
from pkiops.backends.aws_private_ca import shapes
from pkiops.backends.aws_private_ca.calls import Calls
from pkiops.backends.interface import AuthorityStatus, ObservedAuthority
from pkiops.clock import Clock
from pkiops.errors import AccessDenied, BackendError, InvalidState, Unreachable
from pkiops.progress import Counted

_PAGE = 100
_TAGS_PER_PAGE = 500
_READERS = 8
# so many calls at once take no longer than one to the index, and their answers are true
_FEW = _READERS
_RESOURCE_TYPE = "acm-pca:certificate-authority"
_RECENT = timedelta(hours=1)
_SILENT = {AuthorityStatus.DELETED, AuthorityStatus.FAILED}
_Tags = Mapping[str, str]


class Listing(Calls):
    """What exists, with its tags (the listing half of ReadsAuthorities, and ConfirmsTags)."""

    def __init__(self, clients: AwsClients, clock: Clock, publication: AwsClients | None = None) -> None:
        super().__init__(clients, clock, publication)
        urls = clients.access.endpoint_urls
        # a service at a place of its own, and an index of the real one: they would speak of two worlds
        self._ask_index = "acm-pca" not in urls or "resourcegroupstaggingapi" in urls

    def list_authorities(self) -> tuple[ObservedAuthority, ...]:
        """Every CA with its tags (ListCertificateAuthorities; GetResources, or ListTags where there are few or it does not tell)."""
        pages = self._pages()
        found, moment, is_last = next(pages)
        alive = [one for one in found if one.status not in _SILENT]
        indexed: dict[str, _Tags] | None = None
        if not (is_last and len(alive) <= _FEW):
            with ThreadPoolExecutor(max_workers=1) as pool:
                asked = pool.submit(self._indexed_tags)
                for more, _, _ in pages:
                    found += more
                indexed = asked.result()
            alive = [one for one in found if one.status not in _SILENT]
        if indexed is None or not any(one.reference in indexed for one in alive):
            doubtful = alive
        else:
            doubtful = [one for one in alive if one.reference not in indexed and one.created_at > moment - _RECENT]
        confirmed = {one.reference: one for one in self.confirm_tags(doubtful)}
        observed = [confirmed.get(one.reference) or _marked(one, indexed or {}) for one in found]
        return tuple(sorted(observed, key=lambda one: (one.created_at, one.reference)))

    def confirm_tags(self, authorities: Sequence[ObservedAuthority]) -> tuple[ObservedAuthority, ...]:
        """The same CAs with the tags that each gives itself (ListTags)."""
        if not authorities:
            return ()
        counted = Counted(self._clients.progress, self._clock, "asking each CA for its tags", len(authorities))

        def ask(one: ObservedAuthority) -> ObservedAuthority:
            tags = None if one.status in _SILENT else self._tags_of(one.reference)
            counted.one_done()
            return replace(one, tags=tags, tags_confirmed=True)

        with ThreadPoolExecutor(max_workers=min(_READERS, len(authorities))) as pool:
            return tuple(pool.map(ask, authorities))

    def describe_authority(self, reference: str) -> ObservedAuthority:
        """One CA without its tags (DescribeCertificateAuthority)."""
        with translated("DescribeCertificateAuthority", reference):
            answer = self._clients.private_ca().describe_certificate_authority(CertificateAuthorityArn=reference)
        return shapes.authority_from_api(answer["CertificateAuthority"], None)

    def _pages(self) -> Iterator[tuple[list[ObservedAuthority], datetime, bool]]:
        """CAs without their tags by the page, the moment of each answer (this machine's clock may be wrong), and whether it is the last."""
        with translated("ListCertificateAuthorities", self._clients.access.account):
            pages = self._clients.private_ca().get_paginator("list_certificate_authorities")
            for page in pages.paginate(PaginationConfig={"PageSize": _PAGE}, ResourceOwner="SELF"):
                found = [shapes.authority_from_api(one, None) for one in page["CertificateAuthorities"]]
                yield found, _moment_of(page, self._clock.now()), not page.get("NextToken")

    def _indexed_tags(self) -> dict[str, _Tags] | None:
        """The tags of every CA that the index knows, by reference; None where it cannot be asked."""
        if not self._ask_index:
            return None
        try:
            return self._read_index()
        except BackendError as error:
            why = str(error.details.get("aws_error") or "no answer")
            self._clients.progress.step(
                f"the Resource Groups Tagging API does not help ({why}): asking each CA for its tags"
            )
            if isinstance(error, (AccessDenied, Unreachable)):
                self._ask_index = False
            return None

    def _read_index(self) -> dict[str, _Tags]:
        tags: dict[str, _Tags] = {}
        with translated("GetResources", self._clients.access.account):
            pages = (
                self._clients.tagging()
                .get_paginator("get_resources")
                .paginate(
                    PaginationConfig={"PageSize": _PAGE},
                    ResourceTypeFilters=[_RESOURCE_TYPE],
                    TagsPerPage=_TAGS_PER_PAGE,
                )
            )
            for page in pages:
                for one in page["ResourceTagMappingList"]:
                    tags[one.get("ResourceARN", "")] = _tags(one.get("Tags", ()))
        return tags

    def _tags_of(self, reference: str) -> _Tags | None:
        """The tags of a CA; waits while it is CREATING, because until then nobody can say whose it is."""

        def ask() -> tuple[_Tags | None] | None:
            try:
                return (self._list_tags(reference),)
            except InvalidState:
                # CREATING a moment ago may be PENDING_CERTIFICATE by now: only these two never get readable tags
                return (None,) if self.describe_authority(reference).status in _SILENT else None

        return self._wait_for(ask, f"tags of {reference}")[0]

    def _list_tags(self, reference: str) -> _Tags:
        found: dict[str, str] = {}
        with translated("ListTags", reference):
            for page in (
                self._clients.private_ca().get_paginator("list_tags").paginate(CertificateAuthorityArn=reference)
            ):
                found.update(_tags(page["Tags"]))
        return found


def _marked(one: ObservedAuthority, indexed: Mapping[str, _Tags]) -> ObservedAuthority:
    if one.status in _SILENT:
        return one
    return replace(one, tags=indexed.get(one.reference, {}), tags_confirmed=False)


def _tags(pairs: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {pair["Key"]: pair.get("Value", "") for pair in pairs}


def _moment_of(page: Mapping[str, Any], otherwise: datetime) -> datetime:
    """The ``Date`` of an answer."""
    date = page.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        moment = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return otherwise
    return moment.replace(tzinfo=moment.tzinfo or UTC)
