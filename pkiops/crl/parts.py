"""CRLs in parts (``CrlType: PARTITIONED``): all parts of a CA as they are in its folder of the bucket, or none.

Each part is a CRL of its own for the certificates that name its URL as their distribution point, and a relying party that lacks one part refuses
these certificates or, worse, takes a revoked one. Nobody knows the names of parts before, so they are found by listing the folder, in which other
CAs may write as well.

What this module decides: which objects of the folder are parts of a CA, that each must say which URL it is for and lie where that URL leads, that
none is left out of which the ledger knows certificates, and how many there may be. Numbers belong to a part (RFC 5280 section 5.2.3: to the scope
of a CRL): parts need not have the same, and AWS does not say that they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from cryptography import x509

from pkiops.backends.auditing import PublishesCrlsInParts
from pkiops.crl.authorities import KnownAuthority
from pkiops.crl.check import CheckedCrl, check_crl, read_one, scope_of
from pkiops.crl.manifest import CrlRecord, CrlSet
from pkiops.errors import VerificationFailed
from pkiops.ledger.interface import Entry, EntryState
from pkiops.x509.certificate import crl_urls_of, extension_of, load_certificate
from pkiops.x509.crl_bytes import LoadedCrl
from pkiops.x509.names import printable

# a manifest that names so many is still read by everybody (MAX_MANIFEST_BYTES)
MAX_PARTS = 1000
MAX_PARTS_BYTES = 512 * 1024 * 1024
_LONGEST_URL = 2000


_MISPLACED = "find out who wrote it there: the service names each part after its URL"


def is_in_parts(authority: KnownAuthority) -> bool:
    """Whether the CA writes its CRL in parts now."""
    return authority.observed.crl is not None and not authority.observed.crl.complete


def parts_backend(environment: str, authority: KnownAuthority, backend: object) -> PublishesCrlsInParts:
    """The backend, if it can say which parts there are.

    Raises:
        VerificationFailed: it cannot (code ``crl.partitioned``).
    """
    if not isinstance(backend, PublishesCrlsInParts):
        raise VerificationFailed(
            f"the CRL of {environment}/ca/{authority.name} is published in parts, and this backend cannot say which parts there are",
            hint="write type: COMPLETE at crl of that authority, and apply",
            code="crl.partitioned",
            details={"authorities": [authority.name]},
        )
    return backend


def fetch_parts(
    environment: str, authority: KnownAuthority, backend: PublishesCrlsInParts, *, at: datetime
) -> tuple[CheckedCrl, ...]:
    """Every part of a CA's CRL, checked, in the order of their URLs; empty if it has written none yet.

    One that went over to parts and has written none since has a complete CRL, which still speaks for all it has issued: then that is all.

    Raises:
        VerificationFailed: one must not be handed out; codes ``crl.parts-unscoped``, ``crl.parts-misplaced``, ``crl.parts-too-many`` and those of
            ``check_crl``.
        BackendError: the backend failed, or the folder may not be listed.
    """
    found: dict[str | None, CheckedCrl] = {}
    size = 0
    for file, data in backend.fetch_crl_parts(authority.observed):
        name = f"the part {printable(file)[:200]} of the CRL of {environment}/ca/{authority.name}"
        loaded = read_one(data, name)
        if _is_of_another(loaded.crl, authority.certificate):
            continue
        scope = _scope(loaded, file, name)
        if scope in found:
            raise VerificationFailed(
                f"{name} is for the same certificates as another one", code="crl.parts-misplaced", hint=_MISPLACED
            )
        size += len(data)
        if len(found) == MAX_PARTS or size > MAX_PARTS_BYTES:
            raise _too_many(f"the CRL of {environment}/ca/{authority.name} has")
        found[scope] = check_crl(loaded.crl, authority.certificate, name, at=at, der=loaded.der, scope=scope)
    if None in found and len(found) > 1:
        raise VerificationFailed(
            f"the CRL of {environment}/ca/{authority.name} is in parts, and a complete one is with them, which does not know what they say",
            hint="the CA gives it a scope with the next revocation or certificate, or at half of its life; "
            "if the CA has no certificates from before it had parts, delete the object",
            code="crl.parts-unscoped",
        )
    return tuple(found[scope] for scope in sorted(found, key=str))


def require_not_too_many(environment: str, records: Sequence[CrlRecord]) -> None:
    """Check that a manifest of these records can be read by everybody.

    Raises:
        VerificationFailed: code ``crl.parts-too-many``.
    """
    if sum(record.scope is not None for record in records) > MAX_PARTS:
        raise _too_many(f"the CRLs of {environment} have")


def _too_many(who: str) -> VerificationFailed:
    return VerificationFailed(
        f"{who} more than {MAX_PARTS} parts, or more than {MAX_PARTS_BYTES // 2**20} MiB of them",
        hint="begin a new generation of the authority, so that the parts of the old one run out with its certificates",
        code="crl.parts-too-many",
    )


def require_all_parts(
    candidate: CrlSet, authorities: Sequence[KnownAuthority], entries: Callable[[], Iterable[Entry]], *, at: datetime
) -> None:
    """Check that a set has a part for every certificate that the ledger knows of a CA with a CRL in parts, and that is valid after ``at`` (aware).

    A certificate that names no URL is covered by no part, and no relying party with these parts takes it.

    Raises:
        VerificationFailed: code ``crl.partitions-incomplete``.
        BackendError: the ledger failed.
    """
    # a CA that has written no part yet is spoken for by its complete CRL
    whole = {record.ca for record in candidate.records if record.scope is None}
    in_parts = {one.observed.reference for one in authorities if is_in_parts(one) and one.name not in whole}
    scopes = frozenset(record.scope for record in candidate.records if record.scope is not None)
    lacking: dict[str, int] = {}
    for entry in entries() if in_parts else ():
        if entry.authority_reference not in in_parts or entry.state is not EntryState.ISSUED:
            continue
        if not entry.chain or entry.not_after is None or entry.not_after <= at:
            continue
        urls = crl_urls_of(load_certificate(entry.chain[0], f"the ledger's certificate {entry.serial}"))
        if urls and scopes.isdisjoint(urls):
            lacking[urls[0]] = lacking.get(urls[0], 0) + 1
    if lacking:
        first = min(lacking)
        raise VerificationFailed(
            f"the ledger knows {sum(lacking.values())} certificates of {candidate.environment} whose part of a CRL is not in the CRL bucket: "
            f"{printable(first)[:300]}" + (f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""),
            hint="was the CA's path or bucket changed, or an object deleted? The bucket keeps older versions; bring the part back to where it was",
            code="crl.partitions-incomplete",
            details={"parts": sorted(lacking)[:20]},
        )


def _is_of_another(crl: x509.CertificateRevocationList, own: x509.Certificate) -> bool:
    """Whether a CRL says that it is of another CA, or of another key of the same name; whether it is of this one is verified."""
    if crl.issuer != own.subject:
        return True
    try:
        said = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return False
    subject_key = extension_of(own, x509.SubjectKeyIdentifier)
    return said is not None and subject_key is not None and said != subject_key.digest


def _scope(loaded: LoadedCrl, file: str, name: str) -> str | None:
    """The URL that a part is for, which must lead to the object it was found in; None of a complete CRL."""
    scope = scope_of(loaded.crl, name)
    if scope is None:
        return None
    path, last = _path(scope), f"/{file}"
    if path is None or not path.endswith(last):
        raise VerificationFailed(
            f"{name} is for certificates that name {printable(scope)[:300]}, which is not where it lies",
            hint=_MISPLACED,
            code="crl.parts-misplaced",
        )
    return scope


def _path(url: str) -> str | None:
    """The path of an http or https URL of printable characters; None of anything else."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    fits = parts.scheme in {"http", "https"} and len(url) <= _LONGEST_URL and all("!" <= one <= "~" for one in url)
    return parts.path if fits else None
