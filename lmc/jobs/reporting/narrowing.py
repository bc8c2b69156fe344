"""The rows and columns of a stored table that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lmc.core.errors import raise_together
from lmc.core.names import unknown
from lmc.core.schema import TABLES
from lmc.jobs.reporting.selection import having, where_faults

if TYPE_CHECKING:
    import pandas as pd


def narrowing(
    kind: str, columns: str | list[str] | None, where: Mapping[str, Any], found: pd.DataFrame
) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """What ``where`` and ``columns`` leave of a table.

    Raises:
        SettingError: a column or quantity that the table does not have; all are named.
    """
    declared = {column.name: column for column in TABLES[kind]}
    wanted = [columns] if isinstance(columns, str) else columns
    faults = where_faults([kind], where)
    long = "quantity" in declared
    if wanted is not None:
        there = (
            sorted(found["quantity"].unique())
            if long
            else [name for name, column in declared.items() if column.role == "value"]
        )
        faults += [unknown("columns", name, there) for name in wanted if name not in there]
    raise_together(faults)

    def narrow(table: pd.DataFrame) -> pd.DataFrame:
        table = having(table, where)
        if wanted is None:
            return table.reset_index(drop=True)
        if long:
            return table[table["quantity"].isin(wanted)].reset_index(drop=True)
        left_out = {name for name, column in declared.items() if column.role == "value"} - {*wanted}
        kept = [name for name in table.columns if name not in left_out]
        return table[kept].reset_index(drop=True)

    return narrow
