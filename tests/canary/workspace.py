"""The workbench of the cases: the shared CA, buckets, and calls that wait and ask again where an answer is not final.

What this module decides: how the things of a run are made (tagged, written into the journal before and after) and which answers are no
answers yet: throttling, a change under way, a certificate being made, a bucket policy that has not spread. Which state the CA
is in is ``phases``'s business, its end ``cleaning``'s.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from pkiops.clock import Clock, Randomness
from tests.canary.case import ACCEPTED, Observation, refused
from tests.canary.journal import Journal

TAG = "pkiops:canary"
BUCKET_PREFIX = "pkiops-canary-"
SIGNING_ALGORITHM = "SHA256WITHECDSA"
SUBJECT = {
    "Country": "GB",
    "Organization": "Example Ltd",
    "OrganizationalUnit": "Canary",
    "State": "Example State",
    "CommonName": "pkiops canary",
    "Locality": "Example Town",
}
_NOT_YET = frozenset({"ThrottlingException", "ConcurrentModificationException"})
_PATIENCE = 60.0
_WRITE_ACTIONS = ["s3:PutObject", "s3:PutObjectAcl", "s3:GetBucketAcl", "s3:GetBucketLocation"]


class Unsettled(Exception):
    """A case could not be asked: what it needs first did not come about."""


@dataclass(frozen=True, slots=True)
class Clients:
    """boto3 clients of one account and Region."""

    pca: Any
    s3: Any
    sts: Any


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run takes place."""

    account: str
    region: str
    partition: str


def code_of(error: ClientError) -> str:
    """The AWS error code."""
    return str(error.response["Error"]["Code"])


class Workspace:
    """What cases work with.

    Args:
        clients: whom they ask.
        place: account, Region and partition of the clients.
        run: the identifier of this run; it is in every tag and name.
        clock: the service's time, and waiting.
        randomness: of idempotency tokens.
        journal: what was made.
    """

    def __init__(
        self, clients: Clients, place: Place, run: str, *, clock: Clock, randomness: Randomness, journal: Journal
    ) -> None:
        self.pca, self.s3, self.place, self.run = clients.pca, clients.s3, place, run
        self.clock = clock
        self.message: str | None = None
        self.first_report: Observation = None
        self.report_key: str | None = None
        self.known_certificate: str | None = None
        self._randomness = randomness
        self._journal = journal
        self._arn: str | None = None
        self._buckets: dict[str, str] = {}

    # the shared CA

    @property
    def arn(self) -> str:
        """The shared CA."""
        if self._arn is None:
            raise Unsettled("there is no certificate authority")
        return self._arn

    @property
    def authority_token(self) -> str:
        """The idempotency token with which the shared CA was made."""
        return f"canary-{self.run}"

    def create_shared(self) -> None:
        """Make the shared CA; it is CREATING then."""
        self._arn = self.create_authority(token=self.authority_token)

    def create_authority(self, *, token: str | None, common_name: str | None = None) -> str:
        """The ARN that CreateCertificateAuthority answers for a short-lived-mode root of this run.

        Raises:
            ClientError: the service refuses.
        """
        subject = {**SUBJECT, "CommonName": common_name} if common_name else SUBJECT
        self._journal.write("create", kind="authority", name=token or "without a token")
        answer = self.patiently(
            lambda: self.pca.create_certificate_authority(
                CertificateAuthorityType="ROOT",
                UsageMode="SHORT_LIVED_CERTIFICATE",
                CertificateAuthorityConfiguration={
                    "KeyAlgorithm": "EC_prime256v1",
                    "SigningAlgorithm": SIGNING_ALGORITHM,
                    "Subject": subject,
                },
                Tags=[{"Key": TAG, "Value": self.run}],
                **({"IdempotencyToken": token} if token else {}),
            )
        )
        arn = str(answer["CertificateAuthorityArn"])
        self._journal.write("created", kind="authority", name=arn)
        return arn

    def describe(self) -> dict[str, Any]:
        """Describe's answer about the shared CA."""
        answer: dict[str, Any] = self.patiently(
            lambda: self.pca.describe_certificate_authority(CertificateAuthorityArn=self.arn)
        )["CertificateAuthority"]
        return answer

    def await_status(self, status: str) -> None:
        """Wait until the shared CA is in a state.

        Raises:
            Unsettled: it does not come.
        """
        self.until(lambda: self.describe()["Status"] == status, f"the certificate authority is not {status}")

    def set_status(self, status: str) -> None:
        """Enable or disable the shared CA."""
        self.patiently(lambda: self.pca.update_certificate_authority(CertificateAuthorityArn=self.arn, Status=status))
        self.await_status(status)

    def delete(self) -> None:
        """Delete the shared CA, which is not ACTIVE, for the shortest time."""
        self.patiently(
            lambda: self.pca.delete_certificate_authority(
                CertificateAuthorityArn=self.arn, PermanentDeletionTimeInDays=7
            )
        )
        self.await_status("DELETED")

    def authority_csr(self) -> str:
        """The shared CA's own request."""
        answer = self.patiently(lambda: self.pca.get_certificate_authority_csr(CertificateAuthorityArn=self.arn))
        return str(answer["Csr"])

    def own_certificate(
        self, template: str = "RootCACertificate", *, not_after: datetime | None = None, **more: Any
    ) -> str:
        """A certificate by which the shared CA signs itself, by default for thirty days; not imported."""
        end = not_after or self.now() + timedelta(days=30)
        return self.issue(self.authority_csr(), template, not_after=end, **more)

    def import_certificate(self, pem: str) -> None:
        """Give the shared CA its certificate."""
        self.patiently(
            lambda: self.pca.import_certificate_authority_certificate(CertificateAuthorityArn=self.arn, Certificate=pem)
        )

    # questions

    def ask(self, operation: str, **parameters: Any) -> Observation:
        """Call an operation (in boto3's spelling) for the shared CA: ``ACCEPTED``, or the code of the refusal, whose message is kept."""
        parameters = {"CertificateAuthorityArn": self.arn, **parameters}
        return self.outcome(lambda: getattr(self.pca, operation)(**parameters))

    def ask_policy(self, statement: Mapping[str, Any]) -> Observation:
        """Put a resource policy of one statement on the shared CA; taken away again if it was accepted."""
        body = {"Resource": self.arn, "Principal": {"AWS": self.place.account}, **statement}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [body]})
        found = self.outcome(lambda: self.pca.put_policy(ResourceArn=self.arn, Policy=policy))
        if found == ACCEPTED:
            self.patiently(lambda: self.pca.delete_policy(ResourceArn=self.arn))
        return found

    def ask_issue(self, csr: str, template: str = "EndEntityClientAuthCertificate", **more: Any) -> Observation:
        """Ask for a certificate, and do not fetch it."""
        return self.outcome(lambda: self.pca.issue_certificate(**self.issue_request(csr, template, **more)))

    def outcome(self, call: Callable[[], Any]) -> Observation:
        """``ACCEPTED``, or the code of the refusal, whose message is kept."""
        try:
            self.patiently(call)
        except ClientError as error:
            self.message = str(error.response["Error"].get("Message") or "")
            return refused(code_of(error))
        return ACCEPTED

    # certificates

    def issue_request(
        self, csr: str, template: str, *, not_after: datetime | None = None, **more: Any
    ) -> dict[str, Any]:
        """A request of IssueCertificate, by default for a day, with a token of its own."""
        end = not_after or self.now() + timedelta(days=1)
        return {
            "CertificateAuthorityArn": self.arn,
            "Csr": csr,
            "TemplateArn": f"arn:{self.place.partition}:acm-pca:::template/{template}/V1",
            "SigningAlgorithm": SIGNING_ALGORITHM,
            "Validity": absolute(end),
            "IdempotencyToken": self.token(),
            **more,
        }

    def issue(self, csr: str, template: str = "EndEntityClientAuthCertificate", **more: Any) -> str:
        """The PEM of a new certificate.

        Raises:
            ClientError: it is refused.
        """
        request = self.issue_request(csr, template, **more)
        answer = self.patiently(lambda: self.pca.issue_certificate(**request))
        self.known_certificate = str(answer["CertificateArn"])
        return self.certificate(self.known_certificate)

    def certificate(self, arn: str) -> str:
        """The PEM of a certificate, asked for until it is there."""
        answer = self.patiently(
            lambda: self.pca.get_certificate(CertificateAuthorityArn=self.arn, CertificateArn=arn),
            frozenset({"RequestInProgressException"}),
        )
        return str(answer["Certificate"])

    def token(self) -> str:
        """A new idempotency token."""
        return self._randomness.uuid4().hex

    # buckets

    def bucket(self, kind: str) -> str:
        """The name of a bucket of this run, made when first asked for: ``open`` to the service, ``closed`` to it, or ``service`` only.

        All of them block public access and have no ACLs. Into a ``service`` bucket nobody of this account may write, the caller included.
        """
        if kind not in self._buckets:
            name = f"{BUCKET_PREFIX}{self.run}-{kind}"
            self._journal.write("create", kind="bucket", name=name)
            place = {"CreateBucketConfiguration": {"LocationConstraint": self.place.region}}
            self.s3.create_bucket(Bucket=name, **({} if self.place.region == "us-east-1" else place))
            self.s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": TAG, "Value": self.run}]})
            self._journal.write("created", kind="bucket", name=name)
            blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
            self.s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(blocked, True))
            if kind != "closed":
                self.s3.put_bucket_policy(Bucket=name, Policy=json.dumps(self._bucket_policy(name, kind)))
            self._buckets[kind] = name
        return self._buckets[kind]

    def _bucket_policy(self, name: str, kind: str) -> dict[str, Any]:
        resources = [f"arn:{self.place.partition}:s3:::{name}{suffix}" for suffix in ("", "/*")]
        service = {
            "Effect": "Allow",
            "Principal": {"Service": "acm-pca.amazonaws.com"},
            "Action": _WRITE_ACTIONS,
            "Resource": resources,
            "Condition": {"StringEquals": {"aws:SourceAccount": self.place.account}},
        }
        # requests that the service makes by itself carry no aws:PrincipalAccount
        nobody_else = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": resources[1],
            "Condition": {"StringEquals": {"aws:PrincipalAccount": self.place.account}},
        }
        return {"Version": "2012-10-17", "Statement": [service, nobody_else] if kind == "service" else [service]}

    def keys(self, kind: str) -> list[str]:
        """The keys of the objects in a bucket of this run."""
        return [str(each["Key"]) for each in self.s3.list_objects_v2(Bucket=self.bucket(kind)).get("Contents", [])]

    # waiting

    def now(self) -> datetime:
        """The service's time."""
        return self.clock.now()

    def patiently(self, call: Callable[[], Any], also: frozenset[str] = frozenset()) -> Any:
        """The answer of a call, repeated while it says that it is no answer yet.

        Raises:
            ClientError: a refusal, or a minute is over.
        """
        deadline, pause = self.clock.monotonic() + _PATIENCE, 0.1
        while True:
            try:
                return call()
            except ClientError as error:
                if code_of(error) not in _NOT_YET | also or self.clock.monotonic() > deadline:
                    raise
            self.clock.sleep(pause)
            pause = min(pause * 2, 2.0)

    def until(self, condition: Callable[[], bool], otherwise: str, patience: float = _PATIENCE) -> None:
        """Wait for a condition.

        Raises:
            Unsettled: it does not come about; ``otherwise`` says what is so instead.
        """
        deadline, pause = self.clock.monotonic() + patience, 0.1
        while not condition():
            if self.clock.monotonic() > deadline:
                raise Unsettled(f"{otherwise} after {patience:.0f} seconds")
            self.clock.sleep(pause)
            pause = min(pause * 2, 2.0)

    def wait_until(self, moment: datetime) -> None:
        """Wait until a moment is over, by the service's clock."""
        self.clock.sleep(max(0.0, (moment - self.now()).total_seconds()) + 1)


def absolute(moment: datetime) -> dict[str, Any]:
    """A ``Validity`` of the type ABSOLUTE."""
    return {"Type": "ABSOLUTE", "Value": int(moment.astimezone(UTC).timestamp())}
