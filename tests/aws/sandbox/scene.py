"""The first calls of most adapter tests, through plain boto3."""

from __future__ import annotations

import json
from typing import Any

from tests.sandbox_server import ACCOUNT, REGION
from tests.unit.sandbox.world import TEMPLATE, csr

BUCKET = "example-crl"
CONFIGURATION = {
    "KeyAlgorithm": "EC_prime256v1",
    "SigningAlgorithm": "SHA256WITHECDSA",
    "Subject": {"CommonName": "Example Root", "Country": "GB"},
}
CRL = {
    "CrlConfiguration": {
        "Enabled": True,
        "ExpirationInDays": 7,
        "S3BucketName": BUCKET,
        "S3ObjectAcl": "BUCKET_OWNER_FULL_CONTROL",
        "CustomCname": "pki.example.com",
    }
}
ISSUE: dict[str, Any] = {"SigningAlgorithm": "SHA256WITHECDSA", "Validity": {"Type": "DAYS", "Value": 30}}


def bucket_policy(**condition: Any) -> str:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": "acm-pca.amazonaws.com"},
        "Action": ["s3:PutObject", "s3:PutObjectAcl", "s3:GetBucketAcl", "s3:GetBucketLocation"],
        "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
        "Condition": condition or {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def make_bucket(s3: Any, policy: str | None = None) -> None:
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy or bucket_policy())


def create(pca: Any, kind: str = "ROOT", **more: Any) -> str:
    more.setdefault("CertificateAuthorityConfiguration", CONFIGURATION)
    return str(pca.create_certificate_authority(CertificateAuthorityType=kind, **more)["CertificateAuthorityArn"])


def describe(pca: Any, arn: str) -> dict[str, Any]:
    answer: dict[str, Any] = pca.describe_certificate_authority(CertificateAuthorityArn=arn)["CertificateAuthority"]
    return answer


def certificate(pca: Any, arn: str, certificate_arn: str) -> dict[str, str]:
    """GetCertificate, asked as often as it takes."""
    while True:
        try:
            answer: dict[str, str] = pca.get_certificate(CertificateAuthorityArn=arn, CertificateArn=certificate_arn)
        except pca.exceptions.RequestInProgressException:
            continue
        return answer


def issue(pca: Any, arn: str, request: str, template: str = "EndEntityClientAuthCertificate", **more: Any) -> str:
    parameters = {**ISSUE, **more}
    answer = pca.issue_certificate(
        CertificateAuthorityArn=arn, Csr=request, TemplateArn=TEMPLATE.format(template), **parameters
    )
    return str(answer["CertificateArn"])


def active_root(pca: Any, **more: Any) -> str:
    arn = create(pca, **more)
    while describe(pca, arn)["Status"] == "CREATING":
        pass
    request = pca.get_certificate_authority_csr(CertificateAuthorityArn=arn)["Csr"]
    own = issue(pca, arn, request, "RootCACertificate", Validity={"Type": "YEARS", "Value": 20})
    pca.import_certificate_authority_certificate(
        CertificateAuthorityArn=arn, Certificate=certificate(pca, arn, own)["Certificate"]
    )
    return arn


def leaf(pca: Any, arn: str) -> str:
    return issue(pca, arn, csr())
