"""Gram matrices U^T diag(D_i)^2 U of many slots (THEORY 2), from the coordinates that decide them."""

from __future__ import annotations

import torch
from torch import Tensor


def basis_rows(chosen: Tensor, basis: Tensor) -> Tensor:
    """The basis' rows (d, k) at each slot's ``chosen`` (n, d) bool coordinates.

    Returns:
        (n, m, k), m the count of the fullest slot, at least 1; zero rows fill the others.
    """
    m = max(1, int(chosen.sum(dim=1).max()))
    indices = chosen.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :m]
    rows, belongs = basis[indices], chosen.gather(1, indices)
    return rows if belongs.all() else rows.mul_(belongs[:, :, None])


def grams(free: Tensor, basis: Tensor) -> Tensor:
    """S (n, k, k) of trainable coordinates (n, d) bool and a basis (d, k), orthonormal or not.

    Summed over the trainable coordinates, or taken from the whole over the fixed ones, whichever are fewer.
    """
    if 2 * int(free.sum()) <= free.numel():
        rows = basis_rows(free, basis)
        return rows.mT @ rows
    rows = basis_rows(~free, basis)
    return basis.mT @ basis - rows.mT @ rows
