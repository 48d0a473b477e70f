"""Weights of the hub, and what is said when the hub or the network refuses."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys

import pytest
import timm
import torch

from moodbench.catalog import HeadSpec, load_catalog
from moodbench.errors import ModelError, UsageError
from moodbench.models import hub
from moodbench.models.checkpoint import weights_sha256
from moodbench.models.load import load_model
from moodbench.models.weights import (
    check_obtainable,
    weights_on_disk,
)
from tests.hub import SPEC, fetch
from tests.server import Page, Refusal, Server

OF_THE_HUB = "/timm/test_vit.r160_in1k/resolve/main/"
REVISION = "a" * 40


def offer(server: Server, body: bytes, name: str = "model.safetensors", tag: str | None = None) -> Page:
    """Let the hub hold a large file, which lies under its SHA-256."""
    tag = tag or hashlib.sha256(body).hexdigest()
    return server.add(OF_THE_HUB + name, body, etag=f'"{tag}"', headers={"X-Repo-Commit": REVISION})


# -- the hub ------------------------------------------------------------------------------------------------------


def test_weights_of_the_hub_are_fetched_once_and_then_loaded(hub_server, body, digest):
    page = offer(hub_server, body)
    assert weights_on_disk(SPEC) is None
    found, lines = fetch(SPEC)
    assert (found.bytes, found.sha256, found.already) == (len(body), digest, False)
    assert lines == [f"mine: fetching timm/test_vit.r160_in1k from 127.0.0.1:{hub_server.port}"]
    assert weights_on_disk(SPEC) == found.file
    assert fetch(SPEC) == (dataclasses.replace(found, already=True), [])
    assert load_model(SPEC).record["weights"] == "hub timm/test_vit.r160_in1k"
    assert page.sent == len(body)


def test_the_hub_is_left_alone_while_cached_weights_are_loaded_and_no_longer(hub_server, body, monkeypatch, tmp_path):
    from huggingface_hub import constants

    page = offer(hub_server, body)
    fetch(SPEC)  # the client has been in use
    before = len(hub_server.asked)
    load_model(SPEC)
    assert [request.path for request in hub_server.asked[before:]] == []
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    assert not fetch(SPEC)[0].already
    assert page.sent == 2 * len(body)


def test_the_second_name_is_tried(hub_server, body, monkeypatch, tmp_path):
    from huggingface_hub import constants

    missing = Refusal(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": REVISION})
    hub_server.add(f"{OF_THE_HUB}model.safetensors", always=missing)
    offer(hub_server, body, "pytorch_model.bin")
    assert fetch(SPEC)[0].file.name == "pytorch_model.bin"
    hub_server.add(f"{OF_THE_HUB}pytorch_model.bin", always=missing)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    with pytest.raises(ModelError, match="does not hold a file with them"):
        fetch(SPEC)


@pytest.mark.parametrize(
    ("status", "code", "said", "fix"),
    [
        (403, "GatedRepo", "only to people who have agreed to its terms", "hf auth login"),
        (401, "GatedRepo", "only to people who have agreed to its terms", "HF_TOKEN"),
        (403, None, "only to people who have agreed to its terms", "HF_TOKEN"),
        (404, "RepoNotFound", "the hub does not have them", "they may have a new name"),
        (401, "RepoNotFound", "the hub does not have them", "they may have a new name"),
        (404, "RevisionNotFound", "does not have this revision", "leave the revision out"),
    ],
)
def test_refusals_of_the_hub_are_explained(hub_server, status, code, said, fix):
    headers = {} if code is None else {"X-Error-Code": code}
    for name in hub.WEIGHT_FILES:
        hub_server.add(OF_THE_HUB + name, always=Refusal(status, headers))
    for attempt in (lambda: fetch(SPEC), lambda: load_model(SPEC)):
        with pytest.raises(ModelError, match=said) as caught:
            attempt()
        for part in (fix, "--checkpoint FILE", f"{hub_server.url()}timm/test_vit.r160_in1k"):
            assert part in caught.value.fix
        assert "'mine'" in caught.value.what
        assert len(str(caught.value).splitlines()) <= 4


def test_a_file_of_the_hub_that_is_not_what_it_says_is_refused(hub_server, body):
    offer(hub_server, body, tag="f" * 64)
    with pytest.raises(ModelError, match=f"expected {'f' * 64}"):
        fetch(SPEC)


def test_names_that_timm_does_not_have():
    with pytest.raises(UsageError, match="has no model 'test_vitt'"):
        fetch(dataclasses.replace(SPEC, timm="test_vitt"))


# -- no network ---------------------------------------------------------------------------------------------------


def test_offline_is_one_message(monkeypatch, caches, nowhere):
    from huggingface_hub import constants

    hub_address = f"http://127.0.0.1:{nowhere}"
    monkeypatch.setattr(constants, "ENDPOINT", hub_address)
    with pytest.raises(ModelError, match=f"{hub_address} does not answer") as caught:
        fetch(SPEC)
    assert caught.value.file == caches / "hub"
    with pytest.raises(ModelError, match="does not answer") as caught:
        fetch(dataclasses.replace(SPEC, url=f"{hub_address}/x.pth"))
    assert caught.value.file == hub.torch_cache()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set"):
        fetch(SPEC)


def test_offline_is_noticed_before_torch_is_imported(space, tmp_path, nowhere):
    url = f"http://127.0.0.1:{nowhere}/x.pth"
    file = tmp_path / "offline.yaml"
    file.write_text(
        f"models:\n  far: {{title: F, pretext: hybrid, timm: test_vit, url: '{url}'}}\n"
        f"  head: {{title: H, pretext: hybrid, timm: test_vit, checkpoint: {file}, head: {{url: '{url}'}}}}\n"
    )
    code = (
        "import sys, moodbench\nfrom moodbench.workspace import Workspace\nfrom pathlib import Path\n"
        "try:\n    moodbench.extract(sys.argv[1], dataset=['tiny_ood'], workspace=Workspace(catalogs=tuple(map(Path, "
        "sys.argv[2:]))))\nexcept moodbench.MoodbenchError as error:\n    print(error.what, 'torch' in sys.modules)"
    )
    for model in ("far", "head"):
        command = [sys.executable, "-c", code, model, str(space.catalogs[0]), str(file)]
        out = subprocess.run(command, check=True, capture_output=True, text=True)
        assert out.stdout.endswith("does not answer False\n")


def test_download_says_it_before_timm_is_imported(tmp_path, nowhere):
    hub_address = f"http://127.0.0.1:{nowhere}"
    code = (
        "import sys, moodbench\ntry:\n    moodbench.download(model=['beit'])\n"
        "except moodbench.MoodbenchError as error:\n    print(error.what, 'timm' in sys.modules)"
    )
    environment = {**os.environ, "HF_ENDPOINT": hub_address, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", code]
    out = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert f"{hub_address} does not answer" in out.stdout
    assert out.stdout.endswith("False\n")


def test_timm_is_asked_about_an_entry_without_tag(hub_server, body, monkeypatch):
    entry = dataclasses.replace(SPEC, name="ours", timm="test_vit")
    assert weights_on_disk(entry) is None
    offer(hub_server, body)
    found, _ = fetch(entry)
    assert weights_on_disk(entry) == found.file
    monkeypatch.setattr(hub, "reachable", lambda url: False)
    check_obtainable(entry)  # it is here, whether anybody answers or not


def test_a_missing_head_is_called_a_head(server):
    spec = dataclasses.replace(SPEC, head=HeadSpec("file", url=server.url("/head.pth")))
    server.add("/head.pth", b"", always=Refusal(404))
    with pytest.raises(ModelError, match="the head of 'mine' is not on this machine") as caught:
        hub.fetch_url(spec.name, spec.head.url, head=True)
    assert "--no-head" in caught.value.fix
    assert "--checkpoint" not in caught.value.fix


def test_i_jepas_file_holds_an_encoder():
    spec = load_catalog().model("ijepa")
    small = {"depth": 1, "embed_dim": 48, "num_heads": 3}
    network = timm.create_model("vit_huge_patch14_gap_224", num_classes=0, **small)
    encoder = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    file = hub.url_file(spec.url)
    file.parent.mkdir(parents=True)
    torch.save({"encoder": encoder, "predictor": {"x": torch.zeros(1)}, "opt": {}, "epoch": 300}, file)
    backbone = load_model(dataclasses.replace(spec, args=small))
    assert backbone.record["weights_sha256"] == weights_sha256(network)
    assert backbone.forward(torch.zeros(1, 3, 224, 224))[0].shape == (1, 48)


def test_a_line_that_breaks_while_fetching_is_explained(monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def broken(*_: object, **__: object) -> None:
        raise LocalEntryNotFoundError("a paragraph about the cache") from TimeoutError("slow")

    monkeypatch.setattr(hub, "reachable", lambda url: True)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", broken)
    with pytest.raises(ModelError, match="fetching them failed: TimeoutError"):
        fetch(SPEC)


def test_the_limits_keep_silence_within_five_seconds():
    assert hub.PROBE_SECONDS < 5
