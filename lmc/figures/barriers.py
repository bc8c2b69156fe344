"""The table ``barrier`` as bars: how much alignment lowers the barrier of each experiment."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from lmc.core.statistics import Estimate, estimate, paired
from lmc.figures.looks import matchers, spread, spread_of, subjects
from lmc.figures.writing import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# Bars are told apart without colour too.
_HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\")
_WRAP = 30


def draw(table: pd.DataFrame, split: str = "test", quantity: str = "loss_barrier") -> Figure:
    """One group of bars per experiment, one bar per matcher: mean, interval over pairs, pairs as dots.

    Below three pairs the whisker is the range of the values.

    Args:
        table: the table ``barrier``.
        split: drawn; the first there is, if the table lacks it.
        quantity: which barrier.
    """
    import matplotlib
    from matplotlib.figure import Figure

    split = split if (table["split"] == split).any() else str(table["split"].iloc[0])
    shown = table[table["split"] == split]
    shown = shown.assign(experiment=subjects(shown)).dropna(subset=quantity)
    names = list(dict.fromkeys(shown["experiment"]))
    matches = matchers(shown)
    thick = 0.8 / max(len(matches), 1)
    with style():
        colours = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"][:-1]
        figure = Figure(figsize=(5.6, 1.1 + len(names) * (0.14 + 0.17 * len(matches))))
        place = figure.subplots()
        drawn: list[Estimate] = []
        for index, match in enumerate(matches):
            part = shown[shown["match"] == match]
            groups = [(names.index(str(name)), own) for name, own in part.groupby("experiment", sort=False)]
            values = [estimate(own[quantity], paired(own)) for _, own in groups]
            drawn += values
            at = [row + (index - (len(matches) - 1) / 2) * thick for row, _ in groups]
            place.barh(
                at,
                [value.mean for value in values],
                height=thick * 0.92,
                xerr=spread(values),
                color=colours[index % len(colours)],
                hatch=_HATCHES[index % len(_HATCHES)],
                edgecolor="white",
                linewidth=0,
                error_kw={"elinewidth": 1.1, "capsize": 2.5, "ecolor": "black"},
                label=match,
            )
            dots = [(value, row) for row, each in zip(at, values, strict=True) for value in each.values]
            place.plot(*zip(*dots, strict=True), "o", color="black", markersize=1.8, alpha=0.55)
        place.set_yticks(range(len(names)), [textwrap.fill(name, _WRAP) for name in names])
        place.set_ylim(len(names) - 0.5, -0.5)
        place.axvline(0, color="black", linewidth=0.8)
        place.grid(False, axis="y")
        place.set_xlabel(f"{quantity.replace('_', ' ')} ({split}); {spread_of(drawn)}")
        figure.legend(
            *place.get_legend_handles_labels(), loc="outside lower center", ncols=3, title="aligned by"
        )
    return figure
