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
        points (P, m), values (P,), and which problems converged (P,) bool; the others met ``max_steps`` or
        can descend no further.
    """
    x = start.clone()
    active = torch.arange(len(x), device=x.device)
    value, gradient = evaluate(x, active)
    if x.shape[1] == 0:
        return x, value, torch.ones_like(active, dtype=torch.bool)
    history: list[tuple[Tensor, Tensor, Tensor]] = []
    converged = _small(gradient, value, tolerance)
    going = ~converged
    for _ in range(max_steps):
        keep = going[active]
        if not keep.all():
            active = active[keep]
            history = [(step[keep], change[keep], inverse[keep]) for step, change, inverse in history]
        if len(active) == 0:
            break
        here, old, slope = x[active], value[active], gradient[active]
        direction = -_two_loops(slope, history, lambda g: precondition(g, active))  # noqa: B023
        wrong = ~((direction * slope).sum(dim=1) < 0)
        if wrong.any():
            direction[wrong] = -precondition(slope[wrong], active[wrong])
        there, new, new_slope, moved = _line_search(here, old, slope, direction, active, evaluate)
        history = [*history[1 - memory :], _update(there - here, new_slope - slope)]
        x[active], value[active], gradient[active] = there, new, new_slope
        converged[active] = _small(new_slope, new, tolerance)
        going[active] = moved & ~converged[active]
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
    here: Tensor, value: Tensor, gradient: Tensor, direction: Tensor, active: Tensor, evaluate: Evaluate
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Halve each problem's step until it descends enough; one that cannot stays, and has not moved.

    A rise within the value's own rounding is no rise, or the last steps would all be refused.
    """
    there, new_value, new_gradient = here.clone(), value.clone(), gradient.clone()
    downhill = (direction * gradient).sum(dim=1)
    noise = 4 * torch.finfo(value.dtype).eps * value.abs()
    waiting = torch.arange(len(here), device=here.device)
    size = 1.0
    for _ in range(30):
        trial = here[waiting] + size * direction[waiting]
        found, slope = evaluate(trial, active[waiting])
        good = found <= (value + noise + 1e-4 * size * downhill)[waiting]
        accepted = waiting[good]
        there[accepted], new_value[accepted], new_gradient[accepted] = trial[good], found[good], slope[good]
        waiting = waiting[~good]
        if len(waiting) == 0:
            break
        size /= 2
    moved = torch.ones_like(active, dtype=torch.bool)
    moved[waiting] = False
    return there, new_value, new_gradient, moved
