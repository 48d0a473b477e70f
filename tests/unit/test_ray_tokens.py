"""A token is shown to the cluster that asks for one, and to no other, whatever lies in the home folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rays import TOKEN, two_nodes

pytest.importorskip("ray._private.authentication")
pytestmark = pytest.mark.xdist_group("ray")

PROGRAM = """
import sys
from moodbench.cluster import cluster, the_ray
from moodbench.errors import MoodbenchError

ray = the_ray()

@ray.remote
class Actor:
    def answer(self):
        return 42

for address in sys.argv[1:]:
    try:
        with cluster(None if address == "here" else address, workers=1):
            print(ray.get(Actor.remote().answer.remote(), timeout=60))
    except MoodbenchError as error:
        print(error)
"""


@pytest.fixture(scope="module")
def asking():
    with two_nodes() as nodes:
        yield nodes.address


@pytest.fixture(scope="module")
def open_to_all():
    with two_nodes(tokens=False) as nodes:
        yield nodes.address


def joined(folder: Path, *addresses: str, token_at_home: bool = False, **environment: str) -> list[str]:
    """What a new process prints that joins one cluster after the other, and lets an actor work there."""
    home = folder / "home"
    (home / ".ray").mkdir(parents=True)
    if token_at_home:
        (home / ".ray" / "auth_token").write_text("e" * 64)
    bare = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, *addresses],
        env=bare | {"HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert [file.read_text() for file in (home / ".ray").iterdir()] == ["e" * 64] * token_at_home
    assert "token" not in run.stderr.lower(), run.stderr
    return run.stdout.splitlines()


def test_a_token_at_home_is_not_shown_to_a_cluster_that_asks_for_none(tmp_path, open_to_all):
    assert joined(tmp_path, open_to_all, open_to_all, token_at_home=True) == ["42", "42"]


def test_clusters_with_tokens_and_without_one_after_the_other(tmp_path, open_to_all, asking):
    words = joined(tmp_path, open_to_all, asking, "here", asking, open_to_all, RAY_AUTH_TOKEN=TOKEN["RAY_AUTH_TOKEN"])
    assert words[:4] == ["42"] * 4
    assert words[4] == (
        f"the Ray cluster at '{open_to_all}' asks for no token, and this process has shown one to another cluster"
    )


@pytest.mark.parametrize(
    ("token_at_home", "environment"), [(False, {}), (True, {}), (False, {"RAY_AUTH_TOKEN": "f" * 64})]
)
def test_without_the_token_of_a_cluster_the_answer_comes_at_once(tmp_path, asking, token_at_home, environment):
    words = joined(tmp_path, asking, token_at_home=token_at_home, **environment)
    assert words[0] == f"the Ray cluster at '{asking}' asks for a token that this process has not"


def test_a_setting_that_does_not_fit_the_cluster_is_named(tmp_path, open_to_all):
    words = joined(tmp_path, open_to_all, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="f" * 64)
    assert words[0] == f"the Ray cluster at '{open_to_all}' asks for no token, and RAY_AUTH_MODE=token is set"
