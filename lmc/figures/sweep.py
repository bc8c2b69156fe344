"""Barriers and identifiability against a swept setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmc.figures.writing import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RATIO = "identifiability ratio"


def draw(table: pd.DataFrame, setting: str) -> Figure:
    """One column per series: barriers by matcher above, the identifiability ratio below, with intervals.

    Args:
        table: columns ``series``, ``x``, ``curve`` (a matcher, or ``identifiability ratio``), ``mean``,
            ``low`` and ``high``; a point without an interval has the range of its values there.
        setting: the name of what is swept.
    """
    from matplotlib.figure import Figure

    columns = list(table.groupby("series", sort=False))
    with style():
        figure = Figure(figsize=(0.9 + 3.3 * len(columns), 4.6))
        axes = figure.subplots(2, len(columns), sharex="col", sharey="row", squeeze=False)
        for (series, part), (above, below) in zip(columns, axes.T, strict=True):
            barriers = part[part["curve"] != _RATIO]
            _curves(above, barriers)
            _curves(below, part[part["curve"] == _RATIO], colour="black")
            above.set_title(str(series))
            above.axhline(0, color="black", linewidth=0.8)
            below.set_xlabel(setting)
        axes[0, 0].set_ylabel("test loss barrier")
        axes[1, 0].set_ylabel(_RATIO)
        axes[0, -1].legend(title="aligned by")
    return figure


def _curves(place: Axes, part: pd.DataFrame, colour: str | None = None) -> None:
    for (curve, points), marker in zip(part.groupby("curve", sort=False), "os^vD", strict=False):
        points = points.sort_values("x")
        spread = [
            (points["mean"] - points["low"]).clip(lower=0),
            (points["high"] - points["mean"]).clip(lower=0),
        ]
        place.errorbar(
            points["x"], points["mean"], yerr=spread, marker=marker, capsize=3, label=str(curve), color=colour
        )
