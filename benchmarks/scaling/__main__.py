"""Predictions for extraction and scoring past one machine, and a simulation of shard plans: `--help`.

Prints the tables of docs/scaling.md; with --write puts them there. They come from the constants of
`benchmarks/scaling/constants.py`, the same on every machine. --measure measures here what of these can be measured
(a minute on a machine that does nothing else). --replay simulates one plan; --compare holds the
simulation against runs of processes here.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.scaling.page import PAGE, TABLES, filled, table
from benchmarks.scaling.simulate import Workers, plan, replay


def main(given: Sequence[str] | None = None) -> None:
    """Predict, measure or replay, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"by default all: {', '.join(TABLES)}")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scaling.md")
    parser.add_argument("--measure", action="store_true", help="measure constants on this machine")
    parser.add_argument("--pictures", type=int, default=96, help="photographs to measure decoding with (default 96)")
    parser.add_argument("--runs", type=int, default=5, help="of what is measured; the median is taken")
    parser.add_argument(
        "--compare", type=int, metavar="IMAGES", help="run as well as replay: a real run of so many images"
    )
    parser.add_argument("--replay", type=int, metavar="IMAGES", help="simulate the extraction of so many images")
    parser.add_argument("--rows-per-shard", type=int, default=16_384)
    parser.add_argument("--workers", type=int, help="one a GPU (default 8; of --compare 2)")
    parser.add_argument("--rate", type=float, default=333, help="images a second of a worker (default 333)")
    parser.add_argument("--deaths", type=float, help="an hour and worker")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(given)
    unknown = sorted({*args.tables} - {*TABLES})
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(TABLES)}")
    if args.measure:
        from benchmarks.scaling.measure import measured

        print(json.dumps({"machine": platform.processor(), **measured(args.pictures, args.runs)}, indent=2))
    elif args.compare is not None:
        from benchmarks.scaling.real import compared

        print(json.dumps(compared(args.compare, args.workers or 2, args.compare // 24, args.compare // 4), indent=2))
    elif args.replay is not None:
        workers = Workers(args.workers or 8, 1 / args.rate, **({} if args.deaths is None else {"deaths": args.deaths}))
        found = replay(plan(args.replay, args.rows_per_shard), workers, args.seed)
        print(json.dumps({**asdict(found), "efficiency": found.efficiency}, indent=2))
    elif args.write:
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print("\n\n".join(f"{name}\n\n{table(name)}" for name in args.tables or TABLES))


if __name__ == "__main__":
    main()
