"""moodbench: benchmark out-of-distribution detection with pretrained vision models.

The commands as functions, with the same words::

    import moodbench

    moodbench.extract("digits_mim", benchmark=["digits"])
    moodbench.score()
    print(moodbench.table(format="markdown"))
    moodbench.frame()  # the tidy results of every OOD dataset, in pandas; means=True: the means over them

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # for type checkers it is true; `typing` itself takes a third of the time until the first line

if TYPE_CHECKING:
    from typing import Any

    from moodbench.commands.compare import compare
    from moodbench.commands.detect import detect
    from moodbench.commands.doctor import doctor
    from moodbench.commands.download import download
    from moodbench.commands.extract import extract
    from moodbench.commands.frame import frame
    from moodbench.commands.head import import_head, text_head
    from moodbench.commands.import_ import import_features
    from moodbench.commands.import_scores import import_scores
    from moodbench.commands.leaderboard import leaderboard
    from moodbench.commands.plot import plot
    from moodbench.commands.probe import probe
    from moodbench.commands.rank import rank
    from moodbench.commands.report import report
    from moodbench.commands.results import diff_results, merge_results, show_result
    from moodbench.commands.run import cost_study, run_study
    from moodbench.commands.score import score
    from moodbench.commands.sharing import pull_results, push_results
    from moodbench.commands.table import table
    from moodbench.commands.verify import verify
    from moodbench.detection.detector import Detector
    from moodbench.errors import MoodbenchError
    from moodbench.models.backbone import Backbone
    from moodbench.models.load import load_model
    from moodbench.models.transforms import build_transform
    from moodbench.scores.base import SCORES, Score
    from moodbench.types import Head, Result
    from moodbench.workspace import Workspace

__all__ = [
    "SCORES",
    "Backbone",
    "Detector",
    "Head",
    "MoodbenchError",
    "Result",
    "Score",
    "Workspace",
    "build_transform",
    "compare",
    "cost_study",
    "detect",
    "diff_results",
    "doctor",
    "download",
    "extract",
    "frame",
    "import_features",
    "import_head",
    "import_scores",
    "leaderboard",
    "load_model",
    "merge_results",
    "plot",
    "probe",
    "pull_results",
    "push_results",
    "rank",
    "report",
    "run_study",
    "score",
    "show_result",
    "table",
    "text_head",
    "verify",
]

_HOME = {
    "SCORES": "moodbench.scores.base",
    "Backbone": "moodbench.models.backbone",
    "Detector": "moodbench.detection.detector",
    "Head": "moodbench.types",
    "MoodbenchError": "moodbench.errors",
    "Result": "moodbench.types",
    "Score": "moodbench.scores.base",
    "Workspace": "moodbench.workspace",
    "build_transform": "moodbench.models.transforms",
    "compare": "moodbench.commands.compare",
    "cost_study": "moodbench.commands.run",
    "detect": "moodbench.commands.detect",
    "diff_results": "moodbench.commands.results",
    "doctor": "moodbench.commands.doctor",
    "download": "moodbench.commands.download",
    "extract": "moodbench.commands.extract",
    "frame": "moodbench.commands.frame",
    "import_features": "moodbench.commands.import_",
    "import_head": "moodbench.commands.head",
    "import_scores": "moodbench.commands.import_scores",
    "leaderboard": "moodbench.commands.leaderboard",
    "load_model": "moodbench.models.load",
    "merge_results": "moodbench.commands.results",
    "plot": "moodbench.commands.plot",
    "probe": "moodbench.commands.probe",
    "pull_results": "moodbench.commands.sharing",
    "push_results": "moodbench.commands.sharing",
    "rank": "moodbench.commands.rank",
    "report": "moodbench.commands.report",
    "run_study": "moodbench.commands.run",
    "score": "moodbench.commands.score",
    "show_result": "moodbench.commands.results",
    "table": "moodbench.commands.table",
    "text_head": "moodbench.commands.head",
    "verify": "moodbench.commands.verify",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "__version__":
        return import_module("moodbench.release").__version__
    if name not in _HOME:
        raise AttributeError(f"module 'moodbench' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
