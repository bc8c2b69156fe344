"""What a job hands back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from lmc.core.tabulation import Tabulated
    from lmc.summaries import Summary


@dataclass(frozen=True, kw_only=True)
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
    files: tuple[str, ...] = ()
    objective: float | None = None
    paper: Callable[[], Tabulated] | None = None
