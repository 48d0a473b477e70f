"""The notebook of the documentation runs, and shows what is committed with it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "notebook.ipynb"
NOTEBOOK = nbformat.read(FILE, as_version=4)
MOST_BYTES = 200_000


def outputs(cell) -> list[dict]:
    """Return what a cell shows; remarks on stderr depend on what else is installed."""
    return [one for one in cell.get("outputs", []) if one.get("name") != "stderr"]


def kinds(cell) -> list[list[str]]:
    """Return of each output what it offers to a page."""
    of = ("text/html", "image/png", "text/plain")
    return [[kind for kind in of if kind in one.get("data", {})] or [one["output_type"]] for one in outputs(cell)]


def words(cell) -> str:
    """Return what is read in the outputs, without numbers, which may differ a little on other machines."""
    texts = []
    for one in outputs(cell):
        data = one.get("data", {})
        if "image/png" not in data:
            html = re.sub(r"<style.*?</style>", "", data.get("text/html", ""), flags=re.DOTALL)
            texts.append(re.sub(r"<[^>]*>", " ", html) or data.get("text/plain") or one.get("text", ""))
    return " ".join(re.sub(r"[-+\d.,%±–]+", " ", " ".join(texts)).split())


def test_it_is_small_and_gives_no_machine_away():
    text = FILE.read_text(encoding="utf-8")
    assert len(text) < MOST_BYTES
    assert NOTEBOOK.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    shown = "".join(str(outputs(cell)) for cell in NOTEBOOK.cells)
    assert not re.search(r"/(home|root|tmp|work|Users)/", re.sub(r"'image/png': '[^']*'", "", shown))
    assert all(cell.metadata == {} for cell in NOTEBOOK.cells)


def test_it_runs_and_shows_what_is_committed(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    fresh = nbformat.read(FILE, as_version=4)
    (tmp_path / "there").mkdir()
    where = {"metadata": {"path": str(tmp_path / "there")}}
    NotebookClient(fresh, timeout=900, kernel_name="python3", resources=where).execute()
    assert not [*(tmp_path / "there").iterdir()], "it leaves nothing where Jupyter was started"
    for before, after in zip(NOTEBOOK.cells, fresh.cells, strict=True):
        assert kinds(after) == kinds(before), before.source
        assert words(after) == words(before), before.source


@pytest.mark.parametrize("name", ["table", "rank", "frame", "plot", "extract", "score"])
def test_it_shows_the_way_from_images_to_pictures(name):
    assert any(f"moodbench.{name}(" in cell.source for cell in NOTEBOOK.cells)
