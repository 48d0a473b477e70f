"""Measured times: read back, joined, and refused when they were changed."""

from __future__ import annotations

import pytest

from moodbench.errors import ResultsError
from moodbench.features.times import read_times, times_file, write_times

OWNER = {"benchmark": "b", "model": "m", "inputs": {"contents": {"a": "1"}}}


def test_times_are_joined_and_read_back(tmp_path):
    file = times_file(tmp_path / "b.h5")
    assert file.name == "b.times.json"
    assert read_times(file) == {}
    write_times(file, OWNER, {("knn", "k=1"): 0.25, ("msp", ""): 1e-7})
    write_times(file, OWNER, {("knn", "k=1"): 0.5, ("knn", "k=9"): 1 / 3})
    assert read_times(file, OWNER) == {("knn", "k=1"): 0.5, ("knn", "k=9"): 1 / 3, ("msp", ""): 1e-7}


def test_times_of_other_caches_are_left_out_and_dropped(tmp_path):
    file = tmp_path / "b.times.json"
    other = {**OWNER, "inputs": {}}
    write_times(file, OWNER, {("msp", ""): 1.0})
    assert read_times(file, other) == {}
    write_times(file, other, {("knn", ""): 2.0})
    assert read_times(file) == {("knn", ""): 2.0}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"seconds": 1}', "\x00"])
def test_what_cannot_be_read_is_said(tmp_path, text):
    file = tmp_path / "b.times.json"
    file.write_text(text)
    with pytest.raises(ResultsError, match="times cannot be read"):
        read_times(file)
    write_times(file, OWNER, {("msp", ""): 1.0})  # measured anew
    assert read_times(file, OWNER) == {("msp", ""): 1.0}


def test_a_changed_number_is_found(tmp_path):
    file = tmp_path / "b.times.json"
    write_times(file, OWNER, {("msp", ""): 1.0})
    file.write_text(file.read_text().replace("1.0", "2.0"))
    with pytest.raises(ResultsError, match="times cannot be read"):
        read_times(file)
