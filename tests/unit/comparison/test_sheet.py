"""Anybody's CSV file: what is read, and that no unit is guessed."""

from __future__ import annotations

import pytest

from moodbench.comparison.sheet import read_sheet
from moodbench.errors import ResultsError
from tests.comparing import DIGITS, HEADER, LINE

UNIT = HEADER.replace("value", "value,unit")
BAD = {
    "": "is empty",
    HEADER: "no number",
    "a;b;c\n1;2;3\n": "separated by semicolons",
    "model,score,ood,metric,value\nm,msp,mean,auroc,90\n": "no column 'benchmark'",
    HEADER.replace("value", "value,colour") + LINE.replace("\n", ",red\n"): "mean nothing here: 'colour'",
    HEADER.replace("value", "value,value") + LINE.replace("\n", ",1\n"): "two columns 'value'",
    HEADER + "b,m,s,mean,aupr_in,90\n": "metric 'aupr_in', which cannot be compared",
    HEADER + "b,m,s,mean,auroc,high\n": "line 2 .* 'high' where a number should be",
    HEADER + "b,m,s,mean,auroc,90%\n": "column 'unit'",
    HEADER + "b,m,s,mean,auroc,nan\n": "between 0 and 100",
    HEADER + "b,m,s,mean,auroc,101\n": "between 0 and 100",
    HEADER + "b,m,s,mean,auroc\n": "line 2 .* 5 cells",
    HEADER + "b,,s,mean,auroc,90\n": "which model",
    HEADER + "b,m,s,mean,auroc,90\nb,m,s,average,auroc,91\n": "line 3 .* contradicts",
    HEADER + "b,m,s,mean,auroc,0.9\nb,m,t,mean,auroc,0.95\n": "looks like fractions .*0.95",
    HEADER + "b,m,s,mean,fpr95,0.9\n": "looks like fractions",
    HEADER + "b,m,s,mean,auroc,0.9\nb,m,t,mean,auroc,95\n": "line 2 .* fraction among percentages",
    HEADER + "b,m,s,mean,auroc,0.9\nb,m,s,mean,fpr95,30\n": "line 2 .* fraction among percentages",
    UNIT + "b,m,s,mean,auroc,90,fraction\n": "as a fraction",
    UNIT + "b,m,s,mean,auroc,90,points\n": "unit 'points'",
    "benchmark,model,score,ood,auroc\nb,m,s,mean,90\n": "as a fraction",
    "benchmark,model,score,ood,auroc,auroc_percent\nb,m,s,mean,.9,90\n": "in percent and as fractions",
}


def read(tmp_path, text):
    file = tmp_path / "table.csv"
    file.write_text(text, encoding="utf-8")
    return read_sheet(file).numbers


@pytest.mark.parametrize("text", BAD, ids=list(BAD.values()))
def test_what_cannot_be_compared_is_refused_in_one_message(tmp_path, text):
    with pytest.raises(ResultsError, match=BAD[text]) as caught:
        read(tmp_path, text)
    assert caught.value.file is not None
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (HEADER + "b,m,s,mean,auroc,90\n", 0.9),
        (HEADER + "\n b , m ,s,mean,AUROC, 90 \n\n", 0.9),
        ("\ufeff" + HEADER.upper() + "b,m,s,mean,auroc,90\n", 0.9),
        (UNIT + "b,m,s,mean,auroc,0.9,fraction\n", 0.9),
        (UNIT + "b,m,s,mean,auroc,0.9,percent\n", 0.009),
        ("benchmark,model,score,ood,auroc\nb,m,s,mean,0.9\n", 0.9),
        ("benchmark,model,score,ood,auroc_percent,fpr95_percent\nb,m,s,mean,90,\n", 0.9),
    ],
)
def test_the_unit_is_what_the_file_says(tmp_path, text, value):
    (given,) = read(tmp_path, text)
    assert (given.benchmark, given.model, given.score, given.ood, given.metric) == ("b", "m", "s", "mean", "auroc")
    assert given.value == pytest.approx(value)


def test_a_small_fpr95_among_percentages_is_one(tmp_path):
    lines = "b,m,s,mean,auroc,99.98\nb,m,s,mean,fpr95,0.07\nb,m,s,x,fpr95,0\n"
    assert [round(given.value, 6) for given in read(tmp_path, HEADER + lines)] == [0.9998, 0.0007, 0]


def test_a_result_file_is_a_table_too():
    numbers = read_sheet(DIGITS / "digits" / "digits_mim.csv").numbers
    assert {given.metric for given in numbers} == {"auroc", "fpr95"}
    assert {"mean", "mean (far)", "digits_faces"} <= {given.ood for given in numbers}


@pytest.mark.parametrize("name", ["nowhere.csv", "."])
def test_what_is_no_file_is_said(tmp_path, name):
    with pytest.raises(ResultsError, match="the reference"):
        read_sheet(tmp_path / name)


WIDE = {
    "benchmark,model,score,Textures AUROC,Textures FPR95,mean_auroc\nb,m,s,90,30,\n": [
        ("Textures", "auroc", 0.9),
        ("Textures", "fpr95", 0.3),
    ],
    "benchmark,model,score,metric,Textures,SUN,avg\nb,m,s,AUROC,90,80,85\nb,m,s,fpr95,30,,\n": [
        ("Textures", "auroc", 0.9),
        ("SUN", "auroc", 0.8),
        ("mean", "auroc", 0.85),
        ("Textures", "fpr95", 0.3),
    ],
    "benchmark,model,score,unit,Textures AUROC ↑\nb,m,s,fraction,0.9\n": [("Textures", "auroc", 0.9)],
    "benchmark,model,score,SUN (AUROC) %,SUN_fpr95_percent\nb,m,s,90,0.5\n": [
        ("SUN", "auroc", 0.9),
        ("SUN", "fpr95", 0.005),
    ],
}


@pytest.mark.parametrize("text", WIDE)
def test_a_column_for_each_ood_dataset(tmp_path, text):
    found = [(given.ood, given.metric, round(given.value, 9)) for given in read(tmp_path, text)]
    assert found == WIDE[text]


BAD_WIDE = {
    "benchmark,model,score,Textures\nb,m,s,90\n": "does not say which metric its column 'Textures' holds",
    "benchmark,model,score,metric,SUN AUROC\nb,m,s,auroc,90\n": "says its own",
    "benchmark,model,score,SUN AUROC,sun_auroc\nb,m,s,90,91\n": "are of the same numbers",
    "benchmark,model,score,SUN AUROC\nb,m,s,90,91\n": "line 2 .* 5 cells",
    "benchmark,model,score,SUN AUROC,(FPR95)\nb,m,s,90,91\n": "names no OOD dataset",
    "benchmark,model,score,SUN AUROC\nb,m,s,0.9\n": "looks like fractions",
}


@pytest.mark.parametrize("text", BAD_WIDE, ids=list(BAD_WIDE.values()))
def test_a_wide_table_that_does_not_say_enough_is_refused(tmp_path, text):
    with pytest.raises(ResultsError, match=BAD_WIDE[text]):
        read(tmp_path, text)
