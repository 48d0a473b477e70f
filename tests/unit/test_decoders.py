"""Pixels: the exact decoder gives those of timm and torchvision themselves, the fast one says that it does not."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data.transforms_factory import create_transform

from moodbench.commands.extract import extract
from moodbench.datasets.decode import decode
from moodbench.errors import CacheMismatchError, UsageError
from moodbench.features.cache import FeatureCache
from moodbench.models.pixels import layout
from moodbench.models.transforms import build_transform

CONFIG = {"input_size": (3, 64, 64), "crop_pct": 0.875, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def photo(width: int, height: int) -> Image.Image:
    """Return a picture with large shapes, fine grain and colours."""
    y, x = np.mgrid[:height, :width] / 40
    rng = np.random.default_rng(width * 10_000 + height)
    planes = [np.sin(x + 2 * y), np.cos(3 * x - y), np.sin(x * y / 9)]
    values = 128 + 90 * np.stack(planes, axis=2) + rng.normal(0, 12, (height, width, 3))
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def transform(**changes):
    return build_transform("model", {**CONFIG, "crop_mode": "center", "interpolation": "bicubic", **changes}, 64)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos", "nearest"])
@pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
@pytest.mark.parametrize("crop_pct", [0.875, 1.0])
def test_the_exact_pixels_are_those_of_timm(crop_mode, interpolation, crop_pct):
    made = transform(interpolation=interpolation, crop_mode=crop_mode, crop_pct=crop_pct)
    keys = ("interpolation", "crop_pct", "crop_mode", "mean", "std")
    reference = create_transform((3, 64, 64), is_training=False, **{key: made.record[key] for key in keys})
    for size in ((90, 71), (61, 200), (64, 64), (3, 5), (300, 40)):
        picture = photo(*size)
        assert torch.equal(made(picture), reference(picture))


def test_normalising_many_at_once_gives_the_same_bits_as_torchvision():
    import torchvision.transforms.functional as tv

    made = transform()
    every = torch.arange(256, dtype=torch.uint8).repeat(48).view(1, 64, 64, 3)
    pixels = torch.cat([every, every.flip(1), every.roll(7, 2)])
    reference = [tv.normalize(tv.to_tensor(one.numpy()), CONFIG["mean"], CONFIG["std"]) for one in pixels]
    assert torch.equal(made.normalised(pixels), torch.stack(reference))


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {"subsampling": 0}),
        ("RGB", {"subsampling": 1}),
        ("RGB", {"subsampling": 2}),
        ("RGB", {"progressive": True}),
        ("L", {}),
        ("CMYK", {}),
    ],
)
def test_jpegs_of_every_kind_are_what_pillow_converts_them_to(tmp_path, mode, options):
    file = tmp_path / "x.jpg"
    photo(130, 97).convert(mode).save(file, quality=88, **options)
    found = decode(file)
    assert found.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(found), np.asarray(Image.open(file).convert("RGB")))
    small = decode(file, at_least=30)
    assert (small.mode, small.size) == ("RGB", (65, 49))  # a half: a quarter has an edge of 25
    difference = np.asarray(small, np.float32) - np.asarray(found.reduce(2), np.float32)
    assert np.abs(difference).mean() < 4


def test_only_jpegs_are_decoded_smaller_and_never_below_the_edge_that_is_asked_for(tmp_path):
    picture = photo(400, 320)
    for name in ("x.jpg", "x.png"):
        picture.save(tmp_path / name)
    assert decode(tmp_path / "x.png", at_least=40).size == (400, 320)
    sizes = {edge: decode(tmp_path / "x.jpg", at_least=edge).size for edge in (321, 320, 160, 80, 40, 1)}
    assert sizes == {
        321: (400, 320), 320: (400, 320), 160: (200, 160), 80: (100, 80), 40: (50, 40), 1: (50, 40)
    }  # fmt: skip


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("crop_mode", ["center", "squash"])
@pytest.mark.parametrize("size", [(90, 71), (64, 64), (300, 140)])
def test_the_fast_pixels_of_one_decoded_picture_differ_by_one_at_most(interpolation, crop_mode, size):
    made = transform(interpolation=interpolation, crop_mode=crop_mode)
    exact, fast = (t.pixels(photo(*size)).astype(int) for t in (made, made.fast()))
    assert fast.shape == exact.shape == (64, 64, 3)
    assert np.abs(fast - exact).max() <= 1
    assert (fast != exact).mean() < 0.02


def test_what_torch_cannot_resize_is_resized_exactly():
    for changes in ({"interpolation": "lanczos"}, {"crop_mode": "border"}):
        made = transform(**changes)
        np.testing.assert_array_equal(made.pixels(photo(90, 71)), made.fast().pixels(photo(90, 71)))


def test_layout_is_that_of_torchvision():
    from torchvision.transforms import functional as tv

    record = transform().record
    for width, height in ((500, 375), (375, 500), (333, 500), (101, 103), (64, 1000)):
        (new_width, new_height), (left, top) = layout(record, (width, height))
        resized = tv.resize(photo(width, height), 73)
        assert resized.size == (new_width, new_height)
        cut = resized.crop((left, top, left + 64, top + 64))
        assert cut.tobytes() == tv.center_crop(resized, [64, 64]).tobytes()


@pytest.fixture
def large(tmp_path):
    """A folder of JPEG files that are large enough to be decoded smaller, for a network that sees 32 pixels."""
    for i in range(4):
        photo(200 + i, 180).save(tmp_path / f"{i}.jpg")
    return tmp_path


def test_the_fast_decoder_is_a_variant_and_noted(space, large):
    options = {"dataset": ["mine"], "images": large, "workspace": space, "workers": 0}
    exact, fast = (extract("tiny", decoder=name, **options)[0].file for name in ("exact", "fast"))
    assert (exact.parent.name, fast.parent.name) == ("tiny", "tiny@fast-decode")
    with FeatureCache(exact) as cache:
        assert "decoder" not in cache.provenance["transform"]
    with FeatureCache(fast) as cache:
        assert cache.provenance["transform"]["decoder"] == "fast"
    both = extract("tiny", decoder="fast", precision="bf16", **options)[0]
    assert both.file.parent.name == "tiny@bf16-fast-decode"
    with pytest.raises(CacheMismatchError, match=r"transform\.decoder: none in the cache, fast now"):
        extract("tiny", decoder="fast", variant="v", **options | {"images": _exact(space, large)})


def _exact(space, folder):
    extract("tiny", variant="v", dataset=["mine"], images=folder, workspace=space)
    return folder


def test_the_fast_decoder_does_decode_smaller(space, large, monkeypatch):
    sizes = []
    monkeypatch.setattr(
        "moodbench.models.transforms.Transform.pixels",
        lambda self, image: sizes.append(image.size) or np.zeros((32, 32, 3), np.uint8),
    )
    options = {"dataset": ["mine"], "images": large, "workspace": space, "workers": 0}
    extract("tiny", decoder="fast", variant="a", **options)
    extract("tiny", variant="b", **options)
    assert {size[1] for size in sizes[: len(sizes) // 2]} == {90}  # at least twice 35: half of 180, not a quarter
    assert {size[1] for size in sizes[len(sizes) // 2 :]} == {180}


def test_unknown_decoders_are_usage_errors(space, large):
    with pytest.raises(UsageError, match="decoder cannot be 'best'"):
        extract("tiny", decoder="best", dataset=["mine"], images=large, workspace=space)


def test_a_decoded_jpeg_outlives_its_file(tmp_path):
    file = tmp_path / "x.jpg"
    buffer = io.BytesIO()
    photo(40, 30).save(buffer, "JPEG")
    file.write_bytes(buffer.getvalue())
    picture = decode(file)
    file.unlink()
    assert picture.resize((8, 6)).tobytes() == Image.open(buffer).convert("RGB").resize((8, 6)).tobytes()
