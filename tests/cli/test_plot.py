"""`plot` from the command line: every kind, what is chosen, and what is refused, with nothing half-written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import moodbench
from moodbench.commands.plot import plot_svg
from moodbench.features.times import times_file
from moodbench.plots.base import PLOTS
from moodbench.workspace import ModelName, Workspace
from tests.commands import call

DRAWN = ("distributions", "roc", "pr", "bars", "heatmap", "correlation", "cost", "embedding", "grid")


def test_every_kind_is_drawn_and_the_same_twice(scored):
    for kind in DRAWN:
        for name in ("a.svg", "b.svg"):
            result = call("plot", kind, "--out", name, "--width", "column")
            assert result.exit_code == 0, result.stderr
            assert result.stderr == f"wrote {name}\n"
            assert result.stdout == ""
        assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes()
        assert plot_svg(kind, key="x", width="column").startswith('<svg id="x"')
    file = moodbench.plot("roc", score="vim", width=3.3, out="roc.pdf")
    assert file.read_bytes().startswith(b"%PDF")
    assert moodbench.plot("bars") == Path("tiny_bars.png")


REFUSED = [
    (["roc", "--model", "tinny"], 2, "there is no model with results 'tinny'. Did you mean 'tiny'?"),
    (["roc", "--score", "mspp"], 2, "there is no score with results 'mspp'. Did you mean 'msp'?"),
    (["roc", "--ood", "nothing"], 2, "there is no OOD dataset with results 'nothing'"),
    (["roc", "--group", "nowhere"], 2, "there is no OOD group 'nowhere'"),
    (["grid", "--ood", "tiny_ood"], 2, "takes no --ood: it shows means over a group"),
    (["embedding", "--score", "msp"], 2, "takes no --score: it shows features"),
    (["correlation", "--score", "msp"], 2, "has no other score to be correlated with"),
    (["roc", "--width", "wide"], 2, "a picture cannot be 'wide' wide"),
    (["roc", "--out", "roc.gif"], 2, "a plot cannot be written as 'roc.gif'"),
    (["roc", "--out", "there/roc.png"], 1, "the file cannot be written"),
    (["rock"], 2, "there is no plot 'rock'"),
]


def test_what_is_refused(scored):
    """One folder for all: extraction takes longer than the rest."""
    Path("there").write_text("a file")
    names = set(scored.iterdir())
    known = Workspace(catalogs=(Path(os.environ["MOODBENCH_CATALOG"]),)).catalog.benchmarks["tiny"].ood_datasets
    for options, code, says in REFUSED:
        result = call("plot", *(known[0] if one == "tiny_ood" else one for one in options))
        assert result.exit_code == code, (options, result.stderr)
        assert says in result.stderr
        assert result.stdout == ""
        assert set(scored.iterdir()) == names
    result = call("plot", "accuracy")
    assert result.exit_code == 1
    assert "at least two" in result.stderr
    assert set(scored.iterdir()) == names


def test_what_is_gone_is_said_with_what_to_run(scored):
    kept = Workspace().kept_scores_file(ModelName.parse("tiny"), "tiny")
    file = times_file(kept)
    said = json.loads(file.read_text())
    assert {score for score, _, _ in said["seconds"]} == {"msp", "vim", "mahalanobis"}
    assert all(0 < seconds < 1 for _, _, seconds in said["seconds"])
    whole = kept.read_bytes()
    kept.unlink()
    for kind in ("roc", "pr", "distributions", "correlation"):
        result = call("plot", kind)
        assert result.exit_code == 1
        assert "row scores on 'tiny' are missing or stale: of 'tiny' there are none" in result.stderr
        assert "moodbench score --benchmark tiny --model tiny" in result.stderr
    assert call("plot", "bars").exit_code == 0
    kept.write_bytes(whole)
    assert call("cache", "remove", "--model", "tiny", "--yes").exit_code == 0
    assert not file.exists()
    for kind, what in (("cost", "no times were measured of tiny"), ("embedding", "the features of 'tiny' on")):
        result = call("plot", kind)
        assert result.exit_code == 1
        assert what in result.stderr


def test_help_names_every_kind():
    text = " ".join(call("plot", "--help").stdout.split())
    assert all(kind in text for kind in PLOTS)
