"""The tables of docs/scaling.md."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tabulate import tabulate

from benchmarks.scaling.constants import CONSTANTS, value
from benchmarks.scaling.cost import MODELS, WORKS, Model, cache_passes, merged_bytes
from benchmarks.scaling.predict import GPUS, SIZES, VIT, Cluster
from benchmarks.scaling.simulate import Workers, plan, replay
from moodbench.choices import Precision
from moodbench.features.shards.share import MOST_SHARDS

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"

SHARDS = (1024, 4096, 16_384, 65_536)
"""Rows a shard that are compared."""

SEEDS = 3

Table = tuple[Sequence[str], list[Sequence[str]]]


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}" if seconds >= 10 * size else f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def amount(size: float, unit: str = "B") -> str:
    """Return a number of bytes or operations with a decimal prefix."""
    for prefix, factor in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if size >= factor:
            return f"{size / factor:.3g} {prefix}{unit}"
    return f"{size:.3g} {unit}"


def constants() -> Table:
    """Return every constant with where it comes from."""
    rows: list[Sequence[str]] = [
        (name, _number(one.value), one.unit, "**assumed**" if one.origin == "assumed" else one.origin, one.source)
        for name, one in CONSTANTS.items()
    ]
    return ("constant", "value", "unit", "how it is known", "source"), rows


def _number(number: float) -> str:
    if number >= 1e5:
        return amount(number, "").strip()
    return f"{number:,.0f}" if number == round(number) else f"{number:.3g}"


def images() -> Table:
    """Return what one image costs, network by network."""
    rows: list[Sequence[str]] = []
    for model in MODELS.values():
        gpu = [1000 * model.flops / (value(kind) * value(f"{kind} reached")) for kind in ("fp32", "bf16")]
        rows.append(
            (
                model.title,
                amount(value("image bytes")),
                f"{1000 * (value('decode') + value('bookkeeping')):.1f} ms",
                amount(model.flops, "FLOP"),
                f"{gpu[0]:.2f} ms",
                f"{gpu[1]:.2f} ms",
                f"{model.row_bytes:,} B",
            )
        )
    return ("network", "read", "a core", "network", "GPU, fp32", "GPU, bf16", "row of the cache"), rows


def scores() -> Table:
    """Return what each kind of score takes."""
    n, d, c = SIZES["1.3 M"], VIT.dim, VIT.classes
    rows: list[Sequence[str]] = []
    for kind, work in WORKS.items():
        of_train, of_test, kept = work.formula
        figures = amount(work.test(n, d, c), "FLOP"), kept, amount(work.kept(n, d, c))
        rows.append((kind, of_train, of_test, *figures, work.example))
    head = ("kind", "FLOP a row of ID train", "FLOP a scored row", "that is", "bytes kept", "that is", "for instance")
    return head, rows


def rates() -> Table:
    """Return what each part of a cluster could do, in images a second, the slowest in bold."""
    rows: list[Sequence[str]] = []
    names = ("GPU", "decoding", "disk", "network", "file system", "requests")
    ways: tuple[tuple[Model, Precision, bool], ...] = (
        (MODELS["vit_large_patch14_224"], "fp32", False),
        (VIT, "fp32", False),
        (VIT, "bf16", False),
        (VIT, "fp32", True),
    )
    for model, precision, store in ways:
        for gpus in GPUS:
            found = Cluster(gpus).rates(model, precision, store=store)
            least = min(found.values())
            cells = ["" if name not in found else f"{found[name]:,.0f}" for name in names]
            bold = [
                f"**{cell}**" if found.get(name) == least else cell for name, cell in zip(names, cells, strict=True)
            ]
            where = "object store" if store else ("own disk" if gpus <= value("gpus") else "shared")
            rows.append((f"{model.title.split(',')[0]}, {precision}, {where}", str(gpus), *bold))
    return ("images a second", "GPUs", *names), rows


def extraction() -> Table:
    """Return the time of extraction by size and cluster."""
    rows: list[Sequence[str]] = []
    for size, images in SIZES.items():
        for gpus in GPUS:
            cells = []
            for model, precision in ((VIT, "fp32"), (VIT, "bf16"), (MODELS["vit_large_patch14_224"], "fp32")):
                part, rate = Cluster(gpus).slowest(model, precision)  # type: ignore[arg-type]
                cells.append(f"{duration(images / rate)} ({part})")
            part, rate = Cluster(gpus).slowest(VIT, store=True)
            rows.append((size, str(gpus), *cells, f"{duration(images / rate)} ({part})"))
    return (
        "images",
        "GPUs",
        "ViT-B/16, fp32",
        "ViT-B/16, bf16",
        "ViT-L/14, fp32",
        "ViT-B/16, fp32, object store",
    ), rows


def storage() -> Table:
    """Return what lies on disks and what passes over the network, for ViT-B/16."""
    rows: list[Sequence[str]] = []
    for size, images in SIZES.items():
        shards = len(plan(images, 16_384))
        rows.append(
            (
                size,
                amount(images * value("image bytes")),
                amount(images * VIT.row_bytes),
                f"{shards:,}",
                amount(16_384 * VIT.row_bytes),
                amount(cache_passes(images, VIT)),
                amount(merged_bytes(VIT, shards)),
                amount(merged_bytes(VIT, min(shards, 256))),
            )
        )
    head = (
        "images", "read once", "cache", "shards", "a shard", "read by `score`", "merged, a task a shard",
        "merged, at most 256 tasks",
    )  # fmt: skip
    return head, rows


def scoring() -> Table:
    """Return the time of scoring by ID train rows and cluster."""
    rows: list[Sequence[str]] = []
    for size, images in SIZES.items():
        for gpus in GPUS:
            cluster = Cluster(gpus)
            cells = [
                f"{duration(seconds)} ({part})"
                for part, seconds in (cluster.scoring(kind, images, VIT) for kind in ("products", "memory bank"))
            ]
            bank = amount(WORKS["memory bank"].kept(images, VIT.dim, VIT.classes))
            rows.append((size, f"{cluster.nodes}, {cluster.cores:,}", *cells, bank))
    return ("ID train rows", "nodes, cores", "the nine scores", "seven memory-bank scores", "bank"), rows


def simulation() -> Table:
    """Return the efficiency of plans."""
    rows: list[Sequence[str]] = []
    for images, gpus in ((SIZES["1.3 M"], 8), (SIZES["1.3 M"], 256), (SIZES["14 M"], 256), (SIZES["1 G"], 256)):
        workers = _workers(gpus)
        size = next(name for name, number in SIZES.items() if number == images)
        cells = [_efficiency(images, per_shard, workers) for per_shard in SHARDS]
        batches = -(-images // (gpus * workers.batch))
        cells.append(_efficiency(images, batches * workers.batch, workers))
        rows.append((f"{size} on {gpus}", duration(images * workers.row / gpus), *cells))
    return ("images on GPUs", "ideal", *(f"{one:,} rows" for one in SHARDS), "one shard a worker"), rows


def faults() -> Table:
    """Return what slow and dying workers cost, for 14 M images on 256 GPUs."""
    rows: list[Sequence[str]] = []
    images, gpus = SIZES["14 M"], 256
    calm = {"slow": 0.0, "deaths": 0.0}
    cases: dict[str, dict[str, float | bool]] = {
        "nothing goes wrong": calm,
        "5 % of workers take 1.5 times as long": {"deaths": 0.0},
        "a death every 100 hours of a worker": {"slow": 0.0},
        "a death every hour of a worker": {"slow": 0.0, "deaths": 1.0},
        "... and a shard is begun anew": {"slow": 0.0, "deaths": 1.0, "keeps": False},
    }
    for name, given in cases.items():
        workers = _workers(gpus, **given)
        single = -(-images // (gpus * workers.batch)) * workers.batch
        cells = [_efficiency(images, per_shard, workers) for per_shard in (4096, 16_384, single)]
        rows.append((name, *cells))
    return ("14 M on 256 GPUs", "4,096 rows", "16,384 rows", "one shard a worker"), rows


def _workers(gpus: int, **given: float | bool) -> Workers:
    return Workers(gpus, gpus / Cluster(gpus).slowest(VIT)[1], **given)  # type: ignore[arg-type]


def _efficiency(images: int, per_shard: int, workers: Workers) -> str:
    if images > MOST_SHARDS * per_shard:  # no plan has so many
        return "–"
    shards = plan(images, per_shard)
    seeds = SEEDS if len(shards) < 20_000 else 1
    return f"{100 * statistics.mean(replay(shards, workers, seed).efficiency for seed in range(seeds)):.0f} %"


TABLES: dict[str, Callable[[], Table]] = {
    "constants": constants,
    "images": images,
    "scores": scores,
    "rates": rates,
    "extraction": extraction,
    "storage": storage,
    "scoring": scoring,
    "simulation": simulation,
    "faults": faults,
}


def blocks(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield the name, the beginning and the end of each table of the page."""
    for name in TABLES:
        begin, end = f"<!-- {name}: python -m benchmarks.scaling --write -->\n\n", f"\n\n<!-- end of {name} -->"
        if begin not in text or end not in text:
            raise ValueError(f"docs/scaling.md has no place for the table '{name}'")
        yield name, begin, end


def filled(text: str) -> str:
    """Return the page with its tables made anew."""
    for name, begin, end in blocks(text):
        before, _, rest = text.partition(begin)
        after = rest.partition(end)[2]
        text = f"{before}{begin}{table(name)}{end}{after}"
    return text


def table(name: str) -> str:
    """Return one as Markdown."""
    head, rows = TABLES[name]()
    return tabulate(rows, headers=head, tablefmt="pipe", disable_numparse=True)
