"""Linear maps from second moments, in closed form and in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from lmc.models.stack import chunk

_BUDGET = 256 << 20


def correction(gram: Tensor, residual: Tensor, ridge: float, free: Tensor | None = None) -> Tensor:
    """What to add to the rows of a linear map W so that it comes as near as it can to a target t.

    The row delta_i minimises E(<w_i + delta_i, x> - t_i)^2 + lambda ||delta_i||^2, lambda = ``ridge`` times
    the mean of the Gram matrix' diagonal, over the coordinates that are free. Directions in which the
    inputs do not vary get no correction, also at ridge 0.

    Args:
        gram: E[x x^T] (d, d), about the mean where a bias takes that up.
        residual: E[(t - W x) x^T] (n, d), likewise.
        ridge: >= 0.
        free: (n, d) bool, the coordinates that may change; all by default.

    Returns:
        (n, d), exactly zero where not free.
    """
    penalty = ridge * gram.diagonal().mean()
    system = gram.clone()
    system.diagonal().add_(penalty)
    definite = bool(penalty > gram.trace() * len(gram) * torch.finfo(gram.dtype).eps)
    if free is None or bool(free.all()):
        return _solve(system, residual.mT, definite).mT
    if not definite or 2 * int(free.sum()) <= free.numel():
        return _restricted(system, free, residual, definite)
    # Fewer coordinates are fixed than free: what holds these at zero is a multiplier at each of them.
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(system))
    multipliers = _restricted(inverse, ~free, residual @ inverse, definite)
    return ((residual - multipliers) @ inverse).masked_fill_(~free, 0)


def _restricted(matrix: Tensor, chosen: Tensor, right: Tensor, definite: bool) -> Tensor:
    """For each row i, on its chosen coordinates S: the z with matrix[S, S] z = right[i, S]; zero elsewhere.

    Args:
        matrix: (d, d), symmetric.
        chosen: (n, d) bool.
        right: (n, d).
    """
    found = torch.zeros_like(right)
    m = max(1, int(chosen.sum(dim=1).max()))
    indices = chosen.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :m]
    belongs = chosen.gather(1, indices)
    step = chunk(len(right), 3 * m * m, itemsize=8, budget=_BUDGET)
    for start in range(0, len(right), step):
        rows = slice(start, start + step)
        at, own = indices[rows], belongs[rows]
        system = matrix[at[:, :, None], at[:, None, :]]
        system.mul_(own[:, :, None]).mul_(own[:, None, :])
        if definite:
            system.diagonal(dim1=1, dim2=2).add_((~own).to(system))
        solved = _solve(system, (right[rows].gather(1, at) * own)[:, :, None], definite)[:, :, 0]
        found[rows].scatter_(1, at, solved * own)
    return found


def _solve(system: Tensor, right: Tensor, definite: bool) -> Tensor:
    """The least z (..., d, n) with ``system`` z = ``right``; the system is positive semi-definite."""
    if definite:
        factor, failed = torch.linalg.cholesky_ex(system)
        if not failed.any():
            return torch.cholesky_solve(right, factor)
    values, vectors = torch.linalg.eigh(system)
    floor = values[..., -1:] * values.shape[-1] * torch.finfo(values.dtype).eps
    scale = torch.where(values > floor, 1 / values, 0)
    return vectors @ (scale[..., None] * (vectors.mT @ right))
