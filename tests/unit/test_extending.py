"""docs/extending.md, followed: in a copy of moodbench, one addition of every kind, each in one place, all at work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import moodbench

CATALOG = """
datasets:
  mine_ood: {title: My textures, role: far-OOD, labels: none, images: 30}
  mine_train: {title: My train, role: ID train}
  mine_test: {title: My test, role: ID test}
models:
  mine: {title: My features, pretext: masked image modeling, timm: test_vit, args: {num_classes: 3}}
benchmarks:
  mine: {id_train: mine_train, id_test: [mine_test], ood: {far: [mine_ood]}, protocol: halves}
"""

# what is added → the one file it goes into (new, or with text put before or after a line), as docs/extending.md says
NEW = {
    "score": ("scores/feature_spread.py", "the docs' example"),
    "table format": (
        "tables/formats/names.py",
        '''
from moodbench.tables.formats.base import FORMATS


@FORMATS.register("names")
def names(tables):
    """Return the rows' titles and the columns' headings."""
    heads = [column.heading[-1] for table in tables for column in table.columns]
    return " ".join([*(row.title for table in tables for row in table.rows), *heads]) + "\\n"
''',
    ),
    "plot": (
        "plots/count.py",
        '''
from matplotlib.figure import Figure

from moodbench.plots.base import PLOTS, as_plot


@PLOTS.register("count")
@as_plot()
def plot_count(given):
    """Draw how many results there are, and how many row scores of the best pair."""
    (splits,) = given.samples(given.pairs(1)).values()
    figure = Figure(figsize=(given.width, 2))
    figure.add_subplot().bar([0, 1], [len(given.results), len(splits[0].id)])
    return figure
''',
    ),
}
CHANGED = {
    "metric": {
        "metrics.py": [
            (
                '    "auroc": Metric(',
                '    "gap": Metric("GAP", "higher", 0.0, lambda c: float(c.id.mean() > c.ood.mean())),\n',
            ),
        ],
        "types.py": [("    note: str = ", "    gap: float | None = None\n")],
    },
    "protocol": {
        "evaluation/protocols.py": [
            (
                "@PROTOCOLS.register(STANDARD)",
                '''@PROTOCOLS.register("halves")
def halves(benchmark, caches, scores, make, rows):
    """The standard protocol, with a word of its own."""
    scored = PROTOCOLS.get(STANDARD)(benchmark, caches, scores, make, rows)
    scored.hints.append("halves was here")
    return scored


''',
            ),
        ],
    },
}


@pytest.fixture
def extended(tmp_path):
    """A copy of the package with every addition, and its folder."""
    source = Path(moodbench.__file__).parent
    site = tmp_path / "site"
    shutil.copytree(source, site / "moodbench", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(source.parent / "datasets.yaml", site)
    example = (source.parent / "docs" / "extending.md").read_text(encoding="utf-8").split("```python\n")
    (code,) = (part.split("```")[0] for part in example if "feature_spread" in part.split("```")[0])
    for kind, (name, text) in NEW.items():
        file = site / "moodbench" / name
        assert not file.exists()
        file.write_text(code if kind == "score" else text, encoding="utf-8")
    for files in CHANGED.values():
        assert len(files) <= 2
        for name, changes in files.items():
            file = site / "moodbench" / name
            text = file.read_text(encoding="utf-8")
            for before, new in changes:
                assert text.count(before) == 1
                text = text.replace(before, new + before)
            file.write_text(text, encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(CATALOG, encoding="utf-8")
    return tmp_path


WORK = """
import moodbench

space = moodbench.Workspace(catalogs=(Path("mine.yaml"),))
for split in ("train", "test", "ood"):
    moodbench.import_features("mine", f"mine_{split}", Path(f"{split}.npz"), head=Path("head.npz"), workspace=space)
moodbench.score(score=["feature_spread", "energy"], benchmark=["mine"], report=print, workspace=space)
print(moodbench.table(format="names", metric=["gap", "auroc"], layout="datasets", workspace=space))
moodbench.plot("count", out=Path("count.png"), workspace=space)
"""


def test_one_place_for_each_addition(extended):
    rng = np.random.default_rng(0)
    np.savez(extended / "head.npz", weight=rng.normal(size=(3, 4)), bias=np.zeros(3))
    for split, spread in (("train", 1), ("test", 1), ("ood", 3)):
        labels = np.full(30, -1) if split == "ood" else np.arange(30) % 3
        np.savez(extended / f"{split}.npz", features=spread * rng.normal(size=(30, 4)), labels=labels)
    environment = {**os.environ, "PYTHONPATH": str(extended / "site")}
    command = [sys.executable, "-c", "from pathlib import Path" + WORK]
    done = subprocess.run(command, cwd=extended, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "halves was here" in done.stdout
    assert "Energy Feature spread GAP" in done.stdout
    assert (extended / "count.png").read_bytes().startswith(b"\x89PNG")
