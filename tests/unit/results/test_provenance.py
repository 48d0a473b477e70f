"""Provenance: sorted JSON beside the numbers, whose digests no change of either passes."""

from __future__ import annotations

import json

import pytest

from moodbench.errors import ResultsError
from moodbench.results import (
    benchmarks_with_results,
    provenance_file,
    read_all,
    read_provenance,
    read_results,
    unverified,
    write_results,
)
from tests.results import NEW, outcome, row


def test_provenance_is_sorted_json(tmp_path):
    file = tmp_path / "vit.b16.csv"
    write_results(file, [row()], {"weights": "é", "device": {"b": 1, "a": [2]}})
    text = (tmp_path / "vit.b16.json").read_text(encoding="utf-8")
    assert text.startswith(
        '{\n  "device": {\n    "a": [\n      2\n    ],\n    "b": 1\n  },\n  "schema": 5,\n  "sha256": {'
    )
    assert text.endswith('"\n  },\n  "weights": "é"\n}\n')
    assert read_provenance(file) == {"weights": "é", "device": {"b": 1, "a": [2]}}


@pytest.mark.parametrize("text", ["{", "[1]", "3", "[" * 100_000, "1" * 5000, '{"a": "\\udc00"}', "\x00", ""])
def test_a_provenance_that_is_not_json_is_an_error(tmp_path, text):
    file = tmp_path / "vit.csv"
    provenance_file(file).write_text(text)
    with pytest.raises(ResultsError, match="the provenance is not"):
        read_provenance(file)


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
            "imagenet,vit,classification,msp,,probability,texture,far,50,40,0.9,,,0.25" + "," * 20 + "\n",
            "",
            "do not match",
        ),
        (beside, "old", "odd", "does not match its own SHA-256"),
        (beside, '"schema": 5', '"schema": 6', "have schema 6; this version of moodbench reads up to 5"),
        (
            beside,
            '"schema": 5',
            '"schema": 1',
            "has schema = 1, which should be one of the numbers 2 and 3 and 4 and 5",
        ),
        (beside, '"schema": 5', '"schema": 2.0', "has schema = 2.0, which should be"),
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
            assert (caught.value.file, "move it and" in caught.value.fix) == (one, "schema 6" not in message)
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
