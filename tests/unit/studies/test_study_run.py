"""A study is done once, whatever stops it in between, and its folder is enough to do it again."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from functools import partial
from pathlib import Path

import pytest
import typer

import moodbench
from moodbench.cli import app
from moodbench.commands.run import cost_study, run_study
from moodbench.commands.steps import Execution
from moodbench.errors import DataError, MoodbenchError, UsageError
from moodbench.logistic import Settings
from moodbench.workspace import Workspace

STUDY = """\
title: A tiny study
catalogs: [catalog.yaml]
scores_from: []
models: [{model: tiny, image: {crop: 0.9}, variant: cropped}]
benchmarks: [tiny]
layers: every:3
views: [odin]
extract: {batch_size: 16, workers: 0}
probe: true
scores: [msp, knn, odin, random]
parameters: {knn: {k: [1, 3]}}
score: {layers: true}
device: cpu
threads: 1
tables:
  - {file: tables/grid.md, head: own}
  - {file: tables/depth.tex, layout: depth, metric: auroc, model: ["tiny@cropped"]}
plots:
  - {kind: sweep, file: sweep.svg, score: knn}
ranks: [{file: rank.csv, score: [msp, knn]}]
""".replace("scores_from: []\n", "")

SMALL = """\
catalogs: [catalog.yaml]
models: [tiny]
benchmarks: [tiny]
extract: {batch_size: 16, workers: 0}
scores: [msp, knn]
parameters: {knn: {k: [1, 3]}}
device: cpu
threads: 1
tables: [{file: tables/grid.md}]
"""

RECORDS = ("run.log",)
"""What says when something was done."""


@pytest.fixture
def study(tmp_path, catalog, monkeypatch):
    """The file of a small study in an empty folder, which is worked in."""
    monkeypatch.chdir(tmp_path)
    return written(tmp_path / "a.yaml", SMALL)


def written(file, text):
    """Return the file, which says this now."""
    file.write_text(text, encoding="utf-8")
    return file


def contents(folder):
    """Return the bytes of every file but those that say when."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name not in RECORDS and not file.name.startswith(".")
    }


def space(cache="cache"):
    return Workspace(cache_dir=Path(cache))


def test_a_study_is_done_once_and_its_folder_is_enough(study, tmp_path):
    written(study, STUDY)
    said = []
    first = run_study(study, workspace=space(), report=said.append)
    assert first.folder == Path("a")
    assert (len(first.done), len(first.skipped)) == (8, 0)
    made = contents(first.folder)
    assert {"study.yaml", "resolved.json", "environment.json", "commands.sh", "sweep.svg", "rank.csv"} <= set(made)
    assert {"results/tiny/tiny@cropped@layer-blocks.2.csv", "results/tiny/tiny@cropped+probe.csv"} <= set(made)
    assert b"tiny@cropped" in made["resolved.json"]
    check_commands(first.folder)
    said.clear()
    again = run_study(study, workspace=space(), report=said.append)
    assert again.done == ()
    assert again.text.startswith("nothing was to do: all 8 steps")
    assert not [line for line in said if not line.startswith("skip ") and "leave out the view" not in line]
    assert contents(first.folder) == made

    # in another place, with nothing but the folder
    elsewhere = tmp_path / "elsewhere" / "b"
    shutil.copytree(first.folder, elsewhere)
    shutil.rmtree(elsewhere / "results")
    there = run_study(elsewhere / "study.yaml", workspace=space())
    assert there.folder == elsewhere
    assert contents(elsewhere) == made


def check_commands(folder):
    """Every line of ``commands.sh`` is one that the command line takes, and names files in the folder."""
    lines = (folder / "commands.sh").read_text(encoding="utf-8").splitlines()
    words = [shlex.split(line) for line in lines if line.startswith("moodbench")]
    assert len(words) == 8
    command = typer.main.get_command(app)
    for _, name, *rest in words:
        command.commands[name].make_context(name, list(rest))
        assert rest[rest.index("--catalog") + 1] == "inputs/catalog.yaml"


def test_what_stops_it_changes_no_byte(study):
    run_study(study, out="whole", workspace=space("cache0"))
    whole = contents(Path("whole"))

    class Killed(BaseException):
        """As a signal that nothing catches."""

    real = Execution.run
    for last in ("score tiny", "table tables/grid.md"):

        def run(self, step, last=last):
            if step.title == last:
                raise Killed
            return real(self, step)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Execution, "run", run)
            with pytest.raises(Killed):
                run_study(study, out="parts", workspace=space("cache1"))
        assert set(contents(Path("parts"))) < set(whole)
    run_study(study, out="parts", workspace=space("cache1"))
    assert contents(Path("parts")) == whole


BAD = "models: [{model: tiny, checkpoint: broken.safetensors, variant: bad}, tiny]"


def test_a_step_that_fails_costs_no_other(study, tmp_path, checkpoint):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(checkpoint.read_bytes()[:100])
    written(study, SMALL.replace("models: [tiny]", BAD))
    said = []
    with pytest.raises(MoodbenchError, match="1 of 5 steps of the study failed:\n") as caught:
        run_study(study, workspace=space(), report=said.append)
    assert "extract tiny@bad: " in caught.value.what
    assert "again does only what is missing" in caught.value.fix
    assert "left out: score tiny@bad: what it needs has failed" in said
    assert Path("a/tables/grid.md").exists()
    assert "failed  extract tiny@bad" in Path("a/run.log").read_text(encoding="utf-8")

    broken.write_bytes(checkpoint.read_bytes())
    again = run_study(study, workspace=space())
    assert again.done == ("extract tiny@bad", "score tiny@bad", "table tables/grid.md")


def test_the_first_step_that_fails_may_end_it(study, tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    written(study, SMALL.replace("models: [tiny]", BAD) + "on_error: stop\n")
    with pytest.raises(MoodbenchError, match=r"1 of 5 steps of the study failed \(on_error: stop\)"):
        run_study(study, workspace=space())
    assert not Path("cache/tiny").exists()


def test_images_may_be_gone_where_all_is_cached(study, pictures, tmp_path, catalog):
    images = tmp_path / "images"
    shutil.copytree(pictures, images)
    catalog.write_text(catalog.read_text(encoding="utf-8").replace(str(pictures), str(images)), encoding="utf-8")
    run_study(study, workspace=space())
    shutil.rmtree(images / "ood")
    said = []
    assert run_study(study, workspace=space(), report=said.append).done == ()
    assert [line for line in said if line.startswith("note: the images of tiny_ood are not on this disk")]
    with pytest.raises(DataError, match="tiny_ood"):
        run_study(study, workspace=space("cache2"))


def test_what_is_changed_is_done_anew(study):
    run_study(study, workspace=space())
    written(study, SMALL.replace("k: [1, 3]", "k: [1, 3, 5]"))
    again = run_study(study, workspace=space())
    assert (again.done, again.skipped) == (("score tiny", "table tables/grid.md"), ("extract tiny",))
    assert "k=5" in Path("a/results/tiny/tiny.csv").read_text(encoding="utf-8")


def test_what_it_costs(study):
    written(study, SMALL + "layers: every:2\nviews: [odin]\nprobe: true\n")
    costs = {cost.step: cost for cost in cost_study(study, workspace=space())}
    assert not Path("a").exists()
    assert not Path("cache").exists()
    units = [(cost.unit, cost.left) for cost in costs.values()]
    assert units == [("images", 74), ("heads", 1), ("scores", 3), ("scores", 3), ("files", 1)]
    one = costs["extract tiny"]
    assert (one.seconds, one.by) == (None, "never measured")
    run_study(study, workspace=space())
    caches = [file for file in Path("cache").glob("tiny*/*.h5") if file.name != "head.h5"]
    size = sum(file.stat().st_size for file in caches)
    assert one.bytes == pytest.approx(size, abs=len(caches) << 20)  # room for the structure of each file
    assert [cost.step for cost in cost_study(study, workspace=space()) if cost.left] == []

    noted = json.loads(Path("cache/tiny/.rates.json").read_text(encoding="utf-8"))
    ((views, (images, seconds)),) = next(iter(noted.values())).items()
    assert (views, images) == ("layers every:2 model + odin", 74)
    shutil.rmtree("cache/tiny@view-odin-0.0014")
    (again,) = (cost for cost in cost_study(study, workspace=space()) if cost.step == "extract tiny")
    assert again.left == 74
    assert again.seconds == pytest.approx(seconds)
    assert re.fullmatch(r"\d+ images/s measured on cpu .*", again.by)


@pytest.mark.parametrize("probe", ["true", "{layers: true}"])
def test_nothing_is_left_to_score_where_layers_are_scored_beside_a_probe(study, probe):
    written(study, SMALL + f"layers: every:3\nprobe: {probe}\nscore: {{layers: true}}\n")
    run_study(study, workspace=space())
    assert Path("a/results/tiny/tiny@layer-blocks.2+probe.csv").exists() == (probe != "true")
    assert [cost.step for cost in cost_study(study, workspace=space()) if cost.left] == []


def test_layers_of_changed_images(study):
    written(study, SMALL + "layers: every:2\nviews: [fgsm]\nview_layers: every:2\n")
    (one,) = (cost for cost in cost_study(study, workspace=space()) if cost.unit == "images")
    run_study(study, workspace=space())
    caches = [file for file in Path("cache").glob("tiny*/*.h5") if file.name != "head.h5"]
    layers = {file.parent.name.removeprefix("tiny@") for file in caches if "layer" in file.parent.name}
    plain = {name for name in layers if name.startswith("layer-")}
    assert plain
    assert layers == plain | {f"view-fgsm-0.05-{name}" for name in plain}
    assert one.bytes == pytest.approx(sum(file.stat().st_size for file in caches), abs=len(caches) << 20)
    assert [cost.step for cost in cost_study(study, workspace=space()) if cost.left] == []
    assert "--view fgsm --view-layers every:2" in Path("a/commands.sh").read_text(encoding="utf-8")
    noted = json.loads(Path("cache/tiny/.rates.json").read_text(encoding="utf-8"))
    assert list(next(iter(noted.values()))) == ["layers every:2 model + fgsm + view layers every:2 model"]


def test_how_a_probe_went_is_in_the_log(study):
    written(study, SMALL + "probe: true\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("moodbench.logistic.Settings", partial(Settings, iterations=1))
        run_study(study, workspace=space())
    log = Path("a/run.log").read_text(encoding="utf-8")
    assert re.search(r"\S+  note    tiny: did not converge: after 1 iteration the gradient is \S+ of that", log)
    assert "the head 'probe' did not converge: every score on logits of Tiny ViT +probe" in Path(
        "a/tables/grid.md"
    ).read_text(encoding="utf-8")


def test_a_place_that_is_taken(study):
    Path("a").write_text("a file")
    with pytest.raises(DataError, match="a study needs a folder"):
        run_study(study, workspace=space())


def test_scores_of_ones_own(study, tmp_path):
    (tmp_path / "mine.py").write_text(
        """from dataclasses import dataclass
from moodbench.scores.base import SCORES, Score

@SCORES.register("of_a_study")
@dataclass
class OfAStudy(Score):
    title, family, paper = "Mine", "feature", "2026"

    def score(self, block):
        return block.features.mean(dim=1)
"""
    )
    from moodbench.scores.base import SCORES

    before = set(SCORES.names())
    text = "catalogs: [catalog.yaml]\nscores_from: mine.py\nmodels: [tiny]\nbenchmarks: [tiny]\nscores: of_a_study\n"
    study.write_text(text, encoding="utf-8")
    try:
        for _ in range(2):  # in one process
            run_study(study, workspace=space())
        assert "scores_from: inputs/mine.py" in Path("a/study.yaml").read_text(encoding="utf-8")
        with pytest.raises(UsageError, match="there is no score 'of_a_studi'"):
            moodbench.run_study(_changed(study, "scores: of_a_study", "scores: of_a_studi"), workspace=space())
    finally:
        SCORES.keep(before)


def _changed(file, old, new):
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    return file
