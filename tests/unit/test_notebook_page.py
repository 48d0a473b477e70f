"""The notebook of the documentation runs, and shows what is committed with it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from textwrap import dedent

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

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
    assert not re.search(r"/(home|root|tmp|Users)/", re.sub(r"'image/png': '[^']*'", "", shown))
    assert all(cell.metadata == {} for cell in NOTEBOOK.cells)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A function that runs a notebook in an empty folder, which it returns."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    (tmp_path / "there").mkdir()

    def execute(notebook):
        where = {"metadata": {"path": str(tmp_path / "there")}}
        NotebookClient(notebook, timeout=900, kernel_name="python3", resources=where).execute()
        return tmp_path / "there"

    return execute


def test_a_kernel_is_known_as_one_and_shows_bars(run):
    """By what IPython says of itself in a real one."""
    code = """
        from moodbench.progress import bar, in_notebook
        print(in_notebook())
        with bar("rows", 8, shown=True) as done:
            done.update(8)
    """
    notebook = new_notebook(cells=[new_code_cell(dedent(code))])
    run(notebook)
    shown = notebook.cells[0].outputs
    assert "True" in "".join(one["text"] for one in shown if one.get("name") == "stdout")
    bars = "".join(one.get("text", "") + str(one.get("data", "")) for one in shown)
    assert "rows: 100%" in bars or "application/vnd.jupyter.widget-view+json" in bars, bars


def test_it_runs_and_shows_what_is_committed(run):
    fresh = nbformat.read(FILE, as_version=4)
    there = run(fresh)
    assert not [*there.iterdir()], "it leaves nothing where Jupyter was started"
    for before, after in zip(NOTEBOOK.cells, fresh.cells, strict=True):
        assert kinds(after) == kinds(before), before.source
        assert words(after) == words(before), before.source


@pytest.mark.parametrize("name", ["table", "rank", "frame", "plot", "extract", "score"])
def test_it_shows_the_way_from_images_to_pictures(name):
    assert any(f"moodbench.{name}(" in cell.source for cell in NOTEBOOK.cells)
