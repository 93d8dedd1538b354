"""Chains (RFC 5280 section 6): whether a certificate is to be believed at a moment, for a purpose, given anchors and CRLs.

What this module decides: that the path building of cryptography is the judge, with an explicit purpose and a subject alternative name demanded on
top, and that with CRLs every CA of the chain must have a current one. The library's
refusals are put into words by ``refusal``, which never turns one into an acceptance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from pkiops.errors import VerificationFailed
from pkiops.x509.armor import PARSE_ERRORS, quiet
from pkiops.x509.certificate import EXTENDED_KEY_USAGES, serial_hex
from pkiops.x509.crl import covers, verify_crl
from pkiops.x509.names import printable, rfc4514
from pkiops.x509.refusal import ca_problem, explain, moment, refused, title, validity_problem
from pkiops.x509.revoked import revoked_entry
from pkiops.x509.signatures import certificate_signed_by


class Purpose(StrEnum):
    """What the end entity wants to do, by its extended key usage."""

    CLIENT = "clientAuth"
    SERVER = "serverAuth"


@dataclass(frozen=True)
class VerifiedChain:
    """A path that was accepted: the end entity first, the anchor last."""

    certificates: tuple[x509.Certificate, ...]


def verify_chain(
    end_entity: x509.Certificate,
    *,
    intermediates: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    at: datetime,
    purpose: Purpose,
    crls: Sequence[x509.CertificateRevocationList] | None = None,
    unchecked: Sequence[x509.Certificate] = (),
) -> VerifiedChain:
    """Build and verify a path from ``end_entity`` to one of ``anchors``; host names are not compared.

    Args:
        end_entity: the certificate in question.
        intermediates: CA certificates that may be used on the way; not trusted by themselves.
        anchors: CA certificates that are trusted, roots or not.
        at: the moment (aware) as of which everything must be valid.
        purpose: must be in the end entity's extended key usage, and allowed by those of its CAs.
        crls: given, every CA of the chain needs a current one among them, and no certificate below the anchor may be revoked.
        unchecked: CAs of whose CRLs nobody here has one: what they issued is not looked up.

    Raises:
        VerificationFailed: codes ``chain.expired``, ``.not-yet-valid``, ``.purpose``, ``.no-san``, ``.is-a-ca``, ``.unknown-issuer``, ``.signature``,
            ``.not-a-ca``, ``.path-length``, ``.profile``, ``.name-constraint``, ``.no-anchor``, ``.untrusted``; with CRLs
            ``.crl-missing``, ``.revoked`` and those of ``verify_crl``.
    """
    if not anchors:
        raise VerificationFailed("no trust anchor was given, so nothing can be trusted", code="chain.no-anchor")
    try:
        with quiet():
            verifier = _policy(anchors, at, purpose).build_client_verifier()
            chain = tuple(verifier.verify(end_entity, list(intermediates)).chain)
    except VerificationError as error:
        raise explain(end_entity, intermediates, anchors, at, purpose.value, str(error)) from error
    except PARSE_ERRORS as error:
        raise refused("chain.untrusted", end_entity, f"the chain cannot be read ({error})") from error
    if len(chain) < 2:
        # The library takes a certificate that is itself an anchor for a chain of one; an anchor of ours is a CA.
        raise refused(
            "chain.not-a-ca",
            end_entity,
            "is listed as a trust anchor itself, and an anchor must be a CA",
            "list the CA that issued it",
        )
    if crls is not None:
        _verify_not_revoked(chain, crls, at, unchecked)
    return VerifiedChain(chain)


def verify_ca_chain(certificates: Sequence[x509.Certificate], *, at: datetime) -> None:
    """Check a chain of CA certificates, the CA in question first and a self-signed root last.

    Each is signed by the next, is a CA that may sign certificates, is valid at ``at`` and has room in its path length for the CAs below it.

    Raises:
        VerificationFailed: codes ``chain.empty``, ``.unknown-issuer``, ``.signature``, ``.not-a-ca``, ``.path-length``, ``.expired``,
            ``.not-yet-valid``, ``.profile``, ``.untrusted`` (the last one is not self-signed, or one cannot be read).
    """
    if not certificates:
        raise VerificationFailed("the chain holds no certificate", code="chain.empty")
    try:
        _verify_cas(certificates, at)
    except PARSE_ERRORS as error:
        # no certificate is named: its names may be what cannot be read
        text = printable(str(error))[:200]
        raise VerificationFailed(f"the chain cannot be read ({text})", code="chain.untrusted") from error


def _verify_cas(certificates: Sequence[x509.Certificate], at: datetime) -> None:
    for depth, certificate in enumerate(certificates):
        problem = ca_problem(certificate, depth) or validity_problem(certificate, at)
        if problem:
            raise problem
        is_last = depth == len(certificates) - 1
        issuer = certificate if is_last else certificates[depth + 1]
        if certificate.issuer != issuer.subject:
            if is_last:
                raise refused(
                    "chain.untrusted",
                    certificate,
                    f"is the last of the chain but no root: it was issued by {rfc4514(certificate.issuer)}",
                    "add the missing CA certificates up to the root",
                )
            raise refused(
                "chain.unknown-issuer",
                certificate,
                f"was issued by {rfc4514(certificate.issuer)}, but {rfc4514(issuer.subject)} comes next in the chain",
                "order the chain from the CA to its root, each followed by its issuer",
            )
        if not certificate_signed_by(certificate, issuer):
            raise refused(
                "chain.signature", certificate, f"its signature does not verify under the key of {title(issuer)}"
            )


def _policy(anchors: Sequence[x509.Certificate], at: datetime, purpose: Purpose) -> PolicyBuilder:
    """The library's web PKI policy, but with our purpose instead of the one that comes with its client verifier."""
    wanted = ExtendedKeyUsageOID.CLIENT_AUTH if purpose is Purpose.CLIENT else ExtendedKeyUsageOID.SERVER_AUTH

    def end_entity_usage(_: Policy, __: x509.Certificate, usage: x509.ExtendedKeyUsage) -> None:
        if wanted not in usage:
            raise ValueError(f"extended key usage without {EXTENDED_KEY_USAGES[wanted]}")

    def ca_usage(_: Policy, __: x509.Certificate, usage: x509.ExtendedKeyUsage | None) -> None:
        if usage is not None and wanted not in usage and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in usage:
            raise ValueError(f"extended key usage of a CA without {EXTENDED_KEY_USAGES[wanted]}")

    return (
        PolicyBuilder()
        .store(Store(list(anchors)))
        .time(at.astimezone(UTC))
        .extension_policies(
            ca_policy=ExtensionPolicy.webpki_defaults_ca().may_be_present(
                x509.ExtendedKeyUsage, Criticality.AGNOSTIC, ca_usage
            ),
            ee_policy=ExtensionPolicy.webpki_defaults_ee().require_present(
                x509.ExtendedKeyUsage, Criticality.AGNOSTIC, end_entity_usage
            ),
        )
    )


def _verify_not_revoked(
    chain: Sequence[x509.Certificate],
    crls: Sequence[x509.CertificateRevocationList],
    at: datetime,
    unchecked: Sequence[x509.Certificate],
) -> None:
    for certificate, issuer in pairwise(chain):
        if issuer in unchecked:
            continue
        for crl in _current_crls(certificate, issuer, crls, at):
            entry = revoked_entry(crl, certificate.serial_number)
            if entry is not None:
                why = f" ({entry.reason})" if entry.reason else ""
                raise refused(
                    "chain.revoked",
                    certificate,
                    f"was revoked on {moment(entry.date)}{why} by {rfc4514(issuer.subject)}",
                    "issue a new certificate with a new key",
                    serial=serial_hex(certificate.serial_number),
                    reason=entry.reason,
                )


def _current_crls(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    crls: Sequence[x509.CertificateRevocationList],
    at: datetime,
) -> list[x509.CertificateRevocationList]:
    """The CRLs that speak about ``certificate``, verified; at least one, else the reason why there is none is raised."""
    current: list[x509.CertificateRevocationList] = []
    failure: VerificationFailed | None = None
    for crl in crls:
        if crl.issuer != issuer.subject:
            continue
        try:
            verify_crl(crl, issuer, at=at)
        except VerificationFailed as error:
            failure = error
            continue
        if covers(crl, certificate):
            current.append(crl)
    if current:
        return current
    if failure is not None:
        raise failure
    raise refused(
        "chain.crl-missing",
        certificate,
        f"there is no CRL of its issuer {rfc4514(issuer.subject)}, so nobody can tell whether it was revoked",
        "add the CRL of every CA of the chain, the root's too",
        issuer=rfc4514(issuer.subject),
    )
