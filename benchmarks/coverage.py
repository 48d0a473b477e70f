"""How often the 95 % interval of an AUROC holds the true value: simulated, beside DeLong's on the logit scale.

Scores are normal, those of OOD with the same spread as ID or with half or twice of it, whole or cut into 2 or 5 levels
(ties), for one OOD dataset and for the mean over four that share their ID rows.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtr, ndtri
from tabulate import tabulate

from moodbench.intervals import Z95, Interval, Sample, interval
from moodbench.ranking import Ranking

SIZES = ((50, 50), (500, 200), (2000, 100), (5000, 1000))
TINY = ((2000, 1), (2000, 2), (2000, 5), (5, 5))
AUROCS = (0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
LEVELS = (0, 2, 5)
SPREADS = (1.0, 0.5, 2.0)
SETS = (1, 4)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Law:
    """Where scores come from: ID is normal(shift, 1), OOD normal(0, spread), cut into `levels` (0: whole)."""

    auroc: float
    levels: int
    spread: float

    def thresholds(self, shift: float) -> Array:
        """Two levels are cut where both errors are equal, more levels evenly from -1 to the ID mean + 1."""
        if self.levels == 2:
            return np.array([shift * self.spread / (1 + self.spread)])
        return np.linspace(-1, shift + 1, self.levels - 1)

    def shares(self, shift: float) -> tuple[Array, Array]:
        """Return the shares of ID and of OOD rows on each level, (levels,)."""
        cuts = self.thresholds(shift)
        return np.diff(np.r_[0, ndtr(cuts - shift), 1]), np.diff(np.r_[0, ndtr(cuts / self.spread), 1])

    def shift(self) -> float:
        """Return the ID mean at which the AUROC, ties counting half, is the wanted one."""
        if not self.levels:
            return float(ndtri(self.auroc) * np.hypot(1, self.spread))

        def excess(shift: float) -> float:
            of_id, of_ood = self.shares(shift)
            return float(of_id @ (np.cumsum(of_ood) - of_ood / 2)) - self.auroc

        return float(brentq(excess, 0, 40))


@dataclass(frozen=True)
class Setting:
    """One cell of the simulation."""

    law: Law
    n_id: int
    n_ood: int
    sets: int
    repeats: int


@dataclass(frozen=True)
class Coverage:
    """Share of intervals that hold the true AUROC, and their mean width: ours, and DeLong's on the logit scale."""

    setting: Setting
    held: float
    width: float
    delong_held: float
    delong_width: float

    @property
    def falls_short(self) -> bool:
        """Whether the coverage is below 94 % by more than two standard errors of the simulation."""
        return self.held + 2 * math.sqrt(0.94 * 0.06 / self.setting.repeats) < 0.94


def delong(value: float, samples: Sequence[Sample]) -> Interval:
    """Return DeLong's interval on the logit scale; of a perfect ranking, where it has no width, the one-sided bound."""
    if value in (0.0, 1.0):
        bound = 0.05 ** (1 / min(one.rows for one in samples))
        return Interval(value, bound, 1.0) if value else Interval(value, 0.0, 1 - bound)
    variance = sum(one.weight**2 * one.squares / (one.rows - 1) / one.rows for one in samples if one.rows > 1)
    spread = Z95 * np.sqrt(variance) / (value * (1 - value))
    return Interval(value, float(expit(logit(value) - spread)), float(expit(logit(value) + spread)))


def simulate(setting: Setting) -> Coverage:
    """Draw scores again and again, and count the intervals that hold the truth."""
    law, truth = setting.law, setting.law.auroc
    seed = [int(1e4 * law.auroc), law.levels, int(2 * law.spread), setting.n_id, setting.n_ood, setting.sets]
    draw = _tied if law.levels else _whole
    counts = np.zeros(4)
    for value, samples in draw(setting, np.random.default_rng(seed)):
        for place, found in ((0, interval(value, samples)), (2, delong(value, samples))):
            counts[place] += found.low - 1e-12 <= truth <= found.high + 1e-12
            counts[place + 1] += found.high - found.low
    return Coverage(setting, *(counts / setting.repeats).tolist())


def _whole(setting: Setting, rng: np.random.Generator) -> Iterator[tuple[float, list[Sample]]]:
    """Yield the AUROC, and what `moodbench.ranking.mean_auroc` hands over with it, of scores without ties."""
    law, shift, k = setting.law, setting.law.shift(), setting.sets
    for _ in range(setting.repeats):
        ranked = Ranking(rng.normal(shift, 1, setting.n_id))
        against = [ranked.against(rng.normal(0, law.spread, setting.n_ood)) for _ in range(k)]
        of_id = Sample.of(np.mean([c.id_components for c in against], axis=0))
        yield (
            float(np.mean([c.auroc for c in against])),
            [of_id, *(Sample.of(c.ood_components, 1 / k) for c in against)],
        )


def _tied(setting: Setting, rng: np.random.Generator) -> Iterator[tuple[float, list[Sample]]]:
    """Yield the same of scores on a few levels, from how many rows fall on each: all repeats are drawn at once."""
    n, m, k = setting.n_id, setting.n_ood, setting.sets
    of_id, of_ood = setting.law.shares(setting.law.shift())
    id_rows = rng.multinomial(n, of_id, setting.repeats)  # (R, levels)
    ood_rows = rng.multinomial(m, of_ood, (setting.repeats, k))  # (R, sets, levels)
    won = ((np.cumsum(ood_rows, -1) - ood_rows / 2) / m).mean(1)  # of an ID row on each level, mean over the sets
    lost = 1 - (np.cumsum(id_rows, -1) - id_rows / 2) / n  # of OOD rows: the share of ID rows above
    value = (id_rows * won).sum(-1) / n
    each = (ood_rows * lost[:, None]).sum(-1) / m
    squares_id = (id_rows * (won - value[:, None]) ** 2).sum(-1)
    squares_ood = (ood_rows * (lost[:, None] - each[..., None]) ** 2).sum(-1)
    for one, of_all, by_set in zip(value.tolist(), squares_id.tolist(), squares_ood.tolist(), strict=True):
        yield min(1.0, one), [Sample(n, of_all), *(Sample(m, squares, 1 / k) for squares in by_set)]


def settings(repeats: int) -> Iterator[Setting]:
    """Yield every cell: the sizes with all laws, and tiny sets."""
    for (n_id, n_ood), auroc, levels, spread, sets in product(SIZES, AUROCS, LEVELS, SPREADS, SETS):
        yield Setting(Law(auroc, levels, spread), n_id, n_ood, sets, repeats)
    for (n_id, n_ood), auroc, levels in product(TINY, AUROCS, LEVELS):
        yield Setting(Law(auroc, levels, 1.0), n_id, n_ood, 1, repeats)


def main() -> int:
    """Print the least coverage of each size and kind of ties; exit 1 where it falls short of 94 %."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2000)
    options = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        found = list(pool.map(simulate, settings(options.repeats), chunksize=4))
    rows = []
    for n_id, n_ood in (*SIZES, *TINY):
        for levels in LEVELS:
            ours = [
                c for c in found if (c.setting.n_id, c.setting.n_ood, c.setting.law.levels) == (n_id, n_ood, levels)
            ]
            least, other = min(ours, key=lambda c: c.held), min(ours, key=lambda c: c.delong_held)
            wide = [_ratio(ours, auroc) for auroc in (0.9, 0.99)]
            rows.append([n_id, n_ood, levels or "none", _cell(least), _percent(other.delong_held), *wide])
    headers = ["ID rows", "OOD rows", "levels", "least coverage", "DeLong's least", "width at 0.9", "width at 0.99"]
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True))
    short = [c for c in found if c.falls_short]
    for one in short:
        print(f"falls short: {one}", file=sys.stderr)
    return int(bool(short))


def _cell(least: Coverage) -> str:
    law = least.setting.law
    return f"{_percent(least.held)} (AUROC {law.auroc:g}, spread {law.spread:g}, sets {least.setting.sets})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _ratio(found: list[Coverage], auroc: float) -> str:
    """Return our mean width over DeLong's, one OOD dataset and equal spreads."""
    wanted = [c for c in found if (c.setting.law.auroc, c.setting.law.spread, c.setting.sets) == (auroc, 1.0, 1)]
    return f"{wanted[0].width / wanted[0].delong_width:.2f}" if wanted[0].delong_width else "DeLong's is 0"


if __name__ == "__main__":
    sys.exit(main())
