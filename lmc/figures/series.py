"""Lines over epochs, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

from lmc.core.series import WHOLE, over_epochs
from lmc.figures.looks import DASHES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# From so many layers on, colours run with depth and the legend names three of them.
_MANY = 7


def curves(place: Axes, part: pd.DataFrame, layers: Sequence[str] = ()) -> None:
    """One line each with its interval, or the range of the values below three.

    Args:
        part: of ``series``.
        layers: of all panels, so that one looks the same in each; none: the lines of this one.
    """
    lines = list(dict.fromkeys(part["line"]))
    looks = _looks([name for name in layers or lines if name != WHOLE])
    for line in lines:
        points = over_epochs(part[part["line"] == line])
        if not points:
            continue
        colour, dashes, label = looks.get(line, ("black", "-", str(line)))
        epochs = [epoch for epoch, _ in points]
        place.plot(
            epochs,
            [value.mean for _, value in points],
            color=colour,
            linestyle=dashes,
            linewidth=2.2 if line == WHOLE else 1.5,
            marker="o",
            markersize=2.5,
            label=label,
            zorder=3 if line == WHOLE else 2,
        )
        low, high = zip(*(value.ends for _, value in points), strict=True)
        place.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)


def _looks(lines: Sequence[str]) -> dict[str, tuple[Any, Any, str]]:
    """Colour, dashes and label; a label with an underscore is left out of legends."""
    import matplotlib

    if len(lines) < _MANY:
        colours = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
        return {
            line: (colour, dashes, line)
            for line, colour, dashes in zip(lines, cycle(colours[:-1]), cycle(DASHES), strict=False)
        }
    shades = matplotlib.colormaps["viridis"]
    last = len(lines) - 1
    named = {0, last // 2, last}
    return {
        line: (shades(0.95 * index / last), "-", line if index in named else f"_{line}")
        for index, line in enumerate(lines)
    }
