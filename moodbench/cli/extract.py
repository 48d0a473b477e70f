"""``moodbench extract``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moodbench.cli.app import app
from moodbench.cli.options import Run, with_run

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
def extract(
    *,
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="A model of the catalogue, or timm:NAME; @VARIANT may follow.")
    ],
    benchmark: Annotated[
        list[str] | None, typer.Option(metavar="BENCHMARK", help="Extract the datasets of this benchmark. Repeatable.")
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(metavar="DATASET", help="Extract this dataset. Repeatable.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A folder of images, to be called by --dataset NAME.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="How those get their labels: folder, sorted, natural, index, imagenet, none, or a file that names the "
            "class folders in order.",
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Load the weights from this file (.safetensors, .pth).")
    ] = None,
    checkpoint_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Which part of it, where it holds several networks: the name of a dict (model_ema) or what the names "
            "of tensors begin with (backbone.).",
        ),
    ] = None,
    format: Annotated[
        str | None, typer.Option(metavar="NAME", help="Format of the checkpoint; found out by itself by default.")
    ] = None,
    transform: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="'model': what the checkpoint was evaluated with; 'moodv2': squeezed to the square, mean = std = 0.5, "
            "as the MOODv2 reference does for every model. The catalogue says which by default.",
        ),
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Side of the pictures in pixels. The network is built for it where it must be.",
            rich_help_panel=_PICTURES,
        ),
    ] = None,
    crop: Annotated[
        float | None,
        typer.Option(
            metavar="PCT", help="Share of the resized edge that is kept, as 0.875.", rich_help_panel=_PICTURES
        ),
    ] = None,
    crop_mode: Annotated[
        str | None,
        typer.Option(
            metavar="MODE",
            help="center: the middle of the picture; squash: all of it, squeezed to the square; border: all of it, "
            "with borders.",
            rich_help_panel=_PICTURES,
        ),
    ] = None,
    interpolation: Annotated[
        str | None, typer.Option(metavar="NAME", help="bilinear, bicubic, …", rich_help_panel=_PICTURES)
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(metavar="R,G,B", help="Is subtracted, on the scale 0 to 1.", rich_help_panel=_PICTURES),
    ] = None,
    std: Annotated[
        str | None, typer.Option(metavar="R,G,B", help="Is divided by afterwards.", rich_help_panel=_PICTURES)
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A variant of the catalogue (as MODEL@NAME), or a name for these settings. Made of what differs by "
            "default.",
        ),
    ] = None,
    head: Annotated[
        bool, typer.Option("--head/--no-head", help="Compute logits with the model's classifier, or features alone.")
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
            "cls_mean_interleaved. The catalogue says it by default.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="auto (CUDA, then CPU), cpu, cuda or cuda:N.")] = "auto",
    precision: Annotated[
        str,
        typer.Option(
            metavar="PRECISION", help="fp32, bf16 or fp16: precision of the network. Features are stored in float32."
        ),
    ] = "fp32",
    decoder: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="exact, or fast: JPEGs decoded smaller where that is enough, torch resizes. Other pixels: a variant.",
            rich_help_panel=_SPEED,
        ),
    ] = "exact",
    batch_size: Annotated[
        str,
        typer.Option(
            metavar="N",
            help="Images at once. auto: what fits on a GPU, 64 elsewhere. Halved where memory runs out.",
            rich_help_panel=_SPEED,
        ),
    ] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Processes that decode images. One a core, at most 16, by default.",
            rich_help_panel=_SPEED,
        ),
    ] = None,
    channels_last: Annotated[
        bool | None,
        typer.Option(
            "--channels-last/--no-channels-last",
            help="Keep the colours of a pixel side by side in memory, which most networks are faster with: the default "
            "where the network takes it. Changes rounding only.",
            rich_help_panel=_SPEED,
        ),
    ] = None,
    compile: Annotated[
        bool,
        typer.Option(
            "--compile/--no-compile",
            help="Compile the network first (torch.compile), which takes a minute. Changes rounding only.",
            rich_help_panel=_SPEED,
        ),
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", help="A trial run: only N images of each dataset, spread evenly, marked as a trial."),
    ] = None,
    on_error: Annotated[
        str, typer.Option(metavar="WHAT", help="stop or skip: what to do about an image that cannot be decoded.")
    ] = "stop",
    max_pixels: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Decode pictures of up to N pixels; larger ones count as those that cannot be decoded.  "
            "[default: 178956970]",
        ),
    ] = None,
    run: Run,
) -> None:
    """Compute features and logits of images, once, into the feature cache.

    Resumes what was interrupted and skips what is done. Without --benchmark, --dataset and --images: every dataset
    that a benchmark of the catalogue names and that is on this disk.

    Example: moodbench extract --model digits_mim --benchmark digits
    """
    from moodbench.commands.extract import extract as work
    from moodbench.errors import UsageError

    if precision not in ("fp32", "bf16", "fp16"):
        raise UsageError(f"unknown precision '{precision}'", fix="use fp32, bf16 or fp16")
    if on_error not in ("stop", "skip"):
        raise UsageError(f"--on-error is stop or skip, not '{on_error}'")
    image = {
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
        image={key: value for key, value in image.items() if value is not None},
        variant=variant,
        with_head=head,
        head_file=head_file,
        features=features,
        device=device,
        precision=precision,  # type: ignore[arg-type]
        decoder=decoder,  # type: ignore[arg-type]
        batch_size=_batch_size(batch_size),
        workers=workers,
        channels_last=channels_last,
        compile=compile,
        limit=limit,
        on_error=on_error,  # type: ignore[arg-type]
        max_pixels=max_pixels,
        workspace=run.workspace,
        report=run.output.say,
        progress=run.output.progress,
    )
