"""Which images a folder has, in which order and with which labels; the datasets of the catalogue."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moodbench.catalog import ArchiveSpec, DatasetSpec, ListSpec, load_catalog
from moodbench.datasets.images import bundled_images, folder_images, imagenet_wnids, is_on_disk, open_images
from moodbench.errors import DataError, UnknownNameError


def save(path: Path, colour: tuple[int, ...] = (10, 20, 30), size: tuple[int, int] = (4, 3)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


# -- listing ------------------------------------------------------------------------------------------------------


def test_order_is_that_of_code_points_whatever_the_disk_says(tmp_path):
    names = ["b/2.png", "b/10.png", "B/1.png", "a-b/1.png", "a/z.PNG", "a/é.png", "a/zz/1.jpeg", "日/1.png"]
    for name in names:
        save(tmp_path / name)
    source = folder_images(tmp_path)
    assert source.ids == tuple(sorted(names)) == tuple(sorted(names, key=str.encode))
    assert source.classes == ("B", "a", "a-b", "b", "日")
    assert [source.classes[label] for label in source.labels] == [name.split("/")[0] for name in source.ids]
    assert source.labels.dtype == np.int64


def test_names_with_blanks_newlines_and_quotes_are_kept(tmp_path):
    names = ["my class/a b.png", "my class/line\nbreak.png", "q'\"/x.png"]
    for name in names:
        save(tmp_path / name)
    source = folder_images(tmp_path)
    assert sorted(names) == list(source.ids)
    assert [source.load(i).size for i in range(3)] == [(4, 3)] * 3


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")).touch()
    except OSError:
        pytest.skip("the file system has no such names")
    with pytest.raises(DataError, match="not valid UTF-8"):
        folder_images(tmp_path)


def test_hidden_and_other_files_are_left_out(tmp_path):
    for name in ("a/1.png", ".hidden/1.png", "a/._1.png", ".0.png"):
        save(tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("x")
    assert folder_images(tmp_path).ids == ("a/1.png",)


def test_linked_folders_are_followed_and_loops_end(tmp_path):
    save(tmp_path / "elsewhere" / "1.png")
    save(tmp_path / "data" / "a" / "2.png")
    (tmp_path / "data" / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "a" / "up").symlink_to(tmp_path / "data")
    assert folder_images(tmp_path / "data").ids == ("a/2.png", "b/1.png")


def test_a_dangling_link_is_an_error_not_a_smaller_dataset(tmp_path):
    save(tmp_path / "1.png")
    (tmp_path / "2.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"1 image is a link to nowhere: '2\.png'"):
        folder_images(tmp_path)


def test_labels_of_flat_mixed_and_unlabelled_folders(tmp_path):
    save(tmp_path / "1.png")
    assert folder_images(tmp_path).labels.tolist() == [-1]
    save(tmp_path / "a" / "2.png")
    (tmp_path / "0_empty").mkdir()
    mixed = folder_images(tmp_path)
    assert dict(zip(mixed.ids, mixed.labels.tolist(), strict=True)) == {"1.png": -1, "a/2.png": 0}
    assert mixed.classes == ("a",)
    remark, beside = mixed.remarks
    assert beside == "1 of 2 images has no label (beside the class folders)"
    assert remark.startswith("1 folder holds no image and is no class: '0_empty'; to keep its number, name all folders")
    none = folder_images(tmp_path, labels="none")
    assert none.labels.tolist() == [-1, -1]
    assert none.classes == ()


def test_images_without_a_label_are_counted_under_every_rule(tmp_path):
    for name in ("n01440764/1.png", "n01440764/2.png", "cats/3.png", "4.png"):
        save(tmp_path / "w" / name)
    assert folder_images(tmp_path / "w", labels="imagenet").remarks == (
        "2 of 4 images have no label (in no folder that is called by a WordNet id or number of ImageNet-1k)",
    )
    for name in ("0/1.png", "2/2.png", "4.png"):
        save(tmp_path / "n" / name)
    beside = "1 of 3 images has no label (beside the class folders)"
    assert folder_images(tmp_path / "n", labels="index").remarks == (beside,)
    (tmp_path / "c.txt").write_text("0\n1\n2\n")
    assert folder_images(tmp_path / "n", labels=tmp_path / "c.txt").remarks == (beside,)
    (tmp_path / "l.txt").write_text("0/1.png 3\n2/2.png\n4.png\n")
    listed = folder_images(tmp_path / "n", image_list=tmp_path / "l.txt")
    assert listed.labels.tolist() == [3, -1, -1]
    assert listed.remarks == ("2 of 3 images have no label (on lines of the list without a number)",)
    assert folder_images(tmp_path / "n", labels="none").remarks == ()


def test_fingerprint_follows_ids_labels_and_sizes(tmp_path):
    for folder in ("x", "y"):
        for name in ("a/1.png", "b/2.png"):
            save(tmp_path / folder / name)
    x, y = folder_images(tmp_path / "x"), folder_images(tmp_path / "y")
    assert x.fingerprint == y.fingerprint
    assert len(x.fingerprint) == 64
    assert folder_images(tmp_path / "x", labels="none").fingerprint != x.fingerprint
    save(tmp_path / "y" / "a" / "1.png", size=(40, 40))
    assert folder_images(tmp_path / "y").fingerprint != x.fingerprint


def test_sources_pickle(tmp_path):
    save(tmp_path / "a" / "1.png", (1, 2, 3))
    for source in (folder_images(tmp_path), bundled_images("digits_noise")):
        copy = pickle.loads(pickle.dumps(source))
        assert copy.fingerprint == source.fingerprint
        assert len(copy) == len(source) == len(source.ids) == len(source.labels)
        assert copy.load(0).tobytes() == source.load(0).tobytes()


@pytest.mark.parametrize("case", ["missing", "file", "empty"])
def test_folders_that_are_none(tmp_path, case):
    root = {"missing": tmp_path / "no", "file": tmp_path / "f.png", "empty": tmp_path / "e"}[case]
    save(tmp_path / "f.png")
    (tmp_path / "e").mkdir()
    with pytest.raises(DataError) as caught:
        folder_images(root)
    assert str(root) in str(caught.value)
    assert caught.value.fix


# -- labels and included folders ----------------------------------------------------------------------------------


def test_include_restricts_and_numbers_the_classes(tmp_path):
    for name in ("a/1.png", "b/1.png", "b/x/2.png", "c/1.png", "0.png"):
        save(tmp_path / name)
    source = folder_images(tmp_path, include=("c", "b"))
    assert source.ids == ("b/1.png", "b/x/2.png", "c/1.png")
    assert source.labels.tolist() == [0, 0, 1]
    assert source.classes == ("b", "c")


def test_missing_included_folders_are_named(tmp_path):
    save(tmp_path / "a" / "1.png")
    with pytest.raises(DataError, match="2 folders that the catalogue includes are missing: 'b', 'c'"):
        folder_images(tmp_path, include=("a", "b", "c"))
    spec = DatasetSpec("a", "A", folder=tmp_path.name, include=("b",))
    assert not is_on_disk(spec, tmp_path.parent)
    assert is_on_disk(replace(spec, include=("a", "b")), tmp_path.parent)  # so that opening it says what is missing


def test_the_thousand_classes_are_in_sorted_order():
    wnids = imagenet_wnids()
    assert len(wnids) == len(set(wnids)) == 1000
    assert list(wnids) == sorted(wnids)
    assert wnids[0] == "n01440764"  # tench; the development kit begins with kit fox, n02119789
    assert wnids[-1] == "n15075141"  # toilet tissue


def test_imagenet_labels_come_from_the_wnid_wherever_it_stands(tmp_path):
    wnids = imagenet_wnids()
    expected = {
        f"{wnids[3]}/1.png": 3,
        f"blur/5/{wnids[999]}/1.png": 999,
        f"{wnids[1]}/{wnids[2]}/1.png": 2,
        f"7/{wnids[4]}/1.png": 4,
        f"{wnids[5]}_1.png": -1,  # a file name says nothing
        f"x/{wnids[5]}.png": -1,
        "n99999999/1.png": -1,
    }
    for name in expected:
        save(tmp_path / name)
    source = folder_images(tmp_path, labels="imagenet")
    assert dict(zip(source.ids, source.labels.tolist(), strict=True)) == expected
    assert source.classes == wnids


def test_folders_that_are_numbers_are_class_indices_not_strings(tmp_path):
    expected = {"0/1.png": 0, "10/1.png": 10, "2/1.png": 2, "999/1.png": 999, "1001/1.png": -1, "x/3/1.png": -1}
    for name in expected:
        save(tmp_path / name)
    source = folder_images(tmp_path, labels="imagenet")
    assert dict(zip(source.ids, source.labels.tolist(), strict=True)) == expected
    assert source.classes[source.labels[source.ids.index("10/1.png")]] == imagenet_wnids()[10]


@pytest.mark.parametrize(
    ("folders", "what"), [(("1", "1000"), "a folder 1000"), (("1", "2"), "no folder 0"), (("0001",), "no folder 0")]
)
def test_numbers_of_the_development_kit_are_refused(tmp_path, folders, what):
    for name in folders:
        save(tmp_path / name / "1.png")
    with pytest.raises(DataError, match=f"{what}: numbers from 1 to 1000 are those of the development kit"):
        folder_images(tmp_path, labels="imagenet")
    (tmp_path / "0").mkdir()
    if "1000" not in folders:
        assert folder_images(tmp_path, labels="imagenet").labels.tolist() == [int(name) for name in folders]


def test_folders_in_natural_order_in_that_of_a_file_and_as_numbers(tmp_path):
    root, file = tmp_path / "data", tmp_path / "classes.txt"
    for i in (1, 2, 10):
        save(root / str(i) / "1.png")  # listed as 1, 10, 2
    file.write_text("2\r\n\nabsent\n10\n1\n", encoding="utf-8-sig")
    wanted = {
        "sorted": ([0, 1, 2], ("1", "10", "2")),
        "natural": ([0, 2, 1], ("1", "2", "10")),
        file: ([3, 2, 0], ("2", "absent", "10", "1")),  # an absent class keeps its number
        "index": ([1, 10, 2], tuple(map(str, range(11)))),
    }
    for rule, (labels, classes) in wanted.items():
        source = folder_images(root, labels=rule)
        assert (source.labels.tolist(), source.classes, source.remarks) == (labels, classes, ())
    (remark,) = folder_images(root).remarks  # nobody said which order is meant
    assert "('1', '10', '2', …)" in remark
    assert "('1', '2', '10', …), as timm's are, needs labels: natural" in remark


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "does not exist"), ("", "is empty"), ("a\na\n", "'a' twice"), ("a\n", "not named in the file of class f")],
)
def test_class_files_that_do_not_fit(tmp_path, text, message):
    save(tmp_path / "data" / "a" / "1.png")
    save(tmp_path / "data" / "b" / "1.png")
    if text is not None:
        (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        folder_images(tmp_path / "data", labels=tmp_path / "classes.txt")


@pytest.mark.parametrize(("folders", "message"), [(("1", "cat"), "there is 'cat'"), (("1", "01"), "the same number")])
def test_folders_that_are_no_index(tmp_path, folders, message):
    for name in folders:
        save(tmp_path / name / "1.png")
    with pytest.raises(DataError, match=message):
        folder_images(tmp_path, labels="index")


def test_what_archivers_leave_behind_is_no_class(tmp_path):
    for name in ("a/1.png", "__MACOSX/a/1.png", "b/@eaDir/1.png", "b/1.png", ".hidden/1.png", "a/._1.png"):
        save(tmp_path / name)
    source = folder_images(tmp_path)
    assert source.ids == ("a/1.png", "b/1.png")
    assert (source.classes, source.remarks) == (("a", "b"), ())


def test_a_list_that_leaves_images_out_does_not_renumber_the_classes(tmp_path):
    for name in ("a/1.png", "b/c/1.png"):
        save(tmp_path / "data" / name)
    (tmp_path / "data" / "0").mkdir()
    (tmp_path / "list.txt").write_text("b/c/1.png\n")
    source = folder_images(tmp_path / "data", image_list=tmp_path / "list.txt")
    assert (source.labels.tolist(), source.classes) == ([1], ("a", "b"))


# -- datasets of the catalogue ------------------------------------------------------------------------------------


def test_bundled_sets_open_and_have_the_promised_size():
    for spec in load_catalog().datasets.values():
        if spec.bundled is not None:
            source = open_images(spec, Path("nowhere"))
            assert is_on_disk(spec, Path("nowhere"))
            assert len(source) == spec.images
            assert source.load(len(source) - 1).mode == "RGB"


def test_bundled_fingerprint_covers_the_pixels():
    source = bundled_images("digits_faces")
    other = source.images[0].copy()
    other[0, 0] ^= 1
    assert replace(source, images=(other, *source.images[1:])).fingerprint != source.fingerprint
    with pytest.raises(UnknownNameError, match="digits_faces"):
        bundled_images("digits_face")


def test_folder_is_below_the_data_directory_and_path_is_not(tmp_path):
    save(tmp_path / "data" / "mine" / "1.png")
    below = DatasetSpec("a", "A", folder="mine")
    absolute = DatasetSpec("b", "B", path=tmp_path / "data" / "mine")
    for spec in (below, absolute):
        assert is_on_disk(spec, tmp_path / "data")
        assert open_images(spec, tmp_path / "data").ids == ("1.png",)
    assert not is_on_disk(below, tmp_path)
    assert is_on_disk(absolute, tmp_path)


ARCHIVE = ArchiveSpec("a.tar", ("https://example.org/a.tar",), None, None, None, 10, 10**6)


@pytest.mark.parametrize(
    ("spec", "said", "unsaid"),
    [
        (DatasetSpec("a", "A", folder="a", archives=(ARCHIVE,)), ["moodbench download a\n", "--from"], []),
        (DatasetSpec("a", "A", folder="a", generated="noise"), ["moodbench download a\n"], ["--from"]),
        (DatasetSpec("a", "A", folder="w/a", part_of="w", within="a"), ["moodbench download a\n", "--from"], []),
        (DatasetSpec("a", "A", folder="a", per_image="https://example.org/{name}"), ["moodbench download a\n"], []),
        (
            DatasetSpec("a", "A", folder="a", steps=("Ask  for\nit.", "Wait."), archives=(replace(ARCHIVE, urls=()),)),
            ["1. Ask for it.", "2. Wait.", "moodbench download a --from FILE-OR-FOLDER"],
            ["download a\n"],
        ),
        (DatasetSpec("a", "A", folder="a", homepage="https://example.org"), ["https://example.org"], ["download"]),
    ],
)
def test_a_dataset_that_is_not_there_says_where_and_how(tmp_path, spec, said, unsaid):
    (tmp_path / "a").mkdir()  # an empty folder is no dataset either
    with pytest.raises(DataError, match="images of 'a' are not on this disk") as caught:
        open_images(spec, tmp_path)
    message = str(caught.value)
    assert caught.value.file == tmp_path / spec.folder
    for text in (*said, "--data-dir"):
        assert text in message
    for text in unsaid:
        assert text not in message


def test_a_folder_that_is_being_filled_is_not_on_disk(tmp_path):
    spec = DatasetSpec("a", "A", folder="a")
    for name in (".moodbench/1.png", "a.tar.part", "1.jpg.part", "readme.txt"):
        file = tmp_path / "a" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
        assert not is_on_disk(spec, tmp_path)
    save(tmp_path / "a" / "1.PNG")
    assert is_on_disk(spec, tmp_path)


def test_a_dataset_whose_list_is_not_there_is_not_on_disk(tmp_path):
    listed = ListSpec("a.txt", url="https://example.org/a.txt")
    spec = DatasetSpec("a", "A", folder="a", image_list=listed)
    save(tmp_path / "a" / "1.png")
    assert not is_on_disk(spec, tmp_path)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "a.txt").write_text("1.png\n")
    assert is_on_disk(spec, tmp_path)


def test_a_dataset_without_images_says_so(tmp_path):
    spec = DatasetSpec("street", "Street")
    assert not is_on_disk(spec, tmp_path)
    with pytest.raises(DataError, match="no images of the dataset 'street': features only"):
        open_images(spec, tmp_path)


def test_a_folder_that_cannot_be_reached_says_why(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DataError, match="cannot be read: Too many levels"):
        folder_images(tmp_path / "loop")
