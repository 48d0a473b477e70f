"""List files: plain text and CSV, prefixes, digests, bare names, and the ids that they promise."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodbench.catalog import DatasetSpec, ListSpec
from moodbench.datasets.images import expected_ids, folder_images, open_images
from moodbench.datasets.lists import check_list, read_list
from moodbench.errors import DataError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def write_list(folder: Path, text: str) -> Path:
    file = folder.parent / "list.txt"
    file.write_bytes(text.encode())
    return file


def test_a_list_selects_orders_and_labels(tmp_path):
    root = tmp_path / "images"
    for name in ("b/x.png", "a/y 7.png", "a/z.png", "a/unused.png"):
        touch(root, name)
    text = "\ufeffb/x.png 3\r\na/y 7.png\r\n\r\na/z.png\t-2\r\n"
    source = folder_images(root, image_list=write_list(root, text))
    assert source.ids == ("b/x.png", "a/y 7.png", "a/z.png")
    assert source.labels.tolist() == [3, -1, -2]  # the whole second line is a file: its 7 is no label
    assert folder_images(root, image_list=tmp_path / "list.txt", labels="none").labels.tolist() == [-1, -1, -1]


def test_a_path_with_blanks_may_have_a_label(tmp_path):
    root = tmp_path / "images"
    touch(root, "high heels/1 2.png")
    source = folder_images(root, image_list=write_list(root, "high heels/1 2.png 5"))
    assert (source.ids, source.labels.tolist()) == (("high heels/1 2.png",), [5])


def test_without_numbers_a_list_takes_the_folder_labels_of_the_whole_dataset(tmp_path):
    root = tmp_path / "images"
    for name in ("a/1.png", "b/1.png", "c/1.png"):
        touch(root, name)
    source = folder_images(root, image_list=write_list(root, "c/1.png\nb/1.png\n"))
    assert source.labels.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png\nb.png\nc.png 1\n", "2 listed images are missing: 'b.png', 'c.png'"),
        ("a.png\na.png 4\n", "line 2 repeats 'a.png'"),
        ("../images/a.png\n", "line 1 leads out"),
        ("\n\n", "names no images"),
    ],
)
def test_bad_lists(tmp_path, text, message):
    root = tmp_path / "images"
    touch(root, "a.png")
    with pytest.raises(DataError, match=message):
        folder_images(root, image_list=write_list(root, text))


def test_many_missing_images_are_counted(tmp_path):
    root = tmp_path / "images"
    touch(root, "a.png")
    text = "".join(f"{i:03d}.png\n" for i in range(200))
    with pytest.raises(DataError, match=r"200 listed images are missing: '000\.png', .*'004\.png' and 195 more"):
        folder_images(root, image_list=write_list(root, text))


@pytest.mark.parametrize("rule", ["auto", "list"])
def test_numbers_of_a_list_count_under_auto_and_list_only(tmp_path, rule):
    root = tmp_path / "images"
    touch(root, "a/1.png", "b/1.png")
    file = write_list(root, "b/1.png 7\na/1.png\n")
    assert folder_images(root, image_list=file, labels=rule).labels.tolist() == [7, -1]
    assert folder_images(root, image_list=file, labels="folder").labels.tolist() == [1, 0]
    assert folder_images(root, image_list=file, labels="imagenet").labels.tolist() == [-1, -1]


def test_labels_from_a_list_without_numbers_are_an_error(tmp_path):
    root = tmp_path / "images"
    touch(root, "a/1.png")
    with pytest.raises(DataError, match="none of its lines ends in a number"):
        folder_images(root, image_list=write_list(root, "a/1.png\n"), labels="list")


def test_a_number_is_a_label_first_and_part_of_the_name_if_that_is_what_is_there(tmp_path):
    root = tmp_path / "images"
    touch(root, "x", "x 7", "y 7", " z.png")
    source = folder_images(root, image_list=write_list(root, "x 7\ny 7\n z.png\n"))
    assert source.ids == ("x", "y 7", " z.png")
    assert source.labels.tolist() == [7, -1, -1]


def test_include_restricts_a_list_and_numbers_its_classes(tmp_path):
    root = tmp_path / "images"
    touch(root, "a/1.png", "b/1.png", "c/1.png")
    source = folder_images(root, image_list=write_list(root, "c/1.png\na/1.png\nb/1.png\n"), include=("b", "c"))
    assert source.ids == ("c/1.png", "b/1.png")
    assert source.labels.tolist() == [1, 0]


# -- lists of the catalogue ---------------------------------------------------------------------------------------


def dataset(tmp_path: Path, text: str, name: str = "l.txt", **keys: object) -> DatasetSpec:
    """A dataset in tmp_path/images with the list `text`, where a download would have put it."""
    (tmp_path / "lists").mkdir(exist_ok=True)
    (tmp_path / "lists" / name).write_bytes(text.encode())
    listed = ListSpec(name, url=f"https://example.org/{name}", **keys)  # type: ignore[arg-type]
    return DatasetSpec("d", "D", folder="images", image_list=listed)


def test_prefixes(tmp_path):
    touch(tmp_path / "images", "x/1.png", "x/my 2.png")
    text = "large/other/1.png -1\nlarge/d/1.png -1\nlarge/d/my 2.png -1\n"
    spec = dataset(tmp_path, text, only="large/d/", strip="large/d/", add="x/", lines=3)
    assert open_images(spec, tmp_path).ids == ("x/1.png", "x/my 2.png") == expected_ids(spec, tmp_path)


def test_a_line_that_is_not_below_strip_is_an_error(tmp_path):
    touch(tmp_path / "images", "1.png")
    spec = dataset(tmp_path, "d/1.png\n\ne/1.png\n", strip="d/")
    with pytest.raises(DataError, match=r"line 3 of the image list is not below 'd/': 'e/1.png'"):
        open_images(spec, tmp_path)


@pytest.mark.parametrize("keys", [{"add": "../"}, {"strip": "d"}, {"add": "/"}])
def test_prefixes_cannot_lead_out_of_the_folder(tmp_path, keys):
    spec = dataset(tmp_path, "d/1.png\n", **keys)
    with pytest.raises(DataError, match="line 1 leads out"):
        expected_ids(spec, tmp_path)


def test_csv(tmp_path):
    touch(tmp_path / "images", "a/1, or 2.png", "a/line\nbreak.png", "a/x 3")
    text = 'class,image_location\r\n7,"S/a/1, or 2.png"\r\n7,"S/a/line\nbreak.png"\r\n7,S/a/x 3\r\n'
    spec = dataset(tmp_path, text, "l.csv", column="image_location", strip="S/", lines=3)
    source = open_images(spec, tmp_path)
    assert source.ids == ("a/1, or 2.png", "a/line\nbreak.png", "a/x 3")
    assert source.labels.tolist() == [0, 0, 0]  # of the folder: no path of a CSV has a number of its own


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "no column 'path', but 'a', 'b'"),
        ("", "no column 'path', but nothing"),
        ("path,b\n,2\n", "line 2 of the image list has no 'path'"),
        ('path\n"a\n', "not valid CSV"),
        ("path\n", "names no images"),
    ],
)
def test_bad_csv(tmp_path, text, message):
    spec = dataset(tmp_path, text, column="path")
    with pytest.raises(DataError, match=message) as caught:
        expected_ids(spec, tmp_path)
    assert caught.value.file == tmp_path / "lists" / "l.txt"


def test_bare_names_are_found_in_any_folder(tmp_path):
    touch(tmp_path / "images", "a/1.png", "b/c/2.png", "b/unused.png")
    spec = dataset(tmp_path, "places/x/2.png -1\nplaces/y/1.png -1\n", match="name")
    assert open_images(spec, tmp_path).ids == ("b/c/2.png", "a/1.png") == expected_ids(spec, tmp_path)
    (tmp_path / "images" / "a" / "1.png").unlink()
    assert expected_ids(spec, tmp_path) == ("b/c/2.png", "1.png")
    with pytest.raises(DataError, match=r"1 listed image is missing: '1.png'"):
        open_images(spec, tmp_path)


def test_a_bare_name_that_occurs_twice_is_an_error_unless_include_decides(tmp_path):
    touch(tmp_path / "images", "a/1.png", "b/1.png")
    spec = dataset(tmp_path, "1.png\n", match="name")
    with pytest.raises(DataError, match=r"2 files have the name that line 1 gives: 'a/1.png', 'b/1.png'"):
        open_images(spec, tmp_path)
    assert open_images(replace(spec, include=("b",)), tmp_path).ids == ("b/1.png",)


def test_a_list_that_is_not_there_says_how_to_fetch_it(tmp_path):
    touch(tmp_path / "images", "1.png")
    spec = replace(dataset(tmp_path, ""), image_list=ListSpec("other.txt", url="https://example.org/other.txt"))
    for use in (open_images, expected_ids):
        with pytest.raises(DataError, match="image list is not on this disk") as caught:
            use(spec, tmp_path)
        assert caught.value.file == tmp_path / "lists" / "other.txt"
        assert "moodbench download d " in str(caught.value)
        assert "https://example.org/other.txt" in str(caught.value)


def test_a_dataset_without_a_list_promises_nothing(tmp_path):
    assert expected_ids(DatasetSpec("d", "D", folder="images"), tmp_path) is None


def test_a_promise_needs_no_images(tmp_path):
    assert expected_ids(dataset(tmp_path, "1.png 0\n2.png 1\n"), tmp_path) == ("1.png", "2.png")


TEXT = "b/1.png 0\na/1.png 1\n"
SHA256 = hashlib.sha256(TEXT.encode()).hexdigest()
GIT_BLOB = "34b2a9ca3434ca16236ce3a0558e78573158a990"  # of `git hash-object`


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_digests_are_those_of_the_list_with_lf_ends(tmp_path, ends):
    touch(tmp_path / "images", "a/1.png", "b/1.png")
    spec = dataset(tmp_path, TEXT.replace("\n", ends), sha256=SHA256, git_blob=GIT_BLOB, lines=2)
    assert open_images(spec, tmp_path).ids == ("b/1.png", "a/1.png")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"sha256": "0" * 64}, f"its sha256 is {SHA256}, expected {'0' * 64}"),
        ({"git_blob": "1" * 40}, f"its git_blob is {GIT_BLOB}, expected {'1' * 40}"),
        ({"lines": 3}, "names 2 images; the catalogue expects 3"),
    ],
)
def test_another_list_than_the_catalogue_means_is_refused_whenever_it_is_read(tmp_path, keys, message):
    touch(tmp_path / "images", "a/1.png", "b/1.png")
    spec = dataset(tmp_path, TEXT, **keys)
    for use in (open_images, expected_ids):
        with pytest.raises(DataError, match=message) as caught:
            use(spec, tmp_path)
        assert "moodbench download d " in str(caught.value)


def test_a_list_that_is_not_text_is_an_error(tmp_path):
    (tmp_path / "l.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8 text"):
        read_list(ListSpec("l.txt"), tmp_path / "l.txt")


PATHS = st.lists(st.text("ab 1./-é日", min_size=1, max_size=8).map(lambda s: f"d/x{s}.png"), min_size=1, unique=True)


@given(PATHS, st.booleans(), st.booleans())
def test_any_path_survives_with_or_without_a_label(tmp_path_factory, paths, labelled, crlf):
    end = "\r\n" if crlf else "\n"
    text = "".join(f"{path} {i}{end}" if labelled else path + end for i, path in enumerate(paths))
    file = tmp_path_factory.getbasetemp() / "any.txt"
    file.write_bytes(text.encode())
    if any(".." in path.split("/") for path in paths):
        return
    listed = read_list(ListSpec("any.txt"), file)
    assert [item.path for item in listed.images] == paths
    assert [item.readings[0][1] for item in listed.images] == (
        list(range(len(paths))) if labelled else [None] * len(paths)
    )
    check_list(ListSpec("any.txt", lines=len(paths)), text.encode(), file)
