"""HEAT's sum: which layer it reads, how terms are put together, and that trainings are shared."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from moodbench.errors import ScoreError, UsageError
from moodbench.scores.base import create_score
from moodbench.scores.heat_el import LogitEnergy
from moodbench.scores.machinery import corrected
from tests.worlds import fit, make_world

QUICK = {"hidden": 8, "epochs": 2}
WORLD = make_world(6)


def values(score, world=WORLD, part="test"):
    return score.score(world.block(world.tests[part]))


@pytest.fixture(scope="module")
def fitted():
    return fit(["heat_sum"], WORLD, heat_sum=QUICK)["heat_sum"]


def test_the_slope_of_the_logits_energy_is_its_gradient():
    weight, bias = torch.from_numpy(WORLD.weight).double(), torch.from_numpy(WORLD.bias).double()
    rows = torch.from_numpy(WORLD.tests["ood"]).double().requires_grad_()
    energy = -torch.logsumexp(rows @ weight.T + bias, dim=1) / 3
    torch.testing.assert_close(
        LogitEnergy(weight, bias, 3.0).slope(rows.detach()), torch.autograd.grad(energy.sum(), rows)[0]
    )


def test_it_reads_the_deviations_of_the_last_layer_that_has_them(fitted):
    score = create_score("heat_sum")
    cached = ["layer-blocks.1-std", "layer-blocks.2-cls", "layer-blocks.11-std", "layer-blocks.11", "view-odin-0.0014"]
    assert score.views_among(cached) == ("layer-blocks.11-std",)
    assert create_score("heat_sum", {"layer": "blocks.1"}).views_among(cached) == ("layer-blocks.1-std",)
    assert fitted.view_ == "layer-blocks.2-std"
    assert fitted.note_.startswith("std of blocks.2")


def test_what_is_not_cached_is_named():
    with pytest.raises(ScoreError, match="extract --layers all --pool std"):
        create_score("heat_sum").views_among(["layer-blocks.1", "layer-blocks.2-cls"])
    with pytest.raises(ScoreError, match=r"no layer 'blocks.3' pooled by std; cached: blocks.1, blocks.2"):
        create_score("heat_sum", {"layer": "blocks.3"}).views_among(["layer-blocks.1-std", "layer-blocks.2-std"])


def test_terms_are_those_of_the_scores_by_themselves_and_standardised(fitted):
    alone = fit(["heat", "heat_el"], WORLD, heat=QUICK, heat_el=QUICK)
    torch.testing.assert_close(values(fitted.terms_["features"]), values(alone["heat"]))
    torch.testing.assert_close(values(fitted.terms_["logits"]), values(alone["heat_el"]))
    train = WORLD.block(WORLD.train)
    own = [fitted.terms_[name].score(train) for name in ("features", "logits")]
    own.insert(1, fitted.terms_["std"].score(train.views[fitted.view_]))
    for term, mean, spread in zip(own, fitted.means_, fitted.spreads_, strict=True):
        # all rows of the world are in the sample, and in its order sums round otherwise
        torch.testing.assert_close(
            ((term - mean) / spread).mean(), torch.tensor(0.0, dtype=torch.float64), atol=1e-5, rtol=0
        )
        torch.testing.assert_close(
            ((term - mean) / spread).std(correction=0), torch.tensor(1.0, dtype=torch.float64), atol=1e-5, rtol=0
        )


def test_beta_goes_from_the_smallest_energy_through_the_mean_to_the_largest(fitted):
    block = WORLD.block(WORLD.tests["ood"])
    parts = {"std": block.views[fitted.view_]}
    terms = torch.stack([term.score(parts.get(name, block)) for name, term in fitted.terms_.items()], dim=1)
    energies = (fitted.means_ - terms) / fitted.spreads_
    found = {}
    for beta in (-500.0, -1e-6, 0.0, 1e-6, 500.0):
        fitted.beta = beta
        found[beta] = fitted.score(block)
    fitted.beta = 0.0
    torch.testing.assert_close(found[0.0], -energies.mean(dim=1))
    for beta in (-1e-6, 1e-6):
        torch.testing.assert_close(found[beta], found[0.0], rtol=1e-3, atol=0)
    torch.testing.assert_close(found[500.0], -energies.amax(dim=1), atol=3e-3, rtol=0)
    torch.testing.assert_close(found[-500.0], -energies.amin(dim=1), atol=3e-3, rtol=0)


def test_scores_that_run_along_share_their_trainings(monkeypatch):
    trained = []
    monkeypatch.setattr(corrected, "train_energy", lambda network, rows, *rest: trained.append(rows.shape[1]))
    fit(["heat", "heat_el", "heat_sum"], WORLD)
    assert sorted(trained) == [7, 24, 24]  # deviations, features, logits
    trained.clear()
    fit(["heat", "heat_sum"], WORLD, heat_sum={"seed": 1})
    assert len(trained) == 4


def test_a_term_that_is_the_same_of_all_rows_has_no_say():
    same = WORLD.with_(train=np.ones_like(WORLD.train), weight=np.zeros_like(WORLD.weight))
    found = values(fit(["heat_sum"], same, heat_sum={"hidden": 4, "epochs": 0})["heat_sum"], same)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize(
    "params", [{"hidden": 0}, {"batch": 0}, {"rows": 0}, {"steps": -1}, {"steps_std": -1}, {"rate": 0.0}]
)
@pytest.mark.parametrize("name", ["heat_el", "heat_sum"])
def test_parameters_that_make_no_sense_are_refused(name, params):
    if name == "heat_el" and "steps_std" in params:
        pytest.skip("it has none")
    with pytest.raises(UsageError, match=f"'{name}' needs"):
        create_score(name, params)
