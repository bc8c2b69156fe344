"""Panels on one scale: one row per experiment, one column per matcher."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lmc.core.pairing import pair_count
from lmc.figures.looks import matchers
from lmc.figures.writing import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def grid(
    table: pd.DataFrame, panel: Callable[[Axes, pd.DataFrame], None], label: str, head: float = 0.8
) -> tuple[Figure, Any]:
    """The figure and its axes (experiments, matchers), each drawn by ``panel`` from its rows of the table.

    Args:
        table: with ``experiment_a``, ``experiment_b``, ``match`` and ``layer``, which sets the width.
        label: of the vertical axes.
        head: inches above the panels.
    """
    from matplotlib.figure import Figure

    experiments = list(table.groupby(["experiment_a", "experiment_b"], sort=False))
    matches = matchers(table)
    with style():
        wide = max(3.2, 0.4 * table["layer"].nunique())
        figure = Figure(figsize=(1.4 + wide * len(matches), head + 2.5 * len(experiments)))
        axes = figure.subplots(len(experiments), len(matches), sharey=True, squeeze=False)
        for row, (names, part) in zip(axes, experiments, strict=True):
            for place, match in zip(row, matches, strict=True):
                own = part[part["match"] == match]
                panel(place, own)
                title = " and ".join(dict.fromkeys(map(str, names)))
                place.set_title(f"{title}\nmatch={match} ({pair_count(own)})", wrap=True)
            row[0].set_ylabel(label)
    return figure, axes
