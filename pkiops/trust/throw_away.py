"""Certificates and CRLs made for the moment, to put a server or a rendered bundle to the test; nobody trusts them, and their keys are thrown away.

What this module decides: the form that every tested relying party takes (basic constraints, key usage, key identifiers; RFC 5280 sections 4.2 and
5.2), and that keys go into files that only we can read. What is odd about a certificate is said by whoever asks for it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pkiops.trust.handshake import Identity
from pkiops.x509.algorithms import KeyAlgorithm
from pkiops.x509.certificate import pem
from pkiops.x509.keys import PrivateKey, generate_private_key, private_key_pem, signing_hash
from pkiops.x509.names import build_name

CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)
SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
LIFE = timedelta(days=30)
_SLACK = timedelta(days=1)
_ALWAYS = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2099, 12, 31, tzinfo=UTC))
_serials = itertools.count(1)  # two certificates of one CA must not share one


@dataclass(frozen=True, slots=True)
class ThrowAway:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaShape:
    """What a CA certificate says of itself; ``usages`` is None where nothing restricts what it issues."""

    subject: x509.Name
    path_length: int | None = None
    usages: x509.ExtendedKeyUsage | None = None


def make_ca(shape: CaShape, issuer: ThrowAway | None, at: datetime) -> ThrowAway:
    """A CA that is valid at ``at`` (aware); a root without an issuer."""
    key = generate_private_key(KeyAlgorithm.EC_prime256v1)
    constraints = x509.BasicConstraints(ca=True, path_length=shape.path_length)
    builder = _builder(shape.subject, key, issuer, (at - 3 * LIFE, at + 3 * LIFE)).add_extension(constraints, True)
    builder = builder.add_extension(_key_usage(signs=True), True)
    if shape.usages is not None:
        builder = builder.add_extension(shape.usages, False)
    return _signed(builder, key, issuer)


def make_end_entity(
    name: str,
    issuer: ThrowAway | None,
    not_before: datetime | None,
    usages: Sequence[x509.ObjectIdentifier] = CLIENT,
) -> ThrowAway:
    """A certificate for one end of TLS that lives 30 days from ``not_before`` (aware), or always; self-signed without an issuer."""
    key = generate_private_key(KeyAlgorithm.EC_prime256v1)
    validity = (not_before, not_before + LIFE) if not_before is not None else _ALWAYS
    builder = _builder(build_name({"common_name": name}), key, issuer, validity)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
    builder = builder.add_extension(_key_usage(signs=False), True)
    host = name.replace(" ", "-").replace("'", "").lower()
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(f"{host}.invalid")]), False)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), False)
    return _signed(builder, key, issuer)


def make_crl(issuer: ThrowAway, revoked: Iterable[x509.Certificate], at: datetime) -> x509.CertificateRevocationList:
    """The CRL of a CA, current at ``at`` (aware)."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(at - _SLACK)
        .next_update(at + LIFE)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False)
        .add_extension(x509.CRLNumber(1), False)
    )
    for one in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(one.serial_number).revocation_date(at - _SLACK)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer.key, signing_hash(issuer.key))


def write_identity(folder: Path, name: str, chain: Sequence[ThrowAway]) -> Identity:
    """The first certificate with its key, and the others above it, in files of ``folder`` that only we can read."""
    identity = Identity(folder / f"{name}.pem", folder / f"{name}.key")
    identity.certificate.write_bytes(b"".join(pem(one.certificate) for one in chain))
    identity.key.touch(mode=0o600)
    identity.key.write_bytes(private_key_pem(chain[0].key))
    return identity


def _builder(
    subject: x509.Name, key: PrivateKey, issuer: ThrowAway | None, validity: tuple[datetime, datetime]
) -> x509.CertificateBuilder:
    above = issuer.key if issuer is not None else key
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(next(_serials))
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), False)
    )


def _signed(builder: x509.CertificateBuilder, key: PrivateKey, issuer: ThrowAway | None) -> ThrowAway:
    signer = issuer.key if issuer is not None else key
    return ThrowAway(builder.sign(signer, signing_hash(signer)), key)


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
