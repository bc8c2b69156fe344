"""Relative swap costs by the ridge estimate against beta, beside the Mahalanobis estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmc.core.statistics import estimate, paired
from lmc.figures.writing import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(table: pd.DataFrame) -> Figure:
    """One panel per layer, one colour per case; dashed: Mahalanobis.

    Args:
        table: the table ``estimate``.
    """
    import matplotlib
    from matplotlib.figure import Figure

    panels = list(table.groupby("layer", sort=False))
    with style():
        colours = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
        figure = Figure(figsize=(1.0 + 3.0 * len(panels), 3.2))
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for place, (layer, part) in zip(axes, panels, strict=True):
            for colour, (case, own) in zip(colours, part.groupby("case", sort=False), strict=False):
                ridge = own[own["estimate"] == "ridge"]
                points = [
                    (beta, estimate(at["relative_swap_cost"], paired(at)))
                    for beta, at in ridge.groupby("beta")
                ]
                betas = [float(beta) for beta, _ in points]  # type: ignore[arg-type]
                place.plot(betas, [value.mean for _, value in points], "o-", color=colour, label=str(case))
                place.fill_between(
                    betas,
                    [value.ends[0] for _, value in points],
                    [value.ends[1] for _, value in points],
                    color=colour,
                    alpha=0.15,
                    linewidth=0,
                )
                plain = own[own["estimate"] == "mahalanobis"]["relative_swap_cost"].mean()
                place.axhline(plain, color=colour, linestyle="--", linewidth=1.0)
            place.set_xscale("log")
            place.set_yscale("symlog", linthresh=0.1)
            place.set_title(str(layer))
            place.set_xlabel("beta of the ridge estimate")
        axes[0].set_ylabel("swap / own cost (dashed: Mahalanobis)")
        axes[-1].legend()
    return figure
