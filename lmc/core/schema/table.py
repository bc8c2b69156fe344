"""What is declared about a kind of table, and about the figure drawn from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lmc.core.schema.columns import Column, Direction
from lmc.core.schema.settings import Setting


@dataclass(frozen=True)
class Figure:
    """How a table is drawn.

    The function is named, not imported, since drawing needs far more than declaring.

    Args:
        title: what the figure shows.
        draw: ``module.function`` in ``lmc.figures``; it takes the table and then those ``beside``.
        beside: kinds of further tables, which may be empty.
        course: whether it shows all stored epochs, not the last alone.
    """

    title: str
    draw: str
    beside: tuple[str, ...] = ()
    course: bool = False


@dataclass(frozen=True)
class Table:
    """A kind of table; iterating it gives its columns in order.

    Args:
        kind: its name in commands, files and results.
        title: what its rows are.
        made_by: the command that stores it; None if no command does.
        figure: how it is drawn from what is stored; None if it is not.
        in_report: heading of its means in a report; None if it is not shown as a table.
        apart: whether a report leaves it out of the tables too long to show, since it says it elsewhere.
        wanted: what an experiment of several runs lacks without it; None if nothing.
        settings: of the command that made it, beside the columns what makes rows another measurement.
        best_of: of a table with a column ``quantity``, which end of these quantities is best.
    """

    kind: str
    title: str
    columns: tuple[Column, ...]
    made_by: str | None = None
    figure: Figure | None = None
    in_report: str | None = None
    apart: bool = False
    wanted: str | None = None
    settings: tuple[Setting, ...] = ()
    best_of: Mapping[str, Direction] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def best(self, quantity: str) -> Direction | None:
        """Which end of a column, or of a quantity with or without its detail, is best; None if neither."""
        ends = {**{column.name: column.best for column in self.columns}, **self.best_of}
        return ends.get(quantity) or ends.get(quantity.split()[0])


def ends(*columns: Column, low: str = "") -> dict[str, Direction]:
    """Best ends of quantities: those of columns of the same name, and names of which the lowest is best."""
    found = {column.name: column.best for column in columns if column.best}
    return {**found, **dict.fromkeys(low.split(), "low")}
