"""Weights at an address: fetched once, checked, and refused when they are others."""

from __future__ import annotations

import dataclasses

import pytest

from moodbench.catalog import HeadSpec
from moodbench.errors import ModelError
from moodbench.models import hub
from moodbench.models.load import load_model
from moodbench.models.weights import (
    Weights,
    head_on_disk,
    is_complete,
    weights_on_disk,
)
from tests.hub import SPEC, fetch
from tests.server import Refusal


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
