"""The engine plugged into moto.

What this module decides: how moto's dispatch reaches the engine, where the engine's state is kept (on moto's own backend objects, so that
moto's reset forgets it), and how CRLs reach moto's S3. No behaviour of the service is decided here. moto has no plugin interface: every name
of its inside that is used here is checked by ``require_moto_names``, which says what is missing instead of failing somewhere deep.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore import xform_name
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ConnectionClosedError
from moto.acmpca.models import acmpca_backends
from moto.acmpca.responses import ACMPCAResponse
from moto.acmpca.urls import url_paths
from moto.core.exceptions import JsonRESTError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.access_control import PermissionResult
from moto.kms.models import kms_backends
from moto.s3.models import FakeBucket, get_canned_acl, s3_backends
from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition

from pkiops.clock import Clock, Randomness, SystemClock, SystemRandomness
from pkiops.errors import InternalError
from pkiops.sandbox import (
    iam_callers,
    iam_resources,
    moto_changes,
    stored_identities,
    stored_kms,
    stored_tables,
    tagging_api,
)
from pkiops.sandbox.bucket_encryption import NAMES as ENCRYPTION_NAMES
from pkiops.sandbox.bucket_encryption import encryption_refusal
from pkiops.sandbox.bucket_owner import owner_refusal
from pkiops.sandbox.bucket_policy import SERVICE_NAME, refusal, service_principal, verdict_for_anyone
from pkiops.sandbox.calls import Call, Refused, identify
from pkiops.sandbox.engine import crl_locations
from pkiops.sandbox.engine.errors import ServiceError
from pkiops.sandbox.engine.request_model import operation_names
from pkiops.sandbox.engine.service import PrivateCa
from pkiops.sandbox.engine.settings import Settings
from pkiops.sandbox.engine.state import BucketAccess, BucketMissing, BucketRefused, Pace, Region
from pkiops.sandbox.gate import Regions
from pkiops.sandbox.iam import Enforcement, permission_of
from pkiops.sandbox.iam_needs import WireRequest
from pkiops.sandbox.traffic import Dropped, Hindrances, Traffic

_PATH = "{0}/$"
_ATTRIBUTE = "pkiops_private_ca"
_NAMES = {
    "moto.acmpca.models": ("acmpca_backends",),
    "moto.acmpca.responses": ("ACMPCAResponse.dispatch",),
    "moto.acmpca.urls": ("url_paths",),
    "moto.core.base_backend": ("BackendDict.reset",),
    "moto.core.exceptions": ("JsonRESTError",),
    "moto.iam.access_control": ("PermissionResult.NEUTRAL", "PermissionResult.PERMITTED", "PermissionResult.DENIED"),
    "moto.moto_server.werkzeug_app": (
        "DomainDispatcherApplication.__call__",
        "MotoRequestHandler.make_environ",
        "create_backend_app",
    ),
    "moto.s3.models": (
        "s3_backends.bucket_accounts",
        "S3Backend.put_object",
        "S3Backend.get_bucket",
        "S3Backend.get_object",
        "FakeBucket.get_permission",
        "FakeKey.set_metadata",
        "FakeKey.set_acl",
        "get_canned_acl",
    ),
    "moto.sts.models": ("sts_backends", "STSBackend.get_caller_identity"),
    "moto.utilities.utils": ("get_partition",),
}
_CONTENT_TYPE = "application/x-amz-json-1.1"
_ALL_NAMES: Sequence[Mapping[str, Sequence[str]]] = (
    _NAMES,
    moto_changes.NAMES,
    ENCRYPTION_NAMES,
    tagging_api.NAMES,
    stored_identities.NAMES,
    stored_kms.NAMES,
    stored_tables.NAMES,
    iam_callers.NAMES,
    iam_resources.NAMES,
)
_installed = threading.Lock()


def require_moto_names(wanted: Mapping[str, Sequence[str]] | None = None) -> None:
    """Check that moto still has every inner name this package uses: dotted names by module.

    Raises:
        InternalError: naming each one that is gone.
    """
    gone = []
    needed = [pair for names in _ALL_NAMES for pair in names.items()] if wanted is None else wanted.items()
    for module_name, names in needed:
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError:
            gone.append(module_name)
            continue
        for dotted in names:
            found: Any = module
            for part in dotted.split("."):
                found = getattr(found, part, None)
            if found is None:
                gone.append(f"{module_name}.{dotted}")
    if _PATH not in url_paths:
        gone.append(f"moto.acmpca.urls.url_paths[{_PATH!r}]")
    if gone:
        raise InternalError(f"this moto lacks {', '.join(gone)}: the sandbox does not fit it", code="sandbox.moto")


class MotoBuckets:
    """moto's S3 as the service sees it: policy, Block Public Access, object ownership and encryption count.

    A bucket that never said otherwise blocks public access and has ACLs disabled, as new buckets have on AWS and do not in moto.
    """

    def put(self, access: BucketAccess, key: str, data: bytes, content_type: str) -> None:
        """Write one object; see ``CrlBuckets.put``."""
        bucket = self._bucket(access.bucket)
        authority_region = access.authority_arn.split(":")[3]
        service = service_principal(authority_region, bucket.region_name)
        if service is None:
            raise BucketRefused(f"a CA of {authority_region} cannot write into a bucket of {bucket.region_name}")
        policy = bucket.policy.decode("utf-8", "replace") if bucket.policy else None
        context = {
            "aws:sourceaccount": access.account,
            "aws:sourcearn": access.authority_arn,
            "aws:securetransport": "true",
            "aws:principalisawsservice": "true",
            SERVICE_NAME: service,
            "s3:x-amz-acl": "public-read" if access.public else "bucket-owner-full-control",
        }
        partition, account = s3_backends.bucket_accounts[access.bucket]
        reason = refusal(policy, partition=partition, bucket=access.bucket, key=key, context=context)
        if reason is None and access.public:
            reason = _public_refusal(bucket)
        if reason is None:
            reason = encryption_refusal(bucket, key, context)
        if reason is not None:
            raise BucketRefused(reason)
        backend = s3_backends[account][partition]
        written = backend.put_object(access.bucket, key, data)
        written.set_metadata({"Content-Type": content_type})
        written.set_acl(get_canned_acl("public-read" if access.public else "bucket-owner-full-control"))

    def read(self, bucket: str, key: str) -> bytes | None:
        """The bytes of an object, or None."""
        if bucket not in s3_backends.bucket_accounts:
            return None
        partition, account = s3_backends.bucket_accounts[bucket]
        found = s3_backends[account][partition].get_object(bucket, key)
        return None if found is None else bytes(found.value)

    @staticmethod
    def _bucket(name: str) -> Any:
        if name not in s3_backends.bucket_accounts:
            raise BucketMissing("it does not exist")
        partition, account = s3_backends.bucket_accounts[name]
        return s3_backends[account][partition].get_bucket(name)


def _public_refusal(bucket: Any) -> str | None:
    block = bucket.public_access_block
    if block is None or block.block_public_acls or block.ignore_public_acls:
        return "S3 Block Public Access is on and S3ObjectAcl is PUBLIC_READ"
    if "BucketOwnerEnforced" in str(bucket.ownership_rule or "BucketOwnerEnforced"):
        return "the bucket has ACLs disabled and S3ObjectAcl is PUBLIC_READ"
    return None


def _permission(self: FakeBucket, action: str, resource: str) -> PermissionResult:
    """What the bucket's policy says to anyone; moto's own reader takes every condition for a denial.

    A call that reaches the sandbox counts as one over TLS, because its loopback port stands in for the service's https endpoint.
    """
    policy = self.policy.decode("utf-8", "replace") if self.policy else None
    verdict = verdict_for_anyone(policy, action, resource, {"aws:securetransport": "true"})
    if verdict is None:
        return PermissionResult.NEUTRAL
    return PermissionResult.PERMITTED if verdict else PermissionResult.DENIED


class Sandbox:
    """One engine and the moto it lives in."""

    def __init__(
        self,
        clock: Clock,
        randomness: Randomness,
        pace: Pace,
        settings: Settings | None = None,
        hindrances: Hindrances | None = None,
    ) -> None:
        self.clock = clock
        self.traffic = Traffic(clock, hindrances or Hindrances())
        self.lock = threading.RLock()  # one request at a time, whichever way it comes
        self.buckets = MotoBuckets()
        self.service = PrivateCa(clock, randomness, self.buckets, pace, settings)
        enforces = settings is not None and settings.enforce_iam
        self.enforcement = Enforcement(self.regions, clock, SystemClock()) if enforces else None

    def call(self, account: str, region_name: str, operation: str, body: str, access_key: str = "") -> str:
        """One request as moto got it, answered as JSON; ``access_key`` names who calls.

        Raises:
            JsonRESTError: the service's refusal, or a body that is not a JSON object.
        """
        try:
            request = json.loads(body or "{}")
        except (ValueError, RecursionError) as error:
            raise _refused("SerializationException", "the request is not JSON") from error
        if not isinstance(request, dict):
            raise _refused("SerializationException", "the request is not a JSON object")
        try:
            answer = self.service.call(
                self.region(account, region_name),
                operation,
                request,
                partial(self._elsewhere, account, region_name),
                partial(_principal, account, region_name, access_key),
            )
            return json.dumps(answer)
        except ServiceError as error:
            raise _refused(error.code, error.message) from error

    def in_turn(self, request: AWSPreparedRequest, carry_out: Callable[[], moto_changes.Answer]) -> moto_changes.Answer:
        """One request of botocore in this process, past what hinders calls, when no other is being answered.

        Raises:
            ConnectionClosedError: a fault closed the connection.
        """
        call = _call_of(request)
        try:
            hindered = self.traffic.arrive(call)
            if isinstance(hindered, Refused):
                return hindered.status, dict(hindered.headers), hindered.body
            with self.lock:
                denied = self.denial(call, _wire_request(request))
                answer = (denied.status, dict(denied.headers), denied.body) if denied else carry_out()
            if hindered is None:
                return answer
            struck = self.traffic.strike(hindered, call)
        except Dropped as error:
            raise ConnectionClosedError(endpoint_url=request.url) from error
        return struck.status, dict(struck.headers), struck.body

    def denial(self, call: Call, request: WireRequest) -> Refused | None:
        """What a caller is told whose bucket is another's than it expects, or who lacks a permission, where callers are held to theirs; locked."""
        if (foreign := owner_refusal(call, request)) is not None:
            return foreign
        return self.enforcement.admit(call, request) if self.enforcement else None

    def region(self, account: str, region_name: str) -> Region:
        """The state of one account and Region."""
        backend = acmpca_backends[account][region_name]
        state = backend.__dict__.get(_ATTRIBUTE)
        if not isinstance(state, Region):
            state = Region(get_partition(region_name), account, region_name)
            backend.__dict__[_ATTRIBUTE] = state
        return state

    def _elsewhere(self, account: str, region_name: str) -> list[Region]:
        """The state of the other accounts in a Region."""
        return [region for region in self.regions() if region.name == region_name and region.account != account]

    @cached_property
    def region_names(self) -> Regions:
        """The Regions that there are, as moto knows them."""
        own = frozenset(acmpca_backends[DEFAULT_ACCOUNT_ID].regions)
        return Regions(own, own.union(kms_backends[DEFAULT_ACCOUNT_ID].regions))

    def adopt(self, region: Region) -> None:
        """Take a state that was kept elsewhere for that of its account and Region."""
        for authority in region.authorities.values():
            crl_locations.remember_hosts(authority, region)  # a state from before they were kept
        acmpca_backends[region.account][region.name].__dict__[_ATTRIBUTE] = region

    def regions(self) -> list[Region]:
        """The state of every account and Region that was ever asked for."""
        backends = [backend for account in list(acmpca_backends.values()) for backend in list(account.values())]
        states = [backend.__dict__.get(_ATTRIBUTE) for backend in backends]
        return [state for state in states if isinstance(state, Region)]


def _principal(account: str, region_name: str, access_key: str) -> str:
    """The ARN that GetCallerIdentity would give."""
    _, arn, _ = sts_backends[account][get_partition(region_name)].get_caller_identity(access_key, region_name)
    return str(arn)


def _operation(name: str, sandbox: Sandbox) -> Callable[[ACMPCAResponse], tuple[int, dict[str, str], str]]:
    def answer(self: ACMPCAResponse) -> tuple[int, dict[str, str], str]:
        account, region = str(self.current_account), str(self.region)
        body = sandbox.call(account, region, name, str(self.body or ""), str(self.access_key))
        return 200, {"content-type": _CONTENT_TYPE}, body

    return answer


def _refused(code: str, message: str) -> JsonRESTError:
    """A refusal in the protocol of the service; moto's own content type is another's."""
    error = JsonRESTError(code, message)
    error.content_type = _CONTENT_TYPE
    return error


def _call_of(request: AWSPreparedRequest) -> Call:
    wire = _wire_request(request)
    return identify(wire.method, wire.host, urlsplit(request.url).path, wire.query, wire.header, wire.body)


def _wire_request(request: AWSPreparedRequest) -> WireRequest:
    url = urlsplit(request.url)
    return WireRequest(
        str(request.method), url.netloc, unquote(url.path), url.query, partial(_header, request.headers), _body(request)
    )


def _body(request: AWSPreparedRequest) -> bytes:
    """What a request says; an object that is read from a file says nothing of the call."""
    body = request.body
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray) else b""


def _header(headers: Any, name: str) -> str:
    value = headers.get(name, "")
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


@contextlib.contextmanager
def plugged_in(
    *,
    clock: Clock | None = None,
    randomness: Randomness | None = None,
    pace: Pace | None = None,
    settings: Settings | None = None,
    hindrances: Hindrances | None = None,
) -> Iterator[Sandbox]:
    """Private CA of moto in this process is ours while the context lasts, under ``mock_aws`` and in server mode.

    Raises:
        InternalError: another one is plugged in (moto's state belongs to the process), or moto does not fit.
    """
    require_moto_names()
    if not _installed.acquire(blocking=False):
        raise InternalError("a sandbox is already plugged into the moto of this process", code="sandbox.twice")
    original: Any = url_paths[_PATH]
    moto_permission = FakeBucket.get_permission
    try:
        sandbox = Sandbox(
            clock or SystemClock(), randomness or SystemRandomness(), pace or Pace(), settings, hindrances
        )
        methods: Mapping[str, Any] = {xform_name(name): _operation(name, sandbox) for name in operation_names()}
        # moto derives the module of urls from the response's module name
        response = type("SandboxResponse", (ACMPCAResponse,), {**methods, "__module__": ACMPCAResponse.__module__})
        url_paths[_PATH] = response.dispatch  # type: ignore[attr-defined]
        permission: Any = permission_of(sandbox.enforcement) if sandbox.enforcement else _permission
        FakeBucket.get_permission = permission  # type: ignore[method-assign]
        with (
            moto_changes.changed_moto(sandbox.clock, sandbox.in_turn),
            tagging_api.authorities_tagged(sandbox.service, sandbox.region),
            iam_callers.sessions_remember_their_policies(),
        ):
            yield sandbox
    finally:
        FakeBucket.get_permission = moto_permission  # type: ignore[method-assign]
        url_paths[_PATH] = original
        _installed.release()
