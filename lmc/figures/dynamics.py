"""How runs diverge or stay together over their stored epochs: small multiples of every measure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmc.core.series import BETWEEN, PREVIOUS, WHOLE, series
from lmc.core.splits import common_split
from lmc.figures.series import curves
from lmc.figures.writing import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_COLUMNS = 4
# Quantity, the title of its panel, the line that stands for an experiment (None: their mean), its limits.
_PANELS: tuple[tuple[str, str, str | None, tuple[float | None, float | None]], ...] = (
    ("update cosine", "updates of two runs: cosine", WHOLE, (None, 1.02)),
    ("distance", "distance of two runs", WHOLE, (0, None)),
    ("distance from the first", "distance from the first epoch", WHOLE, (0, None)),
    ("agreement", "same predictions on", None, (0, 1.02)),
    ("CKA", "CKA of two runs", None, (0, 1.02)),
    ("CKA with the last", "CKA with the last epoch", None, (0, 1.02)),
    ("NTK alignment", "NTK: alignment with", BETWEEN, (0, 1.02)),
    ("linearisation error", "share missed, linearised at", PREVIOUS, (0, None)),
    ("objective", "similarity along", "identity", (None, None)),
    ("identifiability ratio", "identifiability ratio", None, (None, 1.05)),
    ("swap / own cost", "swap cost over own cost", None, (None, None)),
    ("barrier", "loss barrier, aligned by", "none", (None, None)),
)

_LAYERED = (
    "distance",
    "distance from the first",
    "update cosine",
    "CKA",
    "CKA with the last",
    "swap / own cost",
)


def draw(dynamics: pd.DataFrame, match: pd.DataFrame, barrier: pd.DataFrame, split: str = "test") -> Figure:
    """One panel per measure over epochs: mean, and interval over pairs or runs (or the values' range).

    One experiment has one line per layer, and all weights in black; several have one line each.

    Args:
        dynamics, match, barrier: the tables of these names; any may be empty.
        split: of predictions and barriers; another, if the tables lack it (``common_split``).
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    table = series(dynamics, match, barrier, split).dropna(subset="value")
    several = table["experiment"].nunique() > 1
    panels = [panel for panel in _PANELS if (table["quantity"] == panel[0]).any()]
    layers = list(dict.fromkeys(table[table["quantity"].isin(_LAYERED)]["line"])) if not several else []
    with style():
        columns = min(len(panels), _COLUMNS) or 1
        height = -(-len(panels) // _COLUMNS) or 1
        figure = Figure(figsize=(0.8 + 2.9 * columns, 0.5 + 2.4 * height))
        axes = figure.subplots(height, columns, sharex=True, squeeze=False)
        for (quantity, title, main, limits), place in zip(panels, axes.flat, strict=False):
            part = table[table["quantity"] == quantity]
            if several:
                main = _agreed(dynamics, split) if quantity == "agreement" else main
                part = part if main is None else part[part["line"] == main]
                part = part.assign(line=part["experiment"])
                title = f"{title} {main}" if main and main != WHOLE else title
            curves(place, part, layers if set(part["line"]) & set(layers) else [])
            place.set_title(title, wrap=True)
            bottom, top = limits
            place.set_ylim(min(0, place.get_ylim()[0]) if bottom is None else bottom, top)
            place.xaxis.set_tick_params(labelbottom=True)
            place.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            if not several:
                place.legend(fontsize=6, handlelength=1.4)
        for place in axes.flat[len(panels) :]:
            place.set_visible(False)
        for place in axes.flat[max(0, len(panels) - columns) : len(panels)]:
            place.set_xlabel("epoch")
        if several and panels:
            figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center")
        elif panels:
            figure.suptitle(str(table["experiment"].iloc[0]), fontsize=9)
    return figure


def _agreed(dynamics: pd.DataFrame, split: str) -> str:
    """The split on which predictions are compared."""
    return common_split(dynamics[dynamics["measure"] == "agreement"], split)
