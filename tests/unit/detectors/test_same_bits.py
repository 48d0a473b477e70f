"""Scores on arrays are those of the command line, to the bit; however the rows are handed over."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import moodbench
from moodbench import detectors
from moodbench.commands.import_ import import_features
from moodbench.detectors.made import class_names
from moodbench.evaluation.kept import kept_rows
from moodbench.evaluation.pieces import logits_of
from moodbench.workspace import Workspace

CATALOG = """
datasets:
  train: {title: Train, role: ID train, folder: train, labels: none, images: 240}
  test: {title: Test, role: ID test, folder: test, labels: none, images: 60}
  far: {title: Far, role: far-OOD, folder: far, labels: none, images: 40}
benchmarks:
  arrays: {title: Arrays, id_train: train, id_test: test, ood: {far: [far]}}
"""
NAMES = class_names()


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """What ``score --all`` keeps of the example's rows."""
    folder = tmp_path_factory.mktemp("arrays")
    (folder / "c.yaml").write_text(CATALOG)
    space = Workspace(folder / "d", folder / "cache", folder / "results", (folder / "c.yaml",))
    train, labels, (weight, bias), unseen, far = detectors.example()
    np.savez(folder / "head.npz", weight=weight, bias=bias)
    for name, rows, known in (("train", train, labels), ("test", unseen, np.arange(60) % 4), ("far", far, None)):
        more = {} if known is None else {"labels": known}
        # an import would multiply with NumPy, whose products round otherwise than torch's on some processors
        logits = logits_of(*map(torch.from_numpy, (rows, weight, bias))).numpy()
        np.savez(folder / f"{name}.npz", features=rows, logits=logits, **more)
        import_features("net", name, folder / f"{name}.npz", head=folder / "head.npz", workspace=space)
    moodbench.score(model="net", benchmark="arrays", workspace=space)
    return kept_rows(space, "arrays", "net").kept


@pytest.mark.parametrize("title", NAMES)
def test_the_bits_are_those_of_the_command_line(title, kept):
    train, labels, head, unseen, far = detectors.example()
    detector = getattr(detectors, title)().fit(train, labels, head=head)
    values = kept.of(NAMES[title], detectors.of(NAMES[title])()._unfitted().describe())
    np.testing.assert_array_equal(detector.score_samples(unseen), values["test"])
    np.testing.assert_array_equal(detector.score_samples(torch.from_numpy(far)), values["far"])


def many(rows=5000):
    """More rows than a block has."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, rows)
    return (rng.normal(size=(rows, 8)) + labels[:, None]).astype(np.float32), labels


@pytest.mark.parametrize("name", ["mahalanobis", "knn", "residual"])
@pytest.mark.parametrize("size", [700, 2048, 4999])
def test_batches_give_the_bits_of_one_array(name, size):
    x, y = many()
    batches = [(x[at : at + size], y[at : at + size]) for at in range(0, len(x), size)]
    whole = detectors.of(name)().fit(x, y).score_samples(x[:50])
    for given in (batches, lambda: iter(batches), [{"features": a, "labels": b} for a, b in batches]):
        np.testing.assert_array_equal(detectors.of(name)().fit(given).score_samples(x[:50]), whole)


def test_a_loader_of_torch_is_an_iterable_of_batches():
    x, y = many(300)
    data = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    loader = torch.utils.data.DataLoader(data, batch_size=64)  # whose batches are lists
    found = detectors.of("mahalanobis")().fit(loader).score_samples(x)
    np.testing.assert_array_equal(found, detectors.of("mahalanobis")().fit(x, y).score_samples(x))


def test_logits_may_be_given_instead_of_a_head():
    train, _, (weight, bias), unseen, _ = detectors.example()
    msp = detectors.of("msp")().fit(train, logits=train @ weight.T + bias)
    scores = msp.score_samples(unseen, logits=unseen @ weight.T + bias)
    logits = unseen.astype(np.float64) @ weight.T + bias
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(scores, (e / e.sum(axis=1, keepdims=True)).max(axis=1), rtol=1e-5)
