"""Means with their intervals, the same way everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over pairs of runs with its percentile bootstrap interval.

    ``low`` and ``high`` are NaN below three values; print ``values`` then.
    """

    mean: float
    low: float
    high: float
    values: tuple[float, ...]

    @property
    def ends(self) -> tuple[float, float]:
        """The interval, or below three values their range; NaN where there is none."""
        if not np.isnan(self.low) or not self.values:
            return self.low, self.high
        return min(self.values), max(self.values)

    def __str__(self) -> str:
        if not self.values or np.isnan(self.mean):
            return "-"
        if np.isnan(self.low):
            return ", ".join(f"{value:.3g}" for value in self.values)
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


def estimate(
    values: Iterable[float], pairs: Sequence[tuple[object, object]] | None = None, seed: int = 0
) -> Estimate:
    """Mean and 95 % percentile bootstrap interval of one value per pair.

    Pairs that share no run are independent and are resampled themselves. Pairs that share runs are
    not: then runs are resampled, and a pair counts as often as both its runs were drawn
    (pairs of a run with itself are dropped). Below three values no interval is given.

    Args:
        values: one finite or NaN number per pair; NaN is left out.
        pairs: the two runs of each value; None when the values are independent.
    """
    data = np.asarray(list(values), dtype=float)
    keep = ~np.isnan(data)
    kept = tuple(float(value) for value in data[keep])
    if len(kept) < 3:
        return Estimate(float(np.mean(kept)) if kept else np.nan, np.nan, np.nan, kept)
    sample = np.array(kept)
    rng = np.random.default_rng(seed)
    used = None if pairs is None else [pair for pair, good in zip(pairs, keep, strict=True) if good]
    if used is None or len({run for pair in used for run in pair}) == 2 * len(used):
        means = sample[rng.integers(len(sample), size=(RESAMPLES, len(sample)))].mean(axis=1)
    else:
        means = _over_runs(sample, used, rng)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Estimate(float(sample.mean()), float(low), float(high), kept)


def _over_runs(
    sample: np.ndarray, pairs: Sequence[tuple[object, object]], rng: np.random.Generator
) -> np.ndarray:
    runs = list(dict.fromkeys(run for pair in pairs for run in pair))
    place = {run: index for index, run in enumerate(runs)}
    first = np.array([place[a] for a, _ in pairs])
    second = np.array([place[b] for _, b in pairs])
    counts = rng.multinomial(len(runs), np.full(len(runs), 1 / len(runs)), size=RESAMPLES)
    weights = counts[:, first] * counts[:, second]
    total = weights.sum(axis=1)
    drawn = total > 0
    return (weights[drawn] @ sample) / total[drawn]


def paired(table: pd.DataFrame) -> list[tuple[str, str]] | None:
    """The two runs of each row, as ``estimate`` needs them; None for a table of single runs."""
    if "seed_a" not in table:
        return None
    sides = (
        table[f"experiment_{side}"].astype(str) + "/" + table[f"seed_{side}"].astype(str) for side in "ab"
    )
    return list(zip(*sides, strict=True))


def rank_correlation(x: Sequence[float], y: Sequence[float], seed: int = 0) -> Estimate:
    """Spearman's rho with a 95 % percentile bootstrap interval over cases.

    Resamples in which either side is constant have no rho and are left out. NaN below three cases.
    """
    from scipy.stats import rankdata

    first, second = np.asarray(x, dtype=float), np.asarray(y, dtype=float)

    def rho(rows: np.ndarray) -> float:
        a, b = rankdata(first[rows]), rankdata(second[rows])
        return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else np.nan

    count = len(first)
    value = rho(np.arange(count)) if count > 2 else np.nan
    rng = np.random.default_rng(seed)
    drawn = [rho(rows) for rows in rng.integers(count, size=(1000, count))] if count > 2 else [np.nan]
    drawn = [each for each in drawn if not np.isnan(each)] or [np.nan]
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high), (value,) * count)
