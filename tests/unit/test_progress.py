"""Bars of score and probe: on a terminal, for those who ask, with the time that is left."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from typer.testing import CliRunner

import moodbench
from moodbench.cli import app
from moodbench.commands.import_ import import_features
from moodbench.evaluation.caches import open_caches
from moodbench.evaluation.run import score_caches
from moodbench.progress import Clock, Lines, Progress, bar, say_every, span
from moodbench.scores.base import create_score
from moodbench.workspace import ModelName

SCORES = ["msp", "mahalanobis", "vim", "knn", "energy_react"]


@pytest.fixture
def cached(space, tmp_path):
    """A workspace with the caches of one model, and a head."""
    rng = np.random.default_rng(0)
    head = {"weight": rng.normal(size=(3, 6)).astype(np.float32), "bias": np.zeros(3, np.float32)}
    np.savez(tmp_path / "head.npz", **head)
    for i, (dataset, rows) in enumerate((("tiny_train", 90), ("tiny_test", 30), ("tiny_ood", 20))):
        features = rng.normal(size=(rows, 6)).astype(np.float32) + i
        features[:, 0] += 3 * (np.arange(rows) % 3)
        np.savez(tmp_path / "x.npz", features=features, labels=np.arange(rows) % 3)
        import_features("ours", dataset, tmp_path / "x.npz", head=tmp_path / "head.npz", workspace=space)
    return space


class Terminal(io.StringIO):
    def isatty(self):
        return True


@dataclass(frozen=True)
class Noted(Progress):
    phases: dict[str, tuple[float, list[float]]] = field(default_factory=dict)

    @contextmanager
    def phase(self, what, total, unit="row"):
        done: list[float] = []
        self.phases[what] = (total, done)
        yield done.append


def test_every_phase_of_scoring_comes_to_its_end(cached):
    spec = cached.catalog.benchmark("tiny")
    files = {name: cached.cache_file(ModelName("ours"), name) for name in spec.datasets}
    caches = open_caches(files, spec, cached.head_file(ModelName("ours")), own_head=True)
    noted = Noted()
    score_caches(spec, caches, {name: create_score(name) for name in SCORES}, progress=noted, block=2)
    assert list(noted.phases)[:2] == ["fitting", "pass 1 over ID train"]
    assert list(noted.phases)[-2:] == ["test rows", "test rows against ID train"]
    for what, (total, done) in noted.phases.items():
        assert sum(done) == pytest.approx(total), what
        assert len(done) > 1


@pytest.mark.parametrize("work", ["score", "probe"])
def test_the_bars_go_away_and_say_how_much_time_is_left(cached, monkeypatch, work):
    monkeypatch.setattr("moodbench.progress.SECONDS", 0)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    def run(**how):
        if work == "score":
            moodbench.score(model=["ours"], score=SCORES, benchmark=["tiny"], workspace=cached, **how)
        else:
            moodbench.probe("ours", benchmark="tiny", workspace=cached, force=True, **how)

    run()
    assert terminal.getvalue() == ""  # from Python, nobody asked
    for head in cached.cache_dir.rglob("heads/*.h5"):
        head.unlink()
    run(progress=True)
    shown = terminal.getvalue()
    assert {"score": "ours on tiny: pass 1 over ID train", "probe": "probe ours: penalties, at most"}[work] in shown
    assert " left" in shown
    assert shown.rpartition("\r")[2] == ""


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_pipes_and_quiet_stay_clean(cached, catalog, quiet):
    folders = ["--cache-dir", str(cached.cache_dir), "--results-dir", str(cached.results_dir)]
    options = ["--model", "ours", "--catalog", str(catalog), *folders, *quiet]
    for command in (["score", "--score", "msp"], ["probe"]):
        done = CliRunner().invoke(app, [*command, "--benchmark", "tiny", *options])
        assert (done.exit_code, done.stdout) == (0, "")
        assert "\r" not in done.stderr
        assert (done.stderr == "") is bool(quiet)


class Now:
    """A clock that is set by hand."""

    def __init__(self, monkeypatch):
        self.time = 100.0
        monkeypatch.setattr("moodbench.progress.time.monotonic", lambda: self.time)

    def __call__(self, seconds):
        self.time += seconds


def test_in_a_pipe_there_is_a_line_a_minute(monkeypatch, capsys):
    now = Now(monkeypatch)
    with bar("vit on photos", 400, shown=True, done=100) as done:
        for _ in range(10):
            now(20)
            done.update(20)
    assert done.n == 300
    assert capsys.readouterr().err.splitlines() == [
        "vit on photos: 40 % (160 of 400 images) after 1:00, 1 images/s, about 4:00 left",
        "vit on photos: 55 % (220 of 400 images) after 2:00, 1 images/s, about 3:00 left",
        "vit on photos: 70 % (280 of 400 images) after 3:00, 1 images/s, about 2:00 left",
    ]


def test_short_phases_in_a_row_share_the_minute(monkeypatch, capsys):
    now = Now(monkeypatch)
    progress = Progress("vim on vit", True)
    for number in range(5):
        with progress.phase(f"pass {number}", 10) as tick:
            now(25)
            tick(10)
    assert capsys.readouterr().err.splitlines() == ["vim on vit: pass 2: 100 % (10 of 10 rows) after 0:25, 0.4 rows/s"]


def test_lines_without_a_total_and_none_unless_they_are_wanted(monkeypatch, capsys):
    now = Now(monkeypatch)
    for what, total, silent in (("a", None, False), ("b", 5, True), ("c", 0, False)):
        lines = Lines(what, total, silent=silent)
        now(3700)
        lines.update()
    Progress("d").begins("scoring")
    assert capsys.readouterr().err.splitlines() == [
        "a: 1 images after 1:01:40, 0.00027 images/s",
        "c: 1 images after 1:01:40, 0.00027 images/s",
    ]
    assert (span(5), span(125.4), span(3600)) == ("0:05", "2:05", "1:00:00")


@pytest.mark.parametrize(("seconds", "lines"), [(10, 19), (60, 3), (0, 0), (1000, 0)])
def test_lines_come_as_often_as_somebody_says(monkeypatch, capsys, seconds, lines):
    monkeypatch.setattr("moodbench.progress._every", 60.0)
    say_every(seconds)
    now = Now(monkeypatch)
    with bar("vit on photos", 400, shown=True) as done:
        for _ in range(19):
            now(10)
            done.update(20)
    assert len(capsys.readouterr().err.splitlines()) == lines


def test_bytes_are_said_as_such(monkeypatch, capsys):
    now = Now(monkeypatch)
    with bar("a.tar", 3e9, shown=True, unit="B") as done:
        now(100)
        done.update(1e9)
    assert capsys.readouterr().err == "a.tar: 33 % (1.0 GB of 3.0 GB) after 1:40, 10.0 MB/s, about 3:20 left\n"


def test_commands_take_the_seconds(cached, catalog, monkeypatch):
    monkeypatch.setattr("moodbench.progress._every", 60.0)
    folders = ["--cache-dir", str(cached.cache_dir), "--results-dir", str(cached.results_dir)]
    options = ["--model", "ours", "--catalog", str(catalog), *folders, "--score", "msp"]
    done = CliRunner().invoke(app, ["score", "--benchmark", "tiny", *options, "--progress", "0.000001"])
    assert done.exit_code == 0
    assert "ours on tiny: test rows: " in done.stderr
    assert " rows) after 0:00, " in done.stderr
    assert CliRunner().invoke(app, ["score", *options, "--progress", "-1"]).exit_code == 2


def test_each_clock_begins_anew(monkeypatch):
    now = Now(monkeypatch)
    first = Clock()
    now(61)
    assert (first.due(), first.due(), Clock().due()) == (True, False, False)


def test_a_model_that_begins_is_said_in_a_pipe(cached, catalog):
    folders = ["--cache-dir", str(cached.cache_dir), "--results-dir", str(cached.results_dir)]
    options = ["--model", "ours", "--catalog", str(catalog), *folders, "--score", "msp"]
    done = CliRunner().invoke(app, ["score", "--benchmark", "tiny", *options])
    assert done.stderr.splitlines()[0] == "ours on tiny: scoring, 1 score"


def test_bars_of_a_worker_make_no_semaphore():
    script = (
        "import io, multiprocessing.synchronize as s\n"
        "from moodbench.progress import lock_bars_by_threads\n"
        "lock_bars_by_threads()\n"
        "s.SemLock.__init__ = lambda *_, **__: exit('a semaphore')\n"
        "from tqdm import tqdm\n"
        "tqdm(range(3), file=io.StringIO()).update()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
