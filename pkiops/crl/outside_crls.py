"""The CRLs of CAs that are kept elsewhere: brought by a person as files, and kept in the published set until they expire.

What this module decides: whose CRL a file is (the CA that signed it, among those above ours), and that without a file the published one stays for as
long as it is current. One that has run out leaves the set: the CRLs of our own CAs must not wait for somebody with a key in a safe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from pkiops.crl.authorities import SkippedAuthority
from pkiops.crl.check import CheckedCrl, check_crl, check_data
from pkiops.crl.manifest import CrlRecord, CrlSet, record_of
from pkiops.crl.outside import OutsideCa
from pkiops.crl.read import read_crl
from pkiops.environment.models import Environment
from pkiops.errors import InputError, VerificationFailed
from pkiops.stores.interface import Store
from pkiops.x509.crl import load_crls
from pkiops.x509.names import rfc4514
from pkiops.x509.signatures import crl_signed_by


@dataclass(frozen=True, slots=True)
class Published:
    """The set that is published: its records by name, and the digest that names its folder; None where there is none."""

    records: Mapping[str, CrlRecord]
    digest: str | None


def read_given(files: Sequence[tuple[bytes, str]]) -> tuple[x509.CertificateRevocationList, ...]:
    """The CRLs of files, each as (bytes, name for messages), PEM or DER.

    Raises:
        InputError: a file is none.
    """
    return tuple(one for data, name in files for one in load_crls(data, name))


def with_outside(
    environment: Environment,
    candidate: CrlSet,
    cas: Sequence[OutsideCa],
    given: Sequence[x509.CertificateRevocationList],
    published: Published,
    store: Store,
    *,
    at: datetime,
) -> tuple[CrlSet, tuple[SkippedAuthority, ...]]:
    """The set with the CRLs of those kept elsewhere, and which of these have none.

    Raises:
        InputError: a CRL that was given is of no CA above ours (code ``crl.foreign``).
        VerificationFailed: a CRL that was given must not be handed out.
        BackendError: the store failed.
    """
    by_name = _given(environment, cas, given, at)
    found: list[tuple[CrlRecord, CheckedCrl]] = []
    skipped = []
    named = {one.label for one in cas}
    for one in cas:
        checked = by_name.get(one.name) or _kept(environment, one, published, store, at)
        if checked is None:
            skipped.append(_without(one.label))
        elif one.name not in {record.name for record, _ in found}:
            found.append((record_of(one.label, one.generation, checked), checked))
    skipped += [_without(label) for label in environment.external_authorities if label not in named]
    records = (*(record for record, _ in found), *candidate.records)
    return CrlSet(candidate.environment, records, (*(one for _, one in found), *candidate.crls)), tuple(skipped)


def _given(
    environment: Environment, cas: Sequence[OutsideCa], given: Sequence[x509.CertificateRevocationList], at: datetime
) -> dict[str, CheckedCrl]:
    found = {}
    for crl in given:
        signer = next(
            (ca for ca in cas if ca.certificate.subject == crl.issuer and crl_signed_by(crl, ca.certificate)), None
        )
        if signer is None:
            above = ", ".join(ca.label for ca in cas) or "none"
            raise InputError(
                f"the CRL of {rfc4514(crl.issuer)} is signed by no CA that is kept elsewhere and above one of ours",
                hint=f"above those of {environment.environment} are {above}; our own CAs publish theirs themselves",
                code="crl.foreign",
            )
        name = f"the CRL of {environment.environment}/ca/{signer.name}"
        found[signer.name] = check_crl(crl, signer.certificate, name, at=at)
    return found


def _kept(
    environment: Environment, ca: OutsideCa, published: Published, store: Store, at: datetime
) -> CheckedCrl | None:
    """The published CRL, if it is still current and of this CA."""
    record = published.records.get(ca.name)
    if record is None or published.digest is None:
        return None
    name = f"the published CRL of {environment.environment}/ca/{ca.name}"
    data = read_crl(store, environment.environment, published.digest, record)
    try:
        return check_data(data, ca.certificate, name, at=at, margin=timedelta(0))
    except VerificationFailed:
        return None


def _without(label: str) -> SkippedAuthority:
    reason = (
        "is kept elsewhere, and no current CRL of it was given (--external-crl): bundles with revocation: chain need it"
    )
    return SkippedAuthority(label, reason)
