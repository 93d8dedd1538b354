"""What a caller of AWS Private CA needs in S3: the service writes CRLs in its own name, but only for whoever might write there, too.

What this module decides: that CreateCertificateAuthority and UpdateCertificateAuthority with a CRL, and RevokeCertificate of a CA that has one, need
the permissions that the service itself needs in the bucket. The API reference says of all three that "the IAM principal must have permission to write
to the S3 bucket" and that "an exception is thrown"; which permissions and which exception it leaves open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pkiops.sandbox.engine.state import Region
from pkiops.sandbox.iam_needs import Need

_CONFIGURING = frozenset({"CreateCertificateAuthority", "UpdateCertificateAuthority"})
# what the service tries before it takes a bucket (user guide, encrypting CRLs)
_TRIED = "acm-pca-permission-test-key"


def crl_bucket_needs(operation: str, given: Mapping[str, Any], partition: str, regions: Iterable[Region]) -> list[Need]:
    """The needs of a call of AWS Private CA besides its own.

    Args:
        operation: its name.
        given: its parameters.
        partition: of its Region.
        regions: the state of AWS Private CA.
    """
    if operation in _CONFIGURING:
        revocation = given.get("RevocationConfiguration")
        configuration = revocation.get("CrlConfiguration") if isinstance(revocation, dict) else None
    elif operation == "RevokeCertificate":
        arn = str(given.get("CertificateAuthorityArn"))
        authority = next((region.authorities[arn] for region in regions if arn in region.authorities), None)
        configuration = authority.crl_configuration if authority else None
    else:
        return []
    if not isinstance(configuration, dict) or not configuration.get("Enabled") or not configuration.get("S3BucketName"):
        return []  # without a bucket there is nothing to ask for; the service says what is wrong
    bucket = f"arn:{partition}:s3:::{configuration['S3BucketName']}"
    return [
        *(Need(action, bucket) for action in ("s3:GetBucketAcl", "s3:GetBucketLocation")),
        *(Need(action, f"{bucket}/{_TRIED}") for action in ("s3:PutObject", "s3:PutObjectAcl")),
    ]
