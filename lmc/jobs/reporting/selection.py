"""Stored tables as figures and reports take them: of chosen runs, each fact once, at the epoch meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lmc.core.errors import LmcError, StoredFileError
from lmc.core.registry import unknown
from lmc.core.schema import TABLES
from lmc.figures import Kind
from lmc.store import results
from lmc.store.experiments import Experiment, Run, experiments
from lmc.store.identity import stem_of
from lmc.store.references import Selection, resolve

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_SIDES = ("", "_a", "_b")


@dataclass(frozen=True)
class Chosen:
    """Runs whose tables are read, each at an epoch (None: the last that was measured)."""

    outputs: Path
    epochs: dict[Run, int | None]
    skip: Callable[[StoredFileError], None] | None = None
    """Told of a damaged table, which is then left out; None raises its error."""

    @classmethod
    def of(cls, outputs: Path, references: Sequence[str]) -> Chosen:
        """The runs of references; of all experiments where none is given.

        Raises:
            RunReferenceError: a reference does not resolve.
        """
        if not references:
            found = [Selection(tuple(each.runs()), None, True) for each in experiments(outputs)]
        else:
            found = [each for reference in references for each in resolve(outputs, reference)]
        return cls(outputs, {run: selection.epoch for selection in found for run in selection.runs})

    @property
    def experiments(self) -> list[Experiment]:
        """Those that the runs are of."""
        return list(dict.fromkeys(run.experiment for run in self.epochs))

    def table(self, kind: str, course: bool = False) -> pd.DataFrame:
        """The stored rows of a kind that speak of chosen runs only (both, for a pair).

        Args:
            course: keep all epochs that no reference rules out, not just the last of each experiment.
        """
        order = {experiment.name: place for place, experiment in enumerate(self.experiments)}
        table = results.collect(self.outputs, kind, order, latest=True, skip=self.skip)
        named = {(run.experiment.name, run.seed): epoch for run, epoch in self.epochs.items()}
        there = [side for side in _SIDES if f"experiment{side}" in table]
        for side in there:
            if f"seed{side}" in table:
                runs = list(zip(table[f"experiment{side}"], table[f"seed{side}"], strict=True))
                wanted = [named.get(run, -1) for run in runs]
                epochs = table[f"epoch{side}"]
                kept = [
                    want is None or want == epoch or (course and want > epoch)
                    for want, epoch in zip(wanted, epochs, strict=True)
                ]
                table = _those(table, kept)
        if not course:
            table = _last(table, there)
        if there and len(table):
            table = table.sort_values(
                f"experiment{there[0]}", key=lambda names: names.map(order), kind="stable"
            )
        return table.reset_index(drop=True)


def _those(table: pd.DataFrame, kept: Sequence[bool]) -> pd.DataFrame:
    """The rows that are kept. (An empty list in brackets would take all columns away.)"""
    return table.loc[np.array(kept, dtype=bool)]


def _last(table: pd.DataFrame, sides: Sequence[str]) -> pd.DataFrame:
    """Of each experiment, or pair of experiments, the last epoch."""
    names = [f"experiment{side}" for side in sides]
    for side in sides:
        if f"epoch{side}" in table and len(table):
            last = table.groupby(names)[f"epoch{side}"].transform("max")
            table = table[table[f"epoch{side}"] == last]
    return table


def named_experiments(outputs: Path, references: Sequence[str]) -> list[str] | None:
    """The experiments that references stand for; None (all) where there are no references."""
    if not references:
        return None
    selections = [found for reference in references for found in resolve(outputs, reference)]
    return [run.experiment.name for selection in selections for run in selection.runs]


def short_names(tables: Sequence[pd.DataFrame]) -> Callable[[str], str]:
    """Experiments without the hash, where that still tells those of the tables apart."""
    sides = [
        table[f"experiment{side}"] for table in tables for side in _SIDES if f"experiment{side}" in table
    ]
    names = {str(name) for side in sides for name in side.unique()}
    stems = [stem_of(name) for name in names]
    return lambda name: stem_of(name) if stems.count(stem_of(name)) < 2 else name


def for_figure(chosen: Chosen, kind: Kind, where: Mapping[str, Any]) -> list[pd.DataFrame]:
    """The tables of a kind of figure; of the others only what speaks of experiments of the first."""
    first, *others = [having(chosen.table(each, kind.course), where) for each in kind.tables]
    sides = [f"experiment{side}" for side in _SIDES if f"experiment{side}" in first]
    there = set(zip(*(first[side] for side in sides), strict=True))
    kept = [
        _those(table, [pair in there for pair in zip(*(table[side] for side in sides), strict=True)])
        for table in others
    ]
    return [first, *kept]


def drawn(kind: Kind, tables: Sequence[pd.DataFrame]) -> Figure | None:
    """The figure, with experiments' names as people read them; a dollar sign begins no formula."""
    short = short_names(tables)
    named = [
        table.assign(
            **{
                f"experiment{side}": table[f"experiment{side}"].map(
                    lambda name: short(name).replace("$", r"\$")
                )
                for side in _SIDES
                if f"experiment{side}" in table
            }
        )
        for table in tables
    ]
    figure: Figure | None = kind.draw(*named)
    return figure


def drawn_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """How many rows of a table are of each experiment, or of each two."""
    sides = [f"experiment{side}" for side in _SIDES if f"experiment{side}" in table]
    counts = table.groupby(sides, sort=False).size()
    return [
        {"experiment": " and ".join(dict.fromkeys(names)), "rows": count}
        for names, count in zip(counts.index.to_frame().to_numpy(), counts, strict=True)
    ]


def where_faults(kinds: Sequence[str], where: Mapping[str, Any]) -> list[LmcError]:
    """Columns of a ``where`` that none of the tables has."""
    declared = {column.name for kind in kinds for column in TABLES[kind]}
    return [unknown("where", key, declared) for key in where if key not in declared]


def having(table: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    """The rows whose columns have the given values, or one of several; columns it lacks are passed over."""
    for key, value in where.items():
        if key in table:
            texts = [str(each).lower() for each in (value if isinstance(value, list) else [value])]
            table = table[table[key].astype(str).str.lower().isin(texts)]
    return table
