"""Ranges of pyproject.toml, and the files that pin both ends of them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests import matrix

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = [lines for name, lines in PROJECT["optional-dependencies"].items() if name not in ("test", "dev")]
REQUIREMENTS = [Requirement(line) for lines in (PROJECT["dependencies"], *EXTRAS) for line in lines]


def pinned(file: str) -> dict[str, Version]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pairs = [line.partition("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version.strip()) for name, _, version in pairs}


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.name)
def test_the_lowest_versions_are_those_of_the_ranges(requirement):
    (bound,) = requirement.specifier
    assert bound.operator == ">="
    assert pinned("constraints-lowest.txt")[canonicalize_name(requirement.name)] == Version(bound.version)
    assert requirement.specifier.contains(pinned("constraints.txt")[canonicalize_name(requirement.name)])


def test_the_matrix_is_every_pair_once_and_what_the_machine_does_by_itself():
    ten = matrix.settings(10, seed=0)
    assert len({setting.seed for setting in ten}) == 10
    assert [(s.capability, s.threads) for s in ten][-1] == (None, None)
    assert {(s.capability, s.threads) for s in ten[:9]} == {
        (c, t) for c in ("default", "avx2", None) for t in (1, 2, 4)
    }
    assert ten[-1].variables == {}
    assert ten[0].variables["ATEN_CPU_CAPABILITY"] == "default"
    assert matrix.settings(10, seed=0) == ten
