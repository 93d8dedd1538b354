"""``MANIFEST.json`` of a rendered folder: what is inside, for people and programs, and the proof that pkiops wrote
it.

What this module decides: its fields, and the digest over the parsed content (roles and fingerprints, not bytes of
files), by which two folders of different targets or of salted formats can be compared. No time of its making is in
it: the same bundle gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pkiops.crl.manifest import canonical_json
from pkiops.errors import VerificationFailed
from pkiops.trust.bundle import BundleCertificate, BundleCrl, TrustBundle
from pkiops.trust.targets.interface import RenderedFile
from pkiops.x509.certificate import view

NAME = "MANIFEST.json"
MAX_BYTES = 4 * 1024 * 1024
KIND = "pkiops-trust-target"
FORMAT_VERSION = "1.0"
_MAX_FILES = 10_000
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class FolderManifest:
    """What a manifest says about its folder; ``files`` is SHA-256 by path, the manifest itself left out."""

    environment: str
    bundle: str
    target: str
    location: str
    content_sha256: str
    files: dict[str, str]


def content_digest(bundle: TrustBundle) -> str:
    """SHA-256 over what the bundle holds, whatever it is rendered to."""
    content = {
        "revocation": bundle.revocation.value,
        "certificates": [[one.role.value, view(one.certificate).sha256] for one in bundle.certificates],
        "crls": [one.checked.view.sha256 for one in bundle.crls],
    }
    return hashlib.sha256(canonical_json(content)).hexdigest()


def manifest_file(bundle: TrustBundle, target: str, location: str, files: Sequence[RenderedFile]) -> RenderedFile:
    """The manifest of a rendered folder."""
    document = {
        "format_version": FORMAT_VERSION,
        "kind": KIND,
        "environment": bundle.environment,
        "bundle": bundle.name,
        "target": target,
        "location": location,
        "revocation": bundle.revocation.value,
        "intermediate_depth": bundle.intermediate_depth,
        "content_sha256": content_digest(bundle),
        "certificates": [_certificate(one) for one in bundle.certificates],
        "crls": [_crl(one) for one in bundle.crls],
        "files": {file.path: hashlib.sha256(file.data).hexdigest() for file in files},
    }
    return RenderedFile(NAME, json.dumps(document, indent=2, sort_keys=True, ensure_ascii=True).encode() + b"\n")


def read_manifest(data: bytes, name: str) -> FolderManifest:
    """Read a manifest that anybody may have written.

    Raises:
        VerificationFailed: it is not one of pkiops.
    """
    document = read_document(data, name)
    files = document.get("files")
    if not isinstance(files, dict) or len(files) > _MAX_FILES:
        raise VerificationFailed(f"{name} is damaged", code="trust.manifest")
    if not all(_is_safe(path) and isinstance(digest, str) for path, digest in files.items()):
        raise VerificationFailed(f"{name} names files outside of its folder", code="trust.manifest")

    def text(key: str) -> str:
        value = document.get(key)
        if not isinstance(value, str):
            raise VerificationFailed(f"{name} is damaged: no {key}", code="trust.manifest")
        return value

    return FolderManifest(
        environment=text("environment"),
        bundle=text("bundle"),
        target=text("target"),
        location=text("location"),
        content_sha256=text("content_sha256"),
        files=files,
    )


def read_document(data: bytes, name: str) -> Mapping[str, Any]:
    """The JSON object of a manifest that anybody may have written; of its fields only the kind is looked at.

    Raises:
        VerificationFailed: it is not one of pkiops.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise VerificationFailed(f"{name} is not JSON", code="trust.manifest") from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise VerificationFailed(f"{name} is not a manifest that pkiops wrote", code="trust.manifest")
    return document


def _is_safe(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and path.isprintable() and not path.startswith("/") and ".." not in parts


def _certificate(one: BundleCertificate) -> dict[str, Any]:
    shown = view(one.certificate)
    return {
        "authority": one.name,
        "role": one.role.value,
        "pinned": one.pinned,
        "subject": shown.subject,
        "sha256": shown.sha256,
        "ski": shown.subject_key_identifier,
        "not_after": shown.not_after.strftime(_MOMENT),
    }


def _crl(one: BundleCrl) -> dict[str, Any]:
    shown = one.checked.view
    return {
        "authority": one.name,
        "issuer": shown.issuer,
        "aki": one.checked.authority_key_identifier,
        "number": one.checked.number,
        "this_update": shown.this_update.strftime(_MOMENT),
        "next_update": one.checked.next_update.strftime(_MOMENT),
        "entries": shown.entries,
        "sha256": shown.sha256,
    }
