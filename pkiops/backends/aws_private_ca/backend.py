"""The whole backend: every capability of AWS Private CA in one object, each group of calls in a module of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pkiops.aws import AwsClients
from pkiops.backends.aws_private_ca.access import Permissions
from pkiops.backends.aws_private_ca.audit_reports import AuditReports
from pkiops.backends.aws_private_ca.caller import Caller
from pkiops.backends.aws_private_ca.crl_bucket import CrlBucket
from pkiops.clock import Clock
from pkiops.homes import Home

if TYPE_CHECKING:
    from pkiops.backends.prices import Prices


class AwsPrivateCa(CrlBucket, AuditReports, Caller, Permissions):
    """AWS Private CA in one account and region.

    Implements ReadsAuthorities, ConfirmsTags, CreatesAuthorities, TagsAuthorities, SharesAuthorities, RetiresAuthorities, IssuesCertificates,
    RevokesCertificates, PublishesOwnCrls, PublishesCrlsInParts, KeepsCrlsInBucket, AuditsIssuance, StatesPermissions, HasPrices and doctor's
    KnowsCaller.

    Args:
        clients: the clients of the account and region.
        clock: waits and gives up by it.
        prices: the listed ones unless given.
        publication: clients of where the CRL bucket is, if that is another account or region.
        writers: other homes whose CAs write into the CRL bucket, each with the roles that keep them.
    """

    def __init__(
        self,
        clients: AwsClients,
        clock: Clock,
        prices: Prices | None = None,
        *,
        publication: AwsClients | None = None,
        writers: Mapping[Home, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(clients, clock, publication)
        self._prices = prices
        self._writers = dict(writers or {})

    @property
    def prices(self) -> Prices:
        """What everything costs (HasPrices)."""
        if self._prices is None:
            # most commands cost nothing and never look at a price
            from pkiops.backends.aws_private_ca.prices import LISTED

            self._prices = LISTED
        return self._prices

    def monthly_cost_usd(self, usage_mode: str, region: str | None = None) -> float:
        """What one CA costs, USD per month (HasPrices)."""
        return self.prices.of_region(region).authority_month[usage_mode]
