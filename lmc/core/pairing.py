"""Which pairs a table speaks of, as intervals need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmc.core.statistics import paired

if TYPE_CHECKING:
    import pandas as pd

INTERVAL = "mean [95 % bootstrap], or the values below three pairs"


def run_pairs(table: pd.DataFrame) -> list[tuple[str, str]]:
    """The two runs of every row, as bootstrap needs them."""
    return paired(table) or []


def pair_count(table: pd.DataFrame) -> str:
    """How many pairs a table speaks of."""
    count = len(set(run_pairs(table)))
    return f"{count} pair" + ("s" if count != 1 else "")
