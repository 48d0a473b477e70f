"""`moodbench report` on benchmarks of every kind, and where something is missing or has changed."""

from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pytest
import yaml

from moodbench.names import printable
from tests.commands import SCORES, call
from tests.pages import Parsed, parsed

CLASSES = ("amber", "blue", "green")


def made(folder, *options) -> Parsed:
    """Return the page, which has no fault."""
    result = call("report", *options)
    assert result.exit_code == 0, result.stderr
    page = parsed((folder / "report.html").read_text(encoding="utf-8"))
    assert page.problems() == []
    return page


def extended(catalog, **benchmarks) -> None:
    """Add benchmarks to the catalogue."""
    content = yaml.safe_load(catalog.read_text(encoding="utf-8"))
    content["benchmarks"] |= benchmarks
    catalog.write_text(yaml.safe_dump(content), encoding="utf-8")


def shown(page: Parsed) -> list[str]:
    """Return the file names of all pictures, in the order of the page."""
    return [tag.attributes["alt"] for tag in page.found("img")]


def test_where_each_class_in_turn_is_id_each_has_its_images(scored, catalog):
    each = {"classes": {name: name for name in CLASSES}, "ood": {"others": ["tiny_test"]}}
    extended(catalog, each={"id_train": "tiny_train", "id_test": "tiny_test", **each})
    assert call("score", "--benchmark", "each", *SCORES).exit_code == 0
    page = made(scored, "--benchmark", "each", "--images", "3")
    names = shown(page)
    assert len(names) == 2 * 3 * 3  # as OOD, then as ID
    for number, name in enumerate(CLASSES):
        as_ood, as_id = names[3 * number : 3 * number + 3], names[9 + 3 * number : 12 + 3 * number]
        assert not any(file.startswith(f"{name}/") for file in as_ood)
        assert all(file.startswith(f"{name}/") for file in as_id)


def test_several_benchmarks_are_chapters_of_one_page(scored, catalog):
    extended(catalog, other={"id_train": "tiny_train", "id_test": "tiny_test", "ood": {"near": ["tiny_ood"]}})
    assert call("score", "--benchmark", "other", *SCORES).exit_code == 0
    page = made(scored)
    assert [len(page.found("h1")), len(page.found("article"))] == [2, 2]
    assert [json.loads(page.script(f"b{n}-data"))["views"][-1]["group"] for n in (0, 1)] == ["near", "far"]
    links = {tag.attributes["href"] for tag in page.found("a", href="^#")}
    assert links <= {f"#{tag.attributes['id']}" for tag in page.tags if "id" in tag.attributes}


def test_no_images_are_shown_where_none_are_asked_for(scored):
    page = made(scored, "--images", "0")
    assert shown(page) == []


def test_images_that_are_gone_or_others_are_said_to_be(scored, catalog, tmp_path):
    content = yaml.safe_load(catalog.read_text(encoding="utf-8"))
    own = tmp_path / "own"
    for name in ("tiny_ood", "tiny_test"):
        shutil.copytree(content["datasets"][name]["path"], own / name)
        content["datasets"][name]["path"] = str(own / name)
    catalog.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert len(shown(made(scored))) == 11 + 12
    some = sorted((own / "tiny_ood").iterdir())[0]
    some.write_bytes(b"no picture".ljust(some.stat().st_size))  # of the same length: the list is as it was
    page = made(scored)
    assert len(shown(page)) == 10 + 12
    assert [tag.text for tag in page.found("span", **{"class": "frame none"})] == ["cannot be shown"]
    some.unlink()
    shutil.rmtree(own / "tiny_test")
    page = made(scored)
    assert shown(page) == []
    notes = [tag.text for tag in page.found("div", **{"class": "gap"})]
    assert any("'tiny_ood' on this disk are not those that were scored" in note for note in notes)
    assert any("'tiny_test' are not on this disk" in note for note in notes)
    assert len(page.found("span", **{"class": "file"})) == 11 + 12  # their names and scores are known all the same


def test_what_deceives_the_best_pair_is_what_its_row_scores_say(scored):
    page = made(scored, "--images", "5")
    best = json.loads(call("rank", "--json").stdout)[0]["score"]
    with h5py.File(scored / "cache" / "tiny" / "scores" / "tiny.h5", locking=False) as file:
        rows = {
            name: dict(zip(group["ids"].asstr()[:], group["scores"][best][:], strict=True))
            for name, group in file.items()
        }
    by_score = [
        sorted(rows[dataset], key=lambda i: (sign * rows[dataset][i], i))[:5]
        for dataset, sign in (("tiny_ood", -1), ("tiny_test", 1))
    ]
    assert shown(page) == [*by_score[0], *by_score[1]]
    share = [sum(v < rows["tiny_ood"][i] for v in rows["tiny_test"].values()) / 21 for i in by_score[0]]
    words = [tag.text for tag in page.found("span", **{"class": "share"})]
    assert words[:5] == [f"above {100 * one:.1f} %" for one in share]


def test_imported_features_have_no_head_and_no_pictures(home):
    rng = np.random.default_rng(0)
    for name, rows in (("train", 42), ("test", 21), ("ood", 11)):
        features = rng.normal(size=(rows, 6)).astype(np.float32) + (3 if name == "ood" else 0)
        np.savez(home / f"{name}.npz", features=features, labels=np.arange(rows) % 3)
        assert call("import", "--model", "bare", "--dataset", f"tiny_{name}", home / f"{name}.npz").exit_code == 0
    assert call("score", "--benchmark", "tiny", *SCORES).exit_code == 0
    page = made(home)
    assert shown(page) == []
    notes = [tag.text for tag in page.found("div", **{"class": "gap"})]
    assert any("'tiny_ood' have other names than the images on this disk" in note for note in notes)
    data = json.loads(page.script("b0-data"))
    reasons = [data["texts"][cell] for row in data["cells"] for cell in row[0] if isinstance(cell, int)]
    still = page.found("td", **{"class": "^none$"})
    assert len(still) == 2  # MSP and ViM need logits
    assert {tag.attributes["title"] for tag in still} <= {*reasons}
    assert {tag.text for tag in still} == {"—"}
    (first, *_) = page.found("dl", **{"class": "origin"})
    assert "import" in first.text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bild ü.png", "bild ü.png"),
        (b"\xff.png".decode("utf-8", "surrogateescape"), "\\xff.png"),
        ("a\u202egnp.exe", "a\\u202egnp.exe"),
        ("two\nlines", "two\\nlines"),
    ],
)
def test_names_of_files_are_written_so_that_they_can_be_read(name, said):
    assert printable(name) == said
