"""Scores that somebody else wrote: what is wrong with one is said with its file and line, and costs no other score."""

from __future__ import annotations

import re

import numpy as np
import pytest
import yaml

import moodbench
from moodbench.commands.import_ import import_features
from moodbench.errors import MoodbenchError, UsageError
from moodbench.scores.base import SCORES, load_scores
from moodbench.workspace import Workspace

HEAD = """from dataclasses import dataclass
import numpy as np
import torch
from moodbench.scores.base import SCORES, Score
from moodbench.scores.machinery.statistics import Mean, Statistic, UnitMean

"""
CLASS = """@SCORES.register("mine")
@dataclass
class Mine(Score):
    title = "Mine"
    family = "feature"
    paper = "2026"
    {attributes}
    def score(self, block):
        rows = block.features.mean(dim=1)
        return {returned}
"""
CLASS_LINE, SCORE_LINE = 9, 14
"""Lines of ``class`` and of ``def score`` in a file of both."""


@pytest.fixture(autouse=True)
def registry():
    before = SCORES.names()
    yield
    SCORES.keep(before)


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    folder = tmp_path_factory.mktemp("custom")
    datasets = ("train", "test", "far")
    catalog = {
        "datasets": {name: {"title": name} for name in datasets},
        "benchmarks": {"b": {"id_train": "train", "id_test": "test", "ood": {"far": ["far"]}}},
    }
    (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog), encoding="utf-8")
    space = Workspace(folder / "data", folder / "cache", folder / "results", (folder / "catalog.yaml",))
    for number, name in enumerate(datasets):
        features = np.random.default_rng(number).normal(size=(30, 4)).astype(np.float32) + (name == "far")
        np.savez(folder / f"{name}.npz", features=features)
        import_features("net", name, folder / f"{name}.npz", workspace=space)
    return space


def write(tmp_path, returned="rows", attributes="", code=CLASS):
    file = tmp_path / "mine.py"
    file.write_text(HEAD + code.replace("{returned}", returned).replace("{attributes}", attributes))
    return file


def run(space, tmp_path, **how):
    """Return AUROC and note of `mine`; the built-in score beside it has its number, whatever happens."""
    load_scores(write(tmp_path, **how))
    said: list[str] = []
    rows = moodbench.score(score=["mine", "euclid"], device="cpu", workspace=space, report=said.append)
    assert all(row.auroc is not None for row in rows if row.score == "euclid")
    (mine,) = {(row.auroc, row.note) for row in rows if row.score == "mine"}
    assert mine[0] is not None or any(f"left empty: mine ({mine[1]})" in line for line in said)
    return mine


@pytest.mark.parametrize(
    ("returned", "shown"),
    [
        ("rows.mean()", "a tensor of shape () and type float32"),
        ("rows.mean(0, keepdim=True)", "a tensor of shape (1,) and type float32"),
        ("rows[:, None]", "a tensor of shape (30, 1) and type float32"),
        ("rows[1:]", "a tensor of shape (29,) and type float32"),
        ("rows.to(torch.complex64)", "a tensor of shape (30,) and type complex64"),
        ("0.5", "a value of type float"),
        ("None", "a value of type NoneType"),
        ("rows.tolist()", "a value of type list"),
        ("np.float64(3)", "a value of type float64"),
        ("rows.numpy()[:, None]", "an array of shape (30, 1) and type float32"),
        ("rows.numpy().astype(str)", "an array of shape (30,) and type <U32"),
        ("rows.numpy().astype(object)", "an array of shape (30,) and type object"),
        ("np.ma.masked_less(rows.numpy(), 0)", "a masked array of shape (30,) and type float32"),
    ],
)
def test_what_is_not_one_number_a_row_is_an_error_and_no_auroc(space, tmp_path, returned, shown):
    auroc, note = run(space, tmp_path, returned=returned)
    assert auroc is None
    wanted = "for 30 rows; it must be (30,) real numbers, one a row"
    assert note == f"score() returned {shown} {wanted} (mine.py, line {SCORE_LINE})"


@pytest.mark.parametrize(
    "returned", ["rows.numpy()", "rows.numpy().astype(np.float16)", "rows.double()", "rows.numpy()[::-1][::-1]"]
)
def test_arrays_and_other_real_types_are_taken(space, tmp_path, returned):
    assert run(space, tmp_path, returned=returned)[0] == pytest.approx(run_plain(space), abs=2e-3)


def run_plain(space):
    x, y = (np.load(space.cache_dir.parent / f"{name}.npz")["features"].mean(axis=1) for name in ("test", "far"))
    return float(np.mean(x[:, None] > y[None]))


def test_whole_numbers_are_taken(space, tmp_path):
    assert run(space, tmp_path, returned="(rows > 0).numpy()")[0] is not None
    SCORES.keep([name for name in SCORES if name != "mine"])
    assert run(space, tmp_path, returned="(10 * rows).long()")[0] is not None


def test_no_number_at_all(space, tmp_path):
    assert run(space, tmp_path, returned="rows * float('nan')") == (
        None,
        f"not a number for 60 of 60 rows (mine.py, line {SCORE_LINE})",
    )


RAISES = CLASS.replace("return {returned}", "helper(rows)\n\n\ndef helper(rows):\n    {returned}\n")
FIT = CLASS + "\n    def fit(self, train):\n        {fit}\n"


@pytest.mark.parametrize(
    ("code", "note"),
    [
        (RAISES.replace("{returned}", "raise KeyError('no')"), "failed: KeyError: 'no' (mine.py, line 20)"),
        (RAISES.replace("{returned}", "raise SystemExit(3)"), "failed: SystemExit: 3 (mine.py, line 20)"),
        (RAISES.replace("{returned}", "torch.zeros(2) @ rows"), "(mine.py, line 20)"),
        (FIT.replace("{fit}", "raise ValueError('bad')"), "failed: ValueError: bad (mine.py, line 19)"),
        (FIT.replace("{fit}", "yield; 1 / 0"), "fit() asked for a value of type NoneType; it must yield statistics"),
        (
            FIT.replace("{fit}", "self.x_ = 1"),
            "fit() returned a value of type NoneType; it must yield, if only from ()",
        ),
        (
            FIT.replace("{fit}", "yield Mean('m', lambda block: 1 / 0)"),
            "failed: ZeroDivisionError: division by zero (mine.py, line 19)",
        ),
    ],
)
def test_an_error_inside_names_its_line_and_costs_no_other_score(space, tmp_path, code, note):
    auroc, said = run(space, tmp_path, code=code)
    assert auroc is None
    assert note in said
    assert re.search(r"\(mine\.py, line \d+\)$", said)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ("family = 'features'", "it has the family 'features'; use one of probability, logit, feature, feature+logit"),
        ("needs = {'logit'}", "it needs {'logit'}; use a set of 'logits', 'head', 'labels'"),
        ("needs = 'logits'", "it needs 'logits'; use a set of"),
        ("needs = ['logits']", "it needs ['logits']; use a set of"),
        ("year = '2026'", "it has a year that is not a whole number: '2026'"),
        ("cost = 'much'", "it has the cost 'much'; use one of products, memory bank"),
        ("title = 3", "it has a title that is not a line of text: 3"),
        ("title = ' '", "it has a title that is not a line of text: ' '"),
        ("title = 'a\\n'", "it has a title that is not a line of text: 'a\\n'"),
        ("seed: float = 0.5", "its parameter seed has the default 0.5; a seed is a whole number"),
        ("k: str = 'a;b'", "its parameter k has the default 'a;b'; results cannot hold ';' and '='"),
        ("control = 'no'", "control is 'no', not True or False"),
        ("note = 3", "it has a note that is not text: 3"),
        ("k: int", "its parameter k has no default; it must be a number, a text, True or False"),
        ("k: object = None", "its parameter k has the default None"),
        ("score = 3\n    def fit(self): pass", "its fit cannot be called as fit(train)"),
        ("def __post_init__(self): 1 / 0", "it cannot be made with its defaults: ZeroDivisionError"),
    ],
)
def test_a_class_that_cannot_be_a_score_is_refused_with_its_line(tmp_path, attributes, message):
    file = write(tmp_path, attributes=attributes)
    with pytest.raises(UsageError) as caught:
        load_scores(file)
    assert caught.value.file == file
    assert f"'Mine' in line {CLASS_LINE} cannot be the score 'mine': " in caught.value.what
    assert message in caught.value.what
    assert "mine" not in SCORES


@pytest.mark.parametrize("name", ["''", "5", "('t',)", r"'a\0b'", "'../x'", "'a b'", "'a/b'", "'é'", "'a' * 65"])
def test_a_name_that_files_and_tables_could_not_hold_is_refused(tmp_path, name):
    file = write(tmp_path, code=CLASS.replace('"mine"', name))
    before = SCORES.names()
    with pytest.raises(
        UsageError, match=r"'Mine' in line 9 cannot be the score .*a name consists of letters"
    ) as caught:
        load_scores(file)
    assert caught.value.file == file
    assert SCORES.names() == before


def test_a_name_that_is_taken_is_refused_with_its_line(tmp_path):
    with pytest.raises(UsageError, match=r"'Mine' in line 9 cannot be the score 'msp': there is a score of this name"):
        load_scores(write(tmp_path, code=CLASS.replace('"mine"', '"msp"')))


WRITES = """@SCORES.register("mine")
@dataclass
class Mine(Score):
    title = "Mine"
    family = "feature"
    paper = "1990"
    year = 1990

    def fit(self, train):
        _, mean = yield Mean("mine", lambda block: block.features.mul_(0).sum(dim=1)), UnitMean()
        mean.mul_(0)

    def score(self, block):
        rows = block.features.mean(dim=1)
        block.features.numpy()[:] = 0
        return rows
"""


def test_a_score_that_writes_into_its_rows_costs_no_other_score(space, tmp_path):
    names = ["norm_l2", "variance_norm", "conformance", "knn", "residual"]
    alone = moodbench.score(score=names, device="cpu", workspace=space)
    load_scores(write(tmp_path, code=WRITES))
    beside = moodbench.score(score=["mine", *names], device="cpu", workspace=space)
    assert {row.auroc for row in beside if row.score == "mine"} == {run_plain(space)}
    assert [row.auroc for row in alone] == [row.auroc for row in beside if row.score != "mine"]
    assert None not in [row.auroc for row in alone if row.score != "residual"]


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    with pytest.raises(UsageError, match=r"the family 3; .*it needs 4; .*a year that"):
        load_scores(write(tmp_path, attributes="family, needs, year = 3, 4, None"))


def test_a_class_registered_in_python_is_held_to_the_same():
    from moodbench.scores.base import Score

    with pytest.raises(UsageError, match=r"'Wrong' in line \d+ cannot be the score 'wrong': it has no title") as caught:

        @SCORES.register("wrong")
        class Wrong(Score):
            pass

    assert caught.value.file.name == "test_custom_scores.py"


def test_a_file_that_fails_says_in_which_line(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("x = 1\n\n1 / 0\n")
    with pytest.raises(UsageError, match=r"the file failed: ZeroDivisionError: division by zero \(line 3\)"):
        load_scores(file)


class Point:
    """An entry point of a package whose import fails."""

    name, dist = "other", None

    def load(self):
        raise ImportError("no module named 'gone'")


def test_a_package_whose_score_cannot_be_loaded(monkeypatch):
    from moodbench.registry import Registry

    monkeypatch.setattr("moodbench.registry.entry_points", lambda group: [Point()])
    with pytest.raises(MoodbenchError, match=r"the score 'other' of another package cannot be loaded: ImportError"):
        Registry("score", entry_point="x").names()


def test_own_random_scores_take_part_in_seeds(space, tmp_path):
    code = CLASS.replace("{attributes}", "seed: int = 3").replace("{returned}", "torch.sin(9 * self.seed * rows)")
    load_scores(write(tmp_path, code=code))
    rows = moodbench.score(
        score=["mine"], device="cpu", workspace=space, seeds=4, params={"mine": {"seed": "5"}}, report=lambda line: None
    )
    assert {(row.seeds, row.params) for row in rows} == {(4, "seed=5..8")}
    assert all(row.auroc_seed_sd > 0 for row in rows)
