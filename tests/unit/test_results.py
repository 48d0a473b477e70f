"""results/: what is written is read again, byte for byte the same, and foreign files are refused with their line."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moodbench.errors import ResultsError
from moodbench.metrics import METRICS
from moodbench.results import (
    FIELDS,
    benchmarks_with_results,
    provenance_file,
    read_all,
    read_provenance,
    read_results,
    write_results,
)
from moodbench.types import FAMILIES, Result


def row(score="msp", ood="texture", group="far", auroc=0.9, **changes) -> Result:
    values = {"params": "", "family": "probability", "n_id": 50, "n_ood": 40, "fpr95": 0.25} | changes
    return Result("imagenet", "vit", "classification", score=score, ood=ood, group=group, auroc=auroc, **values)


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
        note=texts,
        **dict.fromkeys([*METRICS, "auroc_low", "auroc_high", "id_accuracy"], fractions),
    ),
    unique_by=lambda one: one.key,
    max_size=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(rows, st.randoms(use_true_random=False))
def test_what_is_written_is_read_again_to_ten_digits_and_in_one_order(tmp_path, some, random):
    file = tmp_path / "b" / "m.csv"
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
    write_results(file, [row(auroc=1 / 3, note='say "no", twice'), row(ood="mean", group="all", fpr95=None)], {})
    assert file.read_text() == (
        "benchmark,model,pretext,score,params,family,ood,group,n_id,n_ood,"
        "auroc,auroc_low,auroc_high,fpr95,aupr_in,aupr_out,"
        "fpr95_ood,detection_accuracy,autc,aurc,failure_auroc,id_accuracy,note\n"
        "imagenet,vit,classification,msp,,probability,texture,far,50,40,"
        '0.3333333333,,,0.25,,,,,,,,,"say ""no"", twice"\n'
        "imagenet,vit,classification,msp,,probability,mean,all,50,40,0.9,,,,,,,,,,,,\n"
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
GOOD = "imagenet,vit,classification,msp,,probability,texture,far,50,40,0.9,,,0.25" + "," * 9

# The header of results from before FPR95 had a second convention.
OLDER = HEADER.replace("fpr95_ood,detection_accuracy,autc,aurc,failure_auroc,", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its header lacks 'benchmark', 'model', 'pretext'"),
        (f"{OLDER}\n", "its header lacks 'fpr95_ood', 'detection_accuracy', 'autc'"),
        ("a,b\n1,2\n", "not a result file of moodbench"),
        (f"{HEADER},extra\n", "unknown column 'extra'"),
        (f"{','.join(FIELDS[::-1])}\n", "in another order"),
        (f"{HEADER}\n{GOOD}\n{GOOD.replace('0.9', '90.0')}\n", "line 3 of the results has auroc = '90.0'"),
        (f"{HEADER}\n{GOOD.replace('0.9', 'nan')}\n", "auroc = 'nan', which should be a fraction between 0 and 1"),
        (f"{HEADER}\n{GOOD.replace('40', '4_0')}\n", "n_ood = '4_0', which should be a number of images"),
        (f"{HEADER}\n{GOOD.replace('40', '')}\n", "n_ood = ''"),
        (f"{HEADER}\n{GOOD},\n", "line 2 of the results has 24 cells instead of 23"),
        (f"{HEADER}\n{GOOD.replace('probability', 'magic')}\n", "family = 'magic'"),
        (f"{HEADER}\n{GOOD}\n{GOOD}\n", "line 3 of the results repeats the key 'msp', '', 'texture', 'far'"),
        (f'{HEADER}\n"a"b,c\n', "line 2 of the results is not CSV"),
    ],
)
def test_what_is_not_a_result_file_is_refused_with_its_line(tmp_path, text, message):
    file = tmp_path / "vit.csv"
    file.write_text(text)
    with pytest.raises(ResultsError) as error:
        read_results(file)
    assert message in str(error.value)
    assert error.value.file == file
    assert "moodbench score" in str(error.value)
    with pytest.raises(ResultsError):  # nor is it overwritten in silence
        write_results(file, [row()], {})
    assert file.read_text() == text


def test_a_missing_or_binary_file_is_an_error(tmp_path):
    with pytest.raises(ResultsError, match="no such result file"):
        read_results(tmp_path / "vit.csv")
    (tmp_path / "vit.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(ResultsError, match="cannot be read"):
        read_results(tmp_path / "vit.csv")


def test_benchmarks_and_models_are_found_in_order(tmp_path):
    assert benchmarks_with_results(tmp_path / "nowhere") == []
    assert read_all(tmp_path, "imagenet") == []
    for benchmark in ("imagenet", "cifar10"):
        for model in ("vit", "beit"):
            one = replace(row(), benchmark=benchmark, model=model)
            write_results(tmp_path / benchmark / f"{model}.csv", [one], {})
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").touch()
    assert benchmarks_with_results(tmp_path) == ["cifar10", "imagenet"]
    assert [one.model for one in read_all(tmp_path, "imagenet")] == ["beit", "vit"]


def test_results_of_another_benchmark_are_not_mixed_in(tmp_path):
    write_results(tmp_path / "cifar10" / "vit.csv", [row()], {})
    with pytest.raises(ResultsError, match="'cifar10' holds results of 'imagenet'"):
        read_all(tmp_path, "cifar10")


def test_provenance_is_sorted_json(tmp_path):
    file = tmp_path / "vit.b16.csv"
    write_results(file, [row()], {"weights": "é", "device": {"b": 1, "a": [2]}})
    text = '{\n  "device": {\n    "a": [\n      2\n    ],\n    "b": 1\n  },\n  "weights": "é"\n}\n'
    assert (tmp_path / "vit.b16.json").read_text(encoding="utf-8") == text
    assert read_provenance(file) == {"weights": "é", "device": {"b": 1, "a": [2]}}


@pytest.mark.parametrize("text", [None, "{", "[1]", "3"])
def test_a_provenance_that_is_not_there_or_not_json_is_an_error(tmp_path, text):
    file = tmp_path / "vit.csv"
    if text is not None:
        provenance_file(file).write_text(text)
    with pytest.raises(ResultsError, match=r"where the numbers in vit.csv come from|not a JSON object"):
        read_provenance(file)


def test_a_kill_at_any_step_leaves_whole_files_and_no_foreign_provenance(tmp_path, monkeypatch):
    file = tmp_path / "vit.csv"
    old, new = [row(auroc=0.1)], [row(auroc=0.2)]
    steps = 0

    def dies(at):
        def fsync(_):
            nonlocal steps
            steps += 1
            if steps == at:
                raise KeyboardInterrupt

        return fsync

    for at in (1, 2):
        write_results(file, old, {"run": "old"}, keep=False)
        steps = 0
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", dies(at))
            with pytest.raises(KeyboardInterrupt):
                write_results(file, new, {"run": "new"})
        assert read_results(file) == (old if at == 1 else new)
        with pytest.raises(ResultsError, match="nothing says where"):
            read_provenance(file)
        assert sorted(one.name for one in tmp_path.iterdir()) == ["vit.csv"]


def test_a_folder_that_cannot_be_written_is_a_users_error(tmp_path):
    (tmp_path / "imagenet").touch()
    with pytest.raises(ResultsError, match="cannot be written"):
        write_results(tmp_path / "imagenet" / "vit.csv", [row()], {})


def test_files_get_the_permissions_of_the_umask(tmp_path):
    write_results(tmp_path / "vit.csv", [row()], {})
    umask = os.umask(0)
    os.umask(umask)
    assert Path(tmp_path / "vit.csv").stat().st_mode & 0o777 == 0o666 & ~umask
