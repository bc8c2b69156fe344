"""Which pairs a table speaks of, and what its intervals are over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmc.core.statistics import paired

if TYPE_CHECKING:
    import pandas as pd

INTERVAL = "mean [95 % interval, Student's t]"


def run_pairs(table: pd.DataFrame) -> list[tuple[str, str]]:
    """The two runs of every row, as intervals need them."""
    return paired(table) or []


def pair_count(table: pd.DataFrame) -> str:
    """How many pairs a table speaks of."""
    count = len(set(run_pairs(table)))
    return f"{count} pair" + ("s" if count != 1 else "")


def interval_over(table: pd.DataFrame) -> str:
    """What the intervals of a table of pairs are over: pairs, or runs where pairs share them."""
    pairs = {frozenset(pair) for pair in run_pairs(table)}
    if len(pairs) == 1:
        return "no interval over one pair"
    shared = len({run for pair in pairs for run in pair}) < sum(map(len, pairs))
    return f"{INTERVAL} over " + ("the runs that pairs share" if shared else "pairs")
