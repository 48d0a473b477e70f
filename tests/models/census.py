"""The census: does moodbench read the features and the head of every timm architecture rightly?

    make test-models                                    # everything, going on where it stopped
    make test-models FLAGS="--match 'vit_*' --jobs 2"

Weights are random, and classifiers (with the batch norms and mixing weights inside them) are redrawn: timm's own start
values are so small or so simple that a wrong head would agree with them. What is compared is ``features @ W.T + b`` as
it goes into a cache with what the network itself says about the picture.
"""

from __future__ import annotations

import argparse
import csv
import fnmatch
import gc
import io
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[2] / "docs" / "model_census.csv"
TOLERANCE = 1e-4
"""Largest difference allowed, relative to the largest logit; the same as when a cache is begun."""

LARGEST = 3000.0
"""Millions of parameters: 12 GB. What is larger has the classifier of its smaller relatives."""

CLASSES = 10
"""For architectures that timm has without classifier only: they get one of this many classes."""

_SMALL = 112  # pixels: a multiple of 14 and 16, the usual patches


@dataclass(frozen=True)
class Row:
    """What was found about one architecture.

    Attributes
    ----------
    outcome : str
        ``equal``, ``refused`` (by moodbench, with the reason), ``skipped`` (not examined), ``DIFFERS`` or ``FAILED``.
    how : str
        What had to be done to read features and head; the reason where that was not possible.
    difference : str
        Of the logits, relative to the largest one.
    """

    architecture: str
    network: str
    parameters: str
    pixels: str
    features: str
    classes: str
    outcome: str
    how: str
    difference: str = ""


FAULTS = ("DIFFERS", "FAILED")
"""Outcomes that are examined anew by the next run."""

COLUMNS = [field.name for field in fields(Row)]


# -- one architecture ---------------------------------------------------------------------------------------------


def examine(name: str, largest: float = LARGEST) -> Row:
    """Return what comes out for one architecture. Never raises."""
    import timm

    config = timm.get_pretrained_cfg(name)
    classes = {} if config is not None and config.num_classes else {"num_classes": CLASSES}
    outline, millions = _outline(name, classes)
    if millions is not None and millions > largest:
        return Row(name, outline, f"{millions:.1f}", "", "", "", "skipped", f"over {largest:g} million parameters")
    problem: Exception | None = None
    # Most convolutional networks have no `img_size`, and some others cannot be that small.
    for args in ({**classes, "img_size": _SMALL}, classes):
        try:
            return _compare(name, args)
        except Exception as error:  # one odd architecture must not end the census
            problem = error
    return Row(name, outline, "" if millions is None else f"{millions:.1f}", "", "", "", "FAILED", _line(problem))


def _outline(name: str, args: dict[str, Any]) -> tuple[str, float | None]:
    """Return an architecture's class and its parameters in millions without making them: not all fit into memory."""
    import timm
    import torch

    try:
        with torch.device("meta"):
            network = timm.create_model(name, **args)
    except Exception:  # some compute while they are built, which takes numbers
        return "", None
    return type(network).__name__, sum(p.numel() for p in network.parameters()) / 1e6


def _compare(name: str, args: dict[str, Any]) -> Row:
    import timm
    import torch

    from moodbench.errors import ModelError
    from moodbench.models.head import read_classifier

    torch.manual_seed(0)
    network = timm.create_model(name, **args).eval()
    redraw(network)
    millions = f"{sum(p.numel() for p in network.parameters()) / 1e6:.1f}"
    about = (name, type(network).__name__, millions)
    try:
        reading = read_classifier(network, name)
    except ModelError as error:
        return Row(*about, "", "", str(network.num_classes), "refused", error.what.rpartition(": ")[2])
    if reading.head is None:
        return Row(*about, "", "", "", "skipped", "has no classifier")
    pixels, images = _pictures(network, args.get("img_size"))
    found = agreement(network, name, images)
    shape = (str(pixels), str(found.features), str(network.num_classes))
    return Row(*about, *shape, "equal" if found.equal else "DIFFERS", reading.how, f"{found.difference:.0e}")


def _pictures(network: Any, size: int | None) -> tuple[int, Any]:
    """Return two random pictures of the smallest size that works, at most that for which the network was made."""
    import torch

    config = network.pretrained_cfg
    native = config["input_size"][-1]
    smaller = [] if config.get("fixed_input_size") else [side for side in (64, 96, 128, 192, 224) if side < native]
    sizes = [size] if size is not None else [*smaller, native]
    for side in sizes:
        images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
        try:
            with torch.inference_mode():
                network(images)
            return side, images
        except Exception:  # too small for this network
            if side == sizes[-1]:
                raise
    raise AssertionError("no sizes")


@dataclass(frozen=True)
class Agreement:
    """D; the largest difference of ``features @ W.T + b`` from the network's own logits, relative to the largest."""

    features: int
    difference: float
    equal: bool


def agreement(network: Any, name: str, images: Any) -> Agreement:
    """Compare what goes into a cache with what the network itself says about `images`."""
    import numpy as np
    import torch

    from moodbench.models.backbone import TimmCompute
    from moodbench.models.features import PRE_LOGITS, RECIPES
    from moodbench.models.head import as_vectors, read_classifier

    compute = TimmCompute(read_classifier(network, name).features)
    with torch.inference_mode():
        # Random networks can be so deep that almost nothing arrives; the bias alone would then agree.
        if float(compute(network, images)[0].abs().max()) < 1:
            _warm_up(network, images)
        _enlarge(network, 1 / float(compute(network, images)[0].abs().max().clamp(1e-12, 1)))
        features, logits = compute(network, images)
        own = as_vectors(network(images)).numpy()
    reading = read_classifier(network, name)
    product = features.numpy() @ reading.head.weight.T
    scale = float(np.abs(own).max())
    difference = max(float(np.abs(product + reading.head.bias - answer).max()) for answer in (own, logits.numpy()))
    tells = bool(np.abs(product).max() > 1e-2 * scale) and bool(np.isfinite(own).all())
    # a hidden layer is part of the classifier, and goes with it
    wide = "hidden" in reading.how or RECIPES.get(PRE_LOGITS).width(network) == features.shape[1]
    return Agreement(features.shape[1], difference / scale, difference <= TOLERANCE * scale and tells and wide)


def _classifier_layers(network: Any) -> Iterator[Any]:
    from torch import nn

    for layer in network.modules():
        last = getattr(layer, "out_features", getattr(layer, "out_channels", None))
        if isinstance(layer, (nn.Linear, nn.Conv2d)) and last == network.num_classes:
            yield layer


def _warm_up(network: Any, images: Any) -> None:
    """Let batch norms see what they get, so that what they pass on has the size that it has in a trained network."""
    from torch import nn

    for layer in network.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.momentum = 1.0
            layer.train()
    network(images)
    network.eval()


def _enlarge(network: Any, factor: float) -> None:
    for layer in _classifier_layers(network):
        layer.weight.mul_(factor)


def redraw(network: Any) -> None:
    """Redraw what a classifier is made of: its layers, the batch norms before them, the weights that mix them."""
    import torch
    from torch import nn

    with torch.no_grad():
        for layer in _classifier_layers(network):
            layer.weight.normal_(0, 0.05)
            if layer.bias is not None:
                layer.bias.normal_(0, 0.05)
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm1d) and layer.running_mean is not None:
                layer.running_mean.normal_(0, 0.2)
                layer.running_var.uniform_(0.5, 1.5)
                if layer.affine:
                    layer.weight.uniform_(0.5, 1.5)
                    layer.bias.normal_(0, 0.2)
        for name, parameter in network.named_parameters(recurse=False):
            if name.startswith("weights"):
                parameter.normal_()


def _line(error: Exception | None) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:160]


# -- the table ----------------------------------------------------------------------------------------------------


def versions() -> str:
    """Return the line that heads the table."""
    import timm
    import torch

    release = torch.__version__.partition("+")[0]  # without the kind of build
    return f"# timm {timm.__version__}, torch {release}: written by `make test-models`"


def read(file: Path) -> list[Row]:
    """Return the rows of a table that these versions of timm and torch made; none of another table."""
    if not file.is_file():
        return []
    head, _, body = file.read_text(encoding="utf-8").partition("\n")
    return [Row(**row) for row in csv.DictReader(io.StringIO(body))] if head == versions() else []


def write(file: Path, rows: Iterable[Row]) -> None:
    """Write the table, sorted, at once or not at all."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(row) for row in sorted(rows, key=lambda row: row.architecture))
    part = file.with_name(f"{file.name}.part")
    part.write_text(f"{versions()}\n{text.getvalue()}", encoding="utf-8")
    part.replace(file)


def main(argv: list[str] | None = None) -> int:
    """Run the census; 1 if an architecture differs or fails."""
    import timm

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--match", default="*", help="architectures to examine, with * and ? (default: all)")
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each (default: 1)")
    parser.add_argument("--largest", type=float, default=LARGEST, help="skip above so many million parameters")
    parser.add_argument("--again", action="store_true", help="examine anew what the table has already")
    parser.add_argument("--table", type=Path, default=TABLE, help="file to go on with (default: docs/)")
    options = parser.parse_args(argv)
    rows = {row.architecture: row for row in read(options.table)}
    settled = {name for name, row in rows.items() if not options.again and _is_settled(row, options.largest)}
    wanted = [name for name in timm.list_models() if fnmatch.fnmatchcase(name, options.match)]
    names = [name for name in wanted if name not in settled]
    began = time.monotonic()
    for done, row in enumerate(_examined(names, options.jobs, options.largest), start=1):
        rows[row.architecture] = row
        write(options.table, rows.values())
        passed = time.monotonic() - began
        sys.stdout.write(f"{done}/{len(names)} {passed:.0f} s {row.architecture}: {row.outcome} {row.how}\n")
        sys.stdout.flush()
    bad = [row for row in rows.values() if row.outcome in FAULTS]
    for row in bad:
        sys.stderr.write(f"{row.architecture} ({row.network}) {row.outcome}: {row.how} {row.difference}\n")
    return 1 if bad else 0


def _is_settled(row: Row, largest: float) -> bool:
    """Whether a row of the table need not be made again."""
    too_large = row.outcome == "skipped" and row.how.startswith("over ")
    return row.outcome not in FAULTS and not (too_large and float(row.parameters) <= largest)


def _examined(names: list[str], jobs: int, largest: float) -> Iterator[Row]:
    # a fresh process after some networks: what they leave behind would add up over a thousand of them
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, _prepare, maxtasksperchild=25) as pool:
        yield from pool.imap_unordered(partial(_worker, largest=largest), names)


def _prepare() -> None:
    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    if hasattr(os, "nice"):
        os.nice(5)


def _worker(name: str, largest: float) -> Row:
    row = examine(name, largest)
    gc.collect()
    return row


if __name__ == "__main__":
    sys.exit(main())
