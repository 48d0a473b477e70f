"""Small results to make tables of, and what the cells of a table hold."""

from __future__ import annotations

from moodbench.tables.grid import Cell, Column, Row, Table, grid
from moodbench.tables.order import Titles
from moodbench.types import Result

FAMILY = {"msp": "probability", "energy": "logit", "knn": "feature", "vim": "feature+logit"}
FAMILY |= dict.fromkeys((f"s{i:02}" for i in range(79)), "feature")  # as many as there are
PRETEXT = {"vit": "classification", "moco": "contrastive", "beit": "masked image modeling"}


def result(model, score, auroc, fpr95=None, ood="mean", group="all", **more) -> Result:
    """Return one row; an FPR95 that is not given is what the AUROC lacks of 1."""
    values = {"params": "", "pretext": PRETEXT.get(model, "unspecified"), "benchmark": "imagenet"} | more
    if fpr95 is None and auroc is not None:
        fpr95 = round(1 - auroc, 6)
    return Result(
        model=model,
        score=score,
        family=FAMILY[score],
        ood=ood,
        group=group,
        n_id=50,
        n_ood=40,
        auroc=auroc,
        fpr95=fpr95,
        **values,
    )


TITLES = Titles(
    models={"vit": "ViT-B/16", "moco": "MoCo v3", "beit": "BEiT v2"},
    scores={"msp": "MSP", "energy": "Energy", "knn": "KNN", "vim": "ViM"},
    datasets={"texture": "Texture", "ninco": "NINCO"},
)

SMALL = [
    result("beit", "msp", 0.985, 0.1),
    result("beit", "knn", 0.9, 0.05),
    result("vit", "msp", 0.5, 0.875),
    result("vit", "knn", None, note="no labels"),
]


def cells(table: Table) -> list[list[float | str | None]]:
    """Return the values, row by row."""
    return [[cell.value for cell in row.cells] for row in table.rows]


def marks(table: Table) -> list[list[str]]:
    """Return the marks (best, second or nothing), row by row."""
    return [[cell.mark for cell in row.cells] for row in table.rows]


TABLE = grid(SMALL, titles=TITLES)
CONVENTION = "share of OOD at or above the floor(0.95 n)-th largest of n ID scores (ID is positive)"


AWKWARD = r"a_b % & # $ {x} ~ ^ \ | <b> [c] *d*"


def awkward(text: str = AWKWARD) -> Table:
    """Return a table whose caption, block, title, heading and footnote all say `text`."""
    cell = Cell(0.5, mark="best", note=text)
    return Table(text, ("family", "score"), (Column((text,)),), (Row(text, text, (cell,)),), (text,))
