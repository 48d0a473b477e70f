"""From a cache to a head: the choice of the penalty, labels that cannot be fitted, and heads on disk."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from moodbench.commands.import_ import import_features
from moodbench.errors import CacheError
from moodbench.features.heads import head_provenance, read_head, store_head, write_head
from moodbench.features.labelled import LabelledRows
from moodbench.features.reader import RowReader
from moodbench.logistic import Problem, Settings, StandardisedRows, choose
from moodbench.probing.train import ProbeRows, train_head
from moodbench.types import Head
from moodbench.workspace import Workspace
from tests.probes import batches, rows_of, standardised

CPU = torch.device("cpu")


# -- the penalty --------------------------------------------------------------------------------------------------


def chosen(x, y, held_x, held_y, **settings):
    rows, moments = standardised(x, y)
    held = StandardisedRows(batches(held_x, held_y), moments, len(held_y), keep=0, dtype=torch.float64)
    return choose(Problem(rows, moments), held, Settings(**settings)), moments


def test_the_penalty_is_the_one_that_says_held_out_rows_best():
    x, y = rows_of(n=160, dim=10, spread=0.5)
    held_x, held_y = rows_of(n=160, dim=10, spread=0.5)[0][::-1], rows_of(n=160, dim=10, spread=0.5)[1][::-1]
    x, held_x, y, held_y = x[:80], held_x[:80].copy(), y[:80], held_y[:80].copy()
    found, _ = chosen(x, y, held_x, held_y, tolerance=1e-6, iterations=1000)
    mean, std = x.astype(np.float64).mean(axis=0), x.astype(np.float64).std(axis=0)
    losses = {}
    for lam in Settings().penalties[:9]:
        model = LogisticRegression(C=1 / (lam * len(y)), tol=1e-9, max_iter=10_000).fit((x - mean) / std, y)
        losses[lam] = log_loss(held_y, model.predict_proba((held_x - mean) / std))
    best = min(losses, key=losses.get)
    assert found.fit.lam == best
    assert found.at_end is None  # it lies inside, or the test says nothing
    for one in found.tried:
        assert one.nll == pytest.approx(losses[one.lam], rel=1e-4)
    position = Settings().penalties.index(best)
    assert [one.lam for one in found.tried] == list(Settings().penalties[: position + 2])
    assert found.passes == pytest.approx(sum(one.iterations for one in found.tried), rel=1)


def test_the_ends_of_the_range_are_said():
    x, y = rows_of()
    noise = np.random.default_rng(1).permutation(y)
    assert chosen(x, noise, x, np.roll(noise, 1))[0].at_end == "strongest"
    assert chosen(x, y, x, y, penalties=(1.0, 0.1))[0].at_end == "weakest"
    assert chosen(x, y, x, y, penalties=(0.1,))[0].at_end is None


# -- from a cache to a head ---------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path):
    """Import rows and open them."""

    def make(x, y, name="train"):
        np.savez(tmp_path / f"{name}.npz", features=x, labels=y)
        space = Workspace(tmp_path / "data", tmp_path / "cache", tmp_path / "results")
        return RowReader(import_features("m", name, tmp_path / f"{name}.npz", workspace=space).file)

    return make


def trained(rows, **settings):
    return train_head(rows, Settings(**settings), CPU, title="t", progress=False)


def test_every_tenth_row_is_held_out_of_the_fit(cache):
    x, y = rows_of()
    held = np.arange(300) % 10 == 9
    head = trained(ProbeRows(cache(x, y), None, 10), penalties=(0.01,)).head
    x[held], y[held] = 1e6, 0  # would change moments and weights
    other = trained(ProbeRows(cache(x, y, "other"), None, 10), penalties=(0.01,))
    np.testing.assert_array_equal(other.head.weight, head.weight)
    np.testing.assert_array_equal(other.head.bias, head.bias)
    assert (other.record["rows"], other.record["held_out_rows"]) == (270, 30)
    x[0] += 1
    assert not np.array_equal(
        trained(ProbeRows(cache(x, y, "3"), None, 10), penalties=(0.01,)).head.weight, head.weight
    )


def test_the_head_is_measured_as_it_is_stored(cache):
    x, y = rows_of()
    held = np.arange(300) % 10 == 9
    made = trained(ProbeRows(cache(x, y), None, 10))
    logits = x[held] @ made.head.weight.T + made.head.bias
    assert made.record["accuracy"] == (logits.argmax(axis=1) == y[held]).mean()
    probabilities = torch.tensor(logits).softmax(dim=1).numpy()
    wanted = -np.log(probabilities[np.arange(held.sum()), y[held]]).mean()
    assert made.record["nll"] == pytest.approx(wanted, rel=1e-4)
    assert made.record["nll"] == pytest.approx(min(t["nll"] for t in made.record["tried"]), rel=1e-4)
    assert made.head.weight.dtype == np.float32


def test_validation_rows_choose_where_there_are_some(cache):
    x, y = rows_of()
    more = rows_of(n=40)
    rows = ProbeRows(cache(x, y), cache(*more, "validation"), 10)
    made = trained(rows)
    assert (made.record["rows"], made.record["held_out_rows"]) == (300, 40)
    assert rows.inputs["held_out"] == {"contents": rows.validation.fingerprint}
    with pytest.raises(CacheError, match="class that ID train, with 4 classes, has no row of"):
        trained(dataclasses.replace(rows, validation=cache(more[0], np.full(40, 4), "wrong")))


def test_rows_without_label_are_left_out(cache):
    x, y = rows_of()
    partly = np.where(np.arange(300) % 7 == 0, -1, y)
    reader = cache(x, partly)
    rows = LabelledRows(reader, CPU, block=50)
    assert rows.rows == (partly >= 0).sum()
    np.testing.assert_array_equal(torch.cat([f for f, _ in rows()]), x[partly >= 0])
    np.testing.assert_array_equal(torch.cat([labels for _, labels in rows()]), y[partly >= 0])
    assert trained(ProbeRows(reader, None, 10)).record["unlabelled"] == 43


BAD_LABELS = {
    "none": (lambda y: np.full_like(y, -1), "no row of ID train has a label"),
    "one class": (lambda y: np.full_like(y, 2), "all labelled rows of ID train are of class 2"),
    "a gap": (lambda y: np.where(y == 1, 6, y), "3 of 7 classes have no row to fit on, the first is class 1"),
    "only held out": (
        lambda y: np.where(np.arange(len(y)) == 9, 4, y),
        "1 of 5 classes have no row to fit on, the first is class 4",
    ),
    "nothing held out": (
        lambda y: np.where(np.arange(len(y)) % 10 == 9, -1, y),
        "no labelled rows to choose the penalty with",
    ),
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_labels_that_cannot_be_fitted(cache, case):
    change, message = BAD_LABELS[case]
    x, y = rows_of()
    with pytest.raises(CacheError, match=message) as caught:
        trained(ProbeRows(cache(x, change(y)), None, 10))
    assert caught.value.file.name == "train.h5"


# -- heads on disk ------------------------------------------------------------------------------------------------


def test_a_head_says_what_it_was_made_from(tmp_path):
    head = Head(np.ones((2, 3), np.float32), np.zeros(2, np.float32))
    file, twin = (tmp_path / name / "m" / "heads" / "probe.h5" for name in "ab")
    for one in (file, twin):
        write_head(one, head, {"inputs": {"features": "abc"}, "lam": 0.01})
    assert file.read_bytes() == twin.read_bytes()
    assert head_provenance(file) == {"inputs": {"features": "abc"}, "lam": 0.01}
    np.testing.assert_array_equal(read_head(file).weight, head.weight)
    store_head(file, head)  # an equal head is accepted and what is said about it stays
    assert head_provenance(file)["lam"] == 0.01
    assert [p.name for p in file.parent.iterdir()] == ["probe.h5"]


def test_a_head_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "heads").write_text("a file where a folder should be")
    head = Head(np.ones((2, 3), np.float32), np.zeros(2, np.float32))
    with pytest.raises(CacheError, match="the head cannot be written"):
        write_head(tmp_path / "heads" / "probe.h5", head)
    assert [p.name for p in tmp_path.iterdir()] == ["heads"]
