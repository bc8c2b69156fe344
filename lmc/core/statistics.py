"""Means and ratios with their 95 % intervals, the same way everywhere: Student's t over independent units.

A unit is what is independent of the rest: a run; a pair of runs where no two pairs share one; an outer seed
of a nested design. Pairs that share runs are no units; then every run is left out in turn (jackknife), with
one degree of freedom fewer than there are runs (Efron and Stein, The Jackknife Estimate of Variance, 1981).
On normal data the intervals cover .95; the jackknife up to .99, where runs differ little beside what every
pair adds by itself. On exponential data they cover .88 to .98. Percentile bootstraps of three to eight units
cover .75 to .89, so there are none here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    Pairs = Sequence[tuple[Hashable, Hashable]]

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean, a ratio of sums or a rank correlation with its 95 % interval.

    Attributes:
        low, high: NaN where there is no interval: one unit, infinite values, pairs that all share one run,
            a ratio whose denominator may be zero. Print ``values`` then.
        values: one number per row that was used.
        units: how many independent units the interval rests on (0: not known).
        parts: per row what it hangs on and its part in the deviation, so that two estimates of the same rows
            can be compared row by row.
    """

    mean: float
    low: float
    high: float
    values: tuple[float, ...]
    units: int = 0
    parts: tuple[tuple[frozenset[Hashable], float], ...] = field(default=(), repr=False, compare=False)

    @property
    def ends(self) -> tuple[float, float]:
        """What a figure draws: the interval, or below three units the range of the values.

        The interval of two units reaches 12.7 standard errors to either side and would hide the rest.
        """
        if not self.values or self.units > 2 or (self.units == 0 and not np.isnan(self.low)):
            return self.low, self.high
        return min(self.values), max(self.values)

    def __str__(self) -> str:
        if not self.values or np.isnan(self.mean):
            return "-"
        if np.isnan(self.low):
            return ", ".join(f"{value:.3g}" for value in self.values)
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


def estimate(
    values: Iterable[float], pairs: Pairs | None = None, outer: Sequence[Hashable] | None = None
) -> Estimate:
    """Mean of one value per row, with its interval.

    Args:
        values: NaN is left out, with its row.
        pairs: the two runs of each row, equal for a row of one run. Rows of the same pair are one unit;
            pairs that share runs are jackknifed over runs. None: every row is a unit.
        outer: the outer unit of each row in a nested design (the seed of masks and data that several pairs
            share); rows of one outer unit are one unit, whatever their pairs.
    """
    data = np.asarray(list(values), dtype=float)
    return ratio(data, np.ones_like(data), pairs, outer)


def ratio(
    above: Iterable[float],
    below: Iterable[float],
    pairs: Pairs | None = None,
    outer: Sequence[Hashable] | None = None,
) -> Estimate:
    """``sum(above) / sum(below)`` with its interval; not the mean of ratios, which a small denominator ruins.

    The interval is that of the linearised ratio, the mean of ``(above - ratio * below) / mean(below)`` over
    the units (delta method; Cochran, Sampling Techniques, ch. 6). There is none where the interval of
    ``mean(below)`` reaches zero: then no value of the ratio can be ruled out (Fieller).

    Args:
        above, below: one number each per row; a row with NaN in either is left out.
        pairs, outer: as in ``estimate``.
    """
    top, bottom = (np.asarray(list(side), dtype=float) for side in (above, below))
    keep = ~(np.isnan(top) | np.isnan(bottom))
    units = [unit for unit, good in zip(_units(len(keep), pairs, outer), keep, strict=True) if good]
    top, bottom = top[keep], bottom[keep]
    total = bottom.sum()
    if not len(top) or total == 0:
        return Estimate(np.nan, np.nan, np.nan, ())
    with np.errstate(divide="ignore", invalid="ignore"):
        values = top / bottom
        mean = float(top.sum() / total)
    kept = tuple(float(value) for value in values)
    if not np.isfinite([top.sum(), total]).all():
        return Estimate(mean, np.nan, np.nan, kept)
    residuals = (top - mean * bottom) / bottom.mean()
    half, count = _half_width(residuals, units)
    doubt, _ = _half_width(bottom - bottom.mean(), units)
    if not doubt < abs(bottom.mean()):
        half = np.nan
    parts = tuple(zip(units, residuals.tolist(), strict=True))
    return Estimate(mean, mean - half, mean + half, kept, count, parts)


def difference(first: Estimate, second: Estimate, factor: float = 1.0) -> Estimate:
    """``first - factor * second`` with its interval.

    Row by row where both are of the same rows (two matchers of the same pairs); else the two are independent
    (Welch, with Satterthwaite's degrees of freedom). No interval where either has none.
    """
    mean = first.mean - factor * second.mean
    rows = [unit for unit, _ in first.parts]
    if rows and rows == [unit for unit, _ in second.parts]:
        a, b = (np.array([part for _, part in each.parts]) for each in (first, second))
        half, count = _half_width(a - factor * b, rows)
        half = np.nan if np.isnan([first.low, second.low]).any() else half
    else:
        half, count = _welch(first, second, factor)
    return Estimate(mean, mean - half, mean + half, (mean,), count)


def _welch(first: Estimate, second: Estimate, factor: float) -> tuple[float, int]:
    from scipy.special import stdtrit

    count, tail = first.units + second.units, (1 + LEVEL) / 2
    if min(first.units, second.units) < 2:
        return np.nan, count
    freedom = np.array([first.units - 1, second.units - 1])
    half = np.array([first.high - first.low, abs(factor) * (second.high - second.low)]) / 2
    squares = (half / stdtrit(freedom, tail)) ** 2
    if not squares.sum() > 0:
        return float(squares.sum()), count
    return float(
        stdtrit(squares.sum() ** 2 / (squares**2 / freedom).sum(), tail) * np.sqrt(squares.sum())
    ), count


def _units(rows: int, pairs: Pairs | None, outer: Sequence[Hashable] | None) -> list[frozenset[Hashable]]:
    """What each row hangs on: its outer unit, its runs, or itself."""
    if outer is not None:
        return [frozenset([each]) for each in outer]
    return [frozenset([row]) for row in range(rows)] if pairs is None else list(map(frozenset, pairs))


def _half_width(residuals: np.ndarray, units: Sequence[frozenset[Hashable]]) -> tuple[float, int]:
    """Half of the interval of a mean from each row's part in its deviation, and the number of units."""
    from scipy.special import stdtrit

    runs = {run: place for place, run in enumerate(dict.fromkeys(run for unit in units for run in unit))}
    distinct = {unit: place for place, unit in enumerate(dict.fromkeys(units))}
    shared = len(runs) < sum(map(len, distinct))
    places = [[runs[run] for run in unit] if shared else [distinct[unit]] for unit in units]
    rows = np.repeat(np.arange(len(units)), list(map(len, places)))
    of, count = np.concatenate(places), len(runs if shared else distinct)
    rest = len(units) - np.bincount(of, minlength=count)
    if count < 2 or not rest.all():
        return np.nan, count
    sums = np.bincount(of, weights=residuals[rows], minlength=count)
    if shared:
        variance = (count - 1) / count * ((sums / rest) ** 2).sum()
    else:
        variance = count / (count - 1) * ((sums / len(units)) ** 2).sum()
    return float(stdtrit(count - 1, (1 + LEVEL) / 2) * np.sqrt(variance)), count


def paired(table: pd.DataFrame) -> list[tuple[str, str]] | None:
    """The two runs of each row, as ``estimate`` needs them, or its one run twice; None for other tables."""

    def side(end: str) -> pd.Series[str]:
        return table[f"experiment{end}"].astype(str) + "/" + table[f"seed{end}"].astype(str)

    ends = ("_a", "_b") if "seed_a" in table else ("", "")
    if f"seed{ends[0]}" not in table:
        return None
    return list(zip(*map(side, ends), strict=True))
