"""What a target's files can hold: the words that ``target.yaml`` uses, and the bytes that each stands for.

What this module decides: which words there are and what they write. Text around them is a template's business, which files a target has is its
description's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum

from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.trust.bundle import BundleCertificate, BundleCrl, TrustBundle
from pkiops.trust.name_hash import subject_hash
from pkiops.trust.pem_file import ca_file, crl_file
from pkiops.trust.targets.interface import RenderedFile
from pkiops.trust.targets.java_store import jks, pkcs12
from pkiops.trust.targets.key_value_store import revoked_serials
from pkiops.trust.targets.spiffe import spiffe_bundle
from pkiops.x509.certificate import fingerprint
from pkiops.x509.certificate import pem as certificate_pem

CRLS = "crls"
# the password under which Java's own store is kept: it protects nothing, and every program asks for one
JAVA_PASSWORD = "changeit"  # noqa: S105 - public


class ContentKind(StrEnum):
    """What a content is to the relying party."""

    TRUSTED = "trusted"
    """Certificates that it builds chains with."""
    CRLS = "crls"
    """The CRLs that it checks."""
    FOLDER = "folder"
    """Several files, one for each object."""
    DERIVED = "derived"
    """The certificates again, or the CRLs, in another form."""


def content_kind(word: str) -> ContentKind | None:
    """What kind of content ``word`` names; None if there is no such word."""
    for kind, words in _WORDS.items():
        if word in words:
            return kind
    return None


def write_content(word: str, path: str, bundle: TrustBundle) -> tuple[RenderedFile, ...]:
    """The files of one content at ``path``; none where the bundle has nothing for it."""
    for words in _WORDS.values():
        if word in words:
            return words[word](path, bundle)
    raise KeyError(word)


def bare_ca_pem(certificates: Sequence[BundleCertificate]) -> bytes:
    """The certificates one after another, without comments."""
    return b"".join(certificate_pem(one.certificate) for one in certificates)


def bare_crl_pem(crls: Sequence[BundleCrl]) -> bytes:
    """The CRLs one after another, without comments."""
    return b"".join(one.checked.pem() for one in crls)


_Write = Callable[[str, TrustBundle], tuple[RenderedFile, ...]]


def _authorities(path: str, bundle: TrustBundle) -> tuple[RenderedFile, ...]:
    return (RenderedFile(path, ca_file(bundle.certificates)),)


def _authorities_bare(path: str, bundle: TrustBundle) -> tuple[RenderedFile, ...]:
    return (RenderedFile(path, bare_ca_pem(bundle.certificates)),)


def _anchors(path: str, bundle: TrustBundle) -> tuple[RenderedFile, ...]:
    return (RenderedFile(path, ca_file(bundle.anchors)),)


def _intermediates(path: str, bundle: TrustBundle) -> tuple[RenderedFile, ...]:
    return (RenderedFile(path, ca_file(bundle.intermediates)),) if bundle.intermediates else ()


def _crls(path: str, bundle: TrustBundle) -> tuple[RenderedFile, ...]:
    return (RenderedFile(path, crl_file(bundle.crls)),) if bundle.crls else ()


def _crls_bare(path: str, bundle: TrustBundle) -> tuple[RenderedFile, ...]:
    return (RenderedFile(path, bare_crl_pem(bundle.crls)),) if bundle.crls else ()


def _each_certificate(path: str, bundle: TrustBundle) -> tuple[RenderedFile, ...]:
    return tuple(
        RenderedFile(
            f"{path}{fingerprint(one.certificate)[:8]}-{one.name}.crt", certificate_pem(one.certificate)
        )
        for one in bundle.certificates
    )  # fmt: skip


def _each_crl(path: str, bundle: TrustBundle) -> tuple[RenderedFile, ...]:
    files: list[RenderedFile] = []
    for one in bundle.crls:
        files.append(RenderedFile(f"{path}{one.name}.crl", one.checked.der))
        files.append(RenderedFile(f"{path}{one.name}.crl.pem", one.checked.pem()))
    return tuple(files)


def _hash_folder(path: str, bundle: TrustBundle) -> tuple[RenderedFile, ...]:
    """``HASH.N`` per certificate and ``HASH.rN`` per CRL, one object a file, numbered within a hash (as ``openssl rehash`` does)."""
    files: list[RenderedFile] = []
    taken: dict[str, int] = {}
    objects = [(subject_hash(c.certificate.subject) + ".", certificate_pem(c.certificate)) for c in bundle.certificates]
    objects += [
        (subject_hash(c.checked.crl.issuer) + ".r", c.checked.crl.public_bytes(Encoding.PEM)) for c in bundle.crls
    ]
    for stem, data in objects:
        number = taken.get(stem, 0)
        taken[stem] = number + 1
        files.append(RenderedFile(f"{path}{stem}{number}", data))
    return tuple(files)


def _pkcs12(path: str, bundle: TrustBundle) -> tuple[RenderedFile, ...]:
    return (RenderedFile(path, pkcs12(_aliases(bundle), JAVA_PASSWORD)),)


def _jks(path: str, bundle: TrustBundle) -> tuple[RenderedFile, ...]:
    return (RenderedFile(path, jks(_aliases(bundle), JAVA_PASSWORD)),)


def _aliases(bundle: TrustBundle) -> tuple[tuple[str, bytes], ...]:
    """DER by alias; names of authorities are lower case already, so that no two of them collapse into one."""
    return tuple((one.name, one.certificate.public_bytes(Encoding.DER)) for one in bundle.certificates)


def _revoked_serials(path: str, bundle: TrustBundle) -> tuple[RenderedFile, ...]:
    if not bundle.crls:
        return ()
    where = f"bundle {bundle.environment}/{bundle.name}"
    return (RenderedFile(path, revoked_serials([one.checked.crl for one in bundle.crls], where)),)


def _spiffe(path: str, bundle: TrustBundle) -> tuple[RenderedFile, ...]:
    return (RenderedFile(path, spiffe_bundle([one.certificate for one in bundle.anchors])),)


_WORDS: dict[ContentKind, dict[str, _Write]] = {
    ContentKind.TRUSTED: {
        "authorities": _authorities,
        "authorities-bare": _authorities_bare,
        "anchors": _anchors,
        "intermediates": _intermediates,
    },
    ContentKind.CRLS: {CRLS: _crls, "crls-bare": _crls_bare},
    ContentKind.FOLDER: {"each-certificate": _each_certificate, "each-crl": _each_crl, "hash-folder": _hash_folder},
    ContentKind.DERIVED: {
        "java-pkcs12": _pkcs12,
        "java-jks": _jks,
        "spiffe-bundle": _spiffe,
        "revoked-serials": _revoked_serials,
    },
}
