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
from lmc.core.means import Found, Mean, averaged, counts, stored
from lmc.core.measurements import told_columns
from lmc.core.schema import TABLES, Column, Direction
from lmc.core.statistics import Estimate

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
    notes: Iterable[str] = (),
) -> Tabulated:
    """Means with their intervals of a table that is not averaged, or those that it holds already.

    Numbers are averaged over the parts of a run (neurons) first, then over runs or pairs of runs: intervals
    are those of ``lmc.core.statistics``. A quantity that no row has, and a key that says the same as
    another, are left out. Numbers are compared, and the best is marked, only within one measurement and
    over the same runs or pairs; where rows are over other numbers of them, each says over how many.

    Args:
        kind: whose columns are declared; ``table`` may lack some, and may have those of settings.
        name: shortens the name of an experiment.
        columns: the quantities wanted; None takes all.
        notes: what else is said of the table.
    """
    declared = told_columns(kind, table)
    keyed, keys = _keyed(declared, table, name)
    means = any(column.role == "mean" for column in declared)
    found = stored(declared, keyed, keys) if means else averaged(declared, keyed, keys)
    names = _quantities(found, columns)
    headings = tuple(Heading(quantity.replace("_", " "), TABLES[kind].best(quantity)) for quantity in names)
    blocks = _blocks(declared, list(map(dict, found)))
    same = {
        key: texts[0] for key in keys if len(texts := sorted({row[key] for row in map(dict, found)})) == 1
    }
    shown_keys = _telling([key for key in keys if key not in same or len(found) == 1], list(found))
    unit = _unit(declared)
    sizes = [counts(cells, names) for cells in found.values()] if unit else []
    sized = len(set(sizes)) > 1
    rows = [
        Row(
            (*(dict(which)[key] for key in shown_keys), *([sizes[place]] if sized else [])),
            tuple(Cell(cells[each].value) if each in cells else None for each in names),
            tuple(dict(which)[key] for key in blocks),
        )
        for place, (which, cells) in enumerate(found.items())
    ]
    marked, refused = _marked(rows, list(found.values()), names, headings)
    order = list(dict.fromkeys(row.block for row in rows))
    told = [*_notes(declared, len(found), headings, refused), *notes]
    return Tabulated(
        (*(key.replace("_", " ") for key in shown_keys), *([unit] if sized else [])),
        headings,
        tuple(sorted(marked, key=lambda row: order.index(row.block))),
        {key.replace("_", " "): text for key, text in same.items() if text != _MISSING and len(found) > 1},
        (*told[:1], *_size(sizes, unit), *told[1:]) if told else (),
    )


def _quantities(found: Found, columns: Iterable[str] | None) -> list[str]:
    """Those that are wanted and that some row has."""
    wanted = None if columns is None else set(columns)
    names = dict.fromkeys(quantity for cells in found.values() for quantity in cells)
    return [
        each
        for each in names
        if (wanted is None or each in wanted)
        and any(each in cells and cells[each].value.values for cells in found.values())
    ]


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
    if value is None or value != value or value == "":
        return _MISSING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


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


def _marked(
    rows: Sequence[Row],
    found: Sequence[Mapping[str, Mean]],
    names: Sequence[str],
    headings: Sequence[Heading],
) -> tuple[list[Row], bool]:
    """Rows with the best of each block's columns marked, and what prints the same as it.

    Nothing is marked among numbers that are over other runs or pairs; then the second is true.
    """
    best: dict[tuple[tuple[str, ...], int], str] = {}
    refused = False
    for block in {row.block for row in rows}:
        own = [cells for row, cells in zip(rows, found, strict=True) if row.block == block]
        for index, (name, heading) in enumerate(zip(names, headings, strict=True)):
            beside = [cells[name] for cells in own if name in cells and cells[name].value.values]
            values = [each.value for each in beside if not np.isnan(each.value.mean)]
            if not heading.best or len(values) < 2:
                continue
            if len({each.compared for each in beside}) > 1:
                refused = True
                continue
            pick = min if heading.best == "low" else max
            best[block, index] = _mean(pick(values, key=lambda value: value.mean))
    return [
        Row(
            row.keys,
            tuple(
                cell and Cell(cell.value, best.get((row.block, index)) == _mean(cell.value))
                for index, cell in enumerate(row.cells)
            ),
            row.block,
        )
        for row in rows
    ], refused


def _mean(value: Estimate) -> str:
    texts, _ = shown(value)
    return ", ".join(texts)


def _unit(declared: Sequence[Column]) -> str:
    """What means are over: runs, pairs, or nothing."""
    names = {column.name for column in declared if column.role in ("run", "pairs")}
    return "" if not names else "runs" if names == {"seed"} else "pairs"


def _size(sizes: Sequence[str], unit: str) -> Iterable[str]:
    if unit and len(set(sizes)) == 1 and sizes[0] != "0":
        yield f"{sizes[0]} {unit if sizes[0] != '1' else unit[:-1]} a row"


def _notes(
    declared: Sequence[Column], rows: int, headings: Sequence[Heading], refused: bool
) -> Iterable[str]:
    unit = _unit(declared)
    if not unit or not headings:
        return
    shared = ", or over the runs that they share" if unit == "pairs" else ""
    yield f"mean [95 % interval over {unit}{shared}], Student's t; no interval over one"
    ends = [heading.best for heading in headings]
    if any(ends) and rows > 1:
        listed = [text for end, text in (("low", "↓ the lowest"), ("high", "↑ the highest")) if end in ends]
        yield "bold: best of a column, " + ", ".join(listed)
    if refused:
        yield f"nothing is bold among means over different {unit}"
