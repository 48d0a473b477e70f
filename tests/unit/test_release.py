"""One version, and one name on package indexes."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import yaml

import moodbench
from moodbench.release import DISTRIBUTION, __version__, versions, with_extra

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]


def test_the_version_stands_in_one_place():
    assert moodbench.__version__ == __version__
    assert "version" not in PROJECT
    assert PROJECT["dynamic"] == ["version"]
    assert PYPROJECT["tool"]["hatch"]["version"] == {"path": "moodbench/release.py"}
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__


def test_the_distribution_is_named_once_more_in_the_program():
    assert PROJECT["name"] == DISTRIBUTION
    assert set(PROJECT["scripts"]) == {"moodbench"}
    assert with_extra("clip") == "pip install 'moodbench-ood[clip]'"
    assert with_extra("clip", upgrade=True) == "pip install -U 'moodbench-ood[clip]'"


def test_versions_are_those_of_the_packages_and_of_this_code():
    assert versions("numpy", "moodbench") == {"numpy": version("numpy"), "moodbench": __version__}
    assert list(versions("torch", "moodbench", "numpy")) == ["torch", "moodbench", "numpy"]


def test_nothing_asks_the_package_index_name_for_the_version():
    """`importlib.metadata.version("moodbench")` is of another distribution, or of none."""
    asking = [
        file.relative_to(ROOT).as_posix()
        for file in sorted((ROOT / "moodbench").rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and (getattr(node.func, "attr", None) or getattr(node.func, "id", None)) in ("version", "distribution")
        and [a for a in node.args if isinstance(a, ast.Constant) and a.value in ("moodbench", DISTRIBUTION)]
    ]
    assert not asking


def test_extras_are_named_as_they_are_installed():
    """In messages, in the documentation and among themselves."""
    files = [ROOT / name for name in ("README.md", "CHANGELOG.md", "pyproject.toml")]
    files += [*(ROOT / "docs").glob("*.md"), *(ROOT / "moodbench").rglob("*.py")]
    for file in files:
        text = file.read_text(encoding="utf-8")
        wrong = re.findall(r"\bmoodbench\[[a-z{]", text)
        assert not wrong, file
        for names in re.findall(r"moodbench-ood\[([a-z0-9,]+)\]", text):
            assert set(names.split(",")) <= set(EXTRAS), (file, names)


def test_every_extra_for_users_is_in_the_instructions():
    shown = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    assert {*re.findall(r"\| `moodbench-ood\[([a-z0-9]+)\]` \|", shown)} == {*EXTRAS} - {"test", "dev"}


def test_no_address_is_given_that_is_not_there():
    """An address of the repository is added here when there is one: of the project, its issues and its changes."""
    assert PROJECT["urls"] == {"Paper": "https://arxiv.org/abs/2401.02611"}
