"""Numbers that recipes make on their way through a network: what plain loops with autograd give, picture by picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import moodbench
from moodbench.datasets.images import folder_images
from moodbench.errors import ModelError, UnknownNameError
from moodbench.features.cache import FeatureCache
from moodbench.models.recipes.base import create_recipe
from moodbench.views import ChangedChoice
from tests.extracting import OfMyOwn, arrays, run, same

ROWS = (0, 7, 41)


def views(done):
    return {name: one.file for name, one in done.views.items()}


@pytest.fixture
def shown(space, pictures):
    """The network, and the transformed pictures of some rows."""
    backbone = moodbench.load_model(space.catalog.model("tiny"))
    source = folder_images(pictures / "train")
    return backbone, {i: backbone.transform(source.load(i))[None].requires_grad_() for i in ROWS}


def test_states_are_sums_of_outputs_times_sums_of_their_gradients(space, shown):
    (done,) = run(space, view="nac:layer=blocks.1+blocks.3.norm2", batch_size=5)
    assert list(views(done)) == ["view-nac-blocks.1", "view-nac-blocks.3.norm2"]
    backbone, pictures = shown
    for file, layer in zip(views(done).values(), ("blocks.1", "blocks.3.norm2"), strict=True):
        stored = arrays(file)
        for i, picture in pictures.items():
            kept = []
            handle = backbone.network.get_submodule(layer).register_forward_hook(
                lambda module, given, made, kept=kept: kept.append(made)
            )
            logits = backbone.network(picture)
            handle.remove()
            uniform = torch.full_like(logits, 1 / logits.shape[1])
            loss = torch.nn.functional.kl_div(torch.log_softmax(logits, 1), uniform, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, kept[0])
            wanted = (kept[0].sum(1) * gradient.sum(1))[0].detach().numpy()
            np.testing.assert_allclose(stored["features"][i], wanted, rtol=1e-3, atol=1e-5 * np.abs(wanted).max())
        with FeatureCache(file) as cache:
            assert cache.classes is None
            assert cache.provenance["view"]["parameters"] == {"layer": layer}


def test_all_layers_at_once_are_each_alone(space):
    (together,) = run(space, view="nac:layer=every:2")
    (alone,) = run(space, view="nac:layer=blocks.3", variant="alone")
    assert len(together.views) == 3
    (file,) = views(alone).values()
    same(next(one for name, one in views(together).items() if "blocks.3" in str(name)), file)
    same(together.file, alone.file)


def test_a_layer_that_is_not_there_is_refused(space):
    with pytest.raises(UnknownNameError, match=r"'blocks\.9'"):
        run(space, view="nac:layer=blocks.9")


@pytest.mark.parametrize("name", ["nac", "gram"])
def test_a_network_without_names_of_layers_takes_those_of_its_modules(name):
    network = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    with pytest.raises(
        ModelError, match=f"Sequential does not offer its layers .*which the view '{name}' reads"
    ) as error:
        create_recipe(ChangedChoice.parse(name)).of(network)
    assert error.value.fix == f"name modules of it: --view {name}:layer=0+1"
    with pytest.raises(UnknownNameError, match="'9'") as unknown:
        create_recipe(ChangedChoice.parse(f"{name}:layer=0+9")).of(network)
    assert unknown.value.fix == "known layers: 0, 1, 2"
    assert [one.view for one in create_recipe(ChangedChoice.parse(f"{name}:layer=0+2")).of(network)] == [
        f"view-{name}-0",
        f"view-{name}-2",
    ]


def test_jacobians_between_layers_that_have_no_names():
    with pytest.raises(ModelError, match="Sequential does not offer its layers") as error:
        create_recipe(ChangedChoice.parse("blood")).reads(torch.nn.Sequential(torch.nn.Linear(4, 3)))
    assert error.value.fix is not None
    assert error.value.fix.startswith("leave --view blood out")


def test_norms_of_jacobians(space, shown):
    (done,) = run(space, view="blood:draws=400", batch_size=5)
    (file,) = views(done).values()
    stored = arrays(file)["features"]
    backbone, pictures = shown
    blocks = backbone.network.blocks
    assert stored.shape[1] == len(blocks) - 1
    by_token = backbone.network.global_pool == "token"
    for i, picture in pictures.items():
        kept = []
        handles = [
            block.register_forward_hook(lambda module, given, made, kept=kept: kept.append(made)) for block in blocks
        ]
        backbone.network(picture)
        for handle in handles:
            handle.remove()
        for position in (0, len(blocks) - 2):
            after = kept[position + 1][0, 0] if by_token else kept[position + 1].flatten()
            exact = 0.0
            for value in after:
                (row,) = torch.autograd.grad(value, kept[position], retain_graph=True)
                exact += float((row[0, 0] if by_token else row).square().sum())
            assert stored[i, position] == pytest.approx(exact, rel=0.25)


def test_draws_do_not_depend_on_the_batch(space):
    (one,) = run(space, view="blood", batch_size=5)
    (other,) = run(space, view="blood", batch_size=16, variant="other")
    for a, b in zip(views(one).values(), views(other).values(), strict=True):
        np.testing.assert_allclose(arrays(a)["features"], arrays(b)["features"], rtol=1e-3)
    (third,) = run(space, view="blood:draws=10,seed=1", variant="third")
    (file,) = views(third).values()
    assert np.abs(arrays(file)["features"] / arrays(a)["features"] - 1).max() > 1e-3


def test_networks_without_layers_are_refused(space):
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 5))
    backbone = moodbench.Backbone.from_module(network, OfMyOwn(), name="own")
    with pytest.raises(ModelError, match="does not offer its layers"):
        moodbench.extract(backbone, name="own", dataset="tiny_ood", view="blood", workspace=space)
