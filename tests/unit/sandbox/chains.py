"""Chains of every template and every key algorithm, for judges that know nothing of the engine.

``every_chain()``: with P-256, one chain for every template in every form; with each other key and signing algorithm, one for each
family of templates. Leaves have RSA keys, because the service's fixed keyEncipherment is a fault with others (see ``test_chains``).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pkiops.sandbox.engine.keys import SIGNING_ALGORITHMS
from pkiops.sandbox.engine.templates import TEMPLATES
from tests.unit.sandbox.test_extensions import load_authority
from tests.unit.sandbox.world import CRL, TEMPLATE, World

PLAIN = "EC_prime256v1 SHA256WITHECDSA"
REVOCATION = {**CRL, "OcspConfiguration": {"Enabled": True}}
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
_CA_USAGE = {"DigitalSignature": True, "KeyCertSign": True, "CRLSign": True}
_LEAF_USAGE = {"DigitalSignature": True}


@dataclass(frozen=True)
class Chain:
    """``name``: algorithms and template. ``intermediates`` run from the leaf's issuer up, without the root."""

    name: str
    leaf: x509.Certificate
    intermediates: tuple[x509.Certificate, ...]
    root: x509.Certificate

    @property
    def template(self) -> str:
        return self.name.split()[2]

    def usages(self) -> list[x509.ObjectIdentifier]:
        """The extended key usages of the leaf; empty without the extension."""
        try:
            return list(self.leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        except x509.ExtensionNotFound:
            return []

    def is_for_ca(self) -> bool:
        return self.leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@functools.cache
def leaf_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def leaf_request(*, bare: bool) -> str:
    """A request for a client; unless ``bare`` it carries what a blank template needs from it."""
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "svc-a")]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("svc-a.example.com")]), critical=False)
    )
    if not bare:
        builder = builder.add_extension(usage(digital_signature=True), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([CLIENT]), critical=False)
    return builder.sign(leaf_key(), hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def usage(**bits: bool) -> x509.KeyUsage:
    names = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"]
    names += ["key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{name: bits.get(name, False) for name in names})


class Hierarchy:
    """A root and a subordinate with one pair of algorithms."""

    def __init__(self, key: str, signing: str) -> None:
        self.pair = f"{key} {signing}"
        self.world = World()
        self.algorithms: dict[str, Any] = {"key": key, "signing": signing}
        self.root = self.world.root(RevocationConfiguration=REVOCATION, **self.algorithms)
        self.sub = self.world.subordinate(self.root, RevocationConfiguration=REVOCATION, **self.algorithms)

    def chain(self, name: str) -> Chain:
        template = TEMPLATES[name]
        from_api: dict[str, Any] = {"KeyUsage": _CA_USAGE if template.ca else _LEAF_USAGE}
        if not template.ca:
            from_api["ExtendedKeyUsage"] = [{"ExtendedKeyUsageType": "CLIENT_AUTH"}]
        more = {"ApiPassthrough": {"Extensions": from_api}} if template.reads_api else {}
        if template.root:
            return self._root(name, more)
        if template.ca:
            return self._subordinate(name, more)
        # in a base template and in one of the API alone, the request's usages would be dropped
        leaf = self.world.issued(self.sub, leaf_request(bare=not template.reads_csr), TEMPLATE.format(name), **more)
        intermediate = load_authority(self.world, self.sub)
        return Chain(f"{self.pair} {name}", leaf, (intermediate,), load_authority(self.world, self.root))

    def _root(self, name: str, more: dict[str, Any]) -> Chain:
        arn = self.world.create("ROOT", f"Root {name}"[:64], **self.algorithms)
        own = self.world.issued(arn, self.world.authority_csr(arn), TEMPLATE.format(name), **more)
        return Chain(f"{self.pair} {name}", own, (), own)

    def _subordinate(self, name: str, more: dict[str, Any]) -> Chain:
        request = self.world.authority_csr(
            self.world.create(
                "SUBORDINATE",
                f"Sub {name}"[:64],
                configuration={"CsrExtensions": {"KeyUsage": _CA_USAGE}},
                **self.algorithms,
            )
        )
        leaf = self.world.issued(self.root, request, TEMPLATE.format(name), **more)
        return Chain(f"{self.pair} {name}", leaf, (), load_authority(self.world, self.root))


def families() -> list[str]:
    """The plainest form of each family."""
    plainest: dict[str, str] = {}
    for name in sorted(TEMPLATES, key=len):
        plainest.setdefault(name.replace("_CSRPassthrough", "").replace("_APIPassthrough", ""), name)
    return [name for family, name in plainest.items() if "_APICSRPassthrough" not in family]


@functools.cache
def hierarchies() -> tuple[Hierarchy, ...]:
    """One for each pair of key and signing algorithm; the larger RSA keys with one signing algorithm only."""
    pairs = [
        (key, signing)
        for key, algorithms in SIGNING_ALGORITHMS.items()
        for signing in (algorithms[:1] if key in {"RSA_3072", "RSA_4096"} else algorithms)
    ]
    return tuple(Hierarchy(key, signing) for key, signing in pairs)


@functools.cache
def every_chain() -> tuple[Chain, ...]:
    return tuple(hierarchy.chain(name) for hierarchy in hierarchies() for name in _names(hierarchy))


def _names(hierarchy: Hierarchy) -> list[str]:
    if hierarchy.pair == PLAIN:
        return list(TEMPLATES)
    key, signing = hierarchy.pair.split()
    # a new CA key for each template of CAs takes its time: once for each kind of key
    is_cheap = signing == SIGNING_ALGORITHMS[key][0] and key not in {"RSA_3072", "RSA_4096"}
    return [name for name in families() if is_cheap or not TEMPLATES[name].ca]
