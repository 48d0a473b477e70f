"""Scores that another program computed: matched with images, scored as they are, and told apart when they change."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import moodbench
from moodbench.commands.cache import verify_caches
from moodbench.commands.import_ import import_features
from moodbench.commands.imported import list_imported, remove_imported
from moodbench.errors import CacheError, CacheMismatchError, DataError, UnknownNameError, UsageError
from moodbench.evaluation.kept import kept_rows
from moodbench.evaluation.stale import marked_stale
from moodbench.features.cache import FeatureCache
from moodbench.features.given_scores import GivenScores
from moodbench.features.imported import ImportedScores, Origin, has_features, read_imported, write_imported
from moodbench.ranking import Ranking
from moodbench.results import provenance_file, read_provenance, read_results
from moodbench.types import MEAN
from moodbench.workspace import ModelName, Workspace

ROWS = {"train": 30, "test": 20, "far": 11, "near": 12}
TESTED = ("test", "far", "near")
NET = ModelName("net")


def ids_of(name):
    return [f"{name}/ü {i}.png" for i in range(ROWS[name])]


def numbers(name, seed=0):
    rng = np.random.default_rng([seed, *map(ord, name)])
    return rng.normal(size=ROWS[name]) + (name == "test")


@pytest.fixture
def space(tmp_path):
    """A model with caches, and a folder with a CSV of numbers for each dataset, in another order."""
    benchmarks = {
        "b": {"id_train": "train", "id_test": "test", "ood": {"far": ["far"], "near": ["near"]}},
        "each": {"id_train": "train", "id_test": "test", "ood": {"others": ["test"]}, "classes": {"ant": 0, "bee": 1}},
    }
    catalog = {"datasets": {name: {"title": name} for name in ROWS}, "benchmarks": benchmarks}
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(catalog), encoding="utf-8")
    space = Workspace(tmp_path / "data", tmp_path / "cache", tmp_path / "results", (tmp_path / "catalog.yaml",))
    for name, count in ROWS.items():
        rng = np.random.default_rng(count)
        rows = {"features": rng.normal(size=(count, 5)).astype(np.float32), "ids": np.array(ids_of(name))}
        np.savez(tmp_path / f"{name}_rows.npz", **rows, labels=np.arange(count) % 2)
        import_features("net", name, tmp_path / f"{name}_rows.npz", workspace=space)
        write_csv(tmp_path / f"{name}.csv", ids_of(name)[::-1], numbers(name)[::-1])
    return space


def write_csv(file, ids, values):
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["id", "score"], *zip(ids, map(repr, map(float, values)), strict=True)])


def bring(space, name, score="mine", file=None, model="net", **more):
    return moodbench.import_scores(
        model, name, score, file or space.cache_dir.parent / f"{name}.csv", workspace=space, **more
    )


def bring_all(space, **more):
    for name in TESTED:
        bring(space, name, **more)


def run(space, *scores, **how):
    how = {"benchmark": "b", "model": "net", "device": "cpu", "workspace": space} | how
    return moodbench.score(score=scores, **how)


def by_ood(rows, score="mine"):
    return {(row.ood, row.group): row for row in rows if row.score == score}


# -- matching -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", ["id", "ood"])
def test_numbers_are_those_of_the_images_and_metrics_those_of_the_numbers(space, orientation):
    bring_all(space, orientation=orientation)
    sign = 1 if orientation == "id" else -1
    rows = by_ood(run(space, "mine"))
    for name in ("far", "near"):
        expected = Ranking(sign * numbers("test")).against(sign * numbers(name))
        assert rows[name, name].auroc == pytest.approx(expected.auroc, abs=1e-12)
    assert rows[MEAN, "all"].auroc == pytest.approx(np.mean([rows[n, n].auroc for n in ("far", "near")]))
    kept = kept_rows(space, "b", "net").kept.of("mine", "")
    assert {name: array.tolist() for name, array in kept.items()} == {
        name: (sign * numbers(name)).tolist() for name in TESTED
    }
    assert {row.family for row in rows.values()} == {"imported"}


def test_every_form_of_a_file_says_the_same(space, tmp_path):
    values, ids = numbers("far"), ids_of("far")
    np.savez(tmp_path / "a.npz", ids=np.array(ids), scores=values)
    np.savez(tmp_path / "b.npz", id=np.array(ids), score=values)
    with h5py.File(tmp_path / "c.h5", "w") as h5:
        h5["scores"], h5["ids"] = values, ids
    np.save(tmp_path / "d.npy", values)
    (tmp_path / "e.csv").write_text("note, Score\n" + "".join(f"x,{v!r}\n\n" for v in values.tolist()))
    by_order = ("d.npy", "e.csv")
    for name in ("a.npz", "b.npz", "c.h5", *by_order):
        done = bring(space, "far", name[0], tmp_path / name, by_order=name in by_order)
        read = read_imported(done.file)
        assert (read.ids, read.values.tolist()) == (tuple(ids), values.tolist()), name
        assert (read.origin.file, read.origin.matched) == (name, "order" if name in by_order else "id")


@settings(max_examples=30)
@given(st.data())
def test_matching_is_a_look_up(data):
    names = data.draw(st.lists(st.text("ab/ü1 ", max_size=4), min_size=1, max_size=12, unique=True))
    wanted = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=12))
    values = np.arange(len(names), dtype=float)
    known = dict(zip(names, values, strict=True))
    found, extra = GivenScores(None, values, names).matched_by_id(wanted, wanted)
    assert found.tolist() == [known[name] for name in wanted]
    assert extra == [name for name in names if name not in wanted]


def test_files_are_the_same_bytes_and_come_back(tmp_path):
    origin = Origin("net", "far", "mine", "imported", "ood", "a.csv", "0" * 64, "id")
    one = ImportedScores(origin, ("b ü", "a"), np.array([1.0, -2.5]))
    file = tmp_path / "net" / "imported" / "mine" / "far.h5"
    write_imported(file, one)
    before = file.read_bytes()
    write_imported(file, one)
    assert file.read_bytes() == before
    back = read_imported(file)
    assert (back.origin, back.ids, back.values.tolist()) == (origin, one.ids, [1.0, -2.5])
    assert back.of(["a", "c"])[1] == ["c"]
    assert back.of(["a", "b ü"])[0].tolist() == [2.5, -1.0]


# -- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,score\n", "has no rows"),
        ("id,value\nx,1\n", "no column 'score'; its first line has 'id', 'value'"),
        ("id;score\nx;1\n", "no column 'score'"),
        ("id,score,scores\nx,1,2\n", "two columns 'score'"),
        ("id,score\nx\n", "line 2 has 1 cell, and there are 2 columns"),
        ("id,score\nx,high\n", "line 2 has 'high' where a score should be"),
        ('id,score\n"x,1\n', "is not CSV"),
        ("score\n1\n", "does not say which images"),
        ("id,score\nx,1\nx,2\n", "1 id of the file occurs more than once: 'x'"),
        ("id,score\nx,1\n", r"no number for 11 of 11 images: 'far/ü 0.png', .* and 6 more; the ids .* like 'x'"),
    ],
)
def test_a_csv_that_cannot_be_taken(space, tmp_path, text, message):
    (tmp_path / "bad.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        bring(space, "far", file=tmp_path / "bad.csv")
    assert space.imported_scores(NET) == {}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("by_order", [False, True])
def test_numbers_that_are_none_are_refused_by_name(space, tmp_path, bad, by_order):
    values = numbers("far")
    values[3] = bad
    write_csv(tmp_path / "bad.csv", ids_of("far"), values)
    with pytest.raises(DataError, match=r"scores of 1 image are NaN or infinite: 'far/ü 3.png'"):
        bring(space, "far", file=tmp_path / "bad.csv", by_order=by_order)


def test_order_is_taken_only_where_it_can_be_right(space, tmp_path):
    np.save(tmp_path / "short.npy", numbers("far")[1:])
    with pytest.raises(DataError, match="10 rows and the cache 11"):
        bring(space, "far", file=tmp_path / "short.npy", by_order=True)
    with pytest.raises(DataError, match="in another order"):
        bring(space, "far", by_order=True)
    ids = ids_of("far")
    write_csv(tmp_path / "one.csv", ["strange", *ids[1:]], numbers("far"))  # the others stand where they should
    bring(space, "far", file=tmp_path / "one.csv", by_order=True)
    write_csv(tmp_path / "one.csv", ["strange", *ids[2:], ids[1]], numbers("far"))
    with pytest.raises(DataError, match=r"ids of the file have 10 of the cache in another order: 'far/ü 2.png'"):
        bring(space, "far", file=tmp_path / "one.csv", by_order=True)
    write_csv(tmp_path / "one.csv", [str(i) for i in range(1, 12)], numbers("far"))
    bring(space, "far", file=tmp_path / "one.csv", by_order=True)
    np.save(tmp_path / "wide.npy", np.zeros((11, 2)))
    with pytest.raises(DataError, match=r"numbers of shape \(N,\)"):
        bring(space, "far", file=tmp_path / "wide.npy", by_order=True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("msp", "it computes itself"),
        ("ViM", "it computes itself"),
        ("gradNORM", "it computes itself"),
        ("a/b", "cannot name a score"),
        ("9", "cannot name a score"),
    ],
)
def test_names_that_are_taken_or_none(space, name, message):
    with pytest.raises(UsageError, match=message):
        bring(space, "far", name)


def test_a_score_has_one_family(space):
    bring(space, "far", family="feature")
    with pytest.raises(UsageError, match="has the family feature on 'far', and --family is logit"):
        bring(space, "near", family="logit")
    bring(space, "far", family="logit")  # the only one it has
    bring(space, "near", family="logit")


def test_without_a_cache_it_says_whose_rows_there_are(space):
    with pytest.raises(CacheError, match="no cache of 'far' of 'other'") as caught:
        bring(space, "far", model="other")
    assert "--like takes the rows of a model that has some: net" in str(caught.value)
    with pytest.raises(UsageError, match="names a head"):
        bring(space, "far", model="net+probe")
    with pytest.raises(UsageError, match="cannot be imported as scores"):
        bring(space, "far", file=space.cache_dir.parent / "scores.txt")
    with pytest.raises(DataError, match="this is a folder"):
        bring(space, "far", file=space.cache_dir)


def test_running_numbers_that_begin_at_1_are_no_other_order():
    numbered = GivenScores(Path("a.csv"), np.arange(3.0), ["1", "2", "3"])
    done = np.ones(3, bool)
    assert numbered.matched_by_order(["0", "1", "2"], done).tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(DataError, match="are those of the cache in another order: '1', '2', '3'"):
        numbered.matched_by_order(["3", "1", "2"], done)


def test_rows_of_others_are_said(space, tmp_path):
    write_csv(tmp_path / "more.csv", ["x", *ids_of("far")], [9, *numbers("far")])
    lines = []
    assert bring(space, "far", file=tmp_path / "more.csv", report=lines.append).extra == ("x",)
    assert lines == [f"note: 1 row of {tmp_path / 'more.csv'} is no image of 'far': 'x'"]


# -- scoring ------------------------------------------------------------------------------------------------------


def test_beside_scores_that_are_computed(space):
    bring_all(space)
    alone = by_ood(run(space, "knn"), "knn")
    together = run(space)
    assert by_ood(together, "knn") == alone
    assert by_ood(together) == by_ood(run(space, "mine"))
    assert {"knn", "mine"} <= {row.score for row in read_results(space.results_file("b", NET))}


def test_what_lacks_leaves_its_cell_empty(space):
    bring(space, "test")
    bring(space, "far")
    rows = by_ood(run(space, "mine"))
    assert rows["far", "far"].auroc is not None
    for place in (("near", "near"), (MEAN, "all"), (MEAN, "near")):
        assert (rows[place].auroc, rows[place].note) == (None, "no imported numbers of near")
    remove_imported(space, list_imported(space, "net", "test"))
    rows = by_ood(run(space, "mine"))
    assert {row.note for row in rows.values()} == {"no imported numbers of test"}
    with pytest.raises(UnknownNameError, match="no score 'other'"):
        run(space, "other")


def test_a_benchmark_of_other_datasets_does_not_see_it(space):
    bring(space, "far")
    assert not by_ood(run(space, benchmark="each"))


def test_where_each_class_in_turn_is_id(space):
    bring(space, "test")
    rows = by_ood(run(space, "mine", benchmark="each"))
    values, labels = numbers("test"), np.arange(20) % 2
    expected = Ranking(values[labels == 0]).against(values[labels != 0]).auroc
    assert rows["ant", "others"].auroc == pytest.approx(expected)


def test_numbers_are_matched_with_the_cache_that_is_there(space, tmp_path):
    bring_all(space)
    first = by_ood(run(space, "mine"))
    file = space.cache_file(NET, "far")
    file.unlink()
    rows = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
    np.savez(tmp_path / "again.npz", features=rows[:11], ids=np.array(ids_of("far")[::-1]))
    import_features("net", "far", tmp_path / "again.npz", workspace=space)
    assert by_ood(run(space, "mine"))["far", "far"].auroc == first["far", "far"].auroc
    file.unlink()
    np.savez(tmp_path / "more.npz", features=rows, ids=np.array([*ids_of("far"), "new"]))
    import_features("net", "far", tmp_path / "more.npz", workspace=space)
    note = by_ood(run(space, "mine"))["far", "far"].note
    assert note == "no imported numbers of 1 image of far: 'new'"


def test_it_has_no_part_in_other_ways(space):
    bring_all(space)
    for how in ({"tune": True}, {"label_noise": 0.1}):
        with pytest.raises(UsageError, match="is an imported score"):
            run(space, "mine", **how)
    assert not by_ood(run(space, "knn", "mahalanobis", label_noise=0.1))


def test_results_say_where_it_is_from_and_when_it_is_another(space, tmp_path):
    bring_all(space)
    run(space, "mine", "knn")
    said = read_provenance(space.results_file("b", NET))["imported"]
    assert sorted(said) == ["mine/far", "mine/near", "mine/test"]
    assert said["mine/far"]["file"] == "far.csv"
    shown = moodbench.show_result("net/mine/far", workspace=space)
    assert [one["dataset"] for one in shown["imported"]] == ["far", "test"]
    assert shown["imported"][0]["sha256"] == read_imported(space.imported_file(NET, "mine", "far")).origin.sha256
    assert bring(space, "far").before == "same"
    write_csv(tmp_path / "new.csv", ids_of("far"), numbers("far", seed=1))
    assert bring(space, "far", file=tmp_path / "new.csv").before == "other"
    marked = marked_stale(space, "b", read_results(space.results_file("b", NET)))
    stale = {(row.score, row.ood, row.group) for row in marked if any("stale" in one for one in row.remarks)}
    assert stale == {("mine", "far", "far"), ("mine", MEAN, "far"), ("mine", MEAN, "all")}
    assert moodbench.show_result("net/mine/far", workspace=space)["changed"] == ["the imported numbers of far"]
    assert kept_rows(space, "b", "net").kept.of("mine", "") == {}
    assert kept_rows(space, "b", "net").kept.of("knn", "k=50") != {} or kept_rows(space, "b", "net").kept.names
    run(space, "mine")
    marked = marked_stale(space, "b", read_results(space.results_file("b", NET)))
    assert not any("stale" in one for row in marked for one in row.remarks)
    before = provenance_file(space.results_file("b", NET)).read_bytes()
    run(space, "mine")
    assert provenance_file(space.results_file("b", NET)).read_bytes() == before


def test_two_folders_of_results_are_joined_unless_the_numbers_differ(space, tmp_path):
    bring_all(space)
    run(space, "mine")
    other = replace(space, results_dir=tmp_path / "other")
    run(other, "mine", "knn")
    moodbench.merge_results([space.results_dir, other.results_dir], into=tmp_path / "joined")
    noted = json.loads((tmp_path / "joined" / "b" / "net.json").read_text())
    assert sorted(noted["imported"]) == ["mine/far", "mine/near", "mine/test"]


# -- files --------------------------------------------------------------------------------------------------------


def test_damage_and_other_places_are_found(space):
    bring_all(space)
    assert {one.name for one in verify_caches(space) if one.fault} == set()
    assert "net/imported/mine/far" in {one.name for one in verify_caches(space)}
    file = space.imported_file(NET, "mine", "far")
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    assert {one.name for one in verify_caches(space) if one.fault} == {"net/imported/mine/far"}
    assert "cannot be read" in by_ood(run(space, "mine"))["far", "far"].note
    assert [info.fault is None for info in list_imported(space, "net", "far")] == [False]
    file.write_bytes(space.imported_file(NET, "mine", "near").read_bytes())
    with pytest.raises(CacheMismatchError, match="scores 'mine' of 'net' on 'near', in another's place"):
        read_imported(file)
    assert bring(space, "far").before == ""
    remove_imported(space, list_imported(space))
    assert not (space.cache_dir / "net" / "imported").exists()


def test_a_method_without_features(space):
    lines = []
    for name in TESTED:
        bring(space, name, model="ddpm", like="net", pretext="diffusion", report=lines.append)
    assert lines == [f"took the rows of net on {name}" for name in ("test", "train", "far", "near")]
    with FeatureCache(space.cache_file(ModelName("ddpm"), "far")) as cache:
        assert cache.ids == ids_of("far")
        assert not has_features(cache.provenance)
    rows = run(space, model="ddpm")
    assert {row.score for row in rows} == {"mine"}
    assert {row.pretext for row in rows} == {"diffusion"}
    assert by_ood(rows)["far", "far"].auroc == by_ood(_beside(space))["far", "far"].auroc
    with pytest.raises(CacheError, match="nothing of ddpm can be scored: it has no features"):
        run(space, "knn", model="ddpm")
    with pytest.raises(CacheError, match="there are no features here"):
        moodbench.probe(model="ddpm", benchmark="b", workspace=space)
    with pytest.raises(UsageError, match="is an imported score"):
        moodbench.detect("a.png", model="ddpm", score="mine", workspace=space)
    with pytest.raises(UnknownNameError, match="'nothing'"):
        bring(space, "far", model="vae", like="nothing")


def _beside(space):
    bring_all(space)
    return run(space, "mine")
