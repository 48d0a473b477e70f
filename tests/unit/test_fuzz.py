"""Changed at random, no input brings anything but one of moodbench's own errors, and none takes for ever."""

from __future__ import annotations

import pytest

from benchmarks.faults.fuzz import cases, tried
from benchmarks.faults.inputs import READERS
from moodbench.errors import MoodbenchError
from moodbench.scores.base import SCORES, create_score

COUNT = {"import": 120, "heads": 60, "catalogue": 200, "checkpoints": 40}


@pytest.mark.parametrize("reader", READERS, ids=[reader.name.replace(" ", "_") for reader in READERS])
def test_changed_inputs_are_refused_by_name_or_harmless(tmp_path, reader):
    worlds = reader.worlds()
    for i, files in enumerate(worlds):
        assert tried(reader, files, tmp_path / f"valid{i}") is None
    for i, files in enumerate(cases(reader, 0, COUNT.get(reader.name, 100))):
        trace = tried(reader, files, tmp_path / str(i))
        assert not trace, f"{trace}\n{files}"


VALUES = ("", "nan", "-inf", "1e300", "-1", "10000000000", "9" * 5000, "[1]", "true", "x", "0x1F")


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_parameters_are_refused_by_name_or_small(value):
    for name in SCORES:
        for key, default in SCORES.get(name).parameters().items():
            try:
                found = getattr(create_score(name, {key: value}), key)
            except MoodbenchError:
                continue
            assert type(found) is type(default)
            assert isinstance(found, str) or abs(found) <= 1e12


@pytest.mark.parametrize("value", [None, [1], {}, 10**400, 1.5j, object()])
def test_parameters_from_python_too(value):
    for name, key in (("knn", "k"), ("gen", "gamma"), ("fdbd", "centred"), ("sirc", "first")):
        with pytest.raises(MoodbenchError, match=f"{name}.{key}"):
            create_score(name, {key: value})
