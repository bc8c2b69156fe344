"""The table ``gap`` by layer: how much is cross term, how much the activation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmc.core.statistics import estimate
from lmc.core.tables import nearest_middle
from lmc.figures.writing import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PARTS = {"cross_term": "cross term (linear map)", "additivity_gap": "additivity gap (norm, activation)"}


def draw(table: pd.DataFrame) -> Figure:
    """Stacked bars a layer at the alpha nearest to 1/2, a row an experiment, a column a matcher, one scale.

    Dots: the feature gap, which holds what earlier layers left; whiskers: intervals, or the values' range
    below three pairs.

    Args:
        table: the table ``gap``.
    """
    from matplotlib.figure import Figure

    alpha, middle = nearest_middle(table)
    experiments = list(middle.groupby(["experiment_a", "experiment_b"], sort=False))
    matchers, layers = (list(dict.fromkeys(middle[name])) for name in ("match", "layer"))
    with style():
        wide = max(3.0, 0.4 * len(layers))
        figure = Figure(figsize=(1.4 + wide * len(matchers), 1.1 + 2.5 * len(experiments)))
        axes = figure.subplots(len(experiments), len(matchers), sharey=True, squeeze=False)
        for row, (names, part) in zip(axes, experiments, strict=True):
            for place, match in zip(row, matchers, strict=True):
                _panel(place, part[part["match"] == match])
                title = " and ".join(dict.fromkeys(map(str, names)))
                place.set_title(f"{title}\nmatch={match}", wrap=True)
            row[0].set_ylabel(f"relative gap at alpha {alpha:.3g}")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def _panel(place: Axes, part: pd.DataFrame) -> None:
    layers = list(dict.fromkeys(part["layer"]))
    bottom = [0.0] * len(layers)
    for colour, (name, label) in zip(("#D55E00", "#0072B2"), _PARTS.items(), strict=True):
        means = [float(part[part["layer"] == layer][name].mean()) for layer in layers]
        place.bar(layers, means, bottom=bottom, width=0.6, color=colour, label=label)
        bottom = [below + mean for below, mean in zip(bottom, means, strict=True)]
    found = [estimate(part[part["layer"] == layer]["feature_gap"]) for layer in layers]
    ends = [
        (one.low, one.high) if one.low == one.low else (min(one.values), max(one.values)) for one in found
    ]
    whiskers = [
        [max(0.0, one.mean - low) for one, (low, _) in zip(found, ends, strict=True)],
        [max(0.0, high - one.mean) for one, (_, high) in zip(found, ends, strict=True)],
    ]
    means = [one.mean for one in found]
    place.errorbar(
        layers, means, yerr=whiskers, fmt="o", color="black", markersize=4, capsize=2, label="feature gap"
    )
    place.tick_params(axis="x", rotation=90 if len(layers) > 4 else 0)
    place.grid(axis="x", visible=False)
