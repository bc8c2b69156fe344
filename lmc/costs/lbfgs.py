"""Preconditioned L-BFGS on many small problems of one size at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Evaluate = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Precondition = Callable[[Tensor, Tensor], Tensor]


def minimise(
    start: Tensor,
    evaluate: Evaluate,
    precondition: Precondition,
    tolerance: float,
    max_steps: int,
    memory: int = 8,
) -> tuple[Tensor, Tensor, Tensor]:
    """Minimise P problems of m unknowns together; a problem that has converged is not evaluated again.

    Args:
        start: (P, m).
        evaluate: points (Q, m) and the problems' indices (Q,) to values (Q,) and gradients (Q, m).
        precondition: gradients (Q, m) and indices to inverse-Hessian guesses applied to them.
        tolerance: of a gradient's largest entry, relative to 1 + |value|.

    Returns:
        points (P, m), values (P,), and which problems converged (P,) bool.
    """
    x = start.clone()
    active = torch.arange(len(x), device=x.device)
    value, gradient = evaluate(x, active)
    history: list[tuple[Tensor, Tensor, Tensor]] = []
    converged = _small(gradient, value, tolerance)
    for _ in range(max_steps):
        keep = ~converged[active]
        if not keep.all():
            active = active[keep]
            history = [tuple(part[keep] for part in step) for step in history]  # type: ignore[misc]
        if len(active) == 0:
            break
        here, slope = x[active], gradient[active]
        direction = -_two_loops(slope, history, lambda g: precondition(g, active))  # noqa: B023
        downhill = (direction * slope).sum(dim=1)
        wrong = downhill >= 0
        if wrong.any():
            direction[wrong] = -precondition(slope, active)[wrong]
            downhill = (direction * slope).sum(dim=1)
        there, new_value, new_slope = _line_search(
            here, value[active], direction, downhill, active, evaluate, gradient[active]
        )
        history.append(_update(there - here, new_slope - slope))
        history = history[-memory:]
        stuck = new_value >= value[active]
        x[active], value[active], gradient[active] = there, new_value, new_slope
        converged[active] = _small(new_slope, new_value, tolerance)
        if stuck.all():
            break
    return x, value, converged


def _small(gradient: Tensor, value: Tensor, tolerance: float) -> Tensor:
    return gradient.abs().amax(dim=1) <= tolerance * (1 + value.abs())


def _update(step: Tensor, change: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One pair of the history; curvature that is not positive is left out by a zero weight."""
    curvature = (step * change).sum(dim=1)
    good = curvature > 1e-12 * step.norm(dim=1) * change.norm(dim=1)
    return step, change, torch.where(good, 1 / torch.where(good, curvature, 1), 0)


def _two_loops(
    gradient: Tensor, history: list[tuple[Tensor, Tensor, Tensor]], precondition: Callable[[Tensor], Tensor]
) -> Tensor:
    q = gradient.clone()
    weights = []
    for step, change, inverse in reversed(history):
        weight = inverse * (step * q).sum(dim=1)
        q -= weight[:, None] * change
        weights.append(weight)
    q = precondition(q)
    for (step, change, inverse), weight in zip(history, reversed(weights), strict=True):
        q += (weight - inverse * (change * q).sum(dim=1))[:, None] * step
    return q


def _line_search(
    here: Tensor,
    value: Tensor,
    direction: Tensor,
    downhill: Tensor,
    active: Tensor,
    evaluate: Evaluate,
    gradient: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Halve each problem's step until it descends enough; a problem that cannot stays where it is."""
    there, new_value, new_gradient = here.clone(), value.clone(), gradient.clone()
    size = torch.ones_like(value)
    open_ = torch.arange(len(here), device=here.device)
    for _ in range(30):
        trial = here[open_] + size[open_, None] * direction[open_]
        found, slope = evaluate(trial, active[open_])
        good = found <= value[open_] + 1e-4 * size[open_] * downhill[open_]
        accepted = open_[good]
        there[accepted], new_value[accepted], new_gradient[accepted] = trial[good], found[good], slope[good]
        open_ = open_[~good]
        if len(open_) == 0:
            break
        size[open_] /= 2
    return there, new_value, new_gradient
