"""The CRLs of all CAs of an environment, as the service wrote them, checked: a complete set or none.

What this module decides: that one CA without a usable CRL stops the whole set, because relying parties that check
CRLs refuse every client below a CA whose CRL is missing; unless nothing is below it (``silent``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from pkiops.backends.interface import PublishesOwnCrls, ReadsAuthorities
from pkiops.crl.authorities import KnownAuthority
from pkiops.crl.check import check_data
from pkiops.crl.manifest import CrlSet, record_of
from pkiops.errors import VerificationFailed
from pkiops.progress import Progress


class CrlBackend(ReadsAuthorities, PublishesOwnCrls, Protocol):
    """A backend whose CAs write their CRLs themselves."""


def fetch_set(
    environment: str,
    authorities: Sequence[KnownAuthority],
    backend: CrlBackend,
    *,
    at: datetime,
    progress: Progress,
    may_lack: Callable[[KnownAuthority], bool] = lambda _: False,
) -> tuple[CrlSet, tuple[KnownAuthority, ...]]:
    """Fetch and check the CRL of every authority; the set, and those that lack a CRL and may.

    Raises:
        VerificationFailed: a CRL is missing (code ``crl.missing``) or must not be handed out.
        BackendError: the backend failed.
    """
    _refuse_parts(environment, authorities)
    fetched: list[tuple[KnownAuthority, bytes]] = []
    missing: list[KnownAuthority] = []
    lacking: list[KnownAuthority] = []
    for authority in authorities:
        progress.step(f"fetch the CRL of {environment}/ca/{authority.name}")
        data = backend.fetch_crl(authority.observed)
        if data is None and may_lack(authority):
            lacking.append(authority)
        elif data is None:
            missing.append(authority)
        else:
            fetched.append((authority, data))
    if missing or not fetched:
        raise _missing(environment, missing or lacking)
    records = []
    crls = []
    for authority, data in fetched:
        name = f"the CRL of {environment}/ca/{authority.name}"
        checked = check_data(data, authority.certificate, name, at=at)
        records.append(record_of(authority.label, authority.generation, checked))
        crls.append(checked)
    return CrlSet(environment, tuple(records), tuple(crls)), tuple(lacking)


def _refuse_parts(environment: str, authorities: Sequence[KnownAuthority]) -> None:
    parts = [one.name for one in authorities if one.observed.crl is not None and not one.observed.crl.complete]
    if parts:
        names = ", ".join(f"{environment}/ca/{name}" for name in parts)
        raise VerificationFailed(
            f"the CRL of {names} is published in parts; a set is published complete or not at all, so nothing was published",
            hint="this version takes complete CRLs only: write type: COMPLETE at crl of that authority, and apply",
            code="crl.partitioned",
            details={"authorities": parts},
        )


def _missing(environment: str, missing: Sequence[KnownAuthority]) -> VerificationFailed:
    names = ", ".join(f"{environment}/ca/{authority.name}" for authority in missing)
    without = [a.name for a in missing if a.observed.crl is None]
    if without:
        hint = f"{', '.join(without)} has no CRL configuration: pkiops ca plan {environment} shows what differs from the file"
    else:
        hint = (
            "the service writes the first CRL of a CA once the first certificate that points to it is issued: issue one "
            f"(pkiops cert issue {environment}), then publish again"
        )
    return VerificationFailed(
        f"no CRL exists yet of {names}; a set is published complete or not at all, so nothing was published",
        hint=hint,
        code="crl.missing",
        details={"authorities": [authority.name for authority in missing]},
    )
