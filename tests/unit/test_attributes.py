"""Datasets of which a part counts, by what the columns of their list say: shifts along one attribute as OOD groups."""

from __future__ import annotations

import pytest
import yaml

from moodbench.datasets.images import open_images
from moodbench.errors import CatalogError, DataError
from moodbench.workspace import Workspace

LIST = "image,season,age\na.png,winter,3\nb.png,spring,60\nc.png, autumn ,79.5\nd.png,winter,80\n"


def space(tmp_path, where, text=LIST, **more):
    (tmp_path / "images").mkdir(exist_ok=True)
    for name in "abcd":
        (tmp_path / "images" / f"{name}.png").write_bytes(name.encode())
    (tmp_path / "attributes.csv").write_text(text, encoding="utf-8")
    listed = {"path": "attributes.csv", "column": "image", "where": where, **more}
    listed = {key: value for key, value in listed.items() if value is not None}
    datasets = {"some": {"title": "Some", "path": "images", "list": listed, "labels": "none"}}
    file = tmp_path / "catalog.yaml"
    file.write_text(yaml.safe_dump({"datasets": datasets}), encoding="utf-8")
    return Workspace(tmp_path / "data", tmp_path / "cache", tmp_path / "results", (file,))


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ({"season": "winter"}, "ad"),
        ({"season": ["spring", "autumn"]}, "bc"),
        ({"age": {"from": 60, "below": 80}}, "bc"),
        ({"age": {"below": 60}}, "a"),
        ({"age": {"from": 79.5}}, "cd"),
        ({"age": 60}, "b"),
        ({"season": "winter", "age": {"from": 4}}, "d"),
    ],
)
def test_images_are_chosen_by_values_and_by_bounds(tmp_path, where, wanted):
    made = space(tmp_path, where)
    source = open_images(made.catalog.dataset("some"), made.data_dir)
    assert source.ids == tuple(f"{name}.png" for name in wanted)


@pytest.mark.parametrize(
    ("where", "message", "fix"),
    [
        ({"season": "summer"}, "names no images with season = summer", "there are season: winter, spring, autumn"),
        ({"height": "1"}, "no column 'height', but 'image', 'season', 'age'", ""),
        ({"season": {"from": 1}}, "line 2 of the image list has season = 'winter', which is no number", "instead of"),
    ],
)
def test_a_list_that_has_nothing_of_it_is_refused(tmp_path, where, message, fix):
    made = space(tmp_path, where)
    with pytest.raises(DataError) as caught:
        open_images(made.catalog.dataset("some"), made.data_dir)
    assert message in str(caught.value)
    assert fix in (caught.value.fix or "")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"season": True}, "quote it"),
        ({"season": []}, "no value and no list of values"),
        ({"age": {"to": 3}}, "which are no bounds"),
        ({"age": {"from": 3, "below": 3}}, "which no number fulfils"),
        ({"age": {"from": "3"}}, "which are no bounds"),
    ],
)
def test_what_says_nothing_is_refused_when_the_catalogue_is_read(tmp_path, where, message):
    with pytest.raises(CatalogError, match=message):
        _ = space(tmp_path, where).catalog


def test_only_a_table_has_columns(tmp_path):
    with pytest.raises(CatalogError, match="has 'where', but no 'column' of paths"):
        _ = space(tmp_path, {"season": "winter"}, column=None).catalog


def test_an_empty_choice_is_refused(tmp_path):
    for listed, key in (({"where": {}}, "'where'"), ({"where": None, "column": None, "numbers": []}, "'numbers'")):
        with pytest.raises(CatalogError, match=f"empty {key}") as caught:
            space(tmp_path, listed.pop("where"), **listed).catalog.dataset("some")
        assert "leave" in caught.value.fix


@pytest.mark.parametrize(
    "where", [{"age": {"from": 60}, "season": "spring"}, {"age": {"from": 60}, "mass": {"from": 5}}]
)
def test_a_number_is_looked_at_only_where_all_else_holds(tmp_path, where):
    text = "image,season,age,mass\na.png,winter,,1\nb.png,spring,70,9\n"
    made = space(tmp_path, where, text)
    assert open_images(made.catalog.dataset("some"), made.data_dir).ids == ("b.png",)
    made = space(tmp_path, {**where, "season": "winter", "mass": {"from": 0}}, text)
    with pytest.raises(DataError, match="line 2 of the image list has age = ''"):
        open_images(made.catalog.dataset("some"), made.data_dir)
