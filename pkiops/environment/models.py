"""The models of an environment file: which keys exist, their types and their limits.

What this module decides is the shape of the file, key by key. What only several keys together can get wrong (parents,
lifetimes, path lengths, profiles) is ``checks.py``; finding, reading and locating is ``load.py``. The classes are plain
frozen dataclasses whose annotations pydantic reads: building one validator from dataclasses costs half of what
pydantic's own model classes cost at start-up (docs/adr/0003).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pkiops.policy.declared import declared
from pkiops.policy.rules import DurationField, Pattern, Profile
from pkiops.x509.algorithms import KeyAlgorithm, SigningAlgorithm
from pkiops.x509.name_constraints import Form

NAME_PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"


class PATTERNS:
    """The spelling of values whose mistakes are explained in words of their own (``translate.py``)."""

    arn = (
        r"^arn:aws[a-z-]*:acm-pca:[a-z0-9-]+:[0-9]{12}:certificate-authority/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
    )
    crl_path = r"^(/|[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)$"  # no segment starts with a dot
    distribution = r"^arn:aws:cloudfront::[0-9]{12}:distribution/[A-Z0-9]{8,32}$"
    day = r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]$"
    table = r"^[A-Za-z0-9_.-]{3,255}$"
    tag_key = r"^[A-Za-z0-9 _.:/=+@-]+$"
    tag_value = r"^[A-Za-z0-9 _.:/=+@-]*$"


EnvironmentName = Annotated[str, Field(pattern=NAME_PATTERN, max_length=40)]
Label = Annotated[str, Field(pattern=NAME_PATTERN, max_length=40)]
BucketName = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]$")]
# the last label starts with a letter: an address is no host that certificates could name for years
HostName = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\.[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$",
        max_length=253,
    ),
]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
RegionName = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$", max_length=40)]
AccountId = Annotated[str, Field(pattern=r"^[0-9]{12}$")]
# no wildcards: in the condition of a policy they would mean every role of the account
RoleArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", max_length=2048)]
AuthorityArn = Annotated[str, Field(pattern=PATTERNS.arn, max_length=200)]
DistributionArn = Annotated[str, Field(pattern=PATTERNS.distribution, max_length=100)]
CrlPath = Annotated[str, Field(pattern=PATTERNS.crl_path, max_length=253)]  # CustomPath of CrlConfiguration
Switch = Annotated[bool, Field(strict=True)]
Text64 = Annotated[str, Field(min_length=1, max_length=64)]
Text128 = Annotated[str, Field(min_length=1, max_length=128)]
TagKey = Annotated[str, Field(pattern=PATTERNS.tag_key, max_length=128)]
TagValue = Annotated[str, Field(pattern=PATTERNS.tag_value, max_length=256)]
# the service takes 50 tags on a CA, and three are ours
Tags = Annotated[Mapping[TagKey, TagValue], Field(max_length=47)]


def _no_truth_value(value: object) -> object:
    """Python takes True for 1; a file that says ``schema: true`` means something else."""
    if value is True:
        raise ValueError("write 1")
    return value


class UsageMode(StrEnum):
    """UsageMode of CreateCertificateAuthority."""

    GENERAL_PURPOSE = "GENERAL_PURPOSE"
    SHORT_LIVED_CERTIFICATE = "SHORT_LIVED_CERTIFICATE"


@declared
class AuthorityHome:
    """Where an authority is, if not where ``backend`` says; what is left out is as there.

    ``access`` names roles of another account by persona: whoever is that persona in the file's own ``access`` assumes it, all others ``role_arn``.
    """

    region: RegionName | None = None
    account: AccountId | None = None
    role_arn: RoleArn | None = None
    access: Mapping[Persona, RoleArn] | None = None


@declared
class AwsPrivateCaBackend:
    """AWS Private CA in one account and region, or the sandbox in its place.

    With ``sandbox`` every service goes to PKIOPS_SANDBOX_URL, else to http://127.0.0.1:4599, with dummy credentials. ``former_homes`` are where else
    CAs of older generations are.
    """

    type: Literal["aws-private-ca"]
    region: RegionName
    account: AccountId
    role_arn: RoleArn | None = None
    endpoint_urls: Mapping[
        Literal["acm-pca", "s3", "sts", "resourcegroupstaggingapi", "dynamodb", "secretsmanager", "ssm"],
        Annotated[str, Field(pattern=r"^https?://[^\s]+$")],
    ] = field(default_factory=dict)
    sandbox: Switch = False
    former_homes: Annotated[tuple[AuthorityHome, ...], Field(min_length=1, max_length=20)] | None = None


@declared
class SqliteLedger:
    """A ledger in one file, below the working directory."""

    type: Literal["sqlite"]
    path: Annotated[str, Field(min_length=1, max_length=1024)]


@declared
class DynamoDbLedger:
    """A ledger in a DynamoDB table of the backend's account and region. Not managed: checked, never changed."""

    type: Literal["dynamodb"]
    table: Annotated[str, Field(pattern=PATTERNS.table)]
    manage: Switch = True


@declared
class CrlPublication:
    """Where the service writes CRLs, and the host that goes into certificates for ever. Not managed: checked, never changed.

    ``distribution`` is the CloudFront distribution that answers at the host, by its ARN: it may read CRLs. With ``require_reachable`` no CA issues
    whose host has never answered.
    """

    bucket: BucketName
    host: HostName
    manage: Switch = True
    distribution: DistributionArn | None = None
    require_reachable: Switch = False


@declared
class TrustPublication:
    """Where pkiops writes bundles and chain-complete CRL sets. Not managed: checked, never changed."""

    bucket: BucketName
    manage: Switch = True


@declared
class Publication:
    """Two writers, two buckets."""

    crl: CrlPublication
    trust: TrustPublication


class KeyStorageSecurityStandard(StrEnum):
    """KeyStorageSecurityStandard of CreateCertificateAuthority."""

    FIPS_140_2_LEVEL_2_OR_HIGHER = "FIPS_140_2_LEVEL_2_OR_HIGHER"
    FIPS_140_2_LEVEL_3_OR_HIGHER = "FIPS_140_2_LEVEL_3_OR_HIGHER"
    CCPC_LEVEL_1_OR_HIGHER = "CCPC_LEVEL_1_OR_HIGHER"


class KeyUsage(StrEnum):
    """KeyUsage of a certificate request, by RFC 5280 name (section 4.2.1.3)."""

    DIGITAL_SIGNATURE = "digitalSignature"
    NON_REPUDIATION = "nonRepudiation"
    KEY_ENCIPHERMENT = "keyEncipherment"
    DATA_ENCIPHERMENT = "dataEncipherment"
    KEY_AGREEMENT = "keyAgreement"
    KEY_CERT_SIGN = "keyCertSign"
    CRL_SIGN = "cRLSign"
    ENCIPHER_ONLY = "encipherOnly"
    DECIPHER_ONLY = "decipherOnly"


# Mappings with known keys instead of classes of their own: every class costs a millisecond at start-up (docs/adr/0003).
# An attribute of a subject: its type by RFC name or as a dotted OID, and its value.
SubjectAttribute = Mapping[Literal["type", "value"], Annotated[str, Field(min_length=1, max_length=256)]]
# An entry of SubjectInformationAccess: how (``caRepository`` or a dotted OID) and where, in exactly one form.
AccessForm = Literal["uri", "dns", "email", "ip", "registered_id"]
InformationAccess = Mapping[
    Literal["method", "uri", "dns", "email", "ip", "registered_id"],
    Annotated[str, Field(min_length=1, max_length=256)],
]
# Name constraints by form: DNS domains, hosts of URIs, CIDR blocks, mailboxes or their hosts.
NameForms = Mapping[Form, Annotated[tuple[Pattern, ...], Field(max_length=100)]]


@declared
class AuthoritySubject:
    """The subject of a CA, by field in the service's order, or as ``attributes`` in the order given; lengths as in the service's ASN1Subject."""

    common_name: Text64 | None = None
    organization: Text64 | None = None
    organizational_unit: Text64 | None = None
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    state: Text128 | None = None
    locality: Text128 | None = None
    title: Text64 | None = None
    surname: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    given_name: Annotated[str, Field(min_length=1, max_length=16)] | None = None
    initials: Annotated[str, Field(min_length=1, max_length=5)] | None = None
    pseudonym: Text128 | None = None
    generation_qualifier: Annotated[str, Field(min_length=1, max_length=3)] | None = None
    serial_number: Text64 | None = None
    distinguished_name_qualifier: Text64 | None = None
    attributes: Annotated[tuple[SubjectAttribute, ...], Field(max_length=150)] = ()


@declared
class CsrExtensions:
    """CsrExtensions of CreateCertificateAuthority: what the CA's request asks of whoever signs it."""

    key_usage: Annotated[tuple[KeyUsage, ...], Field(max_length=9)] = ()
    subject_information_access: Annotated[tuple[InformationAccess, ...], Field(max_length=50)] = ()


@declared
class NameConstraints:
    """Names that certificates below a CA may and may not hold; permitted ones given, or derived ``from: profiles``."""

    source: Annotated[Literal["profiles"] | None, Field(alias="from")] = None
    permitted: NameForms = field(default_factory=dict)
    excluded: NameForms = field(default_factory=dict)


class CrlType(StrEnum):
    """CrlType of CrlConfiguration."""

    COMPLETE = "COMPLETE"
    PARTITIONED = "PARTITIONED"


@declared
class CrlSettings:
    """How a CA publishes its CRL: valid for whole days (1-5000), where in the bucket, under which host, named in certificates or not."""

    validity: DurationField
    type: CrlType = CrlType.COMPLETE
    path: CrlPath = "crl"
    host: HostName | None = None
    omit_cdp: Switch = False


@declared
class OcspSettings:
    """The service's OCSP responder; ``host`` stands in for its own in certificates and has to forward to it."""

    enabled: Switch
    host: HostName | None = None


@declared
class Authority:
    """One CA that should exist; ``issuer`` names its parent here or under ``external_authorities``, none means a root.

    Of ``enabled``, ``ocsp``, ``policy`` and ``acm_permission``, what is not given is left as it is. An empty ``policy`` means that there is none.
    """

    subject: AuthoritySubject
    issuer: Label | None = None
    generation: Annotated[int, Field(ge=1, le=999, strict=True)] = 1
    sha256: Sha256 | None = None
    arn: AuthorityArn | None = None
    backend: AuthorityHome | None = None
    enabled: Switch | None = None
    key_algorithm: KeyAlgorithm = KeyAlgorithm.EC_prime256v1
    signing_algorithm: SigningAlgorithm | None = None
    usage_mode: UsageMode = UsageMode.GENERAL_PURPOSE
    key_storage_security_standard: KeyStorageSecurityStandard | None = None
    csr: CsrExtensions | None = None
    validity: DurationField
    renew_from: Annotated[str, Field(pattern=PATTERNS.day)] | None = None
    path_length: Annotated[int, Field(ge=0, le=3, strict=True)] | None = None
    name_constraints: NameConstraints | None = None
    crl: CrlSettings
    ocsp: OcspSettings | None = None
    tags: Tags = field(default_factory=dict)
    policy: Mapping[str, Any] | None = None
    acm_permission: Switch | None = None


@declared
class ExternalAuthority:
    """A CA that is made and kept elsewhere: an offline root, another company's CA. ``issuer`` names another of these, none means a root.

    Its certificate comes with the chain of a CA below it; ``subject``, ``sha256`` or both say which one that must be.
    """

    subject: AuthoritySubject | None = None
    issuer: Label | None = None
    sha256: Sha256 | None = None


class Revocation(StrEnum):
    """Whose CRLs a bundle holds: every CA's of every chain, the end entities' issuers' only, or nobody's."""

    CHAIN = "chain"
    LEAF = "leaf"
    NONE = "none"


class TargetKind(StrEnum):
    """Relying parties that a bundle can be rendered for."""

    PEM = "pem"
    NGINX = "nginx"
    HAPROXY = "haproxy"
    APACHE = "apache"
    ENVOY = "envoy"
    JAVA = "java"
    KUBERNETES = "kubernetes"
    POSTGRESQL = "postgresql"
    NODEJS = "nodejs"
    PYTHON = "python"
    GO = "go"
    MOSQUITTO = "mosquitto"
    RABBITMQ = "rabbitmq"
    SPIFFE = "spiffe"
    AWS_ALB = "aws-alb"
    AWS_APIGATEWAY = "aws-apigateway"
    AWS_ROLESANYWHERE = "aws-rolesanywhere"
    CLOUDFRONT = "cloudfront"


@declared
class Target:
    """One rendering of a bundle; the kind is its name unless said. ``folder`` is a target of the user's own, ``targets/FOLDER/`` beside the file."""

    kind: TargetKind | None = None
    folder: Label | None = None


def target_kind(name: str, target: Target) -> TargetKind:
    """What ``target`` is rendered for: its ``kind``, else its name.

    Raises:
        ValueError: no kind is given and the name is none; ``checks.py`` would have refused it.
    """
    return target.kind or TargetKind(name)


@declared
class Bundle:
    """Who validates, and with what."""

    anchors: Annotated[tuple[Label, ...], Field(min_length=1)]
    targets: Annotated[Mapping[Label, Target], Field(min_length=1)]
    include_intermediates: Switch = False
    revocation: Revocation = Revocation.CHAIN


@declared
class Trust:
    """The trust bundles of an environment."""

    bundles: Mapping[Label, Bundle] = field(default_factory=dict)


class Persona(StrEnum):
    """Who works with an environment, each with a role of its own."""

    PROVISIONER = "provisioner"
    ISSUER = "issuer"
    REVOKER = "revoker"
    PUBLISHER = "publisher"
    RELYING_PARTY = "relying-party"
    AUDITOR = "auditor"


@declared
class Environment:
    """One environment file. ``lint`` is how bad a finding of pkilint, an extra (``pkiops[lint]``), must be to refuse what was issued."""

    schema: Annotated[Literal[1], BeforeValidator(_no_truth_value)]
    environment: EnvironmentName
    backend: AwsPrivateCaBackend
    ledger: Annotated[SqliteLedger | DynamoDbLedger, Field(discriminator="type")]
    publication: Publication
    access: Mapping[Persona, RoleArn] = field(default_factory=dict)
    tags: Tags = field(default_factory=dict)
    authorities: Annotated[Mapping[Label, Authority], Field(min_length=1)]
    external_authorities: Mapping[Label, ExternalAuthority] = field(default_factory=dict)
    profiles: Mapping[Label, Profile] = field(default_factory=dict)
    trust: Trust = field(default_factory=Trust)
    lint: Literal["error", "warning", "none"] = "none"
