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
MAX_NAMES = 150  # what the service takes in one certificate (Extensions of ApiPassthrough)


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
    """A part of the subject that is not the same in every certificate.

    ``from: request`` takes the request's; it must match a pattern, or, of a common name, equal one of the approved names. ``from: names`` fills a
    template with parts of the approved names (``pkiops.policy.templates``).
    """

    source: Annotated[Literal["request", "names"], Field(alias="from")]
    patterns: tuple[Pattern, ...] = ()
    template: Annotated[str, Field(min_length=1, max_length=253)] | None = None


@declared
class SubjectRule:
    """The subject of every certificate of a profile; lengths as in the service's ASN1Subject."""

    country: FromRequest | Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    state: FromRequest | Annotated[str, Field(min_length=1, max_length=128)] | None = None
    locality: FromRequest | Annotated[str, Field(min_length=1, max_length=128)] | None = None
    organization: FromRequest | Annotated[str, Field(min_length=1, max_length=64)] | None = None
    organizational_unit: FromRequest | Annotated[str, Field(min_length=1, max_length=64)] | None = None
    common_name: FromRequest | Annotated[str, Field(min_length=1, max_length=64)] | None = None


@declared
class DenyRule:
    """Patterns of names that are never granted, whatever else allows them.

    They are spelled as those of ``SanRule``, but in any letter case, and a wildcard name is denied if any name that it stands for is.
    """

    dns: tuple[Pattern, ...] = ()
    uri: tuple[Pattern, ...] = ()
    ip: tuple[Pattern, ...] = ()
    email: tuple[Pattern, ...] = ()


@declared
class SanRule:
    """Patterns of allowed subject alternative names by kind; a kind without patterns allows nothing.

    What ``deny`` holds wins. In ``dns`` and ``uri`` a ``*`` stands for one label or path segment and ``**`` for any number; ``ip`` holds CIDR blocks;
    ``email`` holds addresses with ``*`` for the local part or a domain label. ``wildcards`` lets DNS names be wildcards themselves;
    ``required_kinds`` are kinds of which there must be a name; ``max_length`` is of each name, in characters.
    """

    dns: tuple[Pattern, ...] = ()
    uri: tuple[Pattern, ...] = ()
    ip: tuple[Pattern, ...] = ()
    email: tuple[Pattern, ...] = ()
    deny: DenyRule = field(default_factory=DenyRule)
    required: Annotated[bool, Field(strict=True)] = True
    required_kinds: Annotated[tuple[Literal["dns", "uri", "ip", "email"], ...], Field(max_length=4)] = ()
    wildcards: Annotated[bool, Field(strict=True)] = False
    max_names: Annotated[int, Field(ge=1, le=MAX_NAMES, strict=True)] = MAX_NAMES
    max_length: Annotated[int, Field(ge=1, le=2048, strict=True)] | None = None


@declared
class LimitRule:
    """How many certificates at most: for one name within ``window``, and in one run of a command. What is not given is not limited."""

    per_name: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] | None = None
    window: DurationField = Duration(1, "d")
    per_run: Annotated[int, Field(ge=1, le=100_000_000, strict=True)] | None = None


DEFAULT_KEYS = (
    KeyAlgorithm.EC_prime256v1,
    KeyAlgorithm.EC_secp384r1,
    KeyAlgorithm.RSA_2048,
    KeyAlgorithm.RSA_3072,
    KeyAlgorithm.RSA_4096,
)


@declared
class Profile:
    """The rules under which one kind of certificate is issued, and the authority that issues it.

    ``requesters`` are patterns of who may ask (``pkiops.policy.requesters``), none for everybody who can call the authority; ``key_reuse`` says
    whether a key may be certified under names that differ; ``renewal_window`` is how long before its end a certificate may be followed by another
    for the same names: not given, the same request is due in the last third and others are not held back.
    """

    authority: str
    usage: Annotated[tuple[Usage, ...], Field(min_length=1)] = (Usage.CLIENT_AUTH,)
    validity: ValidityRule
    subject: SubjectRule = field(default_factory=SubjectRule)
    san: SanRule = field(default_factory=SanRule)
    keys: Annotated[tuple[KeyAlgorithm, ...], Field(min_length=1)] = DEFAULT_KEYS
    key_reuse: Literal["allow", "refuse"] = "allow"
    requesters: tuple[Annotated[str, Field(min_length=1, max_length=2048)], ...] = ()
    renewal_window: DurationField | None = None
    limits: LimitRule = field(default_factory=LimitRule)
