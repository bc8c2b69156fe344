"""What it costs a slot to come close to a function on the data (THEORY 2, ridge estimate), in float64.

    r(i <- j; beta) = min over theta, b of  ||theta||^2 + (1/beta) * mean_x (target_j(x) - realised_i(x))^2

With no activation this is a linear system per slot and needs second moments only; with one, see
``ridge_activation``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lmc.core.errors import LmcError
from lmc.costs.gram import basis_rows, grams
from lmc.costs.ridge_activation import Layer, Nonlinear
from lmc.models.activations import ACTIVATIONS
from lmc.models.stack import chunk
from lmc.recording.moments import Moments


@dataclass(frozen=True)
class RidgeCost:
    """Costs (n, n), [slot, neuron]: ``total`` = ``data_term`` + ``norm_term``; NaN for pairs left out.

    ``data_term`` is the weighted error, (1/beta) mean (...)^2, and ``norm_term`` ||theta||^2.
    ``not_converged`` counts pairs whose gradient stayed above the tolerance.
    """

    total: Tensor
    data_term: Tensor
    norm_term: Tensor
    not_converged: int = 0


def ridge_cost(
    x: Tensor | Moments,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    centre: Tensor | None,
    beta: float,
    activation: str | None = None,
    fit_bias: bool = True,
    norm: tuple[Tensor, Tensor] | None = None,
    pairs: Tensor | None = None,
    tolerance: float = 1e-6,
    max_steps: int = 500,
) -> RidgeCost:
    """Ridge cost of every slot for every neuron's function.

    Through an activation the problem is not convex: the result is a local minimum, reached from that of three
    starts which leads after a few steps, and for i = j never above ||theta_i||^2.

    Args:
        x: the layer's inputs (N, d); without an activation their moments will do.
        weight, bias: effective weights (n, d) and biases (n,) or None.
        mask, centre: D and f (n, d), or None where trivial.
        beta: > 0; the smaller, the closer the function has to be met.
        activation: a name of ``lmc.models.activations``, or None for the pre-activation.
        fit_bias: whether b is free (unpenalised); else it stays the target's.
        norm: scale and shift, each (n,) or (N, n), of a fixed norm between the linear map and the
            activation; they go with the neuron whose function is realised. Needs an activation.
        pairs: (n, n) bool, the pairs to compute; all by default.
        tolerance: of the gradient's largest entry, relative to 1 + the objective.
        max_steps: of the minimisation through an activation.

    Raises:
        LmcError: beta <= 0, inputs that are not finite, an unknown activation, or an activation with
            moments in place of inputs.
    """
    if not 0 < beta < math.inf:
        raise LmcError(f"beta={beta}: not above 0", "betas weigh the norm against the error, e.g. 0.01")
    if activation is not None and activation not in ACTIVATIONS:
        raise LmcError(f"activation={activation}: unknown", "one of " + ", ".join(ACTIVATIONS))
    if not torch.isfinite(x.mean if isinstance(x, Moments) else x).all():
        raise LmcError("the inputs hold NaN or infinite values, so no function can be fitted on them")
    layer = Layer.of(weight, bias, mask, centre)
    if activation is None:
        if norm is not None:
            raise LmcError("ridge costs with a norm need the activation after it")
        data, theta = _linear(_moment_matrix(x, fit_bias), layer, beta)
        if pairs is not None:
            data, theta = (torch.where(pairs, part, torch.nan) for part in (data, theta))
        return RidgeCost(data + theta, data, theta)
    if isinstance(x, Moments):
        raise LmcError("ridge costs through an activation need inputs, not moments")
    problem = Nonlinear(x.double(), layer, beta, ACTIVATIONS[activation](), fit_bias, norm)
    wanted = torch.ones(len(weight), len(weight), dtype=torch.bool) if pairs is None else pairs
    data, theta, missed = problem.solve(wanted, tolerance, max_steps)
    return RidgeCost(data + theta, data, theta, missed)


def _moment_matrix(x: Tensor | Moments, fit_bias: bool) -> Tensor:
    """E[x x^T], about the mean where the bias is free to absorb it."""
    if isinstance(x, Moments):
        run = next(iter(x.covariances))[0]
        return x.covariance(run) if fit_bias else x.second_moment(run)
    rows = x.double()
    if fit_bias:
        rows = rows - rows.mean(dim=0)
    return rows.mT @ rows / len(rows)


def _linear(moment: Tensor, layer: Layer, beta: float) -> tuple[Tensor, Tensor]:
    """Data and norm terms in closed form, all neurons as right-hand sides of one system a slot.

    With E[x x^T] = F F^T and z = F^T (w_j - f_i), the best theta is D_i F y where
    (F^T D_i F + beta I) y = z; the error left is beta y. F has a column for each dimension of the data.
    """
    values, vectors = torch.linalg.eigh(moment)
    floor = values[-1].clamp_min(0) * len(values) * torch.finfo(values.dtype).eps
    rank = max(1, int((values > floor).sum()))
    values, factor = values[-rank:].clamp_min(0), vectors[:, -rank:]
    factor = factor * values.sqrt()
    targets, centres = layer.weight @ factor, layer.centre @ factor
    if layer.free.all():
        kept, lost = values.sqrt() / (beta + values), math.sqrt(beta) / (beta + values)
        return _distances(centres * lost, targets * lost), _distances(centres * kept, targets * kept)
    n, d = layer.free.shape
    data, norm = targets.new_empty(n, n), targets.new_empty(n, n)
    step = chunk(n, (d + 2 * rank) * (rank + n), itemsize=8, budget=128 << 20)
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        z = (targets[None] - centres[rows, None]).mT
        y = _solve(grams(layer.free[rows], factor), z, beta)
        data[rows] = beta * y.square().sum(dim=1)
        norm[rows] = (basis_rows(layer.free[rows], factor) @ y).square().sum(dim=1)
    return data, norm


def _solve(gram: Tensor, right: Tensor, beta: float) -> Tensor:
    """(G + beta I)^-1 b for G (m, r, r) and the columns b of (m, r, n)."""
    system = gram.clone()
    system.diagonal(dim1=1, dim2=2).add_(beta)
    factor, failed = torch.linalg.cholesky_ex(system)
    lost = failed != 0
    factor[lost] = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    found = torch.cholesky_solve(right, factor)
    if lost.any():  # beta is below the rounding of G
        values, vectors = torch.linalg.eigh(gram[lost])
        found[lost] = vectors @ ((vectors.mT @ right[lost]) / (values.clamp_min(0) + beta)[:, :, None])
    return found


def _distances(a: Tensor, b: Tensor) -> Tensor:
    if not a.any():
        return b.square().sum(dim=1).expand(len(a), -1).clone()
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()
