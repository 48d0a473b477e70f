"""`moodbench probe` as people meet it, and its heads in `score` and `table`."""

from __future__ import annotations

import csv
import html
import io
import json
import re

import numpy as np
import pytest
import yaml

import moodbench
from moodbench.features.create import Layout, create_cache
from moodbench.features.heads import head_provenance, read_head, store_head
from moodbench.logistic import Settings
from moodbench.results import read_results
from moodbench.types import Head
from moodbench.workspace import Workspace
from tests.commands import call
from tests.worlds import make_world

MODELS = ("alpha", "beta")

BY_NUMBER = "note: the classes of train, test have no names: their labels are compared by number"
"""As `score` says it."""


def probe(*args):
    return call("probe", *args, "--device", "cpu")


def put(model, dataset, features, labels=None):
    np.savez("rows.npz", features=features, **({} if labels is None else {"labels": labels}))
    result = call("import", "--model", model, "--dataset", dataset, "rows.npz", "--pretext", "hybrid")
    assert result.exit_code == 0, result.stderr


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Two models without a head on a benchmark whose classes are known, and a second benchmark without caches."""
    monkeypatch.chdir(tmp_path)
    names = ("train", "test", "ood", "val", "other")
    benchmarks = {
        "ours": {"id_train": "train", "id_test": "test", "ood": {"far": ["ood"]}},
        "with_val": {"id_train": "train", "id_val": "val", "id_test": "test", "ood": {"far": ["ood"]}},
        "theirs": {"id_train": "other", "id_test": "test", "ood": {"far": ["ood"]}},
        "single": {"id_train": "train", "id_test": "test", "ood": {"o": ["test"]}, "classes": {"ant": 0, "bee": 1}},
        "some": {"id_train": "train", "id_test": "test", "ood": {"far": ["ood"]}, "classes": [0, 1]},
    }
    write(tmp_path, {"datasets": {name: {"title": name} for name in names}, "benchmarks": benchmarks})
    monkeypatch.setenv("MOODBENCH_CATALOG", "catalog.yaml")
    for seed, model in enumerate(MODELS):
        world = make_world(seed, classes=4, dim=10, rows=300)
        put(model, "train", world.train, world.labels)
        put(model, "test", world.train[::2] + 0.1, world.labels[::2])
        put(model, "ood", world.tests["ood"])
    return tmp_path


def write(folder, content):
    (folder / "catalog.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def heads(folder):
    return sorted(str(f.relative_to(folder / "cache")) for f in folder.glob("cache/*/heads/*"))


def test_the_fair_grid(home):
    result = probe("--all-models", "--benchmark", "ours")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    line = (
        r"probed \w+ on train: 4 classes, lam \S+, ID accuracy \d+\.\d\d % held out, \d+\.\d\d % test, "
        r"\d+ iterations, \d+ passes, \d+\.\d s(; .*)?"
    )
    *lines, note = result.stderr.splitlines()
    assert all(re.fullmatch(line, text) for text in lines), result.stderr
    assert note == BY_NUMBER
    assert heads(home) == [f"{model}/heads/probe.h5" for model in MODELS]
    result = call("score", "--head", "probe", "--benchmark", "ours", "--score", "msp", "--score", "energy")
    assert result.exit_code == 0, result.stderr
    scored = re.findall(r"scored (\S+) on ours: 2 scores, ID accuracy (\S+) %", result.stderr)
    assert [name for name, _ in scored] == [f"{model}+probe" for model in MODELS]
    assert all(float(accuracy) > 90 for _, accuracy in scored)
    with (home / "results" / "ours" / "alpha+probe.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["model"], row["pretext"]) for row in rows} == {("alpha+probe", "hybrid")}
    assert all(row["auroc"] for row in rows)
    table = list(csv.DictReader(io.StringIO(call("table", "--format", "csv").stdout)))
    assert {row["model"] for row in table} == {f"{model}+probe" for model in MODELS}


def test_a_table_of_one_kind_of_head(home):
    probe("--all-models", "--benchmark", "ours")
    call("score", "--benchmark", "ours", "--score", "energy")
    call("score", "--head", "probe", "--benchmark", "ours", "--score", "energy")

    def columns(*options):
        rows = csv.DictReader(io.StringIO(call("table", "--format", "csv", *options).stdout))
        return {row["model"] for row in rows}

    assert columns("--head", "probe") == {f"{model}+probe" for model in MODELS}
    assert not any("+" in model for model in columns("--head", "own"))
    assert columns("--head", "probe") < columns()
    result = call("table", "--head", "other")
    assert result.exit_code == 1
    assert "moodbench score --head other --benchmark ours" in result.stderr
    assert call("plot", "grid", "--head", "probe", "--out", "g.png").exit_code == 0


def test_a_head_that_did_not_converge_says_so_wherever_its_numbers_are_shown(home):
    few, space = Settings(iterations=1), Workspace(catalogs=(home / "catalog.yaml",))
    (one,) = moodbench.probe(["alpha"], benchmark="ours", device="cpu", settings=few, workspace=space)
    assert not one.converged
    assert probe("--model", "beta", "--benchmark", "ours").exit_code == 0
    scored = call("score", "--head", "probe", "--benchmark", "ours", "--score", "energy", "--score", "knn")
    assert scored.exit_code == 0, scored.stderr
    said = "the head 'probe' did not converge"
    rows = {(row.model, row.score): row.remarks for row in read_results(home / "results" / "ours" / "alpha+probe.csv")}
    assert rows == {("alpha+probe", "energy"): (said,), ("alpha+probe", "knn"): ()}  # which reads no head
    shown = call("table", "--benchmark", "ours", "--format", "markdown").stdout
    assert f"- {said}: every score on logits of alpha +probe\n" in shown
    assert call("report", "--benchmark", "ours").exit_code == 0
    page = html.unescape((home / "report.html").read_text(encoding="utf-8"))
    assert f"<li>{said}: every score on logits of alpha +probe</li>" in page


def test_what_is_there_is_skipped_and_what_it_was_made_from_is_kept(home):
    assert probe("--model", "alpha", "--benchmark", "ours").exit_code == 0
    file = home / "cache" / "alpha" / "heads" / "probe.h5"
    before = file.read_bytes(), file.stat().st_mtime_ns
    result = probe("--model", "alpha", "--benchmark", "ours")
    assert result.exit_code == 0
    line = r"skip alpha: the head 'probe' on train is there \(4 classes, lam .*\)\n"
    assert re.fullmatch(line + BY_NUMBER + "\n", result.stderr)
    assert probe("--model", "alpha", "--benchmark", "ours", "--force").stderr.startswith("skip alpha")
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before
    said = head_provenance(file)
    assert said["inputs"]["id_train"] == "train"
    assert said["inputs"]["held_out"] == {"every": 10}
    assert len(said["inputs"]["features"]) == 64
    assert said["fit"]["classes"] == read_head(file).classes == 4
    assert said["fit"]["converged"] is True
    file.unlink()
    assert probe("--model", "alpha", "--benchmark", "ours").exit_code == 0
    assert file.read_bytes() == before[0]


def test_another_head_is_refused_unless_forced(home):
    assert probe("--model", "alpha", "--benchmark", "ours").exit_code == 0
    file = home / "cache" / "alpha" / "heads" / "probe.h5"
    before = file.read_bytes()
    world = make_world(0, classes=4, dim=10, rows=300)
    call("cache", "remove", "--model", "alpha", "--dataset", "train", "--yes")
    put("alpha", "train", world.train * 2, world.labels)
    put("alpha", "other", world.train, world.labels)
    put("alpha", "val", world.train[:50], world.labels[:50])
    result = call("score", "--head", "probe", "--benchmark", "ours", "--score", "msp")
    assert result.exit_code == 1
    assert "the head 'probe' was trained on other features of train than are cached now" in result.stderr
    for benchmark, reason in (
        ("ours", "made from other features"),
        ("with_val", "made from other features, other held-out rows"),
        ("theirs", r"made from another ID train dataset \('train'\)"),
        ("some", "made from other classes, other features"),
    ):
        result = probe("--model", "alpha", "--benchmark", benchmark)
        assert result.exit_code == 1
        assert re.search(f"the model 'alpha' has another head 'probe', {reason}\n", result.stderr), result.stderr
        assert "--force" in result.stderr
        assert file.read_bytes() == before
    assert probe("--model", "alpha", "--benchmark", "ours", "--name", "second").exit_code == 0
    assert heads(home) == ["alpha/heads/probe.h5", "alpha/heads/second.h5"]
    assert probe("--model", "alpha", "--benchmark", "with_val", "--force").exit_code == 0
    said = head_provenance(file)
    assert said["fit"]["held_out_rows"] == 50
    assert said["fit"]["rows"] == 300
    assert probe("--model", "alpha", "--benchmark", "some", "--force").exit_code == 0
    assert read_head(file).classes == 2


def test_a_head_of_somebody_else_is_not_replaced(home):
    file = home / "cache" / "alpha" / "heads" / "probe.h5"
    store_head(file, Head(np.ones((2, 10), np.float32), np.zeros(2, np.float32)))
    result = probe("--model", "alpha", "--benchmark", "ours")
    assert (result.exit_code, "nothing says what it was made from" in result.stderr) == (1, True)
    assert read_head(file).classes == 2
    assert probe("--model", "alpha", "--benchmark", "ours", "--force").exit_code == 0
    assert read_head(file).classes == 4


def test_the_benchmark_may_be_left_out_where_it_is_clear(home):
    """'ours', 'some' and 'single' share rows; 'single' has nothing to tell apart."""
    content = yaml.safe_load((home / "catalog.yaml").read_text())
    del content["benchmarks"]["some"]
    write(home, content)
    result = probe("--model", "alpha")
    assert result.exit_code == 0, result.stderr
    world = make_world(0, classes=4, dim=10, rows=300)
    put("alpha", "other", world.train, world.labels)
    result = probe("--model", "alpha")
    assert result.exit_code == 2
    assert "several benchmarks could be meant" in result.stderr
    assert "ours; theirs" in result.stderr


def test_a_model_that_lacks_something_does_not_stop_the_others(home):
    world = make_world(3, classes=4, dim=10, rows=300)
    put("aaa", "train", world.train)
    put("bbb", "ood", world.tests["ood"])
    result = probe("--all-models", "--benchmark", "ours")
    assert result.exit_code == 1
    assert "skip bbb: no cache of train" in result.stderr
    assert "cannot probe aaa: no row of ID train has a label" in result.stderr
    assert result.stderr.count("error:") == 1
    assert heads(home) == [f"{model}/heads/probe.h5" for model in MODELS]


def test_ctrl_c_keeps_what_is_done(home, monkeypatch):
    from moodbench.probing import train

    whole, seen = train.train_head, []

    def interrupted(*args, **how):
        if seen:
            raise KeyboardInterrupt
        seen.append(1)
        return whole(*args, **how)

    monkeypatch.setattr(train, "train_head", interrupted)
    result = probe("--all-models", "--benchmark", "ours")
    assert result.exit_code == 130
    assert heads(home) == ["alpha/heads/probe.h5"]
    monkeypatch.undo()
    monkeypatch.chdir(home)
    result = probe("--all-models", "--benchmark", "ours", "--catalog", "catalog.yaml")
    *lines, note = result.stderr.splitlines()
    assert [line.split()[:2] for line in lines] == [["skip", "alpha:"], ["probed", "beta"]]
    assert note == BY_NUMBER


def test_an_incomplete_cache(home):
    layout = Layout([str(i) for i in range(30)], np.zeros(30, np.int64), 10, None)
    create_cache(home / "cache" / "half" / "train.h5", "half", "train", layout, {})
    result = probe("--model", "half", "--benchmark", "ours")
    assert (result.exit_code, "the cache is incomplete" in result.stderr) == (1, True)
    create_cache(home / "cache" / "beta" / "val.h5", "beta", "val", layout, {})
    assert "the cache is incomplete" in probe("--model", "beta", "--benchmark", "with_val").stderr
    (home / "cache" / "beta" / "test.h5").unlink()
    create_cache(home / "cache" / "beta" / "test.h5", "beta", "test", layout, {})
    result = probe("--model", "beta", "--benchmark", "ours")
    assert result.exit_code == 0
    assert "held out, " in result.stderr
    assert " % test" not in result.stderr


BAD = [
    ([], 2, "nothing is asked for"),
    (["--model", "alpha", "--all-models"], 2, "contradict"),
    (["--model", "alfa"], 2, "there is no cached model 'alfa'. Did you mean 'alpha'"),
    (["--model", "alpha", "--benchmark", "our"], 2, "Did you mean 'ours'"),
    (["--model", "alpha+probe"], 2, "'alpha+probe' names a head"),
    (["--model", "alpha", "--name", "a/b"], 2, "cannot name a head"),
    (["--model", "alpha", "--benchmark", "ours", "--threads", 0], 2, "at least 1"),
    (["--model", "alpha", "--benchmark", "single"], 2, "one ID class at a time"),
    (["--model", "alpha", "--benchmark", "theirs"], 1, "the model 'alpha' has no cache of other"),
    (["--model", "alpha", "--benchmark", "with_val"], 1, "the model 'alpha' has no cache of val"),
    (["--all-models", "--benchmark", "theirs"], 1, "no model has a cache of other"),
    (["--all-models", "--cache-dir", "nowhere"], 1, "no ID train dataset of a benchmark is cached"),
]


@pytest.mark.parametrize(("args", "code", "message"), BAD, ids=[" ".join(map(str, b[0])) for b in BAD])
def test_bad_input_gets_one_message(home, args, code, message):
    result = probe(*args)
    assert result.exit_code == code, result.stderr
    assert result.stderr.count("error:") == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert heads(home) == []


def test_the_same_from_python(home):
    space = Workspace(catalogs=(home / "catalog.yaml",))
    (done,) = moodbench.probe("alpha", benchmark="ours", device="cpu", workspace=space)
    (again,) = moodbench.probe(["alpha"], benchmark="ours", device="cpu", workspace=space)
    assert (done.already, again.already) == (False, True)
    assert (done.classes, done.dim, done.lam, done.accuracy) == (again.classes, again.dim, again.lam, again.accuracy)
    assert set(done.id_test) == {"test"}
    assert read_head(done.file).classes == 4
    json.dumps(head_provenance(done.file))
