"""The CRLs of all CAs of an environment, as the service wrote them, checked: a complete set or none.

What this module decides: that one CA without a usable CRL stops the whole set, because relying parties that check
CRLs refuse every client below a CA whose CRL is missing; unless nothing is below it (``silent``). Which parts a CRL has is the business of ``parts``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from pkiops.backends.interface import PublishesOwnCrls, ReadsAuthorities
from pkiops.crl.authorities import KnownAuthority
from pkiops.crl.check import CheckedCrl, check_data
from pkiops.crl.manifest import CrlRecord, CrlSet, record_of
from pkiops.crl.parts import fetch_parts, is_in_parts, parts_backend, require_not_too_many
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
    fetched: list[tuple[KnownAuthority, bytes | tuple[CheckedCrl, ...]]] = []
    missing: list[KnownAuthority] = []
    lacking: list[KnownAuthority] = []
    for authority in authorities:
        progress.step(f"fetch the CRL of {environment}/ca/{authority.name}")
        if is_in_parts(authority):
            data: bytes | tuple[CheckedCrl, ...] | None = fetch_parts(
                environment, authority, parts_backend(environment, authority, backend), at=at
            )
        else:
            data = backend.fetch_crl(authority.observed)
        if data is not None and data != ():
            fetched.append((authority, data))
        elif may_lack(authority):
            lacking.append(authority)
        else:
            missing.append(authority)
    if missing or not fetched:
        raise _missing(environment, missing or lacking)
    records: list[CrlRecord] = []
    crls: list[CheckedCrl] = []
    for authority, data in fetched:
        name = f"the CRL of {environment}/ca/{authority.name}"
        checked = (check_data(data, authority.certificate, name, at=at),) if isinstance(data, bytes) else data
        records += [record_of(authority.label, authority.generation, one) for one in checked]
        crls += checked
    require_not_too_many(environment, records)
    return CrlSet(environment, tuple(records), tuple(crls)), tuple(lacking)


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
