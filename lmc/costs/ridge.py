"""What it costs a slot to come close to a function on the data (THEORY 2, ridge estimate), in float64.

    r(i <- j; beta) = min over theta, b of  ||theta||^2 + (1/beta) * mean_x (target_j(x) - realised_i(x))^2

With no activation this is a linear system per slot on its trainable inputs, and needs second moments
only. With one it starts there and goes on by preconditioned L-BFGS, a batch of pairs at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmc.core.errors import LmcError
from lmc.costs.lbfgs import minimise
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


@dataclass(frozen=True)
class _Layer:
    """A layer in float64: weights (n, d), biases (n,), trainable inputs (n, d) as 0/1, centres (n, d)."""

    weight: Tensor
    bias: Tensor
    mask: Tensor
    centre: Tensor

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None, mask: Tensor | None, centre: Tensor | None) -> _Layer:
        w = weight.double()
        b = w.new_zeros(len(w)) if bias is None else bias.double()
        d = torch.ones_like(w) if mask is None else mask.double()
        f = torch.zeros_like(w) if centre is None else centre.double()
        return cls(w, b, d, f)

    @property
    def shared(self) -> bool:
        """Whether every slot has every input trainable."""
        return bool((self.mask == 1).all())


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

    Args:
        x: the layer's inputs (N, d); without an activation their moments will do.
        weight, bias: effective weights (n, d) and biases (n,) or None.
        mask, centre: D and f (n, d), or None where trivial.
        beta: > 0; the smaller, the closer the function has to be met.
        activation: a name of ``lmc.models.activations``, or None for the pre-activation.
        fit_bias: whether b is free (unpenalised); else it stays the target's.
        norm: scale and shift, each (n,) or (N, n), of a fixed norm between the linear map and the
            activation; they go with the neuron whose function is realised. Needs an activation.
        pairs: (n, n) bool, the pairs to compute; all by default. Only with an activation.
        tolerance: of the gradient's largest entry, relative to 1 + the objective.

    Raises:
        LmcError: beta <= 0, an unknown activation, or an activation with moments in place of inputs.
    """
    if not beta > 0:
        raise LmcError(f"beta={beta}: not above 0", "betas weigh the norm against the error, e.g. 0.01")
    layer = _Layer.of(weight, bias, mask, centre)
    if activation is None:
        return _linear(_moment_matrix(x, fit_bias), layer, beta)
    if activation not in ACTIVATIONS:
        raise LmcError(f"activation={activation}: unknown", "one of " + ", ".join(ACTIVATIONS))
    if isinstance(x, Moments):
        raise LmcError("ridge costs through an activation need inputs, not moments")
    chosen = torch.ones(len(weight), len(weight), dtype=torch.bool) if pairs is None else pairs
    problem = _Nonlinear(x.double(), layer, beta, activation, fit_bias, norm)
    return problem.solve(chosen, tolerance, max_steps)


def _moment_matrix(x: Tensor | Moments, fit_bias: bool) -> Tensor:
    """E[x x^T], about the mean where the bias is free to absorb it."""
    if isinstance(x, Moments):
        return x.covariance() if fit_bias else x.second_moment()
    rows = x.double()
    if fit_bias:
        rows = rows - rows.mean(dim=0)
    return rows.mT @ rows / len(rows)


def _linear(moment: Tensor, layer: _Layer, beta: float) -> RidgeCost:
    """Closed form: one factorisation a slot, with all neurons as right-hand sides."""
    if layer.shared:
        return _linear_shared(moment, layer, beta)
    n, d = layer.weight.shape
    data, norm = layer.weight.new_empty(n, n), layer.weight.new_empty(n, n)
    order = layer.mask.argsort(dim=1, descending=True, stable=True)
    order = order[:, : max(1, int(layer.mask.sum(dim=1).max()))]
    t = order.shape[1]
    step = chunk(n, t * t + 4 * n * d, itemsize=8, budget=256 << 20)
    factor = _factor(moment)
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        theta = _solve_slots(moment, layer, beta, order[rows], rows)
        residual = (layer.weight[None] - layer.centre[rows, None]).scatter_add(
            2, order[rows, None].expand(-1, n, -1), -theta
        )
        data[rows] = (residual @ factor).square().sum(dim=2) / beta
        norm[rows] = theta.square().sum(dim=2)
    return RidgeCost(data + norm, data, norm)


def _solve_slots(moment: Tensor, layer: _Layer, beta: float, order: Tensor, rows: slice) -> Tensor:
    """theta on the first trainable inputs of some slots, for every neuron: (m, n, t)."""
    free = layer.mask[rows].gather(1, order)
    gram = moment[order[:, :, None], order[:, None, :]] * free[:, :, None] * free[:, None, :]
    gram.diagonal(dim1=1, dim2=2).add_(beta)
    wanted = (layer.weight @ moment)[None] - (layer.centre[rows] @ moment)[:, None]
    right = wanted.gather(2, order[:, None].expand(-1, len(layer.weight), -1)) * free[:, None]
    return torch.cholesky_solve(right.mT, torch.linalg.cholesky(gram)).mT


def _factor(moment: Tensor) -> Tensor:
    """F (d, r) with F F^T = moment, so that errors are sums of squares and never negative."""
    values, vectors = torch.linalg.eigh(moment)
    return vectors * values.clamp_min(0).sqrt()


def _linear_shared(moment: Tensor, layer: _Layer, beta: float) -> RidgeCost:
    """D trivial: one eigenbasis serves all slots, and costs are weighted squared distances to the centres."""
    values, vectors = torch.linalg.eigh(moment)
    values = values.clamp_min(0)
    targets, centres = layer.weight @ vectors, layer.centre @ vectors
    kept = values / (beta + values)
    norm = _distances(centres * kept, targets * kept)
    lost = (beta * values).sqrt() / (beta + values)
    data = _distances(centres * lost, targets * lost)
    return RidgeCost(data + norm, data, norm)


def _distances(a: Tensor, b: Tensor) -> Tensor:
    if not a.any():
        return b.square().sum(dim=1).expand(len(a), -1).clone()
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()


class _Nonlinear:
    """The costs through an activation, slot by slot: a slot's inputs serve all its pairs."""

    def __init__(
        self,
        x: Tensor,
        layer: _Layer,
        beta: float,
        activation: str,
        fit_bias: bool,
        norm: tuple[Tensor, Tensor] | None,
    ) -> None:
        self.layer, self.beta, self.fit_bias = layer, beta, fit_bias
        self.phi = ACTIVATIONS[activation]()
        scale, shift = (torch.ones(1), torch.zeros(1)) if norm is None else norm
        n = len(layer.weight)
        # (n, N) or (n, 1): one row a neuron, as its function carries its norm along.
        self.scale, self.shift = (
            part.double().expand(len(x) if part.dim() == 2 else 1, n).mT for part in (scale, shift)
        )
        self.mean = x.mean(dim=0) if fit_bias else torch.zeros_like(x[0])
        self.x = x - self.mean
        self.bias = layer.bias + layer.weight @ self.mean
        pre = layer.weight @ self.x.mT + self.bias[:, None]
        self.pre = pre
        self.target = self.phi(self.scale * pre + self.shift)

    def solve(self, pairs: Tensor, tolerance: float, max_steps: int) -> RidgeCost:
        """Every wanted pair, with those that did not converge counted."""
        n = len(self.layer.weight)
        data = self.layer.weight.new_full((n, n), torch.nan)
        norm = data.clone()
        missed = 0
        for slot in range(n):
            neurons = pairs[slot].nonzero()[:, 0]
            if len(neurons) == 0:
                continue
            norm[slot, neurons], data[slot, neurons], failed = self._slot(slot, neurons, tolerance, max_steps)
            missed += failed
        return RidgeCost(data + norm, data, norm, missed)

    def _slot(
        self, slot: int, neurons: Tensor, tolerance: float, max_steps: int
    ) -> tuple[Tensor, Tensor, int]:
        free = self.layer.mask[slot].nonzero()[:, 0]
        x = self.x[:, free]
        values, vectors = torch.linalg.eigh(x.mT @ x / len(x))
        values = values.clamp_min(0)
        # In the eigenbasis of the slot's inputs the linear problem is diagonal.
        x = x @ vectors
        fixed = self.x @ self.layer.centre[slot]
        steepness = self._steepness(neurons)
        t = len(free)

        def evaluate(point: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
            return self._evaluate(point, neurons[at], x, fixed)

        def precondition(gradient: Tensor, at: Tensor) -> Tensor:
            curvature = 2 + 2 * steepness[at, None] * values / self.beta
            bias = (2 * steepness[at, None] / self.beta).expand(-1, gradient.shape[1] - t)
            return gradient / torch.cat([curvature, bias], dim=1)

        start = self._start(slot, neurons, x, fixed, values, vectors[:, :t], steepness)
        point, total, converged = minimise(start, evaluate, precondition, tolerance, max_steps)
        norm = point[:, :t].square().sum(dim=1)
        return norm, (total - norm).clamp_min(0), int((~converged).sum())

    def _steepness(self, neurons: Tensor) -> Tensor:
        """Mean squared slope of the target through norm and activation: the error's curvature per unit."""
        scale, shift = self.scale[neurons], self.shift[neurons]
        slope = self._slope(scale * self.pre[neurons] + shift)[1] * scale
        return slope.square().mean(dim=1).clamp_min(1e-6)

    def _slope(self, z: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            z = z.detach().requires_grad_(True)
            value = self.phi(z)
            (slope,) = torch.autograd.grad(value.sum(), z)
        return value.detach(), slope

    def _start(
        self,
        slot: int,
        neurons: Tensor,
        x: Tensor,
        fixed: Tensor,
        values: Tensor,
        vectors: Tensor,
        steepness: Tensor,
    ) -> Tensor:
        """The linear problem's solution; for a slot's own function, what training found if that is better."""
        wanted = self.pre[neurons] - fixed
        bias = wanted.mean(dim=1, keepdim=True) if self.fit_bias else wanted[:, :0]
        wanted = wanted - (bias if self.fit_bias else self.bias[neurons, None])
        weight = self.beta / steepness[:, None]
        theta = (wanted @ x / len(x)) / (weight + values)
        start = torch.cat([theta, bias], dim=1)
        own = (neurons == slot).nonzero()[:, 0]
        if len(own):
            layer = self.layer
            free = layer.mask[slot].nonzero()[:, 0]
            found = (layer.weight[slot] - layer.centre[slot])[free] @ vectors
            trained = torch.cat([found, self.bias[slot : slot + 1]]) if self.fit_bias else found
            both = torch.stack([start[own[0]], trained])
            value, _ = self._evaluate(both, neurons[own].expand(2), x, fixed)
            start[own[0]] = both[value.argmin()]
        return start

    def _evaluate(self, point: Tensor, neurons: Tensor, x: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor]:
        t = x.shape[1]
        theta = point[:, :t]
        bias = point[:, t:] if self.fit_bias else self.bias[neurons, None]
        scale, shift = self.scale[neurons], self.shift[neurons]
        value, slope = self._slope(scale * (theta @ x.mT + fixed + bias) + shift)
        error = value - self.target[neurons]
        weighted = error * slope * scale * (2 / (self.beta * len(x)))
        gradient = 2 * theta + weighted @ x
        if self.fit_bias:
            gradient = torch.cat([gradient, weighted.sum(dim=1, keepdim=True)], dim=1)
        total = theta.square().sum(dim=1) + error.square().mean(dim=1) / self.beta
        return total, gradient
