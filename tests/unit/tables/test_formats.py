"""Tables as text: plain, Markdown, CSV and JSON, and what every format keeps to."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from moodbench.tables.formats.base import FORMATS
from moodbench.tables.grid import Cell, Column, Row, Table, grid, per_dataset
from tests.tables import CONVENTION, SMALL, TABLE, TITLES, awkward, cells, result


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


def test_markdown_escapes_what_has_a_meaning():
    row = FORMATS.get("markdown")([awkward()]).splitlines()[4]
    assert row.split(" | ")[1].strip() == r"a_b % & # $ {x} ~ ^ \\ \| &lt;b&gt; \[c\] \*d\*"
    assert r"\_x\_ a_b" in FORMATS.get("markdown")([awkward("_x_ a_b")])


@pytest.mark.parametrize("name", ["plain", "markdown"])
def test_a_line_break_in_a_name_does_not_break_the_table(name):
    assert "one two" in FORMATS.get(name)([awkward("one\ntwo")])


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
