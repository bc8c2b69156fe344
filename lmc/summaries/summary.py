"""A table for people, and the phrases that all such tables share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmc.core.pairing import INTERVAL, interval_over, pair_count

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Summary:
    """A table for people: ready text or numbers, a title above, notes below."""

    title: str
    table: pd.DataFrame
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, title: str, rows: Sequence[Mapping[str, Any]], *notes: str) -> Summary:
        """From one mapping per row."""
        import pandas as pd

        return cls(title, pd.DataFrame(list(rows)), notes)


def by_experiments(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each experiment, or of each two, with their names as a title."""
    for names, part in table.groupby(["experiment_a", "experiment_b"], sort=False):
        yield " and ".join(dict.fromkeys(map(str, names))), part


def over_pairs(table: pd.DataFrame) -> str:
    """How many pairs a table's means are over, and what its intervals are."""
    return f"{pair_count(table)}; {interval_over(table)}"


def over_runs(count: int) -> str:
    """The same of runs."""
    return "1 run, no interval" if count == 1 else f"{count} runs; {INTERVAL} over runs"


def facts(title: str, rows: Sequence[Mapping[str, str]], *notes: str) -> Summary:
    """Keys and values under no headings."""
    shown = Summary.of(title, rows, *notes)
    return Summary(title, shown.table.rename(columns={"key": "", "value": " "}), shown.notes)
