"""Swap costs: matrices on one colour scale, histograms by layer, and their course over epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmc.figures.writing import style

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

_MOST = 4


def signed_root(values: Any) -> Any:
    """sign(x) sqrt|x|: swap costs span orders of magnitude on both sides of zero."""
    import numpy as np

    return np.sign(values) * np.sqrt(np.abs(values))


def matrix(swaps: pd.DataFrame) -> np.ndarray:
    """One layer's swap costs as a symmetric matrix, neurons in order; the diagonal is 0."""
    import numpy as np

    names = np.unique(np.concatenate([swaps["neuron_a"], swaps["neuron_b"]]))
    place = {name: index for index, name in enumerate(names)}
    filled = np.zeros((len(names), len(names)))
    rows = swaps["neuron_a"].map(place).to_numpy()
    columns = swaps["neuron_b"].map(place).to_numpy()
    filled[rows, columns] = filled[columns, rows] = swaps["swap_cost"].to_numpy()
    return filled


def draw(table: pd.DataFrame) -> Figure | None:
    """One column per layer: the matrix of one run, and the histogram of all runs below it.

    With several epochs a third row shows mean and range of the swap costs over them. Infinite costs are
    left out of histograms and drawn at the end of the scale. None for a table without pairs.

    Args:
        table: the table ``swap``; the first experiment, run, estimate and beta give the matrices.
    """
    import matplotlib
    import numpy as np
    from matplotlib.figure import Figure

    if table.empty:
        return None
    first = first_estimate(table[table["experiment"] == table["experiment"].iloc[0]])
    layers = list(dict.fromkeys(first["layer"]))
    finite = signed_root(first["swap_cost"][np.isfinite(first["swap_cost"])])
    span = float(np.abs(finite).max()) if len(finite) else 0.0
    span = span or 1.0
    epochs = sorted(first["epoch"].unique())
    with style():
        height = 3 if len(epochs) > 1 else 2
        figure = Figure(figsize=(1.0 + 2.9 * len(layers), 0.6 + 2.5 * height))
        axes = figure.subplots(height, len(layers), squeeze=False)
        for column, layer in enumerate(layers):
            part = first[first["layer"] == layer]
            last = part[part["epoch"] == epochs[-1]]
            one = last[last["seed"] == last["seed"].iloc[0]]
            place = axes[0, column]
            image = place.imshow(
                np.clip(signed_root(matrix(one)), -span, span), cmap="RdBu_r", vmin=-span, vmax=span
            )
            place.set_title(layer)
            place.grid(False)
            place.set_xlabel("neuron j")
            values = signed_root(last["swap_cost"][np.isfinite(last["swap_cost"])])
            axes[1, column].hist(values, bins="auto", color="#0072B2")
            axes[1, column].axvline(0, color="black", linewidth=0.8)
            axes[1, column].set_xlabel("signed root of the swap cost")
            if height == 3:
                _course(axes[2, column], part)
        axes[0, 0].set_ylabel("neuron i")
        axes[1, 0].set_ylabel("pairs")
        bar = figure.colorbar(image, ax=list(axes[0]), shrink=0.8)
        bar.set_label("signed root of Delta[i, j]")
        figure.suptitle(str(first["experiment"].iloc[0]), fontsize=matplotlib.rcParams["axes.titlesize"])
    return figure


def _course(place: Any, part: pd.DataFrame) -> None:
    groups = part.groupby("epoch")["swap_cost"]
    place.plot(groups.mean().index, signed_root(groups.mean()), color="#D55E00", label="mean")
    low, high = signed_root(groups.quantile(0.05)), signed_root(groups.quantile(0.95))
    place.fill_between(groups.mean().index, low, high, color="#D55E00", alpha=0.2, label="5-95 %")
    place.set_xlabel("epoch")
    place.set_ylabel("signed root of the swap cost")
    place.legend()


def draw_stored(table: pd.DataFrame) -> Figure | None:
    """One experiment in full, or the matrices of several on one scale, one row per experiment.

    Args:
        table: the table ``swap``; of several estimates the first of each experiment is drawn.
    """
    if table["experiment"].nunique() < 2:
        return draw(table)
    return draw_grid(first_estimate(table), "experiment", "layer")


def first_estimate(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of each experiment's first estimate and beta (NaN for mahalanobis)."""
    estimate = table["estimate"] + table["beta"].fillna(0).astype(str)
    return table[estimate == estimate.groupby(table["experiment"]).transform("first")]


def draw_grid(table: pd.DataFrame, rows: str, columns: str) -> Figure:
    """Matrices of many experiments on one colour scale.

    Args:
        table: the table ``swap`` with two more columns, ``rows`` and ``columns``, that place each matrix.
    """
    import numpy as np
    from matplotlib.figure import Figure

    down, across = (list(dict.fromkeys(table[name])) for name in (rows, columns))
    finite = signed_root(table["swap_cost"][np.isfinite(table["swap_cost"])])
    span = float(np.quantile(np.abs(finite), 0.995)) if len(finite) else 0.0
    span = span or 1.0
    with style():
        figure = Figure(figsize=(1.4 + 2.0 * len(across), 0.6 + 2.0 * len(down)))
        axes = figure.subplots(len(down), len(across), squeeze=False)
        for i, row in enumerate(down):
            for j, column in enumerate(across):
                place = axes[i, j]
                part = table[(table[rows] == row) & (table[columns] == column)]
                if part.empty:
                    place.set_visible(False)
                    continue
                one = part[part["seed"] == part["seed"].min()]
                image = place.imshow(
                    np.clip(signed_root(matrix(one)), -span, span), cmap="RdBu_r", vmin=-span, vmax=span
                )
                place.grid(False)
                place.set_xticks([])
                place.set_yticks([])
                if i == 0:
                    place.set_title(f"{columns} {column}")
                if j == 0:
                    place.set_ylabel(f"{rows} {row}")
        figure.colorbar(image, ax=list(axes.flat), shrink=0.8).set_label("signed root of Delta[i, j]")
    return figure
