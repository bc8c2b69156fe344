"""The matching objective over epochs, above the barriers of the same epochs."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from lmc.core.schema import frame
from lmc.core.series import series
from lmc.figures.series import curves
from lmc.figures.writing import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_WIDTH = 26
_ROWS = {"objective": ("mean similarity", "similarity along"), "barrier": ("loss barrier", "aligned by")}


def draw(match: pd.DataFrame, barrier: pd.DataFrame, split: str = "test") -> Figure:
    """One column per experiment, on common scales: where identity is below optimal, neurons have moved.

    Above, the similarity along the best permutation, the identity and random ones (mean over layers); below,
    the loss barriers as the runs are and aligned. With the interval over pairs, or the range of the values.

    Args:
        match, barrier: the tables of these names; one may be empty.
        split: of the barriers; another, if the table lacks it (``common_split``).
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    table = series(frame("dynamics", []), match, barrier, split).dropna(subset="value")
    rows = [quantity for quantity in _ROWS if (table["quantity"] == quantity).any()]
    panels = list(table.groupby("experiment", sort=False))
    with style():
        figure = Figure(figsize=(0.9 + 2.6 * len(panels), 0.6 + 2.1 * len(rows)))
        axes = figure.subplots(len(rows) or 1, len(panels) or 1, sharex="col", sharey="row", squeeze=False)
        for (name, part), column in zip(panels, axes.T, strict=False):
            for quantity, place in zip(rows, column, strict=False):
                curves(place, part[part["quantity"] == quantity])
            column[0].set_title(fill(str(name), _WIDTH))
            column[-1].set_xlabel("epoch")
            column[-1].xaxis.set_major_locator(MaxNLocator(5, integer=True))
        for quantity, row in zip(rows, axes, strict=False):
            label, legend = _ROWS[quantity]
            row[0].set_ylabel(label)
            row[0].set_ylim(bottom=min(0.0, row[0].get_ylim()[0]))
            row[-1].legend(title=legend, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
