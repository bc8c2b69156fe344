"""Ridge costs through an activation: the linear problem's solution, then preconditioned L-BFGS (THEORY 2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from lmc.costs.lbfgs import minimise
from lmc.models.stack import chunk

# A first descent in float32: so many steps to choose between the starts, so many from the better one.
_CHOICE_STEPS, _CHOICE_TOLERANCE = 20, 1e-3
_COARSE_STEPS, _COARSE_TOLERANCE = 100, 2e-6
# The second start takes the activation to be this much flatter, so that its theta is the smaller one.
_FLATTER = 0.1


@dataclass(frozen=True)
class Layer:
    """A layer in float64: weights (n, d), biases (n,), trainable inputs (n, d) bool, centres (n, d)."""

    weight: Tensor
    bias: Tensor
    free: Tensor
    centre: Tensor

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None, mask: Tensor | None, centre: Tensor | None) -> Layer:
        """With what is None written out."""
        w = weight.double()
        b = w.new_zeros(len(w)) if bias is None else bias.double()
        free = torch.ones_like(w, dtype=torch.bool) if mask is None else mask.bool()
        return cls(w, b, free, torch.zeros_like(w) if centre is None else centre.double())


@dataclass(frozen=True)
class _Slot:
    """One slot's problem for P neurons, in the eigenbasis of its t trainable inputs.

    A point (P, t) or (P, t + 1) is theta, and b where that is free.
    """

    x: Tensor  # (N, t)
    values: Tensor  # (t,) eigenvalues of E[x x^T]
    fixed: Tensor  # (N,) what the centre contributes
    bias: Tensor  # (P, 1) the targets'
    scale: Tensor  # (P, N) or (P, 1), with shift a norm between the linear map and the activation
    shift: Tensor
    target: Tensor  # (P, N)
    steepness: Tensor  # (P, 1) mean squared slope at the target

    def single(self) -> _Slot:
        """The same in float32."""
        return _Slot(*(getattr(self, field.name).float() for field in fields(self)))

    def precondition(self, gradient: Tensor, at: Tensor, beta: float) -> Tensor:
        """The gradient over the curvature of the linear problem, whose Hessian is diagonal here."""
        t = len(self.values)
        error = 2 * self.steepness[at] / beta
        curvature = [2 + error * self.values, error.expand(-1, gradient.shape[1] - t)]
        return gradient / torch.cat(curvature, dim=1)

    def evaluate(
        self, point: Tensor, at: Tensor, beta: float, phi: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Objectives (Q,) and gradients of points (Q, m) of the neurons ``at`` (Q,)."""
        t = len(self.values)
        theta, free_bias = point[:, :t], point[:, t:]
        scale = self.scale[at]
        z = theta @ self.x.mT
        z += self.fixed
        z += free_bias if free_bias.shape[1] else self.bias[at]
        value, slope = value_and_slope(phi, z.mul_(scale).add_(self.shift[at]))
        error = value.sub_(self.target[at])
        total = theta.square().sum(dim=1) + error.square().mean(dim=1) / beta
        error.mul_(slope).mul_(scale).mul_(2 / (beta * len(self.x)))
        gradient = 2 * theta + error @ self.x
        if free_bias.shape[1]:
            gradient = torch.cat([gradient, error.sum(dim=1, keepdim=True)], dim=1)
        return total, gradient


def value_and_slope(phi: Callable[[Tensor], Tensor], z: Tensor) -> tuple[Tensor, Tensor]:
    """phi(z) and phi'(z), elementwise."""
    with torch.enable_grad():
        z = z.detach().requires_grad_(True)
        value = phi(z)
        (slope,) = torch.autograd.grad(value, z, torch.ones_like(value))
    return value.detach(), slope


class Nonlinear:
    """The costs of a layer through an activation, slot by slot: a slot's inputs serve all its pairs."""

    def __init__(
        self,
        x: Tensor,
        layer: Layer,
        beta: float,
        phi: Callable[[Tensor], Tensor],
        fit_bias: bool,
        norm: tuple[Tensor, Tensor] | None,
    ) -> None:
        self.layer, self.beta, self.phi, self.fit_bias = layer, beta, phi, fit_bias
        n = len(layer.weight)
        scale, shift = (x.new_ones(n), x.new_zeros(n)) if norm is None else norm
        # (n, N) or (n, 1): one row a neuron, as its function carries its norm along.
        self.scale, self.shift = (
            part.double()[:, None] if part.dim() == 1 else part.double().mT for part in (scale, shift)
        )
        mean = x.mean(dim=0) if fit_bias else torch.zeros_like(x[0])
        self.x = x - mean
        self.bias = layer.bias + layer.weight @ mean

    def solve(self, pairs: Tensor, tolerance: float, max_steps: int) -> tuple[Tensor, Tensor, int]:
        """Data and norm terms (n, n) of the wanted pairs, NaN elsewhere, and how many did not converge."""
        data = torch.full_like(self.layer.weight[:, :1], torch.nan).repeat(1, len(pairs))
        norm, missed = data.clone(), 0
        for slot in range(len(pairs)):
            wanted = pairs[slot].nonzero()[:, 0]
            for neurons in wanted.split(chunk(max(1, len(wanted)), 12 * len(self.x), itemsize=8)):
                if len(neurons):
                    data[slot, neurons], norm[slot, neurons], failed = self._pairs(
                        slot, neurons, tolerance, max_steps
                    )
                    missed += failed
        return data, norm, missed

    def _pairs(
        self, slot: int, neurons: Tensor, tolerance: float, max_steps: int
    ) -> tuple[Tensor, Tensor, int]:
        layer, beta, phi = self.layer, self.beta, self.phi
        free = layer.free[slot]
        x = self.x[:, free]
        values, vectors = torch.linalg.eigh(x.mT @ x / len(x))
        bias, scale, shift = self.bias[neurons, None], self.scale[neurons], self.shift[neurons]
        pre = layer.weight[neurons] @ self.x.mT + bias
        target, slope = value_and_slope(phi, scale * pre + shift)
        # The error's curvature per unit of pre-activation, at the target.
        steepness = (slope * scale).square().mean(dim=1, keepdim=True).clamp_min(1e-6)
        fixed = self.x @ layer.centre[slot]
        problem = _Slot(x @ vectors, values.clamp_min(0), fixed, bias, scale, shift, target, steepness)

        starts = [self._start(problem, pre - fixed, factor) for factor in (1, _FLATTER)]
        start = self._coarse(problem.single(), torch.stack(starts).float(), tolerance, max_steps).double()
        own = (neurons == slot).nonzero()[:, 0]
        if len(own):
            theta = (layer.weight[slot] - layer.centre[slot])[free] @ vectors
            trained = torch.cat([theta, self.bias[slot, None]]) if self.fit_bias else theta
            both = torch.stack([start[own[0]], trained])
            start[own[0]] = both[problem.evaluate(both, own.expand(2), beta, phi)[0].argmin()]
        point, total, converged = minimise(
            start,
            lambda point, at: problem.evaluate(point, at, beta, phi),
            lambda gradient, at: problem.precondition(gradient, at, beta),
            tolerance,
            max_steps,
        )
        norm = point[:, : len(values)].square().sum(dim=1)
        return (total - norm).clamp_min(0), norm, int((~converged).sum())

    def _coarse(self, problem: _Slot, starts: Tensor, tolerance: float, max_steps: int) -> Tensor:
        """Near-minima (P, m) in float32, from that of the starts (S, P, m) which leads after a few steps."""
        many, count, _ = starts.shape

        def descend(start: Tensor, until: float, steps: int) -> tuple[Tensor, Tensor, Tensor]:
            return minimise(
                start,
                lambda point, at: problem.evaluate(point, at % count, self.beta, self.phi),
                lambda gradient, at: problem.precondition(gradient, at % count, self.beta),
                until,
                min(steps, max_steps),
            )

        found, value, _ = descend(starts.flatten(0, 1), _CHOICE_TOLERANCE, _CHOICE_STEPS)
        best = value.view(many, count).nan_to_num(torch.inf, torch.inf).argmin(dim=0)
        chosen = found.view(many, count, -1)[best, torch.arange(count)]
        point = descend(chosen, max(tolerance, _COARSE_TOLERANCE), _COARSE_STEPS)[0]
        return torch.where(point.isfinite().all(dim=1, keepdim=True), point, starts[0])

    def _start(self, problem: _Slot, wanted: Tensor, factor: float) -> Tensor:
        """The linear problem's solution (P, m) for pre-activations ``wanted`` (P, N) from theta."""
        bias = wanted.mean(dim=1, keepdim=True) if self.fit_bias else problem.bias
        weight = self.beta / (factor * problem.steepness)
        theta = ((wanted - bias) @ problem.x / len(problem.x)) / (weight + problem.values)
        return torch.cat([theta, bias], dim=1) if self.fit_bias else theta
