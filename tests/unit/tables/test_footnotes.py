"""What stands below a table: why, how sure, how accurate, what models saw, and what is missing."""

from __future__ import annotations

import html
from dataclasses import replace

import pytest

from moodbench.catalog import Exposure
from moodbench.commands.table import table as report
from moodbench.metrics import METRICS
from moodbench.results import write_results
from moodbench.tables.footnotes import what_models_saw
from moodbench.tables.formats.base import FORMATS
from moodbench.tables.grid import grid, per_dataset
from moodbench.tables.order import models_in_order
from moodbench.workspace import Workspace
from tests.tables import FAMILY, PRETEXT, SMALL, TITLES, result


def test_footnotes_say_why_how_sure_and_how_accurate():
    trial = ("trial: 9 images",)
    table = grid(
        [
            result("moco", "msp", None, ood="texture", group="far", note="no head", remarks=("trial: 5 images",)),
            result("moco", "knn", 0.7),
            result("vit", "msp", 0.8, note="T=1", remarks=trial, auroc_low=0.75, auroc_high=0.84, id_accuracy=0.8456),
            result("vit", "knn", 0.9, remarks=trial),
            result("vit", "vim", 0.85, remarks=trial),
        ],
        titles=TITLES,
    )
    assert table.footnotes == (
        "Best AUROC of the table: KNN on ViT-B/16 †",
        "† trial: 9 images: ViT-B/16",
        "T=1: ViT-B/16 (MSP)",
        "— no head: MoCo v3 (MSP)",
        "— not scored: MoCo v3 (ViM)",
        f"FPR95: {METRICS['fpr95'].convention}",
        "95 % intervals reach at most 5.00 points from the AUROC shown",
        "ID accuracy: ViT-B/16 84.56 %",
    )
    assert table.columns[0].heading[1] == "ViT-B/16 †"


MODELS = models_in_order([*SMALL, result("moco", "msp", 0.5)], TITLES)


def test_models_that_saw_the_same_need_no_footnote():
    same = Exposure("none", "ImageNet-1k", False)
    assert what_models_saw(MODELS, {model.name: same for model in MODELS}) == []
    assert what_models_saw(MODELS, {}) == []
    assert what_models_saw(MODELS, {model.name: Exposure("none", None, True) for model in MODELS}) == []
    assert what_models_saw([], {}) == []


def test_a_footnote_says_in_what_models_differ():
    seen = {
        "vit": Exposure("none", "ImageNet-1k", False, "base"),
        "beit": Exposure("ImageNet-22k", "ImageNet-1k", True, "large"),
    }
    assert what_models_saw(MODELS, seen) == [
        "Labels seen besides the head's: not said (MoCo v3); ImageNet-22k (BEiT v2); none (ViT-B/16)",
        "Pretraining data: not said (MoCo v3); ImageNet-1k (the others)",
        "Size: not said (MoCo v3); large (BEiT v2); base (ViT-B/16)",
        "Pairs of pictures and text had a part in: BEiT v2",
    ]


LABELS = "Labels seen besides the head's: ImageNet-22k (BEiT); not said (ours); none (the others)"


@pytest.mark.parametrize("format", list(FORMATS))
def test_tables_of_the_catalogues_models_say_it_in_every_format(tmp_path, format):
    for model in ("vit", "beit", "beit@fair-bf16", "ours"):
        rows = [result(model, "msp", 0.9, pretext=PRETEXT.get(model.partition("@")[0], "unspecified"))]
        write_results(tmp_path / "imagenet" / f"{model}.csv", rows, {})
    space = Workspace(results_dir=tmp_path)
    text = report(format=format, workspace=space)
    plain = html.unescape(text).replace("\\allowbreak ", "")
    assert (LABELS in plain) == (format != "csv")  # which holds rows alone
    assert "seen" not in report(format=format, model="beit", workspace=space)


def test_what_every_number_of_a_model_carries_is_said_once_and_the_rest_of_its_score():
    note = "ID train varies in 63 of 80 dimensions; the rest is left out"
    remarks = ("trial: --limit 9", "odd; as it is")
    rows = [result("vit", "knn", 0.9, note=note, remarks=remarks), result("vit", "msp", 0.8, remarks=remarks[:1])]
    table = grid(rows)
    assert table.footnotes[:4] == (
        *("† trial: --limit 9: vit",),
        *("odd; as it is: knn", f"{note}: knn")[::-1],
        f"FPR95: {METRICS['fpr95'].convention}",
    )
    assert [row.cells[0].note for row in table.rows] == [remarks[0], "; ".join([note, *remarks])]


def test_why_a_cell_is_empty_is_its_note_alone():
    rows = [result("vit", "msp", None, note="no head", remarks=("trial: 9 images",)), result("vit", "knn", 0.9)]
    table = grid(rows)
    assert "— no head: vit (msp)" in table.footnotes or "— no head: msp" in table.footnotes
    assert table.rows[0].cells[0].note == "no head; trial: 9 images"


def test_a_head_of_other_classes_is_one_footnote_of_every_score_on_logits():
    remark = "the head has 1000 classes, and ID train has 10 others (moodbench probe trains a head for them)"
    rows = [
        result(model, score, 0.9 - i / 10, remarks=(remark,) if FAMILY[score] != "feature" else ())
        for model in ("vit", "moco")
        for i, score in enumerate(FAMILY)
    ]
    assert f"{remark}: every score on logits" in grid(rows).footnotes
    other = [replace(row, remarks=()) if row.model == "moco" else row for row in rows]
    assert f"{remark}: every score on logits of vit" in grid(other).footnotes
    assert not any(remark in line for line in grid([row for row in rows if row.score == "knn"]).footnotes)


def without_one(model, count=79, **more):
    """A model that has `count` scores on one OOD dataset of two."""
    return [result(model, f"s{i:02}", 0.9, ood="texture", group="far", **more) for i in range(count)]


EXPECTED = {"near": ["ninco"], "far": ["texture"]}
WHY = "no result on ninco yet, and no mean with it (--layout datasets shows the other OOD datasets)"


def test_a_grid_without_one_mean_is_one_line():
    table = grid(without_one("vit"), titles=TITLES, expected=EXPECTED)
    assert (len(table.rows), table.absent) == (79, {"vit": WHY})
    assert f"— {WHY}: ViT-B/16" in table.footnotes
    assert not any("s01" in foot for foot in table.footnotes)
    people = table.for_people()
    assert [(row.title, row.cells[0].value) for row in people.rows] == [("all 79 scores", WHY)]
    for name in FORMATS:
        text = FORMATS.get(name)([people])
        assert "no result on ninco yet" in text
        assert len(text.splitlines()) < 200


def test_a_model_that_lacks_an_ood_dataset_is_one_footnote_and_no_column():
    whole = [result("beit", f"s{i:02}", 0.8) for i in range(79)]
    whole += [result("beit", "s00", 0.8, ood=ood, group=group) for group, (ood,) in EXPECTED.items()]
    table = grid([*without_one("vit"), *whole], titles=TITLES, expected=EXPECTED)
    assert f"— {WHY}: ViT-B/16" in table.footnotes
    assert [column.heading[1] for column in table.columns] == ["ViT-B/16", "ViT-B/16", "BEiT v2", "BEiT v2"]
    people = table.for_people()
    assert [column.heading[1] for column in people.columns] == ["BEiT v2", "BEiT v2"]
    assert len(people.rows) == 79
    assert {cell.value for row in people.rows for cell in row.cells} == {0.8, 0.2}
    each = per_dataset([*without_one("vit"), *whole], titles=TITLES, expected=EXPECTED)
    assert f"— {WHY}: ViT-B/16" in each.footnotes
    assert each.for_people() == each


def test_many_scores_are_counted():
    rows = [result("beit", f"s{i:02}", 0.8) for i in range(79)]
    rows += [result("vit", f"s{i:02}", None, note="no head") for i in range(50)]
    rows += [result("vit", f"s{i:02}", 0.7) for i in range(50, 79)]
    assert "— no head: ViT-B/16 (50 of 79 scores)" in grid(rows, titles=TITLES).footnotes
