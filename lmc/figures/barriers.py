"""The table ``barrier`` as bars: how much alignment lowers the barrier of each experiment."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lmc.core.splits import common_split
from lmc.core.statistics import Estimate, estimate, paired
from lmc.figures.looks import matchers, sized, spread, subjects
from lmc.figures.writing import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Bars are told apart without colour too.
_HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\")
_WRAP = 30


def draw(table: pd.DataFrame, split: str = "test", quantity: str = "loss_barrier") -> Figure:
    """One group of bars per experiment, one bar per matcher: mean, interval over pairs, pairs as dots.

    Below three pairs the whisker is the range of the values.

    Args:
        table: the table ``barrier``.
        split: drawn; another, if the table lacks it (``common_split``).
        quantity: which barrier.
    """
    import matplotlib
    from matplotlib.figure import Figure

    split = common_split(table, split)
    shown = table[table["split"] == split]
    shown = shown.assign(experiment=subjects(shown)).dropna(subset=quantity)
    names = list(dict.fromkeys(shown["experiment"]))
    matches = matchers(shown)
    thick = 0.8 / max(len(matches), 1)
    found: list[tuple[float, Estimate]] = []
    with style():
        colours = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"][:-1]
        figure = Figure(figsize=(5.6, 1.1 + len(names) * (0.14 + 0.17 * len(matches))))
        place = figure.subplots()
        for index, match in enumerate(matches):
            part = shown[shown["match"] == match]
            groups = [(names.index(str(name)), own) for name, own in part.groupby("experiment", sort=False)]
            values = [estimate(own[quantity], paired(own)) for _, own in groups]
            at = [row + (index - (len(matches) - 1) / 2) * thick for row, _ in groups]
            found += zip(at, values, strict=True)
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
        _say_how_many(place, found, f"{quantity.replace('_', ' ')} ({split})")
        figure.legend(
            *place.get_legend_handles_labels(), loc="outside lower center", ncols=3, title="aligned by"
        )
    return figure


def _say_how_many(place: Axes, found: Sequence[tuple[float, Estimate]], quantity: str) -> None:
    """Over how many pairs the bars are: in the label where all agree, else beside each."""
    numbers = {len(value.values) for _, value in found}
    if len(numbers) < 2:
        place.set_xlabel(sized([value for _, value in found], quantity))
        return
    place.set_xlabel(f"{quantity}; n: pairs")
    for at, value in found:
        where, text = (1.01, at), f"n = {len(value.values)}"
        place.annotate(text, where, xycoords=("axes fraction", "data"), fontsize=5, va="center")
