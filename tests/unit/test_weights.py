"""The files that a model needs: found on this disk, fetched and checked, and what is said when they cannot be had."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from moodbench.catalog import HeadSpec, ModelSpec, load_catalog
from moodbench.errors import ModelError, UsageError
from moodbench.models import hub
from moodbench.models.checkpoint import weights_sha256
from moodbench.models.load import load_model
from moodbench.models.weights import (
    Weights,
    check_obtainable,
    digest_known,
    fetch_weights,
    head_on_disk,
    is_complete,
    weights_on_disk,
)
from tests.server import Page, Refusal, Server, server_fixture  # noqa: F401

SPEC = ModelSpec("mine", "Mine", "unspecified", timm="test_vit.r160_in1k")
OF_THE_HUB = "/timm/test_vit.r160_in1k/resolve/main/"
REVISION = "a" * 40


@pytest.fixture(scope="module")
def body(tmp_path_factory) -> bytes:
    """Return random weights of test_vit as a safetensors file."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "x.safetensors"
    save_file(timm.create_model("test_vit").state_dict(), file)
    return file.read_bytes()


@pytest.fixture
def digest(body) -> str:
    return hashlib.sha256(body).hexdigest()


@pytest.fixture(autouse=True)
def caches(monkeypatch, tmp_path) -> Path:
    """Empty caches of torch and the hub, and no proxy."""
    from huggingface_hub import constants

    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path


@pytest.fixture
def hub_server(server, monkeypatch) -> Server:
    """Return a server that the hub client takes for the hub."""
    from huggingface_hub import constants

    # the client reads its environment when it is imported
    monkeypatch.setattr(constants, "ENDPOINT", server.url(""))
    template = server.url("/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    return server


def offer(server: Server, body: bytes, name: str = "model.safetensors", tag: str | None = None) -> Page:
    """Let the hub hold a large file, which lies under its SHA-256."""
    tag = tag or hashlib.sha256(body).hexdigest()
    return server.add(OF_THE_HUB + name, body, etag=f'"{tag}"', headers={"X-Repo-Commit": REVISION})


def fetch(spec: ModelSpec) -> tuple[Weights, list[str]]:
    lines: list[str] = []
    return fetch_weights(spec, report=lines.append), lines


# -- addresses ----------------------------------------------------------------------------------------------------


def test_an_address_is_fetched_once_and_then_loaded(server, body, digest):
    page = server.add(f"/w/vit-{digest[:8]}.safetensors", body)
    spec = dataclasses.replace(SPEC, timm="test_vit", url=server.url(f"/w/vit-{digest[:8]}.safetensors"))
    assert weights_on_disk(spec) is None
    found, lines = fetch(spec)
    assert found == Weights(hub.torch_cache() / f"vit-{digest[:8]}.safetensors", len(body), digest, already=False)
    assert lines == [f"mine: fetching vit-{digest[:8]}.safetensors from 127.0.0.1:{server.port}"]
    assert weights_on_disk(spec) == found.file
    assert fetch(spec) == (dataclasses.replace(found, already=True), [])
    assert load_model(spec).head.classes == 1000
    assert page.sent == len(body)
    assert [file.name for file in found.file.parent.iterdir()] == [found.file.name]


def test_loading_fetches_too_and_goes_on_where_it_broke_off(server, body, digest):
    page = server.add("/vit.safetensors", body, cuts=[len(body) // 2])
    spec = dataclasses.replace(SPEC, timm="test_vit", url=server.url("/vit.safetensors"), sha256=digest)
    assert load_model(spec).record["weights"].startswith("file vit.safetensors")
    assert page.sent == len(body)


def test_a_file_without_a_published_digest_says_its_own(server, body, digest):
    server.add("/vit.safetensors", body)
    spec = dataclasses.replace(SPEC, url=server.url("/vit.safetensors"))
    _, lines = fetch(spec)
    assert lines[1:] == [f"mine: no digest of vit.safetensors is published; its sha256 is {digest}"]


@pytest.mark.parametrize("how", ["name", "entry", "size"])
def test_another_file_is_refused_and_never_taken_for_the_right_one(server, body, how):
    name = "vit-ffffffff.safetensors" if how == "name" else "vit.safetensors"
    server.add(f"/{name}", body)
    spec = dataclasses.replace(SPEC, url=server.url(f"/{name}"))
    spec = dataclasses.replace(spec, **{"name": {}, "entry": {"sha256": "f" * 64}, "size": {"bytes": 7}}[how])
    with pytest.raises(ModelError, match=r"127\.0\.0\.1:\d+ gave (another|no usable) file") as caught:
        fetch(spec)
    assert spec.url in caught.value.fix
    assert weights_on_disk(spec) is None


def test_a_damaged_file_is_refused(server, body, digest):
    server.add("/vit.safetensors", body)
    spec = dataclasses.replace(SPEC, url=server.url("/vit.safetensors"), sha256=digest)
    found, _ = fetch(spec)
    found.file.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    with pytest.raises(ModelError, match=f"expected {digest}") as caught:
        fetch(spec)
    assert caught.value.file == found.file


@pytest.mark.parametrize(("status", "said"), [(403, "403"), (404, "404")])
def test_an_address_that_refuses(server, status, said):
    server.add("/vit.safetensors", always=Refusal(status))
    spec = dataclasses.replace(SPEC, url=server.url("/vit.safetensors"))
    with pytest.raises(ModelError, match=said) as caught:
        fetch(spec)
    assert "--checkpoint FILE" in caught.value.fix


def test_heads_in_files_of_their_own(server, body, digest, tmp_path):
    server.add("/vit.safetensors", body)
    server.add("/head.pth", b"a head")
    spec = dataclasses.replace(SPEC, url=server.url("/vit.safetensors"))
    spec = dataclasses.replace(spec, head=HeadSpec("file", url=server.url("/head.pth")))
    found, lines = fetch(spec)
    assert (found.sha256, found.head.bytes, found.head.already) == (digest, 6, False)
    assert len(lines) == 4
    assert head_on_disk(spec) == found.head.file
    assert is_complete(spec)
    found.head.file.unlink()
    assert not is_complete(spec)
    (tmp_path / "mine.pth").write_bytes(b"another")
    own = dataclasses.replace(spec, head=HeadSpec("file", path=tmp_path / "mine.pth"))
    assert fetch(own)[0].head.file == tmp_path / "mine.pth"
    with pytest.raises(ModelError, match="does not exist"):
        fetch(dataclasses.replace(spec, head=HeadSpec("file", path=tmp_path / "no.pth")))


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


# -- what is here already -----------------------------------------------------------------------------------------


def test_embedded_checkpoints_are_checked(tmp_path):
    spec = load_catalog().model("digits_mim")
    found, lines = fetch(spec)
    assert found == Weights(spec.checkpoint, spec.checkpoint.stat().st_size, spec.sha256, already=True)
    assert lines == []
    with pytest.raises(ModelError, match="not the expected file"):
        fetch(dataclasses.replace(spec, sha256="0" * 64))
    with pytest.raises(ModelError, match="'digits_mim' does not exist"):
        fetch(dataclasses.replace(spec, checkpoint=tmp_path / "no.pth"))


def test_what_weights_are_checked_against():
    catalog = load_catalog()
    known = {name: digest_known(catalog.model(name)) for name in ("digits_mim", "vit", "mae_official", "beit")}
    assert known == {"digits_mim": "whole", "vit": "prefix", "mae_official": "none", "beit": "hub"}


def test_torchs_cache_is_the_same_without_torch(monkeypatch, tmp_path):
    def both() -> tuple[Path, Path]:
        with_torch = hub.torch_cache()
        with monkeypatch.context() as without:
            without.delitem(sys.modules, "torch")
            return with_torch, hub.torch_cache()

    for variables in ({"TORCH_HOME": str(tmp_path)}, {"XDG_CACHE_HOME": str(tmp_path)}, {"HOME": str(tmp_path)}):
        for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        first, second = both()
        assert first == second
        assert first.is_relative_to(tmp_path)


def test_listing_imports_nothing_heavy():
    code = (
        "import sys\nfrom moodbench.commands.list_ import list_models, list_fair\n"
        "from moodbench.workspace import Workspace\n"
        "assert list_models(Workspace()) and list_fair(Workspace())\n"
        "print(*({'torch', 'timm', 'numpy', 'requests', 'safetensors'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.split() == []


def test_the_list_says_what_is_here(server, body, space):
    from typer.testing import CliRunner

    from moodbench.cli import app

    server.add("/vit.safetensors", body)
    space.catalogs[0].write_text(
        "models:\n  mine: {title: M, pretext: hybrid, timm: test_vit, params: 250,"
        " variants: {moodv2: {transform: moodv2}},"
        f" url: '{server.url('/vit.safetensors')}', sha256: unknown}}\n"
    )

    def listed(*options: str) -> str:
        result = CliRunner().invoke(app, ["list", "models", "--catalog", str(space.catalogs[0]), *options])
        assert (result.exit_code, result.stderr) == (0, "")
        return result.stdout

    line = next(line for line in listed().splitlines() if line.startswith("mine"))
    assert line.split() == ["mine", "hybrid", "own", "address", "no", "≈1.0", "GB", "none", "moodv2"]
    fetch(space.catalog.model("mine"))
    record = next(r for r in json.loads(listed("--json")) if r["name"] == "mine")
    assert (record["on_disk"], record["bytes"], record["digest"]) == (True, len(body), "none")
    line = next(line for line in listed().splitlines() if line.startswith("mine"))
    assert line.split()[4:] == ["yes", f"{len(body) / 1e6:.0f}", "MB", "none", "moodv2"]


@pytest.mark.parametrize("home", ["a file", "a loop", "too long"])
def test_list_models_without_a_home_that_may_be_read(tmp_path, monkeypatch, home):
    """Root may read everything, so tests use homes that nobody can."""
    from typer.testing import CliRunner

    from moodbench.cli import app

    place = tmp_path / ("x" * 300 if home == "too long" else "home")
    if home == "a file":
        place.write_text("")
    elif home == "a loop":
        place.symlink_to(place)
    monkeypatch.setenv("TORCH_HOME", str(place))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(place / "hub"))
    monkeypatch.delitem(sys.modules, "torch", raising=False)  # which has read its own setting already
    done = CliRunner().invoke(app, ["list", "models"])
    assert (done.exit_code, done.stderr) == (0, "")


def test_nobody_knows_a_home(monkeypatch):
    from moodbench.models.hub import torch_cache

    for name in ("TORCH_HOME", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as where the user has no entry
    assert torch_cache().parts[-3:] == ("torch", "hub", "checkpoints")
