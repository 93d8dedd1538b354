"""The workbench of the cases: the shared CA and calls about it.

What this module decides: how CAs and certificates of a run are asked for (tagged, written into the journal before and after), and what is
written down of an answer. Buckets are ``buckets``'s business, waiting ``patience``'s; which state the CA is in ``phases``'s, its end
``cleaning``'s.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from pkiops.clock import Clock, Randomness
from tests.canary.bill import SHORT_LIVED
from tests.canary.buckets import TAG, Buckets, Place
from tests.canary.case import ACCEPTED, Observation, refused
from tests.canary.connection import Clients
from tests.canary.journal import Journal
from tests.canary.patience import Patience, Unsettled, code_of

SIGNING_ALGORITHM = "SHA256WITHECDSA"
SUBJECT = {
    "Country": "GB",
    "Organization": "Example Ltd",
    "OrganizationalUnit": "Canary",
    "State": "Example State",
    "CommonName": "pkiops canary",
    "Locality": "Example Town",
}
_DENIED = frozenset({"AccessDeniedException", "AccessDenied"})
_JUST_CREATED = frozenset({"ResourceNotFoundException"})
_JUST_ACTIVATED = frozenset({"InvalidStateException"})


@dataclass(frozen=True, slots=True)
class Report:
    """The first audit report of the shared CA: what came of it, when it was asked for, and its key if it was written."""

    outcome: Observation
    asked: datetime
    key: str | None


class Workspace(Patience):
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
        super().__init__(clock)
        self.pca, self.s3, self.quotas, self.place, self.run = clients.pca, clients.s3, clients.quotas, place, run
        self.buckets = Buckets(clients.s3, place, run, journal)
        self.message: str | None = None
        self.known_certificate: str | None = None
        self.report: Report | None = None
        self.shared_so_far = 0
        self._randomness = randomness
        self._journal = journal
        self._arn: str | None = None

    # the shared CA

    @property
    def has_authority(self) -> bool:
        """Whether there is a shared CA."""
        return self._arn is not None

    @property
    def arn(self) -> str:
        """The shared CA."""
        if self._arn is None:
            raise Unsettled("there is no certificate authority")
        return self._arn

    @property
    def authority_token(self) -> str:
        """The idempotency token with which the shared CA was made."""
        return f"canary-{self.run}-{self.shared_so_far}"

    def create_shared(self) -> None:
        """Make the shared CA, or another in its place; it is CREATING then."""
        self._arn = self.known_certificate = self.report = None
        self.shared_so_far += 1
        self._arn = self.create_authority(token=self.authority_token)

    def create_authority(self, *, token: str | None, common_name: str | None = None) -> str:
        """The ARN that CreateCertificateAuthority answers for a short-lived-mode root of this run.

        Raises:
            ClientError: the service refuses.
        """
        subject = {**SUBJECT, "CommonName": common_name} if common_name else SUBJECT
        request = {
            "CertificateAuthorityType": "ROOT",
            "UsageMode": SHORT_LIVED,
            "CertificateAuthorityConfiguration": {
                "KeyAlgorithm": "EC_prime256v1",
                "SigningAlgorithm": SIGNING_ALGORITHM,
                "Subject": subject,
            },
            "Tags": [{"Key": TAG, "Value": self.run}],
            **({"IdempotencyToken": token} if token else {}),
        }
        self._journal.write("create", kind="authority", token=token or "none")
        try:
            answer = self.patiently(lambda: self.pca.create_certificate_authority(**request))
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                self._journal.write("refused", kind="authority", name=code_of(error))
            raise
        arn = str(answer["CertificateAuthorityArn"])
        self._journal.write("created", kind="authority", name=arn)
        return arn

    def describe(self) -> dict[str, Any]:
        """Describe's answer about the shared CA."""
        answer: dict[str, Any] = self.patiently(
            lambda: self.pca.describe_certificate_authority(CertificateAuthorityArn=self.arn), _JUST_CREATED
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

    def outcome(
        self, call: Callable[[], Any], *, again: frozenset[str] = frozenset(), denial_is_answer: bool = False
    ) -> Observation:
        """``ACCEPTED``, or the code of the refusal, whose message is kept.

        Args:
            call: the question.
            again: codes that may be the effect of a change which has not spread yet, and are worth asking again.
            denial_is_answer: whether the case is about the caller's permissions.

        Raises:
            Unsettled: the caller's permissions do not suffice to ask.
        """
        self.message = None
        try:
            self.patiently(call, again)
        except ClientError as error:
            self.message = str(error.response["Error"].get("Message") or "")
            if code_of(error) in _DENIED and not denial_is_answer:
                raise Unsettled(f"the caller is not allowed to ask: {self.message}") from error
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
        answer = self.patiently(lambda: self.pca.issue_certificate(**request), _JUST_ACTIVATED)
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


def absolute(moment: datetime) -> dict[str, Any]:
    """A ``Validity`` of the type ABSOLUTE."""
    return {"Type": "ABSOLUTE", "Value": int(moment.astimezone(UTC).timestamp())}
