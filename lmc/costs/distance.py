"""Distances between the function classes of neurons (THEORY 2), in float64."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmc.core.errors import LmcError
from lmc.core.seeds import generator
from lmc.costs.gram import grams
from lmc.models.stack import chunk

# Starts at random, steps towards the extreme eigenvectors, starts that are followed up and for how long.
_RANDOM, _POWER, _FOLLOWED, _STEPS = 6, 10, 3, 300
_TOLERANCE = 1e-9
_TINY = 1e-150


@dataclass(frozen=True)
class Distance:
    """Hausdorff distances (n, n), symmetric, zero on the diagonal.

    ``lower_bound`` is the best value among the analytic starts, without ascent: a certified lower bound of
    the true maximum. ``distance`` is what ascent found; some direction attains it, so it too bounds the
    maximum from below, and equals it unless every start led to a lesser one.
    """

    distance: Tensor
    lower_bound: Tensor


def class_distance(mask: Tensor | None, centre: Tensor | None, basis: Tensor) -> Tensor:
    """Hausdorff distance of every pair of unit-cost ellipsoids, (n, n); see ``class_distances``."""
    return class_distances(mask, centre, basis).distance


def class_distances(mask: Tensor | None, centre: Tensor | None, basis: Tensor) -> Distance:
    """max over unit u of |h_i(u) - h_j(u)|, h_i(u) = <u, v_i> + ||S_i^{1/2} u||, for every pair (i, j).

    Exact where D is trivial: the ellipsoids are unit balls, as far apart as their centres. Elsewhere by
    projected ascent from the best of several starts: +-(v_i - v_j), approximate extreme eigenvectors of
    S_i - S_j, and seeded random directions, which all pairs share.

    Args:
        mask: D (n, d), or None where it is all ones.
        centre: f (n, d), or None where it is all zeros.
        basis: U (d, k), orthonormal.

    Raises:
        LmcError: neither mask nor centre is given, so that the number of neurons is unknown.
    """
    given = mask if mask is not None else centre
    if given is None:
        raise LmcError("class distances need a mask or centres; without either all classes are one")
    u = basis.double()
    n, k = len(given), u.shape[1]
    v = u.new_zeros(n, k) if centre is None else centre.double() @ u
    if mask is None or bool(mask.bool().all()):
        exact = torch.cdist(v, v, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(0)
        return Distance(exact, exact)
    draw = torch.randn(_RANDOM, k, generator=generator("class distance", k), dtype=u.dtype).to(u.device)
    found, bound = u.new_zeros(n, n), u.new_zeros(n, n)
    # Blocks of b x b pairs: their directions and gradients, and b Gram matrices on either side.
    b = max(1, int(chunk(n * n, (_FOLLOWED + 8) * k, itemsize=8) ** 0.5))
    b = min(b, chunk(n, 2 * (k * k + u.shape[0] * k), itemsize=8))
    for top in range(0, n, b):
        rows = slice(top, top + b)
        upper = grams(mask[rows].bool(), u)
        for left in range(top, n, b):
            columns = slice(left, left + b)
            lower = upper if left == top else grams(mask[columns].bool(), u)
            block = _Block(upper, lower, v[rows, None] - v[None, columns])
            for whole, part in zip((found, bound), block.solve(draw), strict=True):
                whole[rows, columns] = part
                whole[columns, rows] = torch.maximum(part, part.mT) if left == top else part.mT
    return Distance(found.fill_diagonal_(0), bound.fill_diagonal_(0))


@dataclass(frozen=True)
class _Block:
    """Pairs of slots i (p of them) and j (q): Gram matrices (p, k, k), (q, k, k), v_i - v_j (p, q, k)."""

    gram_i: Tensor
    gram_j: Tensor
    apart: Tensor

    def solve(self, draw: Tensor) -> tuple[Tensor, Tensor]:
        """Distances and lower bounds (p, q)."""
        shared = torch.broadcast_to(draw[:, None, None], (len(draw), *self.apart.shape))
        extreme = [self._extreme(sign, _unit(shared[0])) for sign in (1, -1)]
        starts = [_unit(self.apart), _unit(-self.apart), *extreme, *map(_unit, shared)]
        values = torch.stack([self._parts(u)[0].abs() for u in starts])
        best = bound = values[:4].amax(dim=0)
        chosen = values.topk(_FOLLOWED, dim=0).indices
        for one in chosen:
            u = starts[0].clone()
            for index, start in enumerate(starts[1:], 1):
                at = one == index
                u[at] = start[at]
            best = torch.maximum(best, self._ascend(u))
        return best, bound

    def _products(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """S_i u and S_j u of directions (p, q, k)."""
        return u @ self.gram_i, (u.transpose(0, 1) @ self.gram_j).transpose(0, 1)

    def _parts(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """h_i(u) - h_j(u) (p, q), its gradient (p, q, k), and ||S^{1/2} u|| of either side (p, q)."""
        ours, theirs = self._products(u)
        n_i, n_j = ((u * part).sum(dim=2).clamp_min(_TINY).sqrt() for part in (ours, theirs))
        gradient = self.apart + ours / n_i[..., None] - theirs / n_j[..., None]
        return (u * self.apart).sum(dim=2) + n_i - n_j, gradient, n_i, n_j

    def _extreme(self, sign: int, u: Tensor) -> Tensor:
        """Towards the eigenvector of the greatest eigenvalue of sign (S_i - S_j), which lies in [-1, 1]."""
        for _ in range(_POWER):
            ours, theirs = self._products(u)
            u = _unit(u + sign * (ours - theirs))
        return u

    def _ascend(self, u: Tensor) -> Tensor:
        """The value reached from u, whose sign says whether the difference or its negative is raised.

        Each step maximises a minorant on the sphere, so the value never falls: S <= I gives
        -||S^{1/2} w|| >= <w, u - S u> / ||S^{1/2} u|| + const for unit w, and the rest is convex.
        """
        value, gradient, n_i, n_j = self._parts(u)
        sign = torch.where(value < 0, -1.0, 1.0)
        before = value.abs()
        for _ in range(_STEPS):
            n = torch.where(sign > 0, n_j, n_i)
            u = _unit(n[..., None] * sign[..., None] * gradient + u)
            value, gradient, n_i, n_j = self._parts(u)
            after = sign * value
            if (after - before <= _TOLERANCE * after.abs()).all():
                break
            before = after
        return torch.maximum(before, after)


def _unit(u: Tensor) -> Tensor:
    """Directions of length one; the first axis where there is none."""
    length = u.norm(dim=-1, keepdim=True)
    axis = torch.zeros_like(u)
    axis[..., 0] = 1
    return torch.where(length > _TINY, u / length.clamp_min(_TINY), axis)
