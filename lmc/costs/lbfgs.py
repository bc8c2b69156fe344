"""Preconditioned L-BFGS on many small problems of one size at a time."""

from __future__ import annotations

from typing import Protocol, Self

import torch
from torch import Tensor

# Problems that are done stay in the batch, unmoved, until only this share of it is left.
_COMPACT = 0.75
_SMALLEST_STEP = 2.0**-30


class Problems(Protocol):
    """Q problems of m unknowns each."""

    @property
    def curvature(self) -> Tensor:
        """(Q, m), positive: a guess at the Hessian's diagonal, which the first steps divide by."""

    def evaluate(self, point: Tensor) -> tuple[Tensor, Tensor]:
        """Values (Q,) and gradients (Q, m) at points (Q, m)."""

    def take(self, rows: Tensor) -> Self:
        """Those problems, by index; one may be taken twice."""


class Descent:
    """Where Q descents stand: points (Q, m), values (Q,), and the memory they take their directions from.

    Each step evaluates all problems once, a problem whose step was refused trying a shorter one: so none
    waits for another's line search.
    """

    def __init__(self, problems: Problems, start: Tensor, memory: int = 5) -> None:
        self.problems, self.point = problems, start.clone()
        self.value, self.gradient = problems.evaluate(start)
        self.going = torch.ones_like(self.value, dtype=torch.bool)
        self._pairs = _Pairs.empty(start, memory)
        # Directions are those of the point over the root: in these units the Hessian is near the identity.
        self._root = problems.curvature.rsqrt()
        slope = self._root * self.gradient
        self._direction, self._downhill = -slope, -slope.square().sum(dim=1)
        self._size = torch.ones_like(self.value)

    def small(self, tolerance: float) -> Tensor:
        """Whether a gradient's largest entry is within the tolerance relative to 1 + |value|."""
        return (self.gradient.abs() <= tolerance * (1 + self.value.abs())[:, None]).all(dim=1)

    def step(self) -> None:
        """One evaluation of every problem.

        A rise within the value's own rounding is no rise, or the last steps would all be refused.
        """
        step = self._size[:, None] * self._direction
        trial = torch.addcmul(self.point, self._root, step)
        value, gradient = self.problems.evaluate(trial)
        expected = self._size * self._downhill
        noise = 4 * torch.finfo(value.dtype).eps * self.value.abs()
        good = (value <= self.value + noise + 1e-4 * expected) & self.going
        change = self._root * (gradient - self.gradient)
        size, stay = torch.ones_like(self._size), (~good).nonzero()[:, 0]
        if len(stay):
            # The lowest point of the parabola through what is known, within bounds.
            shorter = (expected / (2 * (self.value + expected - value))).nan_to_num(0.1).clamp(0.1, 0.5)
            size[stay] = (shorter * self._size)[stay]
            trial[stay], value[stay], gradient[stay] = self.point[stay], self.value[stay], self.gradient[stay]
            step[stay], change[stay] = 0, 0
        self.point, self.value, self.gradient, self._size = trial, value, gradient, size
        self.going &= size > _SMALLEST_STEP
        direction, downhill = self._aim(step, change)
        direction[stay], downhill[stay] = self._direction[stay], self._downhill[stay]
        self._direction, self._downhill = direction, downhill

    def _aim(self, step: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
        """New directions and the slopes along them."""
        slope = self._root * self.gradient
        direction = -self._pairs.newton(step, change, slope)
        downhill = (direction * slope).sum(dim=1)
        wrong = ~(downhill < 0)
        if wrong.any():
            direction[wrong] = -slope[wrong]
            downhill[wrong] = -slope[wrong].square().sum(dim=1)
        return direction, downhill

    def take(self, rows: Tensor) -> Descent:
        """Those descents, by index, where they stand."""
        taken = object.__new__(type(self))
        taken.problems, taken._pairs = self.problems.take(rows), self._pairs.take(rows)
        for name in ("point", "value", "gradient", "going", "_root", "_direction", "_downhill", "_size"):
            setattr(taken, name, getattr(self, name)[rows])
        return taken


def minimise(descent: Descent, tolerance: float, max_steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Descend until every gradient is small.

    Args:
        tolerance: of a gradient's largest entry, relative to 1 + |value|.

    Returns:
        points (P, m), values (P,), and which problems converged (P,) bool; the others met ``max_steps`` or
        can descend no further.
    """
    point, value, converged = descent.point.clone(), descent.value.clone(), torch.zeros_like(descent.going)
    rows = torch.arange(len(value), device=value.device)
    for count in range(max_steps + 1):
        done = descent.small(tolerance)
        descent.going &= ~done
        left = int(descent.going.sum())
        if left <= _COMPACT * len(rows) or count == max_steps:
            point[rows], value[rows], converged[rows] = descent.point, descent.value, done
            kept = descent.going.nonzero()[:, 0]
            if len(kept) == 0 or count == max_steps:
                break
            descent, rows = descent.take(kept), rows[kept]
        descent.step()
    return point, value, converged


class _Pairs:
    """The last steps s of each problem and the changes y of its gradient, its Hessian near the identity.

    The inverse Hessian is kept in compact form (Byrd, Nocedal and Schnabel, Mathematical Programming 63,
    1994, theorem 2.2): products with the whole memory are one call, where the two loops take 4 M. With a, b
    for the memory's steps from the oldest on, ``inverse`` is that of the upper triangle of s_a . y_b. A step
    whose curvature is not positive has zeros there, and so no part in anything.
    """

    def __init__(self, rows: Tensor, inverse: Tensor, inner: Tensor, order: list[int]) -> None:
        self.rows = rows  # (Q, M, 2, m): s and y
        self.inverse = inverse  # (Q, K, K), K <= M
        self.inner = inner  # (Q, K, K) y_a . y_b, and s_a . y_a more on the diagonal
        self.order = order  # (K,) the rows' places from the oldest on

    @classmethod
    def empty(cls, point: Tensor, memory: int) -> _Pairs:
        """For problems at points (Q, m)."""
        count, unknowns = point.shape
        small = point.new_zeros(count, 0, 0)
        return cls(point.new_empty(count, memory, 2, unknowns), small, small, [])

    def take(self, rows: Tensor) -> _Pairs:
        return _Pairs(self.rows[rows], self.inverse[rows], self.inner[rows], self.order)

    def newton(self, step: Tensor, change: Tensor, slope: Tensor) -> Tensor:
        """The inverse Hessian times gradients (Q, m), after one more step and change (Q, m)."""
        dropped = int(len(self.order) == self.rows.shape[1])
        place = self.order[0] if dropped else len(self.order)
        self.rows[:, place, 0], self.rows[:, place, 1] = step, change
        self.order = [*self.order[dropped:], place]
        count = len(self.order)
        rows = self.rows[:, :count].flatten(1, 2)
        products = (rows @ torch.stack([change, slope], dim=2)).unflatten(1, (count, 2))[:, self.order]
        with_step, with_change = products[:, :, 0], products[:, :, 1]  # (Q, K, 2)

        curvature, length = with_step[:, -1, 0], torch.linalg.vector_norm(step, dim=1)
        good = curvature > 1e-12 * length * with_change[:, -1, 0].sqrt()
        turn = torch.where(good, 1 / torch.where(good, curvature, 1), 0)
        inverse, inner = slope.new_zeros(2, len(slope), count, count)
        inner[:, :-1, :-1] = self.inner[:, dropped:, dropped:]
        inverse[:, :-1, :-1] = self.inverse[:, dropped:, dropped:]
        inverse[:, :-1, -1:] = inverse[:, :-1, :-1] @ with_step[:, :-1, :1] * -turn[:, None, None]
        inverse[:, -1, -1] = turn
        inner[:, -1] = inner[:, :, -1] = with_change[:, :, 0]
        inner[:, -1, -1] += curvature
        self.inverse, self.inner = inverse, inner

        u = inverse @ with_step[:, :, 1:]
        p = inverse.mT @ (inner @ u - with_change[:, :, 1:])
        weights = torch.empty_like(with_step)
        weights[:, self.order] = torch.cat([p, -u], dim=2)
        return torch.baddbmm(slope[:, None], weights.flatten(1)[:, None], rows)[:, 0]
