"""Why a chain was refused, in words: the library that judges says little more than "candidates exhausted".

What this module decides: which certificate to blame and what to advise. It only ever makes errors; nothing is accepted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509

from pkiops.errors import VerificationFailed
from pkiops.x509.certificate import extended_key_usage_of, extension_of, fingerprint, key_usage_of
from pkiops.x509.names import printable, rfc4514
from pkiops.x509.san import sans_of, unsupported_names_of
from pkiops.x509.signatures import certificate_signed_by, has_broken_digest

_LONGEST_PATH = 10


def refused(
    code: str, certificate: x509.Certificate, why: str, hint: str | None = None, **details: object
) -> VerificationFailed:
    """The error for one certificate; ``why`` continues a sentence that begins with its name, or follows it after a colon."""
    return VerificationFailed(
        f"{title(certificate)}: {why}",
        hint=hint,
        code=code,
        details={"subject": rfc4514(certificate.subject), "sha256": fingerprint(certificate), **details},
    )


def title(certificate: x509.Certificate) -> str:
    """What to call a certificate: its subject, or its first name, or its fingerprint."""
    subject = rfc4514(certificate.subject)
    if subject:
        return subject
    sans = sans_of(certificate.extensions)
    return str(sans[0]) if sans else f"the certificate {fingerprint(certificate)[:16]}"


def moment(value: datetime) -> str:
    """A moment as it is printed."""
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def validity_problem(certificate: x509.Certificate, at: datetime) -> VerificationFailed | None:
    """The error for a certificate that is not valid at ``at``, else None (RFC 5280 section 4.1.2.5: both ends count)."""
    if at < certificate.not_valid_before_utc:
        return refused(
            "chain.not-yet-valid",
            certificate,
            f"is valid only from {moment(certificate.not_valid_before_utc)}; it is looked at as of {moment(at)}",
            "check the clocks of both machines",
        )
    if at > certificate.not_valid_after_utc:
        return refused(
            "chain.expired",
            certificate,
            f"expired on {moment(certificate.not_valid_after_utc)}; it is looked at as of {moment(at)}",
            "renew it, and the CA above it if that is the one that expired",
        )
    return None


def ca_problem(certificate: x509.Certificate, cas_below: int) -> VerificationFailed | None:
    """The error for a certificate that may not issue with ``cas_below`` CAs between it and an end entity, else None (section 4.2.1.9)."""
    constraints = extension_of(certificate, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        return refused(
            "chain.not-a-ca", certificate, "issued a certificate but is no CA (basicConstraints CA:TRUE is missing)"
        )
    if "keyCertSign" not in (key_usage_of(certificate) or ()):
        return refused("chain.not-a-ca", certificate, "may not sign certificates (keyUsage keyCertSign is missing)")
    if constraints.path_length is not None and constraints.path_length < cas_below:
        return refused(
            "chain.path-length",
            certificate,
            f"allows {constraints.path_length} CAs below it, the chain has {cas_below}",
            "issue from a CA nearer to the root, or replace the CA by one with a longer path length",
        )
    return None


def explain(
    end_entity: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    at: datetime,
    purpose: str,
    library_text: str,
) -> VerificationFailed:
    """The error for a chain that the library refused: the first thing that is wrong, from the end entity upwards."""
    return (
        _end_entity_problem(end_entity, at, purpose)
        or _path_problem(end_entity, intermediates, anchors, at, purpose)
        or _from_library(end_entity, library_text)
    )


def _end_entity_problem(certificate: x509.Certificate, at: datetime, purpose: str) -> VerificationFailed | None:
    problem = validity_problem(certificate, at)
    if problem:
        return problem
    constraints = extension_of(certificate, x509.BasicConstraints)
    if constraints and constraints.ca:
        return refused(
            "chain.is-a-ca",
            certificate,
            "is a CA certificate and cannot be used as an end entity",
            "give the service's own certificate",
        )
    usage = extended_key_usage_of(certificate)
    if usage is None or purpose not in usage:
        return refused(
            "chain.purpose",
            certificate,
            f"is not for {purpose}: its extended key usage is {', '.join(usage) if usage else 'not stated'}",
            f"issue it under a profile whose usage lists {purpose}",
            extended_key_usage=list(usage or ()),
        )
    if not sans_of(certificate.extensions) and not unsupported_names_of(certificate.extensions):
        return refused(
            "chain.no-san",
            certificate,
            "has no subject alternative name, which current verifiers demand",
            "issue it again with a DNS name or a URI",
        )
    return None


def _path_problem(
    end_entity: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    at: datetime,
    purpose: str,
) -> VerificationFailed | None:
    """Walk up, at each step to the candidate with the fewest problems, anchors first."""
    current = end_entity
    for cas_below in range(_LONGEST_PATH):
        if extension_of(current, x509.AuthorityKeyIdentifier) is None and current.issuer != current.subject:
            return refused("chain.profile", current, "has no authority key identifier, which current verifiers demand")
        named = [c for c in (*anchors, *intermediates) if c.subject == current.issuer]
        signers = [c for c in named if certificate_signed_by(current, c)]
        if not signers:
            return _unsigned(current, named)
        judged = [(c, _issuer_problem(c, cas_below, at, purpose)) for c in signers]
        sound = [c for c, problem in judged if problem is None]
        if not sound:
            return judged[0][1]
        current = sound[0]
        if current in anchors:
            return None
    return refused(
        "chain.path-length", end_entity, f"its chain is longer than {_LONGEST_PATH} certificates, or goes in a circle"
    )


def _issuer_problem(issuer: x509.Certificate, cas_below: int, at: datetime, purpose: str) -> VerificationFailed | None:
    usage = extended_key_usage_of(issuer)
    if usage is not None and not {purpose, "anyExtendedKeyUsage"} & set(usage):
        return refused(
            "chain.purpose",
            issuer,
            f"this CA is limited to {', '.join(usage)} and cannot issue for {purpose}",
            "use another CA",
        )
    return validity_problem(issuer, at) or ca_problem(issuer, cas_below)


def _unsigned(certificate: x509.Certificate, named: Sequence[x509.Certificate]) -> VerificationFailed:
    issuer = rfc4514(certificate.issuer) or "an issuer without a name"
    if not named:
        return refused(
            "chain.unknown-issuer",
            certificate,
            f"was issued by {issuer}, which is neither among the trust anchors nor among the intermediates given",
            "add the issuing CA to the chain, or its root to the trust bundle",
            issuer=issuer,
        )
    if has_broken_digest(certificate):
        return refused(
            "chain.signature", certificate, "is signed with a digest that is broken (MD5 or SHA-1)", "issue it again"
        )
    authority_key = extension_of(certificate, x509.AuthorityKeyIdentifier)
    wanted = authority_key.key_identifier if authority_key else None
    known = [extension_of(candidate, x509.SubjectKeyIdentifier) for candidate in named]
    if wanted is not None and all(identifier and identifier.digest != wanted for identifier in known):
        return refused(
            "chain.unknown-issuer",
            certificate,
            f"was issued by {issuer}, but by another key than the CA of that name given here (another generation, or an impostor)",
            "compare the fingerprints; add the right generation of the CA",
            issuer=issuer,
            authority_key_identifier=wanted.hex(),
        )
    return refused(
        "chain.signature",
        certificate,
        f"its signature does not verify under the key of {issuer}: it was changed, or made by somebody else",
        "get the certificate again from where it was issued",
    )


def _from_library(end_entity: x509.Certificate, library_text: str) -> VerificationFailed:
    """Faults that the walk does not look for (name constraints, criticality, key sizes) keep the library's words."""
    text = printable(library_text.partition(" (encountered")[0].removeprefix("validation failed: "))[:300]
    code = "chain.name-constraint" if "name constraint" in text else "chain.untrusted"
    return refused(code, end_entity, f"no chain to a trust anchor is acceptable: {text}", library=text)
