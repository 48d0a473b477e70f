"""results/: what is written is read again, byte for byte the same, and foreign files are refused with their line."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.faults.steps import KilledError, Steps, error, killed, watched
from moodbench.errors import ResultsError
from moodbench.metrics import METRICS
from moodbench.results import (
    FIELDS,
    benchmarks_with_results,
    changing,
    pair,
    provenance_file,
    read_all,
    read_provenance,
    read_results,
    unverified,
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
        "fpr95_ood,detection_accuracy,autc,aurc,failure_auroc,id_accuracy,control,note,remarks\n"
        "imagenet,vit,classification,msp,,probability,texture,far,50,40,"
        '0.3333333333,,,0.25,,,,,,,,,yes,"say ""no"", twice","[""trial: --limit 9"", ""odd""]"\n'
        "imagenet,vit,classification,msp,,probability,mean,all,50,40,0.9,,,,,,,,,,,,,,\n"
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
GOOD = "imagenet,vit,classification,msp,,probability,texture,far,50,40,0.9,,,0.25" + "," * 11

# Headers of results from before FPR95 had a second convention, and of none that ever was.
OLDER = HEADER.replace("fpr95_ood,detection_accuracy,autc,aurc,failure_auroc,", "")
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
        (f"{HEADER}\n{GOOD},\n", "line 2 of the results has 26 cells instead of 25"),
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
    header = ",".join(name for name in FIELDS if name not in ("control", "remarks"))
    line = GOOD.removesuffix(",,")
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
    text = (tmp_path / "vit.b16.json").read_text(encoding="utf-8")
    assert text.startswith(
        '{\n  "device": {\n    "a": [\n      2\n    ],\n    "b": 1\n  },\n  "schema": 3,\n  "sha256": {'
    )
    assert text.endswith('"\n  },\n  "weights": "é"\n}\n')
    assert read_provenance(file) == {"weights": "é", "device": {"b": 1, "a": [2]}}


@pytest.mark.parametrize("text", ["{", "[1]", "3", "[" * 100_000, "1" * 5000, '{"a": "\\udc00"}', "\x00", ""])
def test_a_provenance_that_is_not_json_is_an_error(tmp_path, text):
    file = tmp_path / "vit.csv"
    provenance_file(file).write_text(text)
    with pytest.raises(ResultsError, match="the provenance is not"):
        read_provenance(file)


def outcome(file):
    """What a reader sees: the numbers, and which run they are noted to be of."""
    return read_results(file), read_provenance(file)["run"]


def states(tmp_path):
    """Every state that a writer can find: nothing, a pair, a pair from before there were digests."""
    for name in ("nothing", "pair", "legacy"):
        file = tmp_path / name / "vit.csv"
        if name != "nothing":
            write_results(file, [row(auroc=0.1), row("energy", family="logit")], {"run": "old"})
        if name == "legacy":
            provenance_file(file).write_text('{"run": "old"}')
        yield file


NEW = [row(auroc=0.2)]


@pytest.mark.parametrize("stop", [killed, error(errno.ENOSPC), error(errno.EACCES)])
@pytest.mark.parametrize("passing", [False, True])
def test_no_step_of_a_write_loses_anything(tmp_path, stop, passing):
    for original in states(tmp_path / "there"):
        old = outcome(original) if original.exists() else None
        for at in range(100):
            file = tmp_path / f"{original.parent.name}{at}" / "b" / "vit.csv"
            if old is not None:
                shutil.copytree(original.parent, file.parent)
            steps = Steps(at, stop, at if passing else None)
            with watched(steps), contextlib.suppress(ResultsError, KilledError):
                write_results(file, NEW, {"run": "new"})
            new = ([*NEW, *(old[0][1:] if old else [])], "new")
            if benchmarks_with_results(file.parents[1]):
                assert outcome(file) in (old, new)
            else:
                assert old is None
            write_results(file, NEW, {"run": "new"})  # the next run is not in the way of anything, and cleans up
            assert outcome(file) == new
            assert sorted(one.name for one in file.parent.iterdir()) == ["vit.csv", "vit.json"]
            if steps.count <= at:
                break
        assert at > 8


def test_a_reader_meets_no_half_written_pair(tmp_path):
    file = tmp_path / "b" / "vit.csv"
    write_results(file, [row(auroc=0.1)], {"run": "old"})
    seen = []

    def look():
        with watched(lambda: None):
            seen.append(outcome(file))

    with watched(look):
        write_results(file, NEW, {"run": "new"})
    old = ([row(auroc=0.1)], "old")
    assert seen[0] == old
    assert seen[-1] == (NEW, "new")
    assert all(one in (old, (NEW, "new")) for one in seen)


def test_a_writer_that_was_there_between_two_looks_is_no_damage(tmp_path, monkeypatch):
    file, other = tmp_path / "b" / "vit.csv", tmp_path / "other.csv"
    write_results(file, [row(auroc=0.1)], {"run": "old"})
    write_results(other, NEW, {"run": "new"})
    look, looked = pair._read, []

    def read(one):
        data = look(one)
        if not looked:  # the notes are those of the old pair; now the new one is put there
            shutil.copy(other, file)
            shutil.copy(provenance_file(other), provenance_file(file))
        looked.append(one)
        return data

    monkeypatch.setattr(pair, "_read", read)
    assert read_results(file) == NEW


def change(file, old, new):
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_any_change_of_the_numbers_or_their_provenance_is_refused_and_not_overwritten(tmp_path):
    file = tmp_path / "vit.csv"
    beside = provenance_file(file)
    for one, old, new, message in (
        (file, "0.9", "0.8", "do not match the SHA-256 in vit.json"),
        (file, ",50,40", ",50,41", "do not match the SHA-256"),
        (
            file,
            "imagenet,vit,classification,msp,,probability,texture,far,50,40,0.9,,,0.25,,,,,,,,,,,\n",
            "",
            "do not match",
        ),
        (beside, "old", "odd", "does not match its own SHA-256"),
        (beside, '"schema": 3', '"schema": 4', "have schema 4; this version of moodbench reads up to 3"),
        (beside, '"schema": 3', '"schema": 1', "has schema = 1, which should be one of the numbers 2 and 3"),
        (beside, '"schema": 3', '"schema": 2.0', "has schema = 2.0, which should be"),
        (beside, "sha256", "sha255", "has sha256 = null"),
        (beside, '"rows"', '"row"', "which should be the two digests"),
        (beside, '"run": "old"', '"run": NaN', "NaN is not a JSON number"),
        (beside, '"run": "old"', '"run": "old", "run": "old"', "a key occurs twice"),
        (beside, "old", "\\ud800", "is not JSON"),
    ):
        write_results(file, [row(), row("energy", family="logit")], {"run": "old"}, keep=False)
        change(one, old, new)
        before = file.read_bytes(), beside.read_bytes()
        for act in (read_results, read_provenance, lambda file: write_results(file, NEW, {"run": "new"})):
            with pytest.raises(ResultsError) as caught:
                act(file)
            assert message in str(caught.value)
            assert (caught.value.file, "move it and" in caught.value.fix) == (one, "schema 4" not in message)
        assert (file.read_bytes(), beside.read_bytes()) == before
        for each in (file, beside):
            each.unlink()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scores", [1]),
        ("scores", {"msp": 3}),
        ("scores", {"msp": {"title": 1, "year": 2020}}),
        ("scores", {"msp": {"title": "MSP", "year": "2020"}}),
        ("scores", {"msp": {"title": "MSP", "year": True}}),
        ("inputs", 3),
        ("versions", "2.0"),
        ("moodbench", 1),
        ("made_with", {"moodbench 1": "msp"}),
    ],
)
@pytest.mark.parametrize("legacy", [False, True])
def test_fields_that_are_read_later_are_checked_and_named(tmp_path, field, value, legacy):
    file = tmp_path / "vit.csv"
    write_results(file, [row()], {field: value})
    if legacy:
        provenance_file(file).write_text(json.dumps({field: value}))
    with pytest.raises(ResultsError, match=f"the provenance has {field}.* = .*, which should be"):
        read_provenance(file)


def test_numbers_without_provenance_are_no_reason_to_drop_them(tmp_path):
    file = tmp_path / "vit.csv"
    write_results(file, [row()], {})
    provenance_file(file).unlink()
    for act in (read_results, read_provenance, lambda file: write_results(file, NEW, {})):
        with pytest.raises(ResultsError, match="nothing says where"):
            act(file)
    assert file.exists()


def test_a_provenance_without_numbers_is_refused_and_replaced(tmp_path):
    file = tmp_path / "b" / "vit.csv"
    write_results(file, [row()], {"run": 1})
    file.unlink()
    assert benchmarks_with_results(tmp_path) == ["b"]
    with pytest.raises(ResultsError, match=r"the results that vit.json describes are gone"):
        read_all(tmp_path, "b")
    write_results(file, NEW, {"run": 2})
    assert outcome(file) == (NEW, 2)


def test_results_from_before_there_were_digests_are_read_and_get_one(tmp_path):
    file = tmp_path / "b" / "vit.csv"
    write_results(file, [row(), row("energy", family="logit")], {"run": 1})
    provenance_file(file).write_text('{"run": 1}')
    assert unverified(tmp_path, "b") == [file]
    assert len(read_results(file)) == 2
    write_results(file, NEW, {"run": 2})
    assert unverified(tmp_path, "b") == []
    assert len(read_results(file)) == 2


def test_files_in_the_place_of_others_are_refused(tmp_path):
    for name in ("vit", "beit"):
        write_results(tmp_path / "imagenet" / f"{name}.csv", [replace(row(), model=name)], {})
    with pytest.raises(ResultsError, match="the file holds results of 'vit' on 'imagenet'"):
        write_results(tmp_path / "imagenet" / "vit.csv", [replace(row("energy"), model="beit")], {})
    for suffix in ("csv", "json"):
        shutil.copy(tmp_path / "imagenet" / f"vit.{suffix}", tmp_path / "imagenet" / f"beit.{suffix}")
    with pytest.raises(ResultsError, match=r"the model 'vit' has two result files; the other is beit.csv"):
        read_all(tmp_path, "imagenet")


def test_writers_side_by_side_end_with_all_rows_and_the_bytes_of_one_after_the_other(tmp_path):
    scores = [f"s{i}" for i in range(12)]

    def write(folder, names):
        for name in names:
            with changing(folder / "b" / "vit.csv") as there:
                done = sorted({name, *(there.provenance or {"done": []})["done"]})
                there.write([row(name)], {"done": done})

    write(tmp_path / "one", scores)
    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(write, tmp_path / "many", scores[i::3]) for i in range(3)]:
            future.result()
    for name in ("vit.csv", "vit.json"):
        assert (tmp_path / "one" / "b" / name).read_bytes() == (tmp_path / "many" / "b" / name).read_bytes()
    assert len(list((tmp_path / "many" / "b").iterdir())) == 2


def test_a_folder_that_cannot_be_written_is_a_users_error(tmp_path):
    (tmp_path / "imagenet").touch()
    with pytest.raises(ResultsError, match="cannot be written"):
        write_results(tmp_path / "imagenet" / "vit.csv", [row()], {})


def test_files_get_the_permissions_of_the_umask(tmp_path):
    write_results(tmp_path / "vit.csv", [row()], {})
    umask = os.umask(0)
    os.umask(umask)
    assert Path(tmp_path / "vit.csv").stat().st_mode & 0o777 == 0o666 & ~umask


def test_the_results_of_the_repository_are_what_was_written():
    folder = Path(__file__).parents[2] / "results"
    for benchmark in benchmarks_with_results(folder):
        assert read_all(folder, benchmark)
        assert not unverified(folder, benchmark)
