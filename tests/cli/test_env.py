"""``pkiops env``: stdout, stderr, exit codes, files written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pkiops.cli.app import app
from pkiops.environment.models import Persona

SAMPLES = Path(__file__).parents[2] / "environments"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(SAMPLES, tmp_path / "environments")
    return tmp_path / "environments"


@pytest.fixture
def pkiops(folder: Path) -> Any:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["--environments", str(folder), "env", *arguments])

    return run


def test_the_samples_are_sound(pkiops: Any) -> None:
    result = pkiops("validate")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [
        "dev",
        "offline",
        "prod",
        "spread",
        "staging",
    ]
    assert "dev: ok (2 authorities, 1 profile, 1 bundle)" in result.stdout


def test_all_problems_of_all_files_at_once(pkiops: Any, folder: Path) -> None:
    for name, old, new in (
        ("dev", "validity: 20y", "validity: 20 years"),
        ("dev", "issuer: root", "issuer: rot"),
        ("prod", "schema: 1", "schema: 2"),
    ):
        path = folder / f"{name}.yaml"
        path.write_text(path.read_text().replace(old, new, 1))
    result = pkiops("validate")
    assert result.exit_code == 3
    assert result.stdout == ""
    lines = [line.strip() for line in result.stderr.splitlines() if ".yaml:" in line]
    assert len(lines) == 3
    assert any("dev.yaml:" in line and "authorities.clients.issuer" in line for line in lines)
    assert all(line.split(":")[1].isdigit() and line.split(":")[2].isdigit() for line in lines)


def test_problems_as_json(folder: Path) -> None:
    path = folder / "dev.yaml"
    path.write_text(path.read_text().replace("path_length: 1", "path_lenght: 1", 1))
    result = CliRunner().invoke(app, ["--environments", str(folder), "env", "validate", "dev", "--format", "json"])
    assert (result.exit_code, result.stdout) == (3, "")
    problem = json.loads(result.stderr)["error"]["details"]["problems"][0]
    assert problem["key_path"] == "authorities.root.path_lenght"
    assert "path_length" in problem["message"]
    assert problem["line"] > 1


@pytest.mark.parametrize("name", ["nowhere", "../dev", "/etc/passwd", "dev.yaml", "Dev", "", "d\x00v", "dev\n"])
def test_a_name_that_is_no_environment(pkiops: Any, name: str) -> None:
    result = pkiops("show", name)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
    assert "\x00" not in result.stderr


def test_a_name_with_a_slip_is_helped(pkiops: Any) -> None:
    assert "staging" in pkiops("show", "stagin").stderr


def test_list_shows_broken_ones_too(pkiops: Any, folder: Path) -> None:
    (folder / "broken.yaml").write_text("schema: 1\n")
    rows = json.loads(pkiops("list", "--format", "json").stdout)["environments"]
    assert {row["environment"]: row["status"] for row in rows} == {
        "broken": "invalid",
        "dev": "ok",
        "offline": "ok",
        "prod": "ok",
        "spread": "ok",
        "staging": "ok",
    }
    assert "broken" in pkiops("list").stdout


def test_show_fills_defaults_in_and_reads_back(pkiops: Any, folder: Path) -> None:
    shown = pkiops("show", "dev").stdout
    assert "usage_mode: GENERAL_PURPOSE" in shown
    (folder / "dev.yaml").write_text(shown)
    assert pkiops("validate", "dev").exit_code == 0
    assert pkiops("show", "dev").stdout == shown


def test_the_schema_is_json_schema(pkiops: Any) -> None:
    schema = json.loads(pkiops("schema").stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "authorities" in schema["properties"]


@pytest.mark.parametrize("arguments", [["--sandbox"], ["--account", "111122223333", "--region", "eu-central-1"]])
def test_init_writes_a_file_that_is_sound(pkiops: Any, folder: Path, arguments: list[str]) -> None:
    result = pkiops("init", "trial", *arguments)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{folder / 'trial.yaml'}\n"
    assert pkiops("validate", "trial").exit_code == 0


def test_init_replaces_nothing_and_needs_an_account(pkiops: Any, folder: Path) -> None:
    before = (folder / "dev.yaml").read_bytes()
    assert pkiops("init", "dev", "--sandbox").exit_code == 9
    assert (folder / "dev.yaml").read_bytes() == before
    missing = pkiops("init", "trial")
    assert missing.exit_code == 2
    assert "--account" in missing.stderr
    assert not (folder / "trial.yaml").exists()


def test_an_empty_folder_says_how_to_start(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--environments", str(tmp_path), "env", "validate"])
    assert result.exit_code == 2
    assert "pkiops env init" in result.stderr


def test_a_foreign_endpoint_is_noted(pkiops: Any, folder: Path) -> None:
    path = folder / "prod.yaml"
    text = path.read_text()
    start = text.index("  type: aws-private-ca")
    path.write_text(text[:start] + "  endpoint_urls: {s3: 'https://s3.example.net'}\n" + text[start:])
    result = pkiops("validate", "prod")
    assert result.exit_code == 0
    assert "--allow-endpoint" in result.stderr


def test_a_yaml_bomb_is_one_error(pkiops: Any, folder: Path) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(8)
    )
    (folder / "bomb.yaml").write_text(bomb)
    result = pkiops("validate", "bomb")
    assert result.exit_code == 3
    assert len(result.stderr) < 4000


@pytest.mark.parametrize(
    ("file", "text", "line", "says"),
    [
        ("target.yaml", None, 1, "there is no target in"),
        ("target.yaml", "title: x\n\tfiles: y\n", 2, "line 2"),
        ("target.yaml", "title: x\nfiles: {ca.pem: authorities}\nrevocations: [none]\n", 1, "cannot check revocation"),
        ("target.yaml", "title: x\nfiles: {ca.pem: all}\nrevocations: [none]\n", 1, "neither a content nor a template"),
        ("gate.conf.j2", None, 1, "there is no template gate.conf.j2"),
        ("gate.conf.j2", "a\nb\n{% if x %}\n", 3, "is no template, line 3"),
        ("gate.conf.j2", "a\n{% include 'x' %}\n", 2, "line 2: Include is not allowed"),
        ("gate.conf.j2", "{{ locaton }}\n", 1, "there is no value locaton"),
        ("gate.conf.j2", "\udcff", 1, "is not UTF-8"),
    ],
)
def test_validate_looks_into_targets_of_ones_own(
    pkiops: Any, folder: Path, file: str, text: str | None, line: int, says: str
) -> None:
    own = folder / "targets" / "gate"
    own.mkdir(parents=True)
    described = (
        "title: the gate\nrevocations: [chain]\nfiles: {ca.pem: authorities, crl.pem: crls, gate.conf: gate.conf.j2}\n"
    )
    (own / "target.yaml").write_text(described)
    (own / "gate.conf.j2").write_text("trust {{ location }}\n")
    dev = folder / "dev.yaml"
    dev.write_text(
        dev.read_text().replace("pem: {}", "pem: {}\n        gate: {folder: gate}\n        again: {folder: gate}")
    )
    sound = pkiops("validate", "dev")
    assert sound.exit_code == 0, sound.output
    if text is None:
        (own / file).unlink()
    else:
        (own / file).write_bytes(text.encode("utf-8", "surrogateescape"))
    wrong = pkiops("validate", "dev")
    assert wrong.exit_code == 3
    assert says in wrong.stderr
    where = "target.yaml" if "there is no template" in says else file
    assert f"{own / where}:{line}:1: trust.bundles.services.targets.gate.folder: " in wrong.stderr


def test_what_validate_leaves_out_is_told(pkiops: Any, folder: Path) -> None:
    (folder / "Prod.yaml").write_text("x")
    (folder / "test.yml").write_text("x")
    result = pkiops("validate")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 5
    assert "Prod.yaml is no environment" in result.stderr
    assert "test.yml is no environment" in result.stderr


def test_an_environment_named_twice_is_checked_once(pkiops: Any) -> None:
    assert pkiops("validate", "dev", "dev").stdout == "dev: ok (2 authorities, 1 profile, 1 bundle)\n"


@pytest.mark.parametrize(
    "arguments",
    [("Dev", "--sandbox"), ("../x", "--sandbox"), ("x", "--account", "12"), ("x", "--sandbox", "--region", "nowhere")],
)
def test_init_makes_not_even_a_folder_on_an_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    folder = tmp_path / "new"
    result = CliRunner().invoke(app, ["--environments", str(folder), "env", "init", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert list(tmp_path.iterdir()) == []


def test_init_does_not_write_through_a_link(pkiops: Any, folder: Path) -> None:
    (folder / "trial.yaml").symlink_to(folder / "elsewhere")
    assert pkiops("init", "trial", "--sandbox").exit_code == 9
    assert not (folder / "elsewhere").exists()


def test_validate_loads_no_heavy_library() -> None:
    program = (
        "import sys\nfrom pkiops.cli.app import app\n"
        "try:\n    app(['--environments', sys.argv[1], 'env', 'validate'])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print([m for m in ('cryptography', 'boto3', 'botocore', 'jinja2', 'rich', 'moto') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(SAMPLES)],
        capture_output=True,
        text=True,
        check=True,
        cwd=SAMPLES.parent,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_persona_s_policy_is_the_result_and_nothing_else_is(pkiops: Any) -> None:
    result = pkiops("iam-policy", "prod", "--persona", "issuer")
    assert result.exit_code == 0
    policy = json.loads(result.stdout)
    assert policy["Version"] == "2012-10-17"
    assert "note: the file has pkiops assume arn:aws:iam::111122223333:role/pki-provisioner" in result.stderr

    wrapped = json.loads(pkiops("iam-policy", "prod", "--persona", "issuer", "--format", "json").stdout)
    assert (wrapped["kind"], wrapped["environment"], wrapped["persona"]) == ("iam-policy", "prod", "issuer")
    assert wrapped["policy"] == policy
    assert wrapped["characters"] == len(json.dumps(policy, separators=(",", ":")))
    assert len(wrapped["notes"]) == 1


def test_every_persona_of_the_file_can_be_asked_for(pkiops: Any) -> None:
    for persona in Persona:
        assert pkiops("iam-policy", "dev", "--persona", persona.value).exit_code == 0
    assert pkiops("iam-policy", "dev", "--persona", "root").exit_code == 2
    assert pkiops("iam-policy", "dev").exit_code == 2
    refused = pkiops("iam-policy", "dev", "--persona", "issuer", "--allow-delete")
    assert refused.exit_code == 2
    assert "issuer deletes no CA" in refused.stderr
    refused = pkiops("iam-policy", "dev", "--persona", "auditor", "--allow-resolve")
    assert (refused.exit_code, "auditor resolves no request" in refused.stderr) == (2, True)


def test_a_folder_that_is_not_there_has_no_environments_to_list(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--environments", str(tmp_path / "nosuch"), "env", "list"], prog_name="pkiops")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--environments DIR" in result.stderr
