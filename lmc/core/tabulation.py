"""A tidy table as a table of means: one row a group, one column a quantity, the best of each column marked.

The roles of the columns (``lmc.core.schema``) say what is a group, what is averaged over, and which end of a
quantity is best, so every table there is, and every table to come, is tabulated by the same function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lmc.core.digits import shown
from lmc.core.schema import TABLES, Column, Direction
from lmc.core.statistics import Estimate, estimate, paired

if TYPE_CHECKING:
    import pandas as pd


_MISSING = "-"


@dataclass(frozen=True)
class Heading:
    """A quantity, and which end of it is best."""

    name: str
    best: Direction | None


@dataclass(frozen=True)
class Cell:
    """An estimate, and whether it is the best of its column and block."""

    value: Estimate
    best: bool = False


@dataclass(frozen=True)
class Row:
    """What the row is of, a text a key, and its cells; rows of one ``block`` are compared."""

    keys: tuple[str, ...]
    cells: tuple[Cell | None, ...]
    block: tuple[str, ...]


@dataclass(frozen=True)
class Tabulated:
    """``keys`` and ``headings`` are the columns; ``same`` holds the keys that all rows share."""

    keys: tuple[str, ...]
    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]
    same: Mapping[str, str]
    notes: tuple[str, ...]


def tabulate(
    kind: str,
    table: pd.DataFrame,
    name: Callable[[str], str] = str,
    columns: Iterable[str] | None = None,
) -> Tabulated:
    """Means with their intervals of a table that is not averaged, or those that it holds already.

    Numbers are averaged over the parts of a run (neurons) first, then over runs or pairs of runs: intervals
    are those of ``lmc.core.statistics``. A quantity that no row has, and a key that says the same as
    another, are left out.

    Args:
        kind: whose columns are declared; ``table`` may lack some.
        name: shortens the name of an experiment.
        columns: the quantities wanted; None takes all.
    """
    declared = [column for column in TABLES[kind] if column.name in table.columns]
    wanted = None if columns is None else set(columns)
    keyed, keys = _keyed(declared, table, name)
    means = [column.name for column in declared if column.role == "mean"]
    found = _stored(declared, keyed, keys) if means else _averaged(declared, keyed, keys)
    names = list(dict.fromkeys(quantity for cells in found.values() for quantity in cells))
    names = [
        quantity
        for quantity in names
        if (wanted is None or quantity in wanted)
        and any(quantity in cells and cells[quantity].values for cells in found.values())
    ]
    headings = tuple(Heading(quantity.replace("_", " "), TABLES[kind].best(quantity)) for quantity in names)
    blocks = _blocks(declared, list(map(dict, found)))
    same = {
        key: texts[0] for key in keys if len(texts := sorted({row[key] for row in map(dict, found)})) == 1
    }
    shown_keys = _telling([key for key in keys if key not in same or len(found) == 1], list(found))
    rows = [
        Row(
            tuple(dict(which)[key] for key in shown_keys),
            tuple(Cell(cells[quantity]) if quantity in cells else None for quantity in names),
            tuple(dict(which)[key] for key in blocks),
        )
        for which, cells in found.items()
    ]
    order = list(dict.fromkeys(row.block for row in rows))
    rows = sorted(rows, key=lambda row: order.index(row.block))
    if len(found) == 1:
        same = {}
    return Tabulated(
        tuple(key.replace("_", " ") for key in shown_keys),
        headings,
        tuple(_marked(rows, headings)),
        {key.replace("_", " "): text for key, text in same.items() if text != _MISSING},
        tuple(_notes(declared, found, headings)),
    )


_Found = dict[tuple[tuple[str, str], ...], dict[str, Estimate]]


def _keyed(
    declared: Sequence[Column], table: pd.DataFrame, name: Callable[[str], str]
) -> tuple[pd.DataFrame, list[str]]:
    """The table with what its rows are of as text, blocks first; the two sides of a pair are one key."""
    made = table.copy(deep=False)
    keys: list[str] = []
    for roles in (("block", "along"), ("key", "text")):
        for column in declared:
            if column.role not in roles:
                continue
            key = column.name
            if key.endswith("_b") and f"{key[:-2]}_a" in table.columns:
                continue
            if key.endswith("_a"):
                key = key[:-2]
                sides = zip(*(map(_text, table[f"{key}_{side}"]) for side in "ab"), strict=True)
                made[key] = [name(a) if a == b else f"{name(a)} and {name(b)}" for a, b in sides]
            else:
                text = name if key == "experiment" else str
                made[key] = [text(_text(value)) for value in table[key]]
            keys.append(key)
    return made, keys


def _text(value: Any) -> str:
    if value is None or value != value:
        return _MISSING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _averaged(declared: Sequence[Column], table: pd.DataFrame, keys: list[str]) -> _Found:
    """Estimates over runs, or over pairs of runs."""
    runs = [column.name for column in declared if column.role == "run"]
    sides = [column.name for column in declared if column.name.startswith(("experiment", "epoch"))]
    values = [column.name for column in declared if column.role == "value"]
    found: _Found = {}
    for which, part in _groups(table, keys):
        if runs:
            part = part.groupby([*sides, *runs], as_index=False, sort=False)[values].mean()
        found[which] = {value: _estimate(part[value].astype(float), paired(part)) for value in values}
    return found


def _stored(declared: Sequence[Column], table: pd.DataFrame, keys: list[str]) -> _Found:
    """Estimates that the table holds, a row each; without an interval their mean stands for the values."""
    quantities = [column.name for column in declared if column.role == "quantity"]
    found: _Found = {}
    for which, part in _groups(table, keys):
        cells = {}
        for row in part.to_dict("records"):
            values = () if np.isnan(row["mean"]) else (float(row["mean"]),)
            quantity = " ".join(str(row[key]) for key in quantities if row[key])
            cells[quantity] = Estimate(float(row["mean"]), float(row["low"]), float(row["high"]), values)
        found[which] = cells
    return found


def _groups(table: pd.DataFrame, keys: list[str]) -> Iterable[tuple[tuple[tuple[str, str], ...], Any]]:
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


def _blocks(declared: Sequence[Column], rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The keys within which numbers are compared; the epoch too, where an experiment has several."""
    blocks = [column.name for column in declared if column.role in ("block", "along")]
    if rows and {"experiment", "epoch"} <= rows[0].keys():
        epochs = {(row["experiment"], row["epoch"]) for row in rows}
        if len(epochs) > len({row["experiment"] for row in rows}):
            return [*blocks, "epoch"]
    return blocks


def _telling(keys: list[str], rows: Sequence[tuple[tuple[str, str], ...]]) -> list[str]:
    """The keys without those that repeat a later one in every row."""
    texts = {key: tuple(dict(row)[key] for row in rows) for key in keys}
    return [
        key
        for index, key in enumerate(keys)
        if not rows or texts[key] not in (texts[later] for later in keys[index + 1 :])
    ]


def _marked(rows: Sequence[Row], headings: Sequence[Heading]) -> Iterable[Row]:
    """Rows with the best of each block's columns marked, and what prints the same as it."""
    best: dict[tuple[tuple[str, ...], int], str] = {}
    for block in {row.block for row in rows}:
        for index, heading in enumerate(headings):
            beside = [row.cells[index] for row in rows if row.block == block]
            values = [cell.value for cell in beside if cell is not None and not np.isnan(cell.value.mean)]
            if heading.best and len(values) > 1:
                pick = min if heading.best == "low" else max
                best[block, index] = _mean(pick(values, key=lambda value: value.mean))
    for row in rows:
        cells = tuple(
            cell
            and Cell(cell.value, (row.block, index) in best and _mean(cell.value) == best[row.block, index])
            for index, cell in enumerate(row.cells)
        )
        yield Row(row.keys, cells, row.block)


def _mean(value: Estimate) -> str:
    texts, _ = shown(value)
    return ", ".join(texts)


def _notes(declared: Sequence[Column], found: _Found, headings: Sequence[Heading]) -> Iterable[str]:
    names = {column.name for column in declared if column.role in ("run", "pairs")}
    if not names or not headings:
        return
    what = "runs" if names == {"seed"} else "pairs"
    shared = ", or over the runs that they share" if what == "pairs" else ""
    yield f"mean [95 % interval over {what}{shared}], Student's t; no interval over one"
    if "pairs" not in names:
        counts = sorted(
            {len(value.values) for cells in found.values() for value in cells.values() if value.values}
        )
        if counts:
            number = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
            yield f"{number} {what if counts[-1] > 1 else what[:-1]} a row"
    ends = [heading.best for heading in headings]
    if any(ends) and len(found) > 1:
        listed = [text for end, text in (("low", "↓ the lowest"), ("high", "↑ the highest")) if end in ends]
        yield "bold: best of a column, " + ", ".join(listed)
