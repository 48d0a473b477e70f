"""GROOD: its gradient is that of autograd, and rows of ID train are at no distance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.worlds import CannotFitError, fit, make_world

WORLD = make_world(4)
ROWS = np.concatenate(list(WORLD.tests.values()))


def fitted(world=WORLD):
    return fit(["grood"], world)["grood"]


def scored(rows, world=WORLD):
    return fitted(world).score(world.block(rows)).numpy()


@pytest.mark.parametrize("right", [0, 3])
def test_the_gradient_is_that_of_the_cross_entropy_of_any_class(right):
    score = fitted()
    rows = torch.from_numpy(ROWS[:7]).double()
    with torch.inference_mode(mode=False), torch.enable_grad():
        prototype = score.ood_.clone().requires_grad_()
        for row, expected in zip(rows, score.gradients(rows.float()), strict=True):
            distances = torch.stack([(row - one).norm() for one in [*score.prototypes_.clone(), prototype]])
            loss = torch.nn.functional.cross_entropy(-distances[None], torch.tensor([right]))
            (gradient,) = torch.autograd.grad(loss, prototype)
            torch.testing.assert_close(expected, gradient, rtol=1e-9, atol=1e-15)


def test_a_row_of_id_train_that_is_predicted_rightly_is_at_no_distance():
    block = WORLD.block(WORLD.train, WORLD.labels)
    right = (block.predicted == block.labels).numpy()
    scores = scored(WORLD.train)
    assert right.any()
    assert (scores[right] == 0).all()
    assert (scores[~right] < 0).all()


def test_rows_at_the_prototype_have_numbers():
    score = fitted()
    assert torch.isfinite(score.score(WORLD.block(score.ood_[None].float().numpy()))).all()


def test_classes_without_rows_have_no_prototype():
    kept = WORLD.labels != 2
    few = replace(WORLD, train=WORLD.train[kept], labels=WORLD.labels[kept])
    score = fitted(few)
    assert len(score.prototypes_) == len(set(few.labels))
    torch.testing.assert_close(score.ood_, score.prototypes_.mean(dim=0))


def test_id_train_that_is_never_predicted_rightly_cannot_be_fitted_on():
    wrong = (WORLD.block(WORLD.train).predicted.numpy() + 1) % len(WORLD.weight)
    with pytest.raises(CannotFitError, match="predicted correctly"):
        fitted(replace(WORLD, labels=wrong))
