"""Plain PEM and DER files for whatever loads them: one file of anchors, one of CRLs, one file per object, and an
OpenSSL hash folder.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.environment.models import Revocation, TargetKind
from pkiops.templating import load_template
from pkiops.trust.bundle import BundleCertificate, TrustBundle
from pkiops.trust.name_hash import subject_hash
from pkiops.trust.pem_file import ca_file, crl_file
from pkiops.trust.targets.interface import RenderedFile, Target
from pkiops.x509.certificate import fingerprint
from pkiops.x509.certificate import pem as certificate_pem
from pkiops.x509.crl import crl_pem

CA, INTERMEDIATES, CRL = "ca.pem", "intermediates.pem", "crl.pem"


def render(bundle: TrustBundle, location: str) -> tuple[RenderedFile, ...]:
    """The files of the bundle; anchors and intermediates apart, because half of the software trusts every certificate it is given."""
    files = [RenderedFile(CA, ca_file(bundle.anchors))]
    if bundle.intermediates:
        files.append(RenderedFile(INTERMEDIATES, ca_file(bundle.intermediates)))
    if bundle.crls:
        files.append(RenderedFile(CRL, crl_file(bundle.crls)))
    files.extend(
        RenderedFile(f"certs/{_file_name(one)}", certificate_pem(one.certificate)) for one in bundle.certificates
    )
    for crl in bundle.crls:
        files.append(RenderedFile(f"crls/{crl.name}.crl", crl.checked.der))
        files.append(RenderedFile(f"crls/{crl.name}.crl.pem", crl_pem(crl.checked.crl)))
    files.extend(_hash_folder(bundle))
    text = load_template("pem/VERIFY.md.j2").render(bundle=bundle, location=location)
    files.append(RenderedFile("VERIFY.md", text.encode()))
    return tuple(files)


def _file_name(one: BundleCertificate) -> str:
    return f"{fingerprint(one.certificate)[:8]}-{one.name}.crt"


def _hash_folder(bundle: TrustBundle) -> list[RenderedFile]:
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
        files.append(RenderedFile(f"hashdir/{stem}{number}", data))
    return files


TARGET = Target(
    kind=TargetKind.PEM,
    render=render,
    trusted_files=(CA, INTERMEDIATES),
    crl_file=CRL,
    revocations=frozenset(Revocation),
)
