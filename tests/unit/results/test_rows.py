"""Rows of results: what is written is read again, byte for byte, and foreign files are refused with their line."""

from __future__ import annotations

import hashlib
import json
import math
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moodbench.errors import ResultsError
from moodbench.metrics import METRICS
from moodbench.results import (
    FIELDS,
    provenance_file,
    read_provenance,
    read_results,
    write_results,
)
from moodbench.types import FAMILIES, Result
from tests.results import row

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
fractions = st.none() | st.floats(0, 1)
rows = st.lists(
    st.builds(
        Result,
        *[texts] * 3,
        score=texts,
        params=texts,
        family=st.sampled_from(FAMILIES),
        ood=texts,
        group=texts,
        n_id=st.integers(0, 10**9),
        n_ood=st.integers(0, 10**9),
        control=st.booleans(),
        note=texts,
        remarks=st.lists(texts, max_size=3).map(tuple),
        **dict.fromkeys([*METRICS, "auroc_low", "auroc_high", "id_accuracy"], fractions),
    ),
    unique_by=lambda one: one.key,
    max_size=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(rows, st.randoms(use_true_random=False))
def test_what_is_written_is_read_again_to_ten_digits_and_in_one_order(tmp_path, some, random):
    file = tmp_path / "b" / "m.csv"
    shutil.rmtree(file.parent, ignore_errors=True)  # the former example's rows are of others
    write_results(file, some, {"k": 1}, keep=False)
    first = file.read_bytes()
    found = {one.key: one for one in read_results(file)}
    assert found.keys() == {one.key for one in some}
    for one in some:
        for name in FIELDS:
            value, again = getattr(one, name), getattr(found[one.key], name)
            assert again == value or math.isclose(again, value, rel_tol=1e-9)
    shuffled = random.sample(some, len(some))
    write_results(file, shuffled, {"k": 1}, keep=False)
    assert file.read_bytes() == first
    write_results(file, read_results(file), {"k": 1})
    assert file.read_bytes() == first


def test_the_file_is_plain_csv(tmp_path):
    file = tmp_path / "imagenet" / "vit.csv"
    odd = row(auroc=1 / 3, note='say "no", twice', control=True, remarks=("trial: --limit 9", "odd"))
    write_results(file, [odd, row(ood="mean", group="all", fpr95=None)], {})
    assert file.read_text() == (
        "benchmark,model,pretext,score,params,family,ood,group,n_id,n_ood,"
        "auroc,auroc_low,auroc_high,fpr95,aupr_in,aupr_out,"
        "fpr95_ood,detection_accuracy,autc,aurc,failure_auroc,"
        "augrc,aurra,ece,oscr,scod_aurc,scod_augrc,id_accuracy,"
        "auroc_seed_sd,fpr95_seed_sd,seeds,control,note,remarks\n"
        "imagenet,vit,classification,msp,,probability,texture,far,50,40,"
        '0.3333333333,,,0.25,,,,,,,,,,,,,,,,,,yes,"say ""no"", twice","[""trial: --limit 9"", ""odd""]"\n'
        "imagenet,vit,classification,msp,,probability,mean,all,50,40,0.9,,,,,,,,,,,,,,,,,,,,,,,\n"
    )


def test_rows_are_sorted_by_family_score_and_params_with_means_last(tmp_path):
    file = tmp_path / "vit.csv"
    wanted = [
        row("msp", "inaturalist", "far"),
        row("msp", "texture", "far"),
        row("msp", "ninco", "near"),
        row("msp", "mean", "far"),
        row("msp", "mean", "near"),
        row("msp", "mean", "all"),
        row("energy", family="logit"),
        row("energy", family="logit", params="t=2"),
        row("knn", family="feature"),
    ]
    write_results(file, wanted[::-1], {})
    assert read_results(file) == wanted


def test_a_row_replaces_the_one_with_its_key_and_the_others_stay(tmp_path):
    file = tmp_path / "vit.csv"
    write_results(file, [row(auroc=0.5), row("energy", family="logit"), row(params="t=2")], {"run": 1})
    write_results(file, [row(auroc=0.75)], {"run": 2})
    assert {one.key: one.auroc for one in read_results(file)} == {
        ("msp", "", "texture", "far"): 0.75,
        ("msp", "t=2", "texture", "far"): 0.9,
        ("energy", "", "texture", "far"): 0.9,
    }
    assert read_provenance(file) == {"run": 2}
    write_results(file, [row(auroc=0.75)], {}, keep=False)
    assert read_results(file) == [row(auroc=0.75)]


def test_a_mean_goes_when_one_of_its_datasets_is_replaced(tmp_path):
    file = tmp_path / "vit.csv"
    means = [row(ood="mean", group=group) for group in ("all", "far", "near")]
    other = row("energy", "mean", "all", family="logit")
    write_results(file, [row(), row(ood="ninco", group="near"), *means, other], {})
    write_results(file, [row(auroc=0.1)], {})
    assert [one.key[2:] for one in read_results(file)] == [
        ("texture", "far"),
        ("ninco", "near"),
        ("mean", "near"),
        ("mean", "all"),
    ]
    assert other in read_results(file)


def test_two_rows_with_one_key_are_a_bug_of_the_caller(tmp_path):
    with pytest.raises(ValueError, match="repeat a key"):
        write_results(tmp_path / "vit.csv", [row(), row(auroc=0.1)], {})


@pytest.mark.parametrize("value", [1.5, -0.1, math.nan, math.inf])
def test_only_fractions_are_written(tmp_path, value):
    with pytest.raises(ValueError, match="auroc must be a fraction"):
        write_results(tmp_path / "vit.csv", [row(auroc=value)], {})
    assert not any(tmp_path.iterdir())


def test_every_metric_has_a_column():
    columns = [name for name in FIELDS if name not in ("auroc_low", "auroc_high")]
    start = columns.index("auroc")
    assert columns[start : start + len(METRICS)] == list(METRICS)


HEADER = ",".join(FIELDS)
GOOD = "imagenet,vit,classification,msp,,probability,texture,far,50,40,0.9,,,0.25" + "," * 20

# Headers of results from before FPR95 had a second convention, and of none that ever was.
OLDER = HEADER.replace(
    "fpr95_ood,detection_accuracy,autc,aurc,failure_auroc,augrc,aurra,ece,oscr,scod_aurc,scod_augrc,", ""
)
POORER = HEADER.replace("family,ood,", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its header lacks 'benchmark', 'model', 'pretext'"),
        (f"{POORER}\n", "its header lacks 'family', 'ood'"),
        ("a,b\n1,2\n", "not a result file of moodbench"),
        (f"{HEADER},extra\n", "unknown column 'extra'"),
        (f"{','.join(FIELDS[::-1])}\n", "in another order"),
        (f"{HEADER}\n{GOOD}\n{GOOD.replace('0.9', '90.0')}\n", "line 3 of the results has auroc = '90.0'"),
        (f"{HEADER}\n{GOOD.replace('0.9', 'nan')}\n", "auroc = 'nan', which should be a fraction between 0 and 1"),
        (f"{HEADER}\n{GOOD.replace('40', '4_0')}\n", "n_ood = '4_0', which should be a number of images"),
        (f"{HEADER}\n{GOOD.replace('40', '')}\n", "n_ood = ''"),
        (f"{HEADER}\n{GOOD},\n", "line 2 of the results has 35 cells instead of 34"),
        (f"{HEADER}\n{GOOD[:-3]}0,,,\n", "seeds = '0', which should be a number of seeds, or nothing"),
        (f"{HEADER}\n{GOOD[:-2]}no,,\n", "control = 'no', which should be yes or nothing"),
        (f"{HEADER}\n{GOOD}trial\n", "remarks = 'trial', which should be an array of texts in JSON, or nothing"),
        (f"{HEADER}\n{GOOD}[1]\n", "remarks = '[1]'"),
        (f"{HEADER}\n{GOOD}{'[' * 100_000}\n", "remarks = '[["),
        (f"{HEADER}\n{GOOD.replace('probability', 'magic')}\n", "family = 'magic'"),
        (f"{HEADER}\n{GOOD}\n{GOOD}\n", "line 3 of the results repeats the key 'msp', '', 'texture', 'far'"),
        (f'{HEADER}\n"a"b,c\n', "line 2 of the results is not CSV"),
    ],
)
def test_what_is_not_a_result_file_is_refused_with_its_line(tmp_path, text, message):
    file = tmp_path / "vit.csv"
    file.write_text(text)
    provenance_file(file).write_text("{}")
    with pytest.raises(ResultsError) as caught:
        read_results(file)
    assert message in str(caught.value)
    assert caught.value.file == file
    assert "moodbench score" in str(caught.value)
    with pytest.raises(ResultsError):  # nor is it overwritten in silence
        write_results(file, [row()], {})
    assert file.read_text() == text


def test_a_metric_that_is_younger_than_the_file_is_empty(tmp_path):
    file = tmp_path / "vit.csv"
    cells = dict(zip(FIELDS, GOOD.split(","), strict=True))
    file.write_text(f"{OLDER}\n{','.join(cells[name] for name in OLDER.split(','))}\n")
    provenance_file(file).write_text("{}")
    (row,) = read_results(file)
    assert (row.auroc, row.fpr95, row.fpr95_ood, row.failure_auroc) == (0.9, 0.25, None, None)


LATER = ("auroc_seed_sd", "fpr95_seed_sd", "seeds", "control", "remarks")
LEFT_OUT = "ID train varies in 63 of 80 dimensions; the rest is left out"


@pytest.mark.parametrize(
    ("note", "own", "remarks"),
    [
        ("", "", ()),
        ("trial: --limit 9", "", ("trial: --limit 9",)),
        (
            f"{LEFT_OUT}; memory bank of 9 of 20 rows; 3 of the head's 10 classes are in ID train; trial: --limit 9",
            LEFT_OUT,
            (
                "memory bank of 9 of 20 rows",
                "3 of the head's 10 classes are in ID train",
                "trial: --limit 9",
            ),
        ),
    ],
)
@pytest.mark.parametrize("schema", [1, 2])
def test_rows_from_before_there_were_remarks_are_read_with_theirs(tmp_path, note, own, remarks, schema):
    file = tmp_path / "vit.csv"
    header = ",".join(name for name in FIELDS if name not in LATER)
    line = GOOD.removesuffix("," * len(LATER))
    file.write_text(f"{header}\n{line}{note}\n{line.replace('msp', 'random')}\n")
    provenance_file(file).write_text("{}" if schema == 1 else notes_of_schema_2(file.read_bytes()))
    first, second = read_results(file)
    assert (first.control, first.note, first.remarks) == (False, own, remarks)
    assert second.control
    write_results(file, [row("energy", family="logit")], {})
    assert (first, second) == tuple(one for one in read_results(file) if one.score in ("msp", "random"))


def notes_of_schema_2(table: bytes) -> str:
    rows = hashlib.sha256(table).hexdigest()
    notes = hashlib.sha256(json.dumps([rows, {}], separators=(",", ":")).encode()).hexdigest()
    return json.dumps({"schema": 2, "sha256": {"rows": rows, "notes": notes}})


def test_a_missing_or_binary_file_is_an_error(tmp_path):
    with pytest.raises(ResultsError, match="no such result file"):
        read_results(tmp_path / "vit.csv")
    (tmp_path / "vit.csv").write_bytes(b"\xff\xfe")
    (tmp_path / "vit.json").write_text("{}")
    with pytest.raises(ResultsError, match="cannot be read"):
        read_results(tmp_path / "vit.csv")
