"""``moodbench head text`` and ``import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moodbench.cli import completion
from moodbench.cli.app import Commands, app
from moodbench.cli.options import Device, Run, with_progress, with_run

head = Commands(
    no_args_is_help=True, help="Make heads of texts, or import those of other programs.", rich_markup_mode=None
)
app.add_typer(head, name="head")

Model = Annotated[
    str,
    typer.Option(metavar="MODEL", help="The cached model that it is for.", autocompletion=completion.cached_models),
]
Force = Annotated[bool, typer.Option("--force", help="Replace a head of this name that was made from something else.")]


@head.command()
@with_run
@with_progress
def text(
    *,
    model: Model,
    benchmark: Annotated[
        str | None,
        typer.Option(
            metavar="BENCHMARK",
            help="Whose ID classes. May be omitted if only one ID train set is cached.",
            autocompletion=completion.benchmarks,
        ),
    ] = None,
    prompts: Annotated[
        str,
        typer.Option(
            metavar="PROMPTS",
            help="imagenet80, a sentence with {} for the name of a class, or a file with one a line.",
        ),
    ] = "a photo of a {}",
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the head.")] = "zeroshot",
    class_names: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What classes are called in words: lines of NAME, a tab and WORDS, or words alone, in their order.",
        ),
    ] = None,
    negatives: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A list of words, one a line: those farthest from the ID classes become negative labels, for the "
            "score neglabel. A first line with {} is their prompt. Repeatable; each list is mined by itself.",
        ),
    ] = None,
    negative_share: Annotated[float, typer.Option(metavar="SHARE", help="Of each list, so much is kept.")] = 0.15,
    negative_quantile: Annotated[
        float,
        typer.Option(metavar="Q", help="Of the cosines to the ID classes, this quantile says how far."),
    ] = 0.95,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights, where they were given to extract too.")
    ] = None,
    checkpoint_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Which part of that file, as extract was told.")
    ] = None,
    device: Device = "auto",
    force: Force = False,
    run: Run,
) -> None:
    """Make a zero-shot head of the names of ID classes, in prompts.

    For models of open_clip (clip:…). Classes called by WordNet ids of ImageNet have OpenAI's names; others are called
    as their dataset calls them, with blanks for underscores. `moodbench score --head zeroshot` uses the head; the
    results are listed under the model MODEL+zeroshot.

    Example: moodbench head text --model clip_b16 --benchmark imagenet --prompts imagenet80
    """
    from moodbench.commands.head import text_head

    text_head(
        model,
        benchmark=benchmark,
        prompts=prompts,
        name=name,
        class_names=class_names,
        negatives=negatives or (),
        negative_share=negative_share,
        negative_quantile=negative_quantile,
        checkpoint=checkpoint,
        checkpoint_key=checkpoint_key,
        device=device,
        force=force,
        workspace=run.workspace,
        report=run.output.say,
        progress=run.output.progress,
    )


@head.command("import")
@with_run
def import_(
    *,
    file: Annotated[
        Path,
        typer.Argument(
            help=".npz or .h5 with 'weight', 'bias' and perhaps 'classes', 'negatives', 'negated', 'noise'; or .pkl of "
            "[W, b]."
        ),
    ],
    model: Model,
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the head.")],
    force: Force = False,
    run: Run,
) -> None:
    """Keep a head that another program made, as CoOp or LoCoOp.

    Example: moodbench head import --model clip_b16 --name locoop locoop.npz
    """
    from moodbench.commands.head import import_head

    import_head(model, file, name=name, force=force, workspace=run.workspace, report=run.output.say)
