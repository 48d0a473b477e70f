"""The protocol out-of-model-scope: what the model gets right is ID, what it gets wrong is OOD."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from moodbench.commands.import_ import import_features
from moodbench.commands.score import score
from moodbench.errors import CatalogError
from moodbench.evaluation.kept import kept_rows
from moodbench.features.rowscores import ID, NEITHER, OOD, SIDE
from moodbench.ranking import Ranking
from moodbench.workspace import Workspace

SIZES = {"train": 90, "test": 50, "shifted": 40, "strange": 30}
SCOPE = {"id_train": "train", "id_test": ["test", "shifted"], "protocol": "out-of-model-scope"}


def make(tmp_path, *, labels=True, **changes):
    groups = {"wrong": ["test", "shifted"], "far": ["strange"]}
    benchmarks = {"scope": {**SCOPE, "ood": groups, **changes}}
    file = tmp_path / "catalog.yaml"
    file.write_text(yaml.safe_dump({"datasets": {n: {"title": n} for n in SIZES}, "benchmarks": benchmarks}))
    space = Workspace(tmp_path / "data", tmp_path / "cache", tmp_path / "results", (file,))
    space.catalog.benchmark("scope")
    np.savez(tmp_path / "head.npz", weight=np.eye(3, 5, dtype=np.float32), bias=np.zeros(3, np.float32))
    made = {}
    for number, (name, rows) in enumerate(SIZES.items()):
        rng = np.random.default_rng(number)
        truth = np.arange(rows) % 3
        features = (rng.normal(size=(rows, 5)) + 1.5 * np.eye(3, 5)[truth]).astype(np.float32)
        if name == "test":
            truth[0] = -1  # nobody knows
        made[name] = (features, features[:, :3].argmax(1) == truth, truth)
        known = {"labels": truth} if labels and name != "strange" else {}
        np.savez(tmp_path / f"{name}.npz", features=features, ids=[f"{i:03}" for i in range(rows)], **known)
        import_features("net", name, tmp_path / f"{name}.npz", head=tmp_path / "head.npz", workspace=space)
    return space, made


def test_right_rows_of_all_id_datasets_are_compared_with_wrong_and_strange_ones(tmp_path):
    space, made = make(tmp_path)
    rows = score(score=["max_logit"], benchmark=["scope"], device="cpu", workspace=space)
    found = {(row.ood, row.group): row for row in rows}
    top = {name: features[:, :3].max(1) for name, (features, _, _) in made.items()}
    right = {name: made[name][1] for name in ("test", "shifted")}
    wrong = {name: ~right[name] & (made[name][2] >= 0) for name in right}
    ranked = Ranking(np.concatenate([top[name][right[name]] for name in right]))
    for (ood, group), chosen in {
        ("test", "wrong"): top["test"][wrong["test"]],
        ("shifted", "wrong"): top["shifted"][wrong["shifted"]],
        ("strange", "far"): top["strange"],
    }.items():
        c, row = ranked.against(chosen), found[ood, group]
        assert (row.n_id, row.n_ood) == (len(c.id), len(chosen))
        assert row.auroc == pytest.approx(c.auroc, abs=1e-12)
        assert row.fpr95 == pytest.approx(c.fpr(), abs=1e-12)
        assert (row.oscr, row.aurc) == (None, None)  # all ID rows are right
    known = sum(len(right[name]) for name in right) - 1
    assert found["strange", "far"].id_accuracy == pytest.approx(sum(r.sum() for r in right.values()) / known)
    assert f"ID are the {len(ranked.sorted)} of {known} ID test rows that are classified correctly" in rows[0].remarks
    assert "1 ID test row without a label left out" in rows[0].remarks
    kept = kept_rows(space, "scope", "net").kept.arrays
    assert kept[f"test/{SIDE}"].tolist() == [
        ID if one else OOD if two else NEITHER for one, two in zip(right["test"], wrong["test"], strict=True)
    ]


def test_a_shifted_dataset_that_no_group_names_gives_id_rows_alone(tmp_path):
    space, made = make(tmp_path, ood={"far": ["strange"]})
    (row, *_) = score(score=["energy"], benchmark=["scope"], device="cpu", workspace=space)
    assert row.n_id == made["test"][1].sum() + made["shifted"][1].sum()
    kept = kept_rows(space, "scope", "net").kept.arrays
    assert set(kept[f"shifted/{SIDE}"].tolist()) == {ID, NEITHER}


def test_without_labels_nobody_knows_what_is_right(tmp_path):
    space, _ = make(tmp_path, labels=False)
    rows = score(score=["energy"], benchmark=["scope"], device="cpu", workspace=space)
    assert {row.auroc for row in rows} == {None}
    assert "to know which it classifies correctly" in rows[0].note


def test_predictions_decide_and_not_classes(tmp_path):
    with pytest.raises(CatalogError, match="follows the protocol out-of-model-scope, in which predictions decide"):
        make(tmp_path, classes=[0, 1])
