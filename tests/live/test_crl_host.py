"""What ``crl host`` renders, read by the programs that people have: cfn-lint, a parser of HCL, and terraform where it is installed.

``terraform fmt`` runs where terraform is installed. ``terraform validate`` needs the provider of AWS as well, which no package index of ours
holds: it runs where PKIOPS_TERRAFORM_PLUGINS names a folder that ``terraform providers mirror`` made.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pkiops.crl.host import HostFormat, cdp_host, render_host
from pkiops.environment.load import load_environment
from tests.live_programs import unavailable

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".venv-templates" / "bin"
_READ_HCL = "import hcl2, json, sys; json.dump(hcl2.load(sys.stdin), sys.stdout)"


def tool(name: str) -> str:
    if not (TOOLS / name).exists():
        unavailable(f"{name} for templates is not here (make clients)")
    return str(TOOLS / name)


def rendered(format_: HostFormat) -> str:
    """That of the sample with a second host in front, and with tags that need every escape that a file may ask for."""
    env = load_environment("prod", ROOT / "environments")
    one = env.authorities["devices"]
    devices = replace(one, crl=replace(one.crl, host="crl.devices.example.net"))
    tags = {"cost centre": "a/b=c@d: - +_.", "owner": "pki"}
    return render_host(cdp_host(replace(env, tags=tags, authorities={**env.authorities, "devices": devices})), format_)


def run(*words: str, folder: Path, stdin: str = "") -> str:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "CHECKPOINT_DISABLE": "1"}
    done = subprocess.run(
        words, input=stdin, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.live
def test_cfn_lint_has_nothing_to_say(tmp_path: Path) -> None:
    (tmp_path / "cdp.yaml").write_text(rendered(HostFormat.CLOUDFORMATION))
    assert run(tool("cfn-lint"), "--regions", "us-east-1", "--template", "cdp.yaml", folder=tmp_path) == ""


@pytest.mark.live
def test_cfn_lint_would_say_it(tmp_path: Path) -> None:
    text = rendered(HostFormat.CLOUDFORMATION)
    (tmp_path / "cdp.yaml").write_text(text.replace("allow-all", "http"))
    done = subprocess.run(
        [tool("cfn-lint"), "cdp.yaml"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, "'http' is not one of" in done.stdout) == (2, True)


def ask_terraform(text: str, folder: Path) -> None:
    """What terraform itself says, as far as it is here: no package index has it, nor the provider of AWS."""
    if shutil.which("terraform") is None:
        return
    (folder / "cdp.tf").write_text(text)
    run("terraform", "fmt", "-check", "-diff", folder=folder)
    if plugins := os.environ.get("PKIOPS_TERRAFORM_PLUGINS"):
        run("terraform", "init", "-input=false", f"-plugin-dir={plugins}", folder=folder)
        run("terraform", "validate", folder=folder)


@pytest.mark.live
def test_terraform_reads_as_hcl_with_every_block_in_its_place(tmp_path: Path) -> None:
    text = rendered(HostFormat.TERRAFORM)
    read = json.loads(run(tool("python"), "-c", _READ_HCL, folder=tmp_path, stdin=text))
    resources = {kind.strip('"'): body for one in read["resource"] for kind, body in one.items()}
    assert sorted(resources) == [
        "aws_cloudfront_cache_policy",
        "aws_cloudfront_distribution",
        "aws_cloudfront_origin_access_control",
        "aws_route53_record",
    ]
    assert [name.strip('"') for one in read["variable"] for name in one] == ["certificate_arn", "hosted_zone_ids"]
    assert "crl.devices.example.net" in json.dumps(read["locals"])
    ask_terraform(text, tmp_path)
