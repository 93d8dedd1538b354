"""The buckets that ``ca apply`` makes: observed, created and kept private, versioned and encrypted.

- Block Public Access is on, ACLs are off, encryption is SSE-S3 (relying parties cannot read what KMS protects).
- Only statements with our Sids are ours; those of others in the same policy stay.
- Where several runs change one bucket at once, S3 lets one through and answers the others with OperationAborted; a bucket just made may not be
  known to the next call yet. Both pass, and are waited for.
- Every call is safe to repeat, and whoever is killed between two of them leaves a bucket that the next run finishes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pkiops.aws import AwsClients
from pkiops.aws_errors import translated
from pkiops.clock import Clock
from pkiops.errors import AccessDenied, AlreadyExists, BackendError, InProgress, NotFound
from pkiops.homes import partition_of
from pkiops.stores import s3_permissions
from pkiops.stores.interface import (
    BucketRights,
    BucketSettings,
    Holding,
    ObservedBucket,
    same_statement,
    stale_statements,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import PublicAccessBlockConfigurationTypeDef

_BLOCKED: PublicAccessBlockConfigurationTypeDef = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
# us-east-1 is the region that CreateBucket does not want to hear named
_UNNAMED_REGION = "us-east-1"
_SETTLING_S = 30.0
_ABSENT = {
    "NoSuchTagSet",
    "NoSuchBucketPolicy",
    "NoSuchPublicAccessBlockConfiguration",
    "OwnershipControlsNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
}


class S3Buckets:
    """The buckets of one account.

    Args:
        clients: the clients of the account.
        clock: waits by it.
    """

    def __init__(self, clients: AwsClients, clock: Clock) -> None:
        self._clients = clients
        self._clock = clock

    def observe_bucket(self, name: str) -> ObservedBucket:
        """The bucket as it is (HeadBucket, then the Get call of each setting, concurrently; of one without tags, whether it is empty).

        Raises:
            AccessDenied: somebody else owns the name, or we may not look.
        """
        owned = {"Bucket": name, "ExpectedBucketOwner": self._clients.access.account}
        s3 = self._s3()
        try:
            with translated("HeadBucket", f"s3://{name}"):
                head: Mapping[str, Any] = s3.head_bucket(**owned)
        except NotFound:
            return ObservedBucket(name=name, exists=False)
        except AccessDenied as error:
            raise AccessDenied(
                f"bucket {name}: exists, but not in account {owned['ExpectedBucketOwner']}, or we may not look at it",
                hint="bucket names are global: choose another name, or ask for s3:ListBucket on it",
                details=error.details,
            ) from error
        questions: dict[str, Callable[..., Any]] = {
            "GetBucketTagging": s3.get_bucket_tagging,
            "GetPublicAccessBlock": s3.get_public_access_block,
            "GetBucketVersioning": s3.get_bucket_versioning,
            "GetBucketOwnershipControls": s3.get_bucket_ownership_controls,
            "GetBucketEncryption": s3.get_bucket_encryption,
            "GetBucketPolicy": s3.get_bucket_policy,
        }

        def ask(operation: str) -> Mapping[str, Any]:
            return _answer_or_nothing(operation, name, questions[operation], owned)

        with ThreadPoolExecutor(max_workers=len(questions)) as pool:
            answers = dict(zip(questions, pool.map(ask, questions), strict=True))
        blocked = answers["GetPublicAccessBlock"].get("PublicAccessBlockConfiguration", {})
        rules = answers["GetBucketOwnershipControls"].get("OwnershipControls", {}).get("Rules", [])
        tags = {tag["Key"]: tag["Value"] for tag in answers["GetBucketTagging"].get("TagSet", [])}
        # whose a bucket is, is told by its tags; what is in it counts only without any
        first = {} if tags else _answer_or_nothing("ListObjectsV2", name, s3.list_objects_v2, {**owned, "MaxKeys": 1})
        if first.get("KeyCount", 0) and ask("GetBucketTagging"):
            return self.observe_bucket(name)  # another run made, tagged and filled it while we looked
        return ObservedBucket(
            name=name,
            exists=True,
            empty=not tags and first.get("KeyCount", 0) == 0,
            region=head.get("BucketRegion"),
            public_access_blocked=all(blocked.get(key) for key in _BLOCKED),
            versioning=answers["GetBucketVersioning"].get("Status") == "Enabled",
            owner_enforced=any(rule.get("ObjectOwnership") == "BucketOwnerEnforced" for rule in rules),
            encryption=_encryption(answers["GetBucketEncryption"], "SSEAlgorithm"),
            encryption_key=_encryption(answers["GetBucketEncryption"], "KMSMasterKeyID"),
            statements=_statements(answers["GetBucketPolicy"].get("Policy")),
            tags=tags,
        )

    def ensure_bucket(self, settings: BucketSettings) -> bool:
        """Create the bucket or bring it to its settings; tags first, so that a bucket left half done is known as ours."""
        observed = self.observe_bucket(settings.name)
        s3 = self._s3()
        owned: dict[str, Any] = {"Bucket": settings.name, "ExpectedBucketOwner": settings.owner}
        changed = False
        if not observed.exists:
            self._create(settings)
            observed = ObservedBucket(name=settings.name, exists=True)
            changed = True
        steps: list[tuple[bool, str, Callable[[], object]]] = [
            (
                dict(observed.tags) | dict(settings.tags) != dict(observed.tags),
                "PutBucketTagging",
                lambda: s3.put_bucket_tagging(
                    **owned,
                    Tagging={
                        "TagSet": [
                            {"Key": k, "Value": v} for k, v in sorted({**observed.tags, **settings.tags}.items())
                        ]
                    },
                ),
            ),
            (
                not observed.public_access_blocked,
                "PutPublicAccessBlock",
                lambda: s3.put_public_access_block(**owned, PublicAccessBlockConfiguration=_BLOCKED),
            ),
            (
                not observed.owner_enforced,
                "PutBucketOwnershipControls",
                lambda: s3.put_bucket_ownership_controls(
                    **owned, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
                ),
            ),
            (
                observed.encryption != "AES256",
                "PutBucketEncryption",
                lambda: s3.put_bucket_encryption(
                    **owned,
                    ServerSideEncryptionConfiguration={
                        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
                    },
                ),
            ),
            (
                not observed.versioning,
                "PutBucketVersioning",
                lambda: s3.put_bucket_versioning(**owned, VersioningConfiguration={"Status": "Enabled"}),
            ),
            (
                not _holds_statements(observed.statements, settings.statements),
                "PutBucketPolicy",
                lambda: s3.put_bucket_policy(**owned, Policy=_merged_policy(observed.statements, settings.statements)),
            ),
        ]
        for needed, operation, call in steps:
            if needed:
                self._settled(operation, settings.name, call)
                changed = True
        return changed

    def trust_bucket_policy(self, bucket: str) -> tuple[dict[str, Any], ...]:
        """Everything over TLS."""
        arn = f"arn:{partition_of(self._clients.access.region)}:s3:::{bucket}"
        return (
            {
                "Sid": "PkiopsEverythingNeedsTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        )

    def holding_policy(self, bucket: str, holdings: Sequence[Holding]) -> tuple[dict[str, Any], ...]:
        """The statements that hold writers to their keys."""
        access = self._clients.access
        return s3_permissions.holding_policy(bucket, holdings, partition_of(access.region), access.account)

    def bucket_permissions(self, rights: Sequence[BucketRights]) -> tuple[dict[str, Any], ...]:
        """The statements that allow what ``rights`` say."""
        return s3_permissions.bucket_permissions(rights, partition_of(self._clients.access.region))

    def _create(self, settings: BucketSettings) -> None:
        parameters: dict[str, Any] = {"Bucket": settings.name, "ObjectOwnership": "BucketOwnerEnforced"}
        if settings.region != _UNNAMED_REGION:
            parameters["CreateBucketConfiguration"] = {"LocationConstraint": settings.region}
        try:
            self._settled("CreateBucket", settings.name, lambda: self._s3().create_bucket(**parameters))
        except AlreadyExists as error:
            # another run was faster, or it is somebody else's
            if error.details.get("aws_error") != "BucketAlreadyOwnedByYou":
                raise BackendError(
                    f"bucket {settings.name}: the name is taken by another account",
                    hint="bucket names are global: choose another name",
                    code="store.bucket-taken",
                ) from error

    def _settled(self, operation: str, name: str, call: Callable[[], object]) -> None:
        """Call, and again for a while if another run's change is under way or the bucket is not known everywhere yet."""
        started = self._clock.monotonic()
        while True:
            try:
                with translated(operation, f"s3://{name}"):
                    call()
            except (InProgress, NotFound):
                if self._clock.monotonic() - started > _SETTLING_S:
                    raise
            else:
                return
            self._clock.sleep(1.0)

    def _s3(self) -> S3Client:
        return self._clients.s3()


def _holds_statements(present: tuple[Mapping[str, Any], ...], wanted: tuple[Mapping[str, Any], ...]) -> bool:
    holds = all(any(same_statement(one, statement) for one in present) for statement in wanted)
    return holds and not stale_statements(present, wanted)


def _merged_policy(present: tuple[Mapping[str, Any], ...], wanted: tuple[Mapping[str, Any], ...]) -> str:
    ours = {statement["Sid"] for statement in wanted}
    stale = stale_statements(present, wanted)
    foreign = [dict(one) for one in present if one.get("Sid") not in ours and one not in stale]
    return json.dumps({"Version": "2012-10-17", "Statement": [*foreign, *map(dict, wanted)]})


def _answer_or_nothing(
    operation: str, name: str, call: Callable[..., Any], parameters: Mapping[str, Any]
) -> Mapping[str, Any]:
    try:
        with translated(operation, f"s3://{name}"):
            answer: Mapping[str, Any] = call(**parameters)
            return answer
    except BackendError as error:
        if error.details.get("aws_error") in _ABSENT:
            return {}
        raise


def _encryption(answer: Mapping[str, Any], field: str) -> str | None:
    rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    if not rules:
        return None
    value = rules[0].get("ApplyServerSideEncryptionByDefault", {}).get(field)
    return str(value) if value else None


def _statements(policy: str | None) -> tuple[Mapping[str, Any], ...]:
    if not policy:
        return ()
    try:
        document = json.loads(policy)
    except ValueError:
        return ()
    found = document.get("Statement", []) if isinstance(document, dict) else []
    return tuple([found] if isinstance(found, dict) else found)
