"""Every built-in dataset and benchmark is walked: limits, addresses, digests, labels, groups, counts."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from moodbench.catalog import load_catalog
from moodbench.datasets.labels import imagenet_wnids

CATALOG = load_catalog()
DATASETS = CATALOG.datasets
ARCHIVES = [(spec.name, archive) for spec in DATASETS.values() for archive in spec.archives]

WITHOUT_DIGEST = {"ImageNet-ES.zip", "imagenet_c.zip", "ssb_hard.zip"}
COUNT_UNKNOWN = {
    "midog",
    "phakir",
    "imagenet_train",
    "imagenet_train_200k",
    "imagenet200_train",
    "imagenet30_train",
    "imagenet_es",
    "ninco_all",
    "tiny_imagenet_crop",
    "tiny_imagenet_resize",
}
OTHER_TERMS = {"midog", "phakir", "stanford_cars", "nabirds", "butterfly200"}
"""What a person has to fetch for other reasons than ImageNet's terms of access."""

IN_NO_BENCHMARK = {
    "imagenet_es",
    "ninco_unit_tests",
}


# -- entries ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DATASETS)
def test_an_entry_says_what_a_reader_needs(name):
    spec = DATASETS[name]
    assert spec.title
    assert spec.role
    assert spec.licence
    assert spec.homepage or spec.licence.endswith("(drawn by moodbench)")
    assert spec.homepage is None or re.fullmatch(r"https?://[\w.-]+/\S*", spec.homepage)
    assert spec.paper or spec.bundled
    assert (spec.bundled is None) != (spec.folder is None)
    assert spec.images is not None or name in COUNT_UNKNOWN
    assert all(text.strip() == text and text.endswith((".", ". ")) for text in spec.problems)


def test_names_titles_and_folders_do_not_collide():
    titles = [spec.title for spec in DATASETS.values() if spec.name not in {"digits_textures", "textures_all"}]
    assert len(set(titles)) == len(titles)
    wholes = sorted(f"{spec.folder}/" for spec in DATASETS.values() if spec.folder and not spec.part_of)
    assert not [(one, other) for one, other in pairwise(wholes) if other.startswith(one)]


@pytest.mark.parametrize("name", [name for name, spec in DATASETS.items() if spec.part_of])
def test_a_part_leads_to_a_whole_that_can_be_had(name):
    spec = DATASETS[name]
    whole = DATASETS[spec.part_of]
    assert whole.part_of is None
    assert whole.archives or whole.per_image or whole.steps
    assert f"{spec.folder}/".startswith(f"{whole.folder}/")
    # something has to make it a part
    assert spec.image_list or spec.include or spec.within or name == "textures_all"
    if spec.images and whole.images:
        assert spec.images <= whole.images


@pytest.mark.parametrize("name", [name for name, spec in DATASETS.items() if spec.source == "by hand"])
def test_what_needs_a_person_has_exact_steps(name):
    steps = DATASETS[name].steps
    assert len(steps) >= 3
    assert "terms of access" in " ".join(steps) or name in OTHER_TERMS
    assert any(re.search(r"https://|Google Drive, id \w+", step) for step in steps)


# -- archives -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "archive"), ARCHIVES, ids=[f"{name}-{archive.file}" for name, archive in ARCHIVES])
def test_an_archive_has_sane_limits_addresses_and_digests(name, archive):
    assert archive.max_bytes > (archive.bytes or 0)
    assert archive.max_bytes <= 200e9
    assert archive.max_files >= (DATASETS[name].images or 0) or DATASETS[name].layout in ("mnist", "imagenet_val")
    assert all(url.endswith(f"/{archive.file}") for url in archive.urls)
    assert (archive.md5 is None and archive.sha256 is None) == (archive.file in WITHOUT_DIGEST)
    assert archive.urls or DATASETS[name].steps
    assert not archive.take or DATASETS[name].layout == "archive"


def test_archives_lie_side_by_side_in_one_folder():
    files = [archive.file.lower() for _, archive in ARCHIVES]
    assert len(set(files)) == len(files)
    digests = [d for _, archive in ARCHIVES for d in (archive.md5, archive.sha256) if d]
    assert len(set(digests)) == len(digests)


def test_layouts_and_recipes_exist():
    from moodbench.obtain.layouts.base import LAYOUTS
    from moodbench.obtain.recipes.base import DRAWING_RECIPES

    assert {spec.layout for spec in DATASETS.values() if spec.archives} <= set(LAYOUTS)
    drawn = {spec.generated for spec in DATASETS.values() if spec.generated}
    assert drawn == {name for name in DRAWING_RECIPES if name.startswith("ninco_")}
    assert len(drawn) == 17
    for spec in DATASETS.values():
        if spec.generated:
            assert spec.name == spec.generated
            assert spec.folder == f"ninco_unit_tests/{spec.generated.removeprefix('ninco_')}"


# -- labels and classes -------------------------------------------------------------------------------------------


def test_classes_are_sorted_members_of_imagenet():
    wnids = set(imagenet_wnids())
    for names, count in (
        (("imagenet200_train", "imagenet200_test", "imagenet200_val"), 200),
        (("imagenet30_train", "imagenet30_test"), 30),
    ):
        include = DATASETS[names[0]].include
        assert len(set(include)) == count
        assert set(include) <= wnids
        assert list(include) == sorted(include)
        assert all(DATASETS[name].include == include and DATASETS[name].labels == "folder" for name in names)


def test_one_class_labels_are_those_of_the_folders():
    include = DATASETS["imagenet30_test"].include
    classes = CATALOG.benchmark("imagenet30-one-class").each
    assert sorted(classes.values()) == list(range(30))
    known = {
        "acorn": "n12267677",
        "stingray": "n01498041",
        "rotary_dial_telephone": "n03187595",
        "hotdog": "n07697537",
        "airliner": "n02690373",
        "tank": "n04389033",
        "volcano": "n09472597",
        "dragonfly": "n02268443",
    }
    assert {name: include[classes[name]] for name in known} == known
    cifar = CATALOG.benchmark("cifar10-one-class").each
    assert list(cifar) == sorted(cifar)  # folders are numbered in the order of their names
    assert list(cifar.values()) == list(range(10))


def test_ood_sets_have_no_labels_and_id_sets_have():
    for benchmark in CATALOG.benchmarks.values():
        ids = {benchmark.id_train, *benchmark.id_test} | ({benchmark.id_val} if benchmark.id_val else set())
        for name in ids - {"imagenet_c"}:  # its paths do not say the class
            assert DATASETS[name].labels != "none"
        id_elsewhere = {"cifar10_test", "imagenet30_test", "imagenet_val", "imagenet_v2", "imagenet_r"}
        for name in set(benchmark.ood_datasets) - id_elsewhere:
            assert DATASETS[name].labels == "none"
    # nothing else than the lists says what these are, or how classifiers of a part of the classes number it
    wholes = {"midog", "phakir", "cub", "fgvc_aircraft", "stanford_cars", "nabirds", "butterfly200"}
    assert {spec.part_of for spec in DATASETS.values() if spec.labels == "list"} == wholes


# -- benchmarks ---------------------------------------------------------------------------------------------------


def images(*names: str) -> int:
    return sum(DATASETS[name].images for name in names)


def test_what_the_benchmarks_use():
    used = {name for benchmark in CATALOG.benchmarks.values() for name in benchmark.datasets}
    wholes = {spec.part_of for spec in DATASETS.values() if spec.part_of}
    assert set(DATASETS) - used - wholes == IN_NO_BENCHMARK


def test_the_benchmarks_of_the_papers():
    paper = ("imagenet_o", "openimage_o", "texture", "inaturalist")
    for name in ("imagenet", "cifar10"):
        assert CATALOG.benchmark(name).ood_datasets == paper
    assert images(*paper) == 34_792
    assert images("imagenet_val", "cifar10_test") == 60_000


def test_openood():
    large = {"near": ("ssb_hard", "ninco"), "far": ("inaturalist", "texture", "openimage_o_test")}
    for name in ("imagenet-openood", "imagenet-openood-full-spectrum", "imagenet200-openood"):
        assert CATALOG.benchmark(name).ood == large
    assert CATALOG.benchmark("imagenet-openood-full-spectrum").id_test == (
        "imagenet_openood_test",
        "imagenet_v2",
        "imagenet_c",
        "imagenet_r",
    )
    for own, other in (("cifar10", "cifar100_for_cifar10"), ("cifar100", "cifar10_test")):
        spec = CATALOG.benchmark(f"{own}-openood")
        assert spec.ood["near"] == (other, f"tiny_imagenet_for_{own}")
        assert spec.ood["far"] == ("mnist", "svhn", "textures_all", f"places365_for_{own}")
        assert images(*spec.id_test, spec.id_val) == images(f"{own}_test")
    assert images("imagenet_openood_test", "imagenet_openood_val") == images("imagenet_val")
    assert images("openimage_o_test", "openimage_o_val") == images("openimage_o")
    assert images("ssb_hard", "ninco", "inaturalist", "texture", "openimage_o_test") == 85_908


def test_ninco_and_mos():
    cleaned = CATALOG.benchmark("imagenet-ninco-cleaned").ood_datasets
    assert (len(cleaned), images(*cleaned)) == (11, 2_715)
    tests = CATALOG.benchmark("ninco-unit-tests").ood_datasets
    assert (len(set(tests)), images(*tests)) == (17, images("ninco_unit_tests"))
    assert set(tests) == {spec.name for spec in DATASETS.values() if spec.generated}
    assert CATALOG.benchmark("imagenet-ninco").ood_datasets == ("ninco",)
    assert CATALOG.benchmark("imagenet-mos").ood_datasets == ("inaturalist", "sun", "places", "textures_all")


def test_one_class_benchmarks_score_the_other_rows_of_id_test():
    for name, test in (("cifar10-one-class", "cifar10_test"), ("imagenet30-one-class", "imagenet30_test")):
        spec = CATALOG.benchmark(name)
        assert spec.ood == {"one-class": (test,)}
        assert spec.id_test == (test,)
        assert not spec.classes
