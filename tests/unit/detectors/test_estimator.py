"""The habits of scikit-learn: parameters, clones, predictions, files; and what is refused."""

from __future__ import annotations

import doctest
import inspect
import pickle

import h5py
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import moodbench
from moodbench import detectors
from moodbench.detection.conformal import p_values
from moodbench.detectors.made import class_names
from moodbench.errors import CacheError, ScoreError, UsageError
from moodbench.scores.base import BESIDE, SCORES
from moodbench.types import TEXTS

TRAIN, LABELS, HEAD, UNSEEN, FAR = detectors.example()


@pytest.mark.parametrize("title", class_names())
def test_the_example_in_its_documentation_runs(title):
    runner = doctest.DocTestRunner()
    (found,) = doctest.DocTestFinder(recurse=False).find(getattr(detectors, title), title, globs={})
    assert runner.run(found) == (0, len(found.examples))
    assert len(found.examples) == 5


def test_every_score_on_one_vector_has_a_class_with_its_parameters():
    wanted = {name for name in SCORES.names() if not SCORES.get(name).needs & {*BESIDE, "stream", *TEXTS}}
    assert set(class_names().values()) == wanted
    for title, name in class_names().items():
        given = inspect.signature(getattr(detectors, title)).parameters
        own = {p: one.default for p, one in given.items() if p not in ("device", "threads")}
        assert own == SCORES.get(name).parameters()
        assert title in dir(detectors)


def test_parameters_clones_and_pickles():
    detector = detectors.of("vim")(dim=5)
    assert detector.get_params() == {"dim": 5, "device": "auto", "threads": None}
    assert repr(detector) == "ViM(dim=5)"
    detector.fit(TRAIN, LABELS, head=HEAD)
    again = clone(detector).set_params(dim=6)
    assert (again.dim, detector.dim) == (6, 5)
    with pytest.raises(NotFittedError):
        again.score_samples(FAR)
    unfitted = pickle.loads(pickle.dumps(detectors.of("vim")(dim=5)))
    assert (type(unfitted), unfitted.dim) == (type(detector), 5)


def test_verdicts_are_those_of_conformal_p_values():
    detector = detectors.of("mahalanobis")().fit(TRAIN, LABELS)
    with pytest.raises(NotFittedError, match="calibrate"):
        detector.predict(FAR)
    for rate in (0.02, 0.05, 0.3):
        detector.calibrate(UNSEEN, fpr_id=rate)
        p = p_values(np.sort(detector.score_samples(UNSEEN)), detector.score_samples(FAR))
        np.testing.assert_array_equal(detector.p_values(FAR), p)
        np.testing.assert_array_equal(detector.predict(FAR) == -1, p <= rate)
        np.testing.assert_array_equal(detector.decision_function(FAR) < 0, p <= rate)
        assert (detector.predict(UNSEEN) == -1).mean() <= rate
    with pytest.raises(UsageError, match=r"cannot tell a rate of 0\.01"):
        detector.calibrate(UNSEEN, fpr_id=0.01)
    with pytest.raises(UsageError, match="between 0 and 1"):
        detector.calibrate(UNSEEN, fpr_id=1.5)


@pytest.mark.parametrize("name", ["msp", "mahalanobis", "knn", "vim", "iforest"])
def test_what_is_saved_gives_the_same_bits(name, tmp_path):
    kind = detectors.of(name)
    detector = kind().fit(TRAIN, LABELS, head=HEAD).calibrate(UNSEEN)
    detector.save(tmp_path / "d.h5")
    again = kind.load(str(tmp_path / "d.h5"))
    np.testing.assert_array_equal(again.score_samples(FAR), detector.score_samples(FAR))
    np.testing.assert_array_equal(again.predict(FAR), detector.predict(FAR))
    assert again.get_params() == detector.get_params()
    again.save(tmp_path / "e.h5")
    assert (tmp_path / "e.h5").read_bytes() == (tmp_path / "d.h5").read_bytes()


def test_files_of_others_are_refused(tmp_path):
    with pytest.raises(NotFittedError):
        detectors.of("msp")().save(tmp_path / "x.h5")
    detectors.of("msp")().fit(TRAIN, head=HEAD).save(tmp_path / "d.h5")
    with pytest.raises(CacheError, match="of the score 'msp', not 'knn'"):
        detectors.of("knn").load(tmp_path / "d.h5")
    with pytest.raises(CacheError, match="fitted on arrays"):
        moodbench.Detector.load(file=tmp_path / "d.h5")
    data = bytearray((tmp_path / "d.h5").read_bytes())
    data[-1] ^= 1
    (tmp_path / "d.h5").write_bytes(data)
    with pytest.raises(CacheError, match="no detector can be read") as caught:
        detectors.of("msp").load(tmp_path / "d.h5")
    assert "fit and save it anew" in caught.value.fix


@pytest.mark.parametrize(
    ("name", "says"), [("", "a folder"), ("gone.h5", "no such file"), ("features.h5", "features"), ("x.txt", "no det")]
)
def test_nobody_is_told_to_remove_what_is_no_detector(tmp_path, name, says):
    with h5py.File(tmp_path / "features.h5", "w") as h5:
        h5["features"] = TRAIN
    (tmp_path / "x.txt").write_text("text", encoding="utf-8")
    for load in (detectors.of("vim").load, lambda file: moodbench.Detector.load(file=file)):
        with pytest.raises(CacheError, match=says) as caught:
            load(tmp_path / name)
        assert "the file that save() wrote" in caught.value.fix
        assert "remove" not in caught.value.fix


NAN = TRAIN.copy()
NAN[7, 3] = np.nan


@pytest.mark.parametrize(
    ("name", "x", "more", "says"),
    [
        ("msp", TRAIN, {}, "no logits.*"),
        ("mahalanobis", TRAIN, {}, "no labels"),
        ("vim", TRAIN, {"logits": TRAIN[:, :4]}, "no head"),
        ("knn", TRAIN[:, 0], {}, r"\(rows, width\)"),
        ("knn", NAN, {}, "not finite.*row 7"),
        ("knn", TRAIN.astype(str), {}, "numbers"),
        ("knn", TRAIN, {"y": LABELS[:5]}, "one for each of 240 rows"),
        ("knn", TRAIN, {"y": LABELS + 0.5}, "numbers of classes"),
        ("knn", TRAIN, {"y": LABELS + 9, "head": HEAD}, "label 12.*4 classes"),
        ("knn", TRAIN, {"head": HEAD[0]}, "pair"),
        ("knn", TRAIN, {"head": (HEAD[0], HEAD[1][:2])}, "bias"),
        ("knn", TRAIN[:, :5], {"head": HEAD}, "16 wide, these are 5"),
        ("knn", TRAIN, {"logits": TRAIN[:3, :4]}, "3 rows of logits"),
        ("knn", TRAIN, {"logits": TRAIN[:, :3], "head": HEAD}, "4 classes, the logits 3"),
        ("knn", [], {}, r"\(rows, width\)"),
        ("knn", iter([TRAIN]), {}, "read once"),
        ("knn", [TRAIN, TRAIN[:, :3]], {}, "batch 1: features 3 wide"),
        ("knn", [TRAIN, TRAIN], {"y": LABELS}, "belong into the batches"),
        ("knn", [(TRAIN, LABELS, LABELS)], {}, r"3 parts|rows, width"),
        ("knn", [{"feature": TRAIN}], {}, "a batch has features, labels, logits"),
        ("knn", lambda: iter([]), {}, "no rows"),
    ],
)
def test_what_does_not_fit_is_said(name, x, more, says):
    with pytest.raises((UsageError, ScoreError), match=says):
        detectors.of(name)().fit(x, **more)


def test_rows_that_change_between_passes_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="another order"):
        detectors.of("mahalanobis")().fit(lambda: iter([(TRAIN[rng.permutation(240)], LABELS)]))


def test_rows_of_another_width_are_refused():
    detector = detectors.of("msp")().fit(TRAIN, logits=TRAIN[:, :4])
    with pytest.raises(UsageError, match="3 wide; it was fitted on 16"):
        detector.score_samples(FAR[:, :3])
    with pytest.raises(UsageError, match="give logits="):
        detector.score_samples(FAR)
    with pytest.raises(UsageError, match="3 classes; it was fitted on 4"):
        detector.score_samples(FAR, logits=FAR[:, :3])


def test_parameters_are_checked_when_they_are_given():
    with pytest.raises(UsageError, match="neighbours must be at least 1"):
        detectors.of("knn")(k=0)
    with pytest.raises(UsageError, match="there is no parameter of KNN 'neighbours'") as unknown:
        detectors.of("knn")(neighbours=3)
    assert "known parameters of it: device, k, threads" in str(unknown.value)
    with pytest.raises(UsageError, match="parameters of KNN are given by name") as unnamed:
        detectors.of("knn")(5)
    assert "KNN(k=…)" in str(unnamed.value)
    with pytest.raises(UsageError, match=r"'far' is not a whole number, which the parameter 'knn\.k'") as wrong:
        detectors.of("knn")(k="far")
    assert "its defaults are KNN(k=50)" in str(wrong.value)
    with pytest.raises(AttributeError, match="no attribute 'KNNN'"):
        _ = detectors.KNNN


def test_scores_over_several_vectors_are_refused():
    for name in ("maha_layers", "odin"):
        with pytest.raises(UsageError, match="arrays hold one") as refused:
            detectors.of(name)
        assert f"moodbench.score(score='{name}')" in str(refused.value)


@pytest.mark.parametrize(("given", "says"), [({"threads": 0}, "threads"), ({"device": "cuda:99"}, "cuda:99")])
def test_no_message_borrows_an_option_of_the_command_line(given, says):
    with pytest.raises(UsageError, match=says) as refused:
        detectors.of("msp")(**given).fit(TRAIN, logits=TRAIN[:, :4])
    assert "--" not in str(refused.value)


def test_a_failed_fit_leaves_nothing_of_the_one_before():
    detector = detectors.of("mahalanobis")().fit(TRAIN, LABELS).calibrate(UNSEEN)
    with pytest.raises(ScoreError):
        detector.fit(TRAIN)
    with pytest.raises(NotFittedError):
        detector.score_samples(FAR)
    assert not hasattr(detector, "offset_")


def test_half_precision_and_integers_are_taken():
    x = torch.from_numpy(TRAIN).to(torch.bfloat16)
    detector = detectors.of("knn")().fit(x)
    assert np.isfinite(detector.score_samples(x[:3])).all()
    assert np.isfinite(
        detectors.of("knn")().fit(np.arange(60).reshape(20, 3).tolist()).score_samples([[1, 2, 3]])
    ).all()


def test_texts_that_come_with_the_head():
    train, labels, (weight, bias), unseen, _ = detectors.example()
    texts = {"negatives": np.random.default_rng(0).normal(size=(7, train.shape[1])).astype(np.float32)}
    detector = detectors.of("neglabel")(groups=7).fit(train, labels, head=moodbench.Head(weight, bias, texts=texts))
    both = [np.vstack([weight, one]).astype(np.float64) for one in texts["negatives"]]
    cosines = [unseen @ (w / np.linalg.norm(w, axis=1, keepdims=True)).T for w in both]
    e = [np.exp(c / np.linalg.norm(unseen, axis=1, keepdims=True) / 0.01) for c in cosines]
    expected = np.mean([one[:, :4].sum(axis=1) / one.sum(axis=1) for one in e], axis=0)
    np.testing.assert_allclose(detector.score_samples(unseen), expected, rtol=1e-3)
    with pytest.raises(ScoreError, match="no negative labels with the head"):
        detectors.of("neglabel")().fit(train, labels, head=(weight, bias))


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_rows_that_are_each_their_classes_mean_are_refused(rows):
    with pytest.raises(ScoreError, match="say nothing of a covariance within classes"):
        detectors.Mahalanobis().fit(TRAIN[:rows], np.arange(rows))
    detectors.Mahalanobis().fit(TRAIN[: rows + 1], np.arange(rows + 1) % rows)
