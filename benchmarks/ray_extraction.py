"""What workers cost that share the shards: `python -m benchmarks.ray_extraction`, about 10 minutes on two cores.

The same command, in processes of its own, with the local engine and with `--engine ray --workers N` (or with
`--devices`: several processes without Ray), by turns: ViT-S/16 with random weights on 5,000 photographs, which is bound
by the network. Printed are the seconds of the whole command (the start of Ray, of the workers and of torch in each of
them included), their medians, the overhead, which is to be 10 % at most, and whether the caches are the same.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.photographs import write
from moodbench.features.cache import FeatureCache

NETWORK = """
import timm, torch
import moodbench

def build():
    torch.manual_seed(0)
    network = timm.create_model("{}")
    return network, moodbench.build_transform("model", network)
"""


def seconds(folder: Path, cache: Path, options: list[str]) -> float:
    """Extract, and return how long it took."""
    words = [sys.executable, "-m", "moodbench", "extract", "--model", "module:net.py:build", "--images", "photographs"]
    words += ["--dataset", "photographs", "--cache-dir", str(cache), *options]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    began = time.perf_counter()
    subprocess.run(words, cwd=folder, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - began


def fingerprint(cache: Path) -> str:
    """Return that of the one cache in a folder."""
    (file,) = cache.glob("*/photographs.h5")
    with FeatureCache(file) as opened:
        return opened.fingerprint


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000, help="photographs (default 5000)")
    parser.add_argument("--network", default="vit_small_patch16_224", help="an architecture of timm")
    parser.add_argument("--workers", type=int, default=2, help="of Ray (default 2)")
    parser.add_argument("--devices", help="in the place of Ray: several processes, as in cpu,cpu")
    parser.add_argument("--runs", type=int, default=1, help="runs of each; medians are printed")
    args = parser.parse_args()
    name, options = "ray", ["--engine", "ray", "--workers", str(args.workers)]
    if args.devices:
        name, options = args.devices, ["--device", args.devices]
    taken: dict[str, list[float]] = {"local": [], name: []}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder / "photographs", args.images)
        (folder / "net.py").write_text(NETWORK.format(args.network), encoding="utf-8")
        for run in range(args.runs):
            for engine, more in (("local", []), (name, options)):
                taken[engine].append(seconds(folder, folder / f"{engine}-{run}", more))
                print(f"{engine}: {taken[engine][-1]:.1f} s, load {os.getloadavg()[0]:.1f}", flush=True)
        same = len({fingerprint(folder / f"{engine}-{args.runs - 1}") for engine in taken}) == 1
    local, other = (statistics.median(times) for times in taken.values())
    print(f"{args.network}, {args.images} images: local {local:.1f} s, {name} {other:.1f} s: {other / local - 1:+.1%}")
    print("the caches are the same" if same else "the caches differ in bits")


if __name__ == "__main__":
    main()
