"""The AWS SDK for Go does the main job, tells errors by their types, pages, and crosses accounts (what is asked: go_sdk/)."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkiops.clock import SystemClock
from tests.live import go_program
from tests.sandbox_server import running_sandbox

pytestmark = pytest.mark.live
SOURCE = Path(__file__).with_name("go_sdk")


def test_the_sdk_for_go(tmp_path: Path) -> None:
    program = go_program.build(SOURCE, tmp_path)
    # the machine's clock: Go judges by it
    with running_sandbox(clock=SystemClock()) as sandbox:
        assert go_program.passed(program, sandbox.environment) == {
            "TestMainJob",
            "TestErrorsHaveTheirTypes",
            "TestPaginatorsSeeEverythingOnce",
            "TestAnotherAccount",
        }
