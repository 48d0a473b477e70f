"""Labels from caches to results: with other numberings than ID train's, the numbers are those of the plain case."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import yaml

from moodbench.commands.extract import extract
from moodbench.commands.import_ import import_features
from moodbench.commands.list_ import list_benchmarks
from moodbench.commands.probe import probe
from moodbench.commands.score import score
from moodbench.errors import CacheMismatchError, UsageError
from moodbench.features.heads import read_head
from moodbench.results import read_provenance
from moodbench.workspace import ModelName, Workspace
from tests.caches import as_schema_1

NAMES = [f"c{i}" for i in range(5)]
SCORES = ("msp", "mahalanobis", "she", "knn")


class World:
    """Five classes in eight dimensions with a head that errs sometimes, and sets of rows to import."""

    def __init__(self, folder):
        self.folder = folder
        rng = np.random.default_rng(3)
        centres = rng.normal(0, 1.5, (5, 8))
        self.labels = {"train": np.arange(300) % 5, "test": np.arange(150) % 5}
        self.x = {name: (centres[y] + rng.normal(0, 1, (len(y), 8))) for name, y in self.labels.items()}
        self.x["far"] = rng.normal(0, 3, (60, 8))
        self.head = {"weight": centres, "bias": -0.5 * (centres**2).sum(axis=1)}

    def accuracy(self, rows=slice(None)):
        logits = self.x["test"][rows] @ self.head["weight"].T + self.head["bias"]
        return float((logits.argmax(axis=1) == self.labels["test"][rows]).mean())

    def run(self, name, *, train=None, test=None, head=None, scores=SCORES, said=None, bank_rows=None, **benchmark):
        """Import and score; `train`, `test` are (labels, names or None[, rows]); return rows of the CSV by key."""
        folder = self.folder / name
        folder.mkdir()
        entry = {"id_train": "train", "id_test": "test", "ood": {"far": ["far"]}, **benchmark}
        catalog = {"datasets": {d: {"title": d} for d in self.x}, "benchmarks": {"b": entry}}
        (folder / "c.yaml").write_text(yaml.safe_dump(catalog), encoding="utf-8")
        self.space = Workspace(folder / "data", folder / "cache", folder / "results", (folder / "c.yaml",))
        np.savez(folder / "head.npz", **(self.head if head is None else head))
        given = {"train": train or (self.labels["train"], NAMES), "test": test or (self.labels["test"], NAMES)}
        for dataset, x in self.x.items():
            labels, names, rows = (*given.get(dataset, (None, None)), slice(None))[:3]
            arrays = {} if labels is None else {"labels": labels} | ({"classes": np.array(names)} if names else {})
            np.savez(folder / f"{dataset}.npz", features=x[rows], **arrays)
            import_features("net", dataset, folder / f"{dataset}.npz", head=folder / "head.npz", workspace=self.space)
        report = (lambda line: None) if said is None else said.append
        how = {"device": "cpu", "bank_rows": bank_rows, "workspace": self.space, "report": report}
        score(model=["net"], benchmark=["b"], score=scores, **how)
        with (folder / "results" / "b" / "net.csv").open(encoding="utf-8", newline="") as stream:
            return {(r["score"], r["ood"]): r for r in csv.DictReader(stream) if r["group"] != "all"}


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def values(rows, score):
    return {key: value for key, value in rows[score, "far"].items() if key not in ("note", "remarks", "params")}


def test_a_test_set_that_lacks_classes_has_its_right_accuracy(world):
    kept = np.flatnonzero(world.labels["test"] >= 2)
    renumbered = (world.labels["test"][kept] - 2, NAMES[2:], kept)
    rows = world.run("lacks", test=renumbered)
    plain = World.run(world, "plain", test=(world.labels["test"][kept], None, kept))
    assert 0.5 < world.accuracy(kept) < 1
    for name in SCORES:
        assert float(rows[name, "far"]["id_accuracy"]) == pytest.approx(world.accuracy(kept), abs=1e-9)
        assert values(rows, name) == values(plain, name)


def test_classes_are_chosen_by_name_or_by_the_number_in_id_train(world):
    """The test set lacks class 0, so that its own numbers are one less."""
    kept = np.flatnonzero(world.labels["test"] > 0)
    test = (world.labels["test"][kept] - 1, NAMES[1:], kept)
    how = {"test": test, "ood": {"far": ["far"], "rest": ["test"]}}
    by_number, by_name = world.run("number", classes=[1, 2], **how), world.run("name", classes=["c1", "c2"], **how)
    plain = World.run(world, "plain", classes=[1, 2], **how | {"test": (world.labels["test"][kept], None, kept)})
    for name in SCORES:
        for ood in ("far", "test"):
            assert by_number[name, ood] == by_name[name, ood] == plain[name, ood]
    assert int(plain["knn", "test"]["n_id"]) == 60


def test_a_head_with_names_is_joined_by_name(world):
    order = np.array([3, 1, 4, 0, 2])
    shuffled = {k: v[order] for k, v in world.head.items()} | {"classes": np.array(NAMES)[order]}
    rows, plain = world.run("shuffled", head=shuffled), world.run("plain")
    assert float(rows["knn", "far"]["id_accuracy"]) == pytest.approx(world.accuracy())
    for name in SCORES:
        assert values(rows, name).keys() == values(plain, name).keys()
        assert float(rows[name, "far"]["auroc"]) == pytest.approx(float(plain[name, "far"]["auroc"]), abs=1e-4)


def test_an_order_that_nobody_knows_of_is_hinted_at(world):
    order = np.array([3, 1, 4, 0, 2])
    said = []
    rows = world.run("shuffled", head={k: v[order] for k, v in world.head.items()}, said=said)
    note = "another order of the classes explains the predictions far better: ID accuracy "
    assert all(note in row["remarks"] for row in rows.values())
    assert sum(note in line for line in said) == 1
    assert not any(note in row["remarks"] for row in world.run("plain").values())


def test_a_head_of_other_classes_is_said_of_every_score_on_logits(world):
    rng = np.random.default_rng(0)
    more = {"weight": rng.normal(size=(20, 8)), "bias": rng.normal(size=20)}
    rows = world.run("other", head=more)
    remark = "the head has 20 classes, and ID train has 5 others (moodbench probe trains a head for them)"
    assert json.loads(rows["msp", "far"]["remarks"]) == [remark]
    assert rows["mahalanobis", "far"]["remarks"] == rows["mahalanobis", "far"]["note"] == ""
    assert rows["she", "far"]["auroc"] == ""
    assert rows["she", "far"]["note"] == "labels are not the head's classes"
    assert not any(row["id_accuracy"] for row in rows.values())


@pytest.mark.parametrize("names", [None, NAMES])
def test_the_last_class_may_be_absent(world, names):
    """Rows of the first four classes alone, under a head for five: the largest label says nothing of C."""
    part = {d: np.flatnonzero(world.labels[d] < 4) for d in ("train", "test")}
    given = {d: (world.labels[d][rows], names, rows) for d, rows in part.items()}
    rows = world.run("absent", **given)
    assert float(rows["knn", "far"]["id_accuracy"]) == pytest.approx(world.accuracy(part["test"]), abs=1e-9)
    assert json.loads(rows["msp", "far"]["remarks"]) == ["4 of the head's 5 classes are in ID train"]
    assert rows["she", "far"]["auroc"]


def test_restricted_logits_are_those_of_a_smaller_head(world):
    part = {d: np.flatnonzero(world.labels[d] < 4) for d in ("train", "test")}
    given = {d: (world.labels[d][rows], NAMES, rows) for d, rows in part.items()}
    rows = world.run("restricted", restrict_logits=True, **given)
    provenance = read_provenance(world.space.results_dir / "b" / "net.csv")
    assert provenance["inputs"]["benchmark"]["restrict_logits"] is True
    four = {d: (labels, NAMES[:4], rows) for d, (labels, _, rows) in given.items()}
    smaller = world.run("smaller", head={k: v[:4] for k, v in world.head.items()}, **four)
    for name in SCORES:
        assert values(rows, name) == values(smaller, name)
    assert json.loads(rows["msp", "far"]["remarks"]) == ["logits restricted to 4 of the head's 5 classes"]


def test_names_that_differ_end_in_one_message_and_an_alias_mends_it(world):
    other = (world.labels["test"], ["c0", "c1", "c2", "c3", "five"])
    with pytest.raises(CacheMismatchError, match=r"'test' has rows of 1 class \('five'\)"):
        world.run("differ", test=other)
    rows, plain = world.run("alias", test=other, aliases={"five": "c4"}), world.run("plain")
    assert values(rows, "she") == values(plain, "she")


def test_rows_without_a_label_are_neither_id_nor_ood_of_a_class_protocol(world):
    labels = world.labels["test"].copy()
    labels[:7] = -1
    rows = world.run("some", test=(labels, NAMES), classes=[1, 2], ood={"rest": ["test"]})
    row = rows["knn", "test"]
    assert (int(row["n_id"]), int(row["n_ood"])) == (
        (np.isin(labels, [1, 2])).sum(),
        (np.isin(labels, [0, 3, 4])).sum(),
    )
    assert "7 ID test rows without a label left out" in row["remarks"]
    each = {"classes": {name: name for name in NAMES}, "ood": {"rest": ["test"]}}
    rows = world.run("each", test=(labels, NAMES), **each)
    assert int(rows["knn", "c1"]["n_ood"]) == (labels >= 0).sum() - (labels == 1).sum()


def test_a_class_with_too_few_rows_leaves_its_cell_empty_and_the_others_keep_theirs(world):
    keep = np.flatnonzero((world.labels["test"] != 1) | (np.arange(150) == 1))  # one row of class 1
    keep = keep[world.labels["test"][keep] != 3]  # none of class 3
    each = {"classes": {name: name for name in NAMES}, "ood": {"rest": ["test"]}}
    rows = world.run("few", test=(world.labels["test"][keep], NAMES, keep), scores=("knn", "she"), **each)
    assert rows["knn", "c0"]["auroc"]
    assert rows["knn", "c1"]["auroc"] == rows["knn", "c3"]["auroc"] == rows["knn", "mean"]["auroc"] == ""
    assert rows["knn", "c1"]["note"].startswith("1 ID test row, and two are needed")
    assert rows["knn", "mean"]["note"].startswith("c1: 1 ID test row, and two are needed; c3: no ID test rows")
    plain = world.run("whole", scores=("knn",), **each)
    assert rows["knn", "c0"]["n_id"] == plain["knn", "c0"]["n_id"]
    absent = world.run("absent", train=(world.labels["train"] % 4, NAMES), scores=("knn",), **each)
    assert absent["knn", "c4"]["note"].startswith("no ID train row of this class")
    one = world.run("one", classes=["c3"], test=(world.labels["test"][keep], NAMES, keep), scores=("knn",))
    assert one["knn", "far"]["note"].startswith("no ID test rows, and two are needed")


def test_a_bank_that_was_thinned_out_is_a_remark_on_the_scores_that_have_one(world):
    rows = world.run("thin", scores=("knn", "msp"), bank_rows=20)
    total = len(world.labels["train"])
    assert rows["knn", "far"]["remarks"] == json.dumps([f"memory bank of 20 of {total} rows"])
    assert rows["msp", "far"]["remarks"] == ""
    each = {"classes": {name: name for name in NAMES[:2]}, "ood": {"rest": ["test"]}}
    rows = world.run("thin each", scores=("knn",), bank_rows=20, **each)
    banks = [f"memory bank of 20 of {(world.labels['train'] == label).sum()} rows" for label in (0, 1)]
    assert [json.loads(rows["knn", name]["remarks"])[0] for name in NAMES[:2]] == banks
    assert json.loads(rows["knn", "mean"]["remarks"])[:-1] == list(dict.fromkeys(banks))


def test_the_notes_of_all_classes_are_kept(world):
    """KL-Matching, say, notes empty templates of each fit by itself."""
    each = {"classes": {name: name for name in NAMES}, "ood": {"rest": ["test"]}}
    rows = world.run("each", scores=("kl_matching",), **each)
    notes = {name: rows["kl_matching", name]["note"] for name in NAMES}
    mean = rows["kl_matching", "mean"]["note"]
    assert all(note in mean for note in notes.values())


def test_a_probed_head_knows_its_classes(world):
    """Trained on three classes of ID train, whose numbers have gaps, and used with the names alone."""
    world.run("probe", classes=["c0", "c2", "c4"])
    (done,) = probe("net", benchmark="b", workspace=world.space)
    head = read_head(done.file)
    assert head.class_names == ("c0", "c2", "c4")
    rows = score(model=["net"], head="probe", benchmark=["b"], score=["msp"], workspace=world.space)
    assert rows[0].id_accuracy == pytest.approx(done.id_test["test"])
    assert rows[0].id_accuracy > 0.7


def test_a_benchmark_is_ready_only_with_its_validation_rows(world):
    world.run("val")
    catalog = world.space.catalogs[0]
    content = yaml.safe_load(catalog.read_text(encoding="utf-8"))
    content["datasets"]["val"] = {"title": "val"}
    content["benchmarks"]["v"] = {**content["benchmarks"]["b"], "id_val": "val"}
    catalog.write_text(yaml.safe_dump(content), encoding="utf-8")
    space = Workspace(world.space.data_dir, world.space.cache_dir, world.space.results_dir, (catalog,))
    ready = {record["name"]: record["models_ready"] for record in list_benchmarks(space)}
    assert (ready["b"], ready["v"]) == (["net"], [])


def test_old_caches_are_read_and_said_to_have_no_names(world):
    said = []
    world.run("old")
    for dataset in world.x:
        as_schema_1(world.space.cache_file(ModelName("net"), dataset))
    score(model=["net"], benchmark=["b"], score=["knn"], workspace=world.space, report=said.append)
    note = "note: the classes of train, test have no names: their labels are compared by number"
    assert said[-1] == note
    probe("net", benchmark="b", workspace=world.space, report=said.append)
    assert said[-2].startswith("probed net on train")
    assert said[-1] == note


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 0, 4, 1, 3)])
def test_classes_that_the_benchmark_does_not_use_are_not_missed(world, order):
    """Whatever the order of the head's outputs; what a class protocol leaves out has no business in a note."""
    head = {name: values[list(order)] for name, values in world.head.items()}
    head["classes"] = np.array(NAMES)[list(order)]
    labels = world.labels["train"]
    found = world.run("some", head=head, classes=["c1", "c3"])
    assert not any("no ID train rows" in row["note"] for row in found.values())
    for name, rows in (("three", labels < 3), ("and", labels % 4 > 0)):
        train = (labels[rows], NAMES, rows)
        there = len(np.unique(labels[rows]))
        found = world.run(name, head=head, train=train)
        note = f"{5 - there} of 5 classes have no ID train rows and are left out"
        assert found["mahalanobis", "far"]["note"].startswith(note)
        wanted = world.run(f"{name} named", head=head, train=train, classes=["c1", "c2", "c4"])
        lost = 3 - len({1, 2, 4} & {*labels[rows].tolist()})
        assert f"{lost} of 3 classes have no ID train rows" in wanted["mahalanobis", "far"]["note"]


def test_names_that_are_known_need_no_note(world):
    said = []
    world.run("new", said=said)
    probe("net", benchmark="b", workspace=world.space, report=said.append)
    assert not any("have no names" in line for line in said)


def test_a_cache_of_other_class_names_is_not_taken_for_this_one(space, pictures, tmp_path):
    """The same pictures with the same numbers, called otherwise."""
    file = tmp_path / "one.txt"
    file.write_text("amber\nblue\ngreen\nred\n")
    how = {"dataset": ["mine"], "images": pictures / "train", "workspace": space, "workers": 0}
    extract("tiny", labels="sorted", **how)
    assert extract("tiny", labels="natural", **how)[0].already  # the same order here
    with pytest.raises(CacheMismatchError, match=r"classes: 3 classes \('amber'.* in the cache, 4 classes"):
        extract("tiny", labels=file, **how)


def test_the_order_of_class_folders_is_said_where_it_matters(space, pictures, tmp_path):
    for i, name in ((1, "amber"), (2, "blue"), (10, "green")):
        (tmp_path / "numbered").mkdir(exist_ok=True)
        (tmp_path / "numbered" / str(i)).symlink_to(pictures / "train" / name)
    said = []
    how = {"images": tmp_path / "numbered", "workspace": space, "workers": 0, "report": said.append}
    extract("tiny", dataset=["plain"], **how)
    assert any(line.startswith("note: plain: its 3 class folders are numbered in the order of code") for line in said)
    said.clear()
    extract("tiny", dataset=["natural"], labels="natural", **how)
    assert not any(line.startswith("note:") for line in said)
    with pytest.raises(UsageError, match="there is no rule 'alphabetical'"):
        extract("tiny", dataset=["x"], labels="alphabetical", **how)
    with pytest.raises(UsageError, match=r"the file of labels '~nobody-here/c\.txt' cannot be found: Could not"):
        extract("tiny", dataset=["x"], labels="~nobody-here/c.txt", **how)
    with pytest.raises(UsageError, match="none is named"):
        extract("tiny", dataset=["tiny_train"], labels="natural", workspace=space)
