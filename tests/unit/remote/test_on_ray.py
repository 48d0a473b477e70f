"""What a Ray cluster makes of a run is what one process makes of it, whatever happens to the workers."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import moodbench
from moodbench.errors import CacheError, MoodbenchError
from moodbench.evaluation.remote import on_ray, worker
from moodbench.evaluation.remote.on_ray import OnRay
from moodbench.evaluation.run import score_caches
from moodbench.features.cache import FeatureCache
from moodbench.scores.base import SCORES, Score, create_score
from moodbench.scores.machinery.statistics import Mean
from moodbench.workspace import ModelName
from tests.clusters import SPEC, caches_of, space_of, two_workers, with_everything
from tests.commands import call, read
from tests.sharded import in_shards
from tests.worlds import make_world

pytest.importorskip("ray")
pytestmark = pytest.mark.xdist_group("ray")

BLOCK = 32
SOME = ("msp", "vim", "mahalanobis", "knn", "energy_react", "qda", "kl_matching", "nnguide", "openmax")

workers = pytest.fixture(scope="module", name="there")(two_workers)


@pytest.fixture
def short_ranges(monkeypatch):
    """Let a range have 64 rows: 7 of ID train, 4 of each test set."""
    monkeypatch.setattr(on_ray, "BLOCKS", 2)


@pytest.fixture(scope="module")
def world():
    return make_world(rows=400)


@pytest.fixture
def space(tmp_path, world):
    return space_of(tmp_path, world)


def on_two(address=None, workers=2):
    return OnRay(address, workers, None, torch.device("cpu"))


def run(caches, names, elsewhere=None, **how):
    scores = {name: create_score(name) for name in names}
    return score_caches(SPEC, caches, scores, block=BLOCK, elsewhere=elsewhere, **how)


def assert_alike(local, ray):
    assert [(r.score, r.ood, r.note, r.remarks) for r in ray.rows] == [
        (r.score, r.ood, r.note, r.remarks) for r in local.rows
    ]
    for mine, theirs in zip(local.rows, ray.rows, strict=True):
        assert (mine.auroc is None) == (theirs.auroc is None), mine.score
        if mine.auroc is not None:
            assert theirs.auroc == pytest.approx(mine.auroc, abs=1e-6), mine.score
    assert ray.values.keys() == local.values.keys()
    for key, values in local.values.items():
        known = np.isfinite(values)
        assert np.array_equal(known, np.isfinite(ray.values[key])), key
        spread = values[known].std() or 1.0
        assert np.abs(ray.values[key][known] - values[known]).max(initial=0) <= 1e-5 * spread, key


def test_every_score_is_that_of_one_process(there, short_ranges, tmp_path, space, world):
    caches = with_everything(tmp_path, space, world)
    names = list(SCORES)
    local = run(caches, names)
    assert len({row.score for row in local.rows if row.auroc is not None}) > 110
    with on_two() as two:
        ray = run(caches, names, two)
    assert_alike(local, ray)
    assert ray.streams.keys() == local.streams.keys()


def test_most_scores_leave_this_process(there, short_ranges, space, monkeypatch):
    """Else nothing would be won: what cannot be sent is fitted and scored here without a word."""
    at_home = []
    monkeypatch.setattr("moodbench.evaluation.engine.found_of", lambda scores, *rest: at_home.extend(scores) or {})
    names = [name for name in SCORES if not create_score(name).needs & {"layers", "views", "members", "negated"}]
    with on_two() as two:
        run(caches_of(space), names, two)
    kinds = {SCORES.get(name).cost for name in at_home}
    assert kinds <= on_ray.AT_HOME, sorted({*at_home})


def test_the_bits_are_those_of_the_rows_whoever_works(there, short_ranges, space):
    caches = caches_of(space)
    with on_two(workers=1) as one, on_two(workers=3) as three:
        first, second = run(caches, SOME, one), run(caches, SOME, three)
    for key, values in first.values.items():
        assert np.array_equal(values, second.values[key]), key


def test_wrong_labels_and_thinned_banks_reach_the_workers(there, short_ranges, space):
    caches, how = caches_of(space), {"label_noise": (0.3, 0), "bank_rows": 100}
    with on_two() as two:
        assert_alike(run(caches, SOME, **how), run(caches, SOME, two, **how))


def test_rows_that_are_held_out_for_tuning_are_the_same(there, short_ranges, space):
    names = ["temp_scaling", "cea"]
    with on_two() as two:
        assert_alike(run(caches_of(space), names), run(caches_of(space), names, two))


def test_shards_are_read_like_one_file(there, short_ranges, space):
    with on_two() as two:
        whole = run(caches_of(space), SOME, two)
        for name in ("train", "test"):
            in_shards(space.cache_file(ModelName("net"), name), 96)
        parts = run(caches_of(space), SOME, two)
    for key, values in whole.values.items():
        assert np.array_equal(values, parts.values[key]), key


@dataclass
class FirstFeature(Score):
    """Of somebody else: this process alone knows where it comes from."""

    title, family, paper = "First", "feature", "Nobody, 2026"

    def fit(self, train):
        self.mean_ = yield Mean("first", lambda block: block.features[:, 0])

    def score(self, block):
        return block.features[:, 0] - self.mean_


def test_scores_of_others_stay_in_this_process(there, short_ranges, space):
    def scores():
        return {"first": FirstFeature(), "vim": create_score("vim")}

    local = score_caches(SPEC, caches_of(space), scores(), block=BLOCK)
    with on_two() as two:
        assert_alike(local, score_caches(SPEC, caches_of(space), scores(), block=BLOCK, elsewhere=two))


def dying_once(work, flag):
    """Return the same work that takes its process with it, the first time."""

    def once(*arguments):
        try:
            Path(flag).touch(exist_ok=False)
        except FileExistsError:
            return work(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
        return None

    return once


@pytest.mark.parametrize("task", ["update", "merge", "score"])
def test_a_worker_that_is_killed_changes_nothing(there, short_ranges, space, tmp_path, monkeypatch, task, capfd):
    caches = caches_of(space)
    with on_two() as two:
        before = run(caches, SOME, two)
    flag = tmp_path / "killed"
    monkeypatch.setattr(worker, task, dying_once(getattr(worker, task), str(flag)))
    with on_two() as two:
        after = run(caches, SOME, two)
    assert flag.exists()
    for key, values in before.values.items():
        assert np.array_equal(values, after.values[key]), key
    assert capfd.readouterr() == ("", "")


def test_a_worker_that_always_dies_is_one_message(there, short_ranges, space, monkeypatch):
    monkeypatch.setattr(on_ray, "RETRIES", 0)
    monkeypatch.setattr(worker, "update", lambda *arguments: os.kill(os.getpid(), signal.SIGKILL))
    with on_two() as two, pytest.raises(MoodbenchError, match="lost a part of the work for good"):
        run(caches_of(space), ["mahalanobis"], two)


@pytest.mark.parametrize(("dataset", "row", "score"), [("train", 300, "vim"), ("ood", 150, "msp"), ("train", 9, "knn")])
def test_a_damaged_row_is_the_error_of_one_process(there, short_ranges, space, dataset, row, score):
    file = space.cache_file(ModelName("net"), dataset)
    with FeatureCache(file) as cache:
        place = cache.offset("features") + row * cache.dim * 4
    with file.open("r+b") as stream:
        stream.seek(place)
        stream.write(b"\1\2\3\4")
    caches = caches_of(space)
    with pytest.raises(CacheError) as local:
        run(caches, [score])
    with on_two() as two, pytest.raises(CacheError) as ray:
        run(caches, [score], two)
    assert str(ray.value) == str(local.value)
    assert f": {row}\n" in str(ray.value)
    assert str(file) in str(ray.value)


def test_a_cache_that_is_replaced_meanwhile_is_refused(there, short_ranges, space, tmp_path):
    caches = caches_of(space)
    file = space.cache_file(ModelName("net"), "train")
    os.utime(file, ns=(1, 1))
    with on_two() as two, pytest.raises(CacheError, match="replaced or changed"):
        run(caches, ["mahalanobis"], two)


def test_what_fails_in_a_worker_is_the_note_of_one_process(there, short_ranges, space, monkeypatch):
    """A fault of one score costs its own cells alone."""

    def fails(self, block):
        raise RuntimeError("no such luck")

    cls = SCORES.get("msp")
    local = run(caches_of(space), ["energy"])
    monkeypatch.setattr(on_ray, "is_own", lambda item: True)

    class Failing(cls):
        score = fails

    Failing.__module__ = "moodbench.scores.of_a_test"  # as one of ours; it is sent by value
    with on_two() as two:
        scores = {"failing": Failing(), "energy": create_score("energy")}
        ray = score_caches(SPEC, caches_of(space), scores, block=BLOCK, elsewhere=two)
    rows = {row.score: row for row in ray.rows if row.ood == "ood"}
    assert rows["failing"].note == "failed: RuntimeError: no such luck"
    assert rows["energy"].auroc == local.rows[0].auroc


def test_the_command_writes_what_it_writes_without_ray(there, short_ranges, space, monkeypatch):
    monkeypatch.setattr("moodbench.evaluation.run.BLOCK", BLOCK)
    folders = ["--cache-dir", space.cache_dir, "--catalog", space.catalogs[0]]
    scores = [word for name in SOME for word in ("--score", name)]
    results = space.results_dir
    done = call("score", *scores, *folders, "--results-dir", results / "local")
    more = call("score", *scores, *folders, "--results-dir", results / "ray", "--engine", "ray", "--workers", "2")
    assert (more.exit_code, more.stdout, more.stderr) == (done.exit_code, done.stdout, done.stderr)
    local, ray = (read(results / name / "b" / "net.csv") for name in ("local", "ray"))
    assert [(r["score"], r["ood"], r["note"]) for r in ray] == [(r["score"], r["ood"], r["note"]) for r in local]
    assert [float(r["auroc"]) for r in ray] == pytest.approx([float(r["auroc"]) for r in local], abs=1e-6)


def test_python_users_have_it_too(there, short_ranges, space):
    rows = moodbench.score(score="vim", engine="ray", workers=1, workspace=space)
    assert all(row.auroc is not None for row in rows)
