"""Scoring a small benchmark end to end: every number of the result file against scikit-learn, from the saved scores."""

from __future__ import annotations

import csv

import h5py
import numpy as np
import pytest
import yaml
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from moodbench.commands.import_ import import_features
from moodbench.commands.score import score
from moodbench.evaluation.caches import open_caches
from moodbench.evaluation.run import score_caches
from moodbench.metrics import METRICS
from moodbench.results import read_provenance
from moodbench.scores.base import create_score
from moodbench.workspace import ModelName, Workspace
from tests.worlds import make_world

SCORES = ("msp", "max_logit", "vim", "mahalanobis")
OOD = {"near": ["close", "closer"], "far": ["distant"]}
ALL_OOD = [name for names in OOD.values() for name in names]


@pytest.fixture(scope="module")
def world():
    """Features by dataset, labels by ID dataset, and the head; about one ID test row in four is misclassified."""
    made = make_world(3, rows=300)
    rng = np.random.default_rng(0)
    test, ood = made.tests["test"], made.tests["ood"]
    first, second = rng.integers(0, 300, (2, len(test)))
    noisy = test + 0.6 * (made.train[first] - made.train[second])  # stays in the subspace of ID train
    features = {
        "train": made.train,
        "test": noisy[:110],
        "more": noisy[110:],  # a second ID test set
        "close": noisy[:61] + 0.2 * ood[61:122],
        "closer": noisy[:40] + rng.normal(0, 0.3, (40, test.shape[1])).astype(np.float32),
        "distant": noisy[:73] * 0.6 + 0.4 * ood[:73],
    }
    logits = test @ made.weight.T + made.bias
    labels = {"train": made.labels, "test": logits.argmax(1)[:110], "more": logits.argmax(1)[110:]}
    return features, labels, (made.weight / 20, made.bias / 20)  # without scores that saturate


def run(tmp_path, world, *, labels=True, head=True):
    """Import the world, score it with the scores of every row, and return the workspace and the rows of the CSV."""
    features, known, (weight, bias) = world
    catalog = {
        "datasets": {name: {"title": name} for name in features},
        "benchmarks": {"small": {"id_train": "train", "id_test": ["test", "more"], "ood": OOD}},
    }
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(catalog), encoding="utf-8")
    space = Workspace(tmp_path / "data", tmp_path / "cache", tmp_path / "results", (tmp_path / "catalog.yaml",))
    np.savez(tmp_path / "head.npz", weight=weight, bias=bias)
    for name, x in features.items():
        arrays = {"features": x}
        if name in known and (labels or name == "train"):
            arrays["labels"] = known[name]
        np.savez(tmp_path / f"{name}.npz", **arrays)
        import_features(
            "net", name, tmp_path / f"{name}.npz", head=tmp_path / "head.npz" if head else None, workspace=space
        )
    score(model=["net"], benchmark=["small"], score=SCORES, save_scores=True, device="cpu", workspace=space)
    with (tmp_path / "results" / "small" / "net.csv").open(encoding="utf-8", newline="") as stream:
        return space, list(csv.DictReader(stream))


def expected(a, b, correct, sure):
    """Every metric by scikit-learn or by its definition."""
    y, s = np.r_[np.ones(len(a)), np.zeros(len(b))], np.r_[a, b]
    low, high = np.sort(a)[(len(a) - 1) // 100], np.sort(a)[::-1][(len(a) - 1) // 100]
    outness = [np.clip((high - x) / (high - low), 0, 1).mean() for x in (a, b)]
    order = np.argsort(-a, kind="stable")
    everything = np.argsort(-s, kind="stable")
    weight = np.r_[np.full(len(a), 0.5 / len(a)), np.full(len(b), 0.5 / len(b))][everything]
    faults = np.r_[0, np.cumsum(weight * np.r_[~correct, np.ones(len(b), bool)][everything])]
    fine = np.interp(middles := (np.arange(400_000) + 0.5) / 400_000, np.r_[0, np.cumsum(weight)], faults)
    failing = np.cumsum(~correct[order]) / len(a)
    return {
        "auroc": roc_auc_score(y, s),
        "fpr95": np.mean(b >= np.sort(a)[-int(0.95 * len(a))]),
        "aupr_in": average_precision_score(y, s),
        "aupr_out": average_precision_score(1 - y, -s),
        "fpr95_ood": np.mean(a <= np.sort(b)[int(0.95 * len(b)) - 1]),
        "detection_accuracy": max(balanced_accuracy_score(y, s >= t) for t in s),
        "autc": (outness[0] + 1 - outness[1]) / 2,
        "aurc": np.mean(np.cumsum(~correct[order]) / np.arange(1, len(a) + 1)),
        "failure_auroc": roc_auc_score(np.r_[correct, np.zeros(len(b), bool)], s),
        "augrc": np.mean((np.r_[0, failing[:-1]] + failing) / 2),
        "aurra": np.mean(np.cumsum(correct[order]) / np.arange(1, len(a) + 1)),
        "ece": sum(abs((sure - correct)[np.ceil(sure * 15) == place].sum()) / len(correct) for place in range(1, 16)),
        "oscr": np.mean(correct[:, None] & (a[:, None] > b)),
        "scod_aurc": np.mean(fine / middles),
        "scod_augrc": np.mean(fine),
    }


def test_every_metric_of_the_result_file_follows_from_the_saved_scores(tmp_path, world):
    space, rows = run(tmp_path, world)
    features, labels, (weight, bias) = world
    id_features = np.concatenate([features["test"], features["more"]])
    logits = id_features @ weight.T + bias
    correct = logits.argmax(1) == np.concatenate([labels["test"], labels["more"]])
    sure = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).max(1)
    assert 0.6 < correct.mean() < 0.9
    found = {(row["score"], row["ood"], row["group"]): row for row in rows}
    assert len(found) == len(SCORES) * (len(ALL_OOD) + len(OOD) + 1)
    with h5py.File(tmp_path / "results" / "small" / "net.scores.h5") as h5:
        saved = {(dataset, name): h5[dataset][name][:] for dataset in h5 for name in h5[dataset]}
    for name in SCORES:
        a = np.concatenate([saved["test", name], saved["more", name]])
        assert len(np.unique(a)) == len(a)  # ties are the concern of other tests
        single = {ood: expected(a, saved[ood, name], correct, sure) for ood in ALL_OOD}
        for group, names in {"all": ALL_OOD, **OOD}.items():
            means = {metric: np.mean([single[ood][metric] for ood in names]) for metric in METRICS}
            check(found[name, "mean", group], means, correct, sum(len(features[ood]) for ood in names))
            if group != "all":
                for ood in names:
                    check(found[name, ood, group], single[ood], correct, len(features[ood]))
    assert len({row["aurc"] for row in rows}) == len(SCORES)  # of the ID rows alone
    conventions = read_provenance(space.results_dir / "small" / "net.csv")["metrics"]
    assert set(conventions) == set(METRICS) - {"auroc"}
    assert "outermost 1 %" in conventions["autc"]


def check(row, wanted, correct, n_ood):
    assert (int(row["n_id"]), int(row["n_ood"])) == (len(correct), n_ood)
    assert float(row["id_accuracy"]) == pytest.approx(correct.mean(), abs=1e-9)
    assert 0 < float(row["auroc_low"]) < float(row["auroc"]) < float(row["auroc_high"])
    for metric, value in wanted.items():
        # scores are saved in single precision, and files keep ten digits; areas are sums over 400,000 slices
        tolerance = {"autc": 1e-6, "ece": 1e-6, "scod_aurc": 1e-5, "scod_augrc": 1e-7}.get(metric, 1e-9)
        assert float(row[metric]) == pytest.approx(value, abs=tolerance), (row["score"], row["ood"], metric)


@pytest.mark.parametrize("lacking", ["labels", "head"])
def test_without_labels_or_predictions_there_is_no_failure_view(tmp_path, world, lacking):
    _, rows = run(tmp_path, world, **{lacking: False})
    valued = [row for row in rows if row["auroc"]]
    assert {row["score"] for row in valued} >= {"mahalanobis"}
    for row in valued:
        asking = [name for name, metric in METRICS.items() if metric.needs.startswith("needs ID test rows")]
        assert len(asking) == 8
        assert [row[name] for name in (*asking, "id_accuracy")] == [""] * 9
        assert all(row[metric] for metric in METRICS if metric not in asking)
    assert all(row[metric] == "" for row in rows if not row["auroc"] for metric in METRICS)


def test_a_single_ood_row_has_no_fpr95_ood_and_neither_has_its_mean(tmp_path, world):
    features, labels, head = world
    _, rows = run(tmp_path, ({**features, "closer": features["closer"][:1]}, labels, head))
    lacking = {(row["ood"], row["group"]) for row in rows if not row["fpr95_ood"]}
    assert lacking == {("closer", "near"), ("mean", "near"), ("mean", "all")}
    assert all(row["auroc"] and row["fpr95"] and row["autc"] for row in rows)


def test_blocks_side_by_side_give_the_same(tmp_path, world):
    """One thread works on a block after the other, several on blocks of several datasets at once."""
    space, _ = run(tmp_path, world)
    spec = space.catalog.benchmark("small")
    name = ModelName("net")
    files = {dataset: space.cache_file(name, dataset) for dataset in spec.datasets}

    def values(threads):
        caches = open_caches(files, spec, space.head_file(name), own_head=True)
        scores = {score: create_score(score) for score in (*SCORES, "gen", "ash_s", "openmax", "knn")}
        return score_caches(spec, caches, scores, threads=threads, block=16).values

    alone, together = values(1), values(3)
    assert alone.keys() == together.keys()
    for key, array in alone.items():
        np.testing.assert_allclose(together[key], array, rtol=1e-5, atol=1e-5 * array.std(), err_msg=str(key))
