"""What a job hands back, and how it talks while it works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from lmc.core.tabulation import Tabulated


@dataclass(frozen=True)
class Summary:
    """A table for people: ready text or numbers, a title above, notes below."""

    title: str
    table: pd.DataFrame
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """A job's results.

    ``tables`` are tidy, by kind; ``main`` names the one that is printed as data and returned by the API;
    ``references`` name what was made (``-q``); ``summaries`` are what a person reads on a terminal;
    ``objective`` is what a searching sweeper minimises; ``paper`` makes the table of means that takes the
    place of the main table's rows in a paper.
    """

    main: str
    tables: dict[str, pd.DataFrame]
    references: tuple[str, ...] = ()
    summaries: tuple[Summary, ...] = ()
    files: tuple[str, ...] = field(default=())
    objective: float | None = None
    paper: Callable[[], Tabulated] | None = None


class Bar(Protocol):
    """A progress bar under way."""

    def advance(self, steps: int = 1) -> None:
        """Count steps as done."""

    def note(self, text: str) -> None:
        """Show a short text beside the bar."""


class Talk(Protocol):
    """How a job speaks to the person at the terminal; never on stdout."""

    def say(self, text: str) -> None:
        """One line that matters now: a warning, a skipped run, an estimate."""

    def progress(self, title: str, total: int) -> AbstractContextManager[Bar]:
        """A bar of ``total`` steps."""


class _SilentBar:
    def advance(self, steps: int = 1) -> None: ...

    def note(self, text: str) -> None: ...


class Silent:
    """A talk that says nothing: the API's default."""

    def say(self, text: str) -> None:
        """Drop the line."""

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Bar]:
        """Yield a bar that shows nothing."""
        yield _SilentBar()
