"""Sharing when an earlier push was not committed, a file is damaged, or submitters differ."""

from __future__ import annotations

import pytest

from moodbench.sharing.clean import Cleaner
from tests.sharing import SHARED_BY, files, git, push, pushed, repository, workspace


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commit_takes_along_what_an_earlier_push_left(home):
    lab, space = repository(home / "lab"), workspace(home / "ann", "msp")
    pushed(space, lab, "ann")
    assert "to commit them" in pushed(space, lab, "ann")
    assert "commit" in pushed(space, lab, "ann", "--commit")
    assert git(lab, "status", "--porcelain") == ""
    assert pushed(space, lab, "ann", "--commit") == "vit on b: nothing new\n"


def test_commit_makes_a_folder_below_a_working_tree(home):
    lab = repository(home / "lab")
    pushed(workspace(home / "ann", "msp"), lab / "sub" / "dir", "ann", "--commit")
    assert git(lab, "status", "--porcelain") == ""


def test_replace_removes_a_damaged_file_whose_rows_another_shared(home):
    space, lab = workspace(home / "ann", "msp"), home / "lab"
    pushed(space, lab, "ben")
    file = lab / SHARED_BY / "ann.csv"
    file.write_text("damaged")
    pushed(space, lab, "ann", "--replace")
    assert f"{SHARED_BY}/ann.csv" not in files(lab)
    assert "from 'ben'" in pushed(space, lab, "ann")


def test_results_are_not_shared_in_their_own_folder(home):
    space = workspace(home / "ann", "msp")
    assert push(space, space / "results", "ann").exit_code == 1


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("with hf_abcdefghijklmnopqrstuvwx set", "with … set"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123", "…"),
        ("sk-abcdefghijklmnopqrstuvwx", "…"),
        ("ask ann.b@lab.example.org", "ask …"),
        ("a </script> b", "a </script> b"),
        ("hf_hub and vit@moodv2", "hf_hub and vit@moodv2"),
    ],
)
def test_texts_lose_tokens_and_addresses_of_people(text, clean):
    assert Cleaner().text(text) == clean
