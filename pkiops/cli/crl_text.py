"""What ``crl show`` says about CRLs as text, a line at a time: a million entries are written as they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pkiops.cli.output import iso

if TYPE_CHECKING:
    from pkiops.x509.crl_bytes import LoadedCrl

# hexadecimal digits of the longest serial number that a CA may give (RFC 5280 section 4.1.2.2); a longer one shifts its own line only
_SERIAL = 40


def show_lines(shown: Iterable[tuple[dict[str, Any], LoadedCrl]], *, entries: bool) -> Iterator[str]:
    """The lines about each CRL, an empty one between two; ``entries``: with every revoked certificate."""
    for number, (description, loaded) in enumerate(shown):
        if number:
            yield ""
        yield from _crl_lines(description)
        if entries and description["entries"]:
            yield from _entry_lines(loaded)


def _crl_lines(shown: dict[str, Any]) -> Iterator[str]:
    until = iso(shown["next_update"]) if shown["next_update"] else "never (it names no next update)"
    yield f"issuer       {shown['issuer']}"
    yield f"key id       {shown['authority_key_identifier'] or 'none'}"
    yield f"number       {'none' if shown['number'] is None else shown['number']}"
    yield f"this update  {iso(shown['this_update'])}"
    yield f"next update  {until}{'  EXPIRED' if shown['expired'] else ''}"
    yield f"revoked      {shown['entries']}"
    yield f"signature    {shown['signature_algorithm']}, not checked here (crl verify does)"
    yield f"sha256       {shown['sha256']}"
    yield from (f"note         {word}" for word in ("partitioned", "delta") if shown[word])


def _entry_lines(loaded: LoadedCrl) -> Iterator[str]:
    from pkiops.crl.look import moment_text
    from pkiops.x509.certificate import serial_hex
    from pkiops.x509.revoked import revoked_entries

    yield f"{'SERIAL':{_SERIAL}}  REVOKED AT            REASON"
    for serial, entry in revoked_entries(loaded):
        yield f"{serial_hex(serial):{_SERIAL}}  {moment_text(entry.date)}  {entry.reason or ''}".rstrip()
