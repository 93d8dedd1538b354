"""The published set of an environment, read by somebody who trusts the CAs but not the bucket.

What this module decides: where the set is, and that nothing of it is used unless the manifest hashes to the folder's
name, every CRL hashes to what the manifest says, and every CRL verifies under the certificate of its CA. Sizes are
bounded; keys are made of the digest and of the names of our own authorities, never of a name that was read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pkiops.crl.check import MIN_REMAINING, CheckedCrl, check_data
from pkiops.crl.manifest import MANIFEST, MAX_MANIFEST_BYTES, CrlRecord, decode_manifest, parse_json
from pkiops.crl.outside import CertifiedCa
from pkiops.errors import VerificationFailed
from pkiops.stores.interface import Store

MAX_CRL_BYTES = 128 * 1024 * 1024
MAX_POINTER_BYTES = 4096
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RESTORE = "look at the older versions of the object (the bucket keeps them): who wrote this one? Restore the last good version"


@dataclass(frozen=True, slots=True)
class Pointer:
    """What ``ENV/crl/current.json`` says; ``version`` is the store's tag of it."""

    manifest_sha256: str
    version: str


@dataclass(frozen=True, slots=True)
class PublishedCrl:
    """One CRL of the published set, verified under its CA."""

    record: CrlRecord
    checked: CheckedCrl


@dataclass(frozen=True, slots=True)
class PublishedSet:
    """The CRLs of the published set by authority name (``clients-g1``)."""

    manifest_sha256: str
    crls: dict[str, PublishedCrl]


def pointer_key(environment: str) -> str:
    """Where the pointer to the current set is."""
    return f"{environment}/crl/current.json"


def file_key(environment: str, digest: str, name: str) -> str:
    """Where a file of a set is."""
    return f"{environment}/crl/{digest}/{name}"


def read_pointer(store: Store, environment: str) -> Pointer | None:
    """The pointer to the current set, or None when nothing was ever published.

    Raises:
        VerificationFailed: what is there is no pointer.
        BackendError: the store failed.
    """
    found = store.get(pointer_key(environment), max_bytes=MAX_POINTER_BYTES)
    if found is None:
        return None
    name = f"{found.key} in {store.describe()}"
    digest = parse_json(found.data, name).get("manifest_sha256")
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise VerificationFailed(f"{name} does not name a set of CRLs", hint=_RESTORE, code="crl.pointer")
    return Pointer(digest, found.version)


def read_records(store: Store, environment: str, digest: str) -> tuple[CrlRecord, ...]:
    """The records of the set with this digest.

    Raises:
        VerificationFailed: its manifest is missing, or is not what the digest says.
        BackendError: the store failed.
    """
    key = file_key(environment, digest, MANIFEST)
    name = f"{key} in {store.describe()}"
    found = store.get(key, max_bytes=MAX_MANIFEST_BYTES)
    if found is None:
        raise VerificationFailed(f"{name} is missing", hint=_RESTORE, code="crl.manifest")
    if hashlib.sha256(found.data).hexdigest() != digest:
        raise VerificationFailed(f"{name} is not what its name says", hint=_RESTORE, code="crl.manifest")
    return decode_manifest(found.data, environment, name)


def read_current(
    store: Store,
    environment: str,
    authorities: Sequence[CertifiedCa],
    *,
    at: datetime,
    margin: timedelta = MIN_REMAINING,
) -> PublishedSet | None:
    """The current set as far as it concerns ``authorities``; None when nothing was ever published.

    CRLs of other CAs are left out: nobody here could verify them. So are parts of a CRL: none of them speaks for its CA. An authority
    without a CRL in the set is missing from the result.

    Raises:
        VerificationFailed: the set is damaged, forged, or holds a CRL that must not be used at ``at`` (aware).
        BackendError: the store failed.
    """
    pointer = read_pointer(store, environment)
    if pointer is None:
        return None
    wanted = {authority.name: authority for authority in authorities}
    crls: dict[str, PublishedCrl] = {}
    for record in read_records(store, environment, pointer.manifest_sha256):
        authority = wanted.get(record.name)
        if authority is not None:
            data = read_crl(store, environment, pointer.manifest_sha256, record)
            name = f"the published CRL of {environment}/ca/{authority.name}"
            checked = check_data(data, authority.certificate, name, at=at, margin=margin)
            crls[authority.name] = PublishedCrl(record, checked)
    return PublishedSet(pointer.manifest_sha256, crls)


def read_crl(store: Store, environment: str, digest: str, record: CrlRecord) -> bytes:
    """One CRL of a published set, DER; what a record says of its name was checked when the manifest was read.

    Raises:
        VerificationFailed: it is missing, or not what the record says.
        BackendError: the store failed.
    """
    key = file_key(environment, digest, record.der_file)
    found = store.get(key, max_bytes=MAX_CRL_BYTES)
    if found is None:
        raise VerificationFailed(f"{key} in {store.describe()} is missing", hint=_RESTORE, code="crl.set-incomplete")
    if hashlib.sha256(found.data).hexdigest() != record.sha256:
        raise VerificationFailed(
            f"{key} in {store.describe()} is not what its manifest says", hint=_RESTORE, code="crl.set-damaged"
        )
    return found.data
