"""The keys of a study file, as they are read and as editors complete them."""

from __future__ import annotations

from typing import Any, Literal

from moodbench.choices import (
    Axis,
    By,
    CropMode,
    Decoder,
    Interpolation,
    Layout,
    OnError,
    Pool,
    Positive,
    Precision,
    RankMetric,
)
from moodbench.studies.fields import (
    REQUIRED,
    Either,
    File,
    Flag,
    Inches,
    Key,
    Keys,
    List,
    Names,
    Number,
    Output,
    Parameters,
    Text,
    Whole,
    Word,
)

OnFault = Literal["stop", "continue"]
"""What a study does about a step that fails: end there, or go on with what does not need it."""

ALL = "all"
"""Stands for every score."""

OWN = "own"
"""Stands for the models' own head."""

_IMAGE = Keys(
    {
        "size": Key(Whole(), "Side of the input images in pixels."),
        "crop": Key(Number(), "Share of the resized edge that the crop keeps."),
        "crop_mode": Key(Word(CropMode), "center, squash or border."),
        "interpolation": Key(Word(Interpolation), "Filter that resizes images."),
        "mean": Key(List(Number()), "Three numbers to subtract, on a scale from 0 to 1."),
        "std": Key(List(Number()), "Three numbers to divide by."),
    }
)

MODEL = Keys(
    {
        "model": Key(Text("the name of a model"), "A model of the catalogue, or of a library.", REQUIRED),
        "variant": Key(Text(), "A variant of the catalogue, or a name for these settings."),
        "transform": Key(Text(), "model, or moodv2."),
        "image": Key(_IMAGE, "Single values over those of the transform."),
        "checkpoint": Key(File(), "File with the weights."),
        "checkpoint_key": Key(Text(), "Which part of it to take."),
        "format": Key(Text(), "Format of the checkpoint."),
        "head_file": Key(File(), "File with the classifier."),
        "features": Key(Text(), "What that head reads: pre_logits, cls_mean, …"),
        "with_head": Key(Flag(), "false: features only.", True),
    }
)

EXTRACT = Keys(
    {
        "precision": Key(Word(Precision), "Of the network.", "fp32"),
        "decoder": Key(Word(Decoder), "fast: other pixels, sooner.", "exact"),
        "batch_size": Key(Whole(), "Images at once; what fits on a GPU and 64 elsewhere where nothing is said."),
        "workers": Key(Whole(0), "Processes that decode images."),
        "channels_last": Key(Flag(), "Order of pixels in memory."),
        "compile": Key(Flag(), "Compile the network first.", False),
        "limit": Key(Whole(), "Trial run: only so many images of each dataset."),
        "on_error": Key(Word(OnError), "What to do about an image that cannot be decoded.", "stop"),
        "max_pixels": Key(Whole(), "Images with more pixels count as undecodable."),
    }
)

PROBE = Keys(
    {
        "name": Key(Text("the name of a head"), "Name of the head.", "probe"),
        "layers": Key(Flag(), "Also one for each layer of the study; layers have no other.", False),
        "benchmark": Key(Text(), "Whose ID train rows; needed where the benchmarks have several ID train datasets."),
    }
)

TEXT_HEAD = Keys(
    {
        "name": Key(Text("the name of a head"), "Name of the head.", "zeroshot"),
        "benchmark": Key(Text(), "Whose classes; needed where the benchmarks have several ID train datasets."),
        "models": Key(Names(), "Which models; those of open_clip where nothing is said."),
        "prompts": Key(Text(), "imagenet80, a sentence with {}, or a file with one a line.", "imagenet80"),
        "class_names": Key(File(), "What classes are called in words."),
        "negatives": Key(Names(File()), "Lists of words to mine negative labels from."),
        "negative_share": Key(Number(), "Share of each list that is kept."),
        "negative_quantile": Key(Number(), "Quantile of the cosines to the classes that counts."),
    }
)

_LATER = "run the study, then  moodbench score {} --results-dir FOLDER/results"
_OF_SCORE_ALONE = {
    "tune": _LATER.format("--tune"),
    "label_noise": _LATER.format("--label-noise 0.1"),
    "save_scores": _LATER.format("--save-scores"),
    "row_scores": "leave it out: row scores are always kept, tables and rankings of the study read them",
    "missing": "leave it out: a study always does only what is missing",
}
"""Options of ``moodbench score`` that a study has no key for: what they make is made anew each time."""

SCORE = Keys(
    {
        "layers": Key(Flag(), "Also score the layers of the study, each as a model.", False),
        "seeds": Key(Whole(), "Seeds of scores with a random part.", 1),
        "bank_rows": Key(Whole(), "ID train rows that memory-bank scores compare with."),
        "by_class": Key(Flag(), "Also results of each class of the OOD datasets.", False),
    },
    _OF_SCORE_ALONE,
)

_SHOWN = {
    "benchmark": Key(Names(), "Which benchmarks of the study."),
    "model": Key(Names(), "Only these models."),
    "score": Key(Names(), "Only these scores."),
}

TABLE = Keys(
    {
        "file": Key(Output(), "File; its suffix says the format: .md, .tex, .csv, .html, .json, .txt.", REQUIRED),
        **_SHOWN,
        "dataset": Key(Names(), "Only these OOD datasets."),
        "head": Key(Text(), "Only models with this head; own: with none of another name."),
        "layout": Key(Word(Layout), "grid, datasets, all, paper, classes or depth."),
        "metric": Key(Names(), "Metrics, side by side.", ("auroc", "fpr95")),
        "positive": Key(Word(Positive), "What counts as positive in FPR95.", "id"),
        "group": Key(Text(), "The OOD group whose mean is shown.", "all"),
        "rows": Key(Word(Axis), "What the rows are."),
        "cols": Key(Word(Axis), "What the columns are."),
        "transpose": Key(Flag(), "Exchange rows and columns.", False),
        "sort": Key(Text(), "Column to sort the rows by, best, or title."),
        "significance": Key(Flag(), "Mark what is not significantly worse than the best.", False),
        "intervals": Key(Flag(), "Show the 95 % interval behind each AUROC.", False),
        "decimals": Key(Whole(0), "Of percentages.", 2),
        "caption": Key(Text(), "Title, where it is the only table."),
        "label": Key(Text(), "What LaTeX and HTML call it."),
        "runs": Key(Flag(), "Show training runs of one recipe as one model.", False),
    }
)

PLOT = Keys(
    {
        "kind": Key(Text("a kind of plot"), "grid, bars, heatmap, roc, ranks, sweep, depth, …", "grid"),
        "file": Key(Output(), "File: .png, .svg or .pdf.", REQUIRED),
        **_SHOWN,
        "ood": Key(Names(), "Only these OOD datasets."),
        "group": Key(Text(), "The OOD group that is drawn, or whose mean is.", "all"),
        "head": Key(Text(), "Only models with this head; own: with none of another name."),
        "param": Key(Text(), "Of a sweep: the parameter, where several were swept."),
        "width": Key(Inches(), "column, text, or inches."),
    }
)

RANK = Keys(
    {
        "file": Key(Output(), "File; its suffix says the format.", REQUIRED),
        **_SHOWN,
        "group": Key(Text(), "The OOD group whose mean counts.", "all"),
        "by": Key(Word(By), "What is ranked.", "pair"),
        "metric": Key(Word(RankMetric), "By which metric.", "auroc"),
    }
)

REPORT = Keys(
    {
        "file": Key(Output(), "File, .html.", "report.html"),
        "benchmark": _SHOWN["benchmark"],
        "images": Key(Whole(0), "Images of each dataset.", 12),
    }
)

STUDY = Keys(
    {
        "title": Key(Text(), "What the study is about, for people."),
        "catalogs": Key(Names(File()), "More catalogue files, relative to this file.", ()),
        "scores_from": Key(Names(File()), "Python files that register scores, relative to this file.", ()),
        "models": Key(
            List(Either(Text("the name of a model"), MODEL)),
            "Models, as on the command line, or with settings.",
            REQUIRED,
        ),
        "benchmarks": Key(Names(), "Benchmarks of the catalogue.", REQUIRED),
        "layers": Key(Names(), "Layers to cache too: all, every:3, or names."),
        "pool": Key(Word(Pool), "How each layer becomes one vector.", "model"),
        "views": Key(Names(), "Changed images to cache too, as odin or odin:eps=0.002.", ()),
        "view_layers": Key(Names(), "Layers of the changed images to cache too: all, every:3, or names."),
        "view_head": Key(Text(), "A head of this study that views read in the place of the models' own."),
        "extract": Key(EXTRACT, "How features are extracted."),
        "probe": Key(Either(Flag(), PROBE), "Train a linear head for every model.", False),
        "text_head": Key(Either(Flag(), TEXT_HEAD), "Make a zero-shot head of texts for models of open_clip.", False),
        "heads": Key(Names(), "Heads to score with: own, and those made here.  [default: all of them]"),
        "scores": Key(Names(), "Scores, or all.", (ALL,)),
        "parameters": Key(Parameters(), "Parameters of scores; a list of values is a sweep.", {}),
        "score": Key(SCORE, "How scores are run."),
        "tables": Key(List(TABLE), "Tables to write.", ()),
        "plots": Key(List(PLOT), "Pictures to draw.", ()),
        "ranks": Key(List(RANK), "Rankings to write.", ()),
        "report": Key(Either(Flag(), REPORT), "Write the page that shows everything.", False),
        "device": Key(Text(), "auto, cpu, cuda or cuda:N.", "auto"),
        "threads": Key(Whole(), "CPU threads of scores and probes."),
        "on_error": Key(Word(OnFault), "What to do when a step fails.", "continue"),
    },
    _OF_SCORE_ALONE,
)

WITH_DEFAULTS = {"extract": EXTRACT, "score": SCORE}
"""Sections whose defaults hold where they are left out."""

SWITCHES = {"probe": PROBE, "text_head": TEXT_HEAD, "report": REPORT}
"""Sections that ``true`` asks for with their defaults."""


def json_schema() -> dict[str, Any]:
    """Return the schema of a study file for editors (JSON schema, draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "moodbench study",
        "description": "moodbench run FILE; see docs/studies.md",
        **STUDY.schema(),
    }
