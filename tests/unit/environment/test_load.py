"""Finding files, and that nothing in them gives anything but an environment or a deliberate error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from pkiops.environment.load import environment_names, ignored_files, load_bytes, load_environment, load_file
from pkiops.environment.models import Environment
from pkiops.environment.plain import as_data, as_yaml
from pkiops.errors import EnvironmentFileError, InputError
from tests.seeded import seeded
from tests.unit.environment.samples import ROOT, SOUND, read

SAMPLES = ROOT / "environments"


@pytest.mark.parametrize("name", environment_names(SAMPLES))
def test_the_samples_of_the_repository_are_sound(name: str) -> None:
    assert load_environment(name, SAMPLES).environment == name


def test_the_samples_are_dev_staging_and_prod_and_only_dev_is_on_the_sandbox() -> None:
    names = environment_names(SAMPLES)
    assert set(names) >= {"dev", "staging", "prod"}
    assert [name for name in ("dev", "prod", "staging") if load_environment(name, SAMPLES).backend.sandbox] == ["dev"]


@pytest.mark.parametrize(
    "name", ["../dev", "/etc/passwd", "", ".", "a/b", "Dev", "a" * 41, "dev\n", "dev\0", "-x", "a--b", "é"]
)
def test_a_name_is_checked_before_it_becomes_a_path(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_environment(name, tmp_path)
    assert (caught.value.exit_code, caught.value.code) == (2, "env.name")
    assert "\n" not in caught.value.message


def test_a_missing_environment_names_those_that_exist(tmp_path: Path) -> None:
    for name in ("prod", "staging"):
        (tmp_path / f"{name}.yaml").write_text("x")
    (tmp_path / "dev.yml").write_text("x")
    hints = {}
    for name in ("prd", "zzzz", "dev"):
        with pytest.raises(InputError) as caught:
            load_environment(name, tmp_path)
        assert caught.value.code == "env.not-found"
        hints[name] = caught.value.hint or ""
    assert hints["prd"].startswith("did you mean prod? There are prod, staging")
    assert hints["zzzz"].startswith("write prod or staging")
    assert hints["dev"] == "rename dev.yml to dev.yaml"
    with pytest.raises(InputError, match="no environment dev") as caught:
        load_environment("dev", tmp_path / "nowhere")
    assert "pkiops env init dev" in (caught.value.hint or "")


def test_names_are_sorted_and_files_that_are_none_are_told(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yaml", "Prod.yaml", "dev.yml", "notes.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "folder.yaml").mkdir()
    assert environment_names(tmp_path) == ("a", "b")
    assert ignored_files(tmp_path) == ("Prod.yaml", "dev.yml")
    assert environment_names(tmp_path / "nowhere") == ()


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(InputError, match="is not a file"):
            load_environment(name, tmp_path)
    with pytest.raises(InputError, match="cannot read"):
        load_file(tmp_path / "missing.yaml")


@pytest.mark.parametrize("name", ["dev", "staging", "prod", "spread", "offline"])
def test_an_environment_written_out_reads_back_as_itself(name: str) -> None:
    environment = load_environment(name, SAMPLES)
    again = load_bytes(as_yaml(environment).encode(), "again.yaml", name)
    assert as_data(again) == as_data(environment)


def test_a_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    assert read(b"\xef\xbb\xbf" + SOUND.replace("\n", "\r\n").encode()) == read(SOUND)


def outcome(data: bytes) -> Environment | EnvironmentFileError:
    """Whatever the bytes are: an environment, or problems that have a place."""
    try:
        return load_bytes(data, "dev.yaml", "dev")
    except EnvironmentFileError as error:
        refused = error
    assert refused.problems
    lines = data.count(b"\n") + data.count(b"\r") + 2
    for problem in refused.problems:
        assert 1 <= problem.line <= lines
        assert problem.column >= 1
        assert "\n" not in str(problem)
    return refused


@seeded(100)
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    outcome(data)


@seeded(100)
@given(st.text(alphabet="ab:-?[]{}&*!|>'\"%@`#,\n \t0x.<=~_\\", max_size=120))
def test_any_punctuation(text: str) -> None:
    outcome(text.encode())


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.dates() | st.binary(max_size=5)
)
KEYS = st.sampled_from(
    [
        "schema",
        "environment",
        "backend",
        "authorities",
        "profiles",
        "trust",
        "bundles",
        "root",
        "issuer",
        "subject",
        "san",
        "crl",
    ]
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=4)
)


@seeded(100)
@given(TREES)
def test_any_tree(tree: object) -> None:
    outcome(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))


def paths(value: object, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    below: list[tuple[str | int, ...]] = [here]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        below += paths(item, (*here, key))
    return below


@seeded(100, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_sound_file_with_anything_anywhere(data: st.DataObject) -> None:
    tree = yaml.safe_load(SOUND)
    path = data.draw(st.sampled_from([path for path in paths(tree) if path]))
    holder = tree
    for step in path[:-1]:
        holder = holder[step]
    action = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if action == "remove":
        del holder[path[-1]]
    elif action == "add" and isinstance(holder, dict):
        holder[data.draw(st.text(max_size=8))] = data.draw(TREES)
    else:
        holder[path[-1]] = data.draw(TREES)
    outcome(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))
