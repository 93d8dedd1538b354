"""What ``ca doctor`` decides from, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pkiops.backends.interface import ObservedAuthority
from pkiops.ca.desired import Desired
from pkiops.ca.details import Details
from pkiops.crl.manifest import CrlRecord
from pkiops.environment.models import Environment
from pkiops.homes import Home
from pkiops.ledger.tables import ObservedTable
from pkiops.stores.interface import ObservedBucket


@dataclass(frozen=True, kw_only=True, slots=True)
class CrlHealth:
    """The CRL of one CA: in its bucket, and as its distribution point serves it.

    ``problem`` is why the one in the bucket is none of this CA's; ``served_number`` and ``serving_problem`` are None where nobody was asked;
    ``own_sha256`` and ``issuer_sha256`` are of the CA's certificate and of the one above it.
    """

    present: bool
    own_sha256: str | None = None
    issuer_sha256: str | None = None
    problem: str | None = None
    number: int | None = None
    this_update: datetime | None = None
    next_update: datetime | None = None
    entries: int = 0
    url: str | None = None
    served_number: int | None = None
    serving_problem: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """Everything that was read; ``unread`` names what could not be, with why, and ``failed`` what of it is no matter of permissions.

    ``crls``, ``acm_may_issue`` and ``details`` (of a look in depth, else empty) are by reference; ``issuers`` are the references that the
    ledger knows certificates of; ``caller_policies`` are the ARNs of the policies attached to the caller, by who that is, if known; ``unlisted``
    are the homes whose authorities could not be listed; ``published_crls`` are the records of the published set by name (``clients-g1``), None where
    none was published, or nobody needs to know.
    """

    environment: Environment
    desired: Desired
    buckets: tuple[ObservedBucket, ...]
    authorities: tuple[ObservedAuthority, ...]
    crls: Mapping[str, CrlHealth] = field(default_factory=dict)
    acm_may_issue: Mapping[str, bool] = field(default_factory=dict)
    issuers: frozenset[str] = frozenset()
    details: Mapping[str, Details] = field(default_factory=dict)
    caller_policies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    index_is_current: bool | None = None
    published_crls: Mapping[str, CrlRecord] | None = None
    tables: tuple[ObservedTable, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    failed: frozenset[str] = frozenset()
    unlisted: frozenset[Home] = frozenset()
