"""The best permutation of a matrix of similarities (Hungarian method)."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from lmc.core.errors import LmcError


def match_activations(similarity: Tensor, admissible: Tensor | None = None) -> Tensor:
    """The permutation of greatest total similarity.

    Args:
        similarity: (n, n), neuron i of A by neuron j of B.
        admissible: (n, n) bool, the pairs allowed; the diagonal must be. None allows all.

    Returns:
        (n,) int64, B's neuron for each slot of A (B' = B[p]).

    Raises:
        LmcError: the similarity is not square or not finite.
    """
    if similarity.dim() != 2 or similarity.shape[0] != similarity.shape[1]:
        raise LmcError(f"similarity of shape {tuple(similarity.shape)}: expected (n, n)")
    if not torch.isfinite(similarity).all():
        raise LmcError("similarity holds NaN or infinite values", "has one of the runs diverged?")
    value = similarity.double()
    if admissible is not None:
        # Worse than any permutation of admissible pairs, so that one is used only if none exists.
        barred = value.min() - (value.max() - value.min() + 1) * len(value)
        value = torch.where(admissible, value, barred)
    rows, columns = linear_sum_assignment(value.cpu().numpy(), maximize=True)
    return torch.from_numpy(columns[rows.argsort()]).long()


def objective(similarity: Tensor, permutation: Tensor) -> float:
    """Mean similarity along a permutation."""
    return float(similarity.double()[torch.arange(len(permutation)), permutation].mean())
