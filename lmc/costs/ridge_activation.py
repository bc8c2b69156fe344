"""Ridge costs through an activation: the linear problem's solution, then preconditioned L-BFGS (THEORY 2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from lmc.costs.lbfgs import Descent, minimise
from lmc.models.stack import chunk

# The linear problems whose solutions are the starts: the activation as steep as at the target, and
# flatter, for a smaller theta.
_STEEPNESS = (1.0, 0.3, 0.1)
# Descents in float32: so many steps to lose the last of the starts, then so many of the one left.
_RACE_STEPS = 6
_COARSE_STEPS, _COARSE_TOLERANCE = 100, 1e-6


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

    A point (P, m) is theta, m = t, or theta and b, m = t + 1, where that is free.
    """

    x: Tensor  # (N, m), b's column one
    penalty: Tensor  # (m,) one, zero for b
    scale: Tensor | None  # (P, N) or (P, 1), a norm's between the linear map and the activation
    offset: Tensor  # (1, N) or (P, N), what is added to the scaled product: centre, fixed bias, shift
    target: Tensor  # (P, N)
    curvature: Tensor  # (P, m) of the linear problem, whose Hessian is diagonal here
    beta: float
    phi: Callable[[Tensor], Tensor]

    def take(self, rows: Tensor) -> _Slot:
        """The problem for these of the neurons."""
        return replace(
            self,
            scale=None if self.scale is None else self.scale[rows],
            offset=self.offset if len(self.offset) == 1 else self.offset[rows],
            target=self.target[rows],
            curvature=self.curvature[rows],
        )

    def single(self) -> _Slot:
        """The same in float32."""
        return replace(
            self,
            x=self.x.float(),
            penalty=self.penalty.float(),
            scale=None if self.scale is None else self.scale.float(),
            offset=self.offset.float(),
            target=self.target.float(),
            curvature=self.curvature.float(),
        )

    def evaluate(self, point: Tensor) -> tuple[Tensor, Tensor]:
        """Objectives (P,) and gradients of points (P, m)."""
        if self.scale is None:
            z = torch.addmm(self.offset, point, self.x.mT)
        else:
            z = (point @ self.x.mT).mul_(self.scale).add_(self.offset)
        with torch.enable_grad():
            value = self.phi(z.requires_grad_(True))
        error = value.detach() - self.target
        (back,) = torch.autograd.grad(value, z, error)
        if self.scale is not None:
            back *= self.scale
        theta = self.penalty * point
        total = theta.square().sum(dim=1) + error.square_().mean(dim=1) / self.beta
        return total, torch.addmm(theta, back, self.x, beta=2, alpha=2 / (self.beta * len(self.x)))


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
        # (n, N) or (n, 1): one row per neuron, as its function carries its norm along.
        self.norm = None if norm is None else (_a_row_each(norm[0].double()), _a_row_each(norm[1].double()))
        mean = x.mean(dim=0) if fit_bias else torch.zeros_like(x[0])
        self.x = x - mean
        self.bias = layer.bias + layer.weight @ mean

    def solve(self, pairs: Tensor, tolerance: float, max_steps: int) -> tuple[Tensor, Tensor, int]:
        """Data and norm terms (n, n) of the wanted pairs, NaN elsewhere, and how many did not converge."""
        data = torch.full_like(self.layer.weight[:, :1], torch.nan).repeat(1, len(pairs))
        norm, missed = data.clone(), 0
        numbers = (
            16 * len(self.x) + 12 * self.x.shape[1]
        )  # held for a pair: on the samples, and on the inputs
        for slot in range(len(pairs)):
            wanted = pairs[slot].nonzero()[:, 0]
            for neurons in wanted.split(chunk(max(1, len(wanted)), numbers, itemsize=8)):
                if len(neurons):
                    data[slot, neurons], norm[slot, neurons], failed = self._pairs(
                        slot, neurons, tolerance, max_steps
                    )
                    missed += failed
        return data, norm, missed

    def _pairs(
        self, slot: int, neurons: Tensor, tolerance: float, max_steps: int
    ) -> tuple[Tensor, Tensor, int]:
        layer, free = self.layer, self.layer.free[slot]
        x = self.x[:, free]
        values, vectors = torch.linalg.eigh(x.mT @ x / len(x))
        x, values = x @ vectors, values.clamp_min(0)
        bias, fixed = self.bias[neurons, None], self.x @ layer.centre[slot]
        wanted = layer.weight[neurons] @ self.x.mT + bias
        norm = None if self.norm is None else (self.norm[0][neurons], self.norm[1][neurons])
        target, slope = value_and_slope(self.phi, _apply(norm, wanted))
        # The error's curvature per unit of pre-activation, at the target.
        slope = slope if norm is None else slope * norm[0]
        steepness = slope.square().mean(dim=1, keepdim=True).clamp_min(1e-6)

        wanted -= fixed
        free_bias = wanted.mean(dim=1, keepdim=True) if self.fit_bias else bias
        product = (wanted - free_bias) @ x / len(x)
        starts = torch.stack([product / (self.beta / (part * steepness) + values) for part in _STEEPNESS])
        offset, penalty = fixed[None], torch.ones_like(values)
        if self.fit_bias:
            x, values, penalty = (
                pad(part, (0, 1), value=last) for part, last in ((x, 1), (values, 1), (penalty, 0))
            )
            starts = torch.cat([starts, free_bias.expand(len(starts), -1, -1)], dim=2)
        else:
            offset = offset + bias
        curvature = 2 * penalty + 2 * steepness / self.beta * values
        problem = _Slot(
            x, penalty, norm and norm[0], _apply(norm, offset), target, curvature, self.beta, self.phi
        )

        start = _coarse(problem.single(), starts.float(), tolerance, max_steps).double()
        own = (neurons == slot).nonzero()[:, 0]
        if len(own):
            trained = (layer.weight[slot] - layer.centre[slot])[free] @ vectors
            if self.fit_bias:
                trained = torch.cat([trained, self.bias[slot, None]])
            both = torch.stack([start[own[0]], trained])
            start[own[0]] = both[problem.take(own.expand(2)).evaluate(both)[0].argmin()]
        point, total, converged = minimise(Descent(problem, start), tolerance, max_steps)
        length = (penalty * point).square().sum(dim=1)
        return (total - length).clamp_min(0), length, int((~converged).sum())


def _coarse(problem: _Slot, starts: Tensor, tolerance: float, max_steps: int) -> Tensor:
    """Near-minima (P, m) in float32, from that of the starts (S, P, m) which wins a race."""
    left, count, unknowns = starts.shape
    every = torch.arange(count, device=starts.device)
    race = Descent(problem.take(every.repeat(left)), starts.flatten(0, 1))
    while left > 1:
        for _ in range(min(_RACE_STEPS, max_steps) if unknowns else 0):
            race.step()
        left -= 1
        values = race.value.view(-1, count).nan_to_num(torch.inf, torch.inf)
        race = race.take((values.argsort(dim=0)[:left] * count + every).flatten())
    point, _, _ = minimise(race, max(tolerance, _COARSE_TOLERANCE), min(_COARSE_STEPS, max_steps))
    return torch.where(point.isfinite().all(dim=1, keepdim=True), point, starts[0])


def _apply(norm: tuple[Tensor, Tensor] | None, z: Tensor) -> Tensor:
    return z if norm is None else norm[0] * z + norm[1]


def _a_row_each(part: Tensor) -> Tensor:
    return part[:, None] if part.dim() == 1 else part.mT
