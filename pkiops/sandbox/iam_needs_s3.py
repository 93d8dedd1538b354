"""Which actions on which buckets and objects a request of S3 needs: there, operations and actions have different names.

What this module decides: the actions of each operation and its condition keys (S3 user guide, "Required permissions for Amazon S3 API
operations", and the Service Authorization Reference). What exists, and who owns it, is not looked up here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qs, parse_qsl, unquote
from xml.etree import ElementTree

from pkiops.sandbox.calls import Call, s3_place
from pkiops.sandbox.engine.policy_language import Values
from pkiops.sandbox.iam_needs import ANY, Context, Need, WireRequest, tag_context

LIST = "s3:ListBucket"
# operations whose action is not "s3:" and their own name
_ACTIONS = {
    "ListBuckets": "ListAllMyBuckets",
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
    "HeadObject": "GetObject",
    "SelectObjectContent": "GetObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "GetBucketCors": "GetBucketCORS",
    "PutBucketCors": "PutBucketCORS",
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketTagging": "PutBucketTagging",
    "GetBucketReplication": "GetReplicationConfiguration",
    "PutBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketReplication": "PutReplicationConfiguration",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
}
_CONFIGURATION = re.compile(
    r"(Get|List|Put|Delete)Bucket(Analytics|IntelligentTiering|Inventory|Metrics)Configurations?"
)
# actions that are others when the request names a version
_VERSIONED = {
    "s3:GetObject": "s3:GetObjectVersion",
    "s3:GetObjectAcl": "s3:GetObjectVersionAcl",
    "s3:GetObjectAttributes": "s3:GetObjectVersionAttributes",
    "s3:GetObjectTagging": "s3:GetObjectVersionTagging",
    "s3:GetObjectTorrent": "s3:GetObjectVersionTorrent",
    "s3:DeleteObject": "s3:DeleteObjectVersion",
    "s3:DeleteObjectTagging": "s3:DeleteObjectVersionTagging",
    "s3:PutObjectAcl": "s3:PutObjectVersionAcl",
    "s3:PutObjectTagging": "s3:PutObjectVersionTagging",
}
_CREATES = frozenset({"PutObject", "CopyObject", "CreateMultipartUpload"})
_ACL_HEADERS = (
    "x-amz-acl",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
)
# condition keys by the header they show
_HEADER_KEYS = {
    **{f"s3:{name}": name for name in _ACL_HEADERS},
    "s3:if-match": "If-Match",
    "s3:if-none-match": "If-None-Match",
    "s3:object-lock-legal-hold": "x-amz-object-lock-legal-hold",
    "s3:object-lock-mode": "x-amz-object-lock-mode",
    "s3:object-lock-retain-until-date": "x-amz-object-lock-retain-until-date",
    "s3:x-amz-content-sha256": "x-amz-content-sha256",
    "s3:x-amz-copy-source": "x-amz-copy-source",
    "s3:x-amz-metadata-directive": "x-amz-metadata-directive",
    "s3:x-amz-object-ownership": "x-amz-object-ownership",
    "s3:x-amz-server-side-encryption": "x-amz-server-side-encryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id": "x-amz-server-side-encryption-aws-kms-key-id",
    "s3:x-amz-storage-class": "x-amz-storage-class",
}
_QUERY_KEYS = {
    "s3:prefix": "prefix",
    "s3:delimiter": "delimiter",
    "s3:max-keys": "max-keys",
    "s3:versionid": "versionId",
}


def needs_s3(call: Call, request: WireRequest, partition: str) -> list[Need]:
    """What a call of S3 needs, in the order in which it is asked for."""
    bucket, key = s3_place(request.host, request.path)
    query = {name: values[0] for name, values in parse_qs(request.query, keep_blank_values=True).items()}
    context = _context(request, query)
    root = f"arn:{partition}:s3:::"
    operation = call.operation
    if operation == "DeleteObjects":
        return [
            Need("s3:DeleteObjectVersion" if version else "s3:DeleteObject", f"{root}{bucket}/{each}", context)
            for each, version in _listed(request.body)
        ]
    resource = f"{root}{bucket}/{key}" if key else f"{root}{bucket}" if bucket else ANY
    actions = [_action(operation), *_more_actions(operation, request)]
    if "versionId" in query:
        actions = [_VERSIONED.get(action, action) for action in actions]
    found = [Need(action, resource, context) for action in actions]
    if operation in {"CopyObject", "UploadPartCopy"}:
        source, _, version = request.header("x-amz-copy-source").partition("?versionId=")
        action = "s3:GetObjectVersion" if version else "s3:GetObject"
        found.append(Need(action, root + unquote(source).lstrip("/"), context))
    return found


def _action(operation: str) -> str:
    if match := _CONFIGURATION.fullmatch(operation):
        return f"s3:{'Get' if match[1] in {'Get', 'List'} else 'Put'}{match[2]}Configuration"
    return f"s3:{_ACTIONS.get(operation, operation)}"


def _more_actions(operation: str, request: WireRequest) -> list[str]:
    """What a request needs besides because of its headers."""
    header = request.header
    has_acl = any(header(name) for name in _ACL_HEADERS)
    wanted: tuple[tuple[bool, str], ...]
    if operation == "CreateBucket":
        wanted = (
            (has_acl, "s3:PutBucketAcl"),
            (bool(header("x-amz-object-ownership")), "s3:PutBucketOwnershipControls"),
            (header("x-amz-bucket-object-lock-enabled").lower() == "true", "s3:PutBucketObjectLockConfiguration"),
            (header("x-amz-bucket-object-lock-enabled").lower() == "true", "s3:PutBucketVersioning"),
        )
    elif operation in _CREATES:
        wanted = (
            (has_acl, "s3:PutObjectAcl"),
            (bool(header("x-amz-tagging")), "s3:PutObjectTagging"),
            (bool(header("x-amz-object-lock-mode")), "s3:PutObjectRetention"),
            (bool(header("x-amz-object-lock-legal-hold")), "s3:PutObjectLegalHold"),
        )
    else:
        bypasses = header("x-amz-bypass-governance-retention").lower() == "true"
        wanted = (
            (bypasses and operation in {"DeleteObject", "PutObjectRetention"}, "s3:BypassGovernanceRetention"),
            (operation == "GetObjectAttributes", "s3:GetObject"),
        )
    return [action for is_wanted, action in wanted if is_wanted]


def _context(request: WireRequest, query: Mapping[str, str]) -> Context:
    found: dict[str, Values] = {key: query[name] for key, name in _QUERY_KEYS.items() if name in query}
    found |= {key: value for key, name in _HEADER_KEYS.items() if (value := request.header(name))}
    try:
        tags = dict(parse_qsl(request.header("x-amz-tagging"), max_num_fields=50))
    except ValueError:
        tags = {}
    if tags:
        found |= {f"s3:requestobjecttag/{name.lower()}": value for name, value in tags.items()}
        found |= {"s3:requestobjecttagkeys": tuple(tags), **tag_context(tags)}
    presigned = "X-Amz-Signature" in request.query
    return {
        **found,
        "s3:authtype": "REST-QUERY-STRING" if presigned else "REST-HEADER",
        "s3:signatureversion": "AWS4-HMAC-SHA256",
    }


def _listed(body: bytes) -> list[tuple[str, bool]]:
    """The keys of DeleteObjects, and whether each is a version; nothing where it is not what it should be, which moto then says."""
    if b"<!" in body:  # no document type: nothing to expand
        return []
    try:
        root = ElementTree.fromstring(body)  # noqa: S314
    except ElementTree.ParseError:
        return []
    found = []
    for entry in root.iter():
        if entry.tag.rpartition("}")[2] == "Object":
            texts = {child.tag.rpartition("}")[2]: child.text or "" for child in entry}
            found.append((texts.get("Key", ""), bool(texts.get("VersionId"))))
    return found
