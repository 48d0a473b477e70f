"""Metrics in tables: headings and orientation, what is not defined, and both conventions of FPR95."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner

from moodbench.cli import app
from moodbench.commands.table import table as report
from moodbench.errors import UsageError
from moodbench.metrics import METRICS
from moodbench.results import write_results
from moodbench.tables.grid import grid
from moodbench.workspace import Workspace
from tests.tables import TITLES, cells, marks, result

FULL = {"aupr_in": 0.5, "aupr_out": 0.25, "fpr95_ood": 0.3, "detection_accuracy": 0.8, "autc": 0.4}
FULL |= {"aurc": 0.1, "failure_auroc": 0.7}
FULL |= {"augrc": 0.05, "aurra": 0.9, "ece": 0.02, "oscr": 0.6, "scod_aurc": 0.35, "scod_augrc": 0.2}


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
        ("AUGRC ↓", "lower"),
        ("AURRA ↑", "higher"),
        ("ECE ↓", "lower"),
        ("OSCR ↑", "higher"),
        ("SCOD-AURC ↓", "lower"),
        ("SCOD-AUGRC ↓", "lower"),
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
