"""``moodbench results push`` and ``pull`` with folders, in git and not, as two people type it."""

from __future__ import annotations

import json
import shutil

import pytest

from moodbench.release import __version__
from moodbench.results import read_all, read_provenance
from tests.commands import call, offered
from tests.runs import cached, row
from tests.sharing import SHARED_BY, files, git, named, push, pushed, refused, repository, workspace


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MOODBENCH_SUBMITTER", raising=False)
    return tmp_path


@pytest.fixture
def lab(home):
    """A folder in which ann has shared MSP and ViM of vit."""
    pushed(workspace(home / "ann", "msp", "vim"), home / "lab", "ann")
    return home / "lab"


class TestPush:
    def test_a_plain_folder_gets_one_pair_of_files_and_a_card(self, lab):
        assert [*files(lab)] == [".gitattributes", "README.md", f"{SHARED_BY}/ann.csv", f"{SHARED_BY}/ann.json"]
        assert "| b | vit | ann | 20" in (lab / "README.md").read_text()
        noted = json.loads((lab / SHARED_BY / "ann.json").read_text())
        about = noted["submission"]
        assert (about["submitter"], about["moodbench"]) == ("ann", __version__)
        assert {*about["signature"]} == {"inputs", "recipe"}

    def test_again_there_is_nothing_new_and_no_byte_changes(self, lab, home):
        before = files(lab)
        assert pushed(home / "ann", lab, "ann") == "vit on b: nothing new\n"
        assert files(lab) == before

    def test_new_rows_join_those_of_before(self, lab, home):
        said = pushed(workspace(home / "more", "knn"), lab, "ann")
        assert said.startswith("vit on b: 15 rows, 5 of them new\n")
        assert f"{SHARED_BY}/ben.csv" not in files(lab)

    def test_rows_that_another_shared_are_there_once(self, lab, home):
        said = pushed(workspace(home / "ben", "msp", "knn"), lab, "ben")
        assert said.startswith("vit on b: 5 rows there already, from 'ann'\nvit on b: 5 rows, 5 of them new\n")
        assert {line.split(",")[3] for line in (lab / SHARED_BY / "ben.csv").read_text().splitlines()[1:]} == {"knn"}

    def test_a_submitter_is_needed_and_must_be_a_name(self, home):
        space = workspace(home / "ann")
        done = call("results", "push", "lab", "--results-dir", space / "results")
        assert done.exit_code == 2
        assert "MOODBENCH_SUBMITTER" in done.stderr
        for name in ("../ann", "a/b", "a b", ".ann", ""):
            assert push(space, home / "lab", name).exit_code == 2
        assert not (home / "lab").exists()

    def test_dry_run_writes_nothing(self, home):
        assert pushed(workspace(home / "ann"), home / "lab", "ann", "--dry-run").startswith(
            "would share vit on b: 5 rows"
        )
        assert not (home / "lab").exists()

    def test_a_model_is_chosen_and_an_unknown_one_refused(self, home):
        workspace(home / "ann", model="vit")
        workspace(home / "ann", model="beit")
        pushed(home / "ann", home / "lab", "ann", "--model", "beit")
        assert not (home / "lab" / SHARED_BY).exists()
        assert push(home / "ann", home / "lab", "ann", "--model", "bait").exit_code == 2

    @pytest.mark.parametrize("words", [["--create"], ["--create-pr"], ["--revision", "v1"]])
    def test_options_of_the_hub_are_not_for_folders(self, home, words):
        done = push(workspace(home / "ann"), home / "lab", "ann", *words)
        assert (done.exit_code, words[0] in done.stderr) == (2, True)

    def test_a_readme_of_somebody_else_stays(self, home):
        (home / "lab").mkdir()
        (home / "lab" / "README.md").write_text("ours")
        assert "left as it is" in pushed(workspace(home / "ann"), home / "lab", "ann")
        assert (home / "lab" / "README.md").read_text() == "ours"


class TestContradictions:
    def test_other_numbers_from_the_same_inputs_are_named_and_nothing_is_written(self, lab, home):
        before = files(lab)
        said = refused(push(workspace(home / "ben", "msp", "knn", auroc=0.8), lab, "ben"))
        assert "msp on near: auroc is 0.8 here (moodbench 0.1.0, numpy 2.0, torch 2.5), 0.9 from 'ann'" in said
        assert "and 2 more" in said
        assert files(lab) == before

    def test_digits_that_rounding_changes_are_no_contradiction(self, lab, home):
        said = pushed(workspace(home / "ben", "msp", auroc=0.9 + 4e-7), lab, "ben")
        assert said == "vit on b: 5 rows there already, from 'ann'\n"

    def test_other_inputs_are_another_run_and_stand_beside(self, lab, home):
        contents = {name: f"other {name}" for name in ("train", "test", "near", "far", "sea")}
        pushed(workspace(home / "ben", "msp", auroc=0.8, contents=contents), lab, "ben")
        assert f"{SHARED_BY}/ben.csv" in files(lab)

    def test_own_numbers_change_only_in_place_of_the_old_ones(self, lab, home):
        mended = workspace(home / "mended", "msp", "vim", auroc=0.8)
        before = files(lab)
        assert "--replace" in refused(push(mended, lab, "ann"))
        assert files(lab) == before
        pushed(mended, lab, "ann", "--replace")
        assert ",0.8," in (lab / SHARED_BY / "ann.csv").read_text()

    def test_rows_that_cannot_be_are_not_shared(self, home):
        space = workspace(home / "ann", row={"auroc_low": 0.95, "auroc_high": 0.99})
        assert "lies outside its interval" in refused(push(space, home / "lab", "ann"))
        assert not [*files(home / "lab")]


class TestDamage:
    def test_a_truncated_file_of_another_is_passed_over_and_named(self, lab, home):
        file = lab / SHARED_BY / "ann.csv"
        file.write_bytes(file.read_bytes()[:-200])
        said = pushed(workspace(home / "ben", "knn"), lab, "ben")
        assert "ann.csv: passed over, the results were changed after they were written" in said
        assert "| ann |" not in (lab / "README.md").read_text()

    def test_an_own_truncated_file_needs_replace(self, lab, home):
        file = lab / SHARED_BY / "ann.csv"
        file.write_bytes(file.read_bytes()[:-200])
        assert "--replace" in refused(push(home / "ann", lab, "ann"))
        pushed(home / "ann", lab, "ann", "--replace")
        assert call("results", "pull", lab, "--into", home / "all").exit_code == 0

    def test_a_file_that_was_renamed_is_no_submission(self, lab, home):
        for suffix in (".csv", ".json"):
            (lab / SHARED_BY / f"ann{suffix}").rename(lab / SHARED_BY / f"eve{suffix}")
        done = call("results", "pull", lab, "--into", home / "all")
        assert "says that 'ann' shared it" in refused(done)


class TestPull:
    def test_what_two_shared_is_joined_and_tables_read_it(self, lab, home):
        pushed(workspace(home / "ben", "msp", "knn"), lab, "ben")
        assert call("results", "pull", lab, "--into", home / "all").exit_code == 0
        assert {one.score for one in read_all(home / "all", "b")} == {"msp", "vim", "knn"}
        assert "submission" not in read_provenance(home / "all" / "b" / "vit.csv")
        shown = call("table", "--benchmark", "b", "--results-dir", home / "all")
        assert shown.exit_code == 0
        assert "KNN" in shown.stdout

    def test_who_and_what_is_chosen(self, lab, home):
        pushed(workspace(home / "ben", "knn"), lab, "ben")
        assert call("results", "pull", lab, "--into", home / "all", "--submitter", "ben").exit_code == 0
        assert {one.score for one in read_all(home / "all", "b")} == {"knn"}
        for option in ("--submitter", "--benchmark", "--model"):
            done = call("results", "pull", lab, "--into", home / "none", option, "nobody")
            assert (done.exit_code, "there is no " in done.stderr) == (2, True)
        assert not (home / "none").exists()

    def test_runs_of_other_inputs_cannot_be_joined_but_one_can_be_taken(self, lab, home):
        contents = {name: f"other {name}" for name in ("train", "test", "near", "far", "sea")}
        pushed(workspace(home / "ben", "msp", auroc=0.8, contents=contents), lab, "ben")
        said = refused(call("results", "pull", lab, "--into", home / "all"))
        assert "fix:  say whose to take where they do not fit: --prefer ann or --prefer ben\n" in said
        assert not (home / "all").exists()
        assert call("results", "pull", lab, "--into", home / "all", "--submitter", "ben").exit_code == 0

    def test_whose_is_taken_where_they_do_not_fit_is_said_in_one_command(self, lab, home):
        contents = {name: f"other {name}" for name in ("train", "test", "near", "far", "sea")}
        pushed(workspace(home / "ben", "msp", auroc=0.8, contents=contents), lab, "ben")
        pushed(workspace(home / "ben2", "knn", auroc=0.7, model="deit"), lab, "ben")  # which fits
        done = call("results", "pull", lab, "--into", home / "all", "--prefer", "ann")
        assert done.exit_code == 0, done.stderr
        assert "vit on b: that of 'ann', and left out that of 'ben'\n" in done.stderr
        found = {(one.model, one.auroc) for one in read_all(home / "all", "b")}
        assert {model for model, _ in found} == {"vit", "deit"}
        assert ("vit", 0.8) not in found
        other = call("results", "pull", lab, "--into", home / "other", "--prefer", "ben", "--prefer", "ann")
        assert other.exit_code == 0, other.stderr
        assert ("vit", 0.8) in {(one.model, one.auroc) for one in read_all(home / "other", "b")}
        # what is there already is joined by the same rules, and nobody's choice
        assert "--into DIR" in refused(call("results", "pull", lab, "--into", home / "all", "--prefer", "ben"))
        nobody = call("results", "pull", lab, "--into", home / "none", "--prefer", "eve")
        assert (nobody.exit_code, "no submitter of shared results 'eve'" in nobody.stderr) == (2, True)

    def test_where_nobody_shared_all_that_does_not_fit_each_is_named(self, lab, home):
        contents = {name: f"other {name}" for name in ("train", "test", "near", "far", "sea")}
        pushed(workspace(home / "ben", "msp", auroc=0.8, contents=contents), lab, "ben")
        pushed(workspace(home / "ben2", "msp", model="deit"), lab, "ben")
        pushed(workspace(home / "cyd", "msp", auroc=0.8, model="deit", contents=contents), lab, "cyd")
        said = refused(call("results", "pull", lab, "--into", home / "all"))
        assert "say whose to take where they do not fit: --prefer ben\n" in said
        pushed(workspace(home / "cyd2", "msp", model="swin"), lab, "cyd")
        pushed(workspace(home / "ann2", "msp", auroc=0.8, model="swin", contents=contents), lab, "ann")
        said = " ".join(refused(call("results", "pull", lab, "--into", home / "all", "--prefer", "ben")).split())
        assert "where they do not fit: --prefer ann or --prefer cyd" in said
        said = " ".join(refused(call("results", "pull", lab, "--into", home / "all")).split())
        assert "with --prefer NAME, repeatable: deit on b of ben or cyd, swin on b of ann or cyd, vit on b of" in said
        done = call("results", "pull", lab, "--into", home / "all", "--prefer", "ben", "--prefer", "cyd")
        assert done.exit_code == 0, done.stderr

    def test_what_was_pulled_is_shown_as_somebody_elses(self, lab, home):
        from moodbench.workspace import Workspace

        assert call("results", "pull", lab, "--into", home / "all").exit_code == 0
        words = ("results", "show", "vit/msp", "--results-dir", home / "all", "--cache-dir", home / "cache")
        alone = call(*words).stdout
        cached(Workspace(cache_dir=home / "cache"), "vit", "sea", 99)  # of the same name, and another
        text = call(*words).stdout
        assert text == alone
        assert "shared by ann: not compared with the caches of this machine\n" in text
        assert "stale" not in text
        assert "row scores" in text
        assert "of no use: nobody shares them" in text
        assert {line.split()[-1] for line in text.splitlines()[-5:]} == {"elsewhere"}
        record = json.loads(call(*words, "--json").stdout)
        assert (record["shared_by"], record["changed"]) == (["ann"], [])
        assert {(one["state"], one["cache"]) for one in record["inputs"]} == {("elsewhere", None)}

    def test_what_was_pulled_is_not_shared_once_more(self, lab, home):
        call("results", "pull", lab, "--into", home / "cyd" / "results")
        assert pushed(home / "cyd", lab, "cyd") == "vit on b: 10 rows there already, from 'ann'\n"

    @pytest.mark.parametrize("there", [True, False])
    def test_a_folder_without_submissions_is_said(self, home, there):
        if there:
            (home / "lab").mkdir()
        refused(call("results", "pull", "lab", "--into", "all"))


class TestGit:
    def test_without_commit_the_files_wait_and_the_commands_are_said(self, home):
        lab = repository(home / "lab")
        said = pushed(workspace(home / "ann"), lab, "ann")
        assert f"to commit them: git -C {lab} add submissions README.md .gitattributes" in said
        assert git(lab, "status", "--short").startswith("?? ")

    def test_commit_takes_what_was_shared_and_nothing_else(self, home):
        lab = repository(home / "lab")
        (lab / "notes.txt").write_text("mine")
        git(lab, "add", "notes.txt")
        pushed(workspace(home / "ann"), lab, "ann", "--commit")
        assert git(lab, "log", "--format=%s") == "Share results of 1 model on b (ann)"
        assert git(lab, "status", "--short") == "A  notes.txt"
        assert pushed(home / "ann", lab, "ann", "--commit") == "vit on b: nothing new\n"
        assert git(lab, "rev-list", "--count", "HEAD") == "1"

    def test_two_clones_that_share_at_once_merge_without_conflict(self, home):
        origin = repository(home / "origin")
        pushed(workspace(home / "ann", "msp"), origin, "ann", "--commit")
        clones = {}
        for name, score in (("ben", "knn"), ("cyd", "vim")):
            git(home, "clone", "--quiet", str(origin), name)
            clones[name] = named(home / name)
            pushed(workspace(home / f"{name}_space", score), clones[name], name, "--commit")
        git(clones["ben"], "pull", "--quiet", "--no-rebase", "--no-edit", str(clones["cyd"]))
        card = (clones["ben"] / "README.md").read_text()
        assert [card.count(f"| {name} |") for name in ("ann", "ben", "cyd")] == [1, 1, 1]
        assert call("results", "pull", clones["ben"], "--into", home / "all").exit_code == 0
        assert {one.score for one in read_all(home / "all", "b")} == {"msp", "knn", "vim"}

    def test_a_contradiction_makes_no_commit(self, home):
        lab = repository(home / "lab")
        pushed(workspace(home / "ann"), lab, "ann", "--commit")
        refused(push(workspace(home / "ben", auroc=0.5), lab, "ben", "--commit"))
        assert git(lab, "rev-list", "--count", "HEAD") == "1"
        assert git(lab, "status", "--short") == ""

    def test_where_git_could_not_commit_nothing_is_written(self, home, monkeypatch):
        space = workspace(home / "ann")
        assert "no git working tree" in refused(push(space, home / "lab", "ann", "--commit"))
        assert not (home / "lab").exists()
        lab = repository(home / "repo")
        (lab / ".gitignore").write_text("submissions/\n")
        assert "told to ignore" in refused(push(space, lab, "ann", "--commit"))
        (lab / ".gitignore").write_text("")
        git(lab, "config", "--unset", "user.name")
        git(lab, "config", "--unset", "user.email")
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
        git(lab, "config", "user.useConfigOnly", "true")
        assert "does not know who you are" in refused(push(space, lab, "ann", "--commit"))
        assert [*files(lab)] == [".gitignore"]

    def test_a_hook_that_refuses_is_told_with_its_words(self, home):
        lab = repository(home / "lab")
        hook = lab / ".git" / "hooks" / "pre-commit"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
        hook.chmod(0o755)
        assert "not today" in refused(push(workspace(home / "ann"), lab, "ann", "--commit"))

    def test_without_git_a_folder_is_a_folder(self, home, monkeypatch):
        monkeypatch.setenv("PATH", str(home))
        pushed(workspace(home / "ann"), home / "lab", "ann")
        refused(push(home / "ann", home / "lab", "ann", "--commit"))


def test_names_that_others_shared_are_completed(lab, home):
    pushed(workspace(home / "ben", "knn"), lab, "ben")
    for option, names in (("--submitter", ["ann", "ben"]), ("--model", ["vit"]), ("--benchmark", ["b"])):
        assert offered(f"moodbench results pull {lab} {option} ")[0] == names


def test_a_lone_row_is_enough(home):
    from tests.runs import put

    put(home / "ann" / "results", [row(ood="far", auroc=0.7)])
    pushed(home / "ann", home / "lab", "ann")
    shutil.rmtree(home / "ann")
    assert call("results", "pull", home / "lab", "--into", home / "all").exit_code == 0
