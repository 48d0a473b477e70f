"""`moodbench score` with sweeps, wrong labels and tuning, as typed."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from tests.commands import call, read


@pytest.fixture
def ours(tmp_path, monkeypatch):
    """A folder with a benchmark that has validation sets, and caches of one model."""
    monkeypatch.chdir(tmp_path)
    names = ("train", "val", "test", "far", "outliers")
    roles = {"id_train": "train", "id_val": "val", "id_test": "test", "ood": {"far": ["far"]}, "ood_val": "outliers"}
    catalog = {
        "datasets": {name: {"title": name} for name in names},
        "benchmarks": {"ours": roles, "bare": {key: value for key, value in roles.items() if key != "ood_val"}},
    }
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(catalog), encoding="utf-8")
    monkeypatch.setenv("MOODBENCH_CATALOG", str(tmp_path / "catalog.yaml"))
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        labels = np.arange(40) % 2
        shift = 0 if name in ("far", "outliers") else 2 * labels[:, None]
        rows = {"features": (rng.normal(size=(40, 4)) + shift).astype(np.float32)}
        np.savez("rows.npz", **rows | ({} if name in ("far", "outliers") else {"labels": labels}))
        assert call("import", "--model", "net", "--dataset", name, "rows.npz").exit_code == 0
    return tmp_path


def params_of(folder, score, benchmark="ours"):
    rows = read(folder / "results" / benchmark / "net.csv")
    return list(dict.fromkeys(row["params"] for row in rows if row["score"] == score))


def test_a_sweep_and_its_picture(ours):
    done = call("score", "--benchmark", "ours", "--score", "knn", "--param", "knn.k=1,5,25")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "scored net on ours: 1 score in 3 variants\n" in done.stderr
    assert params_of(ours, "knn") == ["k=1", "k=25", "k=5"]
    done = call("plot", "sweep", "--benchmark", "ours", "--out", "k.svg")
    assert (done.exit_code, done.stderr) == (0, "wrote k.svg\n")
    assert (ours / "k.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_parameters_alone_ask_for_their_scores(ours):
    done = call("score", "--param", "knn.k=1,5")
    assert done.exit_code == 0, done.stderr
    assert "scored net on ours: 1 score in 2 variants\n" in done.stderr
    assert {row["score"] for row in read(ours / "results" / "ours" / "net.csv")} == {"knn"}


def test_the_losses_under_wrong_labels_are_printed(ours):
    done = call("score", "--benchmark", "ours", "--label-noise", "0.2,0.4", "--score", "mahalanobis", "--score", "knn")
    assert done.exit_code == 0
    assert "1 score reads no labels of ID train: wrong ones change nothing there" in done.stderr
    assert "with 40 % of the labels wrong: 1 score" in done.stderr
    assert "| Mahalanobis" in done.stdout
    assert "40 % wrong" in done.stdout
    assert params_of(ours, "mahalanobis") == ["", *(f"label_noise={p};label_noise_seed=0" for p in (0.2, 0.4))]
    assert "label_noise" not in call("table", "--benchmark", "ours").stdout


def test_tuned_parameters_stand_in_the_table_with_a_footnote(ours):
    done = call("score", "--benchmark", "ours", "--tune", "--score", "knn", "--score", "msp", "--param", "knn.k=1,5,25")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "left out: 1 score without parameters to tune (msp)" in done.stderr
    assert params_of(ours, "knn") == ["tuned=k"]
    shown = call("table", "--benchmark", "ours").stdout
    assert "tuned: the parameters with the highest AUROC of val against outliers, no test rows" in shown
    assert " of 1, 5, 25: " in shown or " of 1, 5, 25\n" in shown
    tuned = json.loads((ours / "results" / "ours" / "net.json").read_text(encoding="utf-8"))["tuned"]
    assert list(tuned["knn tuned=k"]["auroc"]) == ["k=1", "k=25", "k=5"]


def test_everything_is_tuned_where_there_is_something_to_tune_on(ours):
    done = call("score", "--tune", "--score", "knn")
    assert done.exit_code == 0
    assert (ours / "results" / "ours").exists()
    assert not (ours / "results" / "bare").exists()


def test_benchmarks_that_nobody_named_are_skipped_without_validation_rows(ours):
    call("cache", "remove", "--model", "net", "--dataset", "outliers", "--yes")
    done = call("score", "--tune", "--score", "knn")
    assert done.exit_code == 1
    assert "skip net on ours: no cache of outliers to choose parameters on" in done.stderr
    assert "cannot score" not in done.stderr


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--param", "knn.k=1,x"], 2, "'x' is not a whole number, which the parameter 'knn.k' should be"),
        (["--param", "knn.k=1,,2"], 2, "'knn.k=1,,2' has a comma without a value beside it"),
        (["--param", "knn.k=2,2"], 2, "two variants of 'knn' have the same parameters: k=2"),
        (["--param", "knn.k=1", "--param", "knn.k=2"], 2, "the parameter 'knn.k' is given twice"),
        (["--label-noise", "10 %"], 2, "--label-noise takes shares, and was given '10 %'"),
        (["--label-noise", "10"], 2, "above 0 and at most 1, got 10.0; did you mean 0.1?"),
        (["--label-noise", "0.1"], 2, "none of these scores reads labels of ID train: knn"),
        (["--label-noise", "0.1", "--tune"], 2, "--tune and --label-noise cannot be asked for at once"),
        (["--tune", "--benchmark", "bare"], 2, "the benchmark 'bare' names no OOD images to choose parameters on"),
    ],
)
def test_one_clear_message_and_nothing_written(ours, options, code, said):
    done = call("score", "--benchmark", "ours" if "bare" not in options else "bare", "--score", "knn", *options)
    assert (done.exit_code, done.stdout) == (code, "")
    assert f"error: {said}" in done.stderr or said in done.stderr
    assert not (ours / "results").exists()


def test_images_in_both_kinds_of_sets_are_refused(ours):
    call("cache", "remove", "--model", "net", "--dataset", "far", "--yes")
    assert call("import", "--model", "net", "--dataset", "far", "rows.npz").exit_code == 0
    done = call("score", "--benchmark", "ours", "--score", "knn", "--tune")
    assert done.exit_code == 1
    assert "40 images of the validation set 'outliers' are in the test set 'far' too" in done.stderr
