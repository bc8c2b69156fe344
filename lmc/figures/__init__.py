"""Figures: each a pure function of tables. ``FIGURES`` says which are drawn from stored tables alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from typing import Any

from lmc.core.schema import TABLES

__all__ = ["FIGURES", "Kind"]


@dataclass(frozen=True)
class Kind:
    """A kind of figure: what it shows, the function's name, and the tables that it takes.

    The first table must have rows, the others may be empty. ``course``: whether it shows all stored epochs.
    """

    title: str
    name: str
    tables: tuple[str, ...]
    course: bool = False

    @property
    def split(self) -> str:
        """The split that is drawn where the table has it."""
        parameter = signature(self.function).parameters.get("split")
        return str(parameter.default) if parameter else "test"

    @property
    def function(self) -> Callable[..., Any]:
        """The function that draws; its module is imported only now, and matplotlib with it."""
        module, _, name = self.name.rpartition(".")
        found: Callable[..., Any] = getattr(import_module(f"lmc.figures.{module}"), name)
        return found

    def draw(self, *tables: Any) -> Any:
        """The figure of these tables."""
        return self.function(*tables)


FIGURES: dict[str, Kind] = {
    kind: Kind(table.figure.title, table.figure.draw, (kind, *table.figure.beside), table.figure.course)
    for kind, table in TABLES.items()
    if table.figure
}
