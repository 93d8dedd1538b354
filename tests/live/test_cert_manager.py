"""cert-manager's issuer for AWS Private CA gets clients' certificates, and hears what is wrong (what is asked: cert_manager/)."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkiops.clock import SystemClock
from pkiops.sandbox.sample_hierarchy import make_hierarchy
from tests.live import go_program
from tests.sandbox_server import running_sandbox

pytestmark = pytest.mark.live
SOURCE = Path(__file__).with_name("cert_manager")


def test_cert_managers_issuer(tmp_path: Path) -> None:
    program = go_program.build(SOURCE, tmp_path)
    # the machine's clock: Go judges by it, and the issuer counts from it
    with running_sandbox(clock=SystemClock()) as sandbox:
        made = make_hierarchy(sandbox.client("acm-pca"), sandbox.client("s3"))
        environment = {**sandbox.environment, "ISSUING_ARN": made["issuing_arn"], "ROOT_PEM": made["root_pem"]}
        assert go_program.passed(program, environment) == {
            "TestAClientsCertificate",
            "TestTheSameRequestIsOneCertificate",
            "TestOtherUsagesComeFromTheRequest",
            "TestRefusals",
        }
