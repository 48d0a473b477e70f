"""How fast a cluster extracts, and what stops it from being faster."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.scaling.constants import value
from benchmarks.scaling.cost import MODELS, Model, cache_passes, scoring_core_seconds
from moodbench.choices import Precision

SIZES = {"1.3 M": 1_281_167, "14 M": 14_197_122, "1 G": 1_000_000_000}
"""ImageNet-1k's ID train, ImageNet-21k, a thousand million images."""

GPUS = (1, 8, 256)


@dataclass(frozen=True)
class Cluster:
    """So many GPUs in nodes of eight, each with its cores; one node has its images on its own disk."""

    gpus: int

    @property
    def nodes(self) -> int:
        """Machines."""
        return math.ceil(self.gpus / value("gpus"))

    @property
    def cores(self) -> int:
        """Cores of all of them."""
        return round(self.gpus * value("cores"))

    def rates(self, model: Model, precision: Precision = "fp32", *, store: bool = False) -> dict[str, float]:
        """Return images a second that each part could do if the others were free.

        Parameters
        ----------
        model : Model
        precision : {"fp32", "bf16"}
        store : bool
            Read every image from an object store instead of a file system.
        """
        image, row = value("image bytes"), model.row_bytes
        found = {
            "GPU": self.gpus * value(precision) * value(f"{precision} reached") / model.flops,
            "decoding": self.cores / (value("decode") + value("bookkeeping")),
        }
        if self.nodes == 1 and not store:
            return found | {"disk": value("disk") / (image + row)}
        found["network"] = self.nodes * value("network") / (image + row)
        if store:
            return found | {"requests": value("requests") * value("prefixes")}
        return found | {"file system": value("file system") / (image + row)}

    def slowest(self, model: Model, precision: Precision = "fp32", *, store: bool = False) -> tuple[str, float]:
        """Return the part that saturates first, and its images a second."""
        rates = self.rates(model, precision, store=store)
        name = min(rates, key=rates.__getitem__)
        return name, rates[name]

    @property
    def bandwidth(self) -> float:
        """Bytes a second from where the caches lie: the disk of a single node, or what all nodes share."""
        if self.nodes == 1:
            return value("disk")
        return min(self.nodes * value("network"), value("file system"))

    def scoring(self, kind: str, train_rows: int, model: Model) -> tuple[str, float]:
        """Return what the scores of a kind wait for, and their seconds; cores compute, no GPU does."""
        of_cores = scoring_core_seconds(kind, train_rows, model) / self.cores
        of_disks = cache_passes(train_rows, model) / self.bandwidth
        return ("cores", of_cores) if of_cores >= of_disks else ("reading", of_disks)


VIT = MODELS["vit_base_patch16_224"]
"""The paper's network, which most of the tables are about."""
