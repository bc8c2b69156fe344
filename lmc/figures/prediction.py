"""Identifiability after training against the cost predicted before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmc.figures.writing import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(table: pd.DataFrame) -> Figure:
    """One point per case, one panel per layer.

    Args:
        table: columns ``layer``, ``relative_swap_cost`` and ``identifiability_ratio``.
    """
    from matplotlib.figure import Figure

    panels = list(table.groupby("layer", sort=False))
    with style():
        figure = Figure(figsize=(0.8 + 3.0 * len(panels), 3.0))
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for place, (layer, part) in zip(axes, panels, strict=True):
            place.scatter(
                part["relative_swap_cost"], part["identifiability_ratio"], color="#0072B2", zorder=3
            )
            place.set_xscale("symlog", linthresh=0.1)
            place.set_title(str(layer))
            place.set_xlabel("predicted swap / own cost")
        axes[0].set_ylabel("identifiability ratio after training")
    return figure
