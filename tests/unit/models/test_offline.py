"""The network: weights of the hub with and without it, and failures said in seconds."""

from __future__ import annotations

import dataclasses
import logging
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from moodbench.catalog import HeadSpec, load_catalog
from moodbench.errors import ModelError
from moodbench.models import hub
from moodbench.models.build import create
from moodbench.models.checkpoint import weights_sha256
from moodbench.models.load import load_model
from tests.backbones import SPEC, assert_identity


def test_offline_is_noticed_at_once_and_said_once(no_network, monkeypatch, tmp_path, caplog, capfd):
    spec = load_catalog().model("beitv2")
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("another attempt after a pause"))
    with caplog.at_level(logging.DEBUG), pytest.raises(ModelError) as caught:
        load_model(spec)
    message = str(caught.value)
    for part in (
        "'beitv2'",
        "timm/beitv2_base_patch16_224.in1k_ft_in22k_in1k",
        str(tmp_path / "hub"),
        "--checkpoint FILE",
        "HF_HUB_OFFLINE=1",
        f"http://127.0.0.1:{no_network} does not answer",
    ):
        assert part in message
    assert capfd.readouterr() == ("", "")


def test_offline_by_choice_asks_nobody(no_network, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "reachable", lambda url: pytest.fail("the network was asked"))
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set"):
        load_model(dataclasses.replace(SPEC, timm="test_vit.r160_in1k"))


@pytest.fixture
def hub_cache(no_network, monkeypatch, tmp_path, network):
    """A hub cache that holds the weights of test_vit, and nobody to ask for others."""
    folder = tmp_path / "hub" / "models--timm--test_vit.r160_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    save_file(network.state_dict(), folder / "snapshots" / "abc" / "model.safetensors")
    monkeypatch.setattr(hub, "reachable", lambda url: pytest.fail("the network was asked"))


def test_a_filled_hub_cache_needs_no_network(hub_cache, network, images):
    backbone = load_model(dataclasses.replace(SPEC, timm="test_vit.r160_in1k"))
    assert backbone.record["weights_sha256"] == weights_sha256(network)
    assert backbone.record["weights"] == "hub timm/test_vit.r160_in1k"
    assert backbone.record["timm"] == "test_vit.r160_in1k"
    assert_identity(backbone, images)


def test_hub_weights_are_loaded_strictly_with_and_without_head(hub_cache, images):
    spec = dataclasses.replace(SPEC, timm="test_vit.r160_in1k")
    whole, headless = load_model(spec), load_model(spec, with_head=False)
    assert headless.head is None
    assert torch.equal(headless.forward(images)[0], whole.forward(images)[0])
    for with_head in (True, False):  # average pooling needs a norm that these weights do not have
        with pytest.raises(ModelError, match="fc_norm"):
            load_model(dataclasses.replace(spec, args={"global_pool": "avg"}), with_head=with_head)


def test_publishers_names_go_through_timms_conversion(tmp_path):
    """OpenCLIP as timm's own conversion knows it, and no format here: ``visual.trunk.`` beside the texts' part."""
    spec = dataclasses.replace(SPEC, head=HeadSpec("none"))
    made = timm.create_model("test_vit", num_classes=0)
    whole = {f"visual.trunk.{k}": v for k, v in made.state_dict().items()}
    torch.save({**whole, "text.weight": torch.zeros(2, 2), "logit_scale": torch.tensor(1.0)}, tmp_path / "x.pth")
    backbone = load_model(spec, checkpoint=tmp_path / "x.pth")
    assert backbone.record["adapted"] is True
    assert backbone.record["weights_sha256"] == weights_sha256(made)


def test_no_layer_is_bent_or_lost_on_the_way(network, tmp_path):
    """timm would resample the patches and leave out the layer, both without a word."""
    other = timm.create_model("test_vit", patch_size=32).state_dict()
    torch.save(other, tmp_path / "patches.pth")
    with pytest.raises(ModelError, match=r"patch_embed\.proj\.weight is \(64, 3, 32, 32\) instead of"):
        load_model(SPEC, checkpoint=tmp_path / "patches.pth")
    torch.save({**network.state_dict(), "pre_logits.fc.weight": torch.eye(64)}, tmp_path / "hidden.pth")
    with pytest.raises(ModelError, match=r"unexpected: 1 \(pre_logits\.fc\.weight\)"):
        load_model(SPEC, checkpoint=tmp_path / "hidden.pth")
    for headed in (True, False):
        scaled = {**network.state_dict(), "blocks.0.ls1.gamma": torch.ones(64), "blocks.0.ls2.gamma": torch.ones(64)}
        torch.save(scaled, tmp_path / "scaled.pth")
        with pytest.raises(ModelError, match=r"unexpected: 2 \(blocks\.0\.ls1\.gamma") as caught:
            load_model(SPEC, checkpoint=tmp_path / "scaled.pth", with_head=headed)
        assert "init_values" in caught.value.fix
    wanting = dataclasses.replace(SPEC, args={"init_values": 1e-5})
    torch.save(network.state_dict(), tmp_path / "dropped.pth")
    with pytest.raises(ModelError, match=r"missing: \d+ \(blocks\.0\.ls1\.gamma") as caught:
        load_model(wanting, checkpoint=tmp_path / "dropped.pth")
    assert "the network needs LayerScale and the file has none" in caught.value.fix


def test_another_architecture_is_not_taken_for_another_pooling(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "vit.pth")
    beit = dataclasses.replace(SPEC, timm="beit_base_patch16_224", args={"depth": 1, "embed_dim": 48, "num_heads": 3})
    with pytest.raises(ModelError, match="does not fit") as caught:
        load_model(beit, checkpoint=tmp_path / "vit.pth")
    assert caught.value.fix.startswith("use weights of this architecture")


def test_other_pooling_is_refused_with_the_argument_that_mends_it(network, images, tmp_path):
    pooled = timm.create_model("test_vit", global_pool="avg").eval()
    nn.init.normal_(pooled.head.weight, std=0.05)
    save_file(pooled.state_dict(), tmp_path / "avg.safetensors")
    save_file(network.state_dict(), tmp_path / "token.safetensors")
    averaged = dataclasses.replace(SPEC, args={"global_pool": "avg"})
    with pytest.raises(ModelError, match="fc_norm") as caught:
        load_model(SPEC, checkpoint=tmp_path / "avg.safetensors")
    assert "{global_pool: avg}" in caught.value.fix
    with pytest.raises(ModelError, match="fc_norm") as caught:
        load_model(averaged, checkpoint=tmp_path / "token.safetensors")
    assert "{global_pool: token}" in caught.value.fix
    with torch.no_grad():
        assert torch.equal(
            load_model(averaged, checkpoint=tmp_path / "avg.safetensors").forward(images)[1], pooled(images)
        )


def test_digests_in_names():
    assert hub.digest_in_name(Path("vit_in1k_20220623-4c544545.pth")) == "4c544545"
    assert hub.digest_in_name(Path("linear-vit-b.pth")) is None


def test_a_failure_while_fetching_is_one_message_too(no_network, monkeypatch):
    monkeypatch.setattr(hub, "reachable", lambda url: True)
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: (_ for _ in ()).throw(TimeoutError("slow")))
    with pytest.raises(ModelError, match="fetching them failed: TimeoutError"):
        load_model(dataclasses.replace(SPEC, timm="test_vit.r160_in1k"))


def test_a_host_that_never_answers_costs_no_more_than_the_limit():
    with socket.socket() as silent:  # accepts connections into its queue and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = time.monotonic()
        assert not hub.reachable(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds=0.3)
        assert time.monotonic() - start < 30  # a busy machine may need seconds; without the limit there is no end


def test_the_hub_is_asked_while_timm_is_imported(monkeypatch, tmp_path):
    from huggingface_hub import constants

    asked, imported = [], threading.Event()
    monkeypatch.setattr(hub, "_answers", lambda url, seconds: asked.append(url) or imported.wait(seconds))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.ask_ahead("timm/test_vit.r160_in1k")
    assert asked == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub.ask_ahead("timm/test_vit.r160_in1k")
    imported.set()
    assert hub.reachable(hub.endpoint())
    assert asked == [hub.endpoint()]
    assert hub.reachable(hub.endpoint())  # anew: an answer is used once
    assert asked == [hub.endpoint()] * 2


def test_any_answer_counts_but_that_of_a_gateway_and_is_closed(monkeypatch):
    import io
    from email.message import Message
    from urllib.error import HTTPError

    for code, answers in ((401, True), (404, True), (502, False), (504, False)):
        body = io.BytesIO()
        error = HTTPError("http://x", code, "no", Message(), body)  # held, so that it does not close itself

        def refuse(*_, error=error, **__):
            raise error

        monkeypatch.setattr(hub.urllib.request, "urlopen", refuse)
        assert hub.reachable("http://x/", seconds=1) is answers
        assert body.closed


def test_quiet_puts_everything_back():
    logger = logging.getLogger("timm")
    before = logger.level
    with hub.quiet():
        assert logger.getEffectiveLevel() == logging.CRITICAL
    assert logger.level == before
    assert "torch" in sys.modules


def test_an_old_name_of_timm_is_no_warning():
    """A warning is an error here; timm warns that it maps the name to a current one."""
    old = dataclasses.replace(SPEC, timm="vit_tiny_patch16_224_in21k")
    network = create(old, headed=False, pretrained=False, depth=1, embed_dim=24)
    assert network.pretrained_cfg["tag"] == "augreg_in21k"
