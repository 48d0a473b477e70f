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


def test_scores_are_named_with_how_they_were_made():
    lacking = {"a": "there are none of knn"}
    error = run_again(Workspace(), "digits", lacking, [("knn", "k=50"), ("vim", "")])
    assert error.fix == "moodbench score --benchmark digits --model a --score knn --score vim"
    how = " with the --param, --tune or --label-noise of before"
    for made in ([("knn", "k=1"), ("knn", "k=10")], [("knn", "tuned=k")], [("knn", "label_noise=0.1")]):
        fix = run_again(Workspace(), "digits", lacking, made).fix
        assert fix == f"moodbench score --benchmark digits --model a --score knn{how}"
    many = [(f"s{number}", "") for number in range(20)]
    assert run_again(Workspace(), "digits", lacking, many).fix == "moodbench score --benchmark digits --model a"
