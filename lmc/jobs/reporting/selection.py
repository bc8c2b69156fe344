"""Stored tables as figures and reports take them: of chosen runs, each fact once, at the epoch meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lmc.core.errors import LmcError, StoredFileError
from lmc.core.measurements import settled
from lmc.core.registry import unknown
from lmc.core.schema import TABLES
from lmc.core.splits import common_split
from lmc.figures import Kind
from lmc.jobs.reporting.apart import longest, told_apart
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

    def rows(self, kind: str, course: bool = False) -> pd.DataFrame:
        """The stored rows of a kind that speak of chosen runs only (both, for a pair), with their settings.

        Args:
            course: keep all epochs that no reference rules out, not just the last of each experiment.
        """
        order = {experiment.name: place for place, experiment in enumerate(self.experiments)}
        table = results.collect(self.outputs, kind, order, skip=self.skip)
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
        if "over" in table:
            table = _those(table, _of_chosen_pairs(table, named))
        if not course:
            table = _last(table, there)
        if there and len(table):
            table = table.sort_values(
                f"experiment{there[0]}", key=lambda names: names.map(order), kind="stable"
            )
        return table.reset_index(drop=True)

    def table(self, kind: str, course: bool = False, where: Mapping[str, Any] | None = None) -> Settled:
        """These rows as means are taken of them, each fact once; ``where`` as of ``having``."""
        return Settled(*settled(kind, having(self.rows(kind, course), where or {})))


class Settled(NamedTuple):
    """A table of one measurement, or of several that its columns tell apart, and what was left out."""

    table: pd.DataFrame
    notes: list[str]


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


def _of_chosen_pairs(table: pd.DataFrame, named: Mapping[tuple[str, int], int | None]) -> list[bool]:
    """Whether the runs that a stored mean is over are all chosen, at the epochs that are meant.

    Where no epoch is named, the last one is meant that there is a mean of. A mean that does not say what
    it is over is kept.
    """
    columns = ["experiment_a", "experiment_b", "over", "epochs"]
    keys = [tuple(map(str, row)) for row in table[columns].itertuples(index=False, name=None)]
    meant: dict[tuple[str, ...], set[int]] = {}
    for key in dict.fromkeys(keys):
        if "?" in key[2:]:
            continue
        seeds = [pair.split("-") for pair in key[2].split()]
        runs = [(name, int(seed)) for pair in seeds for name, seed in zip(key[:2], pair, strict=True)]
        if all(run in named for run in runs):
            at = {*map(int, key[3].split())}
            meant[key] = {max(at) if (want := named[run]) is None else want for run in runs}
            meant[key] |= at
    last: dict[tuple[str, ...], int] = {}
    for key in meant:
        last[key[:2]] = max(last.get(key[:2], 0), *map(int, key[3].split()))

    def kept(key: tuple[str, ...]) -> bool:
        if "?" in key[2:]:
            return True
        free = all(epoch is None for (name, _), epoch in named.items() if name in key[:2])
        at = {*map(int, key[3].split())}
        return meant.get(key) == at and (not free or max(at) == last[key[:2]])

    return list(map(kept, keys))


def short_names(tables: Sequence[pd.DataFrame]) -> Callable[[str], str]:
    """Experiments without the hash, where that still tells those of the tables apart."""
    sides = [
        table[f"experiment{side}"] for table in tables for side in _SIDES if f"experiment{side}" in table
    ]
    names = {str(name) for side in sides for name in side.unique()}
    stems = [stem_of(name) for name in names]
    return lambda name: stem_of(name) if stems.count(stem_of(name)) < 2 else name


def for_figure(chosen: Chosen, kind: Kind, where: Mapping[str, Any]) -> tuple[list[pd.DataFrame], list[str]]:
    """The tables of a kind of figure, and what was left out of them.

    Of the tables beside the first only what speaks of its experiments; beside a course, of each two
    experiments the one measurement that has most epochs.
    """
    found = [chosen.table(each, kind.course, where) for each in kind.tables]
    notes = [note for each in found for note in each.notes]
    first, *others = [each.table for each in found]
    if not others:
        first, told = _of_one_split(first, kind.split)
        notes += told
    sides = [f"experiment{side}" for side in _SIDES if f"experiment{side}" in first]
    there = set(zip(*(first[side] for side in sides), strict=True))
    kept = []
    for name, table in zip(kind.tables[1:], others, strict=True):
        beside = _those(table, [pair in there for pair in zip(*(table[side] for side in sides), strict=True)])
        beside, told = longest(name, beside) if kind.course else (beside, [])
        kept.append(beside)
        notes += told
    return [first, *kept], notes


def _of_one_split(table: pd.DataFrame, usual: str) -> tuple[pd.DataFrame, list[str]]:
    """The rows of the split that a figure draws, and the experiments that have none."""
    if "split" not in table or table.empty:
        return table, []
    split = common_split(table, usual)
    kept = table[table["split"] == split]
    left_out = {row["experiment"] for row in drawn_rows(table)} - {
        row["experiment"] for row in drawn_rows(kept)
    }
    return kept, [f"{name} is not drawn: it has no {split} split" for name in sorted(left_out)]


def drawn(kind: Kind, tables: Sequence[pd.DataFrame]) -> Figure | None:
    """The figure, with experiments' names as people read them; a dollar sign begins no formula.

    Measurements that a setting tells apart are drawn as if they were of several experiments.
    """
    short = short_names(tables)
    named = [
        told_apart(name, table, lambda text: short(text).replace("$", r"\$"))
        for name, table in zip(kind.tables, tables, strict=True)
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
    declared = {each.name for kind in kinds for each in (*TABLES[kind], *TABLES[kind].settings)}
    return [unknown("where", key, declared) for key in where if key not in declared]


def having(table: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    """The rows whose columns have the given values, or one of several; columns it lacks are passed over."""
    for key, value in where.items():
        if key in table:
            texts = [str(each).lower() for each in (value if isinstance(value, list) else [value])]
            table = table[table[key].astype(str).str.lower().isin(texts)]
    return table
