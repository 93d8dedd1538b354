"""What ``crl show`` tells about a CRL, and under which CA ``crl verify`` checks one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509

from pkiops.crl.authorities import KnownAuthority
from pkiops.crl.check import CheckedCrl, check_crl, scope_of
from pkiops.crl.manifest import CrlRecord
from pkiops.errors import VerificationFailed
from pkiops.x509.certificate import serial_hex
from pkiops.x509.crl import CrlView
from pkiops.x509.crl_bytes import LoadedCrl
from pkiops.x509.names import rfc4514
from pkiops.x509.revoked import revoked_entries

_NO_MARGIN = timedelta(0)


def describe_crl(view: CrlView, at: datetime) -> dict[str, Any]:
    """JSON-ready data about a CRL; ``expired`` is as of ``at`` (aware)."""
    return {
        "issuer": view.issuer,
        "authority_key_identifier": view.authority_key_identifier,
        "number": view.number,
        "this_update": view.this_update,
        "next_update": view.next_update,
        "expired": view.next_update is not None and view.next_update < at,
        "entries": view.entries,
        "signature_algorithm": view.signature_algorithm,
        "partitioned": view.partitioned,
        "delta": view.delta,
        "sha256": view.sha256,
    }


def shown_json(empty: str, shown: Iterable[tuple[dict[str, Any], LoadedCrl]], *, entries: bool) -> Iterator[str]:
    """The lines of a JSON document with every CRL, and every revoked certificate where ``entries`` says so, written as they are read.

    ``empty`` is the document with ``"crls": []`` at its end.
    """
    start, _, end = empty.rpartition("[]")
    yield f"{start}["
    comma = ""
    for description, loaded in shown:
        body = json.dumps(description, indent=6, default=_moment).removeprefix("{\n").removesuffix("\n}")
        yield f"    {comma}{{"
        if entries:
            yield f'{body},\n      "revoked": ['
            yield from _entries_json(loaded)
            yield "      ]"
        else:
            yield body
        yield "    }"
        comma = ", "
    yield f"  ]{end}"


def _entries_json(loaded: LoadedCrl) -> Iterator[str]:
    """Serial numbers, moments and reasons hold nothing that JSON escapes."""
    comma = ""
    for serial, entry in revoked_entries(loaded):
        reason = f'"{entry.reason}"' if entry.reason else "null"
        yield f'        {comma}{{"serial": "{serial_hex(serial)}", "revoked_at": "{moment_text(entry.date)}", "reason": {reason}}}'
        comma = ", "


def moment_text(moment: datetime) -> str:
    """A moment in UTC as RFC 3339 with Z, whole seconds; a million of them in a third of a second."""
    return f"{moment.isoformat()[:19]}Z"


def _moment(moment: object) -> str:
    if not isinstance(moment, datetime):
        raise TypeError(f"not JSON: {type(moment).__name__}")
    return moment_text(moment.astimezone(UTC))


def describe_record(record: CrlRecord, change: str) -> dict[str, Any]:
    """JSON-ready data about one CRL of a published set."""
    return {
        "authority": record.authority,
        "generation": record.generation,
        "change": change,
        "scope": record.scope,
        "issuer": record.issuer,
        "authority_key_identifier": record.aki,
        "number": record.number,
        "this_update": record.this_update,
        "next_update": record.next_update,
        "entries": record.entries,
        "sha256": record.sha256,
    }


def verify_under(
    loaded: LoadedCrl, issuers: Sequence[tuple[str, x509.Certificate]], *, at: datetime
) -> tuple[str, CheckedCrl]:
    """The name of the CA among ``issuers`` whose CRL this is, and the checked CRL.

    Raises:
        VerificationFailed: it is of none of them, or not current at ``at`` (aware), or must not be used for another reason.
    """
    failure: VerificationFailed | None = None
    for name, issuer in issuers:
        if issuer.subject != loaded.crl.issuer:
            continue
        try:
            return name, _checked(loaded, issuer, name, at)
        except VerificationFailed as error:
            failure = error
    if failure is not None:
        raise failure
    names = ", ".join(name for name, _ in issuers) or "no CA"
    raise VerificationFailed(
        f"the CRL of {rfc4514(loaded.crl.issuer)} is not of {names}",
        hint="every CRL of a file is verified: name the environment, or give a file with the certificates of all of their CAs",
        code="crl.issuer",
    )


def _checked(loaded: LoadedCrl, issuer: x509.Certificate, name: str, at: datetime) -> CheckedCrl:
    what = f"the CRL of {name}"
    scope = scope_of(loaded.crl, what)
    return check_crl(loaded.crl, issuer, what, at=at, margin=_NO_MARGIN, der=loaded.der, scope=scope)


def issuers_of(environment: str, authorities: Sequence[KnownAuthority]) -> list[tuple[str, x509.Certificate]]:
    """The CAs of an environment by name, for ``verify_under``."""
    return [(f"{environment}/ca/{authority.name}", authority.certificate) for authority in authorities]
