"""What a message about an unknown name refers to: all the names, or a command that exists and shows them."""

from __future__ import annotations

import pytest

from moodbench.errors import _SHOWN_BY, MOST_LISTED, UnknownNameError
from tests.commands import call

MANY = [f"name{i:03}" for i in range(MOST_LISTED + 1)]


@pytest.mark.parametrize("kind", _SHOWN_BY)
def test_of_many_names_a_command_is_said_that_there_is(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    fix = UnknownNameError(kind, "x", MANY).fix
    said, _, command = fix.partition(": ")
    assert said == f"{len(MANY)} {kind}s are known"
    assert call(*command.removeprefix("moodbench ").split()).exit_code == 0


def test_what_no_command_shows_is_listed():
    assert UnknownNameError("OOD group", "x", MANY).fix == f"known OOD groups: {', '.join(MANY)}"


@pytest.mark.parametrize("kind", ["model", "cached model", "metric"])
def test_few_names_are_listed(kind):
    assert UnknownNameError(kind, "x", ["b", "a"]).fix == f"known {kind}s: a, b"


SETS = ["digits_6_9", "digits_faces", "digits_noise", "digits_test", "digits_textures", "digits_train"]


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("digits_tex", SETS, ["digits_textures"]),
        ("digits_trian", SETS, ["digits_train"]),
        ("train", SETS, ["digits_train"]),
        ("React", ["dice_react", "energy_react", "relation"], ["dice_react", "energy_react"]),
        ("vit", ["moco_vit", "vit_base", "vit_b", "vit_small", "beit"], ["vit_b", "vit_base", "vit_small"]),
        ("id_test", ["ood_one", "ood_two"], []),
        ("vi", ["vim", "vra"], ["vim"]),
        ("", ["vim"], []),
    ],
)
def test_what_is_suggested_is_not_far_fetched(name, known, near):
    assert UnknownNameError("dataset", name, known).near == near


def test_known_names_in_one_are_said_to_be_given_each_by_itself():
    assert "give each by itself" in UnknownNameError("score", "b, a", ["a", "b"]).what
    assert "give each by itself" not in UnknownNameError("score", "b,c", ["a", "b"]).what
