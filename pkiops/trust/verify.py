"""Whether rendered files do what they should, judged by their bytes alone.

What this module decides: what is looked at (manifest, kinds of PEM blocks, anchors against the pins and against what
the CA backend says now, chains, CRLs, and finally whether pkiops would render the same bytes from them), and that
every problem is reported, not the first. Handshakes are ``probe.py``'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from pkiops.crl.authorities import KnownAuthority
from pkiops.crl.check import CheckedCrl, check_crl
from pkiops.crl.outside import CertifiedCa, outside_cas
from pkiops.environment.hierarchy import declaration
from pkiops.environment.models import Environment, Revocation
from pkiops.errors import InputError, VerificationFailed
from pkiops.trust import manifest
from pkiops.trust.bundle import build_bundle, is_pinned, revocation_authorities, select_authorities
from pkiops.trust.folder import list_files, read_file
from pkiops.trust.pem_file import MAX_CRL_FILE_BYTES, read_ca_file, read_crl_file
from pkiops.trust.probe import RelyingParty
from pkiops.trust.render import render_target
from pkiops.trust.targets.interface import Target
from pkiops.x509.certificate import fingerprint, view
from pkiops.x509.crl_bytes import LoadedCrl
from pkiops.x509.names import rfc4514

NO_MARGIN = timedelta(0)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; ``file`` is relative to the target's folder."""

    code: str
    file: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a folder is compared with: the environment, its CAs as the backend has them, which bundle and target it is, and the moment (aware).

    ``published`` are the CRLs by authority name that a bundle was made with which has none itself (``crls_for`` in ``render.py``).
    """

    environment: Environment
    authorities: Sequence[KnownAuthority]
    bundle: str
    target_name: str
    target: Target
    at: datetime
    published: Mapping[str, CheckedCrl] = field(default_factory=dict)


@dataclass
class _Folder:
    """A folder that has been read, and what was found."""

    files: dict[str, bytes]
    location: str | None = None
    findings: list[Finding] = field(default_factory=list)

    def report(self, code: str, file: str, message: str) -> None:
        self.findings.append(Finding(code, file, message))


@dataclass(frozen=True, slots=True)
class VerifiedFolder:
    """What came of looking at one folder; ``relying_party`` is what a server would load, None if it cannot be. ``location`` is where its manifest
    says that it will be, empty without one.
    """

    path: Path
    bundle: str
    target: str
    findings: tuple[Finding, ...]
    anchors: tuple[str, ...]
    crls: tuple[str, ...]
    relying_party: RelyingParty | None
    location: str = ""


def verify_folder(path: Path, expected: Expected) -> VerifiedFolder:
    """Look at one rendered folder.

    Raises:
        InputError: there is no such folder, or a file in it cannot be read.
    """
    if not path.is_dir():
        name = expected.environment.environment
        to = path.parent.parent
        hint = f"render it first: pkiops trust render {name} --to {to}"
        if (to / manifest.NAME).exists():
            hint = f"{to} is the folder of one target; give the one that was given to trust render, with its folders of bundles"
        raise InputError(f"{path} is not a folder", hint=hint, code="usage.input")
    folder = _read(path)
    _check_manifest(folder, expected)
    certificates = _check_certificates(folder, expected)
    crls = _check_crls(folder, expected)
    if not folder.findings:
        _check_rendering(folder, expected, crls)
    revocation = expected.environment.trust.bundles[expected.bundle].revocation
    trusted = tuple(folder.files[name] for name in expected.target.trusted_files if name in folder.files)
    unloadable = any(
        f.code in {"trust.file-unreadable", "trust.file-missing", "trust.file-empty"} for f in folder.findings
    )
    return VerifiedFolder(
        path=path,
        bundle=expected.bundle,
        target=expected.target_name,
        findings=tuple(folder.findings),
        anchors=tuple(fingerprint(c) for c in certificates if c.issuer == c.subject),
        crls=tuple(sorted(crls)),
        relying_party=None
        if unloadable
        else RelyingParty(trusted, folder.files.get(expected.target.crl_file or ""), revocation),
        location=folder.location or "",
    )


def _read(path: Path) -> _Folder:
    folder = _Folder({})
    for name in list_files(path):
        try:
            data = read_file(path, name, max_bytes=MAX_CRL_FILE_BYTES)
        except VerificationFailed as error:
            folder.report(error.code, name, error.message)
            continue
        if data is not None:
            folder.files[name] = data
    return folder


def _check_manifest(folder: _Folder, expected: Expected) -> None:
    data = folder.files.get(manifest.NAME)
    if data is None:
        folder.report("trust.manifest", manifest.NAME, "is missing: pkiops did not write this folder, or not all of it")
        return
    try:
        read = manifest.read_manifest(data, manifest.NAME)
    except VerificationFailed as error:
        folder.report(error.code, manifest.NAME, error.message)
        return
    folder.location = read.location
    meant = (expected.environment.environment, expected.bundle, expected.target_name)
    if (read.environment, read.bundle, read.target) != meant:
        folder.report(
            "trust.wrong-folder",
            manifest.NAME,
            f"is of {read.environment}/{read.bundle}/{read.target}, not of {'/'.join(meant)}",
        )
    for name, digest in sorted(read.files.items()):
        if name not in folder.files:
            folder.report("trust.file-missing", name, "is in the manifest, but not in the folder")
        elif hashlib.sha256(folder.files[name]).hexdigest() != digest:
            folder.report("trust.file-changed", name, "is not the file that the manifest describes")
    for name in sorted(set(folder.files) - {*read.files, manifest.NAME}):
        folder.report("trust.file-extra", name, "is not in the manifest")


def _check_certificates(folder: _Folder, expected: Expected) -> list[x509.Certificate]:
    """Every certificate in a trusted file is one of our CAs, as pinned and as the backend has it; every anchor is there."""
    declared = expected.environment.trust.bundles[expected.bundle]
    anchors, below = select_authorities(expected.environment, declared, expected.authorities)
    ours = {fingerprint(one.certificate): one for one in (*anchors, *below)}
    found: list[x509.Certificate] = []
    for name in expected.target.trusted_files:
        if name in folder.files:
            try:
                found.extend(read_ca_file(folder.files[name], name))
            except (VerificationFailed, InputError) as error:
                folder.report(_unreadable(error), name, error.message)
        elif name == expected.target.trusted_files[0]:
            folder.report("trust.file-missing", name, "is missing")
    first = expected.target.trusted_files[0]
    for certificate in found:
        one = ours.get(fingerprint(certificate))
        if one is None:
            folder.report("trust.foreign-certificate", first, _foreign(certificate, expected))
        elif is_pinned(expected.environment, one):
            pin = declaration(expected.environment, one.label).sha256
            if fingerprint(certificate) != pin:
                folder.report("trust.pin", first, f"{one.name} is not the one that the environment file pins ({pin})")
    present = [fingerprint(certificate) for certificate in found]
    for duplicate in sorted({p for p in present if present.count(p) > 1}):
        folder.report("trust.duplicate", first, f"certificate {duplicate} is in it twice")
    for anchor in anchors:
        if fingerprint(anchor.certificate) not in present:
            folder.report("trust.anchor-missing", first, f"anchor {anchor.name} is missing: its clients are refused")
    missing = set(declared.anchors) - {anchor.label for anchor in anchors}
    for label in sorted(missing):
        folder.report("trust.anchor-missing", first, f"anchor {label} does not exist, or has expired")
    return found


def _foreign(certificate: x509.Certificate, expected: Expected) -> str:
    shown = view(certificate)
    name = f"{shown.subject} ({shown.sha256})"
    if not shown.is_ca:
        return f"{name} is not a CA, and would be trusted all the same by some servers"
    if shown.not_after <= expected.at:
        return f"{name} has expired: some servers refuse good clients because of it, others go on trusting it"
    return f"{name} is not a CA of bundle {expected.bundle} as the CA backend has it now: whoever has its key gets in"


def _check_crls(folder: _Folder, expected: Expected) -> dict[str, CheckedCrl]:
    """Every CRL is a current one of one of our CAs, and every CA that needs one has one."""
    declared = expected.environment.trust.bundles[expected.bundle]
    name = expected.target.crl_file
    if name is None:
        return {}
    anchors, below = select_authorities(expected.environment, declared, expected.authorities)
    needed = revocation_authorities(expected.environment, declared.revocation, anchors, below)
    found: dict[str, CheckedCrl] = {}
    if name in folder.files:
        try:
            for loaded in read_crl_file(folder.files[name], name):
                _match_crl(folder, expected, name, loaded, found)
        except (VerificationFailed, InputError) as error:
            folder.report(_unreadable(error), name, error.message)
            return found
    elif declared.revocation is not Revocation.NONE:
        folder.report("trust.file-missing", name, "is missing: revoked clients get in, or nobody does")
        return found
    for authority in needed:
        if authority.name not in found:
            folder.report(
                "trust.crl-missing", name, f"no usable CRL of {authority.name}: every client below it is refused"
            )
    return found


def _match_crl(
    folder: _Folder,
    expected: Expected,
    file: str,
    loaded: LoadedCrl,
    found: dict[str, CheckedCrl],
) -> None:
    crl = loaded.crl
    outside = outside_cas(expected.environment, expected.authorities)
    everyone: list[CertifiedCa] = [*expected.authorities, *outside]
    candidates = [a for a in everyone if a.certificate.subject == crl.issuer]
    problem = f"the CRL of {rfc4514(crl.issuer)} is not of a CA of this environment"
    code = "trust.crl-foreign"
    for authority in candidates:
        try:
            what = f"the CRL of {authority.name}"
            checked = check_crl(crl, authority.certificate, what, at=expected.at, margin=NO_MARGIN, der=loaded.der)
        except VerificationFailed as error:
            problem, code = error.message, error.code
            continue
        if authority.name in found:
            folder.report("trust.duplicate", file, f"there are two CRLs of {authority.name}")
        found[authority.name] = checked
        return
    folder.report(code, file, problem)


def _check_rendering(folder: _Folder, expected: Expected, crls: Mapping[str, CheckedCrl]) -> None:
    """The same certificates and CRLs must give the same bytes: that covers configuration snippets, and manifests made to fit changed files."""
    if expected.environment.trust.bundles[expected.bundle].revocation is Revocation.NONE:
        crls = expected.published
    try:
        bundle = build_bundle(
            expected.environment, expected.bundle, expected.authorities, crls, at=expected.at, margin=NO_MARGIN
        )
        rendered = render_target(bundle, expected.target_name, expected.target, folder.location or "")
    except (VerificationFailed, InputError) as error:
        folder.report(error.code, manifest.NAME, error.message)
        return
    wanted = {file.path: file.data for file in rendered}
    for name in sorted({*wanted, *folder.files}):
        if wanted.get(name) != folder.files.get(name):
            folder.report(
                "trust.rendering",
                name,
                "differs from what pkiops renders of these certificates and CRLs now: changed by hand, or by another version; render again",
            )


def _unreadable(error: VerificationFailed | InputError) -> str:
    return error.code if isinstance(error, VerificationFailed) else "trust.file-unreadable"
