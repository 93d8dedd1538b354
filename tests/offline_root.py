"""A CA that is kept elsewhere, for tests: signs requests of CAs as an openssl on an offline machine would, or badly where asked to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509

from pkiops.x509.certificate import fingerprint, pem
from pkiops.x509.keys import signing_hash
from pkiops.x509.name_constraints import NO_CONSTRAINTS, NameConstraints, encode_name_constraints
from tests import builders
from tests.builders import Issued

NAME = {"common_name": "Example Offline Root CA G1", "organization": "Example Ltd", "country": "GB"}
SAMPLE = Path(__file__).parents[1] / "environments" / "offline.yaml"
_DAY = timedelta(days=1)


@dataclass
class OfflineRoot:
    """A root, its key, and the CAs above what it signs (itself last)."""

    now: datetime
    name: Any = field(default_factory=lambda: dict(NAME))
    above: Issued | None = None
    serial: int = 1000

    def __post_init__(self) -> None:
        if self.above is None:
            self.issued = builders.root_ca(self.name, at=self.now)
        else:
            self.issued = builders.subordinate_ca(
                self.above, self.name, at=self.now, path_length=2, not_after=self.now + 3000 * _DAY
            )

    @property
    def chain(self) -> bytes:
        """Itself and what is above it, PEM."""
        return pem(self.issued.certificate) + (pem(self.above.certificate) if self.above else b"")

    @property
    def sha256(self) -> str:
        return fingerprint(self.issued.certificate)

    def sign(
        self,
        csr_pem: bytes,
        *,
        limits: NameConstraints = NO_CONSTRAINTS,
        path_length: int | None = 0,
        subject: x509.Name | None = None,
        days: int = 1826,
        without: Sequence[type[x509.ExtensionType]] = (),
    ) -> bytes:
        """A CA certificate for the request, PEM; a new serial number each time."""
        request = x509.load_pem_x509_csr(csr_pem)
        self.serial += 1
        extensions = [*builders._ca_extensions(self.issued.key, self.issued.key, path_length)]
        extensions[2] = builders.Extra(x509.SubjectKeyIdentifier.from_public_key(request.public_key()))
        extensions.append(builders.Extra(builders._authority_key(self.issued.key)))
        if limits:
            oid = x509.ObjectIdentifier("2.5.29.30")
            value = x509.UnrecognizedExtension(oid, encode_name_constraints(limits))
            extensions.append(builders.Extra(value, critical=True))
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject or request.subject)
            .issuer_name(self.issued.name)
            .public_key(request.public_key())
            .serial_number(self.serial)
            .not_valid_before(self.now - timedelta(hours=1))
            .not_valid_after(self.now - timedelta(hours=1) + days * _DAY)
        )
        for one in extensions:
            if not isinstance(one.value, tuple(without)):
                builder = builder.add_extension(one.value, one.critical)
        return pem(builder.sign(self.issued.key, signing_hash(self.issued.key)))
