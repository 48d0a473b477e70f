"""Wrong labels of ID train: which rows, which classes, what stays as it is, and what the results say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import moodbench
from moodbench.commands.losses import losses
from moodbench.errors import ResultsError, UsageError
from moodbench.evaluation.kept import kept_params, kept_rows
from moodbench.evaluation.noise import check_shares, noisy_labels
from moodbench.params import is_noisy
from moodbench.results import read_results
from moodbench.results.table import format_rows
from moodbench.scores.base import SCORES
from moodbench.tables.selection import rows_of
from moodbench.workspace import ModelName
from tests.sweeping import arrays_of, mean_of

QUIET = {"device": "cpu", "report": lambda line: None}
CLASSES = (0, 2, 5)


@given(st.lists(st.sampled_from([-1, 0, 1, 2, 5]), min_size=1), st.floats(0.01, 1), st.integers(0, 99))
def test_a_share_of_the_known_labels_is_another_known_class(given_labels, share, seed):
    labels = np.array(given_labels, np.int64)
    before = labels.copy()
    noisy = noisy_labels(labels, CLASSES, share, seed)
    assert np.array_equal(labels, before)
    changed = noisy != labels
    known = np.isin(labels, CLASSES)
    assert changed.sum() == int(share * known.sum() + 0.5)
    assert known[changed].all()
    assert np.isin(noisy[changed], CLASSES).all()
    assert np.array_equal(noisy, noisy_labels(labels, CLASSES, share, seed))


@given(st.integers(2, 60), st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 9))
def test_the_wrong_labels_of_a_smaller_share_are_among_those_of_a_larger(rows, one, other, seed):
    labels = np.array(CLASSES, np.int64)[np.arange(rows) % 3]
    few, many = (noisy_labels(labels, CLASSES, share, seed) for share in sorted((one, other)))
    assert np.array_equal(many[few != labels], few[few != labels])


def test_every_other_class_is_as_likely():
    labels = np.zeros(6000, np.int64)
    counts = np.bincount(noisy_labels(labels, (0, 1, 2, 3), 1.0, 0), minlength=4)
    assert counts[0] == 0
    assert abs(counts[1:] - 2000).max() < 5 * np.sqrt(2000 * 2 / 3)


@pytest.mark.parametrize("share", [0, -0.1, 1.5, float("nan"), float("inf"), True, "0.1"])
def test_what_is_no_share_is_refused(share):
    with pytest.raises(UsageError, match="above 0 and at most 1"):
        check_shares([share])


def test_a_percentage_is_pointed_out():
    with pytest.raises(UsageError, match=r"did you mean 0\.1\?"):
        check_shares([10])
    with pytest.raises(UsageError, match=r"given twice: 0\.1, 0\.1"):
        check_shares([0.1, 0.1])


def test_wrong_labels_stand_beside_the_right_ones(space):
    how = {"model": "net", "benchmark": "b", "workspace": space, **QUIET}
    before = moodbench.score(score=["mahalanobis", "msp"], **how)
    rows = moodbench.score(score=["mahalanobis", "msp"], label_noise=[0.5, 0.2], **how)
    there = read_results(space.results_file("b", ModelName("net")))
    assert {(row.score, row.params) for row in there} == {
        ("msp", ""),
        ("mahalanobis", ""),
        ("mahalanobis", "label_noise=0.2;label_noise_seed=0"),
        ("mahalanobis", "label_noise=0.5;label_noise_seed=0"),
    }
    clean = [row for row in there if not is_noisy(row.params)]
    assert format_rows(clean) == format_rows(before)
    assert {row.score for row in rows} == {"mahalanobis"}
    assert len({mean_of(there, "mahalanobis", params).auroc for _, params in {(r.score, r.params) for r in rows}}) == 3
    kept = {params for score, params in kept_rows(space, "b", "net").kept.names if score == "mahalanobis"}
    assert {row.params for row in rows} <= kept


def test_numbers_are_those_of_caches_with_such_labels(space, tmp_path):
    from dataclasses import replace

    from moodbench.commands.import_ import import_features

    how = {"score": "mahalanobis", "benchmark": "plain", "workspace": space, **QUIET}
    rows = moodbench.score(model="net", label_noise=0.3, **how)
    elsewhere = replace(space, cache_dir=tmp_path / "cache")
    for name in ("train", "test", "far", "near"):
        arrays = dict(zip(("features", "labels"), arrays_of(space, name), strict=True))
        if name == "train":
            arrays["labels"] = noisy_labels(arrays["labels"], (0, 1, 2), 0.3, 0)
        np.savez(tmp_path / "rows.npz", **arrays)
        import_features("wrong", name, tmp_path / "rows.npz", workspace=elsewhere)
    theirs = moodbench.score(model="wrong", **how | {"workspace": elsewhere})
    mine = mean_of(rows, "mahalanobis", "label_noise=0.3;label_noise_seed=0")
    assert mine.auroc == pytest.approx(mean_of(theirs, "mahalanobis", "").auroc, abs=1e-9)


def test_scores_that_declare_no_need_of_labels_do_not_read_them(space):
    """What is left out of a run with wrong labels is the same under them."""
    from moodbench.evaluation.noise import with_noise
    from moodbench.evaluation.opening import open_scorable
    from moodbench.evaluation.run import score_caches
    from moodbench.scores.machinery.variants import make_variants

    spec = space.catalog.benchmark("b")
    caches = open_scorable(space, ModelName("net"), spec, asked=True, report=lambda line: None)
    names = [name for name in SCORES.names() if "labels" not in SCORES.get(name).needs and name not in ("lof", "ocsvm")]
    runs = [
        score_caches(spec, some, make_variants(names, {}))
        for some in (caches.by_name(), with_noise(caches.by_name(), 0.6, 1))
    ]
    assert format_rows(runs[0].rows) == format_rows(runs[1].rows)


def test_several_draws_are_averaged_and_their_spread_is_said(space):
    how = {"model": "net", "score": "mahalanobis", "benchmark": "b", "label_noise": 0.4, "workspace": space, **QUIET}
    rows = moodbench.score(seeds=3, **how)
    params = "label_noise=0.4;label_noise_seed=0..2"
    mean = mean_of(rows, "mahalanobis", params)
    assert (mean.seeds, mean.auroc_seed_sd is not None and mean.auroc_seed_sd > 0) == (3, True)
    single = mean_of(moodbench.score(**how), "mahalanobis", "label_noise=0.4;label_noise_seed=0")
    assert (single.seeds, single.auroc_seed_sd) == (1, None)
    assert ("mahalanobis", kept_params(params)) in kept_rows(space, "b", "net").kept.names


def test_wrong_labels_compete_with_nobody(space):
    how = {"model": "net", "score": "mahalanobis", "benchmark": "b", "workspace": space, **QUIET}
    moodbench.score(label_noise=0.4, **how)
    assert {row.params for row in rows_of(space, "b", None)} == {""}
    assert "label_noise" not in str(moodbench.table(benchmark="b", workspace=space))
    assert [pair.params for pair in moodbench.rank(benchmark="b", workspace=space).pairs] == [""]


def test_the_table_of_losses_holds_the_differences(space):
    how = {"score": ["mahalanobis", "rmds"], "benchmark": "b", "workspace": space, **QUIET}
    rows = moodbench.score(label_noise=[0.2, 0.4], **how)
    shown = losses(rows, workspace=space)
    plain = shown.replace("**", "").replace("<ins>", "").replace("</ins>", "")
    for model in ("net", "other"):
        its = [row for row in rows if row.model == model]
        clean, wrong = (mean_of(its, "rmds", params).auroc for params in ("", "label_noise=0.4;label_noise_seed=0"))
        assert f" {100 * clean:.2f} |" in plain
        assert f" {100 * (wrong - clean):+.2f} |" in plain
    assert "20 % wrong" in shown
    assert "do not read labels" in shown
    table, other = json.loads(losses(rows, format="json", workspace=space))
    assert other["title"].endswith("cost, FPR95")
    assert "fpr95" in other["records"][0]
    record = next(one for one in table["records"] if (one["model"], one["score"]) == ("other", "rmds"))
    assert record["auroc"] + record["auroc_change_0.4"] == pytest.approx(wrong)
    with pytest.raises(ResultsError, match="no score was run with wrong labels"):
        losses([row for row in rows if not row.params], workspace=space)


def test_scores_without_labels_alone_are_refused(space):
    with pytest.raises(UsageError, match="none of these scores reads labels of ID train: msp"):
        moodbench.score(score="msp", label_noise=0.1, workspace=space, **QUIET)


def test_each_class_in_turn_and_sweeps_take_wrong_labels(space):
    how = {"model": "net", "benchmark": "each", "workspace": space, **QUIET}
    rows = moodbench.score(score="qda", params={"qda": {"shrinkage": [0.1, 0.2]}}, label_noise=0.2, **how)
    assert {row.params for row in rows if is_noisy(row.params)} == {
        f"shrinkage={value};label_noise=0.2;label_noise_seed=0" for value in (0.1, 0.2)
    }
