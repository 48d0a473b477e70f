"""What is said where row scores of many models are missing."""

from __future__ import annotations

from moodbench.evaluation.kept import run_again
from moodbench.workspace import Workspace


def test_models_that_lack_the_same_are_named_together_and_not_all_of_a_hundred():
    lacking = {f"m{number}": "there are none" for number in range(100)} | {"vit": "its head changed"}
    error = run_again(Workspace(), "digits", lacking)
    assert "of 'm0', 'm1'," in error.what
    assert "and 92 more models there are none; of 'vit' its head changed" in error.what
    assert error.fix == "moodbench score --benchmark digits"
    few = run_again(Workspace(), "digits", {"a": "there are none", "b": "there are none"})
    assert few.what.endswith("of 'a', 'b' there are none")
    assert few.fix == "moodbench score --benchmark digits --model a --model b"
