"""Rank correlations over cases with intervals that are honest for few of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmc.core.statistics import LEVEL, Estimate

FEWEST_CASES = 5


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> Estimate:
    """Spearman's rho over cases with Fisher's z interval and the variance ``(1 + rho^2 / 2) / (cases - 3)``.

    Source: Bonett and Wright, Sample size requirements for estimating Pearson, Kendall and Spearman
    correlations (2000). A perfect order counts as rho half a step below 1, so that few cases do not make it
    certain; below ``FEWEST_CASES`` there is no interval. Cases are taken as drawn at random. Beyond .95 the
    interval is too narrow (it covers .81 to .91 at 6 to 18 normal cases of correlation .99).

    Returns:
        rho, its interval, and ``units``: the number of cases; NaN below three or where a side is constant.
    """
    first, second = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    count, rho = len(first), _rho(first, second)
    if np.isnan(rho):
        return Estimate(np.nan, np.nan, np.nan, (), count)
    if count < FEWEST_CASES:
        return Estimate(rho, np.nan, np.nan, (rho,), count)
    low, high = _fisher(rho, count)
    return Estimate(rho, low, high, (rho,) * count, count)


def _fisher(rho: float, count: int) -> tuple[float, float]:
    from scipy.special import ndtri

    inside = 1 - 6 / (count**3 - count)
    z = np.arctanh(np.clip(rho, -inside, inside))
    half = ndtri((1 + LEVEL) / 2) * np.sqrt((1 + rho**2 / 2) / (count - 3))
    low, high = np.tanh(z - half), np.tanh(z + half)
    return min(float(low), rho), max(float(high), rho)


def rank_gain(x: Sequence[float], trivial: Sequence[float], y: Sequence[float]) -> Estimate:
    """How much better ``x`` ranks ``y`` than ``trivial`` does: the difference of the two rhos.

    The interval leaves each case out in turn (jackknife, Student's t with one degree of freedom fewer than
    cases), as both rhos are of the same cases. NaN where either rho is; none below ``FEWEST_CASES``.
    """
    from scipy.special import stdtrit

    three = np.array([x, trivial, y], dtype=float)
    count = three.shape[1]
    gain = _rho(three[0], three[2]) - _rho(three[1], three[2])
    if np.isnan(gain) or count < FEWEST_CASES:
        return Estimate(gain, np.nan, np.nan, (gain,), count)
    left = [np.delete(three, case, axis=1) for case in range(count)]
    without = np.array([_rho(each[0], each[2]) - _rho(each[1], each[2]) for each in left])
    error = np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum())
    half = float(stdtrit(count - 1, (1 + LEVEL) / 2) * error)
    return Estimate(gain, gain - half, gain + half, (gain,) * count, count)


def _rho(x: np.ndarray, y: np.ndarray) -> float:
    from scipy.stats import spearmanr

    if len(x) < 3 or not (np.ptp(x) > 0 and np.ptp(y) > 0):
        return float("nan")
    return float(spearmanr(x, y).statistic)
