"""Plain boto3 clients, and what hangs on every call to AWS Private CA.

What this module decides: how long calls may take, that the clock of a run is the service's (the ``Date`` of its answers), that no call for
a CA or a certificate is sent which the bill does not allow, whoever makes it, and that a refused one costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from pkiops.clock import ServerClock
from tests.canary.bill import SHORT_LIVED, Bill

_REFUSED = range(400, 500)  # after other errors it may have been made all the same
_OF_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


@dataclass(frozen=True, slots=True)
class Clients:
    """boto3 clients of one account and Region."""

    pca: Any
    s3: Any
    sts: Any
    tagging: Any
    quotas: Any

    @property
    def are_of_aws(self) -> bool:
        """Whether they ask AWS, and not a sandbox or the like."""
        hosts = [urlsplit(client.meta.endpoint_url).hostname or "" for client in (self.pca, self.s3, self.sts)]
        return all(host.endswith(_OF_AWS) for host in hosts)


def connect(session: boto3.Session, region: str) -> Clients:
    """Clients with the session's credentials, and the endpoints of the environment."""
    config = Config(connect_timeout=10, read_timeout=60)
    names = ("acm-pca", "s3", "sts", "resourcegroupstaggingapi", "service-quotas")
    return Clients(*(session.client(name, region_name=region, config=config) for name in names))  # type: ignore[call-overload]


def follow(clients: Clients, clock: ServerClock) -> None:
    """Have the clock follow the service's."""

    def answered(http_response: Any, **_: Any) -> None:
        date = http_response.headers.get("Date")
        if date:
            clock.follow(parsedate_to_datetime(date))

    clients.pca.meta.events.register("after-call.acm-pca", answered)


def charge(clients: Clients, bill: Bill, clock: ServerClock) -> None:
    """Have the bill see every call to AWS Private CA before it is sent, and its refusal."""

    def asks_for_authority(params: dict[str, Any], **_: Any) -> None:
        bill.add_authority(clock.now(), params.get("UsageMode") or "GENERAL_PURPOSE")

    def asks_for_certificate(**_: Any) -> None:
        bill.add_certificate(clock.now(), SHORT_LIVED)

    def asks(**_: Any) -> None:
        bill.check(clock.now())

    def answered_authority(http_response: Any, **_: Any) -> None:
        if http_response.status_code in _REFUSED:
            bill.take_back_authority()

    def answered_certificate(http_response: Any, **_: Any) -> None:
        if http_response.status_code in _REFUSED:
            bill.take_back_certificate()

    events = clients.pca.meta.events
    events.register("provide-client-params.acm-pca.CreateCertificateAuthority", asks_for_authority)
    events.register("provide-client-params.acm-pca.IssueCertificate", asks_for_certificate)
    events.register("provide-client-params.acm-pca", asks)
    events.register("after-call.acm-pca.CreateCertificateAuthority", answered_authority)
    events.register("after-call.acm-pca.IssueCertificate", answered_certificate)
