"""One certificate as a folder that nginx, Envoy and HAProxy take as it is.

What this module decides: the names of files, what the snippets say, and the manifest that proves later that pkiops wrote the folder and for whom.
Every path in a snippet goes through ``current``, the link that is moved once a version is complete, so that key and chain change together. No time
is in it: the same certificate and key give the same bytes. How a folder is written is the command line's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pkiops.cert.formats import Material
from pkiops.errors import InputError
from pkiops.x509.certificate import pem, view

MANIFEST = "MANIFEST.json"
CURRENT = "current"
_KIND = "pkiops-certificate-folder"
_MAX_FILES = 20


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A file of the folder by its bare name; ``private`` files are their owner's alone."""

    name: str
    data: bytes = field(repr=False)
    private: bool = False


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose certificate a folder holds: another one's never replaces it."""

    environment: str
    profile: str
    names: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """A digest of it (hex), for places that take short and plain marks only."""
        text = json.dumps([self.environment, self.profile, *self.names], ensure_ascii=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class FolderManifest:
    """What a manifest says: the owner, and SHA-256 (hex) by the name of a file, the manifest itself left out."""

    owner: Owner
    files: Mapping[str, str]


def folder_files(material: Material, owner: Owner, location: str) -> tuple[FolderFile, ...]:
    """The files of one version, the manifest last; ``location`` is the folder's absolute path where it will be used.

    Raises:
        InputError: ``location`` cannot be written into a configuration of nginx.
    """
    check_location(location)
    shown = view(material.certificate)
    files = [
        FolderFile("tls.crt", material.sent_pem),
        FolderFile("tls.key", material.key_pem, private=True),
        FolderFile("ca.crt", pem(material.chain[-1])),
        FolderFile("haproxy.pem", material.sent_pem + material.key_pem, private=True),
        FolderFile("nginx.conf", _nginx(location, shown.extended_key_usage)),
        FolderFile("envoy.yaml", _envoy(location)),
    ]
    return (*files, FolderFile(MANIFEST, _manifest(owner, shown.serial, files)))


def check_location(location: str) -> None:
    """Ask whether the snippets can name a folder.

    Raises:
        InputError: they cannot.
    """
    if any(character in '"\\$' or not character.isprintable() for character in location):
        raise InputError(
            f"the path {location!r} cannot be written into a configuration of nginx",
            hint="choose a folder without quotes, backslashes, dollar signs and control characters",
            code="output.path",
        )


def version_name(files: Sequence[FolderFile]) -> str:
    """The name of a version's folder: a digest over all of it, so that the same contents are the same version."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.data).digest())
    return f"version-{digest.hexdigest()[:32]}"


def read_folder_manifest(data: bytes) -> FolderManifest | None:
    """A manifest that anybody may have written; None if it is not one of ours."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("kind") != _KIND:
        return None
    files, names = document.get("files"), document.get("names")
    environment, profile = document.get("environment"), document.get("profile")
    if not (isinstance(files, dict) and len(files) <= _MAX_FILES and isinstance(names, list)):
        return None
    texts = [environment, profile, *files.values(), *names]
    if not all(isinstance(one, str) for one in texts) or not all(_is_bare(name) for name in files):
        return None
    return FolderManifest(Owner(str(environment), str(profile), tuple(names)), files)


def _is_bare(name: str) -> bool:
    return name.isprintable() and "/" not in name and name not in {"", ".", "..", MANIFEST}


def _manifest(owner: Owner, serial: str, files: Sequence[FolderFile]) -> bytes:
    document = {
        "format_version": "1.0",
        "kind": _KIND,
        "environment": owner.environment,
        "profile": owner.profile,
        "names": list(owner.names),
        "serial": serial,
        "files": {file.name: hashlib.sha256(file.data).hexdigest() for file in files},
    }
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=True).encode("ascii") + b"\n"


def _nginx(location: str, usages: Sequence[str]) -> bytes:
    """For ``server`` what nginx shows to its clients, for ``location`` too what it shows to the servers behind it (ngx_http_proxy_module)."""
    prefixes = [prefix for usage, prefix in (("serverAuth", ""), ("clientAuth", "proxy_")) if usage in usages]
    lines = ["# include this in a server block; reload nginx after every change"]
    for prefix in prefixes:
        lines.append(f'{prefix}ssl_certificate "{location}/{CURRENT}/tls.crt";')
        lines.append(f'{prefix}ssl_certificate_key "{location}/{CURRENT}/tls.key";')
    return ("\n".join(lines) + "\n").encode()


def _envoy(location: str) -> bytes:
    """A file for ``sds_config.path_config_source``; Envoy watches the folder for the moved link (TlsCertificate.watched_directory of its v3 API)."""
    folder = json.dumps(location, ensure_ascii=True)
    lines = [
        "resources:",
        '- "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
        "  name: pkiops",
        "  tls_certificate:",
        f"    certificate_chain: {{filename: {_joined(location, 'tls.crt')}}}",
        f"    private_key: {{filename: {_joined(location, 'tls.key')}}}",
        f"    watched_directory: {{path: {folder}}}",
    ]
    return ("\n".join(lines) + "\n").encode("ascii")


def _joined(location: str, name: str) -> str:
    # a JSON string is a YAML string, whatever is in it
    return json.dumps(f"{location}/{CURRENT}/{name}", ensure_ascii=True)
