"""Channels last and compiled networks: noted, kept by a run that goes on, and not mixed with others."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import torch
from torch import nn

import moodbench
from moodbench.commands.extract import extract
from moodbench.errors import CacheMismatchError, ModelError
from moodbench.features.cache import FeatureCache
from moodbench.features.network import Network
from tests.caches import as_schema_1
from tests.extracting import OfMyOwn, arrays, run


def test_channels_last_is_noted_and_kept_by_a_run_that_goes_on(space, monkeypatch):
    (plain,) = run(space, variant="a", channels_last=False)
    (last,) = run(space, variant="b")
    for done, noted in ((plain, False), (last, True)):
        with FeatureCache(done.file) as cache:
            assert cache.provenance["channels_last"] is noted
    np.testing.assert_allclose(arrays(last.file)["features"], arrays(plain.file)["features"], rtol=1e-4, atol=1e-5)
    with h5py.File(last.file, "r+") as h5:
        h5["crc32"][30] = 0
        h5.attrs.modify("complete", np.uint8(0))
    layouts, original = [], Network._compute
    monkeypatch.setattr(Network, "_compute", lambda self, *x: layouts.append(self.layout) or original(self, *x))
    run(space, variant="b", channels_last=False)
    assert set(layouts) == {torch.channels_last}


class Viewing(nn.Module):
    """Reshapes without copying, which only the usual order of pixels allows."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 1)
        self.head = nn.Linear(256, 2)

    def forward(self, images):
        return self.head(self.convolution(images).view(len(images), -1))


def test_a_network_that_does_not_take_channels_last_gets_the_usual_order(space, pictures):
    backbone = moodbench.Backbone.from_module(Viewing(), OfMyOwn(), name="viewing")
    options = {"dataset": ["mine"], "images": pictures / "ood", "workspace": space, "name": "viewing"}
    (done,) = extract(backbone, **options)
    with FeatureCache(done.file) as cache:
        assert cache.provenance["channels_last"] is False
    with pytest.raises(ModelError, match="does not work with channels last: view size"):
        extract(backbone, variant="asked", channels_last=True, **options)


@pytest.fixture
def compiler(monkeypatch):
    """A stand-in for `torch.compile`, which takes minutes: it notes how many rows each call has."""
    shown = []

    def compile(function, *, dynamic):
        assert dynamic is False

        def compiled(images):
            shown.append(len(images))
            return function(images)

        return compiled

    monkeypatch.setattr(torch, "compile", compile)
    return shown


def test_compiled_networks_see_one_shape_and_are_not_mixed_with_others(space, compiler):
    (plain,) = run(space, variant="v")
    with pytest.raises(CacheMismatchError, match="compile: False in the cache, True now"):
        run(space, variant="v", compile=True)
    (compiled,) = run(space, variant="c", compile=True)
    assert set(compiler) == {8}  # also of the last batch, which has 2 rows
    np.testing.assert_allclose(arrays(compiled.file)["features"], arrays(plain.file)["features"], rtol=1e-4, atol=1e-5)
    with FeatureCache(compiled.file) as cache:
        assert cache.provenance["compile"] is True


def test_a_cache_from_before_these_options_goes_on(space):
    (done,) = run(space)
    as_schema_1(done.file)
    with h5py.File(done.file, "r+") as h5:
        noted = json.loads(h5.attrs["provenance"])
        del noted["compile"], noted["channels_last"]
        h5.attrs["provenance"] = json.dumps(noted)
        h5["crc32"][9] = 0
        h5.attrs.modify("complete", np.uint8(0))
    assert run(space)[0].begun_at == 8


def test_no_compiler_is_one_message(space, monkeypatch):
    def compile(function, *, dynamic):
        def fails(images):
            raise LookupError("No working C++ compiler found\nlong story")

        return fails

    monkeypatch.setattr(torch, "compile", compile)
    with pytest.raises(ModelError, match=r"torch\.compile cannot compile 'test_vit' here") as error:
        run(space, compile=True)
    assert error.value.what.endswith("No working C++ compiler found")
    assert "leave --compile out" in str(error.value)
    assert space.cached_models() == []  # noticed before a cache is begun
