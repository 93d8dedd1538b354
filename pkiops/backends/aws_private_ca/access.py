"""The permissions of IAM that the calls of this backend need, for the CAs of one environment and nothing else.

What this module decides: the actions behind each right, the resources and the conditions. CAs are told by their tags, as everywhere; who may
set these tags is therefore held tighter than anything else: nobody gives or takes a CA of another environment. Templates are named one by one,
because a wildcard would admit those that copy extensions out of a CSR. Who has which rights is left to ``pkiops.ca.access``.

Source: the service's actions and condition keys in the Service Authorization Reference (AWS Private Certificate Authority).
ListCertificateAuthorities, CreateCertificateAuthority and tag:GetResources know no resources, IssueCertificate knows ``acm-pca:TemplateArn``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pkiops.backends.aws_private_ca.calls import Calls
from pkiops.backends.aws_private_ca.templates import end_entity_template, root_template, subordinate_template
from pkiops.backends.identity import TAG_AUTHORITY, TAG_ENVIRONMENT
from pkiops.homes import Home

if TYPE_CHECKING:
    from pkiops.backends.permissions import AuthorityRights, IssuingRight, SigningRight

_FIND = ("DescribeCertificateAuthority", "ListTags")
_LOOK_AT = ("DescribeCertificateAuthority", "GetCertificateAuthorityCertificate")
_KEEP = ("GetCertificateAuthorityCsr", "ImportCertificateAuthorityCertificate", "UpdateCertificateAuthority")
_SHARE = ("GetPolicy", "PutPolicy", "DeletePolicy")
_SERVE_ACM = ("ListPermissions", "CreatePermission", "DeletePermission")
_AUDIT = ("CreateCertificateAuthorityAuditReport", "DescribeCertificateAuthorityAuditReport")
_RETIRE = ("DeleteCertificateAuthority", "RestoreCertificateAuthority", *_AUDIT)
# "the IAM principal must have permission to write to the S3 bucket" (CreateCertificateAuthority, UpdateCertificateAuthority, RevokeCertificate)
_CRL_OBJECTS = ("s3:PutObject", "s3:PutObjectAcl")
_CRL_BUCKET = ("s3:GetBucketAcl", "s3:GetBucketLocation")


class Permissions(Calls):
    """What IAM must allow (StatesPermissions)."""

    def authority_permissions(self, rights: AuthorityRights) -> tuple[dict[str, Any], ...]:
        """The statements behind ``rights``."""
        access = self._clients.access
        return tuple(_Policy(rights.homes or (Home(access.account, access.region),), rights).statements())


class _Policy:
    def __init__(self, homes: Sequence[Home], rights: AuthorityRights) -> None:
        self._partition = homes[0].partition
        every = [f"arn:{one.partition}:acm-pca:{one.region}:{one.account}:certificate-authority/*" for one in homes]
        self._every: str | list[str] = every if len(every) > 1 else every[0]
        self._roles = f"arn:{self._partition}:iam::{homes[0].account}:role/*"
        self._rights = rights

    def statements(self) -> Iterator[dict[str, Any]]:
        rights = self._rights
        if rights.find:
            # tag:GetResources gives the tags of a hundred CAs at once; where it is taken away, each is asked (listing.py)
            yield _allow("ListAuthorities", [*_pca("ListCertificateAuthorities"), "tag:GetResources"], "*")
            yield _allow("TellAuthorities", _pca(*_FIND), self._every)
        if rights.read:
            operator = "StringEqualsIfExists" if rights.read_untagged else "StringEquals"
            yield _allow(
                "ReadCertificates",
                _pca("GetCertificateAuthorityCertificate"),
                self._every,
                {operator: {f"aws:ResourceTag/{TAG_ENVIRONMENT}": rights.environment}},
            )
        if rights.looks_at:
            yield _allow("LookAtPinned", _pca(*_LOOK_AT), list(rights.looks_at))
        yield from self._keeping()
        if rights.signs:
            yield self._own("SignAuthorities", ("IssueCertificate",), templates=_signing(rights.signs, self._partition))
        yield from self._issuing()
        if rights.signs or rights.issues:
            yield self._fetching()
        if rights.audits:
            yield self._own("Audit", _AUDIT, labels=sorted({one.authority for one in rights.issues}))
        if rights.revokes:
            yield self._own("Revoke", ("RevokeCertificate",))
        if rights.crl_bucket is not None:
            bucket = f"arn:{self._partition}:s3:::{rights.crl_bucket}"
            yield _allow("CrlBucketForTheService", [*_CRL_BUCKET, *_CRL_OBJECTS], [bucket, f"{bucket}/*"])
        if rights.knows_caller:
            yield _allow("KnowOnesPolicies", ["iam:ListAttachedRolePolicies"], self._roles)
        if rights.assumes:
            yield _allow("AssumeRolesElsewhere", ["sts:AssumeRole"], list(rights.assumes))

    def _keeping(self) -> Iterator[dict[str, Any]]:
        rights = self._rights
        requested, present = f"aws:RequestTag/{TAG_ENVIRONMENT}", f"aws:ResourceTag/{TAG_ENVIRONMENT}"
        name = rights.environment
        if rights.keep:
            yield _allow("Create", _pca("CreateCertificateAuthority"), "*", {"StringEquals": {requested: name}})
            # on creation, and on CAs that are nobody's yet (adopt)
            yield _allow(
                "Tag",
                _pca("TagCertificateAuthority"),
                self._every,
                {"StringEquals": {requested: name}, "StringEqualsIfExists": {present: name}},
            )
        if rights.retag:
            yield _allow(
                "Retag",
                _pca("TagCertificateAuthority"),
                self._every,
                {"StringEquals": {present: name}, "StringEqualsIfExists": {requested: name}},
            )
        if rights.keep:
            yield self._own("Keep", _KEEP)
        if rights.share:
            yield self._own("Share", _SHARE)
        if rights.serve_acm or rights.see_acm:
            yield self._own("ServeAcm", _SERVE_ACM if rights.serve_acm else _SERVE_ACM[:1])
        if rights.retires:
            yield self._own("Retire", _RETIRE)

    def _issuing(self) -> Iterator[dict[str, Any]]:
        """One statement for all authorities that issue with the same templates."""
        groups: dict[tuple[tuple[str, ...], bool], list[IssuingRight]] = {}
        for one in self._rights.issues:
            groups.setdefault(
                (_issuing(self._rights.issues, one, self._partition), one.reference is not None), []
            ).append(one)
        for number, ((templates, is_pinned), members) in enumerate(sorted(groups.items()), 1):
            sid = "Issue" if len(groups) == 1 else f"Issue{number}"
            if is_pinned:
                pinned = sorted({str(one.reference) for one in members})
                yield _allow(
                    sid, _pca("IssueCertificate"), pinned, {"StringEquals": {"acm-pca:TemplateArn": list(templates)}}
                )
            else:
                labels = sorted({one.authority for one in members})
                yield self._own(sid, ("IssueCertificate",), labels=labels, templates=templates)

    def _fetching(self) -> dict[str, Any]:
        """Fetching what was issued; whoever signs CA certificates does so from every CA."""
        labels = [] if self._rights.signs else sorted({one.authority for one in self._rights.issues})
        return self._own("Fetch", ("GetCertificate",), labels=labels)

    def _own(
        self, sid: str, actions: Sequence[str], *, labels: Sequence[str] = (), templates: Sequence[str] = ()
    ) -> dict[str, Any]:
        tests: dict[str, Any] = {f"aws:ResourceTag/{TAG_ENVIRONMENT}": self._rights.environment}
        if labels:
            tests[f"aws:ResourceTag/{TAG_AUTHORITY}"] = list(labels)
        if templates:
            tests["acm-pca:TemplateArn"] = list(templates)
        return _allow(sid, _pca(*actions), self._every, {"StringEquals": tests})


def _issuing(rights: Sequence[IssuingRight], of: IssuingRight, partition: str) -> tuple[str, ...]:
    """The templates of all that one authority issues: the approved names are in the CSR, or come through the API."""
    usages = {one.usages for one in rights if (one.authority, one.reference) == (of.authority, of.reference)}
    return tuple(
        sorted({end_entity_template(each, passthrough=p).arn(partition) for each in usages for p in (False, True)})
    )


def _signing(rights: Sequence[SigningRight], partition: str) -> list[str]:
    return sorted(
        {
            (
                root_template(one.path_length)
                if one.is_root
                else subordinate_template(one.path_length or 0, passthrough=one.constrained)
            ).arn(partition)
            for one in rights
        }
    )


def _pca(*operations: str) -> list[str]:
    return [f"acm-pca:{name}" for name in operations]


def _allow(
    sid: str, actions: Sequence[str], resource: str | Sequence[str], condition: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(actions) if len(actions) > 1 else actions[0],
        "Resource": resource if isinstance(resource, str) else list(resource),
    }
    return {**statement, "Condition": dict(condition)} if condition else statement
