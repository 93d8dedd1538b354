"""Every error of the service's model, and those outside it, of every operation: as typed exceptions in process and over HTTP.

Here they are faults made on purpose, because some of them (a concurrent modification, a request that failed for no reason given) the engine has no
reason for. What the engine refuses by itself is tested where its rule is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws

from pkiops.clock import ManualClock
from pkiops.sandbox import moto_adapter
from pkiops.sandbox.engine.request_model import operation_names, service_model
from pkiops.sandbox.faults import fault
from pkiops.sandbox.traffic import Hindrances
from tests.aws.sandbox.clients import WAYS
from tests.sandbox_server import REGION, START, running_sandbox

UNMODELLED = ("AccessDeniedException", "ThrottlingException", "ValidationException")


def codes(operation: str) -> list[str]:
    return [*(shape.name for shape in service_model().operation_model(operation).error_shapes), *UNMODELLED]


def smallest(shape: Any) -> Any:
    """The least that botocore lets through for a shape; the fault strikes before anybody looks at it."""
    least = shape.metadata.get("min", 1)
    if shape.type_name == "structure":
        return {name: smallest(shape.members[name]) for name in shape.required_members}
    if shape.type_name == "list":
        return [smallest(shape.member)] * max(least, 1)
    if shape.type_name == "boolean":
        return True
    if shape.type_name == "blob":
        return b"x"
    return shape.enum[0] if getattr(shape, "enum", None) else "x" * least if shape.type_name == "string" else least


@contextlib.contextmanager
def faulty(way: str) -> Iterator[Any]:
    """A client whose k-th call of an operation fails with the operation's k-th code."""
    faults = tuple(
        fault(f"{operation}:{k}:before:{code}")
        for operation in operation_names()
        for k, code in enumerate(codes(operation), 1)
    )
    hindrances = Hindrances(faults=faults)
    if way == "over http":
        with running_sandbox(hindrances=hindrances) as sandbox:
            yield sandbox.client("acm-pca")
        return
    with moto_adapter.plugged_in(clock=ManualClock(START), hindrances=hindrances), mock_aws():
        config = Config(retries={"total_max_attempts": 1})
        yield boto3.Session(region_name=REGION).client("acm-pca", config=config)


@pytest.mark.parametrize("way", WAYS)
def test_each_code_of_each_operation(way: str) -> None:
    with faulty(way) as pca:
        for operation in operation_names():
            shape = service_model().operation_model(operation).input_shape
            for code in codes(operation):
                with pytest.raises(ClientError) as caught:
                    getattr(pca, xform_name(operation))(**smallest(shape))
                error = caught.value.response["Error"]
                assert (error["Code"], bool(error["Message"])) == (code, True), operation
                assert caught.value.operation_name == operation
                # what the model does not know has no type of its own
                assert type(caught.value) is ClientError if code in UNMODELLED else code in type(caught.value).__name__
