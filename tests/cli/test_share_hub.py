"""``moodbench results push`` and ``pull`` with a dataset repository, against a hub on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from moodbench.release import __version__
from moodbench.results import read_all
from tests.hub_server import hub
from tests.sharing import SHARED_BY, workspace

LAB = "hf:lab/results"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def server():
    with hub() as known:
        yield known


def run(server, home, *words, token: str | None = "writes", **environment: str):
    """Return how a command ended in a process of its own: huggingface_hub reads the environment when it is imported."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING", "MOODBENCH_"))}
    own = {"HF_ENDPOINT": server.url, "HF_HOME": str(home / "hf"), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
    named = {} if token is None else {"HF_TOKEN": token}
    command = [sys.executable, "-m", "moodbench", "results", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env={**kept, **own, **named, **environment})


def said(done) -> str:
    """Return what was said where it went well."""
    assert done.returncode == 0, done.stderr
    return done.stderr


def refused(done) -> str:
    """Return the one message of a command that was refused."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.startswith(f"error: {LAB}: ") or "\nerror: " in done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def share(server, home, *options, scores=("msp",), auroc=0.9, **more):
    """Return how it ended to share some results."""
    folder = home / "-".join(["w", *scores, str(auroc)])
    space = folder if folder.exists() else workspace(folder, *scores, auroc=auroc)
    return run(server, home, "push", LAB, "--results-dir", space / "results", *options, **more)


def test_from_one_machine_through_the_hub_to_another(server, home):
    repository = server.make("lab/results")
    done = said(share(server, home))
    sha = repository.branches["main"][-1]
    assert done == f"vit on b: 5 rows, 5 of them new\nshared 4 files: {server.url}/datasets/lab/results/commit/{sha}\n"
    files = repository.files()
    assert {*files} == {".gitattributes", "README.md", f"{SHARED_BY}/ann.csv", f"{SHARED_BY}/ann.json"}
    assert files[".gitattributes"].startswith(b"*.h5 filter=lfs")  # the hub's own lines stay
    assert json.loads(files[f"{SHARED_BY}/ann.json"])["submission"]["submitter"] == "ann"  # the account's name
    assert any(agent.startswith(f"moodbench/{__version__}") for agent in server.agents)
    said(share(server, home, "--submitter", "lab-gpu7", scores=("knn",)))
    said(run(server, home / "other", "pull", LAB, "--into", home / "all", token=None))
    assert {row.score for row in read_all(home / "all", "b")} == {"msp", "knn"}


def test_nothing_new_is_no_commit(server, home):
    repository = server.make("lab/results")
    said(share(server, home))
    commits = [*repository.branches["main"]]
    assert said(share(server, home)) == "vit on b: nothing new\n"
    assert repository.branches["main"] == commits


def test_a_pull_request_is_for_who_may_not_write(server, home):
    repository = server.make("lab/results")
    assert "--create-pr" in refused(share(server, home, token="reads"))
    assert said(share(server, home, "--create-pr", token="reads")).endswith("/datasets/lab/results/discussions/1\n")
    assert [*repository.files()] == [".gitattributes"]
    assert f"{SHARED_BY}/ben.csv" in repository.files("refs/pr/1")


def test_a_branch(server, home):
    repository = server.make("lab/results")
    repository.add("trial", {})
    said(share(server, home, "--revision", "trial"))
    assert [*repository.files()] == [".gitattributes"]
    said(run(server, home, "pull", LAB, "--revision", "trial", "--into", home / "all"))
    assert "there are no shared results" in run(server, home, "pull", LAB, "--into", home / "none").stderr
    for words in (("pull", LAB), ("push", LAB, "--results-dir", home / "w-msp-0.9" / "results")):
        assert "no revision 'gone'" in refused(run(server, home, *words, "--revision", "gone"))


def test_a_private_repository_is_made_and_read_with_a_token(server, home):
    assert "--create" in refused(share(server, home))
    said(share(server, home, "--create"))
    assert server.repositories["lab/results"].private
    said(share(server, home, "--create", scores=("knn",)))  # it is there
    said(run(server, home, "pull", LAB, "--into", home / "all"))
    assert "no such dataset repository, or not for you" in refused(
        run(server, home / "other", "pull", LAB, "--into", home / "none", token=None)
    )
    assert not (home / "none").exists()


def test_contradictory_rows_are_named_and_nothing_is_committed(server, home):
    repository = server.make("lab/results")
    said(share(server, home))
    commits = [*repository.branches["main"]]
    done = share(server, home, "--submitter", "eve", auroc=0.8)
    assert (done.returncode, "auroc is 0.8 here" in done.stderr) == (1, True)
    assert repository.branches["main"] == commits


def test_who_is_quicker_wins_and_the_other_is_told(server, home):
    repository = server.make("lab/results")
    server.before_commit = lambda: repository.add("main", {"x": b"other"})
    assert "run the same command again" in refused(share(server, home))
    server.before_commit = lambda: None
    said(share(server, home))
    assert {"x", f"{SHARED_BY}/ann.csv"} <= {*repository.files()}


@pytest.mark.parametrize(
    ("token", "refuse", "words"),
    [
        ("wrong", {}, "does not know the token"),
        (None, {}, "no token of the hub on this machine"),
        ("writes", {"/api/datasets/lab/results$": 403}, "does not let you read it"),
        ("writes", {"/preupload/": 403}, "does not let you write it"),
        ("writes", {"/commit/": 409}, "somebody else changed it meanwhile"),
        ("writes", {"/commit/": 413}, "the hub answered HTTP 413"),
        ("writes", {"/resolve/": 404}, "failed"),
    ],
    ids=str,
)
def test_refusals_are_one_message(server, home, token, refuse, words):
    repository = server.make("lab/results")
    server.refuse = refuse
    assert words in refused(share(server, home, token=token))
    assert len(repository.branches["main"]) == 1


def test_offline_and_unreachable_at_once(server, home):
    done = share(server, home, HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE is set" in refused(done)
    assert "does not answer" in refused(share(server, home, HF_ENDPOINT="http://127.0.0.1:9"))
    assert server.asked == []


@pytest.mark.parametrize("name", ["hf:results", "hf:", "hf:a/b/c", "hf:../x", "hf:lab/re sults"])
def test_names_that_cannot_be(server, home, name):
    done = run(server, home, "pull", name, "--into", "all")
    assert (done.returncode, name in done.stderr) == (2, True)
    assert server.asked == []


@pytest.mark.parametrize("options", [["--commit"], ["--create-pr", "--revision", "trial"]])
def test_options_that_contradict_each_other(server, home, options):
    assert share(server, home, *options).returncode == 2
    assert server.asked == []
