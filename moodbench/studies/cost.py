"""What a study will cost before it begins: images left, time by rates that were measured here, disk.

Nothing is computed for that. What is done is what caches and results say; whether they were made from the same, the
run itself finds out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from moodbench.datasets.request import ImageSet
from moodbench.errors import MoodbenchError
from moodbench.features.cache import PENDING, FeatureCache
from moodbench.features.create import Layout
from moodbench.features.rates import rate_of
from moodbench.features.shards.plan import read_plan
from moodbench.features.shards.state import begun
from moodbench.features.times import read_times, times_file
from moodbench.results import read_results
from moodbench.studies.folder import Folder
from moodbench.studies.known import Chosen, Known
from moodbench.studies.plan import OF_RESULTS, Cost, Step, scores_layers
from moodbench.studies.shapes import Shape, shape_of
from moodbench.views import CHANGED, LAYER, LayerView, layer_of, split_layer
from moodbench.workspace import ModelName, Workspace


def costs_of(
    known: Known,
    steps: Sequence[Step],
    sets: Mapping[str, ImageSet],
    space: Workspace,
    folder: Folder,
    device: str,
    scores: Mapping[str, Any],
) -> list[Cost]:
    """Return the cost of every step, in order.

    Parameters
    ----------
    known, steps
    sets : mapping of dataset to ImageSet
        Those that are on this disk.
    space : Workspace
    folder : Folder
    device : str
        As provenance calls it.
    scores : mapping of label to Score
        All that are run.
    """
    found: list[Cost] = []
    busy: set[str] = set()  # models of which something is made anew
    for step in steps:
        if step.kind in OF_RESULTS:
            left = int(bool(busy) or not (folder.root / step.what).exists())
            found.append(Cost(step.title, left, "files", 0.0 if not left else None, by="" if not left else "seconds"))
            continue
        assert step.model is not None
        name = str(step.model.name)
        if step.kind == "extract":
            cost = _extraction(known, step, sets, space, device)
        elif step.kind == "view":
            cost = replace(_extraction(known, step, sets, space, device), step=step.title)
        elif step.kind == "score":
            cost = _scoring(known, step, space, scores, sets, anew=name in busy)
        else:
            section = "probe" if step.kind == "probe" else "text_head"
            head = replace(step.model.name, head=known.head_of(section))
            left = int(name in busy or not space.head_file(head).exists())
            cost = Cost(step.title, left, "heads", None if left else 0.0, by="never measured" if left else "")
        if cost.left:
            busy.add(name)
        found.append(cost)
    return found


def views_text(known: Known, *, with_head: bool) -> str:
    """Return the views that a step of a study extracts, as rates are filed under."""
    study = known.study
    layers = [] if with_head or known.layers is None else [f"layers {','.join(study['layers'])} {study['pool']}"]
    changed = study["views"] if with_head or study["view_head"] is None else ()
    inside = [f"view layers {','.join(study['view_layers'])} {study['pool']}"] if changed and known.inside else []
    return " + ".join([*layers, *changed, *inside])


def _extraction(known: Known, step: Step, sets: Mapping[str, ImageSet], space: Workspace, device: str) -> Cost:
    assert step.model is not None
    limit = known.study["extract"]["limit"]
    with_head = step.kind == "view"
    shape = shape_of(step.model, known)
    left, size, unknown = 0, 0, False
    for dataset, one in sets.items():
        rows = len(one.images) if limit is None else min(limit, len(one.images))
        targets = _targets(known, step.model, space, shape, with_head=with_head)
        lacking = [rows - _done(space, target, dataset) for target, _, _ in targets]
        left += max(lacking, default=0)
        for target, dim, classes in targets:
            if space.cache_file(target, dataset).exists():
                continue
            if dim is None:
                unknown = True
                continue
            layout = Layout(one.images.ids[:rows], np.zeros(0, np.int64), dim, classes)
            size += layout.arrays
    if not left:
        return Cost(step.title, 0, "images")
    views = views_text(known, with_head=with_head)
    rate = rate_of(space.cache_dir / step.model.name.folder, device, views)
    by = "never measured" if rate is None else f"{rate:.0f} images/s measured on {device}"
    return Cost(step.title, left, "images", None if rate is None else left / rate, None if unknown else size, by)


_Target = tuple[ModelName, int | None, int | None]


def _targets(known: Known, model: Chosen, space: Workspace, shape: Shape, *, with_head: bool) -> list[_Target]:
    """Return the caches that a step fills, with D and C as far as they are known.

    Layers and views that depend on the network are those that it would have; where that cannot be built, those that are
    cached, or one that stands for all.
    """
    name, study = model.name, known.study
    found: list[_Target] = [] if with_head else [(name, shape.dim, shape.classes)]
    cached = [str(view.view) for view in space.views_of(name)]
    if known.layers is not None and not with_head:
        names = [str(view) for view in shape.layers] or [view for view in cached if view.startswith(LAYER)]
        names = names or [f"{LAYER}{known.layers.names[0] if known.layers.names else 'all'}"]
        dims = dict(zip(names, shape.layer_dims, strict=False))
        found += [(replace(name, view=view), dims.get(view), None) for view in names]
    if study["view_head"] is None or with_head:
        from moodbench.models.recipes.base import create_recipe

        for choice in known.views:
            recipe = create_recipe(choice)
            names = [view for view in cached if view.startswith(f"{CHANGED}{choice.name}") and not split_layer(view)[1]]
            names = names if recipe.view not in names and names else [recipe.view]
            dim = None if recipe.numbers else shape.dim
            found += [(replace(name, view=view), dim, shape.classes) for view in names]
            if known.inside is not None and recipe.layered:
                found += [(replace(name, view=view), of, None) for view, of in _inside(names[0], known, model, cached)]
    return found


def _inside(view: str, known: Known, model: Chosen, cached: Sequence[str]) -> list[tuple[str, int | None]]:
    """Return the caches of the layers of a view's images, with the width of each as far as it is known."""
    shape, choice = shape_of(model, known, changed=True), known.inside
    assert choice is not None
    names = [layer_of(view, layer) for one in shape.layers if (layer := LayerView.parse(one)) is not None]
    names = names or [one for one in cached if split_layer(one)[0] == view and split_layer(one)[1]]
    names = names or [f"{view}-{LAYER}{choice.names[0] if choice.names else 'all'}"]
    dims = dict(zip(names, shape.layer_dims, strict=False))
    return [(one, dims.get(one)) for one in names]


def _done(space: Workspace, model: ModelName, dataset: str) -> int:
    """Return how many rows of a cache are there."""
    file = space.cache_file(model, dataset)
    if not file.exists():
        with suppress(MoodbenchError):
            plan = read_plan(file)
            return 0 if plan is None else begun(file, plan).done
        return 0
    with suppress(MoodbenchError), FeatureCache(file) as cache:
        return cache.rows if cache.complete else int((cache.status != PENDING).sum())
    return 0


def _scoring(
    known: Known,
    step: Step,
    space: Workspace,
    scores: Mapping[str, Any],
    sets: Mapping[str, ImageSet],
    *,
    anew: bool,
) -> Cost:
    """Count what has no result yet, of the model with a head and, where they are scored too, of its layers."""
    from moodbench.scores.machinery.variants import score_of

    assert step.model is not None
    name = replace(step.model.name, head=step.head)
    seeds = known.study["score"]["seeds"]
    models = [name]
    if scores_layers(known, step.head):
        models += [
            replace(one, head=step.head) for one in space.views_of(name) if LayerView.parse(one.view) is not None
        ]
    left, seconds, measured = 0, 0.0, 0
    for model in models:
        some = scores if known.scores else _possible(known, step.model, model, space, scores)
        wanted = {
            (score_of(label), one.describe(seeds)): (score_of(label), one.describe()) for label, one in some.items()
        }
        for spec in known.benchmarks:
            file = space.results_file(spec.name, model)
            there = set()
            if file.exists() and not anew:
                with suppress(MoodbenchError):
                    there = {(row.score, row.params) for row in read_results(file)}
            todo = [pair for pair in wanted if pair not in there]
            left += len(todo)
            with suppress(MoodbenchError):
                times = read_times(times_file(space.kept_scores_file(model, spec.name)))
                rows = sum(len(sets[one].images) for one in (*spec.id_test, *spec.ood_datasets) if one in sets)
                known_times = [times[wanted[pair]] for pair in todo if wanted[pair] in times]
                measured += len(known_times)
                seconds += rows * sum(known_times)
    if not left:
        return Cost(step.title, 0, "scores")
    if not measured:
        return Cost(step.title, left, "scores", None, by="never measured")
    by = f"{measured} of {left} measured a test row; fits come on top"
    return Cost(step.title, left, "scores", seconds, by=by)


def _possible(
    known: Known, chosen: Chosen, model: ModelName, space: Workspace, scores: Mapping[str, Any]
) -> dict[str, Any]:
    """Return those of all scores that are not left out, for want of what they read besides."""
    from moodbench.evaluation.beside import Cached, lacking_besides

    planned: list[str] = []
    if model.view is None:
        shape = shape_of(chosen, known)
        targets = [one for head in (False, True) for one in _targets(known, chosen, space, shape, with_head=head)]
        planned = [str(target.view) for target, _, _ in targets if target.view is not None]
    all_planned = tuple(dict.fromkeys(planned))
    lacking = lacking_besides(scores, Cached(all_planned, all_planned), None)
    return {label: one for label, one in scores.items() if label not in lacking}
