"""What `moodbench.table` returns: a text, a table in a notebook, and a frame in pandas."""

from __future__ import annotations

import copy
import pickle

import pytest

import moodbench
from moodbench.errors import UsageError
from moodbench.results import write_results
from moodbench.tables.formats.base import FORMATS
from moodbench.workspace import Workspace
from tests.tables import SMALL, result


@pytest.fixture
def space(tmp_path):
    for model in ("beit", "vit"):
        write_results(tmp_path / "imagenet" / f"{model}.csv", [row for row in SMALL if row.model == model], {})
    return Workspace(results_dir=tmp_path)


def test_it_is_a_text_wherever_one_is_wanted(space, tmp_path):
    for name in ("markdown", "plain", "csv", "json", "latex", "html"):
        shown = moodbench.table(format=name, workspace=space)
        assert isinstance(shown, str)
        assert (
            shown
            == str(shown)
            == f"{shown}"
            == FORMATS.get(name)(
                list(shown.tables) if name in ("csv", "json") else [table.for_people() for table in shown.tables]
            )
        )
        (tmp_path / "t").write_text(shown, encoding="utf-8")
        assert (tmp_path / "t").read_text(encoding="utf-8") == shown
        assert repr(shown) == shown.rstrip("\n")
        for twin in (copy.deepcopy(shown), pickle.loads(pickle.dumps(shown))):
            assert (twin, twin.tables) == (shown, shown.tables)


def test_notebooks_show_tables_whatever_the_format(space):
    shown = moodbench.table(format="csv", workspace=space)
    page = shown._repr_html_()
    assert page.startswith('<div class="moodbench"><style>')
    assert "<html" not in page
    assert "<strong>98.50</strong>" in page
    # a rule of ours that names no element of ours would change the whole notebook
    rules = page.split("<style>")[1].split("</style>")[0]
    selectors = [part.split("}")[-1].strip() for part in rules.split("{")[:-1]]
    assert selectors
    assert all(one.startswith(".moodbench ") or one == ".moodbench" for one in selectors)
    assert shown._repr_markdown_() == moodbench.table(workspace=space)
    assert shown._repr_latex_() == moodbench.table(format="latex", workspace=space)


def test_names_are_escaped_in_notebooks(tmp_path):
    row = result("x", "msp", 0.5, pretext="<script>alert(1)</script>")
    write_results(tmp_path / "imagenet" / "x.csv", [row], {})
    page = moodbench.table(workspace=Workspace(results_dir=tmp_path))._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_frame_has_what_the_table_shows(space):
    frame = moodbench.table(workspace=space).to_frame()
    assert frame.index.names == ["family", "score"]
    assert list(frame.index) == [("probability", "msp"), ("feature", "knn")]
    assert {column[0] for column in frame.columns} == {"classification", "masked image modeling"}
    assert frame.loc[("probability", "msp")].tolist() == [0.5, 0.875, 0.985, 0.1]
    assert frame.isna().sum().sum() == 2
    several = moodbench.table(layout="all", workspace=space)
    with pytest.raises(UsageError, match="these are 2 tables"):
        several.to_frame()
    with pytest.raises(UsageError, match="no table number 2"):
        several.to_frame(2)
    assert several.to_frame(0).equals(frame)
    assert several.to_frame(1).shape == (4, 2)
