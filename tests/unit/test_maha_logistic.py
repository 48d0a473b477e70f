"""The weights of layers that a logistic regression finds: against a plain definition, and what may be fitted on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

import moodbench
from moodbench.commands.import_ import import_features
from moodbench.errors import ScoreError, UsageError
from moodbench.results import read_provenance, read_results
from moodbench.scores.base import create_score
from moodbench.scores.machinery.logistic import fit_logistic
from moodbench.scores.machinery.passes import fit_scores
from moodbench.scores.machinery.viewing import changed_layers
from moodbench.workspace import ModelName
from tests.beside import deep_space, put
from tests.parity.case import golden_world
from tests.views import LAYERS, changed_layers_of, layers_of

LOGISTIC = {"combine": "logistic"}


def plain(train, labels, rows, names):
    """Return the scores of rows (B, D), float64, each step written out: the regression is scikit-learn's."""
    kept, held = (np.arange(len(train)) % 10 != 9, np.arange(len(train)) % 10 == 9)

    def confidence(layer):
        known = layers_of(train)[layer].astype(np.float64)[kept]
        its = labels[kept]
        means = {k: known[its == k].mean(axis=0) for k in np.unique(its)}
        centred = known - np.stack([means[k] for k in its])
        inverse = np.linalg.pinv(centred.T @ centred / len(known), rcond=1e-10, hermitian=True)
        return lambda x: -min((x - mean) @ inverse @ (x - mean) for mean in means.values())

    of = {layer: confidence(layer) for layer in names}

    def values(layers):
        return np.array([[of[name](x.astype(np.float64)) for x in layers[name]] for name in names]).T

    own = values(layers_of(train[held]))
    changed = values({k.removeprefix("fgsm-0.05-layer-"): v for k, v in changed_layers_of(train[held]).items()})
    both = np.concatenate([own, changed])
    centre, scale = both.mean(axis=0), both.std(axis=0)
    is_own = np.r_[np.ones(len(own)), np.zeros(len(changed))]
    regression = LogisticRegression(C=1.0, tol=1e-8, max_iter=10_000).fit((both - centre) / scale, is_own)
    return regression.decision_function((values(layers_of(rows)) - centre) / scale)


@pytest.mark.parametrize("file", ["relu48", "vit768"])
@pytest.mark.parametrize("layers", ["all", "every:2", "blocks.1"])
def test_rows_agree_with_the_plain_definition(file, layers):
    world = golden_world(file)
    score = create_score("maha_layers", LOGISTIC | {"layers": layers})
    asked = {"own": score, "sum": create_score("maha_layers", {"layers": layers})}
    fitted, missing = fit_scores(asked, world.facts(), lambda: world.blocks(257))
    assert not missing
    rows = np.concatenate([world.tests["val"][:8], world.tests["blend_b"][:8]])
    block = world.block(rows)
    names = {"all": list(LAYERS), "every:2": ["blocks.0", "blocks.2"], "blocks.1": ["blocks.1"]}[layers]
    fitted["sum"].score(block)  # which files its own numbers with the block
    found, wanted = fitted["own"].score(block).numpy(), plain(world.train, world.labels, rows, names)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * wanted.std())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 4), apart=st.sampled_from([0.0, 1.0, 100.0]))
def test_the_regression_is_the_minimum_of_its_loss(seed, count, apart):
    rng = np.random.default_rng(seed)
    own, other = rng.normal(size=(30, count)), rng.normal(apart, 1 + seed % 3, size=(40, count))
    found = fit_logistic(torch.from_numpy(own), torch.from_numpy(other))
    both = np.concatenate([own, other])
    x = (both - both.mean(axis=0)) / both.std(axis=0)
    logits = x @ found.weights.numpy() + found.intercept
    np.testing.assert_allclose(found(torch.from_numpy(both)), logits, rtol=1e-9, atol=1e-9)
    missed = 1 / (1 + np.exp(-logits)) - np.r_[np.ones(30), np.zeros(40)]
    # the loss is strictly convex: its slope is zero at the minimum alone
    np.testing.assert_allclose(x.T @ missed + found.weights.numpy(), 0, atol=1e-6)
    assert abs(missed.sum()) < 1e-6


def test_a_number_that_does_not_vary_weighs_nothing():
    own, other = torch.tensor([[1.0, 2.0], [2.0, 2.0]]), torch.tensor([[3.0, 2.0], [4.0, 2.0]])
    found = fit_logistic(own, other)
    assert float(found.weights[1]) == 0
    assert float(found.weights[0]) < 0
    assert bool(torch.isfinite(found(torch.tensor([[1e9, 2.0]]))).all())


CACHED = ["layer-a", "layer-b", "view-odin-0.1-layer-a", "view-fgsm-0.05-layer-a", "view-fgsm-0.05-layer-b"]


@pytest.mark.parametrize(
    ("wanted", "cached", "said"),
    [
        ("fgsm", CACHED[:3], r"no layers of the view 'fgsm' \(moodbench extract --view fgsm --view-layers all"),
        ("fgsm", ["layer-a", "layer-b", "view-fgsm-0.05"], "no layers of the view 'fgsm'"),
        ("odin", CACHED, "the view 'odin-0.1' has not all of the layers: no layer-b"),
        ("fgsm", [*CACHED, "view-fgsm-0.1-layer-a"], "several views 'fgsm'.*fgsm-0.05, fgsm-0.1"),
        ("fgsm-0.2", CACHED, "no layers of the view 'fgsm-0.2'$"),
    ],
)
def test_layers_of_changed_images_that_are_not_there(wanted, cached, said):
    with pytest.raises(ScoreError, match=said):
        changed_layers(wanted, CACHED[:2], cached)
    assert changed_layers("fgsm", CACHED[:2], CACHED) == ("view-fgsm-0.05-layer-a", "view-fgsm-0.05-layer-b")
    assert changed_layers("fgsm-0.05", ["layer-a"], CACHED) == ("view-fgsm-0.05-layer-a",)


def test_other_ways_are_refused():
    with pytest.raises(UsageError, match="'combine' cannot be 'mean'"):
        create_score("maha_layers", {"combine": "mean"})


@pytest.fixture
def space(tmp_path):
    return deep_space(tmp_path)


def test_weights_are_fitted_on_rows_of_id_train_alone(space):
    for name, seed, dim in LAYER_CACHES[2:]:
        put(space, f"net@{name}", "train", seed=seed, dim=dim)
    label(space)
    said = []
    rows = moodbench.score(
        model="net", benchmark="deep", score="maha_layers", params={"maha_layers": LOGISTIC},
        workspace=space, report=said.append,
    )  # fmt: skip
    assert not any("leave out" in line for line in said)
    assert all(row.auroc is not None for row in rows)
    (noted,) = read_provenance(space.results_file("deep", ModelName("net")))["views"].values()
    assert {view: sorted(of) for view, of in noted.items()} == {
        "layer-b.0": ["far", "test", "train"],
        "layer-b.1": ["far", "test", "train"],
        "view-fgsm-0.05-layer-b.0": ["train"],
        "view-fgsm-0.05-layer-b.1": ["train"],
    }
    before = {row.ood: row.auroc for row in rows}
    for name, _, dim in LAYER_CACHES[2:]:  # rows of test sets are there now, and change nothing
        for dataset in ("test", "far"):
            put(space, f"net@{name}", dataset, seed=9, dim=dim)
    again = moodbench.score(
        model="net", benchmark="deep", score="maha_layers", params={"maha_layers": LOGISTIC}, workspace=space
    )
    assert {row.ood: row.auroc for row in again} == before
    for name, _, _ in LAYER_CACHES[2:]:
        space.cache_file(ModelName.parse(f"net@{name}"), "train").unlink()
    moodbench.score(
        model="net", benchmark="deep", score="maha_layers", params={"maha_layers": LOGISTIC}, workspace=space
    )
    note = next(row.note for row in read_results(space.results_file("deep", ModelName("net"))))
    assert "no layers of the view 'fgsm'" in note
    assert "moodbench extract --view fgsm --view-layers all" in note


def label(space):
    """Give ID train of the model two classes."""
    rows = np.random.default_rng([0, 40]).normal(size=(40, 4)).astype(np.float32)
    file = space.cache_dir.parent / "labelled.npz"
    ids = np.array([f"train/{i}.png" for i in range(40)])
    np.savez(file, features=rows, ids=ids, labels=np.arange(40) % 2)
    space.cache_file(ModelName("net"), "train").unlink()
    import_features("net", "train", file, workspace=space)


LAYER_CACHES = [
    ("layer-b.0", 1, 3),
    ("layer-b.1", 2, 5),
    ("view-fgsm-0.05-layer-b.0", 5, 3),
    ("view-fgsm-0.05-layer-b.1", 6, 5),
]
