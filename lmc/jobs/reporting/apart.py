"""Several measurements of one experiment in a figure: told apart by name, or one of them chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lmc.core.schema import TABLES

if TYPE_CHECKING:
    import pandas as pd

_NAMES = ("experiment", "experiment_a", "experiment_b")
_UNLIKE = ("match", "similarity", "fixed_points")
_ROUNDING = 1e-6


def told_apart(kind: str, table: pd.DataFrame, name: Callable[[str], str] = str) -> pd.DataFrame:
    """A table whose experiments are called by name and by the settings in which its rows differ.

    Of the table ``match``, where only the permutation depends on the matcher, also by the matcher where it
    measured otherwise; else each pair's numbers are there once.
    """
    settings = [each.name for each in TABLES[kind].settings if each.name in table]
    if kind == "match" and len(table):
        table, settings = _matched(table, settings)
    suffixes = [
        "".join(f", {key}={text}" for key, text in zip(settings, texts, strict=True) if text)
        for texts in zip(*(table[key] for key in settings), strict=True)
    ] or [""] * len(table)
    sides = [side for side in _NAMES if side in table]
    named = {
        side: [f"{name(str(each))}{suffix}" for each, suffix in zip(table[side], suffixes, strict=True)]
        for side in sides
    }
    return table.assign(**named) if len(table) else table


def _matched(table: pd.DataFrame, settings: list[str]) -> tuple[pd.DataFrame, list[str]]:
    there = [column for column in TABLES["match"] if column.name in table and column.name not in _UNLIKE]
    keys = [column.name for column in there if column.role in ("key", "block", "run")]
    values = [column.name for column in there if column.role == "value"]
    groups = table.groupby([*keys, *settings], sort=False)
    most, least = groups[values].max(), groups[values].min()
    if ((most - least).abs() > _ROUNDING * (1 + most.abs())).to_numpy().any():
        return table, ["match", *settings]
    return groups.first().reset_index()[list(table.columns)], settings


def longest(kind: str, table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Of each two experiments the measurement that has most epochs, the last of several, and which it is."""
    settings = [each.name for each in TABLES[kind].settings if each.name in table]
    by = [*settings, *(["match"] if kind == "match" else [])]
    if not by or table.empty:
        return table, []
    kept, notes = [], []
    for names, part in table.groupby(["experiment_a", "experiment_b"], sort=False):
        several = list(part.groupby(by, sort=False))
        which, best = max(reversed(several), key=lambda each: (each[1]["epoch_b"].nunique(), len(each[1])))
        kept.append(best)
        if len(several) > 1 or settings:
            said = " ".join(f"{key}={text}" for key, text in zip(by, which, strict=True) if text)
            who = " and ".join(dict.fromkeys(map(str, names)))
            notes.append(f"{who}: beside the course, {kind} is that of {said}")
    import pandas as pd

    return pd.concat(kept).drop(columns=settings), notes
