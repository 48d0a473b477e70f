"""Results to compare, and a table to compare them with."""

from __future__ import annotations

from pathlib import Path

import moodbench
from moodbench.results import write_results
from moodbench.types import Result

DIGITS = Path(moodbench.__file__).parents[1] / "results"
"""The results of the demo, which the repository keeps."""

HEADER = "benchmark,model,score,ood,metric,value\n"
LINE = "digits,digits_mim,vim,mean,auroc,99.52\n"


def imagenet_row(model, score="msp", ood="mean", auroc=0.7677, **changes) -> Result:
    """Return a row on ImageNet whose interval reaches 0.004 to both sides."""
    limits = {} if auroc is None else {"auroc_low": auroc - 0.004, "auroc_high": auroc + 0.004, "fpr95": 0.683}
    group = "all" if ood == "mean" else "far"
    given = {"params": "", "family": "probability", "n_id": 50, "n_ood": 40, "auroc": auroc} | limits | changes
    return Result("imagenet", model, "classification", score=score, ood=ood, group=group, **given)


def write_imagenet(results: Path, model: str, rows, transform="moodv2", **more) -> None:
    """Write results of a model on ImageNet whose pictures went through a transform."""
    noted = {"imagenet_val": {"contents": "x", "provenance": {"transform": {"kind": transform}}}}
    scores = {row.score: {"title": row.score, "year": 2020} for row in rows}
    write_results(results / "imagenet" / f"{model}.csv", rows, {"datasets": noted, "scores": scores, **more})
