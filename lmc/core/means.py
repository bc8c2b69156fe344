"""Means over the rows of a table that are of one thing, and the runs or pairs that each is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lmc.core.schema import Column
from lmc.core.statistics import Estimate, estimate, paired

if TYPE_CHECKING:
    import pandas as pd

Which = tuple[tuple[str, str], ...]
"""What a row of a table of means is of: keys and texts."""


@dataclass(frozen=True)
class Mean:
    """An estimate, the seeds of the runs or pairs that it is over, and how many these are.

    Of a mean that was stored, only the number is known.
    """

    value: Estimate
    over: frozenset[tuple[int, ...]]
    count: int

    @property
    def compared(self) -> object:
        """Means that agree in this are over the same runs or pairs, as far as is known."""
        return self.over or self.count


Found = dict[Which, dict[str, Mean]]


def averaged(declared: Sequence[Column], table: pd.DataFrame, keys: list[str]) -> Found:
    """Means over runs, or over pairs of runs; within a run the mean over its parts (neurons) comes first."""
    runs = [column.name for column in declared if column.role == "run"]
    sides = [column.name for column in declared if column.name.startswith(("experiment", "epoch"))]
    values = [column.name for column in declared if column.role == "value"]
    found: Found = {}
    for which, part in _groups(table, keys):
        if runs:
            part = part.groupby([*sides, *runs], as_index=False, sort=False)[values].mean()
        found[which] = {value: _mean(part, value, runs) for value in values}
    return found


def _mean(part: pd.DataFrame, value: str, runs: list[str]) -> Mean:
    there = part[part[value].notna()]
    over = frozenset(there[runs].itertuples(index=False, name=None)) if runs else frozenset()
    return Mean(_estimate(part[value].astype(float), paired(part)), over, len(there))


def stored(declared: Sequence[Column], table: pd.DataFrame, keys: list[str]) -> Found:
    """Means that the table holds, a row each; without an interval their mean stands for the values."""
    quantities = [column.name for column in declared if column.role == "quantity"]
    counts = next((column.name for column in declared if column.role == "pairs"), None)
    found: Found = {}
    for which, part in _groups(table, keys):
        cells = {}
        for row in part.to_dict("records"):
            values = () if np.isnan(row["mean"]) else (float(row["mean"]),)
            quantity = " ".join(str(row[key]) for key in quantities if row[key])
            value = Estimate(float(row["mean"]), float(row["low"]), float(row["high"]), values)
            cells[quantity] = Mean(value, frozenset(), int(row[counts]) if counts else 0)
        found[which] = cells
    return found


def _groups(table: pd.DataFrame, keys: list[str]) -> Iterable[tuple[Which, Any]]:
    if not keys:
        return [((), table)] if len(table) else []
    return [
        (tuple(zip(keys, map(str, which), strict=True)), part)
        for which, part in table.groupby(list(keys), sort=False, dropna=False)
    ]


def _estimate(values: pd.Series[float], pairs: Sequence[tuple[object, object]] | None) -> Estimate:
    """As everywhere; a mean over infinite values has no interval."""
    if np.isinf(values).any():
        mean = float(values.dropna().mean())
        return Estimate(mean, np.nan, np.nan, () if np.isnan(mean) else (mean,))
    return estimate(values, pairs)


def counts(cells: Mapping[str, Mean], names: Iterable[str]) -> str:
    """Over how many runs or pairs a row's means are: one number, or the least and the most."""
    numbers = sorted({cells[name].count for name in names if name in cells and cells[name].value.values})
    if not numbers:
        return "0"
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
