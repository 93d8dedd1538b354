"""A root and an issuing CA, made through boto3 as anybody would make them.

What this module decides: names, lifetimes and the bucket of a hierarchy that tests can begin with. It talks to the service's API
only, and knows nothing of the engine.
"""

from __future__ import annotations

import json
from typing import Any

BUCKET = "private-ca-crl"
_ALGORITHM = "SHA256WITHECDSA"
_QUICKLY = {"Delay": 0, "MaxAttempts": 1000}


def make_hierarchy(pca: Any, s3: Any) -> dict[str, str]:
    """Make both, ACTIVE; the ARNs and certificates as ``PrivateCaHierarchy`` names them."""
    _make_bucket(s3)
    root = _create(pca, "ROOT", "Sandbox Root")
    root_pem = _issue(pca, root, root, "RootCACertificate", 10)["Certificate"]
    pca.import_certificate_authority_certificate(CertificateAuthorityArn=root, Certificate=root_pem.encode())
    issuing = _create(pca, "SUBORDINATE", "Sandbox Issuing CA")
    issued = _issue(pca, root, issuing, "SubordinateCACertificate_PathLen0", 5)
    pca.import_certificate_authority_certificate(
        CertificateAuthorityArn=issuing,
        Certificate=issued["Certificate"].encode(),
        CertificateChain=issued["CertificateChain"].encode(),
    )
    return {
        "root_arn": root,
        "issuing_arn": issuing,
        "root_pem": root_pem,
        "issuing_pem": issued["Certificate"],
        "bucket": BUCKET,
    }


def _make_bucket(s3: Any) -> None:
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "acm-pca.amazonaws.com"},
        "Action": ["s3:PutObject", "s3:PutObjectAcl", "s3:GetBucketAcl", "s3:GetBucketLocation"],
        "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
    }
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def _create(pca: Any, kind: str, common_name: str) -> str:
    answer = pca.create_certificate_authority(
        CertificateAuthorityConfiguration={
            "KeyAlgorithm": "EC_prime256v1",
            "SigningAlgorithm": _ALGORITHM,
            "Subject": {"Organization": "Example Ltd", "CommonName": common_name},
        },
        CertificateAuthorityType=kind,
        RevocationConfiguration={
            "CrlConfiguration": {
                "Enabled": True,
                "ExpirationInDays": 7,
                "S3BucketName": BUCKET,
                "S3ObjectAcl": "BUCKET_OWNER_FULL_CONTROL",
            }
        },
    )
    return str(answer["CertificateAuthorityArn"])


def _issue(pca: Any, issuer: str, subject: str, template: str, years: int) -> dict[str, str]:
    pca.get_waiter("certificate_authority_csr_created").wait(CertificateAuthorityArn=subject, WaiterConfig=_QUICKLY)
    request = pca.get_certificate_authority_csr(CertificateAuthorityArn=subject)["Csr"]
    issued = pca.issue_certificate(
        CertificateAuthorityArn=issuer,
        Csr=request.encode(),
        SigningAlgorithm=_ALGORITHM,
        TemplateArn=f"arn:aws:acm-pca:::template/{template}/V1",
        Validity={"Type": "YEARS", "Value": years},
    )
    names = {"CertificateAuthorityArn": issuer, "CertificateArn": issued["CertificateArn"]}
    pca.get_waiter("certificate_issued").wait(**names, WaiterConfig=_QUICKLY)
    answer: dict[str, str] = pca.get_certificate(**names)
    return answer
