"""The rules for what is above a CA's own certificate before it is installed: order, completeness, signatures, path lengths, pins. Pure.

Each certificate of the chain is called by its place, ``certificate 1 of the chain (CN=...)``, so that it is found in a file. The CA's own certificate
is judged by ``import_certificate.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from pkiops.ca.desired import OutsideAuthority
from pkiops.ca.import_certificate import critical_extensions, usage_findings
from pkiops.ca.import_finding import Expected, ImportFinding
from pkiops.environment.name_constraints import too_wide
from pkiops.x509 import pem
from pkiops.x509.armor import PARSE_ERRORS
from pkiops.x509.certificate import extension_of, fingerprint, key_usage_of
from pkiops.x509.name_constraints import name_constraints_of
from pkiops.x509.names import rfc4514
from pkiops.x509.refusal import moment, title
from pkiops.x509.signatures import certificate_signed_by, has_broken_digest
from pkiops.x509.weak_keys import weakness_of

MAX_CHAIN = 2_097_152  # CertificateChain of ImportCertificateAuthorityCertificate, in PEM
MAX_LEVELS = 5  # hierarchies of AWS Private CA: a root and four levels below it
_MIN_RSA_BITS = 2048


def chain_findings(
    certificate: x509.Certificate, chain: Sequence[x509.Certificate], expected: Expected, at: datetime
) -> Iterator[ImportFinding]:
    """Everything that is wrong with the chain of a CA's certificate, its issuer first and the root last."""
    signs_itself = certificate.issuer == certificate.subject and certificate_signed_by(certificate, certificate)
    if expected.is_root:
        yield from _root(chain, signs_itself=signs_itself)
        return
    if signs_itself:
        message = "the certificate is self-signed, and the service takes that for a root only"
        yield ImportFinding("import.self-signed", message, "have the request signed by the issuer in the file")
        return
    if not chain:
        yield ImportFinding(
            "import.chain-incomplete",
            f"the chain is missing: the service wants every certificate from the issuer ({rfc4514(certificate.issuer)}) up to the root",
            "give them with --chain",
        )
        return
    yield from _extent(certificate, chain)
    yield from _order(certificate, chain)
    for place, one in enumerate(chain):
        yield from _issuer(certificate, one, place, expected, at)
    yield from _declared(chain, expected.outside)


def _root(chain: Sequence[x509.Certificate], *, signs_itself: bool) -> Iterator[ImportFinding]:
    if not signs_itself:
        yield ImportFinding("import.self-signed", "the certificate is not self-signed, and the CA is a root")
    if chain:
        yield ImportFinding("import.chain-extra", "a root has no chain above it", "leave the chain out")


def _extent(certificate: x509.Certificate, chain: Sequence[x509.Certificate]) -> Iterator[ImportFinding]:
    size = sum(len(pem.encode(one.public_bytes(Encoding.DER), pem.CERTIFICATE)) for one in chain)
    if size > MAX_CHAIN:
        yield ImportFinding("import.size", f"the chain has {size:,} bytes in PEM, and {MAX_CHAIN:,} are allowed")
    if len(chain) + 1 > MAX_LEVELS:
        message = f"the hierarchy would have {len(chain) + 1} levels, and the service allows {MAX_LEVELS}"
        yield ImportFinding("import.levels", message, "have it signed by a CA nearer to the root")
    if certificate in chain:
        message = "the chain holds the CA's own certificate, and the service refuses that"
        yield ImportFinding("import.chain-extra", message, "leave it out of the chain")
    for one, count in Counter(chain).items():
        if count > 1:
            yield ImportFinding("import.chain-extra", f"the chain holds {title(one)} {count} times", "keep one")


def _order(certificate: x509.Certificate, chain: Sequence[x509.Certificate]) -> Iterator[ImportFinding]:
    for place, (below, issuer) in enumerate(pairwise((certificate, *chain))):
        what = "the certificate" if place == 0 else _called(below, place - 1)
        if below.issuer != issuer.subject:
            yield ImportFinding(
                "import.chain-order",
                f"{what} was issued by {rfc4514(below.issuer)}, but {_called(issuer, place)} follows it",
                "order the chain from the issuer to the root, nothing missing, nothing between",
            )
        elif has_broken_digest(below):
            message = f"{what} is signed with a digest that is broken (MD5 or SHA-1)"
            yield ImportFinding("import.signature-algorithm", message, "have it signed with SHA-256 or better")
        elif not certificate_signed_by(below, issuer):
            yield ImportFinding(
                "import.signature",
                f"the signature on {what} does not verify under the key of {_called(issuer, place)}",
                "get both again from where they were made: one was changed, or is of another generation",
            )
        elif below.signature_hash_algorithm is None:
            message = f"{what} is signed with {below.signature_algorithm_oid.dotted_string}, which relying parties may not know"
            yield ImportFinding("import.signature-algorithm", message, remark=True)
    yield from _end(chain[-1], len(chain) - 1)


def _end(last: x509.Certificate, place: int) -> Iterator[ImportFinding]:
    if last.issuer != last.subject:
        yield ImportFinding(
            "import.chain-incomplete",
            f"the chain ends in {_called(last, place)}, which is no root: it was issued by {rfc4514(last.issuer)}",
            "add what is missing up to the root",
        )
    elif has_broken_digest(last):
        message = f"{_called(last, place)}, the root, is signed with a digest that is broken (MD5 or SHA-1)"
        yield ImportFinding("import.signature-algorithm", message, "use a root that is signed with SHA-256 or better")
    elif not certificate_signed_by(last, last):
        message = f"the signature of {_called(last, place)}, the root, does not verify under its own key"
        yield ImportFinding("import.signature", message, "get it again from where it is kept")


def _issuer(
    certificate: x509.Certificate, issuer: x509.Certificate, place: int, expected: Expected, at: datetime
) -> Iterator[ImportFinding]:
    what = _called(issuer, place)
    yield from _may_issue(issuer, place, what, expected)
    begins, ends = issuer.not_valid_before_utc, issuer.not_valid_after_utc
    if not begins <= at < ends:
        yield ImportFinding("import.validity", f"{what} is valid from {moment(begins)} to {moment(ends)}, not now")
    elif certificate.not_valid_after_utc > ends:
        yield ImportFinding(
            "import.outlives-issuer",
            f"the certificate ends {moment(certificate.not_valid_after_utc)}, after {what}, which ends {moment(ends)}",
            "have it signed for a shorter time",
        )
    yield from _key(issuer, what)
    yield from _identifiers((certificate if place == 0 else None), issuer, what)
    yield from critical_extensions(issuer, what)
    yield from usage_findings(issuer, what, expected.usages)
    yield from _names(issuer, what, expected)


def _may_issue(issuer: x509.Certificate, place: int, what: str, expected: Expected) -> Iterator[ImportFinding]:
    constraints = extension_of(issuer, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        yield ImportFinding("import.not-a-ca", f"{what} is not the certificate of a CA")
        return
    if "keyCertSign" not in (key_usage_of(issuer) or ()):
        yield ImportFinding("import.key-usage", f"{what} may not sign certificates: key usage keyCertSign is missing")
    allowed = constraints.path_length
    # one for the CA itself, and what its own path length promises below it
    needed = place + 1 + (expected.path_length or 0)
    if allowed is not None and allowed < needed:
        message = f"{what} allows {allowed} CAs below it, and this one with what the file says below it makes {needed}"
        yield ImportFinding("import.path-length", message, "lower path_length in the file, or use another issuer")


def _key(issuer: x509.Certificate, what: str) -> Iterator[ImportFinding]:
    try:
        key = issuer.public_key()
    except PARSE_ERRORS:
        yield ImportFinding("import.weak-key", f"the public key of {what} cannot be read")
        return
    weakness = weakness_of(key)
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _MIN_RSA_BITS:
        weakness = f"it has {key.key_size} bits, and {_MIN_RSA_BITS} are the least"
    if weakness:
        yield ImportFinding("import.weak-key", f"the key of {what} is weak: {weakness}", "use another issuer")


def _identifiers(own: x509.Certificate | None, issuer: x509.Certificate, what: str) -> Iterator[ImportFinding]:
    subject_key = extension_of(issuer, x509.SubjectKeyIdentifier)
    if subject_key is None:
        message = f"the subject key identifier of {what} is missing, and verifiers demand it of a CA"
        yield ImportFinding("import.key-identifier", message, remark=issuer.issuer == issuer.subject)
    if own is None:
        return
    authority_key = extension_of(own, x509.AuthorityKeyIdentifier)
    if authority_key is None or authority_key.key_identifier is None:
        message = "the authority key identifier is missing, and verifiers demand it"
        yield ImportFinding("import.key-identifier", message, "have authorityKeyIdentifier = keyid signed")
    elif (
        own.issuer == issuer.subject and subject_key is not None and authority_key.key_identifier != subject_key.digest
    ):
        yield ImportFinding(
            "import.key-identifier",
            f"the authority key identifier is {authority_key.key_identifier.hex()}, and that of {what} is {subject_key.digest.hex()}",
            "give the generation of the issuer that signed it",
        )


def _names(issuer: x509.Certificate, what: str, expected: Expected) -> Iterator[ImportFinding]:
    limits = name_constraints_of(issuer)
    refused = [f"{form} {value}" for form, value in too_wide(expected.names, limits)]
    if refused:
        yield ImportFinding(
            "import.issuer-names",
            f"the name constraints of {what} forbid what the profiles promise: {', '.join(refused[:10])}",
            "narrow the profiles, or use another issuer",
        )
    if limits.other:
        message = f"{what} constrains {limits.other} names of other forms (directory names, for one): see that they allow this CA"
        yield ImportFinding("import.issuer-names", message, remark=True)


def _declared(chain: Sequence[x509.Certificate], outside: Sequence[OutsideAuthority]) -> Iterator[ImportFinding]:
    """Whether the chain (not empty) is the one that the file declares, certificate by certificate."""
    if not outside:
        return
    if len(chain) != len(outside):
        labels = ", ".join(one.label for one in outside)
        yield ImportFinding(
            "import.chain-length",
            f"{len(chain)} certificates are above it, and the file declares {len(outside)} ({labels})",
            "declare every CA of the chain under external_authorities",
        )
    # the root is the last one, however many are between
    pairs = [*zip(chain[:-1], outside[:-1], strict=False), (chain[-1], outside[-1])]
    for one, wanted in pairs:
        if wanted.sha256 is not None and wanted.sha256 != fingerprint(one):
            yield ImportFinding(
                "import.pin",
                f"{rfc4514(one.subject)} has the sha256 {fingerprint(one)}, and the file pins {wanted.sha256} for {wanted.label}",
                "find out which one is right before anybody trusts it",
            )
        if wanted.subject and Counter(wanted.subject) != Counter((a.oid.dotted_string, a.value) for a in one.subject):
            yield ImportFinding(
                "import.issuer",
                f"{rfc4514(one.subject)} is not the subject that the file gives {wanted.label}",
                "have the request signed by the issuer in the file, or correct the file",
            )


def _called(certificate: x509.Certificate, place: int) -> str:
    return f"certificate {place + 1} of the chain ({title(certificate)})"
