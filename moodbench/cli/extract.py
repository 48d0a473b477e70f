"""``moodbench extract``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moodbench.choices import CropMode, Decoder, Interpolation, OnError, Pool, Precision
from moodbench.cli import completion
from moodbench.cli.app import app
from moodbench.cli.engines import Address, Engine
from moodbench.cli.options import Run, with_progress, with_run

_PICTURES = "Pictures, over what the transform says"
_SPEED = "Speed"


def _channels(option: str, text: str | None) -> list[float] | None:
    """Return the three numbers of ``R,G,B``."""
    from moodbench.errors import UsageError

    try:
        values = None if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if values is not None and len(values) != 3:
        raise UsageError(f"{option} takes three numbers, not '{text}'", fix=f"{option} 0.485,0.456,0.406")
    return values


def _batch_size(text: str) -> int | None:
    """Return the number, or None for ``auto``."""
    from moodbench.errors import UsageError

    try:
        return None if text == "auto" else int(text)
    except ValueError:
        raise UsageError(f"--batch-size is a number or auto, not '{text}'") from None


@app.command()
@with_run
@with_progress
def extract(
    *,
    model: Annotated[
        list[str],
        typer.Option(
            metavar="MODEL",
            help="A model from the catalogue, timm:NAME, hf:ORG/NAME, hf:FOLDER, torchvision:NAME.WEIGHTS, "
            "clip:ARCH/TAG, module:FILE.py:FUNCTION, torchscript:FILE or onnx:FILE, with or without @VARIANT. "
            "Repeatable.",
            autocompletion=completion.models,
        ),
    ],
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BENCHMARK",
            help="Extract the datasets of this benchmark. Repeatable.",
            autocompletion=completion.benchmarks,
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(metavar="DATASET", help="Extract this dataset. Repeatable.", autocompletion=completion.datasets),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="A folder of images, to be named by --dataset NAME; or where they lie packed: a .tar, .zip or "
            ".parquet, a pattern of those, an address as s3://….",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="How those images get their labels: auto, folder, sorted, natural, index, imagenet, none, or a file "
            "that lists the class folders in order.",
            autocompletion=completion.label_rules,
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Load the weights from this file (.safetensors, .pth).")
    ] = None,
    checkpoint_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Which part of that file to take if it holds several networks: the name of a dict (model_ema), or the "
            "prefix of its tensors' names (backbone.).",
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Format of the checkpoint. Detected by default.",
            autocompletion=completion.checkpoint_formats,
        ),
    ] = None,
    transform: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="'model': as the checkpoint was evaluated; 'moodv2': squeezed to a square, mean = std = 0.5, as the "
            "MOODv2 reference does for every model. By default, what the catalogue says.",
            autocompletion=completion.transforms,
        ),
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Side of the input images in pixels. The network is built for this size where necessary.",
            rich_help_panel=_PICTURES,
        ),
    ] = None,
    crop: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Share of the resized edge that the crop keeps, for instance 0.875.",
            rich_help_panel=_PICTURES,
        ),
    ] = None,
    crop_mode: Annotated[
        CropMode | None,
        typer.Option(
            help="center: the middle of the image; squash: all of it, squeezed to a square; border: all of it, with "
            "borders added.",
            rich_help_panel=_PICTURES,
        ),
    ] = None,
    interpolation: Annotated[
        Interpolation | None, typer.Option(help="Filter that resizes images.", rich_help_panel=_PICTURES)
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(metavar="R,G,B", help="Mean to subtract, on a scale from 0 to 1.", rich_help_panel=_PICTURES),
    ] = None,
    std: Annotated[
        str | None,
        typer.Option(metavar="R,G,B", help="Standard deviation to divide by.", rich_help_panel=_PICTURES),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A variant from the catalogue (as in MODEL@NAME), or a name for these settings. By default, made up "
            "of the settings that differ.",
            autocompletion=completion.variants,
        ),
    ] = None,
    head: Annotated[
        bool, typer.Option("--head/--no-head", help="Compute logits with the model's classifier, or features only.")
    ] = True,
    head_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take the classifier from this file (tensors 'weight' and 'bias')."),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What that head reads: pre_logits, cls_mean ([CLS ; mean of the patches]), cls4_mean, cls4 or "
            "cls_mean_interleaved. By default, what the catalogue says.",
            autocompletion=completion.recipes,
        ),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            metavar="all|every:N|NAME,NAME",
            help="Also cache the outputs of these layers, in the same pass, as MODEL@layer-NAME: all, every third with "
            "the last among them (every:3), or timm's names (blocks.3, layer2).",
            autocompletion=completion.layers,
        ),
    ] = None,
    pool: Annotated[
        Pool,
        typer.Option(
            help="What is kept of a layer: as the model pools its last (model), the class token, or mean or standard "
            "deviation over patches or map. Other than the model's own it is part of the name: MODEL@layer-NAME-mean."
        ),
    ] = "model",
    view: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:PARAMETER=VALUE,…]",
            help="Also cache the features of changed images, in the same run, as MODEL@view-NAME-VALUES: odin, "
            "odin:eps=0.002. Repeatable.",
            autocompletion=completion.views,
        ),
    ] = None,
    view_layers: Annotated[
        str | None,
        typer.Option(
            metavar="all|every:N|NAME,NAME",
            help="Also cache these layers of those changed images, in the same pass, as "
            "MODEL@view-NAME-VALUES-layer-NAME: what maha_layers reads to weigh layers.",
            autocompletion=completion.layers,
        ),
    ] = None,
    view_head: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A head of the model (of probe, head text, head import) that those views read in the place of its "
            "own: MODEL@view-NAME-VALUES-head-HEAD.",
            autocompletion=completion.cached_heads,
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            metavar="DEVICE",
            help="auto (CUDA if there is one, else CPU), cpu, cuda or cuda:N; several share the shards, each with a "
            "process of its own: cuda:0,cuda:1, or all.",
            autocompletion=completion.extract_devices,
        ),
    ] = "auto",
    precision: Annotated[
        Precision, typer.Option(help="Precision of the network. Features are always stored as float32.")
    ] = "fp32",
    decoder: Annotated[
        Decoder,
        typer.Option(
            help="fast: decode JPEGs at a smaller size where that suffices, and resize with torch. The pixels differ, "
            "so this makes a variant.",
            rich_help_panel=_SPEED,
        ),
    ] = "exact",
    batch_size: Annotated[
        str,
        typer.Option(
            metavar="N",
            help="Images per batch. auto: as many as fit on a GPU, 64 elsewhere. Halved when memory runs out.",
            autocompletion=completion.batch_sizes,
            rich_help_panel=_SPEED,
        ),
    ] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Processes that decode images. By default one per core, at most 16. With --engine ray: workers, each "
            "with a network and such processes of its own.",
            rich_help_panel=_SPEED,
        ),
    ] = None,
    channels_last: Annotated[
        bool | None,
        typer.Option(
            "--channels-last/--no-channels-last",
            help="Store the colours of a pixel side by side in memory, which makes most networks faster. On by default "
            "where the network supports it. Changes rounding only.",
            rich_help_panel=_SPEED,
        ),
    ] = None,
    compile: Annotated[
        bool,
        typer.Option(
            "--compile/--no-compile",
            help="Compile the network first with torch.compile, which takes a minute. Changes rounding only.",
            rich_help_panel=_SPEED,
        ),
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", help="Trial run: only N images of each dataset, spread evenly, marked as a trial."),
    ] = None,
    on_error: Annotated[OnError, typer.Option(help="What to do about an image that cannot be decoded.")] = "stop",
    max_pixels: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Decode images of up to N pixels; larger ones count as undecodable.  [default: 178956970]",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Of every dataset fill only the I-th of N shards, from 1 to N: for the jobs of an array, which share "
            "the cache folder. Whoever fills the last joins them.",
            rich_help_panel=_SPEED,
        ),
    ] = None,
    engine: Engine = "local",
    address: Address = None,
    gpus_per_worker: Annotated[
        float | None,
        typer.Option(
            metavar="G",
            help="GPUs of each worker of Ray, from 0 to 1; a half lets two share one. By default 1 where the cluster "
            "has any.",
            rich_help_panel="On a cluster",
        ),
    ] = None,
    run: Run,
) -> None:
    """Compute features and logits of images into the feature cache.

    Resumes what was interrupted and skips what is done. Without --benchmark, --dataset and --images, extracts every
    dataset on this disk that a benchmark of the catalogue uses. Several models are extracted one after another;
    --checkpoint, --checkpoint-key, --format, --head-file and --features belong to one.

    Example: moodbench extract --model digits_mim --benchmark digits
    """
    from moodbench.commands.extract import extract as work

    pictures = {
        "size": image_size,
        "crop": crop,
        "crop_mode": crop_mode,
        "interpolation": interpolation,
        "mean": _channels("--mean", mean),
        "std": _channels("--std", std),
    }
    work(
        model,
        benchmark=benchmark or (),
        dataset=dataset or (),
        images=images,
        labels=labels,
        checkpoint=checkpoint,
        checkpoint_key=checkpoint_key,
        format=format,
        transform=transform,
        image={key: value for key, value in pictures.items() if value is not None},
        variant=variant,
        with_head=head,
        head_file=head_file,
        features=features,
        layers=layers,
        pool=pool,
        view=view or (),
        view_layers=view_layers,
        view_head=view_head,
        device=device,
        precision=precision,
        decoder=decoder,
        batch_size=_batch_size(batch_size),
        workers=workers,
        channels_last=channels_last,
        compile=compile,
        limit=limit,
        on_error=on_error,
        max_pixels=max_pixels,
        shard=shard,
        engine=engine,
        address=address,
        gpus_per_worker=gpus_per_worker,
        workspace=run.workspace,
        report=run.output.say,
        progress=run.output.progress,
    )
