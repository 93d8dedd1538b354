"""What is changed of moto besides Private CA while a sandbox is plugged in, and put back afterwards.

What this module decides:

- calls in process take turns, as those over HTTP do: moto checks the condition of a write (S3 ``If-None-Match``, DynamoDB
  ``attribute_not_exists``) and then writes, and two threads that do so together would both win;
- S3's ``LastModified``, the age of objects and the dates of buckets follow the sandbox's clock;
- moto looks up the operations of a service once, not for every call.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import moto.core.responses
import moto.s3.models
from moto.core.botocore_stubber import BotocoreStubber
from moto.s3.models import S3Backend

from pkiops.clock import Clock

Answer = tuple[Any, Any, Any] | None
Around = Callable[[Any, Callable[[], Answer]], Answer]

NAMES = {
    "moto.core.botocore_stubber": ("BotocoreStubber.process_request",),
    "moto.core.responses": ("method_names_from_class",),
    "moto.iam.models": ("iam_backends", "get_account_id_from"),
    "moto.moto_api._internal": ("mock_random.seed",),
    "moto.moto_server.werkzeug_app": ("DomainDispatcherApplication.get_backend_for_host",),
    "moto.s3.models": (
        "utcnow",
        "S3Backend.create_bucket",
        "FakeAcl",
        "FakeDeleteMarker",
        "FakeGrant",
        "FakeGrantee",
        "FakeKey",
        "PublicAccessBlock",
    ),
    "moto.sts.models": ("AssumedRole", "sts_backends"),
}


class StorageTime:
    """The time of S3: the sandbox's, and never the same twice, because moto sorts versions by it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = datetime.min

    def __call__(self) -> datetime:
        """The moment as moto keeps it: UTC without a time zone."""
        now = self._clock.now().replace(tzinfo=None)
        same_second = self._last.replace(microsecond=0) == now and self._last.microsecond < 999_999
        self._last = self._last + timedelta(microseconds=1) if same_second else now
        return self._last


@contextlib.contextmanager
def changed_moto(clock: Clock, around: Around) -> Iterator[None]:
    """Change moto while the context lasts.

    Args:
        clock: the sandbox's time.
        around: called for each request that botocore hands to moto in process, with the request and what carries it out.
    """
    process_request: Any = BotocoreStubber.process_request
    create_bucket: Any = S3Backend.create_bucket

    def serialised(self: BotocoreStubber, request: Any) -> Answer:
        return around(request, lambda: process_request(self, request))

    def dated(self: S3Backend, *args: Any, **kwargs: Any) -> Any:
        bucket = create_bucket(self, *args, **kwargs)
        bucket.creation_date = clock.now()
        return bucket

    core_responses: Any = moto.core.responses
    s3_models: Any = moto.s3.models
    with contextlib.ExitStack() as changes:
        names = functools.cache(core_responses.method_names_from_class)
        for owner, name, replacement in (
            (BotocoreStubber, "process_request", serialised),
            (S3Backend, "create_bucket", dated),
            (s3_models, "utcnow", StorageTime(clock)),
            (core_responses, "method_names_from_class", names),
        ):
            changes.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, replacement)
        yield
