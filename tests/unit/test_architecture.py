"""Imports point one way, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import moodbench

ROOT = Path(moodbench.__file__).parent
REPOSITORY = ROOT.parent
LINES = 400
"""Of a Python file, at most."""

LAYERS = [
    {"arguments", "atomic", "choices", "digests", "errors", "interrupts", "intervals", "leaving", "lock", "names"}
    | {
        "average_ranks",
        "before_torch",
        "paired",
        "params",
        "prefixes",
        "processes",
        "progress",
        "ranking",
        "ray_tokens",
        "reading",
        "registry",
        "release",
        "resampling",
        "score_arrays",
        "selective",
        "shard_names",
        "sheets",
        "sizes",
        "types",
        "views",
    },
    {"catalog", "classes", "cluster", "devices", "logistic", "metrics", "pickles", "transfer"},
    {"workspace", "results", "pools"},
    {"datasets", "models", "scores", "tables"},
    {"plots", "comparison", "features", "pretraining", "inspection", "sharing"},
    {"evaluation", "probing", "obtain", "texts", "diagnosis"},
    {"standings", "detection", "reporting", "studies"},
    {"detectors"},
    {"commands"},
    {"cli"},
    {"__main__", "__init__"},
]
"""From the ground up. A module imports from its own layer's other names only where `SIBLINGS` says so."""

SIBLINGS = {
    ("atomic", "errors"),
    ("arguments", "errors"),
    ("choices", "errors"),
    ("registry", "errors"),
    ("reading", "errors"),
    ("names", "errors"),
    ("names", "types"),
    ("prefixes", "names"),
    ("progress", "sizes"),
    ("ray_tokens", "errors"),
    ("views", "errors"),
    ("interrupts", "leaving"),
    ("ranking", "intervals"),
    ("selective", "ranking"),
    ("paired", "intervals"),
    ("paired", "ranking"),
    ("resampling", "intervals"),
    ("resampling", "paired"),
    ("resampling", "ranking"),
    ("average_ranks", "ranking"),
}
STRANGERS = [("scores", "datasets"), ("scores", "models"), ("scores", "features"), ("datasets", "models")]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def part(module: str) -> str:
    """moodbench.scores.base → scores."""
    pieces = module.split(".")
    return pieces[1] if len(pieces) > 1 else "__init__"


def imports():
    for file in sorted(ROOT.rglob("*.py")):
        here = file.relative_to(ROOT).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("moodbench"):
                yield here, part(node.module), file
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name.startswith("moodbench"):
                        yield here, part(alias.name), file


def test_every_module_has_a_layer():
    modules = {p.name.removesuffix(".py") for p in ROOT.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert modules == set(LEVEL)


def test_imports_point_down():
    wrong = [
        f"{file.relative_to(ROOT)} imports moodbench.{there}"
        for here, there, file in imports()
        if here != there and here != "__init__" and LEVEL[there] >= LEVEL[here] and (here, there) not in SIBLINGS
    ]
    assert not wrong


def test_no_module_imports_itself_by_way_of_others():
    """Inside the packages too, and where an import waits inside a function."""
    modules = {}
    for file in ROOT.rglob("*.py"):
        modules[".".join(("moodbench", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")] = file
    needs = {}
    for name, file in modules.items():
        found = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module in modules:
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= {one if one in modules else node.module for one in inner}
        needs[name] = found - {name}
    assert sum(map(len, needs.values())) > len(modules)
    graphlib.TopologicalSorter(needs).prepare()  # raises a `CycleError` that names the modules


def test_datasets_models_and_scores_do_not_know_one_another():
    pairs = {(here, there) for here, there, _ in imports()}
    assert not pairs & {*STRANGERS, *((b, a) for a, b in STRANGERS if b != "features")}


def loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(' '.join(m for m in sys.modules if '.' not in m))"
    out = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(out.stdout.split())


HEAVY = {
    "torch",
    "timm",
    "pandas",
    "sklearn",
    "scipy",
    "h5py",
    "matplotlib",
    "skimage",
    "torchvision",
    "numpy",
    "jinja2",
    "open_clip",
    "ray",
}


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import moodbench", set()),
        ("import moodbench.cli", set()),
        ("import moodbench.cli, moodbench.workspace; moodbench.workspace.Workspace().catalog", set()),
        ("import moodbench.commands.table, moodbench.results", {"numpy"}),
        ("import moodbench.commands.extract", {"numpy"}),
        ("import moodbench.metrics", {"numpy"}),
    ],
)
def test_nothing_heavy_is_imported_too_early(code, allowed):
    assert loaded_by(code) & HEAVY <= allowed


def test_public_names_and_exports_agree():
    assert set(moodbench.__all__) == set(moodbench._HOME)
    for name in moodbench.__all__:
        assert getattr(moodbench, name).__module__ == moodbench._HOME[name] or name in ("SCORES",)
    with pytest.raises(AttributeError):
        _ = moodbench.no_such_thing


def test_no_file_refers_to_this_machine():
    for file in ROOT.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert "/home/" not in text, file


def python_files(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (REPOSITORY / folder).rglob("*.py"))


def test_no_python_file_is_too_long_to_be_read_at_once():
    files = python_files("moodbench", "tests", "benchmarks", "docs")
    lines = {str(file.relative_to(REPOSITORY)): len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert {name: count for name, count in lines.items() if count > LINES} == {}


def test_no_test_file_imports_from_another():
    """What several share lies in a module beside them, or is a fixture of a ``conftest.py``."""
    files = {".".join(file.relative_to(REPOSITORY).with_suffix("").parts): file for file in python_files("tests")}
    for file in python_files("tests", "benchmarks", "docs"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                named = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            else:
                continue
            wrong = [name for name in named if name in files and files[name].name.startswith("test_")]
            assert not wrong, f"{file.relative_to(REPOSITORY)} imports from {wrong[0]}"
