"""Which actions on which resources a request needs, and what of it conditions can ask for.

What this module decides: the needs of AWS Private CA, DynamoDB, KMS, STS, IAM and the tagging API, as the Service Authorization Reference has
them; those of S3 are ``iam_needs_s3``'s. Any other service needs the action that is named like its operation, on the ARNs of its own that the
request names. Nothing is looked up here: a table, an alias or a role need not exist.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from pkiops.sandbox.calls import Call
from pkiops.sandbox.engine import templates
from pkiops.sandbox.engine.policy_language import Values

Context: TypeAlias = dict[str, Values]
ANY = "*"
TEMPLATE_ARN = "acm-pca:templatearn"
_MOST_FIELDS = 1000
_ARN = re.compile(r"arn:[a-z-]+:([a-z0-9-]+):[^\s\"'<>,&]{1,1000}")
# signing names that are not the prefix of the actions
_PREFIXES = {"tagging": "tag", "monitoring": "cloudwatch", "email": "ses", "s3express": "s3"}
_TAG_ACTIONS = {"acm-pca": "TagCertificateAuthority", "s3": "PutBucketTagging"}
_UNTAG_ACTIONS = {"acm-pca": "UntagCertificateAuthority", "s3": "PutBucketTagging"}
_TRANSACTED = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}


@dataclass(frozen=True, slots=True)
class WireRequest:
    """An HTTP request; ``path`` is decoded, ``query`` is not, ``header`` gives an empty text for one that is not there."""

    method: str
    host: str
    path: str
    query: str
    header: Callable[[str], str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Need:
    """One action on one resource; ``context`` holds the condition keys that are its own, lower case."""

    action: str
    resource: str = ANY
    context: Mapping[str, Values] = field(default_factory=dict)


def needs(call: Call, request: WireRequest, partition: str) -> list[Need]:
    """What a call of any service but S3 needs.

    Args:
        call: what it was identified as.
        request: all of it.
        partition: of the Region it is for.
    """
    given = parameters(call, request)
    maker = _MAKERS.get(call.service, _of_other)
    return maker(_Asked(call, given, partition, request))


def parameters(call: Call, request: WireRequest) -> dict[str, Any]:
    """The parameters of a call of a JSON or query service; what cannot be read has none."""
    if call.wire == "query":
        text = request.body.decode("utf-8", "replace") or request.query
        try:
            return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
        except ValueError:
            return {}
    try:
        found = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def tag_context(tags: Mapping[str, str]) -> Context:
    """``aws:RequestTag`` and ``aws:TagKeys`` of the tags in a request."""
    if not tags:
        return {}
    return {**{f"aws:requesttag/{key.lower()}": value for key, value in tags.items()}, "aws:tagkeys": tuple(tags)}


@dataclass(frozen=True, slots=True)
class _Asked:
    call: Call
    given: Mapping[str, Any]
    partition: str
    request: WireRequest

    def arn(self, service: str, resource: str, *, region: bool = True) -> str:
        return f"arn:{self.partition}:{service}:{self.call.region if region else ''}:{self.call.account}:{resource}"

    def text(self, name: str) -> str:
        value = self.given.get(name)
        return value if isinstance(value, str) else ""

    def dicts(self, name: str) -> list[dict[str, Any]]:
        value = self.given.get(name)
        return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []

    def tags(self, name: str = "Tags") -> dict[str, str]:
        """Tags as a list of pairs, as a map, or flat as the query protocol has them."""
        value = self.given.get(name)
        if isinstance(value, dict):
            return {str(key): str(each) for key, each in value.items()}
        prefix = f"{name}.member."
        if any(key.startswith(prefix) for key in self.given):
            keys = {
                k.split(".")[2]: str(v) for k, v in self.given.items() if k.startswith(prefix) and k.endswith(".Key")
            }
            return {key: str(self.given.get(f"{prefix}{number}.Value", "")) for number, key in keys.items()}
        return {
            str(each.get("Key", each.get("TagKey", ""))): str(each.get("Value", each.get("TagValue", "")))
            for each in self.dicts(name)
        }


def _of_private_ca(asked: _Asked) -> list[Need]:
    operation = asked.call.operation
    arn = asked.text("CertificateAuthorityArn") or asked.text("ResourceArn") or ANY
    context = tag_context(asked.tags())
    if operation == "IssueCertificate":
        default = f"arn:{asked.partition}:acm-pca:::template/{templates.DEFAULT}/V1"
        context[TEMPLATE_ARN] = asked.text("TemplateArn") or default
    found = [Need(f"acm-pca:{operation}", arn, context)]
    if operation == "CreateCertificateAuthority" and context:
        found.append(Need("acm-pca:TagCertificateAuthority", asked.arn("acm-pca", "certificate-authority/*"), context))
    return found


def _of_dynamodb(asked: _Asked) -> list[Need]:
    operation = asked.call.operation

    def table(name: Any) -> str:
        text = name if isinstance(name, str) else ""
        return text if text.startswith("arn:") else asked.arn("dynamodb", f"table/{text}") if text else ANY

    if operation in {"TransactWriteItems", "TransactGetItems"}:
        return [
            Need(f"dynamodb:{_TRANSACTED[kind]}", table(part.get("TableName")))
            for item in asked.dicts("TransactItems")
            for kind, part in item.items()
            if kind in _TRANSACTED and isinstance(part, dict)
        ] or [Need(f"dynamodb:{operation}")]
    if operation in {"BatchWriteItem", "BatchGetItem"}:
        tables = asked.given.get("RequestItems")
        return [Need(f"dynamodb:{operation}", table(name)) for name in (tables if isinstance(tables, dict) else [""])]
    arn = table(asked.given.get("TableName") or asked.given.get("ResourceArn"))
    if index := asked.text("IndexName"):
        arn = f"{arn}/index/{index}"
    context = tag_context(asked.tags())
    found = [Need(f"dynamodb:{operation}", arn, context)]
    if operation == "CreateTable" and context:
        found.append(Need("dynamodb:TagResource", arn, context))
    return found


def _of_kms(asked: _Asked) -> list[Need]:
    operation, key = asked.call.operation, asked.text("KeyId") or asked.text("TargetKeyId")
    context = tag_context(asked.tags())
    if key and not key.startswith("arn:"):
        key = asked.arn("kms", key if key.startswith("alias/") else f"key/{key}")
    found = [Need(f"kms:{operation}", key or ANY, context)]
    if operation in {"CreateAlias", "UpdateAlias", "DeleteAlias"}:
        alias = Need(f"kms:{operation}", asked.arn("kms", asked.text("AliasName")))
        return [alias, *found] if key else [alias]
    if operation == "CreateKey" and context:
        found.append(Need("kms:TagResource", ANY, context))
    return found


def _of_sts(asked: _Asked) -> list[Need]:
    operation = asked.call.operation
    context: Context = tag_context(asked.tags())
    for name, key in (("ExternalId", "sts:externalid"), ("RoleSessionName", "sts:rolesessionname")):
        if asked.text(name):
            context[key] = asked.text(name)
    found = [Need(f"sts:{operation}", asked.text("RoleArn") or ANY, context)]
    if operation == "AssumeRole" and asked.tags():
        found.append(Need("sts:TagSession", asked.text("RoleArn"), context))
    return found


def _of_iam(asked: _Asked) -> list[Need]:
    arns = [
        asked.arn("iam", f"{kind}/{asked.text(name)}", region=False)
        for name, kind in (
            ("RoleName", "role"),
            ("UserName", "user"),
            ("GroupName", "group"),
            ("InstanceProfileName", "instance-profile"),
        )
        if asked.text(name)
    ]
    context: Context = tag_context(asked.tags())
    if policy := asked.text("PolicyArn"):
        context["iam:policyarn"] = policy
    if name := asked.text("PolicyName") if not arns else "":
        arns.append(asked.arn("iam", f"policy/{name}", region=False))
    return [Need(f"iam:{asked.call.operation}", arn, context) for arn in arns or [policy or ANY]]


def _of_tagging(asked: _Asked) -> list[Need]:
    """Tagging through the tagging API needs the service's own permission as well, for each resource."""
    operation = asked.call.operation
    listed = asked.given.get("ResourceARNList")
    arns = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
    keys = asked.given.get("TagKeys")
    context: Context = tag_context(asked.tags())
    if operation == "UntagResources" and isinstance(keys, list):
        context = {"aws:tagkeys": tuple(str(each) for each in keys)}
    found = [Need(f"tag:{operation}", ANY, context)]
    own, default = {
        "TagResources": (_TAG_ACTIONS, "TagResource"),
        "UntagResources": (_UNTAG_ACTIONS, "UntagResource"),
    }.get(operation, ({}, ""))
    services = [(arn, match[1]) for arn in arns if default and (match := _ARN.fullmatch(arn))]
    return found + [Need(f"{service}:{own.get(service, default)}", arn, context) for arn, service in services]


def _of_other(asked: _Asked) -> list[Need]:
    call = asked.call
    prefix = _PREFIXES.get(call.service, call.service)
    text = " ".join([asked.request.path, *_texts(dict(asked.given))])
    arns = dict.fromkeys(match[0] for match in _ARN.finditer(text) if match[1] == prefix)
    return [Need(f"{prefix}:{call.operation}", arn, tag_context(asked.tags())) for arn in arns or [ANY]]


def _texts(value: Any) -> list[str]:
    found, waiting = [], [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            found.append(each)
        elif isinstance(each, dict | list):
            waiting += each.values() if isinstance(each, dict) else each
    return found


_MAKERS: Mapping[str, Callable[[_Asked], list[Need]]] = {
    "acm-pca": _of_private_ca,
    "dynamodb": _of_dynamodb,
    "iam": _of_iam,
    "kms": _of_kms,
    "sts": _of_sts,
    "tagging": _of_tagging,
}
