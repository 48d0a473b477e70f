"""NINCO's unit tests: the published choice and names, what each picture looks like, and where sizes come from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from moodbench.datasets.images import folder_images, imagenet_wnids
from moodbench.errors import DataError
from moodbench.obtain.recipes import canvas
from moodbench.obtain.recipes.base import DRAWING_RECIPES
from moodbench.obtain.recipes.canvas import STAND_IN, StandIns, Validation, canvases
from moodbench.obtain.recipes.ninco import IMAGES, UnitTest, file_name, generator, select
from moodbench.obtain.recipes.paint import BLOB_FLOOR, GAUSSIAN_DEVIATIONS, PAINTERS, STRIPES, blur, to_bytes

# Sums of the 400 indices in the file names of NINCO_OOD_unit_tests.csv (j-cb/NINCO, sha256 5ce2d121…), all 17 × 400 of
# which `select` and `file_name` gave back exactly.
CONTROL_SUMS = {
    "uni": 9_780_369,
    "Gaussian": 9_902_745,
    "Rademacher": 10_372_533,
    "pixel_perm": 9_701_750,
    "white": 10_030_031,
    "black": 9_625_552,
    "grey": 10_227_541,
    "monochrome": 10_094_596,
    "tricolour": 10_453_674,
    "tricolour_primary": 10_198_305,
    "horizontal_stripes": 10_141_548,
    "vertical_stripes": 10_139_895,
    "low_freq": 10_540_728,
    "low_freq_channelfullscale": 10_330_133,
    "low_freq_colorrange": 9_910_280,
    "low_freq_pixel_perm": 10_349_539,
    "blobs": 10_071_300,
}
SIZE = (30, 41)
PHOTO = np.arange(30 * 41 * 3, dtype=np.int64).reshape(30, 41, 3).astype(np.uint8)


def paint(test: str, index: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    return PAINTERS[test](generator(test, index), size, lambda: PHOTO)


class Small:
    """Canvases that are quickly filled."""

    stand_in = None

    def shape(self, index: int) -> tuple[int, int]:
        return SIZE

    def photo(self, index: int, rng: np.random.RandomState) -> np.ndarray:
        return PHOTO


# -- the published choice -----------------------------------------------------------------------------------------


def test_there_are_17_recipes():
    assert list(CONTROL_SUMS) == list(PAINTERS)
    assert {f"ninco_{test}" for test in CONTROL_SUMS} <= set(DRAWING_RECIPES)


@pytest.mark.parametrize("test", CONTROL_SUMS)
def test_the_choice_of_photographs_is_the_published_one(test):
    indices = select(test)
    assert sum(indices) == CONTROL_SUMS[test]
    assert len(set(indices)) == IMAGES == 400
    assert indices == sorted(indices)
    assert 0 <= indices[0] <= indices[-1] < 50_000


@pytest.mark.parametrize(
    ("test", "number", "published"),
    [
        ("uni", 0, "uni_000_uni_00112.png"),
        ("uni", 3, "uni_003_uni_00371.jpg"),
        ("low_freq_pixel_perm", 18, "low_freq_pixel_perm_018_low_freq_pixel_perm_02960.png"),
        ("blobs", 19, "blobs_019_blobs_02408.png"),
    ],
)
def test_file_names_are_the_published_ones(test, number, published):
    assert file_name(test, number, select(test)[number]) == published


# -- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("test", PAINTERS)
def test_even_numbers_become_png_odd_ones_jpeg_and_the_bytes_are_the_same_on_every_run(tmp_path, test):
    digests = []
    for run in ("1", "2"):
        (tmp_path / run).mkdir()
        drawn = UnitTest(test).draw(tmp_path / run, Small(), [4, 7])
        assert drawn.images == 2
        files = sorted((tmp_path / run).iterdir())
        assert [file.name for file in files] == [f"{test}_000_{test}_00004.png", f"{test}_001_{test}_00007.jpg"]
        digests.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])
    assert digests[0] == digests[1]
    for file, kind in zip(files, ("PNG", "JPEG"), strict=True):
        with Image.open(file) as image:
            assert (image.format, image.mode, image.size) == (kind, "RGB", SIZE[::-1])
    pixels = np.asarray(folder_images(tmp_path / "1").load(0))
    assert (pixels == to_bytes(paint(test, 4))).all()


def test_pictures_do_not_repeat_one_another():
    for test in set(PAINTERS) - {"white", "black", "tricolour_primary"}:
        assert not np.array_equal(paint(test, 1), paint(test, 2)), test
    assert not np.array_equal(paint("horizontal_stripes", 1)[:, 0], paint("vertical_stripes", 1)[0])


# -- what they look like ------------------------------------------------------------------------------------------


def test_values_are_cut_not_rounded():
    values = np.array([[[-1.0, 0.999 / 255, 1.999 / 255], [254.9 / 255, 1.0, 2.0]]])
    assert to_bytes(values).tolist() == [[[0, 0, 1], [254, 255, 255]]]


def test_uni_is_uniform():
    values = paint("uni", size=(200, 200)).ravel()
    assert np.histogram(values, bins=10, range=(0, 1))[0] == pytest.approx([12_000] * 10, rel=0.05)
    assert len(np.unique(values)) == values.size


def test_gaussian_has_one_of_the_published_deviations():
    spreads = [paint("Gaussian", index, (100, 100)).std() for index in range(30)]
    nearest = [min(GAUSSIAN_DEVIATIONS, key=lambda d: abs(d - spread)) for spread in spreads]
    assert spreads == pytest.approx(nearest, rel=0.03)
    assert set(nearest) == set(GAUSSIAN_DEVIATIONS)
    assert paint("Gaussian", size=(100, 100)).mean() == pytest.approx(0.5, abs=0.02)


def test_rademacher_is_black_or_white_in_each_channel():
    pixels = paint("Rademacher", size=(200, 200))
    assert set(np.unique(pixels)) == {0.0, 1.0}
    assert pixels.mean(axis=(0, 1)) == pytest.approx([0.5] * 3, abs=0.02)
    assert np.abs(np.corrcoef(pixels.reshape(-1, 3).T) - np.eye(3)).max() < 0.03


def test_pixel_perm_moves_whole_pixels():
    pixels = (paint("pixel_perm") * 255).round().astype(int).reshape(-1, 3)
    source = PHOTO.astype(int).reshape(-1, 3)
    assert not np.array_equal(pixels, source)
    assert sorted(map(tuple, pixels)) == sorted(map(tuple, source))


@pytest.mark.parametrize(("test", "level"), [("white", 255), ("black", 0)])
def test_white_and_black(test, level):
    assert (to_bytes(paint(test)) == level).all()


def test_grey_and_monochrome_have_one_colour():
    for index in range(20):
        grey, colour = paint("grey", index), paint("monochrome", index)
        assert np.ptp(grey) == 0
        assert np.ptp(colour, axis=(0, 1)).max() == 0
        assert len(set(colour[0, 0])) == 3


def bands(pixels: np.ndarray, axis: int) -> list[int]:
    """Breadth of each band of one colour along `axis`; the other axis must be constant."""
    line = pixels[:, 0] if axis == 0 else pixels[0]
    assert (pixels == (line[:, None] if axis == 0 else line[None])).all()
    edges = np.flatnonzero((np.diff(line, axis=0) != 0).any(axis=1)) + 1
    return np.diff([0, *edges, len(line)]).tolist()


@pytest.mark.parametrize(("test", "axis"), [("horizontal_stripes", 0), ("vertical_stripes", 1)])
def test_stripes(test, axis):
    numbers = set()
    for index in range(40):
        found = bands(paint(test, index, (97, 97)), axis)
        breadth = 97 // len(found)
        assert found == [breadth] * (len(found) - 1) + [97 - breadth * (len(found) - 1)]
        numbers.add(len(found))
    assert numbers == set(STRIPES)


def test_stripes_of_a_picture_that_is_narrower_than_their_number():
    pixels = paint("vertical_stripes", size=(3, 2))
    assert bands(pixels, 1) == [2]


def test_tricolour_lies_either_way():
    axes = set()
    for index in range(20):
        pixels = paint("tricolour", index, (31, 41))
        axis = 0 if np.ptp(pixels[:, 0], axis=0).max() > 0 else 1
        assert bands(pixels, axis) == [[10, 10, 11], [13, 13, 15]][axis]
        axes.add(axis)
        primary = paint("tricolour_primary", index, (31, 41))
        assert set(np.unique(primary)) <= {0.0, 1.0}
    assert axes == {0, 1}


def test_low_freq_is_stretched_as_a_whole_or_in_each_channel():
    whole, each = paint("low_freq"), paint("low_freq_channelfullscale")
    assert (whole.min(), whole.max()) == (0, 1)
    assert (whole.min(axis=(0, 1)) > 0).any()
    assert (each.min(axis=(0, 1)) == 0).all()
    assert (each.max(axis=(0, 1)) == 1).all()


def test_low_freq_is_smooth():
    for test in ("low_freq", "low_freq_channelfullscale", "low_freq_colorrange"):
        pixels = paint(test, size=(120, 160))
        step = np.abs(np.diff(pixels, axis=1)).max()
        assert step < 0.2 * np.ptp(pixels), test


def test_colorrange_spans_twice_a_deviation_above_its_centre():
    for index in range(10):
        pixels = paint("low_freq_colorrange", index, (80, 90))
        low, high = np.quantile(pixels, (0.025, 0.975), axis=(0, 1))
        span = high - low
        assert np.ptp(span) < 1e-9  # one deviation for the three channels
        assert 0.2 <= span[0] <= 0.6
        assert (low >= 0).all()
        assert (low <= 1).all()


def test_low_freq_pixel_perm_keeps_the_mean_colour_of_the_photograph():
    pixels = paint("low_freq_pixel_perm")
    assert pixels.mean(axis=(0, 1)) == pytest.approx(PHOTO.mean(axis=(0, 1)) / 255)
    assert pixels.std() < paint("pixel_perm").std()


def test_blobs_are_bright_on_black():
    for index in range(6):
        pixels = paint("blobs", index, (100, 100))
        assert pixels[pixels > 0].min() >= BLOB_FLOOR
        assert 0 < (pixels > 0).mean() < 0.5


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 24), st.integers(1, 24), st.sampled_from((1, 1.5, 2.5, 6, 10, 25)), st.integers(0, 2**32 - 1))
def test_the_blur_is_the_one_of_scipy(height, width, sigma, seed):
    from scipy.ndimage import gaussian_filter

    pixels = np.random.default_rng(seed).random((height, width, 3))
    expected = gaussian_filter(pixels, (sigma, sigma, 0), mode="wrap")
    assert blur(pixels, sigma) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(PAINTERS)), st.integers(2, 30), st.integers(2, 30), st.integers(0, 49_999))
def test_every_picture_of_any_size_can_be_drawn(test, height, width, index):
    photo = np.random.default_rng(index).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels = PAINTERS[test](generator(test, index), (height, width), lambda: photo)
    assert pixels.shape == (height, width, 3)
    assert np.isfinite(pixels).all()
    assert to_bytes(pixels).dtype == np.uint8


# -- photographs --------------------------------------------------------------------------------------------------


def validation(root: Path, sizes: dict[str, tuple[int, int]]) -> Path:
    for name, size in sizes.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (10, 20, 30)).save(root / name)
    return root


def test_sizes_and_pixels_come_from_the_validation_images_in_torchvision_order(tmp_path, monkeypatch):
    wnids = imagenet_wnids()[:2]
    monkeypatch.setattr(canvas, "VALIDATION_IMAGES", 3)
    monkeypatch.setattr(canvas, "imagenet_wnids", lambda: wnids)
    names = [f"{wnids[1]}/ILSVRC2012_val_00000001.JPEG", f"{wnids[0]}/b.JPEG", f"{wnids[0]}/a.JPEG"]
    found = canvases(validation(tmp_path / "val", dict(zip(names, ((7, 8), (9, 10), (11, 12)), strict=True))))
    assert isinstance(found, Validation)
    assert [found.shape(i) for i in range(3)] == [(12, 11), (10, 9), (8, 7)]
    assert found.photo(0, generator("uni", 0)).shape == (12, 11, 3)
    (tmp_path / "out").mkdir()
    drawn = UnitTest("pixel_perm").draw(tmp_path / "out", found, [0, 2])
    assert "500" not in (drawn.note or "")
    with Image.open(tmp_path / "out" / "pixel_perm_001_pixel_perm_00002.png") as image:
        assert image.size == (7, 8)
        assert abs(np.asarray(image).astype(int) - (10, 20, 30)).max() <= 2  # JPEG, and values are cut
    (tmp_path / "val" / names[0]).write_bytes(b"")
    with pytest.raises(DataError, match="size of an image cannot be read"):
        found.shape(2)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (None, "not on this disk"),
        (["ILSVRC2012_val_00000001.JPEG"], "not sorted into class folders"),
        (["n01440764/1.JPEG", "n01443537/1.JPEG"], "are 2 in 2 folders, not 50000 in the 1000"),
    ],
)
def test_stand_ins_say_why(tmp_path, files, reason):
    folder = tmp_path / "val"
    found = canvases(folder if files is None else validation(folder, dict.fromkeys(files, (3, 3))))
    assert isinstance(found, StandIns)
    drawn = UnitTest("low_freq_pixel_perm").draw(tmp_path, found, [])
    assert drawn.note is not None
    assert reason in drawn.note
    assert "other noise than the published pictures" in drawn.note
    assert "500 x 375" in drawn.note
    assert "5 photographs of scikit-image and scikit-learn" in drawn.note
    assert "scikit-image" not in (UnitTest("uni").draw(tmp_path, found, []).note or "")


def test_stand_in_photographs_are_crops_of_installed_pictures():
    found = StandIns("…")
    crops = [found.photo(index, generator("pixel_perm", index)) for index in (0, 1, 2, 3, 4, 5)]
    assert {crop.shape for crop in crops} == {(*STAND_IN, 3)} == {(*found.shape(0), 3)}
    assert len({crop.tobytes() for crop in crops}) == 6  # number 5 shows another part of the photograph of number 0
    again = found.photo(5, generator("pixel_perm", 5))
    assert (again == crops[5]).all()
    for crop in crops:
        assert crop.std() > 20


def test_a_whole_test_is_drawn_by_its_registered_name(tmp_path, monkeypatch):
    monkeypatch.setattr(canvas, "STAND_IN", (6, 8))
    drawn = DRAWING_RECIPES.get("ninco_tricolour")(tmp_path, None, False)
    assert drawn.images == 400
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        file_name("tricolour", number, index) for number, index in enumerate(select("tricolour"))
    ]
    source = folder_images(tmp_path, labels="none")
    assert source.load(0).size == (8, 6)
