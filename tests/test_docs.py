"""Text that can drift does not: generated pages, commands in the guides, links, the version."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).parents[1]
PAGES = sorted([REPOSITORY / "README.md", REPOSITORY / "SECURITY.md", *(REPOSITORY / "docs").rglob("*.md")])


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", REPOSITORY / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_current() -> None:
    for path, text in generator().pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path} is old: run make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    known = {" ".join(path) for path in generator().command_paths()}
    text = page.read_text(encoding="utf-8")
    nouns = "|".join({name.split()[0] for name in known})
    used = set(re.findall(rf"pkiops ((?:{nouns}) [a-z]+(?:-[a-z]+)*)\b(?![|])", text))
    assert used <= known, f"{page.name} names commands that do not exist: {sorted(used - known)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_command_is_in_a_guide_or_the_readme() -> None:
    told = "\n".join(page.read_text(encoding="utf-8") for page in PAGES if page.name != "commands.md")
    missing = [" ".join(path) for path in generator().command_paths() if f"{path[0]} {path[1]}" not in told]
    # the README groups some as `env init|validate`
    assert not [one for one in missing if not re.search(rf"{one.split()[0]} [a-z|]*{one.split()[1]}", told)]


def test_the_version_is_read_from_the_package() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "pkiops/__init__.py"


def test_the_readme_begins_with_the_two_commands() -> None:
    head = (REPOSITORY / "README.md").read_text(encoding="utf-8").split("## ")[0]
    assert "make demo" in head
    assert "make test" in head
