"""From images or features to tables: what each command leaves for the next."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest

from tests.commands import SCORES, call, read


def test_the_whole_road(home):
    result = call("extract", "--model", "tiny", "--benchmark", "tiny", "--batch-size", 8)
    assert result.exit_code == 0
    assert result.stdout == ""
    lines = [re.sub(r", \d+ images/s", "", line) for line in result.stderr.splitlines()]
    assert lines == [
        "extracted tiny on tiny_train: 42 images",
        "extracted tiny on tiny_test: 21 images",
        "extracted tiny on tiny_ood: 11 images",
    ]
    again = call("extract", "--model", "tiny", "--benchmark", "tiny")
    assert again.stderr.splitlines()[0] == "skip tiny on tiny_train: complete (42 images)"
    result = call("score", "--benchmark", "tiny", *SCORES, "--save-scores")
    assert result.exit_code == 0, result.stderr
    assert re.fullmatch(
        r"tiny on tiny: scoring, 3 scores\nscored tiny on tiny: 3 scores, ID accuracy \d+\.\d\d %\n(note: .*\n)?",
        result.stderr,
    )
    result = call("table", "--format", "csv")
    assert result.exit_code == 0
    assert result.stderr == ""
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert {row["score"] for row in rows} == {"msp", "vim", "mahalanobis"}
    result = call("plot", "grid", "--out", "grid.svg")
    assert (result.exit_code, result.stderr) == (0, "wrote grid.svg\n")
    assert (home / "grid.svg").read_text().startswith("<?xml")
    assert {p.name for p in (home / "results" / "tiny").iterdir()} == {"tiny.csv", "tiny.json", "tiny.scores.h5"}


@pytest.mark.parametrize("format", ["markdown", "latex", "csv", "html", "json", "plain"])
def test_every_table_format(scored, format):
    result = call("table", "--format", format, "--layout", "all")
    assert result.exit_code == 0
    assert "ViM" in result.stdout or "vim" in result.stdout
    assert result.stdout.endswith("\n")
    assert call("table", "--format", format, "--layout", "all", "--out", "t.txt").stdout == ""
    assert (scored / "t.txt").read_text() == result.stdout


def test_a_missing_ood_dataset_leaves_the_mean_empty(home):
    for dataset in ("tiny_train", "tiny_test", "tiny_ood"):
        call("extract", "--model", "tiny", "--dataset", dataset)
    text = (
        (home / "catalog.yaml").read_text().replace("far:\n      - tiny_ood", "far:\n      - tiny_ood\n      - absent")
    )
    (home / "catalog.yaml").write_text(text.replace("datasets:\n", "datasets:\n  absent: {title: Absent}\n", 1))
    result = call("score", "--score", "msp", "--benchmark", "tiny")
    assert result.exit_code == 0
    assert "no cache of absent; means that need them stay empty" in result.stderr
    rows = read(home / "results" / "tiny" / "tiny.csv")
    assert [row["ood"] for row in rows] == ["tiny_ood"]


def test_imported_features_without_head_leave_empty_cells(home):
    rng = np.random.default_rng(0)
    for name, n in (("train", 40), ("test", 20), ("ood", 20)):
        np.savez(f"{name}.npz", features=rng.normal(size=(n, 6)))
        result = call("import", "--model", "ours", "--dataset", f"tiny_{name}", f"{name}.npz", "--pretext", "hybrid")
        assert result.exit_code == 0, result.stderr
    result = call("score", "--all", "--score", "residual", "--score", "msp", "--score", "mahalanobis")
    assert result.exit_code == 0, result.stderr
    assert "left empty:\n  msp (no logits)\n  mahalanobis (no labels on ID train)" in result.stderr
    rows = read(home / "results" / "tiny" / "ours.csv")
    assert {row["pretext"] for row in rows} == {"hybrid"}
    assert {row["score"]: bool(row["auroc"]) for row in rows} == {"residual": True, "msp": False, "mahalanobis": False}


@pytest.mark.parametrize("what", ["models", "datasets", "benchmarks", "scores"])
def test_lists_as_text_and_json(home, what):
    records = json.loads(call("list", what, "--json").stdout)
    assert all(record["name"] for record in records)
    text = call("list", what).stdout
    assert all(record["name"] in text for record in records)


def test_cache_list_verify_and_remove(scored):
    listed = json.loads(call("cache", "list", "--json").stdout)
    assert [r["name"] for r in listed] == ["tiny/tiny_ood", "tiny/tiny_test", "tiny/tiny_train"]
    assert call("cache", "verify").exit_code == 0
    file = scored / "cache" / "tiny" / "tiny_test.h5"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    result = call("cache", "verify")
    assert result.exit_code == 1
    assert "1 row does not match its checksum" in result.stderr
    assert str(file.relative_to(scored)) in result.stderr
    score = call("score", "--benchmark", "tiny", *SCORES)
    assert score.exit_code == 1
    assert "1 row does not match its checksum" in score.stderr
    mine = scored / "cache" / "tiny" / "heads"
    mine.mkdir()
    (mine / "mine.h5").write_bytes((scored / "cache" / "tiny" / "head.h5").read_bytes())
    assert "stay" not in call("cache", "remove", "--model", "tiny", "--dataset", "tiny_ood", "--yes").stderr
    result = call("cache", "remove", "--model", "tiny", "--yes")
    assert result.exit_code == 0
    note = "note: heads of 'tiny' stay (mine); to remove them, delete the folder 'cache/tiny/heads'"
    assert result.stderr.splitlines()[-1] == note
    assert [path.name for path in mine.parent.iterdir()] == ["heads"]


def test_the_catalogue_option_and_the_common_folders(home, monkeypatch, catalog):
    monkeypatch.delenv("MOODBENCH_CATALOG")
    assert call("extract", "--model", "tiny", "--dataset", "tiny_ood").exit_code == 2
    options = ["--catalog", catalog, "--cache-dir", "elsewhere"]
    assert call("extract", "--model", "tiny", "--dataset", "tiny_ood", *options).exit_code == 0
    assert (home / "elsewhere" / "tiny" / "tiny_ood.h5").exists()
    monkeypatch.setenv("MOODBENCH_CACHE_DIR", "elsewhere")
    assert "tiny_ood" in call("cache", "list").stdout


@pytest.mark.parametrize("name", ["head", "mean"])
def test_names_that_moodbench_itself_uses(home, name, pictures):
    result = call("extract", "--model", "tiny", "--images", pictures / "ood", "--dataset", name)
    assert (result.exit_code, "moodbench itself uses" in result.stderr) == (2, True)


def test_bundled_images_are_not_replaced(home, pictures):
    result = call("extract", "--model", "tiny", "--images", pictures / "ood", "--dataset", "digits_noise")
    assert (result.exit_code, "has images of its own" in result.stderr) == (2, True)


def test_verbose_says_where_things_lie(home):
    result = call("cache", "list", "--cache-dir", "elsewhere", "--verbose")
    assert "cache_dir: elsewhere" in result.stderr
    assert "cache_dir" not in call("cache", "list").stderr
