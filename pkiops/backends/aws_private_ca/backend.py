"""The whole backend: every capability of AWS Private CA in one object, each group of calls in a module of its own."""

from __future__ import annotations

from pkiops.backends.aws_private_ca.crl_bucket import CrlBucket


class AwsPrivateCa(CrlBucket):
    """AWS Private CA in one account and region.

    Implements ReadsAuthorities, CreatesAuthorities, IssuesCertificates, RevokesCertificates, PublishesOwnCrls, KeepsCrlsInBucket and HasPrices.
    """
