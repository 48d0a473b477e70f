"""Pages that are made from the program are fresh, and links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("build", ROOT / "docs" / "build.py")
build = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(build)


@pytest.mark.parametrize("name", build.PAGES)
def test_pages_are_what_make_docs_would_write(name):
    if name == "cli.md" and f"typer=={version('typer')}\n" not in (ROOT / "constraints.txt").read_text(
        encoding="utf-8"
    ):
        pytest.skip("the page is what the pinned typer prints")
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == build.PAGES[name](), "run make docs"


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))])
def test_links_lead_to_files(page):
    file = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", file.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (file.parent / target).exists(), target


def test_every_dependency_has_a_reason():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    reasons = (ROOT / "docs" / "dependencies.md").read_text()
    for requirement in project["dependencies"]:
        name = re.split(r"[<>=\[;]", requirement)[0]
        assert re.search(rf"\b{re.escape(name)}\b", reasons), name


def test_every_command_of_the_table_in_the_readme_has_a_page():
    words = {" ".join(("moodbench", *command)) for command in build.commands()}
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Commands")[2].partition("The same from")[0]
    named = re.findall(r"^\| `(moodbench [a-z-]+)(?: ([a-z\\|]+)`)?", table, re.MULTILINE)
    assert len(named) > 15
    for command, inner in named:
        assert command in words
        for one in filter(str.isalpha, inner.split("\\|") if "\\|" in inner else ()):
            assert f"{command} {one}" in words


def test_every_format_is_in_the_help():
    from moodbench.tables.formats.base import FORMATS

    page = (ROOT / "docs" / "cli.md").read_text()
    table = page[page.index("## `moodbench table`") :]
    assert all(name in table for name in FORMATS)
