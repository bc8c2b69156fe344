"""Subspaces and their coherence (THEORY 2, 3), in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from lmc.core.errors import LmcError


def principal_directions(covariance: Tensor, ratio: float) -> tuple[Tensor, float]:
    """The fewest leading eigenvectors that explain ``ratio`` of the variance.

    Args:
        covariance: (d, d), symmetric, positive semi-definite.
        ratio: in (0, 1].

    Returns:
        basis (d, k), orthonormal, and the share of variance it explains.
    """
    if not 0 < ratio <= 1:
        raise LmcError(f"ratio={ratio}: outside (0, 1]")
    if not torch.isfinite(covariance).all():
        raise LmcError("the inputs hold NaN or infinite values, so they span no subspace")
    values, vectors = torch.linalg.eigh(covariance.double())
    values = values.flip(0).clamp_min(0)
    floor = values[0] * values.numel() * torch.finfo(torch.float64).eps
    values = torch.where(values > floor, values, 0)
    total = values.sum()
    if total <= 0:
        raise LmcError("the inputs are constant, so they span no subspace")
    explained = values.cumsum(0) / total
    k = min(int((explained < ratio - 1e-12).sum()) + 1, int((values > 0).sum()))
    return vectors.flip(1)[:, :k].contiguous(), float(explained[k - 1])


def coherence(basis: Tensor) -> float:
    """nu(U) = max over coordinates r of ||U_r||^2, between k/d and 1 (THEORY 3). ``basis`` is (d, k)."""
    return float(basis.double().square().sum(dim=1).max())
