"""Data frames with the declared columns and types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lmc.core.schema.kinds import TABLES

if TYPE_CHECKING:
    import pandas as pd


def columns(kind: str) -> list[str]:
    """The column names of a table."""
    return [column.name for column in TABLES[kind]]


def frame(kind: str, rows: Iterable[Mapping[str, Any]] | Mapping[str, Any]) -> pd.DataFrame:
    """A table of the declared columns and types; a missing float is NaN.

    Args:
        rows: one mapping per row; or one mapping of columns, where a single value stands for all rows.

    Raises:
        KeyError: an undeclared column, or one that is not a float is missing.
    """
    import pandas as pd

    declared = {column.name: column for column in TABLES[kind]}
    exact = {column.name for column in TABLES[kind] if column.dtype != "float64"}
    if isinstance(rows, Mapping):
        given: Mapping[str, Any] = rows
        length = max(
            (len(value) for value in rows.values() if not isinstance(value, (str, float, int))), default=1
        )
    else:
        listed = list(rows)
        names = {name for row in listed for name in row}
        given = {name: [row.get(name, float("nan")) for row in listed] for name in names}
        length = len(listed)
        lacking = {name for name in names for row in listed if name not in row}
        given = {name: value for name, value in given.items() if name not in lacking or name not in exact}
    extra = given.keys() - declared.keys()
    if extra:
        raise KeyError(f"table {kind} has no column {', '.join(sorted(extra))}")
    missing = [name for name in declared if length and name not in given and name in exact]
    if missing:
        raise KeyError(f"table {kind} lacks {', '.join(missing)}")
    index = pd.RangeIndex(length)
    data = {
        name: pd.Series(given.get(name, float("nan") if length else []), index=index, dtype=column.dtype)
        for name, column in declared.items()
    }
    return pd.DataFrame(data, columns=list(declared))


def concatenate(kind: str, frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Tables of one kind as one; an empty table with the declared columns when there are none."""
    import pandas as pd

    listed = [table for table in frames if len(table)]
    return pd.concat(listed, ignore_index=True) if listed else frame(kind, [])


def nearest_middle(table: pd.DataFrame) -> tuple[float, pd.DataFrame]:
    """The alpha of a table that is nearest to 1/2, and the rows at it."""
    alphas = table["alpha"].drop_duplicates().sort_values()
    alpha = float(alphas.iloc[int((alphas - 0.5).abs().round(9).to_numpy().argmin())])
    return alpha, table[table["alpha"] == alpha]
