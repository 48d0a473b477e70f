"""Features of changed images: what a plain loop with autograd gives, in one run, and whole again after every stop."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

import moodbench
from moodbench.datasets.images import folder_images
from moodbench.errors import ModelError, UnknownNameError, UsageError
from moodbench.features.cache import FeatureCache
from moodbench.features.extract import extract_images
from moodbench.features.network import Network
from moodbench.features.settings import Settings
from moodbench.features.shards.share import Share
from moodbench.models.recipes.base import VIEWS, choice_of, create_recipe
from moodbench.views import ChangedChoice
from tests.extracting import KILLED, OfMyOwn, arrays, run, same, stopped_after

SOME = ["odin", "odin:eps=0.01,temperature=10"]


def files(done):
    return [done.file, *(one.file for one in done.views.values())]


def recipe(text):
    return create_recipe(ChangedChoice.parse(text))


def odin_by_hand(backbone, image, eps, temperature):
    """ODIN of one picture, as its authors wrote it: (logits, (C,))."""
    image = image[None].clone().requires_grad_()
    logits = backbone.network(image)
    loss = torch.nn.functional.cross_entropy(logits / temperature, logits.argmax(1))
    (gradient,) = torch.autograd.grad(loss, image)
    step = (gradient.ge(0).float() - 0.5) * 2 / torch.tensor(backbone.transform.record["std"]).view(3, 1, 1)
    with torch.no_grad():
        return backbone.network(image - eps * step)[0]


def test_odin_is_a_plain_loop_with_autograd(space, pictures):
    (done,) = run(space, view=SOME, batch_size=5)
    backbone = moodbench.load_model(space.catalog.model("tiny"))
    source = folder_images(pictures / "train")
    for file, (eps, temperature) in zip(files(done)[1:], [(0.0014, 1000.0), (0.01, 10.0)], strict=True):
        stored = arrays(file)
        for i in (0, 7, 20, 41):
            wanted = odin_by_hand(backbone, backbone.transform(source.load(i)), eps, temperature)
            # a gradient that is nearly zero may have another sign where rows are summed otherwise: a pixel of 3072
            np.testing.assert_allclose(stored["logits"][i], wanted, atol=2e-3 * float(wanted.abs().max()))
        np.testing.assert_allclose(
            stored["logits"], stored["features"] @ backbone.head.weight.T + backbone.head.bias, rtol=1e-4, atol=1e-4
        )
        assert np.abs(stored["logits"] - arrays(done.file)["logits"]).max() > 1e-3


def test_no_step_gives_the_models_own_features(space):
    (done,) = run(space, view="odin:eps=0")
    (view,) = done.views.values()
    same(view.file, done.file)


def test_the_models_own_cache_and_layers_do_not_change(space):
    (plain,) = run(space, variant="plain", layers="blocks.1")
    (done,) = run(space, layers="blocks.1", view=SOME)
    assert list(done.views) == ["layer-blocks.1", "view-odin-0.0014", "view-odin-0.01-temperature10"]
    same(done.file, plain.file)
    same(done.layers[0].file, plain.layers[0].file)


def test_provenance_is_that_of_the_model_and_the_view(space):
    (done,) = run(space, view=SOME)
    notes = []
    for file in files(done):
        with FeatureCache(file) as cache:
            notes.append({key: value for key, value in cache.provenance.items() if key != "time"})
    own, first, second = notes
    view = {"name": "odin", "parameters": {"eps": 0.0014, "temperature": 1000.0}, "head": True}
    assert first == {**own, "view": view}
    assert second["view"]["parameters"] == {"eps": 0.01, "temperature": 10.0}


def test_the_plain_pass_is_shared(space, monkeypatch):
    from moodbench.models.backbone import Backbone

    sizes = []
    original = Backbone.forward
    monkeypatch.setattr(Backbone, "forward", lambda self, images: sizes.append(len(images)) or original(self, images))
    run(space, view=SOME)
    # checks of the first pictures, then once for each number of rows: whether the bits of a pass with a graph are equal
    assert sizes == [4, 1, 8, 2]


def test_a_pass_with_other_bits_is_not_shared(space, monkeypatch):
    from moodbench.models.backbone import Backbone

    sizes = []
    original = Backbone.forward

    def other(self, images):
        sizes.append(len(images))
        features, logits = original(self, images)
        return features + 1e-6, logits

    monkeypatch.setattr(Backbone, "forward", other)
    run(space, view="odin")
    assert sizes == [4, 1, 8, 8, 8, 8, 8, 2]


@pytest.mark.parametrize("stop", [1, 4, 8])
def test_a_run_that_stops_between_caches_ends_the_same(space, stop):
    (whole,) = run(space, variant="whole", view=SOME)
    with stopped_after(stop, size=lambda *call: 1):
        run(space, view=SOME)
    (done,) = run(space, view=SOME)
    for one, other in zip(files(done), files(whole), strict=True):
        same(one, other)


def test_views_that_are_added_later_are_the_same(space):
    (together,) = run(space, variant="together", view=SOME)
    run(space)
    lines = []
    (later,) = run(space, view=SOME, batch_size=5, report=lines.append)
    assert later.already
    assert lines[-1].startswith("extracted view-odin-0.0014 and view-odin-0.01-temperature10 of tiny on tiny_train: 42")
    for one, other in zip(files(later), files(together), strict=True):
        same(one, other)


def test_kill_9_then_run_again_at_once(space, catalog, tmp_path):
    (whole,) = run(space, variant="whole", batch_size=2, view="odin")
    script = KILLED.replace("workers=int(workers),", "workers=int(workers), view='odin',")
    command = [sys.executable, "-c", script, str(tmp_path), str(catalog), "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for _ in range(7):
        assert process.stdout.readline() == "row\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (done,) = run(space, batch_size=2, view="odin")
    assert done.begun_at >= 4
    for one, other in zip(files(done), files(whole), strict=True):
        same(one, other)


def test_memory_that_runs_out_halves_what_is_changed_at_once_and_not_the_plain_batches(space, monkeypatch):
    (whole,) = run(space, variant="whole", view="odin")
    from moodbench.models.recipes.odin import ODIN

    original = ODIN.compute

    def greedy(self, seen):
        if len(seen) > 4:
            raise RuntimeError("CUDA out of memory")
        return original(self, seen)

    monkeypatch.setattr(ODIN, "compute", greedy)
    lines = []
    (done,) = run(space, view="odin", report=lines.append)
    assert lines[-1].endswith("4 at once: memory ran out")
    same(done.file, whole.file)
    small, large = (arrays(files(one)[1])["features"] for one in (done, whole))
    np.testing.assert_allclose(small, large, rtol=1e-2, atol=1e-2)


def network_of(compute, **settings):
    """Return the network of a linear layer whose features `compute` makes of its outputs."""
    torch.manual_seed(1)
    transform = OfMyOwn()
    transform.record = {**transform.record, "std": [1, 1, 1]}
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 5))
    head = moodbench.Head(np.eye(3, 5, dtype=np.float32), np.zeros(3, np.float32))
    backbone = moodbench.Backbone.from_module(
        linear, transform, features=lambda net, images: compute(net(images)), head=head
    )
    return backbone, Network(backbone, Settings("cpu", **settings), 4, [recipe("odin")])


def test_weights_get_no_gradients_and_keep_what_they_ask_for():
    backbone, network = network_of(lambda values: values)
    network(torch.rand(4, 3, 8, 8)).arrays(1)
    assert all(weight.grad is None and weight.requires_grad for weight in backbone.network.parameters())
    assert not backbone.network.training


def test_a_zero_gradient_darkens_as_in_the_authors_program():
    _, network = network_of(lambda values: values)
    with torch.no_grad():
        for weight in network.backbone.network.parameters():
            weight.zero_()
        network.backbone.network[1].weight[0, 0] = 1.0
    features, _ = network(torch.full((1, 3, 8, 8), 0.5)).arrays(1)
    # class 0 wins, so that its one pixel grows
    assert features[0, 0] == pytest.approx(0.5 + 0.0014)
    with torch.no_grad():
        network.backbone.network[1].weight[:, 1] = 1.0  # of all outputs alike: the gradient is zero
    features, _ = network(torch.full((1, 3, 8, 8), 0.5)).arrays(1)
    assert features[0, 1] == pytest.approx(0.5 - 0.0014)


def test_bf16_keeps_float32_outside_of_the_network():
    _, network = network_of(lambda values: values, precision="bf16")
    features, logits = network(torch.rand(4, 3, 8, 8)).arrays(1)
    assert features.dtype == logits.dtype == np.float32
    assert np.isfinite(features).all()


@pytest.mark.parametrize(
    ("compute", "why"),
    [
        (lambda values: values.detach(), "does not require grad"),
        (lambda values: values.round(), "they are zero or not finite"),
        (lambda values: torch.inference_mode()(lambda: values * 2)(), "."),
    ],
    ids=["cut", "rounded", "inference"],
)
def test_networks_without_gradients_are_refused(compute, why):
    _, network = network_of(compute)
    with pytest.raises(ModelError, match=rf"the view 'odin' needs gradients.*Sequential gives none: .*{why}"):
        network.check_views(torch.rand(4, 3, 8, 8))


@pytest.mark.parametrize("share", [None, Share(1, 2)])
def test_a_refused_view_leaves_no_folder(tmp_path, pictures, share):
    backbone, network = network_of(lambda values: values.detach())
    images, file = folder_images(pictures / "train"), tmp_path / "m" / "d.h5"
    given = {"model": "m", "dataset": "d", "settings": Settings("cpu", workers=0), "views": network.views}
    with pytest.raises(ModelError, match="does not require grad"):
        extract_images(backbone, images, file, share=share, **given)
    assert not list(tmp_path.iterdir())


def test_a_transform_that_does_not_say_its_scale_is_refused():
    backbone, network = network_of(lambda values: values)
    del backbone.transform.record["std"]
    with pytest.raises(ModelError, match="has no 'std'"):
        network.check_views(torch.rand(4, 3, 8, 8))


@pytest.mark.parametrize(
    ("options", "error", "what"),
    [
        ({"view": "odim"}, UnknownNameError, r"there is no view 'odim'"),
        ({"view": "odin:epsilon=1"}, UsageError, "has no parameter 'epsilon'"),
        ({"view": "odin:eps"}, UsageError, "does not say which view"),
        ({"view": "odin:eps=x"}, UsageError, "'x' is not a number"),
        ({"view": "odin:eps=nan"}, UsageError, "'nan' is not a number"),
        ({"view": "odin:eps=1e9"}, UsageError, "'1e9' is not a number, or is too large"),
        ({"view": "odin:eps=-1"}, UsageError, "on a scale from 0 to 1, and must lie between 0 and 1, got -1"),
        ({"view": "fgsm:eps=2"}, UsageError, "on a scale from 0 to 1, and must lie between 0 and 1, got 2"),
        ({"view": "odin:eps=1000"}, UsageError, "'eps' of the view 'odin' is a step in pixels on a scale from 0 to 1"),
        ({"view": "adascale:eps=11"}, UsageError, "must lie between 0 and 10, got 11"),
        ({"view": "pro:eps=11"}, UsageError, "is a step in the numbers that the network sees"),
        ({"view": "dropout:p=1"}, UsageError, "must be at least 0 and below 1, got 1"),
        ({"view": "dropout:seed=-1"}, UsageError, "'seed' of the view 'dropout' must lie between 0 and"),
        ({"view": "odin:temperature=0"}, UsageError, "'temperature' of the view 'odin' must lie between 0.001 and"),
        ({"view": "nac:layer=every:0"}, UsageError, "'layer' of the view 'nac' must be all, every:N .*, got every:0"),
        ({"view": "gram:layer=all+a"}, UsageError, r"'layer' of the view 'gram' must be all, every:N .*, got all\+a"),
        ({"view": "odin:eps=1,eps=2"}, UsageError, "gives 'eps' twice"),
        ({"view": "odin", "compile": True}, UsageError, "a compiled network gives no gradients"),
        ({"view": "odin", "precision": "fp16"}, UsageError, "gradients are too small for fp16"),
        ({"view": "odin", "with_head": False}, ModelError, "reads the model's own head, and it has none"),
    ],
)
def test_what_cannot_be_asked_for(space, options, error, what):
    with pytest.raises(error, match=what):
        run(space, **options)
    assert not list(space.cache_dir.rglob("*.h5"))


@pytest.mark.parametrize("name", list(VIEWS))
def test_recipes_keep_the_contract(name):
    made = VIEWS.get(name)()
    assert dataclasses.is_dataclass(made)
    assert made.name == name
    assert made.view.startswith(f"view-{name}")
    assert made.paper
    assert set(made.noted["view"]) == {"name", "parameters", "head"}
    assert VIEWS.get(name).__doc__.count("References") == 1


@pytest.mark.parametrize(
    "text",
    [
        "odin",
        "odin:eps=0.01",
        "odin:eps=1e-05,temperature=10",
        "pro:steps=1,confidence=entropy",
        "dropout:p=0.25,seed=3",
    ],
)
def test_names_say_how_a_view_is_made(text):
    assert choice_of(recipe(text).view) == text
    assert choice_of(f"view-{text.partition(':')[0]}") == text.partition(":")[0]


def by_hand(space, pictures, i):
    """Return picture i of ID train, and (x → (features, logits)), one picture each."""
    backbone = moodbench.load_model(space.catalog.model("tiny"))
    image = backbone.transform(folder_images(pictures / "train").load(i))[None].requires_grad_()

    def forward(x):
        features = backbone.network.forward_head(backbone.network.forward_features(x), pre_logits=True)
        return features, backbone.network.head(features)

    return image, torch.tensor(backbone.transform.record["std"]).view(3, 1, 1), forward


def gradient_of(value, image):
    return torch.autograd.grad(value, image)[0]


@pytest.mark.parametrize("i", [3, 30])
def test_other_recipes_are_what_their_authors_wrote(space, pictures, i):
    (done,) = run(space, view=["iodin:eps=0.2", "adascale", "pro:eps=0.01,steps=2", "she"])
    image, std, forward = by_hand(space, pictures, i)
    logits = forward(image)[1]
    c = int(logits.argmax())
    stored = [arrays(one.file)["features"][i] for one in done.views.values()]

    g = gradient_of(torch.nn.functional.cross_entropy(logits / 1000, logits.argmax(1)), image)
    place = g.abs().flatten().argmax()
    x = image.detach().clone()
    x.view(-1)[place] -= 0.2 * (1 if g.view(-1)[place] >= 0 else -1) / std.expand(3, 32, 32).reshape(-1)[place]
    wanted = [forward(x)[0]]

    g = gradient_of(forward(image)[1][0, c], image)
    order = g.abs().flatten().argsort()[: int(3072 * 0.05)]
    x = image.detach().clone()
    x.view(-1)[order] += 0.5 * g.view(-1)[order].sign()
    wanted.append(forward(x)[0])

    x, met = image, []
    for _ in range(3):
        features, logits = forward(x)
        met.append((float(logits.softmax(1).amax().detach()), features))
        g = gradient_of(logits.softmax(1).amax(), x)
        x = (x - 0.01 * g.sign()).detach().requires_grad_()
    wanted.append(min(met, key=lambda one: one[0])[1])

    g = gradient_of(torch.nn.functional.cross_entropy(forward(image)[1], torch.tensor([c])), image)
    wanted.append(forward(image.detach() - 0.0014 * torch.where(g >= 0, 1.0, -1.0) / std)[0])
    for found, one in zip(stored, wanted, strict=True):
        # a gradient that is nearly zero may have another sign where rows are summed otherwise
        values = one[0].detach().numpy()
        np.testing.assert_allclose(found, values, atol=5e-3 * np.abs(values).max())


def test_dropout_draws_the_same_whatever_the_batches_are(space):
    (eights,) = run(space, variant="eights", view=["dropout", "dropout:seed=1"])
    (fives,) = run(space, variant="fives", view="dropout", batch_size=5)
    first, second = (arrays(one.file)["features"] for one in eights.views.values())
    other = arrays(files(fives)[1])["features"]
    np.testing.assert_allclose(first, other, rtol=1e-4, atol=1e-5)
    assert np.abs(first - second).max() > 0.1
    assert np.abs(first - arrays(eights.file)["features"]).max() > 0.1


def test_dropout_needs_dropout_layers(space, pictures):
    backbone, _ = network_of(lambda values: values)
    with pytest.raises(ModelError, match="Sequential has no dropout layers"):
        moodbench.extract(
            backbone, name="mine", dataset=["x"], images=pictures / "ood", workspace=space, view="dropout"
        )
    assert not list(space.cache_dir.rglob("*.h5"))


def test_dropout_keeps_the_mean():
    from moodbench.models.recipes.dropout import Dropout

    layer = torch.nn.Dropout(0.0).eval()
    outputs = torch.ones(64, 500)
    dropped = Dropout(p=0.3)._hook(0, torch.arange(64))(layer, None, outputs)
    assert sorted(dropped.unique().tolist()) == pytest.approx([0, 1 / 0.7])
    assert float(dropped.mean()) == pytest.approx(1, abs=0.02)
