"""The table ``gap`` by layer: how much is cross term, how much the activation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmc.core.schema import nearest_middle
from lmc.core.splits import common_split
from lmc.core.statistics import estimate, paired
from lmc.figures.looks import spread
from lmc.figures.panels import grid
from lmc.figures.writing import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PARTS = {"cross_term": "cross term (linear map)", "additivity_gap": "additivity gap (norm, activation)"}


def draw(table: pd.DataFrame, split: str = "test") -> Figure:
    """Stacked bars per layer at the alpha nearest to 1/2; rows: experiments, columns: matchers; one scale.

    Dots: the feature gap, which includes that of earlier layers; whiskers: intervals, or the values' range
    below three pairs.

    Args:
        table: the table ``gap``.
        split: drawn; another, if the table lacks it (``common_split``).
    """
    split = common_split(table, split)
    alpha, middle = nearest_middle(table[table["split"] == split])
    figure, axes = grid(middle, _panel, f"relative gap at alpha {alpha:.3g} ({split})", head=1.1)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    with style():
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def _panel(place: Axes, part: pd.DataFrame) -> None:
    layers = list(dict.fromkeys(part["layer"]))
    bottom = [0.0] * len(layers)
    for colour, (name, label) in zip(("#D55E00", "#0072B2"), _PARTS.items(), strict=True):
        means = [float(part[part["layer"] == layer][name].mean()) for layer in layers]
        place.bar(layers, means, bottom=bottom, width=0.6, color=colour, label=label)
        bottom = [below + mean for below, mean in zip(bottom, means, strict=True)]
    at = [part[part["layer"] == layer] for layer in layers]
    found = [estimate(own["feature_gap"], paired(own)) for own in at]
    means = [one.mean for one in found]
    place.errorbar(
        layers,
        means,
        yerr=spread(found),
        fmt="o",
        color="black",
        markersize=4,
        capsize=2,
        label="feature gap",
    )
    place.tick_params(axis="x", rotation=90 if len(layers) > 4 else 0)
    place.grid(axis="x", visible=False)
