"""The formats in which a certificate leaves, and what each of them is.

What this module decides: their names, which hold the private key, are binary or need a passphrase. It imports nothing heavy: the command
line reads it before anything else. How each is made is ``formats``'s.
"""

from __future__ import annotations

from enum import StrEnum


class OutputFormat(StrEnum):
    """A format by the word of ``--output FORMAT=DEST``."""

    FULLCHAIN = "fullchain"
    CERTIFICATE = "certificate"
    CHAIN = "chain"
    KEY = "key"
    COMBINED = "combined"
    DER = "der"
    PKCS7 = "pkcs7"
    PKCS7_PEM = "pkcs7-pem"
    PKCS12 = "pkcs12"
    PKCS12_LEGACY = "pkcs12-legacy"
    JKS = "jks"
    KUBERNETES = "kubernetes"
    JSON = "json"
    FOLDER = "folder"
    SECRETS_MANAGER = "secrets-manager"
    PARAMETER_STORE = "parameter-store"

    @property
    def holds_key(self) -> bool:
        """Whether the private key is in it: made with mode 0600, and not without the key."""
        return self in _WITH_KEY

    @property
    def is_binary(self) -> bool:
        """Whether a terminal must not get it."""
        return self in {OutputFormat.DER, OutputFormat.PKCS7, *_WITH_PASSPHRASE}

    @property
    def service(self) -> str | None:
        """The service of AWS that keeps it; None for what stays on this machine."""
        return _SERVICES.get(self)

    @property
    def needs_passphrase(self) -> bool:
        """Whether it is encrypted under a passphrase."""
        return self in _WITH_PASSPHRASE


_SERVICES = {OutputFormat.SECRETS_MANAGER: "secretsmanager", OutputFormat.PARAMETER_STORE: "ssm"}
_WITH_PASSPHRASE = frozenset({OutputFormat.PKCS12, OutputFormat.PKCS12_LEGACY, OutputFormat.JKS})
_WITH_KEY = frozenset(
    {
        OutputFormat.KEY,
        OutputFormat.COMBINED,
        OutputFormat.KUBERNETES,
        OutputFormat.FOLDER,
        *_SERVICES,
        *_WITH_PASSPHRASE,
    }
)
