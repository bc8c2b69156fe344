"""The table ``path`` as curves of loss along the line."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from lmc.core.statistics import Estimate, estimate, paired
from lmc.figures.looks import DASHES, matchers, spread_of
from lmc.figures.writing import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 4


def draw(table: pd.DataFrame, split: str = "test") -> Figure:
    """Loss against alpha, one panel per experiment on one scale; thick mean, thin pairs, shaded interval.

    Args:
        table: the table ``path``.
        split: drawn; the first there is, if the table lacks it.
    """
    from matplotlib.figure import Figure

    split = split if (table["split"] == split).any() else str(table["split"].iloc[0])
    shown = table[table["split"] == split]
    panels = list(shown.groupby(["experiment_a", "experiment_b"], sort=False))
    matches = matchers(shown)
    with style():
        width = min(len(panels), _MOST)
        height = -(-len(panels) // _MOST)
        figure = Figure(figsize=(1.2 + 3.1 * width, 0.4 + 2.7 * height))
        axes = figure.subplots(height, width, sharex=True, sharey=True, squeeze=False)
        drawn: list[Estimate] = []
        for (names, part), place in zip(panels, axes.flat, strict=False):
            drawn += _panel(place, part, matches, " and ".join(dict.fromkeys(map(str, names))))
        for place in axes.flat[len(panels) :]:
            place.set_visible(False)
        for place in axes[-1]:
            place.set_xlabel("alpha (0: A, 1: B)")
        for place in axes[:, 0]:
            place.set_ylabel(f"{split} loss")
        axes.flat[0].set_ylim(bottom=min(0.0, float(shown["loss"].min())))
        lines = {line.get_label(): line for place in axes.flat for line in place.get_lines()}
        axes.flat[0].legend(
            [lines[match] for match in matches], matches, title=f"aligned by\n({spread_of(drawn)})"
        )
    return figure


def _panel(place: Axes, part: pd.DataFrame, matches: Sequence[str], title: str) -> list[Estimate]:
    """The estimates drawn."""
    import matplotlib

    colours = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    drawn: list[Estimate] = []
    for colour, dashes, match in zip(cycle(colours), cycle(DASHES), matches, strict=False):
        curves = part[part["match"] == match]
        if curves.empty:
            continue
        keys = [name for name in curves.columns if name.startswith(("experiment", "seed", "epoch"))]
        for _, curve in curves.groupby(keys):
            place.plot(curve["alpha"], curve["loss"], color=colour, linewidth=0.6, alpha=0.45)
        points = [(alpha, estimate(at["loss"], paired(at))) for alpha, at in curves.groupby("alpha")]
        alphas = curves["alpha"].drop_duplicates().sort_values().to_numpy()
        place.plot(alphas, [point.mean for _, point in points], color=colour, linestyle=dashes, label=match)
        drawn += [point for _, point in points]
        if points and points[0][1].units > 1:
            low, high = zip(*(point.ends for _, point in points), strict=True)
            place.fill_between(alphas, low, high, color=colour, alpha=0.15, linewidth=0)
    place.set_title(title, wrap=True)
    return drawn
