"""What it costs a neuron to realise a function, in norm (THEORY 2), in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lmc.core.linear_algebra import coherence, principal_directions
from lmc.costs.gram import basis_rows, grams
from lmc.models.stack import chunk
from lmc.recording.moments import Moments

Outside = Literal["infinite", "projected"]
_SINGULAR = 1e-10
# Bytes of slots at a time; measured: what stays in the cache takes three quarters of the time.
_BUDGET = 24 << 20
# Fixed coordinates, in units of k, up to which systems over them are the cheaper ones (measured).
_CROSSOVER = 0.8


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
    (n, d), k = mask.shape, u.shape[1]
    free = mask.bool()
    projected = u @ a.mT
    by_fixed = d - int(free.sum(dim=1).min()) < _CROSSOVER * k
    cost = a.new_empty(n, n)
    step = chunk(n, (d + k + 3 * n) * k, itemsize=8, budget=_BUDGET)
    for start in range(0, n, step):
        rows = torch.arange(start, min(start + step, n))
        if by_fixed:
            fixed = ~free[rows]
            cost[rows], regular = _by_fixed(basis_rows(fixed, u), basis_rows(fixed, projected), v[rows], a)
        else:
            cost[rows], regular = _by_gram(grams(free[rows], u), v[rows], a)
        rows = rows[~regular]
        if len(rows):
            cost[rows] = _pseudo(basis_rows(free[rows], u), v[rows], a, rows, outside)
    return cost


def outside_range(cost: Tensor) -> int:
    """How many (slot, neuron) pairs lie outside the slot's range: the infinite entries of a cost (n, n)."""
    return int(cost.isinf().sum())


def swap_cost(cost: Tensor) -> Tensor:
    """Delta[i, j] = (C[i, j] - C[j, j]) + (C[j, i] - C[i, i]): what exchanging neurons i and j adds.

    Exactly zero where all rows of C agree (D trivial and f = 0). ``cost`` is (n, n); so is the result.
    """
    own = cost.diagonal()
    excess = cost - own[None, :]
    return excess + excess.mT


def _squared_distances(v: Tensor, a: Tensor) -> Tensor:
    """||a_j - v_i||^2 of (r, k) and (n, k): (r, n)."""
    if not v.any():
        return a.square().sum(dim=1).expand(len(v), -1).clone()
    return torch.cdist(v, a, compute_mode="donot_use_mm_for_euclid_dist").square()


def _by_gram(gram: Tensor, v: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """Costs (r, n) of slots with Gram matrices S (r, k, k), and for which slots they hold, (r,) bool."""
    half, regular = _half_inverse(gram)
    return (half @ a.mT - half @ v[:, :, None]).square_().sum(dim=1), regular


def _by_fixed(rows: Tensor, targets: Tensor, v: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """The same by Woodbury: S^-1 = I + U_F^T (I - U_F U_F^T)^-1 U_F, with U_F (r, m, k) of fixed coordinates.

    ``targets`` is U_F a^T (r, m, n), and is overwritten. I - U_F U_F^T has the eigenvalues of S other
    than 1, so both are singular together.
    """
    small = -(rows @ rows.mT)
    small.diagonal(dim1=1, dim2=2).add_(1)
    half, regular = _half_inverse(small)
    whitened = half @ targets.sub_(rows @ v[:, :, None])
    return _squared_distances(v, a) + whitened.square_().sum(dim=1), regular


def _half_inverse(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """L^-1 of A = L L^T (r, m, m) with eigenvalues up to 1, and which A are clear of singular.

    (One small inverse and a matrix product take half the time of a triangular solve with all neurons.)
    """
    factor, failed = torch.linalg.cholesky_ex(matrices)
    smallest = factor.diagonal(dim1=1, dim2=2).square().amin(dim=1)
    regular = (failed == 0) & (smallest > _SINGULAR)
    identity = torch.eye(matrices.shape[1], dtype=matrices.dtype, device=matrices.device)
    factor[~regular] = identity
    return torch.linalg.solve_triangular(factor, identity.expand_as(factor), upper=False), regular


def _pseudo(rows: Tensor, v: Tensor, a: Tensor, slots: Tensor, outside: Outside) -> Tensor:
    """Costs (r, n) by the pseudo-inverse of S = U_T^T U_T, with U_T (r, t, k) of trainable coordinates."""
    values, vectors = torch.linalg.eigh(rows.mT @ rows)
    kept = values > _SINGULAR * values.amax(dim=1, keepdim=True).clamp_min(torch.finfo(values.dtype).tiny)
    inverse = torch.where(kept, 1 / torch.where(kept, values, 1), 0)
    squared = (vectors.mT @ (a[None] - v[:, None]).mT).square()
    cost = (inverse[:, :, None] * squared).sum(dim=1)
    if outside == "infinite":
        lost = torch.where(kept[:, :, None], 0, squared).sum(dim=1)
        beyond = lost > _SINGULAR * squared.sum(dim=1)
        # A slot's own function is in its range by construction, whatever rounding says.
        beyond[torch.arange(len(slots)), slots] = False
        cost = torch.where(beyond, torch.inf, cost)
    return cost
