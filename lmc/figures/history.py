"""Training curves: loss and accuracy over epochs, one colour per experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmc.core.statistics import Estimate, estimate, paired
from lmc.figures.looks import looks, spread_of
from lmc.figures.writing import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(table: pd.DataFrame, split: str = "val") -> Figure:
    """A panel for the loss and, where there is one, for the accuracy: mean over runs with its interval.

    Args:
        table: the table ``history``; networks that were not trained (merged ones) are left out.
        split: drawn; the first there is, if the table lacks it.
    """
    from matplotlib.figure import Figure

    split = split if (table["split"] == split).any() else str(table["split"].iloc[0])
    table = table[table["split"] == split]
    trained = table.groupby("experiment")["epoch"].transform("max") > 0
    table = table[trained] if trained.any() else table
    panels = [name for name in ("loss", "accuracy") if table[name].notna().any()] or ["loss"]
    names = list(dict.fromkeys(table["experiment"]))
    with style():
        look = looks(names)
        figure = Figure(figsize=(0.8 + 3.2 * len(panels), 3.0 + 0.16 * len(names)))
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        drawn: list[Estimate] = []
        for place, quantity in zip(axes, panels, strict=True):
            for name in names:
                own = table[table["experiment"] == name].dropna(subset=quantity)
                groups = [(epoch, estimate(at[quantity], paired(at))) for epoch, at in own.groupby("epoch")]
                if not groups:
                    continue
                drawn += [value for _, value in groups]
                epochs, values = zip(*groups, strict=True)
                colour, dashes = look[name]
                marker = "o" if len(epochs) < 3 else ""
                means = [value.mean for value in values]
                place.plot(epochs, means, color=colour, linestyle=dashes, marker=marker, label=name)
                low, high = zip(*(value.ends for value in values), strict=True)
                place.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
            place.set_xlabel("epoch")
            place.set_ylabel(f"{split} {quantity}")
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside lower center", title=spread_of(drawn)
        )
    return figure
