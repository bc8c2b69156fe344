"""Tables of many jobs as one: what is the same measurement, what is another, and which of two stands.

A row is a fact of its keys and of the settings of the job that made it (``Table.settings``). Jobs that
measured the same are joined fact by fact, the last one first. Of two lines, or two samples, of the same
runs the finer stands where it has all that the coarser has. Whatever else differs stays apart: the setting
becomes a column. So a mean is over rows of one measurement, and a curve over points of one grid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lmc.core.schema import TABLES, Column, Setting, frame

if TYPE_CHECKING:
    import pandas as pd

JOB = "job"
"""Which of the joined tables a row is of, in the order of their time; only while they are joined."""
_SAME = ("key", "block", "along", "run", "unit", "quantity")


@dataclass(frozen=True)
class Source:
    """What is known of the job that made a table: its settings, and the pairs of a mean.

    Attributes:
        pairs: (``EXPERIMENT/SEED/EPOCH``, the same of the other run).
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    pairs: Sequence[Sequence[str]] = ()


def joined(kind: str, parts: Iterable[tuple[pd.DataFrame, Source]]) -> pd.DataFrame:
    """All rows of some tables, the oldest first, with a column for every setting of their jobs.

    The settings' columns are text, empty in rows that do not depend on them.
    """
    import pandas as pd

    listed = [(table, source) for table, source in parts if len(table)]
    named = [setting.name for setting in TABLES[kind].settings]
    if not listed:
        return frame(kind, []).assign(**{name: pd.Series(dtype="str") for name in named}, **{JOB: 0})
    told = [
        table.assign(**{each.name: _column(each, table, source) for each in TABLES[kind].settings}, job=job)
        for job, (table, source) in enumerate(listed)
    ]
    return pd.concat(told, ignore_index=True)


def _column(setting: Setting, table: pd.DataFrame, source: Source) -> pd.Series[str]:
    import pandas as pd

    if setting.of_pairs:
        sides = zip(table["experiment_a"], table["experiment_b"], strict=True)
        texts = [_of_pairs(setting.of_pairs, names, source.pairs) for names in sides]
        return pd.Series(texts, index=table.index, dtype="str")
    depends = np.ones(len(table), dtype=bool)
    if setting.rows is not None:
        depends &= table[setting.rows[0]].isin(setting.rows[1]).to_numpy()
    if setting.columns:
        depends &= table[list(setting.columns)].notna().any(axis=1).to_numpy()
    return pd.Series(np.where(depends, setting.value(source.settings), ""), index=table.index, dtype="str")


def _of_pairs(what: str, names: tuple[str, str], pairs: Sequence[Sequence[str]]) -> str:
    """The pairs of two experiments: their seeds, or their epochs."""
    keys = [tuple(key.rsplit("/", 2) for key in pair) for pair in pairs]
    own = [(a, b) for a, b in keys if (a[0], b[0]) == names]
    if what == "over":
        return " ".join(f"{a[1]}-{b[1]}" for a, b in own) or "?"
    return " ".join(dict.fromkeys(run[2] for pair in own for run in pair)) or "?"


def telling(kind: str, table: pd.DataFrame) -> pd.DataFrame:
    """A joined table without the settings in which all rows agree that depend on them."""
    names = [setting.name for setting in TABLES[kind].settings if setting.name in table]
    same = [name for name in names if len({*table[name].unique()} - {""}) < 2]
    return table.drop(columns=[*same, *([JOB] if JOB in table else [])])


def settled(kind: str, table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """A joined table with each fact once, as means and figures take it, and what was left out and why."""
    table = _in_order_of_layers(_divided(kind, table))
    table, notes = _one_way(kind, _once(kind, table).reset_index(drop=True))
    for setting in TABLES[kind].settings:
        if setting.finer:
            table, told = _finest(kind, table, setting)
            notes += told
    return _once(kind, telling(kind, table)).reset_index(drop=True), notes


def told_columns(kind: str, table: pd.DataFrame) -> list[Column]:
    """The declared columns that a table has, and those that tell its settings."""
    declared = [column for column in TABLES[kind] if column.name in table.columns]
    told = [setting for setting in TABLES[kind].settings if setting.name in table.columns]
    names = {column.name for column in declared}
    return [
        *declared,
        *(Column(each.name, "str", each.meaning, "block") for each in told if each.name not in names),
    ]


def _identity(kind: str, table: pd.DataFrame, roles: Sequence[str] = _SAME) -> list[str]:
    keys = [column.name for column in TABLES[kind] if column.role in roles and column.name in table]
    return keys + [setting.name for setting in TABLES[kind].settings if setting.name in table]


def _once(kind: str, table: pd.DataFrame) -> pd.DataFrame:
    """One row per fact: of each column the last number that a job found."""
    keys = _identity(kind, table)
    if not keys or not table.duplicated(keys).any():
        return table
    found: pd.DataFrame = table.groupby(keys, sort=False, dropna=False, as_index=False).last()
    return found[list(table.columns)]


def _divided(kind: str, table: pd.DataFrame) -> pd.DataFrame:
    """Columns with settings of their own in rows of their own; where these agree, ``_once`` joins them."""
    import pandas as pd

    limited = [setting for setting in TABLES[kind].settings if setting.columns]
    own = dict.fromkeys(name for setting in limited for name in setting.columns)
    if not own or table.empty:
        return table
    values = [column.name for column in TABLES[kind] if column.role == "value" and column.dtype == "float64"]
    base = table.assign(**dict.fromkeys(own, np.nan), **{setting.name: "" for setting in limited})
    parts = [base]
    for name in own:
        there = table[table[name].notna()]
        others = [value for value in values if value != name and value in table]
        without = [setting.name for setting in limited if name not in setting.columns]
        if len(there):
            parts.append(there.assign(**dict.fromkeys(others, np.nan), **dict.fromkeys(without, "")))
    return pd.concat(parts, ignore_index=True)


def _one_way(kind: str, table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Two runs of an experiment that were taken in both orders are one pair: the lower seed comes first."""
    import pandas as pd

    if "seed_a" not in table or table.empty:
        return table, []
    rest = [name for name in _identity(kind, table, ("key", "block")) if name[-2:] not in ("_a", "_b")]
    forth = ["experiment_a", "seed_a", "epoch_a", "experiment_b", "seed_b", "epoch_b"]
    back = [*forth[3:], *forth[:3]]
    inside = table["experiment_a"] == table["experiment_b"]
    turned = inside & (table["seed_a"] > table["seed_b"])
    there = pd.MultiIndex.from_frame(table.loc[~turned, [*forth, *rest]].astype(str))
    mirrored = pd.MultiIndex.from_frame(table[[*back, *rest]].astype(str))
    twice = turned & mirrored.isin(there)
    if not twice.any():
        return table, []
    return table[~twice], ["pairs that were measured in both orders count once, the lower seed first"]


def _finest(kind: str, table: pd.DataFrame, setting: Setting) -> tuple[pd.DataFrame, list[str]]:
    """Without what is measured coarsely, where one finer measurement has all of it."""
    import pandas as pd

    if table[setting.name].nunique() < 2:
        return table, []
    subject = [name for name in ("experiment", "experiment_a", "experiment_b") if name in table]
    others = [each.name for each in TABLES[kind].settings if each.name in table and each != setting]
    cells = _identity(kind, table, ("key", "block", "run", "quantity"))
    cells = [name for name in cells if name != setting.name and not ("mean" in table and name == "layer")]
    kept, notes = [], []
    for names, part in table.groupby([*subject, *others], sort=False, dropna=False):
        by_value = {str(value): own for value, own in part.groupby(setting.name, sort=False)}
        found = {
            value: {*own[cells].drop_duplicates().astype(str).itertuples(index=False, name=None)}
            for value, own in by_value.items()
        }
        for value, own in by_value.items():
            finer = (each for each in found if setting.fineness(each) > setting.fineness(value))
            instead = next((each for each in finer if found[value] <= found[each]), None)
            if instead is None:
                kept.append(own)
            else:
                who = " and ".join(dict.fromkeys(map(str, names[: len(subject)])))
                notes.append(f"{who}: {setting.name}={value} is left out, {setting.name}={instead} has it")
    return pd.concat(kept).sort_index(), list(dict.fromkeys(notes))


def _in_order_of_layers(table: pd.DataFrame) -> pd.DataFrame:
    """Layers in the order of the job that has most of them: others may have left some out, or sorted them."""
    subject = next((name for name in ("experiment", "experiment_a") if name in table), None)
    if subject is None or "layer" not in table or table.empty:
        return table
    rank: dict[tuple[str, str], int] = {}
    for name, part in table.groupby(subject, sort=False):
        widest = part.groupby(JOB)["layer"].nunique().iloc[::-1].idxmax()
        layers = dict.fromkeys([*part.loc[part[JOB] == widest, "layer"], *part["layer"]])
        rank.update({(str(name), layer): place for place, layer in enumerate(layers)})
    places = [rank[key] for key in zip(table[subject], table["layer"], strict=True)]
    return table.iloc[np.argsort(places, kind="stable")]
