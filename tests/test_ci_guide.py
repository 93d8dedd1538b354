"""The guide for CI systems and the GitHub action: examples parse, their commands exist, the action's scripts run."""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from typer.main import get_command

from pkiops.cli.app import NOUNS, app
from pkiops.clock import ManualClock
from tests import builders
from tests.cli.estate import ENVIRONMENTS, Estate
from tests.sandbox_server import RunningSandbox, running_sandbox

REPOSITORY = Path(__file__).parents[1]
GUIDE = (REPOSITORY / "docs" / "guides" / "ci.md").read_text(encoding="utf-8")
ACTION: dict[str, Any] = yaml.safe_load((REPOSITORY / "action.yml").read_text(encoding="utf-8"))
NAME = "orders.svc.dev.example.com"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


def texts(value: Any) -> Iterator[str]:
    """Every text of a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


def documents() -> list[Any]:
    return [one for block in blocks("yaml") for one in yaml.safe_load_all(block)]


def commands_in(script: str) -> Iterator[list[str]]:
    """The words after each ``pkiops`` that begins a command."""
    for line in script.replace("\\\n", " ").splitlines():
        for words in re.findall(r"(?:^|[;&|{] *|` *)pkiops ((?:[^;&|>`'\"]|'[^']*'|\"[^\"]*\")+)", line.strip()):
            yield shlex.split(words, comments=True)


def guide_commands() -> list[list[str]]:
    inline = re.findall(r"`(pkiops [^`]+)`", GUIDE)
    scripts = [text for one in documents() for text in texts(one)] + blocks("groovy") + inline
    return [words for script in scripts for words in commands_in(script)]


def check(words: list[str]) -> None:
    """Parse a command as the command line would; nothing is run."""
    root: Any = get_command(app)
    context = root.make_context("pkiops", ["env", "list"])
    noun, verb, *arguments = words
    command = root.get_command(context, noun).commands[verb]
    command.make_context(f"pkiops {noun} {verb}", arguments, parent=context)


def test_there_is_an_example_for_each_system() -> None:
    assert len(documents()) == 7
    assert len(blocks("groovy")) == 1
    kinds = [one.get("kind") for one in documents() if isinstance(one, dict)]
    assert kinds[-4:] == ["CronJob", "ServiceAccount", "Role", "RoleBinding"]


@pytest.mark.parametrize("words", guide_commands(), ids=" ".join)
def test_every_command_of_the_guide_is_one(words: list[str]) -> None:
    assert words[0] in NOUNS
    check(words)


def test_the_commands_are_found_and_wrong_ones_too() -> None:
    found = [" ".join(words[:2]) for words in guide_commands()]
    assert {name: found.count(name) for name in found} == {
        "policy test": 3,
        "cert issue": 3,
        "cert request": 1,
        "cert renew": 2,
    }
    for wrong in (
        ["cert", "issue", "prod"],
        ["cert", "renew", "prod", "x", "--no-such-option"],
        ["cert", "list", "a", "--limit", "x"],
    ):
        with pytest.raises(Exception, match=r"[Mm]issing|[Nn]o such option|not a valid"):
            check(wrong)


def test_the_examples_of_github_use_inputs_of_the_action() -> None:
    used = [step for one in documents() for step in steps_of(one) if "pkiops@" in step.get("uses", "")]
    assert len(used) == 2
    required = {name for name, one in ACTION["inputs"].items() if one.get("required")}
    for step in used:
        assert required <= set(step["with"]) <= set(ACTION["inputs"])
    outputs = re.findall(r"steps\.certificate\.outputs\.([a-z-]+)", GUIDE)
    assert outputs
    assert set(outputs) <= set(ACTION["outputs"])


def steps_of(document: Any) -> list[dict[str, Any]]:
    if isinstance(document, list):
        return document
    return [step for job in document.get("jobs", {}).values() for step in job["steps"]]


def step(number: int) -> dict[str, Any]:
    found: dict[str, Any] = ACTION["runs"]["steps"][number]
    return found


def test_no_input_is_ever_a_part_of_a_script() -> None:
    assert ACTION["runs"]["using"] == "composite"
    for one in ACTION["runs"]["steps"]:
        assert one["shell"] == "bash"
        assert "${{" not in one["run"]
    given = {
        re.sub(r"\$\{\{ inputs\.([a-z]+).*", r"\1", value)
        for number in (0, 1)
        for value in step(number)["env"].values()
    }
    assert given == set(ACTION["inputs"])
    for name, output in ACTION["outputs"].items():
        assert output["value"] == f"${{{{ steps.{step(1)['id']}.outputs.{name} }}}}"


class Job:
    """A job on a runner of its own: the action's scripts with what GitHub would give them."""

    def __init__(self, estate: Estate) -> None:
        self.estate = estate
        self.folder = estate.folder
        self.programs = self.folder / "bin"
        self.programs.mkdir()
        self.program("pkiops", f'exec "{sys.executable}" -m pkiops "$@"')

    def program(self, name: str, text: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def run(self, number: int, **inputs: str) -> subprocess.CompletedProcess[str]:
        values = {name: one.get("default", "") for name, one in ACTION["inputs"].items()}
        values |= {"environment": "dev", "profile": "service", "environments": str(ENVIRONMENTS), **inputs}
        given = {}
        for variable, expression in step(number)["env"].items():
            name = expression.removeprefix("${{ inputs.").split()[0]
            given[variable] = values[name] or ("/action" if "github.action_path" in expression else "")
        settings = {
            **self.estate.sandbox.environment,
            **given,
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "HOME": str(self.folder),
            "RUNNER_TEMP": str(self.folder),
            "GITHUB_OUTPUT": str(self.folder / "github-output"),
            "GITHUB_PATH": str(self.folder / "github-path"),
        }
        # as the runner calls shell: bash
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step(number)["run"]]
        return subprocess.run(
            command, cwd=self.folder, env=settings, capture_output=True, text=True, timeout=120, check=False
        )

    def issue(self, **inputs: str) -> dict[str, str]:
        (self.folder / "github-output").unlink(missing_ok=True)
        done = self.run(1, **inputs)
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        return dict(line.split("=", 1) for line in (self.folder / "github-output").read_text().splitlines())


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    folder = tmp_path_factory.mktemp("applied")
    with pytest.MonkeyPatch.context() as patch, running_sandbox() as running:
        patch.chdir(folder)
        Estate(folder, running).done("ca", "apply", "dev", "--yes")
        yield running


@pytest.fixture
def job(sandbox: RunningSandbox, tmp_path: Path) -> Job:
    return Job(Estate(tmp_path, sandbox))


def test_the_action_issues_for_a_request(job: Job) -> None:
    (job.folder / "a.csr").write_bytes(builders.csr({"common_name": NAME}, sans=(f"dns:{NAME}",)))
    first = job.issue(csr="a.csr", outputs="fullchain=my certificate.pem\n\njson=a.json", validity="12h")
    certificate = x509.load_pem_x509_certificate((job.folder / "my certificate.pem").read_bytes())
    assert first["serial"] == f"{certificate.serial_number:x}"
    assert first["not-after"] == f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    assert (first["from-ledger"], set(first)) == ("false", set(ACTION["outputs"]))
    assert json.loads((job.folder / "a.json").read_text())["serial"] == first["serial"]
    again = job.issue(csr="a.csr", validity="12h")
    assert (again["from-ledger"], again["serial"]) == ("true", first["serial"])
    assert (job.folder / "pkiops.pem").exists()


def test_the_action_makes_a_key_where_there_is_no_request(job: Job) -> None:
    names = f"dns:{NAME}\ndns:more.svc.dev.example.com\n"
    first = job.issue(names=names, outputs="folder=tls")
    assert stat.S_IMODE((job.folder / "pkiops.key").stat().st_mode) == 0o600
    found = x509.load_pem_x509_certificate((job.folder / "tls" / "current" / "tls.crt").read_bytes())
    names_of = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names_of.get_values_for_type(x509.DNSName) == [NAME, "more.svc.dev.example.com"]
    # a step that is repeated goes on with the key that it made
    assert job.issue(names=names, outputs="folder=tls")["serial"] == first["serial"]


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ({"names": "dns:evil.example.org"}, 4),
        ({"names": f"dns:{NAME}", "profile": "none"}, 2),
        ({"csr": "none.csr"}, 2),
        ({"names": '$(touch hacked)`touch hacked`"; touch hacked; "'}, 2),
        ({"environment": "--help", "csr": "none.csr"}, 2),
        ({"csr": "none.csr", "validity": "1h; touch hacked"}, 2),
        ({"csr": "none.csr", "profile": "$(touch hacked)", "environments": "x; touch hacked"}, 2),
    ],
    ids=str,
)
def test_what_fails_fails_the_step_and_no_input_is_run(job: Job, inputs: dict[str, str], code: int) -> None:
    done = job.run(1, **inputs)
    assert done.returncode == code, done.stderr
    assert "error" in done.stderr
    assert not (job.folder / "hacked").exists()
    assert not (job.folder / "github-output").exists()


def cron_script() -> str:
    """The script of the CronJob, for the environment of the sandbox."""
    (cron,) = [one for one in documents() if isinstance(one, dict) and one.get("kind") == "CronJob"]
    (container,) = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["/bin/sh", "-euc"]
    (script,) = container["args"]
    return str(script).replace(" prod ", " dev ")


class Pod(Job):
    """The pod of the CronJob, with a kubectl that notes what it is told and fails on demand."""

    def __init__(self, estate: Estate) -> None:
        super().__init__(estate)
        self.program(
            "kubectl", 'echo "$1" >> kubectl.log; [ ! -e broken ] || exit 1; [ "$1" != apply ] || cat > /dev/null'
        )

    def once(self) -> subprocess.CompletedProcess[str]:
        settings = {
            **self.estate.sandbox.environment,
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "PKIOPS_ENVIRONMENTS": str(ENVIRONMENTS),
            "NAME": f"dns:{NAME}",
        }
        command = ["/bin/sh", "-euc", cron_script()]
        return subprocess.run(
            command, cwd=self.folder, env=settings, capture_output=True, text=True, timeout=120, check=False
        )

    def told(self) -> list[str]:
        log = self.folder / "kubectl.log"
        found = log.read_text().split() if log.exists() else []
        log.unlink(missing_ok=True)
        return sorted(found)


def test_the_cron_job_issues_renews_and_hands_on(sandbox: RunningSandbox, tmp_path: Path) -> None:
    pod = Pod(Estate(tmp_path, sandbox))
    current = tmp_path / "orders" / "current" / "tls.crt"
    everything = ["apply", "create", "rollout"]
    (tmp_path / "broken").touch()
    assert pod.once().returncode != 0  # issued, and the Secret was refused
    first = current.read_bytes()
    pod.told()
    (tmp_path / "broken").unlink()
    assert pod.once().returncode == 0
    assert (pod.told(), current.read_bytes()) == (everything, first)
    assert (pod.once().returncode, pod.told()) == (0, [])
    assert isinstance(sandbox.clock, ManualClock)
    sandbox.clock.advance(timedelta(days=21))
    (tmp_path / "broken").touch()
    failed = pod.once()
    assert failed.returncode == 7, failed.stderr
    assert current.read_bytes() != first
    pod.told()
    (tmp_path / "broken").unlink()
    assert (pod.once().returncode, pod.told()) == (0, everything)
    assert (pod.once().returncode, pod.told()) == (0, [])


@pytest.mark.parametrize(("given", "what"), [("", "/action"), ("pkiops @ x; touch hacked", "pkiops @ x; touch hacked")])
def test_the_action_installs_itself_or_what_is_said(job: Job, given: str, what: str) -> None:
    # in the place of Python: makes the environment that it is asked for, and notes what pip is to install
    note = 'printf "%s\\n" "$@" > "$RUNNER_TEMP/asked"'
    job.program(
        "python3",
        f'mkdir -p "$3/bin"; printf "#!/bin/bash\\n%s\\n" \'{note}\' > "$3/bin/python"; chmod +x "$3/bin/python"',
    )
    done = job.run(0, install=given)
    assert done.returncode == 0, done.stderr
    asked = (job.folder / "asked").read_text().splitlines()
    assert (asked[:3], asked[-1]) == (["-m", "pip", "install"], what)
    assert (job.folder / "github-path").read_text() == f"{job.folder}/pkiops/bin\n"
    assert not (job.folder / "hacked").exists()
