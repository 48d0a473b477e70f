"""Tables: which number stands where and how it is marked, and the text of every format."""

from __future__ import annotations

import csv
import html
import io
import json
import math
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from moodbench.catalog import Exposure
from moodbench.cli import app
from moodbench.commands.table import table as report
from moodbench.errors import ResultsError, UnknownNameError, UsageError
from moodbench.metrics import METRICS
from moodbench.results import write_results
from moodbench.tables.escape import escape_latex
from moodbench.tables.footnotes import what_models_saw
from moodbench.tables.formats.base import FORMATS
from moodbench.tables.grid import Cell, Column, Row, Table, grid, per_dataset
from moodbench.tables.order import Titles, models_in_order, series_in_order
from moodbench.types import Result
from moodbench.workspace import Workspace

FAMILY = {"msp": "probability", "energy": "logit", "knn": "feature", "vim": "feature+logit"}
FAMILY |= dict.fromkeys((f"s{i:02}" for i in range(79)), "feature")  # as many as there are
PRETEXT = {"vit": "classification", "moco": "contrastive", "beit": "masked image modeling"}


def result(model, score, auroc, fpr95=None, ood="mean", group="all", **more) -> Result:
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
    return [[cell.value for cell in row.cells] for row in table.rows]


def marks(table: Table) -> list[list[str]]:
    return [[cell.mark for cell in row.cells] for row in table.rows]


def test_the_grid_has_families_down_and_pretext_tasks_across():
    table = grid(SMALL, titles=TITLES)
    assert [column.heading for column in table.columns] == [
        ("classification", "ViT-B/16", "AUROC ↑"),
        ("classification", "ViT-B/16", "FPR95 ↓"),
        ("masked image modeling", "BEiT v2", "AUROC ↑"),
        ("masked image modeling", "BEiT v2", "FPR95 ↓"),
    ]
    assert [(row.block, row.title) for row in table.rows] == [("probability", "MSP"), ("feature", "KNN")]
    assert cells(table) == [[0.5, 0.875, 0.985, 0.1], [None, None, 0.9, 0.05]]


def test_best_and_second_follow_the_orientation_and_ties_share_them():
    rows = [
        result("vit", "msp", 0.90001, 0.5),
        result("vit", "energy", 0.9, 0.3),
        result("vit", "knn", 0.8, 0.2),
        result("vit", "vim", 0.7, 0.9),
    ]
    # 90.001 and 90.000 print alike, so they are marked alike
    assert marks(grid(rows)) == [["best", ""], ["best", "second"], ["second", "best"], ["", ""]]


def test_a_column_with_one_number_has_no_best():
    assert marks(grid(SMALL, titles=TITLES)) == [["", "", "best", "second"], ["", "", "second", "best"]]


def test_a_mean_that_is_not_there_is_never_made_up():
    rows = [
        result("vit", "msp", 0.9, ood="texture", group="far"),
        result("vit", "msp", 0.9, group="far"),
        result("vit", "knn", 0.8),
    ]
    table = grid(rows, titles=TITLES)
    assert cells(table) == [[None, None], [0.8, 0.2]]
    assert "— not every OOD dataset has a result: MSP" in table.footnotes
    assert cells(grid(rows, group="far")) == [[0.9, 0.1], [None, None]]


def test_the_grid_of_one_metric_names_it_in_the_title():
    table = grid(SMALL, metric=["auroc"], titles=TITLES)
    assert table.title == "imagenet: mean over all OOD datasets, AUROC ↑"
    assert [column.heading for column in table.columns] == [
        ("classification", "ViT-B/16"),
        ("masked image modeling", "BEiT v2"),
    ]


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


def test_per_dataset_has_one_column_pair_for_each_dataset_then_the_average():
    rows = [
        result("vit", "msp", 0.9, ood="ninco", group="far"),
        result("vit", "msp", 0.7, ood="texture", group="far"),
        result("vit", "msp", 0.8, group="far"),
        result("vit", "msp", 0.8),
        result("beit", "msp", 0.9),
    ]
    table = per_dataset(rows, "vit", titles=TITLES)
    assert table.title == "imagenet: ViT-B/16"
    assert [column.heading for column in table.columns[::2]] == [
        ("Texture", "AUROC ↑"),
        ("NINCO", "AUROC ↑"),
        ("average", "AUROC ↑"),
    ]
    assert [(row.block, row.title) for row in table.rows] == [("probability", "MSP")]
    assert cells(table) == [[0.7, 0.3, 0.9, 0.1, 0.8, 0.2]]


def test_several_groups_have_a_heading_and_an_average_of_their_own():
    rows = [
        *(result("vit", "msp", 0.9, ood=ood, group="far") for ood in ("texture", "places")),
        result("vit", "msp", 0.6, ood="ninco", group="near"),
        *(result("vit", "msp", auroc, group=group) for group, auroc in (("far", 0.9), ("near", 0.6), ("all", 0.8))),
    ]
    table = per_dataset(rows, "vit", metric=["auroc"], titles=TITLES)
    assert [column.heading for column in table.columns] == [
        ("far", "Texture"),
        ("far", "places"),
        ("far", "average"),
        ("near", "NINCO"),
        ("all", "average"),
    ]
    assert cells(table) == [[0.9, 0.9, 0.9, 0.6, 0.8]]


def test_per_dataset_of_all_models_ranks_them_together():
    table = per_dataset(SMALL, titles=TITLES)
    assert [(row.block, row.title, row.family) for row in table.rows] == [
        ("ViT-B/16", "MSP", "probability"),
        ("ViT-B/16", "KNN", "feature"),
        ("BEiT v2", "MSP", "probability"),
        ("BEiT v2", "KNN", "feature"),
    ]
    assert marks(table) == [["", ""], ["", ""], ["best", "second"], ["second", "best"]]


def test_variants_and_parameters_are_told_apart():
    rows = [
        result("vit@fp16+probe", "knn", 0.9, params="k=5", pretext="classification"),
        result("vit", "knn", 0.8, params="k=50"),
        result("vit", "msp", 0.8, params="t=1"),
    ]
    assert [model.title for model in models_in_order(rows, TITLES)] == ["ViT-B/16", "ViT-B/16 @fp16+probe"]
    assert [one.title for one in series_in_order(rows, TITLES)] == ["MSP", "KNN (k=5)", "KNN (k=50)"]


def test_what_cannot_be_shown_is_an_error():
    with pytest.raises(ResultsError, match="moodbench score"):
        grid([])
    with pytest.raises(UsageError, match="several benchmarks: cifar10, imagenet"):
        grid([*SMALL, result("vit", "vim", 0.5, benchmark="cifar10")])
    with pytest.raises(UnknownNameError, match="no OOD group 'nera'"):
        grid([*SMALL, result("vit", "msp", 0.5, ood="ninco", group="near")], group="nera")
    with pytest.raises(UnknownNameError, match="there is no metric 'aurok'"):
        grid(SMALL, metric="aurok")
    with pytest.raises(UnknownNameError, match=r"'bait'\. Did you mean 'beit'"):
        per_dataset(SMALL, "bait")
    with pytest.raises(
        UnknownNameError, match=r"there is no model with results 'nope'\.\n.*known models with results: "
    ):
        per_dataset(SMALL, "nope")


# What the models have seen

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


# Metrics

FULL = {"aupr_in": 0.5, "aupr_out": 0.25, "fpr95_ood": 0.3, "detection_accuracy": 0.8, "autc": 0.4}
FULL |= {"aurc": 0.1, "failure_auroc": 0.7}


def test_every_metric_has_a_heading_and_an_orientation():
    table = grid([result("vit", "msp", 0.9, **FULL), result("vit", "knn", 0.8, **FULL | {"autc": 0.3})], metric=METRICS)
    assert [(column.heading[-1], column.better) for column in table.columns] == [
        ("AUROC ↑", "higher"),
        ("FPR95 ↓", "lower"),
        ("AUPR-IN ↑", "higher"),
        ("AUPR-OUT ↑", "higher"),
        ("FPR95-OOD ↓", "lower"),
        ("Detection accuracy ↑", "higher"),
        ("AUTC ↓", "lower"),
        ("AURC ↓", "lower"),
        ("Failure AUROC ↑", "higher"),
    ]
    assert cells(table)[0] == [0.9, 0.1, *FULL.values()]
    assert [row[6] for row in marks(table)] == ["second", "best"]
    for name, metric in METRICS.items():
        assert (f"{metric.label}: {metric.convention}" in table.footnotes) == (name != "auroc")


def test_a_metric_that_is_not_defined_says_what_it_needs():
    unlabelled = FULL | {"aurc": None, "failure_auroc": None}
    rows = [
        result("vit", "msp", 0.9, **FULL),
        result("moco", "knn", 0.8, note="T=1", **unlabelled),
        result("moco", "msp", None, note="no head"),
    ]
    table = grid(rows, metric=["auroc", "aurc"], titles=TITLES)
    assert cells(table) == [[0.9, 0.1, None, None], [None, None, 0.8, None]]
    assert set(table.footnotes) >= {
        "— not scored: ViT-B/16 (KNN)",
        "— no head: MoCo v3 (MSP)",
        f"— AURC {METRICS['aurc'].needs}: MoCo v3 (KNN)",
    }
    assert table.rows[1].cells[3].note == f"AURC {METRICS['aurc'].needs}; T=1"
    assert not any("95 % intervals" in line for line in grid(rows, metric=["aurc"]).footnotes)


@pytest.fixture
def space(tmp_path):
    rows = [result("vit", "msp", 0.9, 0.2, **FULL), result("vit", "knn", 0.8, 0.1, **FULL | {"fpr95_ood": 0.6})]
    write_results(tmp_path / "imagenet" / "vit.csv", rows, {})
    return Workspace(results_dir=tmp_path)


def test_fpr95_with_ood_as_positive_takes_the_place_of_fpr95(space):
    assert report(workspace=space) == report(positive="id", workspace=space)
    (table,) = json.loads(report(format="json", positive="ood", workspace=space))
    assert [record["fpr95_ood"] for record in table["records"]] == [0.3, 0.6]
    assert "fpr95" not in table["records"][0]
    assert f"FPR95-OOD: {METRICS['fpr95_ood'].convention}" in table["footnotes"]
    text = report(format="csv", metric=["fpr95", "fpr95_ood", "auroc"], positive="ood", workspace=space)
    assert text.splitlines()[0].endswith(",fpr95_ood_percent,auroc_percent,note")
    assert "fpr95_percent,fpr95_ood_percent" in report(
        format="csv", metric=["fpr95", "fpr95_ood"], layout="datasets", workspace=space
    )
    with pytest.raises(UsageError, match="positive cannot be 'both'"):
        report(positive="both", workspace=space)


def test_the_command_line_takes_every_metric_and_both_conventions(space):
    def call(*args):
        return CliRunner().invoke(app, ["table", "--results-dir", str(space.results_dir), *args])

    for name in METRICS:
        shown = call("--metric", name)
        assert (shown.exit_code, shown.stderr) == (0, "")
        assert METRICS[name].heading in shown.stdout
    words = call("--help").stdout.split("--metric")[1].split("--positive")[0]
    assert set(re.findall(r"\w+", words)) >= set(METRICS)
    assert "FPR95-OOD ↓" in call("--positive", "ood").stdout
    wrong = call("--positive", "both")
    assert (wrong.exit_code, wrong.stdout) == (2, "")


# Formats

TABLE = grid(SMALL, titles=TITLES)
CONVENTION = "share of OOD at or above the floor(0.95 n)-th largest of n ID scores (ID is positive)"


def test_plain():
    assert FORMATS.get("plain")([TABLE]) == (
        "imagenet: mean over all OOD datasets\n"
        "\n"
        "                     classification   masked image modeling\n"
        "                    ────────────────  ─────────────────────\n"
        "                        ViT-B/16             BEiT v2\n"
        "                    ────────────────  ─────────────────────\n"
        "family       score  AUROC ↑  FPR95 ↓     AUROC ↑    FPR95 ↓\n"
        "───────────  ─────  ───────  ───────  ──────────  ─────────\n"
        "probability  MSP      50.00    87.50      *98.50     +10.00\n"
        "feature      KNN          —        —      +90.00      *5.00\n"
        "\n"
        "Percent; * best and + second best of each column.\n"
        "Best AUROC of the table: MSP on BEiT v2\n"
        "— no labels: ViT-B/16 (KNN)\n"
        f"FPR95: {CONVENTION}\n"
    )


def test_markdown():
    table = grid(SMALL, metric=["fpr95"], titles=TITLES)
    assert FORMATS.get("markdown")([table, table]).split("\n\n**imagenet")[0] == (
        "**imagenet: mean over all OOD datasets, FPR95 ↓**\n"
        "\n"
        "| family      | score   |   classification<br>ViT-B/16 |   masked image modeling<br>BEiT v2 |\n"
        "|:------------|:--------|-----------------------------:|-----------------------------------:|\n"
        "| probability | MSP     |                        87.50 |                   <ins>10.00</ins> |\n"
        "| feature     | KNN     |                            — |                           **5.00** |\n"
        "\n"
        "- Percent; **best** and <ins>second best</ins> of each column.\n"
        "- Best FPR95 of the table: KNN on BEiT v2\n"
        "- — no labels: ViT-B/16 (KNN)\n"
        f"- FPR95: {CONVENTION}"
    )


def test_a_markdown_table_parses_back_to_the_same_numbers():
    lines = [line for line in FORMATS.get("markdown")([TABLE]).splitlines() if line.startswith("|")]
    parsed = [re.split(r"(?<!\\)\|", line)[3:-1] for line in lines[2:]]
    bare = [[re.sub(r"\*\*|</?ins>", "", cell).strip() for cell in row] for row in parsed]
    numbers = [[None if cell == "—" else float(cell) / 100 for cell in row] for row in bare]
    assert numbers == [[pytest.approx(value) for value in row] for row in cells(TABLE)]


def test_latex():
    table = grid(SMALL, titles=TITLES)
    assert FORMATS.get("latex")([table]) == (
        r"""% preamble: \usepackage{booktabs,graphicx}
\begin{table}
\centering
\caption{imagenet: mean over all OOD datasets}
\setlength{\tabcolsep}{4pt}
\setlength{\defaultaddspace}{0.5\baselineskip}
\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%
\begin{tabular}{llrrrr}
\toprule
 &  & \multicolumn{2}{c}{classification} & \multicolumn{2}{c}{masked image modeling} \\
\cmidrule(lr){3-4} \cmidrule(lr){5-6}
 &  & \multicolumn{2}{c}{ViT-B/16} & \multicolumn{2}{c}{BEiT v2} \\
\cmidrule(lr){3-4} \cmidrule(lr){5-6}
"""
        r"family & score & \multicolumn{1}{c}{AUROC $\uparrow$} & \multicolumn{1}{c}{FPR95 $\downarrow$}"
        r" & \multicolumn{1}{c}{AUROC $\uparrow$} & \multicolumn{1}{c}{FPR95 $\downarrow$} \\"
        r"""
\midrule
probability & MSP & 50.00 & 87.50 & \textbf{98.50} & \underline{10.00} \\
\addlinespace
feature & KNN & --- & --- & \underline{90.00} & \textbf{5.00} \\
\bottomrule
\end{tabular}}
"""
        r"\par\smallskip\parbox{\linewidth}{\footnotesize\raggedright "
        r"Percent; \textbf{best} and \underline{second best} of each column.\\ "
        r"Best AUROC of the table: MSP on BEiT v2\\ --- no labels: ViT-B/16 (KNN)\\ "
        rf"FPR95: {CONVENTION}}}"
        "\n\\end{table}\n"
    )


AWKWARD = r"a_b % & # $ {x} ~ ^ \ | <b> [c] *d*"


def awkward(text: str = AWKWARD) -> Table:
    cell = Cell(0.5, mark="best", note=text)
    return Table(text, ("family", "score"), (Column((text,)),), (Row(text, text, (cell,)),), (text,))


def test_latex_is_ascii_whatever_the_names_hold():
    text = "ε-∞ Σ λ x² L₂ é ½ 漢 ‖·‖ ﬁ"
    expected = (
        r"$\varepsilon$-$\infty$ $\Sigma$ $\lambda$ x$^{2}$ L$_{2}$ \'{e} 1/2 {[}U+6F22] $\Vert$$\cdot$$\Vert$ fi"
    )
    shown = FORMATS.get("latex")([awkward(text)])
    assert shown.count(expected) == 5
    assert shown.isascii()
    every = "".join(map(chr, (*range(32, 0xD800), *range(0xE000, 0x11000))))
    assert escape_latex(every).isascii()


def long_table(models: int) -> Table:
    return per_dataset([result(f"m{i}", score, 0.5 + i / 1000) for i in range(models) for score in FAMILY])


def test_a_latex_table_higher_than_a_page_goes_on_in_further_floats_with_its_number_and_headings():
    table = long_table(3)
    text = FORMATS.get("latex")([table])
    parts = text.count(r"\begin{table}")
    assert parts == text.count(r"\scriptsize") / 2 == math.ceil(len(table.rows) / 53) > 1
    assert text.count(r"\addtocounter{table}{-1}") == text.count("(continued)") == parts - 1
    assert text.count("Continued on the next page.") == parts - 1
    assert text.count("AUROC") == parts
    bodies = [part.split(r"\bottomrule")[0] for part in text.split(r"\midrule")[1:]]
    assert sum(body.count(r" \\") for body in bodies) == len(table.rows)
    assert r"\scriptsize" not in FORMATS.get("latex")([TABLE])


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex: the LaTeX of tables is not compiled")
@pytest.mark.parametrize("name", ["grid", "wide grid", "datasets", "every model", "three pages"])
@pytest.mark.parametrize("columns", ["twocolumn", "onecolumn"])
def test_latex_compiles_without_anything_too_wide_or_too_high(name, columns, tmp_path):
    scores = [score for score in FAMILY if score in ("msp", "energy", "knn", "vim")]
    wide = [result(f"m{i}", score, 0.5 + i / 1000) for i in range(9) for score in scores]
    table = {
        "grid": grid(SMALL, titles=TITLES),
        "wide grid": grid(wide, metric=["auroc", "fpr95", "aupr_in"]),
        "datasets": TABLE,
        "every model": per_dataset(wide, metric=["auroc", "fpr95", "aupr_in", "aupr_out", "autc"]),
        "three pages": long_table(2),
    }[name]
    text = FORMATS.get("latex")([table])
    document = rf"\documentclass[{columns}]{{article}}\usepackage{{booktabs,graphicx}}"
    (tmp_path / "paper.tex").write_text(document + "\n\\begin{document}\n" + text + "\\end{document}\n")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    log = (tmp_path / "paper.log").read_text(errors="replace")
    assert not [line for line in log.splitlines() if "Overfull" in line or "too large" in line]


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
    remark = "the head's 1000 classes are not the 10 of ID train: moodbench probe trains one that is"
    rows = [
        result(model, score, 0.9 - i / 10, remarks=(remark,) if FAMILY[score] != "feature" else ())
        for model in ("vit", "moco")
        for i, score in enumerate(FAMILY)
    ]
    assert f"{remark}: every score on logits" in grid(rows).footnotes
    other = [replace(row, remarks=()) if row.model == "moco" else row for row in rows]
    assert f"{remark}: every score on logits of vit" in grid(other).footnotes
    assert not any(remark in line for line in grid([row for row in rows if row.score == "knn"]).footnotes)


def test_controls_are_never_best():
    rows = [result("vit", "knn", 0.99, control=True), result("vit", "msp", 0.9), result("vit", "vim", 0.8)]
    assert marks(grid(rows)) == [["best", "best"], ["", ""], ["second", "second"]]


def test_latex_escapes_what_has_a_meaning():
    text = FORMATS.get("latex")([awkward()])
    assert text.count(
        r"a\_b \% \& \# \$ \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} \textbar{} "
        r"\textless{}b\textgreater{} {[}c] {*}d{*}"
    ) == len(["caption", "heading", "block", "title", "footnote"])
    assert AWKWARD not in text


def test_markdown_escapes_what_has_a_meaning():
    row = FORMATS.get("markdown")([awkward()]).splitlines()[4]
    assert row.split(" | ")[1].strip() == r"a_b % & # $ {x} ~ ^ \\ \| &lt;b&gt; \[c\] \*d\*"
    assert r"\_x\_ a_b" in FORMATS.get("markdown")([awkward("_x_ a_b")])


@pytest.mark.parametrize("name", ["plain", "markdown"])
def test_a_line_break_in_a_name_does_not_break_the_table(name):
    assert "one two" in FORMATS.get(name)([awkward("one\ntwo")])


class _Page(HTMLParser):
    """Checks that tags nest, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_one_page_with_real_tables():
    text = FORMATS.get("html")([TABLE, TABLE])
    page = _Page()
    page.feed(text)
    assert page.open == []
    tags = [tag for tag, _ in page.tags]
    assert (tags.count("table"), tags.count("thead"), tags.count("html")) == (2, 2, 1)
    scopes = [attrs.get("scope") for tag, attrs in page.tags if tag == "th"]
    assert [scopes.count(scope) for scope in ("col", "colgroup", "rowgroup", "row", None)] == [10, 8, 4, 4, 0]
    assert not {"script", "link", "img"} & set(tags)  # self-contained
    assert (
        '<tr><th scope="row">MSP</th><td>50.00</td><td>87.50</td>'
        '<td class="edge best"><strong>98.50</strong></td><td class="second"><u>10.00</u></td></tr>'
    ) in text
    assert '<span class="chip probability">probability</span>' in text
    assert "prefers-color-scheme: dark" in text


def test_html_shows_intervals_and_escapes_names():
    name = "<script>alert('x')</script>\" onload="
    text = FORMATS.get("html")([awkward(name), per_dataset([result(name, "msp", 0.5, auroc_low=0.4, auroc_high=0.6)])])
    assert "<script" not in text
    assert '" onload' not in text
    assert "&lt;script&gt;" in text
    assert 'title="40.00 to 60.00"' in text


def test_csv_is_one_tidy_table():
    text = FORMATS.get("csv")([TABLE, per_dataset([result("vit", "msp", 0.5, ood="texture", group="far")], "vit")])
    mean = "imagenet: mean over all OOD datasets,imagenet"
    assert text.splitlines() == [
        "table,benchmark,pretext,model,family,score,params,ood,group,auroc_percent,fpr95_percent,note",
        f"{mean},classification,vit,probability,msp,,mean,all,50.00,87.50,",
        f"{mean},masked image modeling,beit,probability,msp,,mean,all,98.50,10.00,",
        f"{mean},classification,vit,feature,knn,,mean,all,,,no labels",
        f"{mean},masked image modeling,beit,feature,knn,,mean,all,90.00,5.00,",
        "imagenet: vit,imagenet,classification,vit,probability,msp,,texture,far,50.00,50.00,",
        "imagenet: vit,imagenet,classification,vit,probability,msp,,mean,all,,,not every OOD dataset has a result",
    ]
    assert {len(row) for row in csv.reader(io.StringIO(text))} == {12}


def test_json_keeps_fractions():
    (table,) = json.loads(FORMATS.get("json")([TABLE]))
    assert table["title"] == "imagenet: mean over all OOD datasets"
    assert table["footnotes"] == list(TABLE.footnotes)
    assert table["records"][1] == {
        "benchmark": "imagenet",
        "pretext": "masked image modeling",
        "model": "beit",
        "family": "probability",
        "score": "msp",
        "params": "",
        "ood": "mean",
        "group": "all",
        "auroc": 0.985,
        "fpr95": 0.1,
        "note": "",
    }
    assert table["records"][2]["auroc"] is None


def test_texts_stay():
    columns = (Column(("share",)), Column(("why",), kind="text"))
    rows = tuple(Row("b", str(value), (Cell(value), Cell("as published"))) for value in (0.0123, 0.5))
    text = FORMATS.get("plain")([Table("t", ("block", "row"), columns, rows)])
    assert "   1.23  as published\n" in text
    assert "  50.00  as published\n" in text
    assert "Percent" not in text


def test_every_format_ends_with_one_line_feed_and_takes_several_tables():
    assert set(FORMATS) == {"plain", "markdown", "latex", "csv", "json", "html"}
    for name in FORMATS:
        text = FORMATS.get(name)([TABLE, TABLE])
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
        assert text == FORMATS.get(name)([TABLE, TABLE])


# -- OOD datasets that are not there yet ------------------------------------------------------------------------------


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
