"""The numbers that the predictions are made of, each with where it comes from; an assumption is called one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Origin = Literal["measured", "counted", "published", "assumed"]

EPYC = "two cores of an AMD EPYC"
XEON = "two cores of an Intel Xeon with AVX-512"


@dataclass(frozen=True)
class Constant:
    """A number, its unit, how it is known, and from where."""

    value: float
    unit: str
    origin: Origin
    source: str


CONSTANTS: dict[str, Constant] = {
    "image bytes": Constant(
        115_440, "bytes", "published", "ILSVRC2012_img_train.tar: 147,897,477,120 bytes / 1,281,167"
    ),
    "decode": Constant(2 / 457, "core s/image", "measured", f"two workers, 500 × 375 pixels, for ResNet-50; {EPYC}"),
    "bookkeeping": Constant(0.2e-3, "core s/image", "measured", f"checksums, writing, joining; {EPYC}"),
    "products": Constant(103e9, "FLOP/s a core", "measured", f"float32 products of the nine scores in 6.4 s; {EPYC}"),
    "nine / products": Constant(1.28, "times", "measured", f"the nine scores, start-up included; {EPYC}"),
    "bank / product": Constant(3.6, "times", "measured", f"seven memory-bank scores; {XEON}"),
    "read": Constant(1.84e9, "bytes/s a core", "measured", f"a pass that compares checksums, 0.77 s; {XEON}"),
    "start": Constant(5.0, "s", "measured", f"importing torch and timm (3 s + 2 s), no weights loaded; {XEON}"),
    "shard": Constant(0.24, "s", "measured", f"making and sealing a shard of 16,384 rows, `--measure`; {XEON}, busy"),
    "spread": Constant(0.05, "", "assumed", "standard deviation of the logarithm of a shard's time"),
    "fp32": Constant(19.5e12, "FLOP/s", "published", "NVIDIA A100, peak; TF32 is off in moodbench"),
    "bf16": Constant(312e12, "FLOP/s", "published", "NVIDIA A100, peak of matrix units, dense (`--precision bf16`)"),
    "fp32 reached": Constant(0.6, "of peak", "assumed", "never measured: no GPU was there"),
    "bf16 reached": Constant(0.35, "of peak", "assumed", "never measured: no GPU was there"),
    "cores": Constant(12, "a GPU", "assumed", "96 cores in a node of 8 GPUs; they decode and score"),
    "gpus": Constant(8, "a node", "assumed", ""),
    "disk": Constant(3e9, "bytes/s a node", "assumed", "one NVMe disk; images on one machine lie there"),
    "network": Constant(12.5e9, "bytes/s a node", "assumed", "100 Gbit/s"),
    "file system": Constant(40e9, "bytes/s in all", "assumed", "shared by all nodes"),
    "requests": Constant(5500, "/s a prefix", "published", "Amazon S3, GET requests, at least; one an image"),
    "prefixes": Constant(1, "", "assumed", "all images below one prefix"),
    "deaths": Constant(0.01, "/h a worker", "assumed", "preemptible machines; fixed ones die far less often"),
    "slow workers": Constant(0.05, "of workers", "assumed", ""),
    "slowness": Constant(1.5, "times", "assumed", "of a slow worker"),
    "return": Constant(120, "s", "assumed", "until a worker that died is replaced, before its own start"),
}


def value(name: str) -> float:
    """Return a constant by name."""
    return CONSTANTS[name].value
