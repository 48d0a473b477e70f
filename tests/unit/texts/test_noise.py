"""The noise images of TANL."""

from __future__ import annotations

import numpy as np
import pytest

from moodbench.texts.noise import EACH, noise_images


def test_three_of_five_kinds_between_0_and_1():
    images = noise_images(40, 32)
    assert images.shape == (15, 3, 40, 32)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0, 1)
    gaussian, uniform, poisson, gamma, points = np.split(images.astype(np.float64), 15 // EACH)
    for one in (gaussian, poisson, gamma, points):
        assert (one.min(), one.max()) == (0, 1)
    skew = [((one - one.mean()) ** 3).mean() / one.std() ** 3 for one in (gaussian, uniform, poisson, gamma)]
    assert skew == pytest.approx([0, 0, 5**-0.5, 2**0.5], abs=0.15)
    assert uniform.std() == pytest.approx(12**-0.5, abs=0.01)
    assert len(np.unique(poisson)) < 20
    assert set(np.unique(points)) == {0, 1}
    assert points.mean() == pytest.approx(0.5, abs=0.02)


def test_the_same_noise_every_time():
    np.testing.assert_array_equal(noise_images(8, 8), noise_images(8, 8))
    assert not np.array_equal(noise_images(8, 8), noise_images(8, 8, seed=1))
