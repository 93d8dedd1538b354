"""What somebody who is no CA can make: a certificate for any name, signed by its own key, and a folder that looks like one of pkiops."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from pkiops.cert.formats import Material
from pkiops.cert.server_folder import Owner, folder_files, version_name
from tests import builders


def self_signed(name: str, *, at: datetime = builders.AT) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate of 30 days for a DNS name, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(4711).not_valid_before(at).not_valid_after(at + timedelta(days=30))
    builder = builder.add_extension(names, critical=True).add_extension(usage, critical=False)
    return builder.sign(key, hashes.SHA256()), key


def forged_folder(folder: Path, name: str, profile: str, *, environment: str, at: datetime = builders.AT) -> None:
    """A folder whose manifest says that pkiops made it under ``profile``."""
    certificate, key = self_signed(name, at=at)
    material = Material(certificate=certificate, chain=(certificate,), key=key)
    files = folder_files(material, Owner(environment, profile, (f"dns:{name}",)), str(folder))
    version = folder / version_name(files)
    version.mkdir(parents=True)
    for file in files:
        (version / file.name).write_bytes(file.data)
    assert json.loads((version / "MANIFEST.json").read_bytes())["profile"] == profile
    (folder / "current").symlink_to(version.name)
