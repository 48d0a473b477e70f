"""`extract --view … --view-head NAME`: recipes that read a trained head or a text head in the place of the model's."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from moodbench.features.heads import head_provenance, stored_head, write_head
from moodbench.features.reader import RowReader
from moodbench.models.recipes.base import choice_of
from moodbench.views import split_head
from tests import clips
from tests.commands import call, read

MODEL = f"clip:{clips.ARCHITECTURE}"
FOLDER = f"cache/clip-{clips.ARCHITECTURE}"
OWN = ["extract", "--model", "tiny", "--benchmark", "tiny"]
TEXT = ["extract", "--model", MODEL, "--checkpoint", "tiny.pt", "--benchmark", "tiny"]
ODIN = ["--view", "odin:eps=0.01"]


def done(*args, code=0):
    found = call(*args)
    assert found.exit_code == code, found.stderr
    assert "Traceback" not in found.stderr
    return found


@pytest.fixture
def probed(home):
    done(*OWN)
    done("probe", "--model", "tiny", "--benchmark", "tiny")
    return home


@pytest.fixture
def texts(home):
    clips.known_to_open_clip(home)
    clips.checkpoint(home / "tiny.pt")
    done(*TEXT)
    for name, prompt in (("zeroshot", "a photo of a {}"), ("other", "no {} here")):
        head = ["head", "text", "--model", MODEL, "--benchmark", "tiny", "--checkpoint", "tiny.pt"]
        done(*head, "--name", name, "--prompts", prompt)
    return home


def rows(folder):
    return next(RowReader(folder / "tiny_test.h5").blocks(99))


def test_odin_with_a_trained_head_stands_beside_that_with_the_models_own(probed):
    done(*OWN, *ODIN)
    said = done("score", "--model", "tiny", "--head", "probe", "--score", "odin", code=1).stderr
    assert "leave out the view tiny@view-odin-0.01: made with the model's own head" in said
    said = done(*OWN, *ODIN, "--view", "dropout", "--view-head", "probe").stderr
    assert "view-odin-0.01-head-probe and view-dropout-0.1 of tiny on tiny_train" in said  # which reads no head
    own, other = (probed / f"cache/tiny@view-odin-0.01{end}" for end in ("", "-head-probe"))
    probe = stored_head(probed / "cache/tiny/heads/probe.h5")
    assert stored_head(other / "head.h5").digest == probe.digest
    made = rows(other)
    np.testing.assert_allclose(made.logits, made.features @ probe.weight.T + probe.bias, atol=1e-4)
    assert np.abs(made.features - rows(own).features).max() > 0
    shown = json.loads(done("show", "model", "tiny@view-odin-0.01-head-probe", "--json").stdout)
    assert shown["view"]["head_name"] == "probe"
    assert shown["view"]["head_sha256"] == probe.digest
    assert "temperature=1000), with the head 'probe'" in done("show", "model", "tiny@view-odin-0.01-head-probe").stdout
    # either head is put beside its own view alone
    said = done("score", "--model", "tiny", "--score", "odin").stderr
    assert "leave out" not in said  # no score reads the other
    said = done("score", "--model", "tiny", "--head", "probe", "--score", "odin").stderr
    assert "leave out" not in said
    views = [json.loads((probed / f"results/tiny/tiny{end}.json").read_text())["views"] for end in ("", "+probe")]
    assert [list(its) for one in views for its in one.values()] == [["view-odin-0.01"], ["view-odin-0.01-head-probe"]]
    assert done("cache", "verify").exit_code == 0
    assert "skip tiny and view-odin-0.01-head-probe" in done(*OWN, *ODIN, "--view-head", "probe").stderr
    message = done("extract", "--model", "tiny@view-odin-0.01-head-probe", "--benchmark", "tiny", code=2).stderr
    assert "--model tiny --view odin:eps=0.01 --view-head probe" in message


def test_views_of_a_head_that_was_replaced_are_left_out_and_refused(probed):
    done(*OWN, *ODIN, "--view-head", "probe")
    file = probed / "cache/tiny/heads/probe.h5"
    before = stored_head(file)
    write_head(file, replace(before, weight=2 * before.weight), head_provenance(file))
    said = done("score", "--model", "tiny", "--head", "probe", "--score", "odin", code=1).stderr
    assert "made with the head 'probe' as it was before" in said
    assert "view.head_sha256" in done(*OWN, *ODIN, "--view-head", "probe", code=1).stderr


def test_text_heads_and_gl_mcm(texts):
    message = done(*TEXT, "--view", "gl_mcm", code=1).stderr
    assert "reads the model's own head, and it has none" in message
    assert "--view-head NAME" in message
    for head in ("zeroshot", "other"):
        done(*TEXT, "--view", "gl_mcm", *ODIN, "--view-head", head)
    views = [texts / f"{FOLDER}@view-gl_mcm-1-head-{head}" for head in ("zeroshot", "other")]
    local = [rows(view).features for view in views]
    assert local[0].shape[1] == 1
    assert np.abs(local[0] - local[1]).max() > 0
    assert rows(views[0]).logits is None
    for head in ("zeroshot", "other"):
        said = done("score", "--model", MODEL, "--head", head, *(f"--score={one}" for one in ("mcm", "gl_mcm", "odin")))
        assert "no view" not in said.stderr
        noted = json.loads((texts / f"results/tiny/clip-{clips.ARCHITECTURE}+{head}.json").read_text())["views"]
        assert {view for its in noted.values() for view in its} == {
            f"view-gl_mcm-1-head-{head}",
            f"view-odin-0.01-head-{head}",
        }
        found = {row["score"]: row for row in read(texts / f"results/tiny/clip-{clips.ARCHITECTURE}+{head}.csv")}
        assert all(found[name]["auroc"] for name in ("mcm", "gl_mcm", "odin"))


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["--view-head", "probe"], 2, "none are asked for"),
        (["--view", "dropout", "--view-head", "probe"], 2, "none of these reads one"),
        (["--view", "odin", "--view-head", "prob"], 2, "there is no cached head 'prob'. Did you mean 'probe'"),
        (["--view", "odin", "--view-head", "../probe"], 2, "cannot name a head"),
        (["--view", "gl_mcm", "--view-head", "probe"], 1, "a vision transformer of open_clip"),
    ],
)
def test_one_message_and_no_view(probed, given, code, said):
    assert said in done(*OWN, *given, code=code).stderr
    assert not list((probed / "cache").glob("*@*"))


def test_names():
    assert split_head("view-odin-0.0014-head-my-head-2") == ("view-odin-0.0014", "my-head-2")
    assert split_head("layer-a-head-b") == ("layer-a-head-b", None)
    assert choice_of("view-odin-0.01-temperature10-head-x") == "odin:eps=0.01,temperature=10 --view-head x"
    assert choice_of("view-gl_mcm-1-head-zeroshot") == "gl_mcm --view-head zeroshot"
