"""What is measured layer by layer: one panel per quantity, one line per experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lmc.core.statistics import Estimate, estimate, paired
from lmc.figures.looks import looks, spread, spread_of, subjects
from lmc.figures.writing import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_MANY = 8


def draw_match(table: pd.DataFrame) -> Figure:
    """Identifiability in fact and by cost, one row per pair and layer: matchers do not change it.

    Args:
        table: the table ``match``.
    """
    pair = [name for name in table if str(name).startswith(("experiment", "seed", "epoch"))]
    table = table.drop_duplicates([*pair, "layer"])
    own = table.assign(
        identifiable=(table["identifiable"] / table["neurons"]).where(table["own_cost"] > 0),
        identified=table["identified"] / table["neurons"],
        relative=(table["swap_cost"] / table["own_cost"]).where(table["own_cost"] > 0),
    )
    shown = {
        "identifiability_ratio": "identifiability ratio",
        "identified": "share identified in fact",
        "identifiable": "share identifiable by cost",
        "relative": "swap cost over own cost",
    }
    return _draw(own, shown)


def draw_layer(table: pd.DataFrame) -> Figure:
    """Coherence and anisotropy of the inputs of each layer.

    Args:
        table: the table ``layer``.
    """
    shown = {
        "coherence": "coherence",
        "explained_variance": "variance explained",
        "anisotropy_mean": "anisotropy, mean",
        "anisotropy_max": "anisotropy, largest",
    }
    return _draw(table, shown)


def _draw(table: pd.DataFrame, shown: Mapping[str, str]) -> Figure:
    """Panels of the quantities that the table has; means with intervals over pairs or runs."""
    from matplotlib.figure import Figure

    table = table.assign(experiment=subjects(table))
    panels = {name: title for name, title in shown.items() if table[name].notna().any()}
    layers = list(dict.fromkeys(table["layer"]))
    names = list(dict.fromkeys(table["experiment"]))
    with style():
        look = looks(names)
        width = min(len(panels), 2) or 1
        height = -(-len(panels) // 2) or 1
        across = min(3.2 + 0.12 * max(0, len(layers) - _MANY), 6.0)
        figure = Figure(figsize=(0.6 + across * width, 0.5 + 2.5 * height + 0.16 * len(names)))
        axes = figure.subplots(height, width, squeeze=False)
        drawn: list[Estimate] = []
        for (quantity, title), place in zip(panels.items(), axes.flat, strict=False):
            for number, name in enumerate(names):
                own = table[(table["experiment"] == name) & table[quantity].notna()]
                groups = [
                    (layers.index(str(layer)), part) for layer, part in own.groupby("layer", sort=False)
                ]
                values = [estimate(part[quantity], paired(part)) for _, part in groups]
                drawn += values
                aside = (number - (len(names) - 1) / 2) * min(0.05, 0.3 / len(names))
                colour, dashes = look[name]
                place.errorbar(
                    [at + aside for at, _ in groups],
                    [value.mean for value in values],
                    yerr=spread(values),
                    color=colour,
                    linestyle=dashes,
                    marker="o",
                    markersize=3,
                    capsize=2.5,
                    elinewidth=1,
                    label=name,
                )
            turned = 90 if len(layers) > _MANY or max(map(len, layers)) > 12 else 0
            place.set_xticks(range(len(layers)), layers, rotation=turned, fontsize=7)
            place.set_xlim(-0.5, len(layers) - 0.5)
            place.set_title(title)
        for place in axes.flat[len(panels) :]:
            place.set_visible(False)
        if panels:
            figure.legend(
                *axes.flat[0].get_legend_handles_labels(), loc="outside lower center", title=spread_of(drawn)
            )
    return figure
