"""Every code block of docs/ is run as it stands, or at least read; tests/blocks.py says which and how."""

from __future__ import annotations

import ast
import importlib
import inspect
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml
from PIL import Image

from moodbench.catalog import load_catalog
from tests.blocks import DOCS, LANGUAGES, PAGES, ROOT, RUN, blocks, environment, once

SHOWN = [block for page in PAGES for block in blocks(page)]
PAGES_RUN = [page for page in DOCS if blocks(page, *RUN)]

SAID = {
    "tutorial.md": ("ID accuracy", "extracted efficientnet_lite0 on strange: 40 images", "not significantly worse"),
    "detectors.md": ("ViM is better by", "FPR95 0."),
    "detect.md": ("by 362 ID test images of digits",),
    "gallery.md": ("wrote grid.png", "wrote depth.png"),
}
"""What must be printed when a page is run."""

FROM_NOTHING = {"tutorial.md", "detectors.md"}
"""Pages for readers who have nothing yet."""


def test_every_block_is_of_a_known_kind():
    assert [str(block) for block in SHOWN if block.language not in LANGUAGES] == []
    assert {page.name for page in PAGES_RUN} >= SAID.keys()


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """What `moodbench demo` leaves behind, made once for all test processes."""

    def make(folder):
        folder.mkdir()
        done = subprocess.run(
            ["moodbench", "demo", "--out", str(folder), "--quiet"],
            env=environment(folder.parent / "home"),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    return once(tmp_path_factory, "demo", make)


@pytest.fixture
def reader(tmp_path, demo, page):
    """A folder with the demo's caches and results, a few pictures, and the catalogue that docs/protocols.md shows."""
    work = tmp_path / "work"
    work.mkdir()
    if page.name in FROM_NOTHING:
        return work
    for name in ("cache", "results"):
        shutil.copytree(demo / name, work / name)
    (work / "inbox").mkdir()
    rng = np.random.default_rng(0)
    for file in ("photo.jpg", *(f"inbox/{i}.png" for i in range(6))):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(work / file)
    scope, *_ = blocks(ROOT / "docs" / "protocols.md", "yaml")
    (work / "scope.yaml").write_text(scope.text, encoding="utf-8")
    return work


@pytest.mark.parametrize("page", PAGES_RUN, ids=lambda page: page.name)
def test_what_a_page_shows_runs(page, reader):
    done = subprocess.run(
        [sys.executable, "-m", "tests.blocks", str(page)],
        cwd=reader,
        env=environment(reader.parent),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "Traceback" not in done.stderr
    for words in SAID.get(page.name, ()):
        assert words in done.stdout + done.stderr


@pytest.mark.parametrize("block", [block for block in SHOWN if block.language == "yaml"], ids=str)
def test_yaml_is_a_catalogue_or_plain(block, tmp_path):
    content = yaml.safe_load(block.text)
    if content.keys() <= {"datasets", "models", "benchmarks"}:
        file = tmp_path / "catalog.yaml"
        file.write_text(block.text, encoding="utf-8")
        loaded = load_catalog((file,))
        assert content.get("models", {}).keys() <= loaded.models.keys()
        assert content.get("datasets", {}).keys() <= loaded.datasets.keys()


@pytest.mark.parametrize("block", [block for block in SHOWN if block.language == "py"], ids=str)
def test_python_that_is_not_run_calls_what_there_is(block):
    tree = ast.parse(block.text)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _path(node.func)[0] == "moodbench"]
    for call in calls:
        target = importlib.import_module("moodbench")
        for name in _path(call.func)[1:]:
            target = getattr(target, name)
        inspect.signature(target).bind(*call.args, **{str(word.arg): word.value for word in call.keywords})


def _path(node):
    """Return the names of ``a.b.c``."""
    if isinstance(node, ast.Attribute):
        return [*_path(node.value), node.attr]
    return [node.id] if isinstance(node, ast.Name) else [""]
