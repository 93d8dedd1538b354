"""``--enforce-iam``: callers are held to their policies before a request reaches moto or the engine.

What this module decides: that every action a request needs must be allowed, how a refusal is worded for each service, and that what was asked is
written down. Who calls, what is needed, what is asked for and how policies are weighed are decided by ``iam_callers``, ``iam_needs``,
``iam_resources`` and ``iam_policy``. What a service does in its own name (a CA that writes its CRL) is no caller's request and does not come
here.

moto's own access control is not used: it knows no resources outside S3, no conditions and no resource-based policies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from moto.iam.access_control import PermissionResult
from moto.iam.models import get_account_id_from
from moto.utilities.utils import get_partition

from pkiops.clock import Clock
from pkiops.sandbox.calls import Call, Refused, access_key, refused, s3_place
from pkiops.sandbox.engine.state import Region
from pkiops.sandbox.iam_callers import (
    ADMINISTRATOR_KEYS,
    Caller,
    CallerUnknown,
    SessionExpired,
    caller_of,
    nobody,
)
from pkiops.sandbox.iam_crl_bucket import crl_bucket_needs
from pkiops.sandbox.iam_needs import Context, Need, WireRequest, needs, parameters
from pkiops.sandbox.iam_needs_s3 import LIST, needs_s3
from pkiops.sandbox.iam_policy import Decision, Kind, decide
from pkiops.sandbox.iam_record import Record
from pkiops.sandbox.iam_resources import object_exists, resource
from pkiops.sandbox.iam_rest import named
from pkiops.sandbox.unimplemented import CODE as NOT_IMPLEMENTED

_UNKNOWN_CALLER = "The security token included in the request is invalid."
_EXPIRED = "The security token included in the request is expired"
_UNSIGNED = "Request is missing Authentication Token"
# moto answers these with credentials that are nobody's
_NOT_HELD = frozenset({"AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "GetFederationToken", "GetSessionToken"})
_READS = frozenset({"GetObject", "HeadObject"})
# by the reason: the code of JSON services, of query services, of S3
_CODES = {
    "denied": ("AccessDeniedException", "AccessDenied", "AccessDenied"),
    "unknown": ("UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"),
    "expired": ("ExpiredTokenException", "ExpiredToken", "ExpiredToken"),
    "unsigned": ("MissingAuthenticationTokenException", "MissingAuthenticationToken", "AccessDenied"),
}
_WIRES = ("json", "query", "s3")


class Enforcement:
    """Holds the callers of one sandbox to their policies. One request at a time: its user has the sandbox's lock.

    Args:
        regions: the state of AWS Private CA.
        clock: the sandbox's time, for conditions.
        sessions: the time that the end of a session is compared with, the machine's as for the SDKs.
    """

    def __init__(self, regions: Callable[[], Iterable[Region]], clock: Clock, sessions: Clock) -> None:
        self._regions = regions
        self._clock = clock
        self._sessions = sessions
        self.record = Record()
        self._keys_to_delete: frozenset[str] | None = None  # of DeleteObjects: those that may be
        self._let_anybody_in = False

    def admit(self, call: Call, request: WireRequest) -> Refused | None:
        """The refusal of a request, or None if its caller may have it carried out."""
        self._keys_to_delete, self._let_anybody_in = None, False
        call = named(call, request.method, request.path)
        partition = get_partition(call.region)
        try:
            caller = self._caller(call, request, partition)
        except CallerUnknown:
            return _refused(call, request, "unknown", _UNKNOWN_CALLER)
        except SessionExpired:
            return _refused(call, request, "expired", _EXPIRED)
        if call.service == "sts" and call.operation in _NOT_HELD:
            return refused(
                call, NOT_IMPLEMENTED, f"the pkiops sandbox does not have {call.operation} with --enforce-iam"
            )
        if call.service == "s3":
            return self._storage(call, request, caller, partition)
        if caller.principal.kind is Kind.ANONYMOUS:
            return _refused(call, request, "unsigned", _UNSIGNED)
        if (call.service, call.operation) == ("sts", "GetCallerIdentity"):
            return None  # always allowed, even against an explicit denial
        wanted = needs(call, request, partition)
        if call.service == "acm-pca":
            wanted += crl_bucket_needs(call.operation, parameters(call, request), partition, self._regions())
        for need in wanted:
            arn, decision = self._decide(call, request, caller, need)
            if not decision.allowed:
                return _refused(call, request, "denied", _sentence(call, caller, replace(need, resource=arn), decision))
        return None

    def bucket_permission(self, action: str, arn: str) -> PermissionResult:
        """What moto shall hear when it asks a bucket's policy about the request that was admitted: all has been decided, keys to delete apart."""
        allowed = self._keys_to_delete
        if allowed is not None and action == "s3:DeleteObject" and arn.partition(":s3:::")[2] not in allowed:
            return PermissionResult.DENIED
        return PermissionResult.PERMITTED if self._let_anybody_in else PermissionResult.NEUTRAL

    def _caller(self, call: Call, request: WireRequest, partition: str) -> Caller:
        key = access_key(request.query, request.header)
        if not key:
            return nobody(partition)
        if key not in ADMINISTRATOR_KEYS and call.account != get_account_id_from(key):
            raise CallerUnknown  # the header of moto that chooses an account is the administrator's
        token = request.header("X-Amz-Security-Token")
        if not token and "X-Amz-Security-Token" in request.query:
            token = dict(parse_qsl(request.query)).get("X-Amz-Security-Token", "")
        return caller_of(key, token, call.account, partition, self._sessions.now())

    def _storage(self, call: Call, request: WireRequest, caller: Caller, partition: str) -> Refused | None:
        anonymous = caller.principal.kind is Kind.ANONYMOUS
        wanted = needs_s3(call, request, partition)
        if call.operation == "DeleteObjects" and not anonymous:
            decided = [self._decide(call, request, caller, need) for need in wanted]
            self._keys_to_delete = frozenset(
                arn.partition(":s3:::")[2] for arn, decision in decided if decision.allowed
            )
            return None
        for need in wanted or [Need("s3:DeleteObject")]:
            arn, decision = self._decide(call, request, caller, need)
            if decision.allowed:
                continue
            if anonymous and call.operation in _READS and "explicit" not in decision.reason:
                return None  # the object's ACL may let everybody read, which moto looks at
            return _refused(call, request, "denied", _sentence(call, caller, replace(need, resource=arn), decision))
        self._let_anybody_in = anonymous
        bucket, key = s3_place(request.host, request.path)
        if call.operation in _READS and "versionId=" not in request.query and not object_exists(bucket, key):
            # who may not list learns nothing of what is not there (GetObject, "Permissions")
            lists = Need(LIST, f"arn:{partition}:s3:::{bucket}")
            if not self._decide(call, request, caller, lists)[1].allowed:
                return _refused(call, request, "denied", "Access Denied")
        return None

    def _decide(self, call: Call, request: WireRequest, caller: Caller, need: Need) -> tuple[str, Decision]:
        found = resource(need.resource, need.action, self._regions())
        context = {**self._context(call, request, caller), **need.context}
        if found.owner is not None:
            context |= {"aws:resourceaccount": found.owner.account, "s3:resourceaccount": found.owner.account}
        context |= {f"aws:resourcetag/{key.lower()}": value for key, value in found.tags.items()}
        decision = decide(caller.principal, caller.policies, need.action, found.arn, context, found.owner)
        self.record.add(caller.principal.principal_arn, need.action, found.arn, allowed=decision.allowed)
        return found.arn, decision

    def _context(self, call: Call, request: WireRequest, caller: Caller) -> Context:
        """The condition keys that every request has (IAM user guide, "AWS global condition context keys")."""
        principal, now = caller.principal, self._clock.now()
        found: Context = {
            "aws:currenttime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "aws:epochtime": str(int(now.timestamp())),
            "aws:principalisawsservice": "false",
            "aws:principaltype": str(principal.kind),
            "aws:requestedregion": call.region,
            "aws:securetransport": "true",  # the loopback port stands in for the service's https endpoint
            "aws:sourceip": "127.0.0.1",
            "aws:viaawsservice": "false",
        }
        optional = {
            "aws:principalaccount": principal.account,
            "aws:principalarn": principal.principal_arn if principal.account else "",
            "aws:referer": request.header("Referer"),
            "aws:useragent": request.header("User-Agent"),
            "aws:userid": principal.user_id,
            "aws:username": principal.name if principal.kind is Kind.USER else "",
        }
        found |= {key: value for key, value in optional.items() if value}
        return found | {f"aws:principaltag/{key.lower()}": value for key, value in principal.tags.items()}


def _sentence(call: Call, caller: Caller, need: Need, decision: Decision) -> str:
    """Why not, as the service words it."""
    start = f"User: {caller.principal.arn} is not authorized to perform: {need.action}"
    if call.service == "s3":
        across = "resource-based policy allows" in decision.reason or caller.principal.kind is Kind.ANONYMOUS
        return "Access Denied" if across else f'{start} on resource: "{need.resource}" {decision.reason}'
    if need.action.startswith("sts:") and "explicit" not in decision.reason:
        return f"{start} on resource: {need.resource}"
    return f"{start} on resource: {need.resource} {decision.reason}"


def _refused(call: Call, request: WireRequest, why: str, message: str) -> Refused:
    found = refused(call, _CODES[why][_WIRES.index(call.wire)], message)
    if why == "expired" and call.wire == "query":
        found = replace(found, status=403)
    return replace(found, body=b"") if request.method == "HEAD" else found


def permission_of(enforcement: Enforcement) -> Callable[[Any, str, str], PermissionResult]:
    """What to put in the place of moto's ``FakeBucket.get_permission``."""

    def permission(bucket: Any, action: str, arn: str) -> PermissionResult:
        del bucket
        return enforcement.bucket_permission(action, arn)

    return permission
