"""Labels that a benchmark's datasets and heads count otherwise: each case against the number that is right.

Ten classes in 24 dimensions with a head that errs in a part of the rows; the right numbers are computed from the rows.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_auc_score

import moodbench.evaluation.run  # noqa: F401 (once, before the attempts are forked: torch takes seconds)
from benchmarks.faults.trial import Row, attempt
from moodbench.commands.import_ import import_features
from moodbench.commands.score import score
from moodbench.datasets.images import folder_images, imagenet_wnids
from moodbench.workspace import Workspace

CLASSES = 10
NAMES = [f"{i:02d}" for i in range(1, CLASSES + 1)]
TIMES = 5
"""Draws of the world for each case of scoring."""

Table = dict[tuple[str, str], dict[str, str]]
Labels = NDArray[np.int64]


class World:
    """Rows of ten classes, and a head; every run imports them under a numbering and scores."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.runs = folder, 0
        rng = np.random.default_rng(seed)
        self.centres = rng.normal(0, 0.8, (CLASSES, 24))
        self.y = {"train": np.arange(600) % CLASSES, "test": np.arange(300) % CLASSES}
        self.x = {name: self.centres[y] + rng.normal(0, 1, (len(y), 24)) for name, y in self.y.items()}
        self.x["far"] = rng.normal(0, 1.4, (150, 24))
        self.order = rng.permutation(CLASSES)
        while (self.order == np.arange(CLASSES)).sum() > 1:
            self.order = rng.permutation(CLASSES)

    def head(self, order: NDArray[np.intp] | slice = slice(None), names: list[str] | None = None) -> dict[str, Any]:
        """Return the head with its outputs in an order."""
        weight, bias = self.centres[order], -0.5 * (self.centres[order] ** 2).sum(axis=1)
        return {"weight": weight, "bias": bias} | ({} if names is None else {"classes": np.array(names)})

    def accuracy(self, rows: NDArray[np.intp] | slice = slice(None), columns: int = CLASSES) -> float:
        """Return the right ID accuracy over some test rows."""
        head = self.head()
        logits = (self.x["test"][rows] @ head["weight"].T + head["bias"])[:, :columns]
        return float((logits.argmax(axis=1) == self.y["test"][rows]).mean())

    def run(self, given: dict[str, tuple[Any, ...]], head: dict[str, Any] | None = None, **benchmark: Any) -> Table:
        """Import and score; `given` is dataset → (labels, names or None, rows)."""
        self.runs += 1
        folder = self.folder / str(self.runs)
        folder.mkdir(parents=True)
        entry = {"id_train": "train", "id_test": "test", "ood": {"far": ["far"]}, **benchmark}
        catalog = {"datasets": {name: {"title": name} for name in self.x}, "benchmarks": {"b": entry}}
        (folder / "c.yaml").write_text(yaml.safe_dump(catalog), encoding="utf-8")
        space = Workspace(folder / "data", folder / "cache", folder / "results", (folder / "c.yaml",))
        np.savez(folder / "head.npz", **(head or self.head()))
        for name, x in self.x.items():
            labels, names, rows = given.get(name, (None, None, slice(None)))
            arrays = {} if labels is None else {"labels": labels} | ({"classes": np.array(names)} if names else {})
            np.savez(folder / f"{name}.npz", features=x[rows], **arrays)
            import_features("net", name, folder / f"{name}.npz", head=folder / "head.npz", workspace=space)
        score(model=["net"], benchmark=["b"], score=["msp", "she", "euclid"], device="cpu", threads=1, workspace=space)
        with (folder / "results" / "b" / "net.csv").open(encoding="utf-8", newline="") as stream:
            return {(r["score"], r["ood"]): r for r in csv.DictReader(stream) if r["group"] != "all"}

    def part(self, keep: Callable[[Labels], Any], names: list[str] | None = NAMES) -> dict[str, tuple[Any, ...]]:
        """Return the whole training set, and of the test set the classes to keep, numbered from 0 among themselves."""
        rows = np.flatnonzero(keep(self.y["test"]))
        found, numbers = np.unique(self.y["test"][rows], return_inverse=True)
        test = (numbers, None if names is None else [names[i] for i in found], rows)
        return {"train": (self.y["train"], names, slice(None)), "test": test}


def run(folder: Path, seed: int) -> Iterator[Row]:
    """Score every case in several worlds, and list folders of every kind."""
    for kind, case in CASES.items():
        row = Row(f"labels: {kind}")
        for i in range(TIMES):
            world = World(folder / kind.replace(" ", "-") / str(i), seed + i)
            outcome = attempt(partial(case, world))
            row.count(outcome, right=outcome.value is True, case=f"world {i}")
        yield row
    yield _folders(folder / "folders")


def _near(found: str, wanted: float, tolerance: float = 1e-6) -> bool:
    return found != "" and abs(float(found) - wanted) <= tolerance


def _whole(world: World, names: list[str] | None = NAMES) -> dict[str, tuple[Any, ...]]:
    return world.part(lambda y: y >= 0, names)


def _same(a: Table, b: Table, *scores: str) -> bool:
    return all(a[name, "far"]["auroc"] == b[name, "far"]["auroc"] for name in scores or ("msp", "she", "euclid"))


def class_folders_missing_in_test(world: World) -> bool:
    """Three of ten class folders are not in the test set."""
    rows = np.flatnonzero(world.y["test"] > 2)
    found = world.run(world.part(lambda y: y > 2))
    return _near(found["msp", "far"]["id_accuracy"], world.accuracy(rows))


def classes_by_number_with_folders_missing(world: World) -> bool:
    """``classes: [1, 2]`` where the test set has no class 0; against the Euclidean distance, computed here."""
    found = world.run(world.part(lambda y: y > 0), classes=[1, 2], ood={"far": ["far"], "rest": ["test"]})
    chosen = world.x["train"][np.isin(world.y["train"], [1, 2])]
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (chosen, world.x["test"])]
    distance = np.linalg.norm(unit[1] - unit[0].mean(axis=0), axis=1)
    rows = world.y["test"] > 0
    wanted = roc_auc_score(np.isin(world.y["test"][rows], [1, 2]), -distance[rows])
    return _near(found["euclid", "test"]["auroc"], wanted, 1e-4)


def head_in_another_order_with_names(world: World) -> bool:
    """The head says what its outputs are."""
    names = [NAMES[i] for i in world.order]
    found, plain = world.run(_whole(world), world.head(world.order, names)), world.run(_whole(world))
    return _near(found["msp", "far"]["id_accuracy"], world.accuracy()) and _same(found, plain, "euclid")


def head_in_another_order_without_names(world: World) -> bool:
    """Nobody can know; but the results say that another order explains the predictions."""
    found = world.run(_whole(world), world.head(world.order))
    return all("another order of the classes explains" in row["remarks"] for row in found.values())


def last_class_absent_without_names(world: World) -> bool:
    """No row of the last class: the largest label says nothing of the head."""
    rows = {d: np.flatnonzero(y < CLASSES - 1) for d, y in world.y.items()}
    found = world.run({d: (world.y[d][r], None, r) for d, r in rows.items()})
    return _near(found["msp", "far"]["id_accuracy"], world.accuracy(rows["test"]))


def head_of_other_classes(world: World) -> bool:
    """A head of a hundred other classes: no accuracy, and a word in every row of a score on logits."""
    rng = np.random.default_rng(12345)  # not that of a world
    found = world.run(_whole(world), {"weight": rng.normal(size=(100, 24)), "bias": rng.normal(size=100)})
    said = all("the head's 100 classes are not" in found[name, "far"]["remarks"] for name in ("msp", "she"))
    return said and found["msp", "far"]["id_accuracy"] == "" and found["she", "far"]["auroc"] == ""


def head_of_other_classes_without_names(world: World) -> bool:
    """Labels 0 to 9 without names under a head for a hundred other classes."""
    rng = np.random.default_rng(12345)  # not that of a world
    found = world.run(_whole(world, None), {"weight": rng.normal(size=(100, 24)), "bias": rng.normal(size=100)})
    return found["msp", "far"]["id_accuracy"] == "" and "the head's 100 classes" in found["msp", "far"]["remarks"]


def three_of_a_thousand_classes(world: World) -> bool:
    """Three WordNet ids under a head with the thousand names."""
    wnids = list(imagenet_wnids())
    head = {"weight": np.zeros((1000, 24)), "bias": np.full(1000, -1e3), "classes": np.array(wnids)}
    chosen = [3, 500, 999]
    head["weight"][chosen], head["bias"][chosen] = world.head()["weight"][:3], world.head()["bias"][:3]
    rows = {d: np.flatnonzero(y < 3) for d, y in world.y.items()}
    found = world.run({d: (world.y[d][r], [wnids[i] for i in chosen], r) for d, r in rows.items()}, head)
    return _near(found["msp", "far"]["id_accuracy"], world.accuracy(rows["test"], 3))


def names_that_differ(world: World) -> bool:
    """Refused, so that this is never reached."""
    given = _whole(world)
    world.run(given | {"test": (given["test"][0], [f"x{name}" for name in NAMES], given["test"][2])})
    return False


def unlabelled_rows_in_a_class_protocol(world: World) -> bool:
    """Seven rows of -1 are neither ID nor OOD."""
    labels = world.y["test"].copy()
    labels[:7] = -1
    given = _whole(world) | {"test": (labels, NAMES, slice(None))}
    found = world.run(given, classes=[1, 2], ood={"rest": ["test"]})["euclid", "test"]
    known = labels >= 0
    return int(found["n_ood"]) == int((known & ~np.isin(labels, [1, 2])).sum())


def one_class_with_no_or_one_row(world: World) -> bool:
    """The other classes keep their numbers."""
    keep = (world.y["test"] > 1) | (np.arange(300) == 1)  # none of class 0, one of class 1
    each = {name: name for name in NAMES}
    found = world.run(world.part(lambda y: keep), classes=each, ood={"rest": ["test"]})
    empty = {name for name in NAMES if not found["euclid", name]["auroc"]}
    return empty == set(NAMES[:2]) and all(found["euclid", name]["note"] for name in empty)


CASES: dict[str, Callable[[World], bool]] = {
    case.__name__.replace("_", " "): case
    for case in (
        class_folders_missing_in_test,
        classes_by_number_with_folders_missing,
        head_in_another_order_with_names,
        head_in_another_order_without_names,
        last_class_absent_without_names,
        head_of_other_classes,
        head_of_other_classes_without_names,
        three_of_a_thousand_classes,
        names_that_differ,
        unlabelled_rows_in_a_class_protocol,
        one_class_with_no_or_one_row,
    )
}


def _folders(folder: Path) -> Row:
    """List folders whose classes are easily misnumbered: what is right of each is written beside it."""
    row = Row("labels: class folders")
    numbers = [str(i) for i in range(1, 11)]
    cases: dict[str, tuple[list[str], list[str], str, Callable[[Any], bool]]] = {
        "1 … 10, natural": (numbers, [], "natural", lambda s: s.classes == tuple(numbers)),
        "1 … 10, sorted": (numbers, [], "sorted", lambda s: s.classes == tuple(sorted(numbers))),
        "1 … 10, nothing said": (numbers, [], "auto", lambda s: "natural" in "".join(s.remarks)),
        "01 … 10": (NAMES, [], "auto", lambda s: s.classes == tuple(NAMES) and not s.remarks),
        "__MACOSX": ([*NAMES, "__MACOSX"], [], "auto", lambda s: s.classes == tuple(NAMES)),
        "hidden": ([*NAMES, ".thumbnails"], [], "auto", lambda s: s.classes == tuple(NAMES)),
        "empty": (NAMES, ["00"], "auto", lambda s: s.classes == tuple(NAMES) and "'00'" in "".join(s.remarks)),
        "development kit": ([*numbers, "1000"], [], "imagenet", lambda s: False),
        "part of the development kit": (numbers, [], "imagenet", lambda s: False),
        "ImageNet-V2": (["0", *numbers], [], "imagenet", lambda s: sorted({*s.labels.tolist()}) == list(range(11))),
        "three WordNet ids": (
            [imagenet_wnids()[i] for i in (3, 500, 999)], [], "imagenet",
            lambda s: s.labels.tolist() == [3, 500, 999] and len(s.classes) == 1000,
        ),
        "index": (["3", "7"], [], "index", lambda s: s.labels.tolist() == [3, 7]),
        "index with names": (["3", "cat"], [], "index", lambda s: False),
    }  # fmt: skip
    for name, (filled, empty, rule, right) in cases.items():
        root = folder / name
        for one in filled:
            (root / one).mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(root / one / "1.png")
        for one in empty:
            (root / one).mkdir(parents=True)

        def listed(root: Path = root, rule: str = rule, right: Callable[[Any], bool] = right) -> bool:
            return right(folder_images(root, labels=rule))

        outcome = attempt(listed)
        row.count(outcome, right=outcome.value is True, case=name)
    return row
