"""Issuance rules as data: what a profile of an environment file allows.

Everything that is not allowed here is refused. What the rules mean is decided by ``pkiops.policy.engine``; how a file is read
and how its mistakes are shown, by ``pkiops.environment``. The classes are plain frozen dataclasses (cheap to import and to
compare) whose annotations pydantic reads.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from pkiops.policy.declared import declared
from pkiops.x509.algorithms import KeyAlgorithm
from pkiops.x509.duration import PATTERN, Duration

DurationField = Annotated[
    Duration,
    BeforeValidator(Duration.parse),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "examples": ["12h", "30d", "10y"]}),
]
Pattern = Annotated[str, Field(min_length=1, max_length=253)]


class Usage(StrEnum):
    """Extended key usages (RFC 5280 section 4.2.1.12) that a profile may give."""

    CLIENT_AUTH = "clientAuth"
    SERVER_AUTH = "serverAuth"


@declared
class ValidityRule:
    """How long certificates live: unless the request says otherwise, and at most."""

    default: DurationField
    max: DurationField


@declared
class FromRequest:
    """A common name taken from the request: it must equal one of the approved SANs or match a pattern."""

    source: Annotated[Literal["request"], Field(alias="from")]
    patterns: tuple[Pattern, ...] = ()


@declared
class SubjectRule:
    """The subject of every certificate of a profile; lengths as in the service's ASN1Subject."""

    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    state: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    locality: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    organization: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    organizational_unit: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    common_name: FromRequest | Annotated[str, Field(min_length=1, max_length=64)] | None = None


@declared
class SanRule:
    """Patterns of allowed subject alternative names by kind; a kind without patterns allows nothing.

    In ``dns`` and ``uri`` a ``*`` stands for one label or path segment and ``**`` for any number; ``ip`` holds CIDR blocks;
    ``email`` holds addresses with ``*`` for the local part or a domain label.
    """

    dns: tuple[Pattern, ...] = ()
    uri: tuple[Pattern, ...] = ()
    ip: tuple[Pattern, ...] = ()
    email: tuple[Pattern, ...] = ()
    required: Annotated[bool, Field(strict=True)] = True


DEFAULT_KEYS = (
    KeyAlgorithm.EC_prime256v1,
    KeyAlgorithm.EC_secp384r1,
    KeyAlgorithm.RSA_2048,
    KeyAlgorithm.RSA_3072,
    KeyAlgorithm.RSA_4096,
)


@declared
class Profile:
    """The rules under which one kind of certificate is issued, and the authority that issues it."""

    authority: str
    usage: Annotated[tuple[Usage, ...], Field(min_length=1)] = (Usage.CLIENT_AUTH,)
    validity: ValidityRule
    subject: SubjectRule = field(default_factory=SubjectRule)
    san: SanRule = field(default_factory=SanRule)
    keys: Annotated[tuple[KeyAlgorithm, ...], Field(min_length=1)] = DEFAULT_KEYS
