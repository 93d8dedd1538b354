"""A client that knows boto3 and nothing of pkiops: what anybody would write against AWS Private CA.

``python plain_client.py FOLDER`` makes a root with path length 1, a subordinate, a client certificate and a revoked one, with the CRLs of both
CAs out of S3, and leaves them in FOLDER. Where the service is, boto3 learns from the environment.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import boto3
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

BUCKET = "plain-client-crl"
TEMPLATE = "arn:aws:acm-pca:::template/{}/V1"
ALGORITHM = "SHA384WITHECDSA"
WAIT = {"Delay": 0.1, "MaxAttempts": 100}


def make_bucket(s3: Any, account: str) -> None:
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    s3.put_public_access_block(
        Bucket=BUCKET,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "acm-pca.amazonaws.com"},
        "Action": ["s3:PutObject", "s3:PutObjectAcl", "s3:GetBucketAcl", "s3:GetBucketLocation"],
        "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def create(pca: Any, kind: str, common_name: str) -> str:
    answer = pca.create_certificate_authority(
        CertificateAuthorityConfiguration={
            "KeyAlgorithm": "EC_secp384r1",
            "SigningAlgorithm": ALGORITHM,
            "Subject": {"Country": "GB", "Organization": "Example Ltd", "CommonName": common_name},
        },
        CertificateAuthorityType=kind,
        IdempotencyToken=common_name.replace(" ", "-"),
        RevocationConfiguration={
            "CrlConfiguration": {
                "Enabled": True,
                "ExpirationInDays": 7,
                "S3BucketName": BUCKET,
                "S3ObjectAcl": "BUCKET_OWNER_FULL_CONTROL",
                "CustomCname": "pki.example.com",
            }
        },
        Tags=[{"Key": "team", "Value": "platform"}],
    )
    return str(answer["CertificateAuthorityArn"])


def issue(pca: Any, authority: str, csr: str | bytes, template: str, **more: Any) -> dict[str, str]:
    answer = pca.issue_certificate(
        CertificateAuthorityArn=authority,
        Csr=csr,
        SigningAlgorithm=ALGORITHM,
        TemplateArn=TEMPLATE.format(template),
        **more,
    )
    names = {"CertificateAuthorityArn": authority, "CertificateArn": answer["CertificateArn"]}
    pca.get_waiter("certificate_issued").wait(**names, WaiterConfig=WAIT)
    result: dict[str, str] = pca.get_certificate(**names)
    return result


def csr_of(pca: Any, authority: str) -> str:
    pca.get_waiter("certificate_authority_csr_created").wait(CertificateAuthorityArn=authority, WaiterConfig=WAIT)
    return str(pca.get_certificate_authority_csr(CertificateAuthorityArn=authority)["Csr"])


def make_root(pca: Any) -> str:
    arn = create(pca, "ROOT", "Plain Root")
    usage = {"DigitalSignature": True, "KeyCertSign": True, "CRLSign": True}
    issued = issue(
        pca,
        arn,
        csr_of(pca, arn),
        "BlankRootCACertificate_PathLen1_APIPassthrough",
        Validity={"Type": "YEARS", "Value": 20},
        ApiPassthrough={"Extensions": {"KeyUsage": usage}},
    )
    pca.import_certificate_authority_certificate(CertificateAuthorityArn=arn, Certificate=issued["Certificate"])
    return arn


def make_subordinate(pca: Any, root: str) -> str:
    arn = create(pca, "SUBORDINATE", "Plain Clients")
    validity = {"Type": "YEARS", "Value": 5}
    issued = issue(pca, root, csr_of(pca, arn), "SubordinateCACertificate_PathLen0", Validity=validity)
    pca.import_certificate_authority_certificate(
        CertificateAuthorityArn=arn, Certificate=issued["Certificate"], CertificateChain=issued["CertificateChain"]
    )
    return arn


def client_certificate(pca: Any, authority: str, name: str, folder: Path, key: Any = None) -> x509.Certificate:
    key = key or ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(f"{name}.example.com")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    issued = issue(
        pca,
        authority,
        request.public_bytes(Encoding.PEM),
        "EndEntityClientAuthCertificate",
        Validity={"Type": "DAYS", "Value": 30},
    )
    (folder / f"{name}.pem").write_text(issued["Certificate"] + "\n")
    (folder / f"{name}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return x509.load_pem_x509_certificate(issued["Certificate"].encode())


def main(folder: Path) -> None:
    pca, s3 = boto3.client("acm-pca"), boto3.client("s3")
    make_bucket(s3, boto3.client("sts").get_caller_identity()["Account"])
    root = make_root(pca)
    clients = make_subordinate(pca, root)
    client_certificate(pca, clients, "good", folder)
    client_certificate(pca, clients, "rsa", folder, rsa.generate_private_key(65537, 2048))
    revoked = client_certificate(pca, clients, "revoked", folder)
    pca.revoke_certificate(
        CertificateAuthorityArn=clients,
        CertificateSerial=f"{revoked.serial_number:x}",
        RevocationReason="KEY_COMPROMISE",
    )
    for arn, name in ((root, "root"), (clients, "clients")):
        answer = pca.get_certificate_authority_certificate(CertificateAuthorityArn=arn)
        (folder / f"{name}.pem").write_text(answer["Certificate"] + "\n")
        crl = s3.get_object(Bucket=BUCKET, Key=f"crl/{arn.rpartition('/')[2]}.crl")["Body"].read()
        (folder / f"{name}.crl").write_bytes(crl)
    states = [item["Status"] for item in pca.list_certificate_authorities()["CertificateAuthorities"]]
    print(json.dumps({"root": root, "clients": clients, "states": states}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
