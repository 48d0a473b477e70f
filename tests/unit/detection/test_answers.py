"""Fits that are noted and told again: every score learns the same, to the bit, without a pass over the rows."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from moodbench.detection.packing import UnpackableError, pack, unpack
from moodbench.scores.base import SCORES, create_score
from moodbench.scores.machinery.answers import Answer, OtherQuestionsError, recorded, replayed
from moodbench.scores.machinery.passes import fit_scores
from moodbench.scores.machinery.statistics import Mean, Moment
from tests.worlds import make_world

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def world():
    return make_world(3)


def fitted_twice(world, name):
    """Return a score that saw the rows, and one that was told what another was told, by way of JSON and arrays."""
    (seen,) = fit_scores({name: create_score(name)}, world.facts(), lambda: world.blocks(64))[0].values()
    answers: list[Answer] = []
    fit_scores({name: recorded(create_score(name), answers)}, world.facts(), lambda: world.blocks(64))
    arrays: list[np.ndarray] = []
    packed = json.loads(json.dumps([[list(one.asked), pack(one.value, arrays)] for one in answers]))
    told = [Answer(tuple(asked), unpack(value, arrays, CPU)) for asked, value in packed]
    return seen, replayed(create_score(name), world.facts(), told)


@pytest.mark.parametrize("name", SCORES.names())
def test_what_was_told_again_scores_the_same_to_the_bit(world, name):
    seen, told = fitted_twice(world, name)
    block = world.block(np.concatenate([world.tests["test"], world.tests["ood"]]))
    again = world.block(np.concatenate([world.tests["test"], world.tests["ood"]]))
    np.testing.assert_array_equal(seen.score(block).double().numpy(), told.score(again).double().numpy())
    assert seen.said == told.said


def test_a_fit_that_asks_for_something_else_is_refused(world):
    class Other(type(create_score("knn"))):  # type: ignore[misc]
        def fit(self, train):
            self.mean_ = yield Mean("x", lambda block: block.features[:, 0])

    answers: list[Answer] = []
    fit_scores({"knn": recorded(create_score("knn"), answers)}, world.facts(), lambda: world.blocks(64))
    with pytest.raises(OtherQuestionsError, match="asks for Mean of train, not UnitMean of train"):
        replayed(Other(), world.facts(), answers)
    with pytest.raises(OtherQuestionsError, match="asks for more"):
        replayed(create_score("knn"), world.facts(), [])
    with pytest.raises(OtherQuestionsError, match="asks for less"):
        replayed(create_score("msp"), world.facts(), answers)


def test_plain_values_come_back_as_they_were():
    moment = Moment(2, torch.ones(2), torch.zeros(2), torch.eye(2))
    value = {"a": [1, 2.5, None, (True, "x")], 3: np.arange(4), "m": moment}
    arrays: list[np.ndarray] = []
    back = unpack(json.loads(json.dumps(pack(value, arrays))), arrays, CPU)
    assert back["a"] == value["a"]
    np.testing.assert_array_equal(back[3], np.arange(4))
    assert isinstance(back["m"], Moment)
    assert torch.equal(back["m"].scatter, torch.eye(2))
    assert unpack(json.loads(json.dumps(pack(float("inf"), arrays))), arrays, CPU) == float("inf")


@pytest.mark.parametrize("value", [object(), lambda: 0, {1, 2}, torch.ones(2, dtype=torch.bfloat16), np.array(["x"])])
def test_what_is_no_plain_value_is_refused(value):
    with pytest.raises(UnpackableError, match=r"(a value|a tensor|an array) of type"):
        pack(value, [])


@pytest.mark.parametrize(
    "name", ["os:system", "moodbench.scores.base:load_scores", "moodbench.scores.block:Block", "subprocess:Popen", "x"]
)
def test_a_file_can_name_records_of_statistics_and_nothing_else(name):
    with pytest.raises(ValueError, match="there is no record"):
        unpack({"record": [name, {}]}, [], CPU)
    with pytest.raises(ValueError, match="is not known"):
        unpack({"pickle": 0}, [], CPU)
