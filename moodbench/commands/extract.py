"""Images → feature caches, for the models and all the datasets that are asked for."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodbench.arguments import as_names, check_real, check_whole
from moodbench.before_torch import set_switches
from moodbench.choices import Decoder, EngineName, OnError, Pool, Precision
from moodbench.commands.extract_said import described
from moodbench.commands.extract_together import HERE, Engine, devices_of, together
from moodbench.commands.extract_views import NO_VIEWS, Views
from moodbench.commands.extract_workers import Extractors, weights_read
from moodbench.datasets.request import ImageRequest, ImageSet
from moodbench.errors import ModelError, MoodbenchError, UsageError, listed
from moodbench.features.marks import drop_left_marks
from moodbench.features.settings import Settings
from moodbench.features.shards.share import Share
from moodbench.models.choice import ModelChoice
from moodbench.tables.notebooks import Records
from moodbench.types import Report
from moodbench.workspace import Workspace, as_workspace

if TYPE_CHECKING:
    from moodbench.features.extract import Extraction
    from moodbench.models.backbone import Backbone


def extract(
    model: str | Backbone | Sequence[str],
    *,
    name: str | None = None,
    benchmark: str | Sequence[str] = (),
    dataset: str | Sequence[str] = (),
    images: str | Path | None = None,
    labels: str | Path | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_key: str | None = None,
    format: str | None = None,
    transform: str | None = None,
    image: Mapping[str, Any] | None = None,
    variant: str | None = None,
    with_head: bool = True,
    head_file: str | Path | None = None,
    features: str | None = None,
    layers: str | Sequence[str] | None = None,
    pool: Pool = "model",
    view: str | Sequence[str] = (),
    view_layers: str | Sequence[str] | None = None,
    view_head: str | None = None,
    device: str = "auto",
    precision: Precision = "fp32",
    decoder: Decoder = "exact",
    batch_size: int | None = None,
    workers: int | None = None,
    channels_last: bool | None = None,
    compile: bool = False,
    limit: int | None = None,
    on_error: OnError = "stop",
    max_pixels: int | None = None,
    shard: str | None = None,
    engine: EngineName = "local",
    address: str | None = None,
    gpus_per_worker: float | None = None,
    workspace: Workspace | None = None,
    report: Report = lambda line: None,
    progress: bool = False,
) -> Records[Extraction]:
    """Extract features, logits and labels into ``<cache-dir>/<model>/<dataset>.h5``; resume what was begun.

    Parameters
    ----------
    model : str, Backbone or sequence of str
        A model of the catalogue, or one by where it is from (``timm:NAME``, ``hf:ORG/NAME``, ``torchvision:NAME``,
        ``module:FILE.py:FUNCTION``, …), with or without ``@VARIANT``; or any network (`Backbone.from_module`), which
        needs a `name`. Several names: one model after another. If one of them fails,
        the others are extracted all the same before that is raised.
    benchmark, dataset : str or sequence of str
        What to extract. Without either: every dataset that a benchmark of the catalogue names and that is on this disk.
    images : Path, optional
        A folder of images, or an archive, table or address of them, to be called by the single name in `dataset`.
    labels : str or Path, optional
        How those get their labels: a rule (`moodbench.catalog.LABEL_RULES`), or a file that names the class folders in
        order.
    checkpoint, checkpoint_key, format, transform, with_head
        See `moodbench.models.load.load_model`.
    head_file : Path, optional
        Take the classifier from this file (tensors ``weight`` and ``bias``) instead of where the catalogue says it is.
    features : str, optional
        How features are read off the network, a name in `moodbench.models.features.RECIPES` (``cls_mean``, …): what the
        head in the file was trained on.
    layers : str or sequence of str, optional
        Layers whose outputs are cached besides, in the same pass, as ``MODEL@layer-NAME``: ``all``, ``every:3`` (every
        third, the last among them), or names as timm has them (``blocks.3``, ``layer2``); see `docs/views.md`.
    pool : {"model", "cls", "mean", "std"}
        How the output of a layer becomes one vector: as the model pools its last, the class token, or the mean or the
        standard deviation over patches or map. Another than the model's own becomes part of the name
        (``MODEL@layer-NAME-mean``).
    view : str or sequence of str
        Changed images whose features are cached besides, as ``MODEL@view-NAME-VALUES``: recipes, each with what it is
        given of its parameters (``odin``, ``odin:eps=0.002``); see `docs/views.md`.
    view_layers : str or sequence of str, optional
        Layers of those changed images that are cached besides, as ``MODEL@view-NAME-VALUES-layer-NAME``, named and
        pooled as `layers` are; read in the pass that makes the view. Views that have none are made as without it.
    view_head : str, optional
        A head of the model (trained by `probe`, made by `text_head`, imported) that those views read in the place of
        its own: ``MODEL@view-NAME-VALUES-head-HEAD``. Views that read no head are made as without it.
    image : mapping, optional
        Single values over those of the transform: ``size`` (the network is built for it where it must be), ``crop``,
        ``crop_mode``, ``interpolation``, ``mean``, ``std``; see `moodbench.models.transforms.build_transform`.
    variant : str, optional
        A variant that the catalogue declares, or a name for these settings; by default made of what differs from the
        model's own (``@moodv2``, ``@384-bf16``).
    decoder : {"exact", "fast"}
        ``fast``: JPEGs are decoded smaller where at least twice the needed size is left, and torch resizes instead of
        Pillow. Sooner, and other pixels: a variant (``@fast-decode``).
    device, precision, batch_size, workers, channels_last, compile, limit, on_error
        See `moodbench.features.extract.Settings`. A device may also be several (``cuda:0,cuda:1``; ``all``: every GPU),
        each with a process of its own, which share the shards. With Ray, `workers` are its workers.
    max_pixels : int, optional
        Pictures with more pixels count as undecodable; as Pillow has it by default.
    shard : str, optional
        ``3/16``: of every dataset fill the third of sixteen shards alone. Processes on any machines that share the
        cache folder may fill others at the same time; whoever fills the last joins them.
    engine : {"local", "ray"}
        ``ray``: workers on a Ray cluster share the shards; see `docs/cluster.md`.
    address : str, optional
        Of the cluster to join, ``auto`` or ``HOST:PORT``. By default one is started on this machine, and ended.
    gpus_per_worker : float, optional
        Of each worker of Ray, from 0 to 1; by default 1 where the cluster has GPUs.
    report : callable
        Is told, line by line, what is done, skipped and left out.

    Returns
    -------
    list of Extraction
        One for each dataset, in order, model by model; `Extraction.views` are those of its views.

    Raises
    ------
    UsageError
        Nothing is begun: a name is unknown, or options contradict each other, or belong to one model where several are
        named.
    MoodbenchError
        Its children say what went wrong; datasets finished before stay.
    """
    check_whole(optional=True, batch_size=batch_size, workers=workers, limit=limit, max_pixels=max_pixels)
    check_real(optional=True, gpus_per_worker=gpus_per_worker)
    share = None if shard is None else Share.parse(shard)
    where = Engine.asked(engine, address, workers, gpus_per_worker, device, share is not None)
    decoding = workers if engine == "local" else None
    models: list[str | Backbone] = list(as_names(model)) if isinstance(model, str | Iterable) else [model]
    of_one = {"--checkpoint": checkpoint, "--checkpoint-key": checkpoint_key, "--format": format}
    of_one |= {"--head-file": head_file, "--features": features, "name": name}
    _check_models(models, of_one)
    choices = [
        ModelChoice(
            one,
            name=name,
            checkpoint=checkpoint,
            checkpoint_key=checkpoint_key,
            format=format,
            transform=transform,
            image=image or {},
            decoder=decoder,
            variant=variant,
            with_head=with_head,
            head_file=head_file,
            features=features,
        )
        for one in models
    ]
    return extract_features(
        choices,
        ImageRequest(as_names(benchmark), as_names(dataset), images, labels, max_pixels),
        Settings(device, precision, batch_size, decoding, limit, on_error, progress, channels_last, compile),
        views=Views.asked(layers, pool, as_names(view), view_head, compile, view_layers),
        workspace=as_workspace(workspace),
        report=report,
        share=share,
        engine=where,
    )


def _check_models(models: Sequence[str | Backbone], of_one: Mapping[str, object]) -> None:
    """Refuse options that belong to one model where another number is named."""
    if not models:
        raise UsageError("no model is named", fix="name one with --model; moodbench list models shows what there is")
    given = [option for option, value in of_one.items() if value is not None]
    if len(models) > 1 and given:
        raise UsageError(
            f"{given[0]} belongs to one model, and these are named: {', '.join(map(str, models))}",
            fix="extract that model by itself",
        )


def extract_features(
    choices: Sequence[ModelChoice],
    source: ImageRequest,
    settings: Settings,
    *,
    views: Views = NO_VIEWS,
    workspace: Workspace,
    report: Report,
    share: Share | None = None,
    engine: Engine = HERE,
) -> Records[Extraction]:
    """As `extract`: features of the images of `source`, computed by the networks of `choices` under `settings`."""
    # torch and timm take seconds: names, folders and the networks are checked before
    failed: dict[str, MoodbenchError] = {}
    for choice in choices:
        try:
            choice.check(workspace.catalog)
        except ModelError as error:  # the others are not to blame
            failed[str(choice.model)] = error
    if len(failed) == len(choices):
        raise _all_of(failed, choices)
    sets = source.open(workspace, report)
    set_switches()
    views.check()
    devices = devices_of(engine, settings, share)
    done: list[Extraction] = []
    told: set[str] = set()
    drop_left_marks(workspace.cache_dir)
    with ExitStack() as stack:
        crew = None
        if engine.name == "ray" or len(devices) > 1:
            site = Extractors(choices, sets, settings, views, workspace)
            crew = stack.enter_context(together(engine, devices, site, report))
        else:
            settings = replace(settings, device=devices[0])
        for i, choice in enumerate(choices):
            fault = failed.get(str(choice.model))
            try:
                if fault is None and crew is not None:
                    done += crew.extract(i, told)
                elif fault is None:
                    done += _extract_one(choice, sets, settings, views, workspace, report, told, share)
            except MoodbenchError as error:
                if len(choices) == 1:
                    raise
                fault = failed[str(choice.model)] = error
                _let_go(error)
            if fault:
                report(f"cannot extract {choice.model}: {fault.what}")
    if failed:
        raise _all_of(failed, choices)
    return Records(done)


def _all_of(failed: Mapping[str, MoodbenchError], choices: Sequence[ModelChoice]) -> MoodbenchError:
    """Return one error for all models that failed."""
    if len(choices) == 1:
        return next(iter(failed.values()))
    return ModelError(
        f"{len(failed)} of {len(choices)} models could not be extracted:{listed(failed)}",
        fix="the same command, run again, goes on with what is missing",
    )


def _let_go(error: BaseException | None) -> None:
    """Let go of the network that an error's traceback holds: the next one needs the memory."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _extract_one(
    choice: ModelChoice,
    sets: Sequence[ImageSet],
    settings: Settings,
    views: Views,
    workspace: Workspace,
    report: Report,
    told: set[str],
    share: Share | None,
) -> list[Extraction]:
    """Extract the datasets with one network; what was `told` of them already is not told again."""
    from moodbench.features.extract import extract_images

    target, backbone = choice.build(workspace.catalog, settings.precision)
    if choice.reads_file:
        report(weights_read(target, backbone))
    chosen = views.of(backbone, workspace, target)
    done = []
    for one in sets:
        for remark in one.remarks():
            if remark not in told:
                report(f"note: {remark}")
        told.update(one.remarks())
        outcome = extract_images(
            backbone,
            one.images,
            workspace.cache_file(target, one.dataset),
            model=str(target),
            dataset=one.dataset,
            settings=settings,
            views=chosen,
            share=share,
        )
        report(described(str(target), one.dataset, outcome))
        done.append(outcome)
    return done
