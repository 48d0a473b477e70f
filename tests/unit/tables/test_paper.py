"""The two tables of the MOODv2 paper from results: what stands in them, and that they hold the published numbers."""

from __future__ import annotations

import csv
import json

import pytest

import moodbench
from moodbench.comparison.published import FOLDER, MODELS
from moodbench.comparison.published import SCORES as PUBLISHED
from moodbench.errors import UsageError
from moodbench.results import write_results
from moodbench.tables.grid import pivot
from moodbench.tables.order import Titles
from moodbench.tables.paper import SCORES, Part, paper_tables
from moodbench.types import MEAN, Result
from moodbench.workspace import Workspace
from tests.tables import FAMILY

TITLES = Titles(
    models={"vit": "ViT", "mocov3": "MoCo v3", "beitv2": "BEiT v2"},
    scores={name: title for title, name in PUBLISHED.items()},
    datasets={
        "texture": "Texture",
        "inaturalist": "iNaturalist",
        "imagenet_o": "ImageNet-O",
        "openimage_o": "OpenImage-O",
    },
)
CALLED = {"imagenet": "ImageNet", "cifar10": "CIFAR-10"}
PRETEXT = {"vit": "classification", "mocov3": "contrastive", "beitv2": "masked image modeling"}


def row(benchmark, model, score, ood, auroc, fpr95=None):
    group = "all" if ood == MEAN else "far"
    family = {**FAMILY, "max_logit": "logit", "energy_react": "logit", "kl_matching": "probability"}
    family |= {"residual": "feature", "mahalanobis": "feature"}
    values = {"n_id": 10, "n_ood": 10, "auroc": auroc, "fpr95": 1 - auroc if fpr95 is None else fpr95}
    return Result(benchmark, model, PRETEXT[model], score, "", family[score], ood, group, **values)


def published():
    """The published numbers of ViT on both benchmarks as results, and means of two other models."""
    found = {"imagenet": [], "cifar10": []}
    with (FOLDER / "moodv2_table.csv").open(encoding="utf-8", newline="") as stream:
        for one in csv.DictReader(stream):
            if one["row"] in PUBLISHED:
                numbers = (float(one["auroc_percent"]) / 100, float(one["fpr95_percent"]) / 100)
                ood = MEAN if one["ood"] == "average" else one["ood"]
                found[one["benchmark"]].append(row(one["benchmark"], "vit", PUBLISHED[one["row"]], ood, *numbers))
    with (FOLDER / "moodv2_figure.csv").open(encoding="utf-8", newline="") as stream:
        for one in csv.DictReader(stream):
            model = MODELS.get(one["pretext"])
            if model in ("mocov3", "beitv2"):
                for title, score in PUBLISHED.items():
                    for ood in (*TITLES.datasets, MEAN):
                        found["imagenet"].append(row("imagenet", model, score, ood, float(one[title]) / 100))
    return found


@pytest.fixture(scope="module")
def tables():
    parts = [
        Part(rows, TITLES, called) for rows, called in zip(published().values(), ("ImageNet", "CIFAR-10"), strict=True)
    ]
    return paper_tables(parts)


def test_the_scores_are_those_of_the_published_table_in_its_order():
    assert tuple(PUBLISHED.values()) == SCORES


def test_the_figure_has_a_row_for_each_model_and_a_column_for_each_score(tables):
    figure = tables[0]
    assert figure.title == "imagenet: mean over all OOD datasets, AUROC ↑"
    assert [column.heading for column in figure.columns] == [(title,) for title in PUBLISHED]
    assert [(one.block, one.title) for one in figure.rows] == [
        *(("classification", "ViT"), ("contrastive", "MoCo v3"), ("masked image modeling", "BEiT v2")),
    ]
    numbers = [0.89, 0.903, 0.903, 0.892, 0.942, 0.913, 0.934, 0.955]
    assert [cell.value for cell in figure.rows[2].cells] == pytest.approx(numbers)
    assert tables[1].title == "cifar10: mean over all OOD datasets, AUROC ↑"


def test_the_main_table_has_both_id_datasets_and_below_vit_the_best_of_every_other_model(tables):
    main = tables[2]
    assert len(tables) == 3
    assert main.title == "ImageNet, CIFAR-10: AUROC, FPR95 on each OOD dataset"
    assert [column.heading for column in main.columns[::2]] == [
        (t, "AUROC ↑") for t in [*TITLES.datasets.values(), "average"]
    ]
    assert [(one.block, one.title) for one in main.rows] == [
        *(("ImageNet", title) for title in PUBLISHED),
        *(("ImageNet", "Mahalanobis on MoCo v3"), ("ImageNet", "ViM on BEiT v2")),
        *(("CIFAR-10", title) for title in PUBLISHED),
    ]
    known = {(r.benchmark, r.model, r.score, r.ood): r for rows in published().values() for r in rows}
    for one in main.rows:
        for column, cell in zip(main.columns, one.cells, strict=True):
            keys = {**one.keys, **column.keys}
            result = known[keys["benchmark"], keys["model"], keys["score"], keys["ood"]]
            assert cell.value == getattr(result, keys["metric"])
    # the best of each ID dataset, not of both
    assert {one.block for one in main.rows if one.cells[0].mark == "best"} == {"ImageNet", "CIFAR-10"}
    said = "ImageNet: Rows without a model are of ViT (classification); of every other model, the score with the best"
    assert any(note.startswith(said) for note in main.footnotes)


def test_benchmarks_with_other_ood_datasets_have_a_table_of_their_own():
    rows = published()
    fewer = [one for one in rows["cifar10"] if one.ood != "texture"]
    made = paper_tables([Part(rows["imagenet"], TITLES, "ImageNet"), Part(fewer, TITLES, "CIFAR-10")])
    assert [table.title for table in made[2:]] == [
        "ImageNet: AUROC, FPR95 on each OOD dataset",
        "CIFAR-10: AUROC, FPR95 on each OOD dataset",
    ]


def test_scores_that_the_paper_lacks_are_named_below_and_can_be_shown():
    rows = [*published()["cifar10"], *(row("cifar10", "vit", "knn", ood, 0.5) for ood in (*TITLES.datasets, MEAN))]
    made = paper_tables([Part(rows, TITLES)])
    assert all(
        "With results, but not in the paper's tables: knn; --score names what is shown" in table.footnotes
        for table in made
    )
    named = paper_tables([Part(rows, TITLES)], scores=["knn"])
    assert [one.title for one in named[1].rows] == ["knn"]
    alone = paper_tables([Part([one for one in rows if one.score == "knn"], TITLES)])
    assert [one.title for one in alone[1].rows] == ["knn"]


def test_without_a_classification_model_every_model_has_its_best():
    rows = [one for one in published()["imagenet"] if one.model != "vit"]
    main = paper_tables([Part(rows, TITLES)])[-1]
    assert [one.title for one in main.rows] == ["Mahalanobis on MoCo v3", "ViM on BEiT v2"]


def test_the_figure_transposed_is_the_grid_in_the_order_of_the_paper():
    part = Part(published()["imagenet"], TITLES)
    turned = paper_tables([part], transpose=True)[0]
    assert [one.title for one in turned.rows] == list(PUBLISHED)
    grid = pivot(part.results, "score", "model", metric=["auroc"], titles=TITLES)
    where = {
        (row.title, column.keys["model"]): cell
        for row in grid.rows
        for column, cell in zip(grid.columns, row.cells, strict=True)
    }
    for one in turned.rows:
        assert [where[one.title, column.keys["model"]] for column in turned.columns] == list(one.cells)


def test_from_results_with_everything_else(tmp_path):
    for name, rows in published().items():
        for model in dict.fromkeys(one.model for one in rows):
            write_results(tmp_path / name / f"{model}.csv", [one for one in rows if one.model == model], {})
    space = Workspace(results_dir=tmp_path)
    for name in ("markdown", "plain", "latex", "html", "csv", "json"):
        shown = moodbench.table(layout="paper", sort="mean", decimals=1, format=name, workspace=space)
        assert "on each OOD dataset" in shown
    (*figures, main) = json.loads(moodbench.table(layout="paper", sort="mean", format="json", workspace=space))
    assert len(figures) == 2
    means = [(r["benchmark"], r["auroc"]) for r in main["records"] if r["ood"] == MEAN]
    assert means == [*sorted(means[:8], key=lambda one: -one[1]), *sorted(means[8:], key=lambda one: -one[1])]
    with pytest.raises(UsageError, match="the layout 'paper' is two tables"):
        moodbench.table(layout="paper", rows="model", workspace=space)
