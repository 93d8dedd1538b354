"""A complete set of CRLs as named files: what the folder ``ENV/crl/SHA256/`` holds.

What this module decides: the files of a set, their names, and its manifest, whose SHA-256 names the folder. The
manifest is canonical JSON (sorted keys, no blanks, ASCII, one newline at the end) and holds no time of its making, so
that the same CRLs are the same set. Reading one takes it for hostile: every field is checked, and no name in it
becomes a key.

A CRL in parts is a record for each part: its scope is the URL that certificates name, and its name that of the CA and a digest of the URL. A set
without any is written as it was before there were parts (format 1.0), byte for byte.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pkiops.crl.authorities import authority_name
from pkiops.crl.check import CheckedCrl
from pkiops.errors import VerificationFailed

FORMAT_VERSION = "1.0"
_FORMAT_WITH_PARTS = "1.1"
MANIFEST = "manifest.json"
ALL_PEM = "crl.pem"
MAX_MANIFEST_BYTES = 1024 * 1024
_MAX_TEXT = 4096
_LABEL = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_HEX = re.compile(r"(?:[0-9a-f]{2}){1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_URL = re.compile(r"https?://[!-~]{1,2000}")
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlRecord:
    """What a manifest says about one CRL; ``sha256`` is that of its DER, ``scope`` the URL in certificates that it is for, None: it is complete."""

    authority: str
    generation: int
    issuer: str
    aki: str
    number: int
    this_update: datetime
    next_update: datetime
    entries: int
    sha256: str
    scope: str | None = None

    @property
    def ca(self) -> str:
        """``clients-g1``."""
        return authority_name(self.authority, self.generation)

    @property
    def name(self) -> str:
        """``clients-g1``; of a part ``clients-g1.0123456789abcdef``, the same for as long as its URL is."""
        return self.ca if self.scope is None else f"{self.ca}.{hashlib.sha256(self.scope.encode()).hexdigest()[:16]}"

    @property
    def der_file(self) -> str:
        """The name of the file in DER."""
        return f"{self.name}.crl"

    @property
    def pem_file(self) -> str:
        """The name of the file in PEM; ``crl.pem`` holds all of them."""
        return f"{self.name}.crl.pem"

    def as_json(self) -> dict[str, Any]:
        """The record as it stands in a manifest."""
        return {
            "authority": self.authority,
            "generation": self.generation,
            "issuer": self.issuer,
            "aki": self.aki,
            "number": self.number,
            "this_update": self.this_update.strftime(_MOMENT),
            "next_update": self.next_update.strftime(_MOMENT),
            "entries": self.entries,
            "sha256": self.sha256,
            "der": self.der_file,
            "pem": self.pem_file,
            **({} if self.scope is None else {"scope": self.scope}),
        }


@dataclass(frozen=True, slots=True)
class SetFile:
    """One file of a set."""

    name: str
    data: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class CrlSet:
    """A complete set: every CA's CRL, roots first."""

    environment: str
    records: tuple[CrlRecord, ...]
    crls: tuple[CheckedCrl, ...]

    def manifest(self) -> bytes:
        """The manifest."""
        return encode_manifest(self.environment, self.records)

    def digest(self) -> str:
        """SHA-256 of the manifest, lower-case hex: the name of the folder."""
        return hashlib.sha256(self.manifest()).hexdigest()

    def files(self) -> tuple[SetFile, ...]:
        """Every file of the folder, the manifest last."""
        files: list[SetFile] = []
        pems = [one.pem() for one in self.crls]
        for record, one, pem in zip(self.records, self.crls, pems, strict=True):
            files.append(SetFile(record.der_file, one.der, "application/pkix-crl"))
            files.append(SetFile(record.pem_file, pem, "application/x-pem-file"))
        files.append(SetFile(ALL_PEM, b"".join(pems), "application/x-pem-file"))
        files.append(SetFile(MANIFEST, self.manifest(), "application/json"))
        return tuple(files)


def record_of(authority: str, generation: int, checked: CheckedCrl) -> CrlRecord:
    """What a manifest says about a CRL that passed its checks."""
    view = checked.view
    return CrlRecord(
        authority=authority,
        generation=generation,
        issuer=view.issuer,
        aki=checked.authority_key_identifier,
        number=checked.number,
        this_update=view.this_update,
        next_update=checked.next_update,
        entries=view.entries,
        sha256=view.sha256,
        scope=checked.scope,
    )


def format_of(records: Sequence[CrlRecord]) -> str:
    """The format in which these records are written."""
    return FORMAT_VERSION if all(record.scope is None for record in records) else _FORMAT_WITH_PARTS


def encode_manifest(environment: str, records: Sequence[CrlRecord]) -> bytes:
    """The canonical manifest of these records."""
    return canonical_json(
        {
            "format_version": format_of(records),
            "environment": environment,
            "crls": [record.as_json() for record in records],
        }
    )


def canonical_json(document: object) -> bytes:
    """JSON with sorted keys, no blanks, ASCII only, one newline at the end."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode("ascii") + b"\n"


def parse_json(data: bytes, name: str) -> dict[str, Any]:
    """A JSON object out of bytes that anybody may have written.

    Raises:
        VerificationFailed: it is none.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise VerificationFailed(f"{name} is not JSON", code="crl.manifest") from error
    if not isinstance(document, dict):
        raise VerificationFailed(f"{name} is not a JSON object", code="crl.manifest")
    return document


def decode_manifest(data: bytes, environment: str, name: str) -> tuple[CrlRecord, ...]:
    """The records of a manifest that anybody may have written.

    Raises:
        VerificationFailed: it is no manifest of this environment, or not exactly what ``encode_manifest`` would write.
    """
    document = parse_json(data, name)
    entries = document.get("crls")
    known = (FORMAT_VERSION, _FORMAT_WITH_PARTS)
    if document.get("format_version") not in known or document.get("environment") != environment:
        raise VerificationFailed(
            f"{name} is not of environment {environment} in format {' or '.join(known)}", code="crl.manifest"
        )
    if not isinstance(entries, list):
        raise VerificationFailed(f"{name} lists no CRLs", code="crl.manifest")
    records = tuple(_record(entry, name) for entry in entries)
    if len({record.name for record in records}) != len(records):
        raise VerificationFailed(f"{name} names a CRL twice", code="crl.manifest")
    # whatever was overlooked above (other keys, other file names, another order of keys) shows here
    if encode_manifest(environment, records) != data:
        raise VerificationFailed(f"{name} is not a manifest that pkiops wrote", code="crl.manifest")
    return records


def _record(entry: object, name: str) -> CrlRecord:
    if not isinstance(entry, dict):
        raise VerificationFailed(f"{name} lists something that is no CRL", code="crl.manifest")
    try:
        return CrlRecord(
            authority=_text(entry["authority"], _LABEL),
            generation=_number(entry["generation"], 999),
            issuer=_text(entry["issuer"], None),
            aki=_text(entry["aki"], _HEX),
            number=_number(entry["number"], 2**160),
            this_update=_moment(entry["this_update"]),
            next_update=_moment(entry["next_update"]),
            entries=_number(entry["entries"], 2**32),
            sha256=_text(entry["sha256"], _SHA256),
            scope=_text(entry["scope"], _URL) if "scope" in entry else None,
        )
    except (KeyError, ValueError) as error:
        raise VerificationFailed(f"{name} holds a damaged entry ({error})", code="crl.manifest") from error


def _text(value: object, pattern: re.Pattern[str] | None) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT or (pattern is not None and not pattern.fullmatch(value)):
        raise ValueError("not the text that was expected")
    return value


def _number(value: object, limit: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
        raise ValueError("not the number that was expected")
    return value


def _moment(value: object) -> datetime:
    return datetime.strptime(_text(value, None), _MOMENT).replace(tzinfo=UTC)
