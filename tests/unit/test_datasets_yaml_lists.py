"""The lists that the built-in datasets name, and what their prefix rules make of real lines.

The lines are taken from the published files; where a layout puts the image of such a line is written beside it, and
the dataset is opened from a folder that holds just these images.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from moodbench.catalog import DatasetSpec, load_catalog
from moodbench.datasets.images import open_images

DATASETS = load_catalog().datasets
FINE = {"cub", "fgvc_aircraft", "stanford_cars", "nabirds", "butterfly200"}
"""Whose lists `test_held_out_classes.py` reads."""

LISTED = [spec for spec in DATASETS.values() if spec.image_list is not None]


def test_one_list_file_is_one_list():
    seen: dict[str, tuple[object, ...]] = {}
    for spec in LISTED:
        listed = spec.image_list
        same = (listed.url, listed.sha256, listed.git_blob, listed.lines)
        assert seen.setdefault(listed.file.lower(), same) == same
    assert len({same[0] for same in seen.values()}) == len(seen)


@pytest.mark.parametrize("spec", LISTED, ids=lambda spec: spec.name)
def test_a_list_is_pinned_and_counted(spec):
    listed = spec.image_list
    # the address names a commit: it cannot change
    assert re.match(r"https://raw\.githubusercontent\.com/[\w-]+/[\w-]+/[0-9a-f]{40}/", listed.url)
    assert listed.sha256 or listed.git_blob or listed.lines == spec.images
    assert listed.lines == spec.images or listed.only or listed.numbers or listed.lines is None
    assert listed.strip.startswith(listed.only)


LINES = [
    # dataset, line of the list, where the layout puts the image below the data directory, label
    # (this list could not be read: any folder before the name has to do)
    ("imagenet_train_200k", "train/n02119789/n02119789_1.JPEG 0", "imagenet/train/n02119789/@", 278),
    ("imagenet_train_200k", "n01440764/n01440764_10026.JPEG 448", "imagenet/train/n01440764/@", 0),
    ("imagenet_openood_test", "imagenet_1k/val/ILSVRC2012_val_00024235.JPEG 0", "imagenet/val/n01440764/@", 0),
    ("imagenet_openood_test", "imagenet_1k/val/ILSVRC2012_val_00049174.JPEG 999", "imagenet/val/n15075141/@", 999),
    ("imagenet_openood_val", "imagenet_1k/val/ILSVRC2012_val_00003181.JPEG 999", "imagenet/val/n15075141/@", 999),
    ("imagenet200_test", "ILSVRC2012_val_00009034.JPEG 0", "imagenet/val/n01443537/@", 0),
    ("imagenet200_val", "ILSVRC2012_val_00049900.JPEG 199", "imagenet/val/n12267677/@", 199),
    (
        "imagenet_c",
        "imagenet_c/jpeg_compression/1/ILSVRC2012_val_00028158.JPEG 0",
        "imagenet_c/jpeg_compression/1/@",
        -1,
    ),
    ("openimage_o", "000d5efd9500e718.jpg", "openimage_o/@", -1),
    ("openimage_o_test", "openimage_o/images/b85bd6c20e9c378a.jpg -1", "openimage_o/@", -1),
    ("openimage_o_val", "openimage_o/images/142782398b3af718.jpg -1", "openimage_o/@", -1),
    ("texture", "banded/banded_0002.jpg", "texture/banded/@", -1),
    ("ssb_hard", "ssb_hard/n11622368/n11622368_1063.JPEG -1", "ssb_hard/n11622368/@", -1),
    ("ssb_hard", "ssb_hard/n01575401/n01575401_10029.JPEG -1", "ssb_hard/ssb_hard/n01575401/@", -1),
    ("imagenet_ood", "n02925009/n02925009_2846.JPEG", "imagenet_ood/n02925009/@", -1),
    ("cifar10_openood_test", "cifar10/test/airplane/0298.png 0", "cifar10/test/airplane/@", 0),
    ("cifar10_openood_test", "cifar10/test/truck/0281.png 9", "cifar10/test/truck/@", 1),
    ("cifar10_openood_val", "cifar10/test/airplane/0187.png 0", "cifar10/test/airplane/@", 0),
    ("cifar100_openood_test", "cifar100/test/apple/0076.png 0", "cifar100/test/apple/@", 0),
    ("cifar100_openood_test", "cifar100/test/worm/0024.png 99", "cifar100/test/worm/@", 1),
    ("cifar100_openood_val", "cifar100/test/worm/0068.png 99", "cifar100/test/worm/@", 0),
    ("cifar100_for_cifar10", "cifar100/test/streetcar/0065.png -1", "cifar100/test/streetcar/@", -1),
    ("tiny_imagenet_for_cifar10", "tin/val/images/val_0.JPEG -1", "tiny_imagenet/@", -1),
    ("tiny_imagenet_val_for_cifar10", "tin/val/images/val_2.JPEG -1", "tiny_imagenet/@", -1),
    ("tiny_imagenet_for_cifar100", "tin/val/images/val_1197.JPEG -1", "tiny_imagenet/@", -1),
    ("tiny_imagenet_val_for_cifar100", "tin/val/images/val_3.JPEG -1", "tiny_imagenet/@", -1),
    ("places365_for_cifar10", "places365/museum-indoor/Places365_val_00017261.jpg -1", "places365_val/val_256/@", -1),
    ("places365_for_cifar100", "places365/field-cultivated/Places365_val_00004872.jpg -1", "places365_val/@", -1),
    ("midog_train", "1a/044/044_1059_0.tiff 0", "midog/1a/044/@", 0),
    ("midog_val", "1a/031/031_659_0.tiff 0", "midog/1a/031/@", 0),
    ("midog_test", "1a/017/017_342_0.tiff 0", "midog/1a/017/@", 0),
    ("midog_1b", "csid/1b/051/051_1176_2.tiff 2", "midog/csid/1b/051/@", 2),
    ("midog_1c", "csid/1c/101/101_2824_2.tiff 2", "midog/csid/1c/101/@", 2),
    ("midog_2", "near/2/201/201_4437_2.tiff 2", "midog/near/2/201/@", -1),
    ("midog_3", "near/3/245/245_6243_1.tiff 1", "midog/near/3/245/@", -1),
    ("midog_4", "near/4/300/300_14459_1.tiff 1", "midog/near/4/300/@", -1),
    ("midog_5", "near/5/350/350_18152_2.tiff 2", "midog/near/5/350/@", -1),
    ("midog_6a", "near/6a/405/405_20553_2.tiff 2", "midog/near/6a/405/@", -1),
    ("midog_6b", "near/6b/490/490_23722_1.tiff 1", "midog/near/6b/490/@", -1),
    ("midog_7", "near/7/505/505_24214_1.tiff 1", "midog/near/7/505/@", -1),
    (
        "midog_ccagt",
        "far/ccagt_crops/H_15490_-260640_129600/95_5.jpg -1",
        "midog/far/ccagt_crops/H_15490_-260640_129600/@",
        -1,
    ),
    ("midog_fnac2019", "far/fnac2019_crops/B_1/00000_cell.jpg -1", "midog/far/fnac2019_crops/B_1/@", -1),
    (
        "midog_ood_val",
        "far/ccagt_crops/E_20700_-280800_169560/4569_6.jpg -1",
        "midog/far/ccagt_crops/E_20700_-280800_169560/@",
        -1,
    ),
]
LINES += [
    ("phakir_train", "Video_02/Video_02_Frames/frame_0_19_0.png 6", "phakir/Video_02/Video_02_Frames/@", 6),
    ("phakir_val", "Video_05/Video_05_Frames/frame_375_19_0.png 6", "phakir/Video_05/Video_05_Frames/@", 6),
    ("phakir_test", "Video_01/Video_01_Frames/frame_0_19_0.png 6", "phakir/Video_01/Video_01_Frames/@", 6),
    ("phakir_medium_smoke", "Video_01/Video_01_Smoke/frame_4275_2_1.png 2", "phakir/Video_01/Video_01_Smoke/@", 2),
    ("phakir_heavy_smoke", "Video_01/Video_01_Smoke/frame_5525_2_2.png 2", "phakir/Video_01/Video_01_Smoke/@", 2),
    (
        "phakir_cholec",
        "near/Cholec80_cropped/Video_01_Frames/frame_50_0_0.png -1",
        "phakir/near/Cholec80_cropped/Video_01_Frames/@",
        -1,
    ),
    (
        "phakir_endovis2015",
        "near/Endovis2015_cropped/OP1/Raw/img_01_raw.png -1",
        "phakir/near/Endovis2015_cropped/OP1/Raw/@",
        -1,
    ),
    (
        "phakir_endovis2018",
        "near/Endovis2018/seq_1/left_frames/frame000.png -1",
        "phakir/near/Endovis2018/seq_1/left_frames/@",
        -1,
    ),
    ("phakir_kvasir", "far/kvasir-seg/cju2np2k9zi3v079992ypxqkn.jpg -1", "phakir/far/kvasir-seg/@", -1),
    ("phakir_cataracts", "far/CATARACTS/test/test01/44.jpg -1", "phakir/far/CATARACTS/test/test01/@", -1),
    ("phakir_ood_val", "far/CATARACTS/test/test05/160.jpg -1", "phakir/far/CATARACTS/test/test05/@", -1),
]
NINCO = [
    ("ninco", "NINCO_OOD_classes/Caracal caracal caracal/Caracal caracal caracal_000_000-10896690.jpg"),
    ("ninco", "NINCO_OOD_classes/pseudorca_crassidens/pseudorca_crassidens_047_67902086.gif"),
    ("ninco_unit_tests", "NINCO_OOD_unit_tests/Gaussian/Gaussian_375_Gaussian_46443.jpg"),
    ("ninco_clean_Places", "NINCO_popular_datasets_subsamples/Places/Places_000_b_badlands_00000792.jpg"),
    ("ninco_clean_360OpenSet", "NINCO_popular_datasets_subsamples/360OpenSet/360OpenSet_235_n13136316_15098.JPEG"),
]


def test_every_list_has_a_line_here():
    families = {name for name, *_ in (*LINES, *NINCO)}
    elsewhere = {spec.name for spec in LISTED if spec.name.startswith("ninco_clean_") or spec.part_of in FINE}
    assert {spec.name for spec in LISTED} - elsewhere <= families


def opened(spec: DatasetSpec, text: str, files: list[str], data_dir):
    """Open a dataset that has just these `files`; its list is `text`, so no digest or number of lines is asked for."""
    for file in files:
        (data_dir / file).parent.mkdir(parents=True, exist_ok=True)
        (data_dir / file).write_bytes(b"nobody decodes this")
    for folder in spec.include:
        (data_dir / spec.folder / folder).mkdir(parents=True, exist_ok=True)
    listed = replace(spec.image_list, sha256=None, git_blob=None, lines=None)
    (data_dir / "lists").mkdir()
    (data_dir / "lists" / listed.file).write_text(text, encoding="utf-8")
    return open_images(replace(spec, image_list=listed), data_dir)


@pytest.mark.parametrize("name", dict.fromkeys(name for name, *_ in LINES))
def test_lines_of_the_lists_lead_to_the_images_of_the_layouts(tmp_path, name):
    spec = DATASETS[name]
    rows = [(line, place) for own, line, place, _ in LINES if own == name]
    files = [place.replace("@", line.split()[0].rsplit("/", 1)[-1]) for line, place in rows]
    images = opened(spec, "".join(f"{line}\n" for line, _ in rows), files, tmp_path)
    assert [f"{spec.folder}/{path}" for path in images.ids] == files
    assert images.labels.tolist() == [label for own, *_, label in LINES if own == name]


@pytest.mark.parametrize("name", dict.fromkeys(name for name, _ in NINCO))
def test_lines_of_nincos_lists_lead_to_the_images_of_its_archive(tmp_path, name):
    paths = [path for own, path in NINCO if own == name]
    text = "image_location,class\r\n" + "".join(f"{path},{path.split('/')[1]}\r\n" for path in paths)
    text += "NINCO_popular_datasets_subsamples/Textures/Textures_000_banded_0021.jpg,Textures\r\n" * ("clean" in name)
    images = opened(DATASETS[name], text, [f"ninco/{path}" for path in paths], tmp_path)
    assert [f"{DATASETS[name].folder}/{path}" for path in images.ids] == [f"ninco/{path}" for path in paths]
    assert set(images.labels.tolist()) == {-1}
