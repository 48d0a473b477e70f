"""What notebooks show: results as tables, frames whose rows may be averaged, bars instead of lines."""

from __future__ import annotations

import copy
import pickle
import sys
from dataclasses import asdict, replace
from types import SimpleNamespace

import pandas
import pytest

import moodbench
from moodbench.commands.list_ import list_scores
from moodbench.comparison.changes import Changes
from moodbench.errors import UsageError
from moodbench.progress import Lines, bar, bars, has_bars, in_notebook
from moodbench.results import write_results
from moodbench.tables.notebooks import MOST_ROWS, Records
from moodbench.types import MEAN, Result
from moodbench.workspace import Workspace
from tests.results import row as result


def row(ood: str, *, model: str = "vit", group: str = "far", **values: object) -> Result:
    return replace(result(ood=ood, group=group, **values), model=model, benchmark="bench")


FAR, NEAR = {"a": 0.9, "b": 0.8, "c": 0.7}, {"d": 0.2}
"""OOD datasets of two groups, of which one is larger: a mean over all rows, means among them, would be another one."""


def rows_of(model: str) -> list[Result]:
    values = {**FAR, **NEAR}
    group_of = {**dict.fromkeys(FAR, "far"), **dict.fromkeys(NEAR, "near")}
    singles = [row(name, model=model, group=group_of[name], auroc=value) for name, value in values.items()]
    groups = {"all": values, "far": FAR, "near": NEAR}
    means = [row(MEAN, model=model, group=name, auroc=sum(of.values()) / len(of)) for name, of in groups.items()]
    return [*singles, *means]


@pytest.fixture
def space(tmp_path):
    for model in ("one", "two"):
        write_results(tmp_path / "bench" / f"{model}.csv", rows_of(model), {})
    return Workspace(results_dir=tmp_path)


def test_a_frame_has_datasets_and_a_pivot_of_it_the_mean_over_them(space):
    frame = moodbench.frame(workspace=space)
    assert set(frame["ood"]) == {*FAR, *NEAR}
    assert len(frame) == 2 * 4
    assert set(frame["model"]) == {"one", "two"}
    pivot = frame.pivot_table(index="score", columns="model", values="auroc")
    means = moodbench.frame(means=True, workspace=space)
    whole = means[means["group"] == "all"].pivot(index="score", columns="model", values="auroc")
    pandas.testing.assert_frame_equal(pivot, whole)
    by_group = frame.groupby(["model", "group"])["auroc"].mean()
    pandas.testing.assert_series_equal(
        by_group, means[means["group"] != "all"].set_index(["model", "group"])["auroc"].sort_index()
    )


def test_frames_of_datasets_and_of_means_are_all_results(space):
    both = [moodbench.frame(means=means, workspace=space) for means in (False, True)]
    assert [*both[0].columns] == [*both[1].columns] == [*asdict(row("a"))]
    assert {*both[1]["ood"]} == {MEAN}
    assert sum(map(len, both)) == 2 * len(rows_of("one"))


def test_a_frame_of_chosen_models_and_scores(space):
    whole = moodbench.frame(workspace=space)
    assert set(moodbench.frame(model="one", workspace=space)["model"]) == {"one"}
    name = whole["score"][0]
    pandas.testing.assert_frame_equal(
        moodbench.frame(score=[name], workspace=space), whole[whole["score"] == name].reset_index(drop=True)
    )
    with pytest.raises(UsageError, match="no score with results 'nobody'"):
        moodbench.frame(score="nobody", workspace=space)
    with pytest.raises(UsageError, match=r"a workspace is a moodbench\.Workspace, and 'ann' is none"):
        moodbench.frame(workspace="ann")


def test_columns_of_numbers_are_numbers_though_all_are_missing(space, tmp_path):
    """An object in the place of NaN is left out of means, or fails in them."""
    write_results(tmp_path / "other" / "bench" / "vit.csv", [row("a", auroc=None)], {})
    for means in (False, True):
        frame = moodbench.frame(means=means, workspace=Workspace(results_dir=tmp_path / "other"))
        assert len(frame) == (0 if means else 1)
        assert frame["auroc"].dtype == frame["oscr"].dtype == "float64"
        assert frame["seeds"].dtype == "Int64"
        assert frame["n_id"].dtype == "int64"
        assert frame["control"].dtype == "bool"


def test_records_are_a_list_and_show_as_a_table():
    rows = Records([row("a", model="<b>bold</b>", auroc=0.98765), row("b", auroc=None, note="why not")])
    assert rows == [*rows]
    for twin in (copy.copy(rows), copy.deepcopy(rows), pickle.loads(pickle.dumps(rows))):
        assert (twin, twin.columns) == (rows, rows.columns)
    page = rows._repr_html_()
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold" in page
    assert "0.9876" in page or "0.9877" in page
    assert "why not" in page
    assert "oscr" not in page, "a column in which nothing is"
    assert [*rows.to_frame()["ood"]] == ["a", "b"]
    assert "none" in Records()._repr_html_()


def test_long_lists_say_how_many_more_there_are():
    rows = Records([{"name": f"n{i}", "long": "x" * 500, "of": {"a": [1, 2]}} for i in range(MOST_ROWS + 5)])
    page = rows._repr_html_()
    assert page.count("<tr>") == MOST_ROWS + 1
    assert "5 more" in page
    assert "x" * 101 not in page
    assert "a: 1, 2" in page
    assert len(rows.to_frame()) == MOST_ROWS + 5


def test_columns_of_choice_are_shown():
    page = Records([row("a")], ("ood", "auroc"))._repr_html_()
    assert "<th" in page
    assert "n_id" not in page


def test_lists_of_what_there_is_show_as_tables():
    scores = list_scores("mahala")
    assert isinstance(scores, list)
    assert "Mahalanobis" in scores._repr_html_()


def test_comparisons_and_changes_show_as_tables(space, tmp_path):
    (tmp_path / "theirs.csv").write_text("benchmark,model,score,ood,auroc\nbench,one,msp,a,0.915\n", encoding="utf-8")
    made = moodbench.compare(tmp_path / "theirs.csv", workspace=space)
    assert made.tables
    assert "91.50" in made._repr_html_()
    assert "91.50" in made._repr_markdown_()
    assert "tabular" in made._repr_latex_()
    assert made.to_frame()["theirs"].max() == 0.915
    same = Changes("a", "b", 3, (), ())
    assert "Nothing differs" in same._repr_html_()
    assert len(same.to_frame()) == 0


@pytest.fixture
def kernel(monkeypatch):
    """The process as the kernel of a notebook, to those who ask IPython."""
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    return shell


def test_without_a_notebook_nothing_of_it_is_imported():
    assert not in_notebook()
    assert bars().__module__ == "tqdm.std"
    assert isinstance(bar("x", 3, shown=True), Lines)


def test_in_ipython_on_a_terminal_there_is_no_notebook(kernel):
    kernel.config = {"TerminalIPythonApp": {}}
    assert not in_notebook()


def test_in_a_notebook_bars_are_those_of_tqdm_auto(kernel, recwarn, capsys):
    from tqdm.auto import tqdm as auto

    assert in_notebook()
    assert has_bars()
    assert bars() is auto
    with bar("rows", 3, shown=True) as shown:
        shown.update(3)
    assert shown.n == 3
    assert not recwarn
    assert isinstance(bar("x", 3, shown=False), Lines)
