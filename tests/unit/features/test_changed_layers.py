"""Layers of changed images: what a plain loop reads of the network, in the pass of the view, whole after every stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

import moodbench
from moodbench.datasets.images import folder_images
from moodbench.errors import CacheMismatchError, ModelError, UnknownNameError, UsageError
from moodbench.features.cache import FeatureCache
from moodbench.features.network import Network
from moodbench.features.settings import Settings
from moodbench.models.layers import choose_layers
from moodbench.models.recipes.base import VIEWS, choice_of, create_recipe
from moodbench.models.recipes.of_layer import ChangedLayer
from moodbench.views import ChangedChoice, LayerChoice, LayerView, layer_of, split_layer
from tests.extracting import KILLED, arrays, run, same
from tests.networks import drawn_network, drawn_pictures
from tests.passes import Plain

FGSM = "fgsm:eps=0.02"


def files(done):
    return [done.file, *(one.file for one in done.views.values())]


def fgsm_by_hand(backbone, image, eps):
    """Return the adversarial picture, one row: as its authors wrote it, for the predicted class."""
    mean, std = (torch.tensor(backbone.transform.record[key]).view(3, 1, 1) for key in ("mean", "std"))
    leaf = image[None].clone().requires_grad_()
    logits = backbone.network(leaf)
    (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, logits.argmax(1)), leaf)
    moved = (image + eps * (gradient[0].ge(0).float() - 0.5) * 2 / std) * std + mean
    return ((moved.clamp(0, 1) - mean) / std)[None]


def test_layers_of_adversarial_pictures_are_those_of_a_plain_loop(space, pictures):
    (done,) = run(space, view=FGSM, view_layers="all", batch_size=5)
    backbone = moodbench.load_model(space.catalog.model("tiny"))
    source = folder_images(pictures / "train")
    names = [name for name in done.views if split_layer(name)[1]]
    assert names == [f"view-fgsm-0.02-layer-blocks.{i}" for i in range(len(names))] != []
    for i in (0, 7, 41):
        picture = fgsm_by_hand(backbone, backbone.transform(source.load(i)), 0.02)
        with torch.no_grad():
            maps = backbone.network.forward_intermediates(
                picture, norm=False, intermediates_only=True, return_prefix_tokens=True
            )
        for name, (_, prefix) in zip(names, maps, strict=True):
            stored = arrays(done.views[name].file)["features"][i]
            # a gradient that is nearly zero may have another sign where rows are summed otherwise
            np.testing.assert_allclose(stored, prefix[0, 0], atol=2e-2 * float(prefix[0, 0].abs().max()))
            assert "logits" not in arrays(done.views[name].file)


@pytest.mark.parametrize("pool", ["model", "mean"])
def test_without_a_step_they_are_the_models_own_layers(space, pool):
    (done,) = run(space, layers="all", view="odin:eps=0", view_layers="all", pool=pool)
    layers = [name for name in done.views if name.startswith("layer-")]
    assert layers
    for name in layers:
        same(done.views[name].file, done.views[f"view-odin-0-{name}"].file)


def test_views_do_not_change_by_their_layers_and_layers_can_be_added_later(space):
    (plain,) = run(space, variant="plain", view=[FGSM, "odin"])
    (together,) = run(space, variant="together", view=[FGSM, "odin"], view_layers="all")
    for name, one in plain.views.items():
        same(one.file, together.views[name].file)
    run(space, view=FGSM)
    said = []
    (later,) = run(space, view=[FGSM, "odin"], view_layers="all", report=said.append)
    assert said[-1].startswith("extracted view-odin-0.0014, 6 layers of view-fgsm-0.02 and 6 layers of view-odin")
    for one, other in zip(files(later), files(together), strict=True):
        same(one, other)
    (again,) = run(space, view=[FGSM, "odin"], view_layers="all", report=said.append)
    assert again.already
    assert said[-1].startswith("skip tiny, view-fgsm-0.02, view-odin-0.0014, 6 layers of view-fgsm-0.02")


def test_provenance_notes_the_recipe_and_the_layer(space):
    (done,) = run(space, view=FGSM, view_layers="blocks.1", pool="mean")
    name = "view-fgsm-0.02-layer-blocks.1-mean"
    assert list(done.views) == ["view-fgsm-0.02", name]
    with FeatureCache(done.views[name].file) as cache:
        assert cache.provenance["view"] == {"name": "fgsm", "parameters": {"eps": 0.02}, "head": True}
        assert cache.provenance["layer"]["name"] == "blocks.1"
        assert cache.provenance["layer"]["pool"] == "mean"
    file = done.views[name].file
    file.unlink()
    done.views["view-fgsm-0.02"].file.replace(file)
    with pytest.raises(CacheMismatchError, match="layer"):
        run(space, view=FGSM, view_layers="blocks.1", pool="mean")


def test_kill_9_then_run_again_at_once(space, catalog, tmp_path):
    (whole,) = run(space, variant="whole", batch_size=2, view=FGSM, view_layers="all")
    script = KILLED.replace("workers=int(workers),", f"workers=int(workers), view='{FGSM}', view_layers='all',")
    command = [sys.executable, "-c", script, str(tmp_path), str(catalog), "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for _ in range(11):
        assert process.stdout.readline() == "row\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (done,) = run(space, batch_size=2, view=FGSM, view_layers="all")
    assert done.begun_at >= 4
    for one, other in zip(files(done), files(whole), strict=True):
        same(one, other)


@pytest.mark.parametrize(
    ("options", "error", "what"),
    [
        ({"view_layers": "all"}, UsageError, "--view-layers 'all' is of changed images, and none are"),
        ({"view": "nac", "view_layers": "all"}, UsageError, "none is of one pass .*"),
        ({"view": ["pro", "gram"], "view_layers": "all"}, UsageError, "none is of one pass"),
        ({"view": "odin", "view_layers": "every:0"}, UsageError, "'every:0' does not say which layers"),
        ({"view": "odin", "view_layers": "blocks.9"}, UnknownNameError, "there is no layer 'blocks.9'"),
        ({"view": "odin", "view_layers": "all", "compile": True}, UsageError, "a compiled network"),
    ],
)
def test_what_cannot_be_asked_for(space, options, error, what):
    with pytest.raises(error, match=what) as refused:
        run(space, **options)
    assert "--view-layers every:3" in str(refused.value) or "every:0" not in what
    assert not list(space.cache_dir.rglob("*.h5"))


def test_views_without_layers_are_made_as_without(space):
    (done,) = run(space, view=["odin", "pro"], view_layers="blocks.0")
    assert list(done.views) == ["view-odin-0.0014", "view-pro-0.0005", "view-odin-0.0014-layer-blocks.0"]


def network_with(name, arguments, size, views):
    backbone = moodbench.Backbone.from_module(drawn_network(name, **arguments), Plain())
    layers = choose_layers(backbone.network, LayerChoice.parse("all"))
    asked = [create_recipe(ChangedChoice.parse(view)) for view in views]
    inside = [ChangedLayer(recipe, layer) for recipe in asked for layer in layers]
    return Network(backbone, Settings("cpu"), 2, [*asked, *inside]), drawn_pictures(2, size)


def test_features_of_another_pass_than_the_last_are_refused(monkeypatch):
    monkeypatch.setattr(VIEWS.get("fgsm"), "compute", lambda self, seen: seen.forward() + seen.forward(seen.images + 1))
    network, pictures = network_with("test_resnet", {}, 64, ["fgsm"])
    with pytest.raises(ModelError, match="'fgsm' returns other features than its last pass"):
        network.check_views(pictures)


def test_each_recipe_has_its_own_layers():
    network, pictures = network_with("test_resnet", {}, 64, ["odin:eps=0", "fgsm"])
    widths = network.check_views(pictures)
    output = network(pictures)
    parts = [output.arrays(1 + i)[0] for i in range(len(network.views))]
    assert [part.shape[1] for part in parts] == widths
    half = (len(parts) - 2) // 2
    plain = network.taps.network.forward_intermediates(pictures, intermediates_only=True)
    for own, other, wanted in zip(parts[2 : 2 + half], parts[2 + half :], plain, strict=True):
        torch.testing.assert_close(torch.from_numpy(own), wanted.mean((2, 3)), rtol=1e-4, atol=1e-5)
        assert np.abs(own - other).max() > 1e-4


@pytest.mark.parametrize(
    "text",
    [
        "odin --view-layers blocks.3",
        "odin:eps=0.01,temperature=10 --view-layers layer2 --pool mean",
        "fgsm --view-layers blocks.3 --pool cls --view-head probe",
    ],
)
def test_names_say_how_a_layer_is_made(text):
    recipe, *options = text.split(" --")
    given = dict(option.split(" ") for option in options)
    view = create_recipe(ChangedChoice.parse(recipe)).view
    view += f"-head-{given['view-head']}" if "view-head" in given else ""
    layer = LayerView(given["view-layers"], given.get("pool"))
    name = layer_of(view, layer)
    assert split_layer(name) == (view, layer)
    assert choice_of(name) == text


def test_only_views_of_one_pass_have_layers():
    layered = {name for name in VIEWS if VIEWS.get(name).layered}
    assert layered == {"odin", "she", "iodin", "adascale", "dropout", "fgsm"}
    assert not any(VIEWS.get(name).numbers for name in layered)
    assert split_layer("view-nac-layer3") == ("view-nac-layer3", None)
    assert split_layer("layer-blocks.3") == ("layer-blocks.3", None)
    assert split_layer("view-odin-1-head-a-layer-b")[1] is None  # a head may be called so


@pytest.mark.parametrize(("views", "passes"), [(["gaia_z"], 1), (["gaia_z", "gaia_a"], 1), (["gaia_z", "odin"], 2)])
def test_gradients_at_layers_are_of_the_shared_pass(views, passes):
    network = Network(
        moodbench.Backbone.from_module(drawn_network("test_resnet"), Plain()),
        Settings("cpu"),
        2,
        [create_recipe(ChangedChoice.parse(view)) for view in views],
    )
    pictures = drawn_pictures(2, 64)
    network(pictures)  # whether the plain pass has the same bits is tried once
    alone = [Network(network.backbone, Settings("cpu"), 2, [view])(pictures).arrays(1)[0] for view in network.views]
    counted = []
    handle = network.backbone.network.conv1.register_forward_hook(lambda *a: counted.append(1))
    output = network(pictures)
    handle.remove()
    assert len(counted) == passes
    for i, own in enumerate(alone):
        np.testing.assert_array_equal(output.arrays(1 + i)[0], own)
