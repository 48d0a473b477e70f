"""How alike scores order the same test rows: Spearman's rank correlation of each two, as a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from moodbench.errors import ResultsError, UsageError
from moodbench.plots.base import PLOTS, as_plot
from moodbench.plots.given import Array, Given, Split
from moodbench.plots.matrix import Matrix, matrix_figure

CONSTANT = "White: a score that is the same for all rows, or none in common."


@PLOTS.register("correlation")
@as_plot()
def correlation(given: Given) -> Figure:
    """Draw Spearman's rank correlation of every two scores over the ID and OOD test rows, its mean over the models.

    Over rows and not over models: there are thousands of rows and rarely more than a few models, and scores that order
    rows alike are the same detector whatever their AUROC. Each row counts once, those of ID too. A pair of scores is
    averaged over the models that have rows of both.
    """
    series = [one for one in given.series if any(pair[1] == one for pair in given.cells)]
    if len(series) < 2:
        only = f"'{series[0].title}' alone has" if series else "there is"
        error = UsageError if given.scores else ResultsError
        raise error(
            f"{only} no other score to be correlated with", fix="name at least two scores, or none, with --score"
        )
    total, count = np.zeros((len(series),) * 2), np.zeros((len(series),) * 2)
    models = list(dict.fromkeys(pair[0] for pair in given.cells))
    for model in models:  # one by one: rows of all scores of one model are many already
        its = [(model, one) for one in series if (model, one) in given.cells]
        rows = given.samples(its)
        found = rank_correlations([pooled(rows[pair]) for pair in its])
        where = np.ix_(*([[series.index(one) for _, one in its]] * 2))
        known = np.isfinite(found)
        total[where] += np.where(known, found, 0.0)
        count[where] += known
    with np.errstate(invalid="ignore"):
        values = total / np.where(count > 0, count, np.nan)
    titles = [one.title for one in series]
    words = [[(_short(value), "") for value in line] for line in values]
    over = models[0].title if len(models) == 1 else f"mean over {len(models)} models"
    return matrix_figure(
        Matrix(titles, titles, values, words),
        given.width,
        heading=given.about(f"rank correlation of scores over test rows, {over}"),
        norm=Normalize(-1, 1),
        colours="PuOr_r",
        about="Spearman's ρ",
        remarks=[
            *given.trials(model.name for model in models),
            *([] if np.isfinite(values).all() else [CONSTANT]),
            *given.without_auroc(),
        ],
    )


def pooled(splits: Sequence[Split]) -> Mapping[str, Array]:
    """Return scores by where they are from: each array of ID rows once, and those of each OOD dataset."""
    of_id = {f"id {number}": scores for number, scores in enumerate({id(s.id): s.id for s in splits}.values())}
    return of_id | {f"ood {split.name}": split.ood for split in splits}


def rank_correlations(scores: Sequence[Mapping[str, Array]]) -> Array:
    """Return Spearman's ρ of every two (S, S), over what all have rows of; NaN where a score is constant."""
    from scipy.stats import rankdata

    common = [name for name in scores[0] if all(name in one for one in scores)]
    ranks = np.array([rankdata(np.concatenate([one[name] for name in common])) for one in scores])
    ranks -= ranks.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(ranks, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = np.clip(ranks @ ranks.T / np.outer(norms, norms), -1, 1)
    return found


def _short(value: float) -> str:
    if not np.isfinite(value):
        return ""
    text = f"{value:.2f}".replace("-", "−")
    return "0" if float(f"{value:.2f}") == 0 else text.replace("0.", ".")
