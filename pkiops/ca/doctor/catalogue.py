"""Every check of ``ca doctor``: its stable code, severity, what goes wrong without it, and where that is written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How bad a finding is: ERROR breaks something now, WARNING will, INFO is worth knowing."""

    INFO = 1
    WARNING = 2
    ERROR = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked at. ``prevents`` is the AWS error or the outage it is about, ``source`` where that is documented or was seen."""

    code: str
    severity: Severity
    title: str
    prevents: str
    source: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found at one object (``prod/ca/clients``, ``s3://bucket``); ``hint`` says what to do."""

    check: Check
    where: str
    message: str
    hint: str


_GUIDE = "AWS Private CA User Guide"
_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO

CHECKS = (
    Check(
        "access.denied",
        _W,
        "something could not be looked at",
        "a health check that sees nothing",
        "Service Authorization Reference",
    ),
    Check(
        "access.failed",
        _W,
        "a read failed, though nobody refused it",
        "a health check that sees nothing",
        "ThrottlingException and InternalFailure (Common Errors)",
    ),
    Check(
        "account.credentials",
        _E,
        "AWS does not take the credentials",
        "UnrecognizedClientException, ExpiredTokenException",
        "STS API Reference",
    ),
    Check(
        "account.mismatch",
        _E,
        "the credentials are of another account",
        "CAs made in the wrong account",
        "STS GetCallerIdentity",
    ),
    Check(
        "account.unreachable",
        _E,
        "AWS does not answer",
        "EndpointConnectionError, InternalFailure",
        "STS API Reference",
    ),
    Check(
        "authority.creating", _I, "the CA is still being created", "RequestInProgressException", _GUIDE + ", CA states"
    ),
    Check(
        "authority.disabled",
        _W,
        "billed, but issues nothing, and the file does not say so",
        "InvalidStateException on IssueCertificate",
        _GUIDE + ", CA states",
    ),
    Check(
        "authority.duplicate", _E, "two CAs carry one identity", "an apply that cannot go on", "pkiops identity tags"
    ),
    Check(
        "authority.elsewhere",
        _E,
        "a CA carries our tags in another account or region than the file says",
        "a CA that somebody slipped in, or an authority that was moved",
        "pkiops identity tags",
    ),
    Check(
        "authority.expired",
        _E,
        "its certificate has expired",
        "InvalidStateException on IssueCertificate",
        _GUIDE + ", CA states",
    ),
    Check(
        "authority.expiring",
        _W,
        "its certificate ends soon",
        "every certificate below it fails on one day",
        "RFC 5280 section 6.1.3",
    ),
    Check(
        "authority.failed", _E, "its creation failed for good", "a CA that never becomes usable", _GUIDE + ", CA states"
    ),
    Check(
        "authority.leaf-no-longer-fits",
        _W,
        "a full-length certificate no longer fits below it",
        "ValidationException on IssueCertificate",
        _GUIDE + ", not-after cap",
    ),
    Check("authority.missing", _I, "declared, but not made yet", "ResourceNotFoundException", "the environment file"),
    Check(
        "authority.not-as-pinned",
        _E,
        "its certificate is not the one that the file pins",
        "bundles that are refused, and an apply that cannot go on",
        "the environment file",
    ),
    Check(
        "authority.pending",
        _W,
        "billed, but has no certificate",
        "InvalidStateException on IssueCertificate",
        "terraform-provider-aws#37592",
    ),
    Check(
        "authority.unmanaged",
        _I,
        "a CA of the account that no file declares",
        "paying for what nobody uses",
        "AWS Private CA pricing page",
    ),
    Check(
        "authority.unpinned",
        _W,
        "the file does not pin the root",
        "readers that must trust the account's tags",
        "pkiops index",
    ),
    Check(
        "bucket.encryption",
        _E,
        "encrypted in a way that the service cannot use",
        "ValidationException: permission error with your S3 bucket",
        _GUIDE + ", CRL bucket encryption",
    ),
    Check(
        "bucket.encryption-key",
        _W,
        "encrypted with a KMS key: who has no right to the key reads nothing",
        "AccessDenied for a CDN or a relying party that fetches a CRL",
        _GUIDE + ", CRL bucket encryption",
    ),
    Check(
        "bucket.missing",
        _E,
        "the bucket does not exist",
        "ValidationException on CreateCertificateAuthority",
        _GUIDE + ", planning a CRL",
    ),
    Check(
        "bucket.ownership",
        _W,
        "objects may belong to who writes them",
        "objects that the account cannot read",
        "S3 User Guide, object ownership",
    ),
    Check(
        "bucket.policy",
        _E,
        "the policy lacks a statement",
        "ValidationException: permission error with your S3 bucket",
        _GUIDE + ", CRL bucket policy",
    ),
    Check(
        "bucket.public-access",
        _E,
        "Block Public Access is not on",
        "a bucket that is open to the world",
        "S3 User Guide, block public access",
    ),
    Check(
        "bucket.region", _E, "the bucket is in another region", "calls that are redirected or refused", "S3 User Guide"
    ),
    Check(
        "bucket.versioning",
        _W,
        "earlier versions are not kept",
        "a CRL or bundle that cannot be brought back",
        "S3 User Guide, versioning",
    ),
    Check(
        "caller.user-policy",
        _E,
        "AWSPrivateCAUser is attached to the caller",
        "AccessDeniedException: it denies every template but EndEntityCertificate",
        "AWSPrivateCAUser managed policy",
    ),
    Check(
        "cdp.other",
        _W,
        "the distribution point serves another CRL than the bucket holds",
        "relying parties that miss revocations",
        "RFC 5280 section 5",
    ),
    Check(
        "cdp.unreachable",
        _E,
        "the distribution point serves no current CRL of the CA",
        "relying parties that refuse every client",
        "RFC 5280 section 4.2.1.13",
    ),
    Check(
        "crl.awaited",
        _I,
        "the CA has issued nothing yet, and so has no CRL",
        "relying parties that refuse its first clients",
        _GUIDE + ", planning a CRL",
    ),
    Check(
        "crl.expired", _E, "the CRL has expired", "relying parties that refuse every client", "RFC 5280 section 5.1.2.5"
    ),
    Check(
        "crl.external-expired",
        _E,
        "the published CRL of a CA that is kept elsewhere has expired",
        "relying parties that check whole chains and refuse every client",
        "RFC 5280 section 5.1.2.5",
    ),
    Check(
        "crl.external-expiring",
        _W,
        "the published CRL of a CA that is kept elsewhere runs out soon",
        "a new one that comes too late from those who keep its key",
        "RFC 5280 section 5.1.2.5",
    ),
    Check(
        "crl.external-missing",
        _W,
        "no CRL of a CA that is kept elsewhere is published",
        "bundles with revocation: chain that cannot be rendered",
        "RFC 5280 section 6.3",
    ),
    Check(
        "crl.large",
        _W,
        "the CRL comes close to the service's limit",
        "revocations that are refused at 1,000,000 entries",
        "AWS Private CA quotas, L-DFF54388",
    ),
    Check(
        "crl.missing", _W, "the CA wrote no CRL yet", "a bundle that cannot be complete", _GUIDE + ", planning a CRL"
    ),
    Check("crl.off", _E, "the CA publishes no CRL", "revocations that nobody hears of", "terraform-provider-aws#46705"),
    Check(
        "crl.partitioned",
        _I,
        "the CRL is published in parts, which are not looked at here",
        "believing that somebody watches it",
        _GUIDE + ", partitioned CRLs",
    ),
    Check(
        "crl.stale",
        _E,
        "the service wrote no new CRL at half of its life",
        "an expired CRL some days from now",
        _GUIDE + ", CRL updates",
    ),
    Check(
        "crl.unreadable",
        _E,
        "the CRL in the bucket is not one of this CA",
        "relying parties that refuse every client",
        "RFC 5280 section 6.3",
    ),
    Check(
        "index.stale",
        _W,
        "the published index does not name what exists",
        "issuers that must list and read tags",
        "pkiops index",
    ),
    Check(
        "ledger.inactive",
        _E,
        "the table of the ledger is not ACTIVE",
        "ResourceInUseException, ResourceNotFoundException on PutItem",
        "DynamoDB API Reference, TableDescription",
    ),
    Check(
        "ledger.missing",
        _E,
        "the table of the ledger does not exist",
        "ResourceNotFoundException on PutItem",
        "DynamoDB API Reference",
    ),
    Check(
        "ledger.shape",
        _E,
        "the table's keys or indexes are not a ledger's",
        "ValidationException on PutItem and Query",
        "DynamoDB API Reference",
    ),
    Check(
        "ledger.unprotected",
        _W,
        "deletion protection or point-in-time recovery of the ledger's table is off",
        "a ledger that is lost with its table, and every unfinished request with it",
        "DynamoDB Developer Guide, backup and restore",
    ),
    Check(
        "permission.acm",
        _E,
        "ACM may not issue from the CA",
        "ACM: the signing certificate has expired",
        "terraform-provider-aws#46693",
    ),
    Check(
        "permission.undeclared",
        _W,
        "others may use the CA though the file does not say so (looked for with --deep)",
        "certificates issued past pkiops and its policy",
        _GUIDE + ", resource-based policies",
    ),
    Check(
        "quota.authorities",
        _W,
        "most of the CAs that an account may have exist",
        "LimitExceededException on CreateCertificateAuthority",
        "AWS Private CA quotas, L-799883CD",
    ),
)
BY_CODE = {check.code: check for check in CHECKS}


def finding(code: str, where: str, message: str, hint: str) -> Finding:
    """A finding of the check with that code."""
    return Finding(BY_CODE[code], where, message, hint)
