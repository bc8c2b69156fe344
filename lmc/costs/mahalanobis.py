"""What it costs a neuron to realise a function, in norm (THEORY 2), in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lmc.core.linear_algebra import coherence, principal_directions
from lmc.models.stack import chunk
from lmc.recording.moments import Moments

Outside = Literal["infinite", "projected"]
_SINGULAR = 1e-10


@dataclass(frozen=True)
class Subspace:
    """The directions a layer's inputs vary in: ``basis`` (d, k), orthonormal."""

    basis: Tensor
    explained_variance: float
    coherence: float

    @property
    def dimension(self) -> int:
        """k."""
        return self.basis.shape[1]


def principal_subspace(x: Tensor | Moments, ratio: float = 0.9) -> Subspace:
    """The smallest subspace that explains ``ratio`` of the inputs' variance (THEORY 2).

    Args:
        x: inputs (N, d), or their moments with one run's covariance.

    Raises:
        LmcError: the inputs are constant or not finite, or ratio is outside (0, 1].
    """
    if isinstance(x, Moments):
        covariance = x.covariance(next(iter(x.covariances))[0])
    else:
        centred = x.double() - x.double().mean(dim=0)
        covariance = centred.mT @ centred / len(centred)
    basis, explained = principal_directions(covariance, ratio)
    return Subspace(basis, explained, coherence(basis))


def realisation_cost(
    weight: Tensor,
    mask: Tensor | None,
    centre: Tensor | None,
    basis: Tensor,
    outside: Outside = "infinite",
) -> Tensor:
    """C[i, j] = (a_j - v_i)^T S_i^+ (a_j - v_i): squared norm at which slot i realises neuron j's function.

    Args:
        weight: effective weights (n, d).
        mask: D (n, d), or None where it is all ones.
        centre: f (n, d), or None where it is all zeros.
        basis: U (d, k).
        outside: a function outside the range of S_i costs infinity, or its projection's cost.

    Returns:
        (n, n) float64, [slot, neuron].
    """
    u = basis.double()
    a = weight.double() @ u
    v = torch.zeros_like(a) if centre is None else centre.double() @ u
    if mask is None or bool(mask.bool().all()):
        return _squared_distances(v, a)
    n, k = a.shape
    cost = a.new_empty(n, n)
    step = chunk(n, k * k + 2 * n * k, itemsize=8)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        gram = torch.einsum("dk,id,dl->ikl", u, mask[rows].double(), u)
        difference = (a[None] - v[rows, None]).mT
        cost[rows] = _solve(gram, difference, outside)
    return cost


def swap_cost(cost: Tensor) -> Tensor:
    """Delta[i, j] = (C[i, j] - C[j, j]) + (C[j, i] - C[i, i]): what exchanging neurons i and j adds.

    Exactly zero where all rows of C agree (D trivial and f = 0). ``cost`` is (n, n); so is the result.
    """
    own = cost.diagonal()
    excess = cost - own[None, :]
    return excess + excess.mT


def _squared_distances(v: Tensor, a: Tensor) -> Tensor:
    if not v.any():
        return a.square().sum(dim=1).expand(len(a), -1).clone()
    return torch.cdist(v, a, compute_mode="donot_use_mm_for_euclid_dist").square()


def _solve(gram: Tensor, difference: Tensor, outside: Outside) -> Tensor:
    """b^T S^+ b for S (m, k, k) and b the columns of (m, k, n)."""
    factor, failed = torch.linalg.cholesky_ex(gram)
    pivots = factor.diagonal(dim1=1, dim2=2).square()
    singular = (failed != 0) | ~(pivots.amin(dim=1) > _SINGULAR * pivots.amax(dim=1))
    cost = gram.new_empty(gram.shape[0], difference.shape[2])
    regular = ~singular
    if regular.any():
        half = torch.linalg.solve_triangular(factor[regular], difference[regular], upper=False)
        cost[regular] = half.square().sum(dim=1)
    if singular.any():
        cost[singular] = _pseudo(gram[singular], difference[singular], outside)
    return cost


def _pseudo(gram: Tensor, difference: Tensor, outside: Outside) -> Tensor:
    values, vectors = torch.linalg.eigh(gram)
    kept = values > _SINGULAR * values.amax(dim=1, keepdim=True).clamp_min(torch.finfo(gram.dtype).tiny)
    inverse = torch.where(kept, 1 / torch.where(kept, values, 1), 0)
    coordinates = vectors.mT @ difference
    cost = (inverse[:, :, None] * coordinates.square()).sum(dim=1)
    if outside == "infinite":
        lost = torch.where(kept[:, :, None], 0, coordinates.square()).sum(dim=1)
        cost = torch.where(lost > _SINGULAR * coordinates.square().sum(dim=1), torch.inf, cost)
    return cost
