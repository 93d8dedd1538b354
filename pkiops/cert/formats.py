"""A certificate in the formats that people use, as bytes.

What this module decides: which certificates each format holds, in which order, how PKCS#12 is encrypted, and what a key is called in a keystore.
The root is in none of them but the Kubernetes Secret and the document for a secret store: whoever verifies has it already. Files and folders are
the command line's.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, pkcs7, pkcs12

from pkiops.cert.output_formats import OutputFormat
from pkiops.clock import Randomness
from pkiops.errors import InputError, InternalError
from pkiops.x509.certificate import pem, view
from pkiops.x509.java_store import SALT_BYTES, jks, key_entry
from pkiops.x509.keys import PrivateKey, describe_key, private_key_der, private_key_pem

# what OpenSSL, Java and Windows read without waiting; keytool makes 10,000
_PKCS12_ROUNDS = 100_000
_KEYSTORE_KEYS = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)
# RFC 1123 as Kubernetes takes it: the name of a Secret is a DNS subdomain, a namespace a DNS label
_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")


@dataclass(frozen=True, slots=True)
class SecretName:
    """The name of a Kubernetes Secret, and its namespace where that is said."""

    name: str
    namespace: str | None = None

    @classmethod
    def parse(cls, text: str) -> SecretName:
        """Read ``NAME`` or ``NAMESPACE/NAME``.

        Raises:
            InputError: Kubernetes would not take it.
        """
        namespace, _, name = text.rpartition("/")
        wrong = not _SUBDOMAIN.fullmatch(name) or ("/" in text and not re.fullmatch(_LABEL, namespace))
        if wrong:
            raise InputError(
                f"{text!r} is no name of a Kubernetes Secret",
                hint="--secret-name [NAMESPACE/]NAME, in lower-case letters, digits and -",
                code="output.secret-name",
            )
        return cls(name, namespace or None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """What the formats are made of: ``chain`` holds those above the certificate, root last; ``document`` is the JSON of the result.

    ``key`` and ``passphrase`` are there only where somebody gave them; ``dated`` is when it was issued, which JKS shows, and ``randomness`` salts it.
    """

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    key: PrivateKey | None = field(default=None, repr=False)
    passphrase: bytes | None = field(default=None, repr=False)
    document: str = "{}"
    dated: datetime | None = None
    randomness: Randomness | None = field(default=None, repr=False)

    @property
    def sent(self) -> tuple[x509.Certificate, ...]:
        """What a client or a server sends: the certificate and those above it, without the root."""
        return (self.certificate, *self.chain[:-1])

    @property
    def sent_pem(self) -> bytes:
        """That as PEM."""
        return b"".join(pem(one) for one in self.sent)

    @property
    def key_pem(self) -> bytes:
        """The private key as PKCS#8 in PEM, unencrypted.

        Raises:
            InternalError: nobody gave it, and nobody noticed.
        """
        if self.key is None:
            raise InternalError("a format with a private key was asked for without one")
        return private_key_pem(self.key)


def render(format_: OutputFormat, material: Material) -> bytes:
    """The bytes of a format that is one file and needs no name (not ``kubernetes``, ``folder``, a service). Keystores are salted: no two are alike.

    Raises:
        InternalError: what the format needs is not there.
    """
    return _RENDERERS[format_](material)


def check_key_fits(format_: OutputFormat, key: PrivateKey) -> None:
    """Ask whether a format can hold such a key, before anything is issued for it.

    Raises:
        InputError: it cannot: keystores as they are known here take RSA, EC, Ed25519 and Ed448 keys.
    """
    if format_.needs_passphrase and not isinstance(key, _KEYSTORE_KEYS):
        title = "JKS" if format_ is OutputFormat.JKS else "PKCS#12"
        raise InputError(
            f"--output {format_}=: {title} cannot hold a key of {describe_key(key.public_key())}",
            hint="use --output combined=FILE, or folder=DIR",
            code="output.key-type",
        )


def check_passphrase(passphrase: bytes) -> None:
    """Ask whether every program that reads keystores takes a passphrase: Java does not, unless it is ASCII.

    Raises:
        InputError: it holds another character.
    """
    if not all(0x20 <= byte < 0x7F for byte in passphrase):
        raise InputError(
            "the passphrase of a keystore holds characters that are not printable ASCII: Java would not open it",
            code="output.passphrase",
        )


def kubernetes_secret(material: Material, name: SecretName) -> bytes:
    """A Secret of type kubernetes.io/tls as YAML: ``tls.crt`` is what is sent, ``ca.crt`` the root, as cert-manager writes them.

    https://kubernetes.io/docs/concepts/configuration/secret/#tls-secrets
    """
    data = {"ca.crt": pem(material.chain[-1]), "tls.crt": material.sent_pem, "tls.key": material.key_pem}
    metadata = {"name": name.name, **({"namespace": name.namespace} if name.namespace else {})}
    lines = ["apiVersion: v1", "kind: Secret", "type: kubernetes.io/tls", "metadata:", *_members(metadata, "  ")]
    lines += ["  labels:", "    app.kubernetes.io/managed-by: pkiops", "data:"]
    lines += _members({key: base64.b64encode(value).decode("ascii") for key, value in data.items()}, "  ")
    return ("\n".join(lines) + "\n").encode("ascii")


def secret_document(material: Material) -> str:
    """One JSON object with all that a program needs to use the certificate, for stores that keep a text under a name."""
    shown = view(material.certificate)
    document = {
        "certificate": pem(material.certificate).decode("ascii"),
        "chain": b"".join(pem(one) for one in material.sent[1:]).decode("ascii"),
        "root": pem(material.chain[-1]).decode("ascii"),
        "private_key": material.key_pem.decode("ascii"),
        "serial": shown.serial,
        "not_after": shown.not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return json.dumps(document, ensure_ascii=True, separators=(",", ":"))


def _members(values: Mapping[str, str], indent: str) -> list[str]:
    # a JSON string is a YAML string whatever is in it; "no" and "1e3" stay names
    return [f"{indent}{key}: {json.dumps(value)}" for key, value in values.items()]


def _pkcs7(encoding: Encoding) -> Callable[[Material], bytes]:
    return lambda material: pkcs7.serialize_certificates(list(material.sent), encoding)


def _pkcs12(algorithm: pkcs12.PBES, digest: hashes.HashAlgorithm) -> Callable[[Material], bytes]:
    def make(material: Material) -> bytes:
        if material.key is None or material.passphrase is None:
            raise InternalError("PKCS#12 was asked for without a key or without a passphrase")
        builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(_PKCS12_ROUNDS)
        encryption = builder.key_cert_algorithm(algorithm).hmac_hash(digest).build(material.passphrase)
        key = cast("Any", material.key)
        certificate, *above = material.sent
        return pkcs12.serialize_key_and_certificates(
            friendly_name(material).encode(), key, certificate, above, encryption
        )

    return make


def _jks(material: Material) -> bytes:
    if material.key is None or material.passphrase is None or material.dated is None or material.randomness is None:
        raise InternalError("JKS was asked for without a key, a passphrase, a date or a salt")
    # Java would list an alias in capitals and never find it
    alias, passphrase = friendly_name(material).lower(), material.passphrase.decode("ascii")
    chain = [one.public_bytes(Encoding.DER) for one in material.sent]
    salt = material.randomness.token_bytes(SALT_BYTES)
    entry = key_entry(alias, private_key_der(material.key), chain, passphrase, salt=salt, dated=material.dated)
    return jks([entry], passphrase)


def friendly_name(material: Material) -> str:
    """What a keystore calls its key (Java's alias): the common name, else the first name, else the serial."""
    shown = view(material.certificate)
    names = [*(value for kind, value in shown.subject_attributes if kind == "CN"), *(san.value for san in shown.sans)]
    return names[0] if names else shown.serial


_RENDERERS: Mapping[OutputFormat, Callable[[Material], bytes]] = {
    OutputFormat.FULLCHAIN: lambda material: material.sent_pem,
    OutputFormat.CERTIFICATE: lambda material: pem(material.certificate),
    OutputFormat.CHAIN: lambda material: b"".join(pem(one) for one in material.sent[1:]),
    OutputFormat.KEY: lambda material: material.key_pem,
    OutputFormat.COMBINED: lambda material: material.sent_pem + material.key_pem,
    OutputFormat.DER: lambda material: material.certificate.public_bytes(Encoding.DER),
    OutputFormat.PKCS7: _pkcs7(Encoding.DER),
    OutputFormat.PKCS7_PEM: _pkcs7(Encoding.PEM),
    OutputFormat.PKCS12: _pkcs12(pkcs12.PBES.PBESv2SHA256AndAES256CBC, hashes.SHA256()),
    OutputFormat.PKCS12_LEGACY: _pkcs12(
        pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC,
        hashes.SHA1(),  # noqa: S303 - what the programs that need this form know
    ),
    OutputFormat.JKS: _jks,
    OutputFormat.JSON: lambda material: material.document.encode(),
}
