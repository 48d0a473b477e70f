"""The pictures of the embedded benchmark: the same bytes everywhere, clean splits, usable names."""

from __future__ import annotations

import hashlib
import socket

import numpy as np
import pytest

from moodbench.datasets.digits import BUNDLED, ImageArrays

COUNTS = {
    "digits_train": 721,
    "digits_test": 362,
    "digits_6_9": 714,
    "digits_textures": 300,
    "digits_faces": 200,
    "digits_photos": 208,
    "digits_noise": 300,
    "digits_halves": 300,
}
# Of all bytes of all pictures, in order.  digits_photos is left out: its bytes depend on Pillow's JPEG decoder.
PINNED = {
    "digits_train": "4f50b6423b0cea749e74eeec705467b1677a7a700880fc96c7e42b8fd1a5fd6b",
    "digits_test": "5a616e99bbf630be1eef2d99d9a643e2723afce61ebd6b1807c534242288a6d9",
    "digits_6_9": "9ec623a13a77a507ed0f2c46be0e9518105187847cefe1a1a4f2ee568650ed7a",
    "digits_textures": "1bde96aa6bf47b1cda4d65ecf9d930d8210d23c77d3859e8fc45e68532069ceb",
    "digits_faces": "4621670220ef7f4ca9261a20601e1aaa9d7d4275b6535ce42cd1abed1b185953",
    "digits_noise": "e1f4373c3d7b70a2f35fbe2bffcaa85bf14ac1698d0195700dfb143f19eec026",
    "digits_halves": "52ca29e3046b9e538ab9c85a63f469266d7a72c87d98a8d3227f39709d35a277",
}


@pytest.fixture(scope="module")
def sets() -> dict[str, ImageArrays]:
    return {name: make() for name, make in BUNDLED.items()}


def _digest(arrays: ImageArrays) -> str:
    digest = hashlib.sha256()
    for image in arrays.images:
        digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()


def test_the_sets_and_their_sizes(sets: dict[str, ImageArrays]) -> None:
    assert {name: len(arrays) for name, arrays in sets.items()} == COUNTS


@pytest.mark.parametrize("name", PINNED)
def test_bytes_are_pinned(sets: dict[str, ImageArrays], name: str) -> None:
    assert _digest(sets[name]) == PINNED[name]


@pytest.mark.parametrize("name", BUNDLED)
def test_two_calls_agree(sets: dict[str, ImageArrays], name: str) -> None:
    again = BUNDLED[name]()
    assert again.ids == sets[name].ids
    assert np.array_equal(again.labels, sets[name].labels)
    assert _digest(again) == _digest(sets[name])


@pytest.mark.parametrize("name", BUNDLED)
def test_pictures_are_uint8_grey_or_rgb_and_not_blank(sets: dict[str, ImageArrays], name: str) -> None:
    for image in sets[name].images:
        assert image.dtype == np.uint8
        assert image.ndim == 2 or image.shape[2] == 3
        assert min(image.shape[:2]) >= 8
    blank = [picture for picture, image in zip(sets[name].ids, sets[name].images, strict=True) if np.ptp(image) == 0]
    assert len(blank) <= 0.02 * len(sets[name]), blank


@pytest.mark.parametrize("name", BUNDLED)
def test_ids_are_unique_file_names(sets: dict[str, ImageArrays], name: str) -> None:
    ids = sets[name].ids
    assert len(set(ids)) == len(ids)
    assert all(part.isidentifier() or part.isdigit() for i in ids for part in i.split("/"))


def test_no_picture_is_in_two_digit_sets(sets: dict[str, ImageArrays]) -> None:
    names = ("digits_train", "digits_test", "digits_6_9")
    assert sum(len(sets[name]) for name in names) == 1797
    assert len({i for name in names for i in sets[name].ids}) == 1797
    pictures = [{image.tobytes() for image in sets[name].images} for name in names]
    assert not pictures[0] & pictures[1]
    assert not (pictures[0] | pictures[1]) & pictures[2]


def test_split_rule(sets: dict[str, ImageArrays]) -> None:
    assert {int(i.split("/")[1]) % 3 for i in sets["digits_train"].ids} == {0, 1}
    assert {int(i.split("/")[1]) % 3 for i in sets["digits_test"].ids} == {2}


def test_labels(sets: dict[str, ImageArrays]) -> None:
    for name, arrays in sets.items():
        assert arrays.labels.dtype == np.int64
        expected = set(range(6)) if name in ("digits_train", "digits_test") else {-1}
        assert set(arrays.labels.tolist()) == expected
    for name, least in (("digits_train", 100), ("digits_test", 50)):
        assert np.bincount(sets[name].labels).min() >= least


def test_digits_keep_the_order_of_their_counts(sets: dict[str, ImageArrays]) -> None:
    from sklearn.datasets import load_digits

    counts = load_digits().images[0]  # digits/0000, a zero
    image = sets["digits_train"].images[0]
    assert sets["digits_train"].labels[0] == 0
    assert np.array_equal(image, np.round(counts * 255 / 16 + 1e-9))


def test_patches_tile_the_source_without_overlap(sets: dict[str, ImageArrays]) -> None:
    from skimage.data import brick

    by_id = dict(zip(sets["digits_textures"].ids, sets["digits_textures"].images, strict=True))
    rows = [np.hstack([by_id[f"brick/r{r}_c{c}"] for c in range(0, 480, 48)]) for r in range(0, 480, 48)]
    assert np.array_equal(np.vstack(rows), brick()[:480, :480])


def test_noise_is_coarser_at_every_scale(sets: dict[str, ImageArrays]) -> None:
    noise = sets["digits_noise"]
    stack = np.stack(noise.images).astype(float)
    assert stack.min(axis=(1, 2)).max() == 0
    assert stack.max(axis=(1, 2)).min() == 255
    roughness = np.abs(np.diff(stack, axis=2)).mean(axis=(1, 2)).reshape(4, -1).mean(axis=1)
    assert list(roughness) == sorted(roughness, reverse=True)
    assert len({image.tobytes() for image in noise.images}) == len(noise)


@pytest.mark.parametrize("name", BUNDLED)
def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a bundled set opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert len(BUNDLED[name]()) == COUNTS[name]


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="1 images, 2 labels and 1 ids"):
        ImageArrays((np.zeros((8, 8), np.uint8),), np.zeros(2, np.int64), ("a",))
