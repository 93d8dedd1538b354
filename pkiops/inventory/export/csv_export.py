"""A table of an inventory as CSV (RFC 4180): UTF-8, a header, CRLF, one line per row.

What this module decides: the columns, and how every value becomes a cell that no spreadsheet runs. A cell is for reading: what it had to change (see
``harmless``) is lossless in JSON.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pkiops.inventory.records import AuthorityRecord, CertificateRecord

AUTHORITY_COLUMNS = (
    "authority", "generation", "position", "depth", "issuer", "issuer_reference", "issuer_subject", "declared", "exists",
    "identified_by", "reference", "type", "status", "subject", "key_algorithm", "signing_algorithm", "usage_mode", "serial",
    "sha256", "spki_sha256", "subject_key_identifier", "signature_algorithm", "path_length", "created_at", "not_before",
    "not_after", "days_left", "crl_bucket", "crl_host", "crl_path", "crl_url", "crl_validity_days", "ocsp", "tags",
    "owner_account", "restorable_until", "failure_reason", "remark",
)  # fmt: skip
CERTIFICATE_COLUMNS = (
    "serial", "authority", "generation", "profile", "state", "validity", "subject", "sans", "usages", "not_before", "not_after",
    "days_left", "sha256", "spki_sha256", "key_algorithm", "signature_algorithm", "issuer_subject", "template", "requester",
    "requested_at", "updated_at", "revoked_at", "revocation_reason", "revoked_by", "request_key", "attempt", "csr_sha256",
    "policy_sha256", "authority_reference", "certificate_reference", "entry",
)  # fmt: skip

_FORMULA_STARTS = frozenset("=+-@\u2212")
_CELL_STARTS = frozenset("\t\r\n")
# Not printed, or breaking a line: control, format (bidirectional overrides, zero width), surrogate, separators.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def authorities_csv(records: Iterable[AuthorityRecord]) -> bytes:
    """The authorities, in the order given."""
    return _csv(AUTHORITY_COLUMNS, records)


def certificates_csv(records: Iterable[CertificateRecord]) -> bytes:
    """The certificates, in the order given."""
    return _csv(CERTIFICATE_COLUMNS, records)


def harmless(text: str) -> str:
    r"""A text as a cell: what a spreadsheet would take for a formula starts with an apostrophe, and nothing unprintable is left.

    A formula starts with ``= + - @`` (their fullwidth and other compatibility forms too) after any white space, or with a tab, CR or
    LF; also after a ``;``, which separates cells where the comma is the decimal sign. Control and invisible characters become
    ``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN``.
    """
    parts = text.split(";")
    return ";".join(_escaped(f"'{part}" if _starts_formula(part) else part) for part in parts)


def _starts_formula(text: str) -> bool:
    if text[:1] in _CELL_STARTS:
        return True
    # invisible characters are skipped like white space: a spreadsheet may drop them before it looks
    for character in text:
        if character.isspace() or unicodedata.category(character) in _UNPRINTABLE:
            continue
        return unicodedata.normalize("NFKC", character)[:1] in _FORMULA_STARTS
    return False


def _escaped(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(one) if unicodedata.category(one) in _UNPRINTABLE else one for one in text)


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _csv(columns: Sequence[str], records: Iterable[object]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(_value(record, column)) for column in columns] for record in records)
    return out.getvalue().encode("utf-8")


def _value(record: object, column: str) -> Any:
    match = re.fullmatch(r"crl_(\w+)", column)
    if match is None:
        return getattr(record, column)
    crl = getattr(record, "crl")  # noqa: B009 - only authorities have one
    return None if crl is None else getattr(crl, match[1])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, Mapping):
        value = "; ".join(f"{key}={item}" for key, item in value.items())
    elif not isinstance(value, str):
        value = "; ".join(value)
    return harmless(value)
