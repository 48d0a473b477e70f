"""Fine-grained benchmarks with held-out classes: which are ID, which OOD, and how they are numbered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from moodbench.catalog import ListSpec, load_catalog
from moodbench.datasets.images import open_images
from moodbench.datasets.lists import read_list
from moodbench.errors import CatalogError, DataError

CATALOG = load_catalog()
DATASETS = CATALOG.datasets

CLASSES = {"cub": 200, "aircraft": 100, "cars": 196}
MIXOE = {"bird": (200, 55), "butterfly": (150, 50), "car": (150, 46), "aircraft": (90, 10)}

LINES = {
    "fet_cub_train.txt": "images/001.Black_footed_Albatross/Black_Footed_Albatross_0009_34.jpg,0",
    "fet_cub_val.txt": "images/021.Eastern_Towhee/Eastern_Towhee_0114_22602.jpg,20",
    "mixoe_aircraft_train.txt": "1025794.jpg 0",
    "mixoe_aircraft_val.txt": "0041419.jpg 80",
    "mixoe_aircraft_test.txt": "1514522.jpg 0",
    "mixoe_car_train.txt": "cars_train/00001.jpg 13",
    "mixoe_car_val.txt": "cars_train/05864.jpg 125",
    "mixoe_car_test.txt": "cars_test/00001.jpg 180",
    "mixoe_bird_train.txt": "0645/0001afd499a14a67b940d419413e23b3.jpg 248",
    "mixoe_bird_val.txt": "0378/a4de81d8fe9f4ec3a3dd2c82ac20f607.jpg 70",
    "mixoe_bird_test.txt": "0817/0000139e21dc4d0cbfe14cae3c85c829.jpg 361",
    "mixoe_butterfly_train.txt": "139.Polyura_athamas/067.jpg 139",
    "mixoe_butterfly_val.txt": "053.Eurema_blanda/045.jpg 53",
    "mixoe_butterfly_test.txt": "094.Mandarinia_regalis/015.jpg 94",
}
"""List → a line of it as published."""

SPECS = [s for s in DATASETS.values() if s.image_list is not None and s.image_list.file in LINES]


def numbers(name: str) -> tuple[int, ...]:
    return DATASETS[name].image_list.numbers


@pytest.mark.parametrize(("key", "count"), CLASSES.items())
def test_known_and_unknown_classes_of_ssb_are_all(key, count):
    known, easy, hard = (numbers(f"{key}_ssb_{part}") for part in ("test", "easy", "hard"))
    assert len(known) == count // 2
    assert sorted((*known, *easy, *hard)) == list(range(count))
    for name in CATALOG.benchmark(f"{key}-ssb").needed:
        assert numbers(name) == known
        assert DATASETS[name].labels == "list"
    sizes = {part: DATASETS[f"{key}_ssb_{part}"].images for part in ("test", "easy", "hard")}
    assert sum(sizes.values()) == DATASETS[f"{key}_ssb_test"].image_list.lines


@pytest.mark.parametrize(("key", "counts"), MIXOE.items())
def test_held_out_classes_of_mixoe_are_those_that_its_program_draws(key, counts):
    drawn = np.random.RandomState(0).choice(sum(counts), counts[0], replace=False)
    known, held_out = numbers(f"{key}_mixoe_test"), numbers(f"{key}_mixoe_holdout")
    assert known == tuple(sorted(drawn.tolist()))
    assert sorted((*known, *held_out)) == list(range(sum(counts)))
    benchmark = CATALOG.benchmark(f"{key}-mixoe")
    assert {numbers(name) for name in benchmark.needed} == {known}
    assert benchmark.ood["coarse"] == tuple(f"{other}_mixoe_all" for other in MIXOE if other != key)


def test_images_of_a_list_are_those_of_its_parts():
    for key in MIXOE:
        test = DATASETS[f"{key}_mixoe_all"]
        parts = DATASETS[f"{key}_mixoe_test"].images + DATASETS[f"{key}_mixoe_holdout"].images
        # classes above the number of those that the program knows take no part: 300 of NABirds, one of Butterfly-200
        assert parts == test.images if key in ("car", "aircraft") else parts < test.images
    for key, whole in (("aircraft", "fgvc_aircraft"), ("butterfly", "butterfly200"), ("car", "stanford_cars")):
        lists = [DATASETS[f"{key}_mixoe_{part}"].image_list.lines for part in ("train", "val", "test")]
        assert sum(lists) == DATASETS[whole].images
    assert len(DATASETS["ssb_easy"].include) == 1000
    assert DATASETS["ssb_easy"].images == 50 * 1000


def test_full_spectrum_of_imagenet_x_has_its_classes():
    assert CATALOG.benchmark("imagenet-fs-x").classes == CATALOG.benchmark("imagenet-x").classes


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_line_of_a_list_leads_to_its_image_and_class(tmp_path, spec):
    line = LINES[spec.image_list.file]
    path, number = line.replace(",", " ").split()
    chosen = spec.image_list.numbers
    if chosen and int(number) not in chosen:
        number = str(chosen[-1])
        line = line[: len(path) + 1] + number
    below = path.removeprefix("images/")
    file = tmp_path / spec.folder / below
    file.parent.mkdir(parents=True)
    file.write_bytes(b"nobody decodes this")
    (tmp_path / "lists").mkdir()
    other = next(n for n in range(1000) if n not in chosen) if chosen else 0
    text = f"{line}\n" + (f"{line[: len(path) + 1].replace(below, 'left_out.jpg')}{other}\n" if chosen else "")
    (tmp_path / "lists" / spec.image_list.file).write_text(text)
    images = open_images(replace(spec, image_list=replace(spec.image_list, sha256=None, lines=None)), tmp_path)
    assert images.ids == (below,)
    assert images.labels.tolist() == [chosen.index(int(number)) if spec.labels == "list" else -1]


# -- the key itself -----------------------------------------------------------------------------------------------


@given(
    listed=st.lists(st.integers(0, 9), min_size=1, max_size=20),
    chosen=st.lists(st.integers(0, 9), min_size=1, unique=True),
    comma=st.booleans(),
)
def test_lines_with_other_numbers_are_left_out_and_numbers_counted_anew(tmp_path_factory, listed, chosen, comma):
    file = tmp_path_factory.mktemp("list") / "l.txt"
    file.write_text("".join(f"a {i}.png{',' if comma else ' '}{n}\n" for i, n in enumerate(listed)))
    expected = [(f"a {i}.png", chosen.index(n)) for i, n in enumerate(listed) if n in chosen]
    spec = ListSpec("l.txt", path=file, numbers=tuple(chosen))
    if not expected:
        with pytest.raises(DataError, match="names no images with one of its numbers"):
            read_list(spec, file)
        return
    assert [image.readings for image in read_list(spec, file).images] == [(one,) for one in expected]


@pytest.mark.parametrize("written", ["[1, 1]", "[-1]", "[a]", "[1.5]", "[true]"])
def test_numbers_that_are_no_classes_are_refused(tmp_path, written):
    with pytest.raises(CatalogError, match="'numbers' that are not classes"):
        catalog(tmp_path, f"{{path: l.txt, numbers: {written}}}")


def test_numbers_of_a_csv_are_refused(tmp_path):
    with pytest.raises(CatalogError, match="'numbers', which end lines of plain text"):
        catalog(tmp_path, "{path: l.csv, column: image, numbers: [1]}")


def catalog(folder: Path, written: str):
    entry = {"title": "Mine", "folder": "mine", "list": yaml.safe_load(written)}
    (folder / "c.yaml").write_text(yaml.safe_dump({"datasets": {"mine": entry}}))
    return load_catalog((folder / "c.yaml",))
