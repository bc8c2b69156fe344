"""How many digits of an estimate are worth printing: its interval decides."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lmc.core.statistics import Estimate

_DIGITS = 3
_MOST_DIGITS = 5
_PLAIN = (1e-4, 1e6)


def shown(value: Estimate) -> tuple[list[str], list[str]]:
    """The mean and the ends of its interval as text; without one the values themselves, and no ends.

    The half width of the interval keeps two digits, and all numbers of an estimate have as many decimals;
    without a width the largest keeps three. Very small and very large numbers are written ``1.2e-5``, with
    one exponent for the mean and its ends. A mean of NaN gives two empty lists.
    """
    if math.isnan(value.mean):
        return [], []
    if math.isnan(value.low):
        return written(value.values or (value.mean,), 0.0), []
    numbers = written((value.mean, value.low, value.high), (value.high - value.low) / 2)
    return numbers[:1], numbers[1:]


def written(numbers: Sequence[float], width: float) -> list[str]:
    """Numbers as text, with as many decimals as a width needs; whole numbers without a width have none."""
    finite = [abs(number) for number in numbers if math.isfinite(number)]
    size = max(finite, default=0.0)
    if not size or (not width and size < _PLAIN[1] and all(number == int(number) for number in finite)):
        return [_plain(number, 0) for number in numbers]
    magnitude = math.floor(math.log10(size))
    kept = 1 - math.floor(math.log10(width)) if 0 < width < math.inf else _DIGITS - 1 - magnitude
    kept = min(kept, _MOST_DIGITS - 1 - magnitude)
    if _PLAIN[0] <= size < _PLAIN[1]:
        return [_plain(number, max(0, kept)) for number in numbers]
    decimals = max(0, kept + magnitude)
    return [f"{_plain(number / 10.0**magnitude, decimals)}e{magnitude}" for number in numbers]


def _plain(number: float, decimals: int) -> str:
    text = f"{number:.{decimals}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text
