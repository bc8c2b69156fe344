"""What is measured of aligned pairs: tables, pair by pair, then what follows from all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from lmc.core.errors import SettingError
from lmc.core.schema import concatenate
from lmc.jobs.aligning.lineup import Lineup
from lmc.jobs.aligning.pair import Aligned
from lmc.jobs.protocol.talk import Bar
from lmc.summaries import Summary

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Tables = dict[str, "pd.DataFrame"]


class PairMeasure(Protocol):
    """One thing that is measured of every aligned pair.

    ``main`` is the table that is printed as data.
    """

    main: str

    def check(self, lineup: Lineup) -> None:
        """Find what the settings choose of a network; raises SettingError before anything is computed."""

    def of(self, pair: Aligned) -> Tables:
        """The tables of one pair."""

    def derived(self, tables: Tables) -> Tables:
        """Tables that follow from those of all pairs."""

    def figures(self, tables: Tables) -> dict[str, Figure | None]:
        """Figures by file name."""

    def summaries(self, tables: Tables) -> list[Summary]:
        """What a person reads."""


def measure_pairs(pairs: Iterable[Aligned], measures: Sequence[PairMeasure], bar: Bar) -> Tables:
    """The tables of all measures over all pairs; the bar advances once per pair."""
    parts: dict[str, list[pd.DataFrame]] = {}
    for pair in pairs:
        for measure in measures:
            for kind, table in measure.of(pair).items():
                parts.setdefault(kind, []).append(table)
        bar.advance()
    tables = {kind: concatenate(kind, found) for kind, found in parts.items()}
    for measure in measures:
        tables |= measure.derived(tables)
    return tables


def inner_alphas(alphas: int | list[float], why: str) -> list[float]:
    """``alpha_list`` with a point between the ends; ``why`` says what is seen there only."""
    points = alpha_list(alphas)
    if len(points) < 3:
        raise SettingError(f"alphas={alphas}: {why}; add a point between 0 and 1", "alphas=3 or more")
    return points


def alpha_list(alphas: int | list[float]) -> list[float]:
    """A count of equally spaced points, or a list.

    Raises:
        SettingError: fewer than two points, or a list that does not run from 0 to 1.
    """
    if isinstance(alphas, int):
        if alphas < 2:
            raise SettingError(f"alphas={alphas}: a path has at least its two ends", "alphas=25")
        return [i / (alphas - 1) for i in range(alphas)]
    points = sorted(set(alphas))
    if len(points) < 2 or points[0] != 0 or points[-1] != 1:
        raise SettingError(
            f"alphas={alphas}: barriers need both ends", "a list from 0 to 1, such as [0,0.5,1]"
        )
    return points
