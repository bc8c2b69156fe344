"""Midpoint barrier against the coherence of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmc.core.statistics import Estimate, estimate
from lmc.figures.looks import spread, spread_of
from lmc.figures.writing import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(table: pd.DataFrame) -> Figure:
    """One curve per embedding, with intervals over outer seeds.

    Args:
        table: the table ``barrier`` with columns ``embedding``, ``coherence`` and ``outer``.
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(4.6, 3.2))
        drawn: list[Estimate] = []
        place = figure.subplots()
        for marker, (embedding, curve) in zip("os^v", table.groupby("embedding", sort=False), strict=False):
            points = [
                (x, estimate(at["midpoint_barrier"], outer=at["outer"].tolist()))
                for x, at in curve.groupby("coherence")
            ]
            drawn += [point for _, point in points]
            xs = [float(x) for x, _ in points]  # type: ignore[arg-type]
            means = [point.mean for _, point in points]
            lengths = spread([point for _, point in points])
            place.errorbar(
                xs, means, yerr=lengths, marker=marker, capsize=3, label=str(embedding).replace("_", " ")
            )
        place.set_xscale("log")
        ticks = sorted(table["coherence"].unique())
        place.set_xticks(ticks, [f"1/{round(1 / tick)}" for tick in ticks])
        place.minorticks_off()
        place.set_xlabel("coherence of the inputs")
        place.set_ylabel("midpoint barrier (test loss)")
        place.axhline(0, color="black", linewidth=0.8)
        place.legend(title=spread_of(drawn))
    return figure
