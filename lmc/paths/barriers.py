"""The barriers of a path, all of them by name (THEORY 5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lmc.core.errors import LmcError

NAMES = (
    *("loss_barrier", "loss_barrier_max", "midpoint_barrier"),
    *("accuracy_barrier", "relative_accuracy_drop", "alpha_of_max"),
)


def barriers(alpha: ArrayLike, loss: ArrayLike, accuracy: ArrayLike) -> dict[str, float]:
    """Every barrier of one path.

    Args:
        alpha: points in increasing order from 0 to 1.
        loss, accuracy: mean loss and accuracy there; accuracy may be NaN (regression).

    Returns:
        ``loss_barrier``, ``loss_barrier_max``, ``midpoint_barrier`` (NaN where 1/2 is not among the points),
        ``accuracy_barrier``, ``relative_accuracy_drop`` and ``alpha_of_max``.

    Raises:
        LmcError: the points do not run from 0 to 1, or the lengths differ.
    """
    l, losses, accuracies = (np.asarray(values, dtype=float) for values in (alpha, loss, accuracy))  # noqa: E741
    if not len(l) == len(losses) == len(accuracies):
        raise LmcError(f"{len(l)} alphas, {len(losses)} losses, {len(accuracies)} accuracies: lengths differ")
    if len(l) < 2 or l[0] != 0 or l[-1] != 1 or not (np.diff(l) > 0).all():
        raise LmcError("alphas do not increase from 0 to 1")
    if len(l) == 2:
        return dict.fromkeys(NAMES, float("nan"))
    excess = losses - ((1 - l) * losses[0] + l * losses[-1])
    middle = np.flatnonzero(np.isclose(l, 0.5, rtol=0, atol=1e-12))
    best = max(accuracies[0], accuracies[-1])
    return {
        "loss_barrier": float(excess.max()),
        "loss_barrier_max": float(losses.max() - max(losses[0], losses[-1])),
        "midpoint_barrier": float(losses[middle[0]] - (losses[0] + losses[-1]) / 2)
        if len(middle)
        else float("nan"),
        "accuracy_barrier": float(((1 - l) * accuracies[0] + l * accuracies[-1] - accuracies).max()),
        "relative_accuracy_drop": float((best - accuracies.min()) / best) if best > 0 else float("nan"),
        "alpha_of_max": float(l[excess.argmax()]) if np.isfinite(excess).all() else float("nan"),
    }
