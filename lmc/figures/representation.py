"""The table ``representation`` by layer: from the line, averaged at the inputs, to the logit ensemble."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from lmc.core.schema import nearest_middle
from lmc.core.splits import common_split
from lmc.core.statistics import estimate, paired
from lmc.figures.panels import grid
from lmc.figures.writing import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NAMES = {"a": "A", "b": "B", "mean": "weight average"}
_DASHES = ((0, (6, 3)), (0, (1.5, 3)), "-")
_COLOURS = ("#0072B2", "#009E73", "#D55E00")


def draw(table: pd.DataFrame, split: str = "test") -> Figure:
    """Loss by layer at the alpha nearest to 1/2, one line per head; rows: experiments, columns: matchers.

    Thick mean, thin pairs, shaded interval; all panels on one scale.

    Args:
        table: the table ``representation``.
        split: drawn; another, if the table lacks it (``common_split``).
    """
    split = common_split(table, split)
    alpha, shown = nearest_middle(table[table["split"] == split])
    figure, axes = grid(shown, _panel, f"{split} loss at alpha {alpha:.3g}")
    with style():
        for place in axes[-1]:
            place.set_xlabel("hidden states averaged behind")
        axes.flat[0].set_ylim(bottom=min(0.0, float(shown["loss"].min())))
        axes[0, -1].legend(title="rest of")
    return figure


def _panel(place: Axes, part: pd.DataFrame) -> None:
    layers = list(dict.fromkeys(part["layer"]))
    keys = [name for name in part.columns if name.startswith(("experiment", "seed", "epoch"))]
    for (head, name), colour, dashes in zip(_NAMES.items(), _COLOURS, cycle(_DASHES), strict=False):
        # Every head ends at the ensemble, where nothing is left to go on with.
        own = part[(part["head"] == head) | ((part["layer"] == "output") & (head != "mean"))]
        for _, curve in own.groupby(keys):
            places = [layers.index(layer) for layer in curve["layer"]]
            place.plot(places, curve["loss"], color=colour, linewidth=0.6, alpha=0.45)
        points = [
            (layers.index(str(layer)), estimate(at["loss"], paired(at)))
            for layer, at in own.groupby("layer", sort=False)
        ]
        places = [index for index, _ in points]
        place.plot(places, [one.mean for _, one in points], color=colour, linestyle=dashes, label=name)
        if points and points[0][1].units > 1:
            low, high = zip(*(one.ends for _, one in points), strict=True)
            place.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
    named = {"input": "nothing\n(the line)", "output": "outputs\n(ensemble)"}
    place.set_xticks(range(len(layers)), [named.get(layer, layer) for layer in layers])
    place.tick_params(axis="x", rotation=90 if len(layers) > 5 else 0)
