"""AWS sessions and clients, their retries and timeouts.

What this module decides:

- one session per account and role, one lazily made client per service, shared by threads; the session is botocore's own, because boto3's
  loads the S3 transfer manager, a tenth of the start-up of ``ca show``;
- timeouts are explicit (botocore's defaults have changed between releases), and every creating call of ours carries a token, so that a
  repeated request is never a second one; how fast calls are made and how often repeated is ``pacing.py``,
  how long a role's credentials last ``role_credentials.py``;
- where calls go is said by ``AwsAccess`` alone: endpoints in botocore's own variables and files count for nothing here, so that none gets past the
  guard against foreign ones; the sandbox needs no profile, and nothing that is on this machine is asked through a proxy;
- where the endpoint is not AWS, the clock follows the ``Date`` header of its answers (the sandbox's clock can be moved).

Which calls are made is left to the modules behind the interfaces, what an error means to ``aws_errors.py``.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.session import Session

from pkiops.aws_errors import is_loopback, translated
from pkiops.clock import Clock, Randomness, SystemClock, SystemRandomness
from pkiops.pacing import Pacing
from pkiops.progress import NoProgress, Progress
from pkiops.role_credentials import LIFE, Given, use_role

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_acm_pca import ACMPCAClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_resourcegroupstaggingapi import ResourceGroupsTaggingAPIClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient

_CONFIG: dict[str, Any] = {
    "retries": {"mode": "standard", "total_max_attempts": 1},  # repeated by pacing.py
    "connect_timeout": 5,
    "read_timeout": 30,
    "max_pool_connections": 32,
    "user_agent_extra": "pkiops",
    "ignore_configured_endpoint_urls": True,
}
# what another way stands in for is not waited for: a network without a way to it is common, where acm-pca has an endpoint of its own
_BRIEFLY: dict[str, Any] = {"resourcegroupstaggingapi": {"patience": 20.0, "repeats": 1}}
_BEGAN = "pkiops_began"
_FRESH_S = 3.0


@dataclass(frozen=True, slots=True)
class CallerIdentity:
    """Who AWS says we are (sts:GetCallerIdentity)."""

    account: str
    arn: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AwsAccess:
    """How to reach one account and region.

    ``endpoint_urls`` maps a service to the URL used in place of AWS's; ``sandbox`` means dummy credentials, whatever the shell holds.
    """

    region: str
    account: str
    role_arn: str | None
    endpoint_urls: Mapping[str, str]
    sandbox: bool


class AwsClients:
    """The clients of one account and region, made when first used.

    Args:
        access: the account, region, role and endpoints.
        follow: called with the moment in the ``Date`` header of each answer of an endpoint that is not AWS; without such, of DynamoDB's.
        clock: calls wait by it.
        randomness: spreads repeats.
        progress: is told what takes long.
        base: the clients of another account or region, whose caller assumes the role; with the same role, or none, the two share credentials.
    """

    def __init__(
        self,
        access: AwsAccess,
        *,
        follow: Callable[[datetime], None] | None = None,
        clock: Clock | None = None,
        randomness: Randomness | None = None,
        progress: Progress | None = None,
        base: AwsClients | None = None,
    ) -> None:
        self.access = access
        self._follow = follow
        self.progress: Progress = progress or NoProgress()
        self._clock = clock or SystemClock()
        self._pacing = Pacing(self._clock, randomness or SystemRandomness(), self.progress)
        self._base = base
        # sessions are shared with the base's clients, and only one thread at a time makes clients of a session
        self._lock: AbstractContextManager[Any] = base._lock if base else threading.RLock()
        self._clients: dict[tuple[str, bool], Any] = {}
        self._session: Session | None = None

    def private_ca(self) -> ACMPCAClient:
        """The acm-pca client."""
        client: ACMPCAClient = self._client("acm-pca")
        return client

    def private_ca_unpaced(self) -> ACMPCAClient:
        """An acm-pca client whose calls go at once, and once: who uses it keeps to the rates and repeats."""
        client: ACMPCAClient = self._client("acm-pca", paced=False)
        return client

    def s3(self) -> S3Client:
        """The s3 client."""
        client: S3Client = self._client("s3")
        return client

    def iam(self) -> IAMClient:
        """The iam client."""
        client: IAMClient = self._client("iam")
        return client

    def dynamodb(self) -> Any:
        """The dynamodb client."""
        return self._client("dynamodb")

    def tagging(self) -> ResourceGroupsTaggingAPIClient:
        """The client of the Resource Groups Tagging API; it does not wait long for a network that leads nowhere."""
        client: ResourceGroupsTaggingAPIClient = self._client("resourcegroupstaggingapi")
        return client

    def secrets_manager(self) -> Any:
        """The secretsmanager client."""
        return self._client("secretsmanager")

    def parameter_store(self) -> Any:
        """The ssm client."""
        return self._client("ssm")

    def caller_identity(self) -> CallerIdentity:
        """Who we are (sts:GetCallerIdentity).

        Raises:
            BackendError: no credentials, or STS refused.
        """
        client: STSClient = self._client("sts")
        with translated("GetCallerIdentity", f"account {self.access.account}"):
            answer = client.get_caller_identity()
        return CallerIdentity(account=answer["Account"], arn=answer["Arn"])

    def access_key(self) -> str | None:
        """The identifier of the access key that signs our calls, found without a call; None without credentials."""
        with self._lock, translated("credentials", f"account {self.access.account}"):
            found = self._make_session().get_credentials()
        return found.access_key if found else None

    def _client(self, service: str, *, paced: bool = True) -> Any:
        with self._lock:
            if (service, paced) not in self._clients:
                self._clients[service, paced] = self._make_client(self._make_session(), service, paced=paced)
            return self._clients[service, paced]

    def _make_session(self) -> Session:
        if self._session is None:
            role = self.access.role_arn
            if self._base is not None:
                caller = self._base._make_session()
                shared = role is None or role == self._base.access.role_arn
                self._session = caller if shared else self._assume(self._base, caller)
            else:
                caller = self._new_session()
                if self.access.sandbox:
                    caller.set_credentials("sandbox", "sandbox")  # the sandbox takes anything
                self._session = self._assume(self, caller) if role else caller
        return self._session

    def _new_session(self) -> Session:
        # the sandbox needs no profile, so one that does not exist is no harm: AWS_PROFILE is not read
        session = Session({"profile": (None, [], None, None)}) if self.access.sandbox else Session()
        session.set_config_variable("region", self.access.region)
        return session

    def _assume(self, asker: AwsClients, caller_session: Session) -> Session:
        """A session of the role, asked for in the region of ``asker``: its endpoints are that region's."""
        role = str(self.access.role_arn)
        sts: STSClient = asker._make_client(caller_session, "sts")
        with translated("GetCallerIdentity", f"account {asker.access.account}"):
            caller = sts.get_caller_identity()["Arn"]

        def ask() -> Given:
            with translated("AssumeRole", role):
                answer = sts.assume_role(
                    RoleArn=role, RoleSessionName=_session_name(caller), DurationSeconds=int(LIFE.total_seconds())
                )
            given = answer["Credentials"]
            return Given(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

        session = self._new_session()
        use_role(session, ask, self._clock)
        session.get_credentials()  # a role that may not be assumed is said now
        return session

    def _make_client(self, session: Session, service: str, *, paced: bool = True) -> Any:
        url = self.access.endpoint_urls.get(service)
        settings = {**_CONFIG, **({"connect_timeout": 3} if service in _BRIEFLY else {})}
        if service == "s3" and url:
            settings["s3"] = {"addressing_style": "path"}
        if url and is_loopback(url):
            settings["proxies"] = {}
        with translated(f"client {service}", self.access.region):
            client = session.create_client(
                service, region_name=self.access.region, endpoint_url=url, config=Config(**settings)
            )
        if paced:
            self._pacing.attach(client, service, **_BRIEFLY.get(service, {}))
        if self._follow and (url if self.access.endpoint_urls else service == "dynamodb"):
            client.meta.events.register("before-call", self._note_begin)
            client.meta.events.register("after-call", self._read_date)
        return client

    def _note_begin(self, context: dict[str, Any], **_: object) -> None:
        context[_BEGAN] = self._clock.monotonic()

    def _read_date(self, parsed: Mapping[str, Any], context: Mapping[str, Any], **_: object) -> None:
        # an answer that was long on its way is of the past; a clock that may have been moved is followed all the same
        if not self.access.endpoint_urls and self._clock.monotonic() - context[_BEGAN] > _FRESH_S:
            return
        date = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if date and self._follow:
            with contextlib.suppress(ValueError, TypeError):
                self._follow(parsedate_to_datetime(date))


def _session_name(caller: str) -> str:
    """The name of a role session that says who assumed it: CloudTrail and the ledger show it (sts:AssumeRole, at most 64 characters)."""
    who = (caller.rpartition("/")[2] or caller).removeprefix("pkiops-")  # a role that was assumed by us already
    return ("pkiops-" + re.sub(r"[^A-Za-z0-9+=,.@_-]", "-", who))[:64]
